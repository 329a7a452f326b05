/* See ceph.h. */
#include "ceph.h"
#include "base/reactor.h"

#include <poll.h>
#include <rbd/librbd.h>
#include <stdio.h>
#include <stdlib.h>

struct cluster_client *test_client(void)
{
	struct cluster_client_config config = { .client_name = "client.gw", .data = true };
	struct cluster_client *client = NULL;
	struct error err = { 0 };
	if (cluster_client_connect(&config, &client, &err) < 0)
		fail_msg("%s", err.text);
	return client;
}

void test_image(const char *name, uint64_t size_bytes, uint64_t features)
{
	AUTO(cluster_client) struct cluster_client *client = test_client();
	void *pool;
	int order = 22;
	ASSERT_EQ(cluster_pool_open(client, "rbd", NULL, &pool, NULL), 0);
	ASSERT_EQ(rbd_create2(pool, name, size_bytes, features, &order), 0);
	cluster_pool_close(pool);
}

static void count(struct backend_listener *listener, enum backend_event event)
{
	struct test_listener *test = container_of(listener, struct test_listener, listener);
	atomic_uint *const counters[] = {
		[BACKEND_RESIZED] = &test->resized,
		[BACKEND_LOST] = &test->lost,
		[BACKEND_RELEASED] = &test->released,
	};
	atomic_fetch_add(counters[event], 1);
}

struct backend *test_open(struct cluster_client *client, const char *image,
                          struct test_listener *listener)
{
	struct backend_config config = {
		.kind = "rbd", .name = image, .cluster = client, .pool = "rbd", .image = image
	};
	struct backend *backend = NULL;
	struct error err = { 0 };
	if (listener) {
		listener->listener.event = count;
		config.listener = &listener->listener;
	}
	if (backend_open(&config, &backend, &err) < 0)
		fail_msg("%s", err.text);
	return backend;
}

void test_wait_for(atomic_uint *counter, unsigned value)
{
	uint64_t deadline_ms = clock_monotonic_ms() + 60000;
	while (atomic_load(counter) < value) {
		ASSERT_TRUE(clock_monotonic_ms() < deadline_ms);
		(void)poll(NULL, 0, 5);
	}
}

void test_rig(const char *verb, const char *arguments)
{
	char command[1024];
	(void)snprintf(command, sizeof command, "env -u LD_PRELOAD '%s' %s '%s' %s >&2",
	               getenv("CEPH_RIG"), verb, getenv("CEPH_RIG_DIR"), arguments);
	ASSERT_EQ(system(command), 0);
}
