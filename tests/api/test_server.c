/* HTTP itself: access, methods, forms, hostile requests. */
#include "api/route.h"
#include "api_world.h"

static const struct {
	struct call call;
	long status;
	const char *body;
} calls[] = {
	{ { "GET", "/api/config", NULL, NULL, NULL, false },
	  401,
	  "{\"message\":\"Missing credentials\"}\n" },
	{ { "GET", "/api/config", NULL, "admin:nope", NULL, false },
	  401,
	  "{\"message\":\"username/password mismatch with the configuration file\"}\n" },
	{ { "GET", "/api/config", NULL, "admin", NULL, false },
	  401,
	  "{\"message\":\"username/password mismatch with the configuration file\"}\n" },
	{ { "GET", "/api/sysinfo/hostname", NULL, NULL, NULL, false },
	  401,
	  "{\"message\":\"Missing credentials\"}\n" },
	{ { "GET", "/api/nosuch", NULL, "admin:admin", NULL, false },
	  404,
	  "{\"message\":\"There is no /api/nosuch\"}\n" },
	{ { "GET", "/api/targets/", NULL, "admin:admin", NULL, false },
	  404,
	  "{\"message\":\"There is no /api/targets/\"}\n" },
	{ { "GET", "/api/disk/rbd/%zz", NULL, "admin:admin", NULL, false }, 404, NULL },
	{ { "GET", "/api/disk/rbd/a%2Fb", NULL, "admin:admin", NULL, false },
	  404,
	  "{\"message\":\"rbd image rbd/a/b not found\"}\n" },
	{ { "GET", "/api/disk/rbd/a%00b", NULL, "admin:admin", NULL, false }, 404, NULL },
	{ { "POST", "/api/targets", "a=b", "admin:admin", NULL, false },
	  405,
	  "{\"message\":\"/api/targets does not know the method POST\"}\n" },
	/* a JSON body and a query are not read on PUT */
	{ { "PUT", "/api/disk/rbd/j", "{\"mode\":\"create\",\"size\":\"1G\"}", "admin:admin",
	    "Content-Type: application/json", false },
	  400,
	  "{\"message\":\"disk operation mode 'None' is invalid\"}\n" },
	{ { "PUT", "/api/disk/rbd/j?mode=create&size=1G", NULL, "admin:admin", NULL, false },
	  400,
	  "{\"message\":\"disk operation mode 'None' is invalid\"}\n" },
	{ { "PUT", "/api/disk/rbd/disk_m", "mode=create&size=1M", "admin:admin", NULL, true },
	  200,
	  "{\"message\":\"disk create/update successful\"}\n" },
	{ { "GET", "/api/disks", "config=yes", "admin:admin", NULL, false }, 200, NULL },
	{ { "GET", "/api/disks?config=yes", NULL, "admin:admin", NULL, false },
	  200,
	  "{\"disks\":[\"rbd/disk_m\"]}\n" },
	{ { "PUT", "/api/discoveryauth", "username=%ff%fe%fd", "admin:admin", NULL, false },
	  400,
	  "{\"message\":\"The form is malformed or not UTF-8\"}\n" },
	{ { "PUT", "/api/discoveryauth", "username=a%00b", "admin:admin", NULL, false },
	  400,
	  "{\"message\":\"The form is malformed or not UTF-8\"}\n" },
	{ { "HEAD", "/api/targets", NULL, "admin:admin", NULL, false }, 200, "" },
	{ { "OPTIONS", "/api/disk/rbd/x", NULL, NULL, NULL, false }, 200, "" },
};

TEST(requests_get_the_status_and_the_body_that_they_deserve)
{
	AUTO_API_WORLD struct api_world world = { 0 };
	world_start(&world, "", NULL);
	for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
		AUTO_FREE char *body = NULL;
		TEST_ROW("%s %s", calls[i].call.method, calls[i].call.path);
		ASSERT_EQ(world_call(&world, &calls[i].call, &body, NULL), calls[i].status);
		if (calls[i].body)
			ASSERT_STR_EQ(body, calls[i].body);
	}
}

TEST(headers_say_what_may_be_done)
{
	static const struct {
		struct call call;
		const char *header;
	} rows[] = {
		{ { "OPTIONS", "/api/disk/rbd/x", NULL, NULL, NULL, false },
		  "Allow: OPTIONS, GET, HEAD, PUT, DELETE\r\n" },
		{ { "POST", "/api/targets", NULL, NULL, NULL, false },
		  "Allow: OPTIONS, GET, HEAD\r\n" },
		{ { "GET", "/api/targets", NULL, NULL, NULL, false },
		  "WWW-Authenticate: Basic realm=\"rbdgate\"\r\n" },
		{ { "GET", "/api/targets", NULL, "admin:admin", NULL, false },
		  "Content-Type: application/json\r\n" },
	};
	AUTO_API_WORLD struct api_world world = { 0 };
	world_start(&world, "", NULL);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO_FREE char *body = NULL;
		AUTO_FREE char *headers = NULL;
		TEST_ROW("%s %s", rows[i].call.method, rows[i].call.path);
		(void)world_call(&world, &rows[i].call, &body, &headers);
		if (!strstr(headers, rows[i].header))
			fail_msg("%s", headers);
	}
}

TEST(a_form_longer_than_the_bound_is_refused)
{
	AUTO_API_WORLD struct api_world world = { 0 };
	world_start(&world, "", NULL);
	AUTO_STRING struct string form = { 0 };
	string_add(&form, "username=");
	while (form.len < (2u << 20))
		string_add(&form, "0123456789abcdef0123456789abcdef");
	AUTO_FREE char *body = NULL;
	struct call call = { "PUT", "/api/discoveryauth", form.text, "admin:admin", NULL, false };
	ASSERT_EQ(world_call(&world, &call, &body, NULL), 413);
}

TEST(the_list_of_routes_names_every_public_path)
{
	AUTO_API_WORLD struct api_world world = { 0 };
	world_start(&world, "", NULL);
	AUTO_FREE char *body = NULL;
	struct call call = { "GET", "/api", NULL, NULL, NULL, false };
	ASSERT_EQ(world_call(&world, &call, &body, NULL), 200);
	for (size_t i = 0; i < route_count; i++) {
		TEST_ROW("%s", routes[i].path);
		ASSERT_EQ(strstr(body, routes[i].path) != NULL,
		          strstr(routes[i].path, "/_") == NULL);
		ASSERT_TRUE((routes[i].change != NULL) != (routes[i].run != NULL));
	}
}

TEST(concurrent_changes_all_get_in)
{
	enum { CLIENTS = 8 };
	AUTO_API_WORLD struct api_world world = { 0 };
	world_start(&world, "", NULL);
	world_add_member(&world, "gw1.example.com");
	CURLM *multi = curl_multi_init();
	CURL *curls[CLIENTS];
	struct string bodies[CLIENTS] = { 0 };
	int running = CLIENTS;
	for (int i = 0; i < CLIENTS; i++) {
		char url[256];
		(void)snprintf(url, sizeof url,
		               "http://127.0.0.1:%u/api/target/iqn.2003-01.com.x:t%d",
		               rest_port(world.api), i);
		curls[i] = curl_easy_init();
		(void)curl_easy_setopt(curls[i], CURLOPT_URL, url);
		(void)curl_easy_setopt(curls[i], CURLOPT_CUSTOMREQUEST, "PUT");
		(void)curl_easy_setopt(curls[i], CURLOPT_USERPWD, "admin:admin");
		(void)curl_easy_setopt(curls[i], CURLOPT_WRITEFUNCTION, take_answer);
		(void)curl_easy_setopt(curls[i], CURLOPT_WRITEDATA, &bodies[i]);
		(void)curl_multi_add_handle(multi, curls[i]);
	}
	while (running) {
		ASSERT_EQ(curl_multi_perform(multi, &running), CURLM_OK);
		if (running)
			ASSERT_EQ(curl_multi_poll(multi, NULL, 0, 1000, NULL), CURLM_OK);
	}
	for (int i = 0; i < CLIENTS; i++) {
		ASSERT_STR_EQ(bodies[i].text, "{\"message\":\"Target defined successfully\"}\n");
		string_clear(&bodies[i]);
		(void)curl_multi_remove_handle(multi, curls[i]);
		curl_easy_cleanup(curls[i]);
	}
	(void)curl_multi_cleanup(multi);
	AUTO_FREE char *body = NULL;
	struct call call = { "GET", "/api/config", NULL, "admin:admin", NULL, false };
	ASSERT_EQ(world_call(&world, &call, &body, NULL), 200);
	AUTO_JSON json_t *object = json_loads(body, 0, NULL);
	ASSERT_EQ(json_object_size(json_object_get(object, "targets")), CLIENTS);
	ASSERT_EQ(json_number(object, "epoch", 0), CLIENTS);
}
