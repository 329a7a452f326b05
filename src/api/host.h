/* What this host is: its addresses. */
#pragma once

#include "base/json.h"

#include <stdint.h>
#include <sys/socket.h>

/* An address in one form: IPv4 as ::ffff:a.b.c.d. */
struct ip {
	uint8_t bytes[16];
};
bool ip_parse(const char *text, struct ip *ret_ip);
bool ip_from_socket(const struct sockaddr *socket, struct ip *ret_ip);
bool ip_equal(const struct ip *a, const struct ip *b);
/* As people write it; without the ::ffff: of IPv4. */
void ip_format(const struct ip *address, char ret_text[46]);
/* text: an address or address/bits. */
bool ip_in(const struct ip *address, const char *text);

/* Texts; without loopback and link-local ones. */
json_t *host_addresses(void) MUST_CHECK;
/* Also the loopback ones. */
bool host_has(const struct ip *address);
