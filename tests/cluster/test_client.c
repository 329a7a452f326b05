/* Connecting to clusters that are not there; what needs one is in test_cluster.c. */
#include "cluster/client.h"
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/reactor.h"

static const char *write_file(const char *name, const char *text)
{
	static char path[256];
	(void)snprintf(path, sizeof path, "%s/%s", test_folder(), name);
	FILE *file = fopen(path, "w");
	ASSERT_NOT_NULL(file);
	ASSERT_TRUE(fputs(text, file) >= 0);
	ASSERT_EQ(fclose(file), 0);
	return path;
}

static int connect_with(const char *conf, const char *name, struct error *err)
{
	struct cluster_client_config config = {
		.conf_path = conf, .client_name = name, .data = true, .connect_timeout_s = 1
	};
	AUTO(cluster_client) struct cluster_client *client = NULL;
	return cluster_client_connect(&config, &client, err);
}

TEST(a_missing_configuration_is_named)
{
	struct error err = { 0 };
	ASSERT_EQ(connect_with("/nonexistent/ceph.conf", "client.admin", &err), -ENOENT);
	ASSERT_STR_EQ(err.text, "cannot read the Ceph configuration /nonexistent/ceph.conf: "
	                        "No such file or directory");
}

TEST(a_name_without_its_type_is_explained)
{
	struct error err = { 0 };
	ASSERT_EQ(connect_with(NULL, "admin", &err), -EINVAL);
	ASSERT_NOT_NULL(strstr(err.text, "'admin' is no name of a Ceph client, like client.admin"));
}

TEST(a_missing_keyring_says_where_it_was_looked_for)
{
	const char *conf = write_file("nokey.conf", "[global]\nmon_host = 127.0.0.1:1\n"
	                                            "keyring = /nonexistent/a,/nonexistent/b\n");
	struct error err = { 0 };
	ASSERT_EQ(connect_with(conf, "client.gw", &err), -ENOENT);
	ASSERT_STR_EQ(err.text, "there is no keyring for client.gw: looked for "
	                        "/nonexistent/a,/nonexistent/b");
}

TEST(a_cluster_that_does_not_answer_is_given_up_in_time)
{
	const char *conf =
	        write_file("dead.conf", "[global]\nmon_host = 127.0.0.1:1\n"
	                                "key = AQBXPwRmAAAAABAAHZ0rrvcGJ0oF2mQ1mXQ7Gg==\n");
	struct error err = { 0 };
	uint64_t start_ms = clock_monotonic_ms();
	ASSERT_EQ(connect_with(conf, "client.gw", &err), -ETIMEDOUT);
	ASSERT_STR_EQ(err.text, "no Ceph monitor answers (127.0.0.1:1): check the network and "
	                        "mon_host");
	ASSERT_TRUE(clock_monotonic_ms() - start_ms < 20000);
}

TEST(freeing_no_client_is_fine)
{
	cluster_client_free(NULL);
	cluster_pool_close(NULL);
}
