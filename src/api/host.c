/* Addresses: one binary form for both families, and those of this host. */
#include "api/host.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

static const uint8_t mapped[12] = { [10] = 0xff, 0xff };

static void put_v4(const void *v4, struct ip *ret_ip)
{
	memcpy(ret_ip->bytes, mapped, sizeof mapped);
	memcpy(ret_ip->bytes + sizeof mapped, v4, 4);
}

bool ip_parse(const char *text, struct ip *ret_ip)
{
	struct in_addr v4;
	if (inet_pton(AF_INET, text, &v4) == 1) {
		put_v4(&v4, ret_ip);
		return true;
	}
	char bare[INET6_ADDRSTRLEN + 2];
	size_t len = strlen(text);
	if (len > 2 && text[0] == '[' && text[len - 1] == ']' && len - 2 < sizeof bare) {
		memcpy(bare, text + 1, len - 2);
		bare[len - 2] = '\0';
		text = bare;
	}
	return inet_pton(AF_INET6, text, ret_ip->bytes) == 1;
}

bool ip_from_socket(const struct sockaddr *socket, struct ip *ret_ip)
{
	if (socket->sa_family == AF_INET)
		put_v4(&((const struct sockaddr_in *)(const void *)socket)->sin_addr, ret_ip);
	else if (socket->sa_family == AF_INET6)
		memcpy(ret_ip->bytes,
		       &((const struct sockaddr_in6 *)(const void *)socket)->sin6_addr, 16);
	else
		return false;
	return true;
}

bool ip_equal(const struct ip *a, const struct ip *b)
{
	return memcmp(a, b, sizeof *a) == 0;
}

static bool is_v4(const struct ip *address)
{
	return memcmp(address->bytes, mapped, sizeof mapped) == 0;
}

void ip_format(const struct ip *address, char ret_text[46])
{
	bool v4 = is_v4(address);
	if (!inet_ntop(v4 ? AF_INET : AF_INET6, address->bytes + (v4 ? 12 : 0), ret_text, 46))
		(void)snprintf(ret_text, 46, "?");
}

bool ip_in(const struct ip *address, const char *text)
{
	char base[64];
	size_t len = strcspn(text, "/");
	struct ip net;
	if (len >= sizeof base)
		return false;
	memcpy(base, text, len);
	base[len] = '\0';
	if (!ip_parse(base, &net))
		return false;
	if (!text[len])
		return ip_equal(address, &net);
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

static bool is_local_only(const struct ip *address)
{
	static const struct ip loopback = { { [15] = 1 } };
	return ip_equal(address, &loopback) || (is_v4(address) && address->bytes[12] == 127) ||
	       (address->bytes[0] == 0xfe && (address->bytes[1] & 0xc0) == 0x80);
}

json_t *host_addresses(void)
{
	json_t *list = json_array();
	struct ifaddrs *all;
	if (getifaddrs(&all) < 0)
		return list;
	for (struct ifaddrs *at = all; at; at = at->ifa_next) {
		struct ip address;
		char text[46];
		if (!at->ifa_addr || !ip_from_socket(at->ifa_addr, &address) ||
		    is_local_only(&address))
			continue;
		ip_format(&address, text);
		(void)json_array_append_new(list, json_string(text));
	}
	freeifaddrs(all);
	return list;
}

bool host_has(const struct ip *address)
{
	struct ifaddrs *all;
	if (is_v4(address) && address->bytes[12] == 127)
		return true;
	if (getifaddrs(&all) < 0)
		return false;
	bool found = false;
	for (struct ifaddrs *at = all; at && !found; at = at->ifa_next) {
		struct ip own;
		found = at->ifa_addr && ip_from_socket(at->ifa_addr, &own) &&
		        ip_equal(&own, address);
	}
	freeifaddrs(all);
	return found;
}
