/* A connected client, and questions to the monitors. */
#include "cluster/client.h"
#include "cluster/command.h"
#include "cluster/status.h"
#include "test.h"

#include <errno.h>
#include <rados/librados.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct cluster_client *connected(const char *name, bool data)
{
	struct cluster_client_config config = { .client_name = name, .data = data };
	struct cluster_client *client = NULL;
	struct error err = { 0 };
	if (cluster_client_connect(&config, &client, &err) < 0)
		fail_msg("%s", err.text);
	return client;
}

static void expect_option(struct cluster_client *client, const char *name, const char *value)
{
	char text[64];
	TEST_ROW("%s", name);
	ASSERT_EQ(rados_conf_get(cluster_client_handle(client), name, text, sizeof text), 0);
	ASSERT_STR_EQ(text, value);
}

TEST(a_data_client_has_no_cache_and_no_time_limit)
{
	AUTO(cluster_client) struct cluster_client *client = connected("client.gw", true);
	expect_option(client, "rbd_cache", "false");
	expect_option(client, "rados_osd_op_timeout", "0");
	expect_option(client, "rbd_disable_zero_copy_writes", "true");
	expect_option(client, "objecter_inflight_ops", "8192");
	expect_option(client, "err_to_stderr", "false");
	ASSERT_NOT_NULL(strstr(cluster_client_address(client), ":0/"));
}

TEST(a_control_client_bounds_its_operations)
{
	AUTO(cluster_client) struct cluster_client *client = connected("client.gw", false);
	expect_option(client, "rados_osd_op_timeout", "30");
	expect_option(client, "rados_mon_op_timeout", "30");
}

TEST(nothing_is_kept_for_a_dump_unless_the_administrator_wants_it)
{
	char command[1024], path[256];
	(void)snprintf(path, sizeof path, "%s/ceph.conf", test_folder());
	(void)snprintf(command, sizeof command,
	               "cp \"$CEPH_CONF\" %s && printf '[client.gw]\\ndebug_rbd = 0/20\\n' >> %s",
	               path, path);
	ASSERT_EQ(system(command), 0);
	struct cluster_client_config config = { .conf_path = path, .client_name = "client.gw" };
	AUTO(cluster_client) struct cluster_client *client = NULL;
	ASSERT_EQ(cluster_client_connect(&config, &client, NULL), 0);
	expect_option(client, "debug_rbd", "0/20");
	expect_option(client, "debug_monc", "0/0");
	expect_option(client, "debug_auth", "1/1");
}

TEST(a_pool_that_is_not_there_is_named)
{
	AUTO(cluster_client) struct cluster_client *client = connected("client.gw", true);
	void *pool = NULL;
	struct error err = { 0 };
	ASSERT_EQ(cluster_pool_open(client, "nopool", NULL, &pool, &err), -ENOENT);
	ASSERT_STR_EQ(err.text, "'nopool' pool does not exist!");
	ASSERT_EQ(cluster_pool_open(client, "rbd", "some-namespace", &pool, &err), 0);
	cluster_pool_close(pool);
}

TEST(a_key_that_the_cluster_does_not_know_is_explained)
{
	char conf[256], keyring[256];
	(void)snprintf(keyring, sizeof keyring, "%s/wrong.keyring", test_folder());
	(void)snprintf(conf, sizeof conf, "%s/wrong.conf", test_folder());
	FILE *file = fopen(keyring, "w");
	ASSERT_NOT_NULL(file);
	(void)fputs("[client.gw]\n\tkey = AQBXPwRmAAAAABAAHZ0rrvcGJ0oF2mQ1mXQ7Gg==\n", file);
	ASSERT_EQ(fclose(file), 0);
	file = fopen(conf, "w");
	ASSERT_NOT_NULL(file);
	(void)fprintf(file, "[global]\nmon_host = %s\nkeyring = %s\n", getenv("CEPH_RIG_MON_HOST"),
	              keyring);
	ASSERT_EQ(fclose(file), 0);
	struct cluster_client_config config = { .conf_path = conf, .client_name = "client.gw" };
	AUTO(cluster_client) struct cluster_client *client = NULL;
	struct error err = { 0 };
	int r = cluster_client_connect(&config, &client, &err);
	ASSERT_EQ(r, -EACCES);
	ASSERT_NOT_NULL(strstr(err.text, "Ceph refuses the key of client.gw"));
}

TEST(a_config_key_is_read_or_missed)
{
	AUTO(cluster_client) struct cluster_client *admin = connected("client.admin", false);
	AUTO_FREE char *text = NULL;
	struct error err = { 0 };
	ASSERT_EQ(cluster_config_key(admin, "rbdgate/no\"such", &text, &err), -ENOENT);
	ASSERT_NULL(text);
	ASSERT_EQ(system("env -u CEPH_ARGS ceph --name client.admin config-key set rbdgate/test "
	                 "hello >&2"),
	          0);
	ASSERT_EQ(cluster_config_key(admin, "rbdgate/test", &text, &err), 0);
	ASSERT_STR_EQ(text, "hello");
}

TEST(a_pool_is_solid_state_if_its_rule_asks_for_such_devices)
{
	AUTO(cluster_client) struct cluster_client *client = connected("client.gw", true);
	bool solid_state = true;
	ASSERT_EQ(cluster_pool_solid_state(client, "rbd", &solid_state, NULL), 0);
	ASSERT_FALSE(solid_state);
	ASSERT_EQ(system("for c in 'osd crush rm-device-class 0' "
	                 "'osd crush set-device-class ssd 0' "
	                 "'osd crush rule create-replicated fast default osd ssd' "
	                 "'osd pool set rbd crush_rule fast'; do "
	                 "env -u CEPH_ARGS ceph --name client.admin $c >&2 || exit 1; done"),
	          0);
	ASSERT_EQ(cluster_pool_solid_state(client, "rbd", &solid_state, NULL), 0);
	ASSERT_TRUE(solid_state);
	ASSERT_EQ(cluster_pool_solid_state(client, "nopool", &solid_state, NULL), -ENOENT);
}

TEST(a_fenced_client_is_refused_everywhere)
{
	AUTO(cluster_client) struct cluster_client *victim = connected("client.gw", true);
	AUTO(cluster_client) struct cluster_client *fencer = connected("client.gw", false);
	void *pool = NULL;
	ASSERT_EQ(cluster_pool_open(victim, "rbd", NULL, &pool, NULL), 0);
	ASSERT_EQ(rados_write_full(pool, "object", "a", 1), 0);
	ASSERT_EQ(cluster_fence(fencer, cluster_client_address(victim), 600, NULL), 0);
	int r = 0;
	for (int i = 0; i < 1000 && r == 0; i++) /* until the OSD has the map */
		r = rados_write_full(pool, "object", "b", 1);
	ASSERT_EQ(r, -ESHUTDOWN);
	cluster_pool_close(pool);
}

TEST(fencing_what_is_no_address_says_so)
{
	AUTO(cluster_client) struct cluster_client *client = connected("client.gw", false);
	struct error err = { 0 };
	ASSERT_TRUE(cluster_fence(client, "nonsense", 60, &err) < 0);
	ASSERT_NOT_NULL(strstr(err.text, "fence nonsense"));
}

TEST(a_client_with_the_rbd_profile_may_see_health_and_pools)
{
	AUTO(cluster_client) struct cluster_client *client = connected("client.gw", false);
	json_t *cluster_found = NULL, *pools_found = NULL;
	struct error err = { 0 };
	if (cluster_status(client, &cluster_found, &pools_found, &err) < 0)
		fail_msg("%s", err.text);
	AUTO_JSON json_t *cluster = cluster_found;
	AUTO_JSON json_t *pools = pools_found;
	const json_t *pool = json_object_get(pools, "rbd");
	ASSERT_TRUE(text_starts(json_text(cluster, "health", ""), "HEALTH_"));
	ASSERT_STR_EQ(json_text(cluster, "client", ""), "client.gw");
	ASSERT_TRUE(*json_text(cluster, "version", ""));
	ASSERT_TRUE(json_number(cluster, "mons", 0) >= 1);
	ASSERT_TRUE(json_number(cluster, "osds_up", 0) >= 1);
	ASSERT_STR_EQ(json_text(pool, "type", ""), "replicated");
	ASSERT_TRUE(text_starts(json_text(pool, "desc", ""), "x")); /* sizes come from a manager */
}
