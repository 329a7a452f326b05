/* A gateway is meant by its whole name, or by a first label that only one has. */
#pragma once

#include "base/json.h"

/* names: an object (its keys) or an array of texts. NULL: none, or more than one. Borrowed. */
const char *gateway_match(const json_t *names, const char *wanted);
