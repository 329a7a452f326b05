/* What this host is: its addresses. */
#pragma once

#include "base/json.h"

#include <stdint.h>
#include <sys/socket.h>

/* An address in one form: IPv4 as ::ffff:a.b.c.d. */
struct address {
	uint8_t bytes[16];
};
bool address_parse(const char *text, struct address *ret_address);
bool address_from_socket(const struct sockaddr *socket, struct address *ret_address);
bool address_equal(const struct address *a, const struct address *b);
/* As people write it; without the ::ffff: of IPv4. */
void address_format(const struct address *address, char ret_text[46]);
/* text: an address or address/bits. */
bool address_in(const struct address *address, const char *text);

/* Texts; without loopback and link-local ones. */
json_t *host_addresses(void) MUST_CHECK;
/* Also the loopback ones. */
bool host_has(const struct address *address);
