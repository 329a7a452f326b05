/* The name under which this gateway stands in the object: socket.getfqdn() of Python, so that a
 * host keeps the name that upstream gave it. */
#include "config/settings.h"

#include <netdb.h>
#include <string.h>
#include <sys/socket.h>

#define HOST_NAME_BYTES 256

/* The official name and the aliases of the address: the first with a dot, else the official one. */
static char *pick_name(const struct hostent *host)
{
	const char *name = host->h_name;
	for (char **alias = host->h_aliases; !strchr(name, '.') && *alias; alias++)
		name = *alias;
	return strdup(strchr(name, '.') ? name : host->h_name);
}

static const void *address_bytes(const struct sockaddr *address, socklen_t *ret_len)
{
	if (address->sa_family == AF_INET) {
		*ret_len = sizeof(struct in_addr);
		return &((const struct sockaddr_in *)(const void *)address)->sin_addr;
	}
	*ret_len = sizeof(struct in6_addr);
	return &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
}

/* NULL: the resolver does not know. */
static char *resolved_name(const char *host_name)
{
	struct addrinfo hints = { .ai_family = AF_UNSPEC }, *found = NULL;
	if (getaddrinfo(host_name, NULL, &hints, &found) != 0)
		return NULL;
	char *name = NULL;
	if (found->ai_family == AF_INET || found->ai_family == AF_INET6) {
		socklen_t len;
		const void *bytes = address_bytes(found->ai_addr, &len);
		struct hostent room, *host = NULL;
		char strings[16384];
		int reason;
		if (gethostbyaddr_r(bytes, len, found->ai_family, &room, strings, sizeof strings,
		                    &host, &reason) == 0 &&
		    host)
			name = pick_name(host);
	}
	freeaddrinfo(found);
	return name;
}

char *settings_gateway_name(const struct settings *settings)
{
	if (settings->gateway_name[0])
		return strdup(settings->gateway_name);
	char host_name[HOST_NAME_BYTES];
	if (gethostname(host_name, sizeof host_name) < 0)
		return NULL;
	host_name[sizeof host_name - 1] = '\0';
	char *name = resolved_name(host_name);
	return name ? name : strdup(host_name);
}
