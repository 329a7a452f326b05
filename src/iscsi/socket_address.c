/* Conversions only; IPv4 mapped into IPv6 is shown as IPv4. */
#include "iscsi/socket_address.h"

#include <netinet/in.h>
#include <string.h>

void socket_address_text(const struct sockaddr_storage *socket_address, char *ret_text)
{
	struct portal_address address = { 0 };

	if (socket_address->ss_family == AF_INET) {
		const struct sockaddr_in *ipv4 = (const struct sockaddr_in *)socket_address;
		memcpy(address.ip, &ipv4->sin_addr, 4);
		address.port = ntohs(ipv4->sin_port);
	} else {
		const struct sockaddr_in6 *ipv6 = (const struct sockaddr_in6 *)socket_address;
		address.ipv6 = !IN6_IS_ADDR_V4MAPPED(&ipv6->sin6_addr);
		if (address.ipv6)
			memcpy(address.ip, &ipv6->sin6_addr, 16);
		else
			memcpy(address.ip, ipv6->sin6_addr.s6_addr + 12, 4);
		address.port = ntohs(ipv6->sin6_port);
	}
	portal_address_format(&address, ret_text, PORTAL_TEXT_MAX);
}

socklen_t socket_address_make(const struct portal_address *address,
                              struct sockaddr_storage *ret_socket_address)
{
	memset(ret_socket_address, 0, sizeof(*ret_socket_address));
	if (!address->ipv6) {
		struct sockaddr_in *ipv4 = (struct sockaddr_in *)ret_socket_address;
		ipv4->sin_family = AF_INET;
		ipv4->sin_port = htons(address->port);
		memcpy(&ipv4->sin_addr, address->ip, 4);
		return sizeof(*ipv4);
	}
	struct sockaddr_in6 *ipv6 = (struct sockaddr_in6 *)ret_socket_address;
	ipv6->sin6_family = AF_INET6;
	ipv6->sin6_port = htons(address->port);
	memcpy(&ipv6->sin6_addr, address->ip, 16);
	return sizeof(*ipv6);
}
