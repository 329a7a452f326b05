/* Client of the API of another gateway: only for what runs there now (sessions). Changes need no
 * such calls: gateways follow the object. */
#include "api/peer.h"

#include "base/log.h"

#include <curl/curl.h>
#include <string.h>

#define TIMEOUT_MS 2000
#define BODY_MAX   (4u << 20)

static size_t take_body(char *data, size_t size, size_t count, void *argument)
{
	struct string *body = argument;
	if (body->len + size * count > BODY_MAX)
		return 0;
	string_add_bytes(body, data, size * count);
	return body->failed ? 0 : size * count;
}

static void prepare(CURL *curl, const struct rest *api, const char *url, struct string *body)
{
	const struct settings *settings = api->config.settings;
	long verify = settings->api_ssl_verify ? 1 : 0;
	(void)curl_easy_setopt(curl, CURLOPT_URL, url);
	(void)curl_easy_setopt(curl, CURLOPT_USERNAME, settings->api_user);
	(void)curl_easy_setopt(curl, CURLOPT_PASSWORD, settings->api_password);
	(void)curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)TIMEOUT_MS);
	(void)curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	(void)curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
	(void)curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, verify);
	(void)curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, verify * 2);
	(void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
	(void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, body);
}

/* The name of the URL stays, for the certificate's sake; only the connection goes elsewhere. */
static CURLcode perform_at(CURL *curl, const char *address, struct string *body)
{
	AUTO_STRING struct string route = { 0 };
	string_format(&route,
	              strchr(address, ':') && *address != '[' ? "::[%s]:" : "::%s:", address);
	struct curl_slist *routes = route.text ? curl_slist_append(NULL, route.text) : NULL;
	if (!routes)
		return CURLE_OUT_OF_MEMORY;
	string_clear(body);
	(void)curl_easy_setopt(curl, CURLOPT_CONNECT_TO, routes);
	CURLcode code = curl_easy_perform(curl);
	(void)curl_easy_setopt(curl, CURLOPT_CONNECT_TO, NULL);
	curl_slist_free_all(routes);
	return code;
}

/* True if another address of the gateway may answer: its name is unknown here, or names a place
 * where nobody listens. */
static bool name_misleads(CURL *curl, CURLcode code)
{
	curl_off_t resolved_us = 0;
	(void)curl_easy_getinfo(curl, CURLINFO_NAMELOOKUP_TIME_T, &resolved_us);
	return code == CURLE_COULDNT_RESOLVE_HOST || code == CURLE_COULDNT_CONNECT ||
	       (code == CURLE_OPERATION_TIMEDOUT && resolved_us == 0);
}

bool peer_get(const struct rest *api, const char *gateway, const json_t *addresses,
              const char *path, json_t **ret_body)
{
	AUTO_STRING struct string url = { 0 }, body = { 0 };
	string_format(&url, "%s://%s:%u%s", api->config.certificate ? "https" : "http", gateway,
	              api->port, path);
	CURL *curl = curl_easy_init();
	if (!curl || url.failed) {
		curl_easy_cleanup(curl);
		return false;
	}
	prepare(curl, api, url.text, &body);
	CURLcode code = curl_easy_perform(curl);
	for (size_t i = 0; i < json_array_size(addresses) && name_misleads(curl, code); i++) {
		const char *address = json_string_value(json_array_get(addresses, i));
		code = address ? perform_at(curl, address, &body) : code;
	}
	long status = 0;
	(void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_cleanup(curl);
	if (code != CURLE_OK || status != 200) {
		log_limited(LOG_LEVEL_WARNING, 60000,
		            "gateway %s does not tell its sessions: %s; is its rbd-target-api "
		            "running, and may this host ask it (trusted_ip_list)?",
		            gateway, code != CURLE_OK ? curl_easy_strerror(code) : "refused");
		return false;
	}
	json_t *value = json_loads(body.text ? body.text : "", 0, NULL);
	if (!value)
		return false;
	*ret_body = value;
	return true;
}
