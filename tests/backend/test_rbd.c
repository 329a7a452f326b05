/* RBD images as backends: requests, sizes, errors of a real cluster. */
#include "backend/rbd.h"
#include "ceph.h"
#include "fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define MIB  (1u << 20)
#define SIZE (64u * MIB)

TEST(what_was_written_is_read_back_across_objects)
{
	test_image("round", SIZE, TEST_FEATURES);
	AUTO(cluster_client) struct cluster_client *client = test_client();
	AUTO(backend) struct backend *backend = test_open(client, "round", NULL);
	ASSERT_EQ(backend_acquire(backend, NULL, NULL), 0);
	ASSERT_TRUE(test_reads_as(backend, 0, MIB, 0));
	test_fill(backend, 4 * MIB - 513, MIB, 0x5a);
	ASSERT_TRUE(test_reads_as(backend, 4 * MIB - 513, MIB, 0x5a));
	ASSERT_TRUE(test_reads_as(backend, 4 * MIB - 600, 87, 0));
	test_fill(backend, SIZE - 512, 512, 0x11);
	ASSERT_TRUE(test_reads_as(backend, SIZE - 512, 512, 0x11));
	ASSERT_EQ(test_io(backend, IO_FLUSH, 0, 0, 0, NULL), 0);
}

TEST(a_request_gathers_and_scatters_its_pieces)
{
	enum { COUNT = 1500, LEN = 512 };
	static uint8_t out[COUNT * LEN], in[COUNT * LEN];
	static struct iovec iov[COUNT];
	test_image("pieces", SIZE, TEST_FEATURES);
	AUTO(cluster_client) struct cluster_client *client = test_client();
	AUTO(backend) struct backend *backend = test_open(client, "pieces", NULL);
	ASSERT_EQ(backend_acquire(backend, NULL, NULL), 0);
	struct test_io test;
	for (size_t i = 0; i < sizeof out; i++)
		out[i] = (uint8_t)(i * 31 >> 3);
	for (size_t i = 0; i < COUNT; i++)
		iov[i] = (struct iovec){ out + i * LEN, LEN };
	test_iov_start(&test, backend, IO_WRITE, 4 * MIB - 4096, iov, COUNT);
	ASSERT_EQ(test_io_wait(&test), 0);
	for (size_t i = 0; i < COUNT; i++)
		iov[i] = (struct iovec){ in + i * LEN, LEN };
	test_iov_start(&test, backend, IO_READ, 4 * MIB - 4096, iov, COUNT);
	ASSERT_EQ(test_io_wait(&test), 0);
	ASSERT_MEM_EQ(in, out, sizeof out);
}

TEST(zeroes_are_exact_and_a_discard_drops_whole_granules)
{
	static const struct {
		enum io_op op;
		unsigned flags;
		uint64_t offset, length, zero_from, zero_to;
	} rows[] = {
		{ IO_WRITE_ZEROES, 0, 512, 1024, 512, 1536 },
		{ IO_WRITE_ZEROES, IO_NO_UNMAP, 65535, 131074, 65535, 196609 },
		{ IO_WRITE_ZEROES, IO_FUA, 65536, 65536, 65536, 131072 },
		{ IO_DISCARD, 0, 4096, 131072, 65536, 131072 },
		{ IO_DISCARD, 0, 0, 512, 0, 0 },
	};
	test_image("zeroes", SIZE, TEST_FEATURES);
	AUTO(cluster_client) struct cluster_client *client = test_client();
	AUTO(backend) struct backend *backend = test_open(client, "zeroes", NULL);
	ASSERT_EQ(backend_acquire(backend, NULL, NULL), 0);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		TEST_ROW("%zu", i);
		test_fill(backend, 0, MIB, 0xff);
		ASSERT_EQ(test_io(backend, rows[i].op, rows[i].flags, rows[i].offset,
		                  rows[i].length, NULL),
		          0);
		uint64_t from = rows[i].zero_from, to = rows[i].zero_to;
		ASSERT_TRUE(from == to || test_reads_as(backend, from, to - from, 0));
		ASSERT_TRUE(from == 0 || test_reads_as(backend, 0, from, 0xff));
		ASSERT_TRUE(test_reads_as(backend, to, MIB - to, 0xff));
	}
}

static bool is_known(struct backend *backend, unsigned object)
{
	return rbd_objects_is_there(disk_of(backend), object);
}

/* Of those the cluster need not be asked beside librbd, which asks it itself. */
TEST(an_object_is_known_to_exist_until_something_may_have_removed_it)
{
	static const enum io_op removals[] = { IO_DISCARD, IO_WRITE_ZEROES };
	test_image("known", SIZE, TEST_FEATURES);
	AUTO(cluster_client) struct cluster_client *client = test_client();
	AUTO(backend) struct backend *backend = test_open(client, "known", NULL);
	ASSERT_EQ(backend_acquire(backend, NULL, NULL), 0);
	for (size_t i = 0; i < ARRAY_LEN(removals); i++) {
		TEST_ROW("%d", removals[i]);
		ASSERT_TRUE(test_reads_as(backend, 4 * MIB - 4096, 8192, 0));
		ASSERT_FALSE(is_known(backend, 0) || is_known(backend, 1));
		test_fill(backend, 4 * MIB - 4096, 8192, 7);
		ASSERT_FALSE(is_known(backend, 0));
		ASSERT_TRUE(test_reads_as(backend, 4 * MIB - 4096, 8192, 7));
		ASSERT_TRUE(is_known(backend, 0) && is_known(backend, 1));
		ASSERT_FALSE(is_known(backend, 2));
		ASSERT_TRUE(test_reads_as(backend, 4 * MIB - 4096, 8192, 7));
		ASSERT_EQ(test_io(backend, removals[i], 0, 4 * MIB, 4 * MIB, NULL), 0);
		ASSERT_TRUE(is_known(backend, 0));
		ASSERT_FALSE(is_known(backend, 1));
		ASSERT_TRUE(test_reads_as(backend, 4 * MIB, 4096, 0));
		ASSERT_EQ(test_io(backend, removals[i], 0, 0, 4 * MIB, NULL), 0);
	}
	test_fill(backend, 0, 4096, 7);
	ASSERT_TRUE(test_reads_as(backend, 0, 4096, 7) && is_known(backend, 0));
	ASSERT_EQ(backend_release(backend, NULL), 0);
	ASSERT_EQ(backend_acquire(backend, NULL, NULL), 0);
	ASSERT_FALSE(is_known(backend, 0));
	ASSERT_TRUE(test_reads_as(backend, 0, 4096, 7) && is_known(backend, 0));
}

TEST(images_of_every_layout_are_read_and_cleared)
{
	static const char *const layouts[] = { "", "--stripe-unit 64K --stripe-count 4",
		                               "--data-pool data", "--object-size 64K" };
	ASSERT_EQ(system("exec >&2; export CEPH_ARGS=; ceph --name client.admin osd pool create "
	                 "data 4 && "
	                 "rbd --name client.admin pool init data && "
	                 "ceph --name client.admin auth caps client.gw mon 'profile rbd' osd "
	                 "'profile rbd'"),
	          0);
	AUTO(cluster_client) struct cluster_client *client = test_client();
	for (size_t i = 0; i < ARRAY_LEN(layouts); i++) {
		char name[32], command[256];
		TEST_ROW("%s", layouts[i]);
		(void)snprintf(name, sizeof name, "layout_%zu", i);
		(void)snprintf(command, sizeof command,
		               "env -u CEPH_ARGS rbd --name client.admin create -s 64M %s %s >&2",
		               layouts[i], name);
		ASSERT_EQ(system(command), 0);
		AUTO(backend) struct backend *backend = test_open(client, name, NULL);
		ASSERT_EQ(backend_acquire(backend, NULL, NULL), 0);
		ASSERT_TRUE(test_reads_as(backend, 0, MIB, 0));
		test_fill(backend, 4 * MIB - 1024, MIB, 9);
		ASSERT_TRUE(test_reads_as(backend, 4 * MIB - 1024, MIB, 9));
		ASSERT_EQ(test_io(backend, IO_WRITE_ZEROES, 0, 4 * MIB, 2 * MIB, NULL), 0);
		ASSERT_TRUE(test_reads_as(backend, 4 * MIB, 2 * MIB, 0));
		ASSERT_TRUE(test_reads_as(backend, 4 * MIB - 1024, 1024, 9));
		ASSERT_EQ(test_io(backend, IO_DISCARD, 0, 0, SIZE, NULL), 0);
		ASSERT_TRUE(test_reads_as(backend, 0, 8 * MIB, 0));
	}
}

/* What stands in the parent shows until it is written over, and never again after that. */
TEST(a_clone_hides_of_its_parent_what_was_cleared)
{
	test_image("parent", SIZE, TEST_FEATURES);
	AUTO(cluster_client) struct cluster_client *client = test_client();
	struct backend *parent = test_open(client, "parent", NULL);
	ASSERT_EQ(backend_acquire(parent, NULL, NULL), 0);
	test_fill(parent, 0, 24 * MIB, 5);
	ASSERT_EQ(backend_release(parent, NULL), 0);
	backend_free(parent);
	ASSERT_EQ(system("exec >&2; export CEPH_ARGS=; r='rbd --name client.admin'; $r snap create "
	                 "parent@s && $r snap protect parent@s && $r clone parent@s child"),
	          0);
	AUTO(backend) struct backend *backend = test_open(client, "child", NULL);
	ASSERT_EQ(backend_acquire(backend, NULL, NULL), 0);
	ASSERT_TRUE(test_reads_as(backend, 4 * MIB - 4096, 8192, 5));
	ASSERT_FALSE(is_known(backend, 0));
	test_fill(backend, 4 * MIB + 512, 512, 6);
	ASSERT_TRUE(test_reads_as(backend, 4 * MIB, 512, 5));
	ASSERT_TRUE(test_reads_as(backend, 4 * MIB + 512, 512, 6));
	ASSERT_TRUE(test_reads_as(backend, 4 * MIB + 1024, MIB, 5));
	ASSERT_EQ(test_io(backend, IO_WRITE_ZEROES, 0, 8 * MIB + 512, 6 * MIB, NULL), 0);
	ASSERT_TRUE(test_reads_as(backend, 8 * MIB, 512, 5));
	ASSERT_TRUE(test_reads_as(backend, 8 * MIB + 512, 6 * MIB, 0));
	ASSERT_TRUE(test_reads_as(backend, 14 * MIB + 512, MIB, 5));
	ASSERT_EQ(test_io(backend, IO_DISCARD, 0, 4 * MIB, 20 * MIB, NULL), 0);
	ASSERT_TRUE(test_reads_as(backend, 4 * MIB, 20 * MIB, 0));
	ASSERT_TRUE(test_reads_as(backend, 0, 4 * MIB, 5));
	ASSERT_EQ(test_io(backend, IO_WRITE_ZEROES, 0, 0, 4 * MIB, NULL), 0);
	ASSERT_TRUE(test_reads_as(backend, 0, 24 * MIB, 0));
	ASSERT_EQ(system("exec >&2; export CEPH_ARGS=; rbd --name client.admin flatten child"), 0);
	ASSERT_TRUE(test_reads_as(backend, 0, 24 * MIB, 0));
	test_fill(backend, 0, 4096, 7);
	ASSERT_TRUE(test_reads_as(backend, 0, 4096, 7));
}

TEST(the_layers_above_learn_the_limits)
{
	test_image("limits", SIZE, TEST_FEATURES);
	AUTO(cluster_client) struct cluster_client *client = test_client();
	AUTO(backend) struct backend *backend = test_open(client, "limits", NULL);
	struct backend_info info;
	backend_get_info(backend, &info);
	ASSERT_EQ(info.size_bytes, SIZE);
	ASSERT_EQ(info.optimal_io, 4 * MIB);
	ASSERT_EQ(info.discard_granularity, 65536);
	ASSERT_FALSE(info.write_cache);
	ASSERT_FALSE(info.read_only);
}

TEST(the_header_answers_as_long_as_it_is_there_owner_or_not)
{
	test_image("reached", SIZE, TEST_FEATURES);
	AUTO(cluster_client) struct cluster_client *client = test_client();
	AUTO(backend) struct backend *owner = test_open(client, "reached", NULL);
	ASSERT_EQ(backend_acquire(owner, NULL, NULL), 0);
	AUTO(cluster_client) struct cluster_client *other = test_client();
	AUTO(backend) struct backend *backend = test_open(other, "reached", NULL);
	struct test_io test;
	struct backend *const both[] = { owner, backend };
	for (size_t i = 0; i < ARRAY_LEN(both); i++) {
		test_reach_start(&test, both[i]);
		ASSERT_EQ(test_io_wait(&test), 0);
	}
}

static void act_elsewhere(const char *image, int (*act)(rbd_image_t image, uint64_t argument),
                          uint64_t argument)
{
	AUTO(cluster_client) struct cluster_client *client = test_client();
	void *pool;
	rbd_image_t handle;
	ASSERT_EQ(cluster_pool_open(client, "rbd", NULL, &pool, NULL), 0);
	ASSERT_EQ(rbd_open(pool, image, &handle, NULL), 0);
	ASSERT_EQ(act(handle, argument), 0);
	ASSERT_EQ(rbd_close(handle), 0);
	cluster_pool_close(pool);
}

static int make_snapshot(rbd_image_t image, uint64_t unused)
{
	return rbd_snap_create(image, "before");
}

static int check_snapshot(rbd_image_t image, uint64_t value)
{
	char bytes[4096];
	int r = rbd_snap_set(image, "before");
	if (r < 0 || rbd_read(image, 0, sizeof bytes, bytes) != sizeof bytes)
		return -EIO;
	for (size_t i = 0; i < sizeof bytes; i++) {
		if (bytes[i] != (char)value)
			return -EILSEQ;
	}
	return 0;
}

/* [H25] Who makes it has not the lock: librbd asks its owner, who does it. */
TEST(a_snapshot_by_another_client_has_what_was_written_and_the_lock_stays)
{
	test_image("snapped", SIZE, TEST_FEATURES);
	AUTO(cluster_client) struct cluster_client *client = test_client();
	struct test_listener listener = { 0 };
	AUTO(backend) struct backend *backend = test_open(client, "snapped", &listener);
	ASSERT_EQ(backend_acquire(backend, NULL, NULL), 0);
	test_fill(backend, 0, 4096, 1);
	act_elsewhere("snapped", make_snapshot, 0);
	int is_owner = 0;
	ASSERT_EQ(rbd_is_exclusive_lock_owner(disk_of(backend)->image, &is_owner), 0);
	ASSERT_TRUE(is_owner);
	test_fill(backend, 0, 4096, 2);
	ASSERT_TRUE(test_reads_as(backend, 0, 4096, 2));
	act_elsewhere("snapped", check_snapshot, 1);
	ASSERT_EQ(atomic_load(&listener.released) + atomic_load(&listener.lost), 0);
}

/* [H26] By the owner of the lock; which objects exist is asked anew. */
TEST(a_rollback_brings_data_and_size_of_the_snapshot_back_and_the_lock_stays)
{
	test_image("rolled", SIZE, TEST_FEATURES);
	AUTO(cluster_client) struct cluster_client *client = test_client();
	struct test_listener listener = { 0 };
	AUTO(backend) struct backend *backend = test_open(client, "rolled", &listener);
	struct backend_info info;
	struct error err = { 0 };
	ASSERT_EQ(backend_roll_back(backend, "before", &err), -EROFS); /* not its owner */
	ASSERT_EQ(backend_acquire(backend, NULL, NULL), 0);
	ASSERT_EQ(backend_roll_back(backend, "before", &err), -ENOENT);
	test_fill(backend, 0, 4096, 1);
	act_elsewhere("rolled", make_snapshot, 0);
	act_elsewhere("rolled", rbd_resize, 2 * SIZE);
	ASSERT_EQ(backend_refresh(backend, NULL), 0);
	test_fill(backend, 0, 4096, 2);
	test_fill(backend, 8 * MIB, 4096, 3);
	test_fill(backend, SIZE, 4096, 4);
	ASSERT_TRUE(test_reads_as(backend, 8 * MIB, 4096, 3) && is_known(backend, 2));
	for (unsigned times = 0; times < 2; times++) { /* the next owner may do it again */
		if (backend_roll_back(backend, "before", &err) < 0)
			fail_msg("%s", err.text);
		ASSERT_FALSE(is_known(backend, 0) || is_known(backend, 2));
		ASSERT_TRUE(test_reads_as(backend, 0, 4096, 1));
		ASSERT_TRUE(test_reads_as(backend, 8 * MIB, 4096, 0));
		backend_get_info(backend, &info);
		ASSERT_EQ(info.size_bytes, SIZE);
	}
	test_fill(backend, 0, 4096, 5); /* it has the lock yet */
	ASSERT_EQ(atomic_load(&listener.released) + atomic_load(&listener.lost), 0);
}

TEST(a_resize_by_another_client_is_told_and_the_lock_stays)
{
	test_image("resize", SIZE, TEST_FEATURES);
	AUTO(cluster_client) struct cluster_client *client = test_client();
	struct test_listener listener = { 0 };
	AUTO(backend) struct backend *backend = test_open(client, "resize", &listener);
	ASSERT_EQ(backend_acquire(backend, NULL, NULL), 0);
	ASSERT_EQ(test_io(backend, IO_DISCARD, 0, SIZE, 1, NULL), -ERANGE);
	unsigned before = atomic_load(&listener.resized);
	act_elsewhere("resize", rbd_resize, 2 * SIZE);
	test_wait_for(&listener.resized, before + 1);
	ASSERT_EQ(backend_refresh(backend, NULL), 0);
	struct backend_info info;
	backend_get_info(backend, &info);
	ASSERT_EQ(info.size_bytes, 2 * SIZE);
	test_fill(backend, 2 * SIZE - 4096, 4096, 3);

	/* A shrink that this side has not looked at yet. */
	act_elsewhere("resize", rbd_resize, SIZE);
	char bytes[4096];
	ASSERT_TRUE(test_io(backend, IO_READ, 0, SIZE - 512, 4096, bytes) < 0);
	ASSERT_EQ(backend_refresh(backend, NULL), 0);
	ASSERT_EQ(test_io(backend, IO_READ, 0, SIZE, 512, bytes), -ERANGE);
	ASSERT_EQ(atomic_load(&listener.lost), 0);
}

TEST(what_an_image_has_grown_by_is_known_to_exist_as_what_it_had)
{
	test_image("grown", SIZE, TEST_FEATURES);
	AUTO(cluster_client) struct cluster_client *client = test_client();
	struct test_listener listener = { 0 };
	AUTO(backend) struct backend *backend = test_open(client, "grown", &listener);
	ASSERT_EQ(backend_acquire(backend, NULL, NULL), 0);
	unsigned before = atomic_load(&listener.resized);
	act_elsewhere("grown", rbd_resize, 2 * SIZE);
	test_wait_for(&listener.resized, before + 1);
	ASSERT_EQ(backend_refresh(backend, NULL), 0);
	test_fill(backend, SIZE, 4096, 5);
	for (unsigned i = 0; i < 100 && !is_known(backend, SIZE / (4 * MIB)); i++)
		ASSERT_TRUE(test_reads_as(backend, SIZE, 4096, 5)); /* it may be told of more */
	ASSERT_TRUE(is_known(backend, SIZE / (4 * MIB)));
	rbd_objects_forget(disk_of(backend));
	ASSERT_FALSE(is_known(backend, SIZE / (4 * MIB)));
}

TEST(a_full_cluster_refuses_new_data_at_once_and_serves_the_rest)
{
	test_image("full", SIZE, TEST_FEATURES);
	AUTO(cluster_client) struct cluster_client *client = test_client();
	AUTO(backend) struct backend *backend = test_open(client, "full", NULL);
	ASSERT_EQ(backend_acquire(backend, NULL, NULL), 0);
	test_fill(backend, 0, MIB, 1);
	test_rig("full", "on");
	static char bytes[65536];
	int new_data = test_io(backend, IO_WRITE, 0, 32 * MIB, sizeof bytes, bytes);
	int old_data = test_io(backend, IO_READ, 0, 0, sizeof bytes, bytes);
	int discard = test_io(backend, IO_DISCARD, 0, 0, 4 * MIB, NULL);
	AUTO(backend) struct backend *second = test_open(client, "full", NULL);
	test_rig("full", "off");
	ASSERT_EQ(new_data, -ENOSPC);
	ASSERT_EQ(old_data, 0);
	ASSERT_EQ(discard, 0);
	test_fill(backend, 32 * MIB, sizeof bytes, 2);
}

TEST(a_read_only_disk_reads_and_refuses_the_rest)
{
	test_image("readonly", SIZE, TEST_FEATURES);
	AUTO(cluster_client) struct cluster_client *client = test_client();
	struct backend_config config = { .kind = "rbd",
		                         .name = "rbd/readonly",
		                         .cluster = client,
		                         .pool = "rbd",
		                         .image = "readonly",
		                         .read_only = true };
	AUTO(backend) struct backend *backend = NULL;
	ASSERT_EQ(backend_open(&config, &backend, NULL), 0);
	ASSERT_EQ(backend_acquire(backend, NULL, NULL), 0);
	ASSERT_TRUE(test_reads_as(backend, 0, 512, 0));
	char byte = 0;
	ASSERT_EQ(test_io(backend, IO_WRITE, 0, 0, 1, &byte), -EROFS);
	ASSERT_EQ(test_io(backend, IO_FLUSH, 0, 0, 0, NULL), 0);
}

TEST(what_cannot_be_opened_says_why)
{
	AUTO(cluster_client) struct cluster_client *client = test_client();
	struct backend_config config = { .kind = "rbd",
		                         .name = "rbd/absent",
		                         .cluster = client,
		                         .pool = "rbd",
		                         .image = "absent" };
	struct backend *backend = NULL;
	struct error err = { 0 };
	ASSERT_EQ(backend_open(&config, &backend, &err), -ENOENT);
	ASSERT_STR_EQ(err.text, "rbd/absent: there is no such image");
	config.pool = "nopool";
	ASSERT_EQ(backend_open(&config, &backend, &err), -ENOENT);
	ASSERT_STR_EQ(err.text, "'nopool' pool does not exist!");
	ASSERT_NULL(backend);
}

static void refuse_cache(const char *image_name, const char *option, const char *value)
{
	test_image(image_name, SIZE, TEST_FEATURES);
	AUTO(cluster_client) struct cluster_client *client = test_client();
	void *pool;
	rbd_image_t image;
	char name[64], key[64], remedy[128];
	(void)snprintf(name, sizeof name, "rbd/%s", image_name);
	(void)snprintf(key, sizeof key, "conf_%s", option);
	(void)snprintf(remedy, sizeof remedy, "rbd config image remove %s %s", name, option);
	ASSERT_EQ(cluster_pool_open(client, "rbd", NULL, &pool, NULL), 0);
	ASSERT_EQ(rbd_open(pool, image_name, &image, NULL), 0);
	ASSERT_EQ(rbd_metadata_set(image, key, value), 0);
	ASSERT_EQ(rbd_close(image), 0);
	cluster_pool_close(pool);
	struct backend_config config = {
		.kind = "rbd", .name = name, .cluster = client, .pool = "rbd", .image = image_name
	};
	struct backend *backend = NULL;
	struct error err = { 0 };
	ASSERT_EQ(backend_open(&config, &backend, &err), -EINVAL);
	ASSERT_NOT_NULL(strstr(err.text, remedy));
}

TEST(a_cache_switched_on_for_one_image_is_refused)
{
	refuse_cache("cached", "rbd_cache", "true");
	refuse_cache("cached_on_disk", "rbd_persistent_cache_mode", "ssd");
}
