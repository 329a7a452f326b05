/* Portal addresses as the object has them: IPv4 or IPv6, with or without brackets. */
#pragma once

#include <stdbool.h>

/* Compares in binary ("FD00::1" is "[fd00:0::1]"); texts that are no address compare as texts. */
bool address_equal(const char *a, const char *b);
bool address_is_valid(const char *text);
/* "0.0.0.0", "::": one can listen there, and nobody else can reach it. */
bool address_is_wildcard(const char *text);
