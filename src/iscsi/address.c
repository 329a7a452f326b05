/* Portal addresses: parsed to bytes, because one address has many spellings. */
#include "iscsi/address.h"

#include "base/text.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Cuts text into host and port text (NULL: none). text is changed. */
static int split_address(char *text, char **ret_host, char **ret_port)
{
	*ret_port = NULL;
	if (*text == '[') {
		char *end = strchr(text, ']');
		if (!end || (end[1] && end[1] != ':'))
			return -EINVAL;
		if (end[1])
			*ret_port = end + 2;
		*end = '\0';
		*ret_host = text + 1;
		return 0;
	}
	char *colon = strchr(text, ':');
	if (colon && !strchr(colon + 1, ':')) { /* one colon: IPv4 with port; more: bare IPv6 */
		*colon = '\0';
		*ret_port = colon + 1;
	}
	*ret_host = text;
	return 0;
}

static int parse_host(const char *host, struct portal_address *ret_address)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	static const uint8_t zero[16];
	if (inet_pton(AF_INET6, host, ret_address->ip) == 1) {
		ret_address->ipv6 = true;
		if (memcmp(ret_address->ip, mapped, sizeof(mapped)) == 0) {
			memmove(ret_address->ip, ret_address->ip + 12, 4);
			memset(ret_address->ip + 4, 0, 12);
			ret_address->ipv6 = false;
		}
	} else if (inet_pton(AF_INET, host, ret_address->ip) != 1) {
		return -EINVAL;
	}
	ret_address->any = memcmp(ret_address->ip, zero, sizeof(zero)) == 0;
	return 0;
}

int portal_address_parse(const char *text, struct portal_address *ret_address)
{
	struct portal_address address = { .port = ISCSI_PORT };
	char copy[PORTAL_TEXT_MAX];
	if (strlen(text) >= sizeof(copy))
		return -EINVAL;
	strcpy(copy, text);

	char *host, *port_text;
	uint64_t port;
	int r = split_address(copy, &host, &port_text);
	if (r == 0)
		r = parse_host(host, &address);
	if (r < 0)
		return r;
	if (port_text) {
		if (text_to_uint(port_text, 1, UINT16_MAX, &port) < 0)
			return -EINVAL;
		address.port = (uint16_t)port;
	}
	*ret_address = address;
	return 0;
}

void portal_address_format(const struct portal_address *address, char *ret_text, size_t size)
{
	char host[INET6_ADDRSTRLEN] = "";
	(void)inet_ntop(address->ipv6 ? AF_INET6 : AF_INET, address->ip, host,
	                sizeof(host)); /* cannot fail: family and room are right */
	snprintf(ret_text, size, address->ipv6 ? "[%s]:%u" : "%s:%u", host, address->port);
}

bool portal_address_covers(const struct portal_address *portal, const struct portal_address *local)
{
	if (portal->port != local->port)
		return false;
	if (portal->any)
		return portal->ipv6 || !local->ipv6;
	return portal->ipv6 == local->ipv6 && memcmp(portal->ip, local->ip, sizeof(local->ip)) == 0;
}

static bool group_covers(const struct iscsi_portal_group *group, const struct portal_address *local,
                         bool wildcards)
{
	for (size_t i = 0; i < group->address_count; i++) {
		struct portal_address portal;
		if (portal_address_parse(group->addresses[i], &portal) == 0 &&
		    portal.any == wildcards && portal_address_covers(&portal, local))
			return true;
	}
	return false;
}

const struct iscsi_portal_group *portal_group_of(const struct iscsi_target *target,
                                                 const struct portal_address *local)
{
	for (int wildcards = 0; wildcards <= 1; wildcards++)
		for (size_t i = 0; i < target->group_count; i++)
			if (target->groups[i].local &&
			    group_covers(&target->groups[i], local, wildcards))
				return &target->groups[i];
	return NULL;
}
