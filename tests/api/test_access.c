/* Who may ask, from addresses that a test cannot come from. */
#include "api/access.h"
#include "api_world.h"

#include <arpa/inet.h>
#include <netinet/in.h>

/* base64 of admin:admin */
#define RIGHT "Basic YWRtaW46YWRtaW4="
#define WRONG "Basic YWRtaW46bm9wZQ=="

static void make_peer(const char *text, struct sockaddr_in6 *ret_peer)
{
	*ret_peer = (struct sockaddr_in6){ .sin6_family = AF_INET6 };
	ASSERT_EQ(inet_pton(AF_INET6, text, &ret_peer->sin6_addr), 1);
}

static const struct {
	const char *peer, *authorization;
	enum access access;
	int status; /* 0: let in */
	const char *message;
} rows[] = {
	{ "::ffff:127.0.0.1", RIGHT, ACCESS_FULL, 0, NULL },
	{ "::1", RIGHT, ACCESS_FULL, 0, NULL },
	{ "::ffff:192.0.2.10", RIGHT, ACCESS_FULL, 403, "API access not available to 192.0.2.10" },
	{ "2001:db8::1", RIGHT, ACCESS_FULL, 403, "API access not available to 2001:db8::1" },
	/* the address is looked at first */
	{ "::ffff:192.0.2.10", NULL, ACCESS_FULL, 403, "API access not available to 192.0.2.10" },
	{ "::ffff:198.51.100.9", RIGHT, ACCESS_FULL, 0, NULL }, /* trusted_ip_list */
	{ "::ffff:203.0.113.77", RIGHT, ACCESS_FULL, 0, NULL }, /* a network of it */
	{ "::ffff:203.0.112.77", RIGHT, ACCESS_FULL, 403,
	  "API access not available to 203.0.112.77" },
	{ "::ffff:198.18.0.2", RIGHT, ACCESS_FULL, 0, NULL }, /* a portal of a target */
	{ "fd00:10::2", RIGHT, ACCESS_FULL, 0, NULL },        /* so */
	{ "::ffff:198.18.0.9", RIGHT, ACCESS_FULL, 0, NULL }, /* a gateway's name is an address */
	{ "::ffff:198.51.100.9", NULL, ACCESS_FULL, 401, "Missing credentials" },
	{ "::ffff:198.51.100.9", WRONG, ACCESS_FULL, 401,
	  "username/password mismatch with the configuration file" },
	{ "::ffff:198.51.100.9", "Basic !!!", ACCESS_FULL, 401,
	  "username/password mismatch with the configuration file" },
	{ "::ffff:198.51.100.9", "Bearer x", ACCESS_FULL, 401,
	  "username/password mismatch with the configuration file" },
	{ "::ffff:192.0.2.10", RIGHT, ACCESS_PASSWORD, 0, NULL },
	{ "::ffff:192.0.2.10", NULL, ACCESS_PASSWORD, 401, "Missing credentials" },
	{ "::ffff:192.0.2.10", NULL, ACCESS_OPEN, 0, NULL },
};

static const char object[] =
        "{\"version\":11,\"epoch\":1,\"created\":\"\",\"updated\":\"\",\"disks\":{},"
        "\"discovery_auth\":{},\"gateways\":{\"198.18.0.9\":{\"active_luns\":0}},"
        "\"targets\":{\"iqn.2003-01.com.x:y\":{\"ip_list\":[\"198.18.0.2\",\"fd00:10::2\"]}}}";

TEST(addresses_then_credentials_decide_in_this_order)
{
	AUTO_API_WORLD struct api_world world = { 0 };
	world_start(&world, "trusted_ip_list = 198.51.100.9,203.0.113.0/24", NULL);
	AUTO_FREE char *seed = NULL;
	struct store_version version;
	ASSERT_EQ(store_load(world.store, &seed, &version, NULL), 0);
	ASSERT_EQ(store_commit(world.store, object, 1, &version, NULL), 0);
	struct names *names = names_new();
	struct rest api = { .config = { .settings = world.settings,
		                        .gateway_name = "gw1.example.com",
		                        .store = world.store },
		            .names = names };
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct route route = { .path = "/api/x", .access = rows[i].access };
		struct request request = { .api = &api, .route = &route };
		struct sockaddr_in6 peer;
		make_peer(rows[i].peer, &peer);
		TEST_ROW("%s %s", rows[i].peer,
		         rows[i].authorization ? rows[i].authorization : "-");
		bool in = access_check(&request, (struct sockaddr *)&peer, rows[i].authorization);
		ASSERT_EQ(in, rows[i].status == 0);
		ASSERT_EQ(request.status, rows[i].status);
		if (rows[i].message)
			ASSERT_STR_EQ(json_text(request.body, "message", ""), rows[i].message);
		json_decref(request.body);
	}
	names_free(names);
}
