/* Addresses: one binary form for both families, and those of this host. */
#include "api/host.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

static const uint8_t mapped[12] = { [10] = 0xff, 0xff };

static void put_v4(const void *v4, struct address *ret_address)
{
	memcpy(ret_address->bytes, mapped, sizeof mapped);
	memcpy(ret_address->bytes + sizeof mapped, v4, 4);
}

bool address_parse(const char *text, struct address *ret_address)
{
	struct in_addr v4;
	if (inet_pton(AF_INET, text, &v4) == 1) {
		put_v4(&v4, ret_address);
		return true;
	}
	char bare[INET6_ADDRSTRLEN + 2];
	size_t len = strlen(text);
	if (len > 2 && text[0] == '[' && text[len - 1] == ']' && len - 2 < sizeof bare) {
		memcpy(bare, text + 1, len - 2);
		bare[len - 2] = '\0';
		text = bare;
	}
	return inet_pton(AF_INET6, text, ret_address->bytes) == 1;
}

bool address_from_socket(const struct sockaddr *socket, struct address *ret_address)
{
	if (socket->sa_family == AF_INET)
		put_v4(&((const struct sockaddr_in *)(const void *)socket)->sin_addr, ret_address);
	else if (socket->sa_family == AF_INET6)
		memcpy(ret_address->bytes,
		       &((const struct sockaddr_in6 *)(const void *)socket)->sin6_addr, 16);
	else
		return false;
	return true;
}

bool address_equal(const struct address *a, const struct address *b)
{
	return memcmp(a, b, sizeof *a) == 0;
}

static bool is_v4(const struct address *address)
{
	return memcmp(address->bytes, mapped, sizeof mapped) == 0;
}

void address_format(const struct address *address, char ret_text[46])
{
	bool v4 = is_v4(address);
	if (!inet_ntop(v4 ? AF_INET : AF_INET6, address->bytes + (v4 ? 12 : 0), ret_text, 46))
		(void)snprintf(ret_text, 46, "?");
}

bool address_in(const struct address *address, const char *text)
{
	char base[64];
	size_t len = strcspn(text, "/");
	struct address net;
	if (len >= sizeof base)
		return false;
	memcpy(base, text, len);
	base[len] = '\0';
	if (!address_parse(base, &net))
		return false;
	if (!text[len])
		return address_equal(address, &net);
	uint64_t bits;
	if (text_to_uint(text + len + 1, 0, is_v4(&net) ? 32 : 128, &bits) < 0)
		return false;
	if (is_v4(&net))
		bits += 96;
	size_t whole = bits / 8;
	uint8_t mask = (uint8_t)(0xff00 >> (bits % 8));
	return memcmp(address, &net, whole) == 0 &&
	       (bits % 8 == 0 || ((address->bytes[whole] ^ net.bytes[whole]) & mask) == 0);
}

static bool is_local_only(const struct address *address)
{
	static const struct address loopback = { { [15] = 1 } };
	return address_equal(address, &loopback) || (is_v4(address) && address->bytes[12] == 127) ||
	       (address->bytes[0] == 0xfe && (address->bytes[1] & 0xc0) == 0x80);
}

json_t *host_addresses(void)
{
	json_t *list = json_array();
	struct ifaddrs *all;
	if (getifaddrs(&all) < 0)
		return list;
	for (struct ifaddrs *at = all; at; at = at->ifa_next) {
		struct address address;
		char text[46];
		if (!at->ifa_addr || !address_from_socket(at->ifa_addr, &address) ||
		    is_local_only(&address))
			continue;
		address_format(&address, text);
		(void)json_array_append_new(list, json_string(text));
	}
	freeifaddrs(all);
	return list;
}

bool host_has(const struct address *address)
{
	struct ifaddrs *all;
	if (is_v4(address) && address->bytes[12] == 127)
		return true;
	if (getifaddrs(&all) < 0)
		return false;
	bool found = false;
	for (struct ifaddrs *at = all; at && !found; at = at->ifa_next) {
		struct address own;
		found = at->ifa_addr && address_from_socket(at->ifa_addr, &own) &&
		        address_equal(&own, address);
	}
	freeifaddrs(all);
	return found;
}
