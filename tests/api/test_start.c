/* What the API does with an object that is old, newer or foreign; TLS. */
#include "api_world.h"

/* Puts a text where the object is, before the API starts. */
static struct store *store_with(const char *text, uint64_t epoch)
{
	static unsigned number;
	char folder[256];
	(void)snprintf(folder, sizeof folder, "%s/store-%u", test_folder(), number++);
	struct store *store = open_store(folder);
	AUTO_FREE char *before = NULL;
	struct store_version version;
	ASSERT_EQ(store_load(store, &before, &version, NULL), 0);
	if (text)
		ASSERT_EQ(store_commit(store, text, epoch, &version, NULL), 0);
	return store;
}

static struct settings *plain_settings(void)
{
	struct settings *settings = NULL;
	ASSERT_EQ(settings_parse("[config]\napi_secure = false\n", "test", NULL, NULL, &settings,
	                         NULL),
	          0);
	settings->api_port = 0;
	return settings;
}

TEST(an_old_object_is_upgraded_and_its_text_kept)
{
	AUTO_FREE char *old = test_read_file("golden/config/v10.before.json", NULL);
	AUTO_JSON json_t *parsed = json_loads(old, 0, NULL);
	uint64_t epoch = (uint64_t)json_number(parsed, "epoch", 0);
	AUTO(store) struct store *store = store_with(old, epoch);
	AUTO(settings) struct settings *settings = plain_settings();
	struct rest_config config = { .settings = settings,
		                      .gateway_name = "gw1.example.com",
		                      .store = store };
	AUTO(rest) struct rest *api = NULL;
	ASSERT_EQ(rest_start(&config, &api, NULL), 0);
	AUTO_FREE char *text = NULL;
	AUTO_FREE char *kept = NULL;
	struct store_version version;
	ASSERT_EQ(store_load(store, &text, &version, NULL), 0);
	AUTO_JSON json_t *object = json_loads(text, 0, NULL);
	ASSERT_EQ(json_number(object, "version", 0), 11);
	ASSERT_EQ(json_number(object, "epoch", 0), epoch + 1);
	char key[64];
	(void)snprintf(key, sizeof key, "upgraded/10.%d", (int)epoch);
	ASSERT_EQ(store_get_row(store, key, &kept, NULL), 0);
	ASSERT_STR_EQ(kept, old);
}

TEST(a_foreign_object_is_refused_and_never_overwritten)
{
	static const char foreign[] = "[1, 2]";
	AUTO(store) struct store *store = store_with(foreign, 0);
	AUTO(settings) struct settings *settings = plain_settings();
	struct rest_config config = { .settings = settings, .gateway_name = "gw1", .store = store };
	AUTO(rest) struct rest *api = NULL;
	struct error err = { 0 };
	ASSERT_EQ(rest_start(&config, &api, &err), -EINVAL);
	AUTO_FREE char *text = NULL;
	struct store_version version;
	ASSERT_EQ(store_load(store, &text, &version, NULL), 0);
	ASSERT_STR_EQ(text, foreign);
}

static long ask(struct rest *api, const char *scheme, const char *method, const char *path,
                long tls, struct string *body)
{
	char url[256];
	(void)snprintf(url, sizeof url, "%s://127.0.0.1:%u%s", scheme, rest_port(api), path);
	CURL *curl = curl_easy_init();
	(void)curl_easy_setopt(curl, CURLOPT_URL, url);
	(void)curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
	(void)curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
	(void)curl_easy_setopt(curl, CURLOPT_USERPWD, "admin:admin");
	(void)curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 0L);
	(void)curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 0L);
	(void)curl_easy_setopt(curl, CURLOPT_SSLVERSION, tls);
	(void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_answer);
	(void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, body);
	long status = -1;
	if (curl_easy_perform(curl) == CURLE_OK)
		(void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_cleanup(curl);
	return status;
}

TEST(a_newer_object_can_be_read_but_not_changed)
{
	static const char newer[] = "{\"version\":12,\"epoch\":7,\"targets\":{},\"disks\":{},"
	                            "\"gateways\":{},\"later\":1}";
	AUTO(store) struct store *store = store_with(newer, 7);
	AUTO(settings) struct settings *settings = plain_settings();
	struct rest_config config = { .settings = settings, .gateway_name = "gw1", .store = store };
	AUTO(rest) struct rest *api = NULL;
	AUTO_STRING struct string targets = { 0 }, refusal = { 0 };
	ASSERT_EQ(rest_start(&config, &api, NULL), 0);
	ASSERT_EQ(ask(api, "http", "GET", "/api/targets", 0, &targets), 200);
	ASSERT_STR_EQ(targets.text, "{\"targets\":[]}\n");
	ASSERT_EQ(ask(api, "http", "PUT", "/api/target/iqn.2003-01.com.x:y", 0, &refusal), 503);
	ASSERT_NOT_NULL(strstr(refusal.text, "read only"));
}

TEST(tls_1_2_and_1_3_are_spoken_and_nothing_else)
{
	AUTO_FREE char *certificate = test_read_file("golden/api/test-only.crt", NULL);
	AUTO_FREE char *key = test_read_file("golden/config/test-only-priv.pem", NULL);
	AUTO(store) struct store *store = store_with(NULL, 0);
	AUTO(settings) struct settings *settings = plain_settings();
	struct rest_config config = { .settings = settings,
		                      .gateway_name = "gw1",
		                      .store = store,
		                      .certificate = certificate,
		                      .key = key };
	AUTO(rest) struct rest *api = NULL;
	AUTO_STRING struct string body = { 0 };
	ASSERT_EQ(rest_start(&config, &api, NULL), 0);
	ASSERT_EQ(ask(api, "https", "GET", "/api", CURL_SSLVERSION_TLSv1_3, &body), 200);
	ASSERT_EQ(ask(api, "https", "GET", "/api", CURL_SSLVERSION_MAX_TLSv1_2, &body), 200);
	ASSERT_EQ(ask(api, "https", "GET", "/api",
	              CURL_SSLVERSION_TLSv1_0 | CURL_SSLVERSION_MAX_TLSv1_1, &body),
	          -1);
	ASSERT_EQ(ask(api, "http", "GET", "/api", 0, &body), -1);
}

TEST(a_key_that_does_not_fit_the_certificate_is_refused)
{
	AUTO_FREE char *certificate = test_read_file("golden/api/test-only.crt", NULL);
	AUTO(store) struct store *store = store_with(NULL, 0);
	AUTO(settings) struct settings *settings = plain_settings();
	struct rest_config config = { .settings = settings,
		                      .gateway_name = "gw1",
		                      .store = store,
		                      .certificate = certificate,
		                      .key = "no key" };
	AUTO(rest) struct rest *api = NULL;
	struct error err = { 0 };
	ASSERT_EQ(rest_start(&config, &api, &err), -EINVAL);
}

TEST(a_port_in_use_is_said)
{
	AUTO(store) struct store *store = store_with(NULL, 0);
	AUTO(settings) struct settings *settings = plain_settings();
	struct rest_config config = { .settings = settings, .gateway_name = "gw1", .store = store };
	AUTO(rest) struct rest *first = NULL;
	AUTO(rest) struct rest *second = NULL;
	struct error err = { 0 };
	ASSERT_EQ(rest_start(&config, &first, NULL), 0);
	settings->api_port = (int)rest_port(first);
	ASSERT_EQ(rest_start(&config, &second, &err), -EADDRINUSE);
	ASSERT_NOT_NULL(strstr(err.text, "port"));
}
