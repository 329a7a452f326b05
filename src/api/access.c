/* Access: 403 for a foreign address, 401 without credentials, 401 for wrong ones, in this order. */
#include "api/access.h"

#include "api/host.h"
#include "base/reactor.h"

#include <netdb.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define NAMES_MAX      64
#define ADDRESSES_MAX  16
#define KNOWN_MS       60000
#define UNKNOWN_MS     5000
#define CREDENTIAL_MAX 512

struct looked_up {
	char name[256];
	uint64_t until_ms;
	size_t count;
	struct ip addresses[ADDRESSES_MAX];
};
struct names {
	pthread_mutex_t lock; /* of all below */
	struct looked_up entries[NAMES_MAX];
	size_t next; /* the entry that a new name takes */
};

struct names *names_new(void)
{
	struct names *names = calloc(1, sizeof *names);
	if (names)
		(void)pthread_mutex_init(&names->lock, NULL);
	return names;
}

void names_free(struct names *names)
{
	if (!names)
		return;
	(void)pthread_mutex_destroy(&names->lock);
	free(names);
}

static void look_up(const char *name, struct looked_up *ret_entry)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *all = NULL;
	*ret_entry = (struct looked_up){ 0 };
	(void)snprintf(ret_entry->name, sizeof ret_entry->name, "%s", name);
	if (getaddrinfo(name, NULL, &hints, &all) == 0) {
		for (struct addrinfo *at = all; at && ret_entry->count < ADDRESSES_MAX;
		     at = at->ai_next)
			ret_entry->count += ip_from_socket(at->ai_addr,
			                                   &ret_entry->addresses[ret_entry->count]);
		freeaddrinfo(all);
	}
	ret_entry->until_ms = clock_monotonic_ms() + (ret_entry->count ? KNOWN_MS : UNKNOWN_MS);
}

static bool has_address(const struct looked_up *entry, const struct ip *address)
{
	for (size_t i = 0; i < entry->count; i++)
		if (ip_equal(&entry->addresses[i], address))
			return true;
	return false;
}

/* Copies the entry of a name that is still good. */
static bool recall(struct names *names, const char *name, struct looked_up *ret_entry)
{
	bool found = false;
	uint64_t now_ms = clock_monotonic_ms();
	(void)pthread_mutex_lock(&names->lock);
	for (size_t i = 0; i < NAMES_MAX && !found; i++) {
		if (strcmp(names->entries[i].name, name) != 0 ||
		    names->entries[i].until_ms <= now_ms)
			continue;
		*ret_entry = names->entries[i];
		found = true;
	}
	(void)pthread_mutex_unlock(&names->lock);
	return found;
}

static void remember(struct names *names, const struct looked_up *entry)
{
	(void)pthread_mutex_lock(&names->lock);
	size_t at = names->next;
	for (size_t i = 0; i < NAMES_MAX; i++)
		if (strcmp(names->entries[i].name, entry->name) == 0)
			at = i;
	if (at == names->next)
		names->next = (names->next + 1) % NAMES_MAX;
	names->entries[at] = *entry;
	(void)pthread_mutex_unlock(&names->lock);
}

/* name: an address or a host name. */
static bool name_has(struct names *names, const char *name, const struct ip *address)
{
	struct ip literal;
	if (ip_parse(name, &literal))
		return ip_equal(&literal, address);
	struct looked_up entry;
	if (!recall(names, name, &entry)) {
		look_up(name, &entry);
		remember(names, &entry);
	}
	return has_address(&entry, address);
}

/* Every gateway, and every portal address of every target. */
static bool object_has(struct names *names, json_t *object, const struct ip *address)
{
	const char *name;
	json_t *item, *text;
	size_t i;
	json_object_foreach (json_object_get(object, "targets"), name, item)
		json_array_foreach (json_object_get(item, "ip_list"), i, text)
			if (json_is_string(text) && ip_in(address, json_string_value(text)))
				return true;
	json_object_foreach (json_object_get(object, "gateways"), name, item)
		if (json_is_object(item) && name_has(names, name, address))
			return true;
	return false;
}

static bool address_allowed(struct request *request, const struct sockaddr *peer)
{
	struct ip address;
	char text[46] = "?";
	if (ip_from_socket(peer, &address)) {
		const struct settings *settings = request->api->config.settings;
		for (size_t i = 0; settings->trusted_ip_list && settings->trusted_ip_list[i]; i++)
			if (ip_in(&address, settings->trusted_ip_list[i]))
				return true;
		if (host_has(&address))
			return true;
		AUTO_JSON json_t *object = NULL;
		if (!request_load(request, &object))
			return false;
		if (object_has(request->api->names, object, &address))
			return true;
		ip_format(&address, text);
	}
	answer_message(request, 403, "API access not available to %s", text);
	return false;
}

/* Equal in a time that does not tell how far they agree. */
static bool same_secret(const char *a, size_t a_len, const char *b, size_t b_len)
{
	unsigned char x[EVP_MAX_MD_SIZE], y[EVP_MAX_MD_SIZE];
	unsigned len;
	return EVP_Digest(a, a_len, x, &len, EVP_sha256(), NULL) == 1 &&
	       EVP_Digest(b, b_len, y, &len, EVP_sha256(), NULL) == 1 &&
	       CRYPTO_memcmp(x, y, len) == 0;
}

static bool password_fits(const struct settings *settings, const char *authorization)
{
	static const char scheme[] = "Basic ";
	char given[CREDENTIAL_MAX], wanted[CREDENTIAL_MAX];
	size_t given_len;
	if (strncasecmp(authorization, scheme, strlen(scheme)) != 0)
		return false;
	const char *text = authorization + strlen(scheme);
	if (text_get_base64(text, strlen(text), (uint8_t *)given, sizeof given, &given_len) < 0)
		return false;
	int len = snprintf(wanted, sizeof wanted, "%s:%s", settings->api_user,
	                   settings->api_password);
	bool same = len > 0 && (size_t)len < sizeof wanted &&
	            same_secret(given, given_len, wanted, (size_t)len);
	wipe(given, sizeof given);
	wipe(wanted, sizeof wanted);
	return same;
}

bool access_check(struct request *request, const struct sockaddr *peer, const char *authorization)
{
	enum access access = request->route->access;
	if (access == ACCESS_OPEN)
		return true;
	if (access == ACCESS_FULL && !address_allowed(request, peer))
		return false;
	if (!authorization) {
		answer_message(request, 401, "Missing credentials");
		return false;
	}
	if (password_fits(request->api->config.settings, authorization))
		return true;
	answer_message(request, 401, "username/password mismatch with the configuration file");
	return false;
}
