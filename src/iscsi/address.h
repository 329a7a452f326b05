/* Portal addresses as text: "10.77.0.1:3260", "[fd00::1]:3260", as in TargetAddress. */
#pragma once

#include "base/auto.h"
#include "iscsi/server.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ISCSI_PORT 3260

struct portal_address {
	bool ipv6;
	bool any;       /* 0.0.0.0 or [::]: every address of the host */
	uint8_t ip[16]; /* IPv4: the first 4; a mapped IPv4 address in IPv6 is IPv4 */
	uint16_t port;
};

/* Numeric addresses only; without port: 3260; IPv6 without port may lack the brackets. -EINVAL. */
int portal_address_parse(const char *text, struct portal_address *ret_address) MUST_CHECK;
/* PORTAL_TEXT_MAX bytes are enough. */
void portal_address_format(const struct portal_address *address, char *ret_text, size_t size);
/* Does a connection that arrived at `local` belong to this portal? A wildcard takes all of its port
 * (an IPv6 wildcard IPv4 too, as a dual-stack socket does). */
bool portal_address_covers(const struct portal_address *portal, const struct portal_address *local);

/* The local portal group of a target that has this local address; NULL: none. Exact addresses win
 * over wildcards. */
const struct iscsi_portal_group *portal_group_of(const struct iscsi_target *target,
                                                 const struct portal_address *local);
