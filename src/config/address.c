/* See address.h. */
#include "config/address.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

struct binary_address {
	int family;
	unsigned char bytes[16];
};

static bool parse(const char *text, struct binary_address *ret_address)
{
	char bare[INET6_ADDRSTRLEN];
	size_t len = strlen(text);
	bool bracketed = len > 2 && text[0] == '[' && text[len - 1] == ']';
	if (bracketed) {
		text++;
		len -= 2;
	}
	if (len >= sizeof bare)
		return false;
	(void)snprintf(bare, sizeof bare, "%.*s", (int)len, text);
	struct binary_address address = { .family = strchr(bare, ':') ? AF_INET6 : AF_INET };
	if ((bracketed && address.family != AF_INET6) ||
	    inet_pton(address.family, bare, address.bytes) != 1)
		return false;
	*ret_address = address;
	return true;
}

bool address_is_valid(const char *text)
{
	struct binary_address address;
	return parse(text, &address);
}

bool address_is_wildcard(const char *text)
{
	static const struct binary_address zero;
	struct binary_address address;
	return parse(text, &address) && !memcmp(address.bytes, zero.bytes, sizeof zero.bytes);
}

bool address_equal(const char *a, const char *b)
{
	struct binary_address first, second;
	if (!parse(a, &first) || !parse(b, &second))
		return !strcmp(a, b);
	return first.family == second.family &&
	       !memcmp(first.bytes, second.bytes, sizeof first.bytes);
}
