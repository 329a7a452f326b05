/* Who may write: two clients, clients that died, clients that were fenced. */
#include "backend/rbd.h"
#include "base/bytes.h"
#include "ceph.h"
#include "fixture.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SIZE (64u << 20)

/* ---- the order of what keeps a writer of the past out [H1] ----
 * The program's own functions come before those of the libraries, and call them. */

static char order[128];
static rados_t map_of; /* the client whose map is noted */

static void note(const char *what)
{
	size_t len = strlen(order);
	(void)snprintf(order + len, sizeof order - len, "%s ", what);
}

static void watch_order(struct cluster_client *client)
{
	map_of = cluster_client_handle(client);
	order[0] = '\0';
}

int rados_wait_for_latest_osdmap(rados_t cluster)
{
	int (*real)(rados_t) = dlsym(RTLD_NEXT, "rados_wait_for_latest_osdmap");
	int r = real(cluster);
	if (r == 0 && cluster == map_of)
		note("map");
	return r;
}

int rados_break_lock(rados_ioctx_t pool, const char *object, const char *name, const char *client,
                     const char *cookie)
{
	int (*real)(rados_ioctx_t, const char *, const char *, const char *, const char *) =
	        dlsym(RTLD_NEXT, "rados_break_lock");
	note(strncmp(object, "rbd_object_map.", 15) == 0 ? "free-object-map" : "break");
	return real(pool, object, name, client, cookie);
}

int rbd_lock_break(rbd_image_t image, rbd_lock_mode_t mode, const char *owner)
{
	int (*real)(rbd_image_t, rbd_lock_mode_t, const char *) =
	        dlsym(RTLD_NEXT, "rbd_lock_break");
	note("break");
	return real(image, mode, owner);
}

ssize_t rados_list_lockers(rados_ioctx_t pool, const char *object, const char *name, int *exclusive,
                           char *tag, size_t *tag_len, char *clients, size_t *clients_len,
                           char *cookies, size_t *cookies_len, char *addresses,
                           size_t *addresses_len)
{
	ssize_t (*real)(rados_ioctx_t, const char *, const char *, int *, char *, size_t *, char *,
	                size_t *, char *, size_t *, char *, size_t *) =
	        dlsym(RTLD_NEXT, "rados_list_lockers");
	note("who");
	return real(pool, object, name, exclusive, tag, tag_len, clients, clients_len, cookies,
	            cookies_len, addresses, addresses_len);
}

int rbd_lock_acquire(rbd_image_t image, rbd_lock_mode_t mode)
{
	int (*real)(rbd_image_t, rbd_lock_mode_t) = dlsym(RTLD_NEXT, "rbd_lock_acquire");
	note("acquire");
	return real(image, mode);
}

static bool disowns; /* librbd says that it has no lock to give back */

int rbd_lock_release(rbd_image_t image)
{
	int (*real)(rbd_image_t) = dlsym(RTLD_NEXT, "rbd_lock_release");
	return disowns ? -EINVAL : real(image);
}

TEST(without_the_lock_nothing_is_changed_and_nobody_loses_it)
{
	test_image("idle", SIZE, TEST_FEATURES);
	AUTO(cluster_client) struct cluster_client *client = test_client();
	AUTO(backend) struct backend *backend = test_open(client, "idle", NULL);
	char byte = 1;
	ASSERT_EQ(test_io(backend, IO_WRITE, 0, 0, 1, &byte), -EROFS);
	ASSERT_EQ(test_io(backend, IO_DISCARD, 0, 0, 65536, NULL), -EROFS);
	ASSERT_EQ(test_io(backend, IO_WRITE_ZEROES, 0, 0, 1, NULL), -EROFS);
	ASSERT_EQ(test_io(backend, IO_READ, 0, 0, 1, &byte), 0);
	ASSERT_EQ(test_io(backend, IO_FLUSH, 0, 0, 0, NULL), 0);
	ASSERT_EQ(backend_release(backend, NULL), 0);
}

TEST(a_live_owner_keeps_the_lock_until_he_gives_it_back)
{
	test_image("two", SIZE, TEST_FEATURES);
	AUTO(cluster_client) struct cluster_client *a = test_client();
	AUTO(cluster_client) struct cluster_client *b = test_client();
	AUTO(backend) struct backend *one = test_open(a, "two", NULL);
	AUTO(backend) struct backend *two = test_open(b, "two", NULL);
	ASSERT_EQ(backend_acquire(one, NULL, NULL), 0);
	ASSERT_EQ(backend_acquire(one, NULL, NULL), 0);
	struct error err = { 0 };
	ASSERT_EQ(backend_acquire(two, NULL, &err), -EBUSY);
	ASSERT_EQ(err.code, -EBUSY);
	ASSERT_NOT_NULL(strstr(err.text, cluster_client_address(a)));
	test_fill(one, 0, 4096, 1);
	ASSERT_TRUE(test_reads_as(two, 0, 4096, 1));

	ASSERT_EQ(backend_release(one, NULL), 0);
	ASSERT_EQ(backend_acquire(two, NULL, NULL), 0);
	char byte = 2;
	ASSERT_EQ(test_io(one, IO_WRITE, 0, 0, 1, &byte), -EROFS);
	test_fill(two, 0, 4096, 2);
	ASSERT_TRUE(test_reads_as(one, 0, 4096, 2));
}

TEST(who_has_the_lock_is_not_asked_again_if_nobody_had_it_just_now)
{
	static const struct backend_lock_policy policy = { .prepared = true };
	test_image("ahead", SIZE, TEST_FEATURES);
	AUTO(cluster_client) struct cluster_client *a = test_client();
	AUTO(cluster_client) struct cluster_client *b = test_client();
	AUTO(backend) struct backend *one = test_open(a, "ahead", NULL);
	AUTO(backend) struct backend *two = test_open(b, "ahead", NULL);
	for (unsigned round = 0; round < 2; round++) { /* never locked, and given back */
		watch_order(a);
		backend_prepare(one);
		ASSERT_EQ(backend_acquire(one, &policy, NULL), 0);
		ASSERT_STR_EQ(order, "acquire ");
		test_fill(one, 0, 4096, 1);
		ASSERT_EQ(backend_release(one, NULL), 0);
	}
	watch_order(a);
	backend_prepare(one);
	ASSERT_EQ(backend_acquire(one, NULL, NULL), 0); /* whoever prepared that */
	ASSERT_STR_EQ(order, "who acquire ");
	backend_prepare(two);
	watch_order(b);
	struct error err = { 0 };
	ASSERT_EQ(backend_acquire(two, &policy, &err), -EBUSY);
	ASSERT_NOT_NULL(strstr(err.text, cluster_client_address(a)));
	ASSERT_STR_EQ(order, "who ");
}

TEST(who_took_the_lock_since_it_was_asked_ahead_keeps_it)
{
	static const struct backend_lock_policy policy = { .prepared = true };
	test_image("late", SIZE, TEST_FEATURES);
	AUTO(cluster_client) struct cluster_client *a = test_client();
	AUTO(cluster_client) struct cluster_client *b = test_client();
	AUTO(backend) struct backend *one = test_open(a, "late", NULL);
	AUTO(backend) struct backend *two = test_open(b, "late", NULL);
	backend_prepare(two);
	rados_aio_wait_for_complete(disk_of(two)->look.answer);
	ASSERT_EQ(backend_acquire(one, NULL, NULL), 0);
	watch_order(b);
	struct error err = { 0 };
	ASSERT_EQ(backend_acquire(two, &policy, &err), -EBUSY);
	ASSERT_NOT_NULL(strstr(err.text, cluster_client_address(a)));
	ASSERT_STR_EQ(order, "acquire who ");
	test_fill(one, 0, 4096, 1);
	backend_prepare(two); /* and nobody takes it: what was asked goes with the image */
}

TEST(two_handles_of_one_client_cannot_both_write)
{
	test_image("same", SIZE, TEST_FEATURES);
	AUTO(cluster_client) struct cluster_client *client = test_client();
	AUTO(backend) struct backend *one = test_open(client, "same", NULL);
	AUTO(backend) struct backend *two = test_open(client, "same", NULL);
	ASSERT_EQ(backend_acquire(one, NULL, NULL), 0);
	struct error err = { 0 };
	ASSERT_EQ(backend_acquire(two, NULL, &err), -EBUSY);
	ASSERT_STR_EQ(err.text, "same is already open for writing in this process");
}

static size_t put_string(uint8_t *to, const char *text)
{
	put_le32(to, (uint32_t)strlen(text));
	memcpy(to + 4, text, strlen(text));
	return 4 + strlen(text);
}

/* As librbd takes it, for a handle that is not there: the OSD's class "lock", version 1. */
static void leave_lock(struct backend *backend, const char *cookie)
{
	uint8_t in[256] = { 1, 1 }, out[16];
	size_t len = 6;
	len += put_string(in + len, "rbd_lock");
	in[len++] = 1; /* exclusive */
	len += put_string(in + len, cookie);
	len += put_string(in + len, "internal");
	len += put_string(in + len, "");
	len += 8 + 1; /* for ever, no flags */
	put_le32(in + 2, (uint32_t)(len - 6));
	char header[RBD_OBJECT_MAX];
	rbd_disk_object(disk_of(backend), "rbd_header", header);
	ASSERT_EQ(rados_exec(disk_of(backend)->pool, header, "lock", "lock", (const char *)in, len,
	                     (char *)out, sizeof out),
	          0);
}

TEST(a_lock_that_a_closed_handle_of_ours_has_left_keeps_nobody_out)
{
	test_image("left", SIZE, TEST_FEATURES);
	AUTO(cluster_client) struct cluster_client *client = test_client();
	AUTO(backend) struct backend *backend = test_open(client, "left", NULL);
	leave_lock(backend, "auto 1");
	struct error err = { 0 };
	if (backend_acquire(backend, NULL, &err) < 0)
		fail_msg("%s", err.text);
	test_fill(backend, 0, 4096, 1);
	AUTO(cluster_client) struct cluster_client *other = test_client();
	AUTO(backend) struct backend *second = test_open(other, "left", NULL);
	ASSERT_EQ(backend_acquire(second, NULL, NULL), -EBUSY);
}

/* As `rbd lock rm`, without a fence. */
static void take_lock_away(struct backend *backend)
{
	char header[RBD_OBJECT_MAX], tag[64], client[64], cookie[128], address[128];
	size_t tag_len = sizeof tag, client_len = sizeof client, cookie_len = sizeof cookie,
	       address_len = sizeof address;
	int exclusive;
	rbd_disk_object(disk_of(backend), "rbd_header", header);
	rados_ioctx_t pool = disk_of(backend)->pool;
	ASSERT_EQ(rados_list_lockers(pool, header, "rbd_lock", &exclusive, tag, &tag_len, client,
	                             &client_len, cookie, &cookie_len, address, &address_len),
	          1);
	ASSERT_EQ(rados_break_lock(pool, header, "rbd_lock", client, cookie), 0);
}

TEST(a_lock_that_was_taken_away_can_be_given_back_and_taken_again)
{
	test_image("away", SIZE, TEST_FEATURES);
	AUTO(cluster_client) struct cluster_client *a = test_client();
	AUTO(cluster_client) struct cluster_client *b = test_client();
	AUTO(backend) struct backend *one = test_open(a, "away", NULL);
	AUTO(backend) struct backend *two = test_open(b, "away", NULL);
	int owner = 0;
	ASSERT_EQ(backend_acquire(one, NULL, NULL), 0);
	take_lock_away(one);
	ASSERT_EQ(backend_release(one, NULL), 0);
	ASSERT_EQ(backend_acquire(one, NULL, NULL), 0);
	ASSERT_EQ(rbd_is_exclusive_lock_owner(disk_of(one)->image, &owner), 0);
	ASSERT_TRUE(owner);
	ASSERT_EQ(backend_acquire(two, NULL, NULL), -EBUSY);
	ASSERT_EQ(backend_release(one, NULL), 0);
	ASSERT_EQ(backend_acquire(two, NULL, NULL), 0);
}

/* What counts is what the OSD says: else the record would be clean, and nobody could take it. */
TEST(a_lock_that_librbd_disowns_is_given_back_all_the_same)
{
	test_image("disowned", SIZE, TEST_FEATURES);
	AUTO(cluster_client) struct cluster_client *a = test_client();
	AUTO(cluster_client) struct cluster_client *b = test_client();
	AUTO(backend) struct backend *one = test_open(a, "disowned", NULL);
	AUTO(backend) struct backend *two = test_open(b, "disowned", NULL);
	ASSERT_EQ(backend_acquire(one, NULL, NULL), 0);
	disowns = true;
	ASSERT_EQ(backend_release(one, NULL), 0);
	disowns = false;
	struct error err = { 0 };
	if (backend_acquire(two, NULL, &err) < 0)
		fail_msg("%s", err.text);
	disowns = true;
	ASSERT_EQ(backend_release(one, NULL), 0); /* has nothing; the other one keeps his */
	disowns = false;
	ASSERT_EQ(backend_acquire(one, NULL, &err), -EBUSY);
}

TEST(what_another_handle_of_ours_has_stays_when_librbd_disowns_it)
{
	test_image("twice", SIZE, TEST_FEATURES);
	AUTO(cluster_client) struct cluster_client *a = test_client();
	AUTO(cluster_client) struct cluster_client *b = test_client();
	AUTO(backend) struct backend *one = test_open(a, "twice", NULL);
	AUTO(backend) struct backend *again = test_open(a, "twice", NULL);
	AUTO(backend) struct backend *two = test_open(b, "twice", NULL);
	ASSERT_EQ(backend_acquire(one, NULL, NULL), 0);
	take_lock_away(one);
	ASSERT_EQ(backend_acquire(again, NULL, NULL), 0);
	disowns = true;
	ASSERT_EQ(backend_release(one, NULL), -EBUSY);
	disowns = false;
	ASSERT_EQ(backend_acquire(two, NULL, NULL), -EBUSY);
}

TEST(an_image_without_the_feature_is_refused_with_the_remedy)
{
	test_image("unsafe", SIZE, 1);
	AUTO(cluster_client) struct cluster_client *client = test_client();
	AUTO(backend) struct backend *backend = test_open(client, "unsafe", NULL);
	struct error err = { 0 };
	ASSERT_EQ(backend_acquire(backend, NULL, &err), -ENOTSUP);
	ASSERT_NOT_NULL(strstr(err.text, "rbd feature enable unsafe exclusive-lock"));
}

/* ---- an owner that dies: this program once more, in another role ---- */

#define ROLE "RBDGATE_TEST_HOLD_LOCK"

/* Takes the lock, writes its address to stdout and waits to be killed. */
__attribute__((constructor)) static void hold_lock(void)
{
	const char *image = getenv(ROLE);
	if (!image)
		return;
	struct cluster_client_config cluster = { .client_name = "client.gw", .data = true };
	struct backend_config config = {
		.kind = "rbd", .name = image, .pool = "rbd", .image = image
	};
	struct backend *backend;
	if (cluster_client_connect(&cluster, &config.cluster, NULL) < 0 ||
	    backend_open(&config, &backend, NULL) < 0 || backend_acquire(backend, NULL, NULL) < 0)
		_exit(1);
	(void)puts(cluster_client_address(config.cluster));
	(void)fflush(stdout);
	for (;;)
		pause();
}

static pid_t spawn_owner(const char *image, char *ret_address, size_t len)
{
	int out[2];
	ASSERT_EQ(pipe2(out, O_CLOEXEC), 0);
	pid_t child = fork();
	ASSERT_TRUE(child >= 0);
	if (child == 0) {
		(void)setenv(ROLE, image, 1);
		(void)dup2(out[1], STDOUT_FILENO);
		(void)execl("/proc/self/exe", "owner", (char *)NULL);
		_exit(127);
	}
	close(out[1]);
	ssize_t n = read(out[0], ret_address, len - 1);
	ASSERT_TRUE(n > 1);
	ret_address[n - 1] = '\0';
	close(out[0]);
	return child;
}

static bool is_ours(void *argument, const char *owner_address)
{
	return strcmp(argument, owner_address) == 0;
}

TEST(the_lock_of_our_dead_instance_is_broken_without_waiting_for_its_watch)
{
	char address[128];
	test_image("dead", SIZE, TEST_FEATURES);
	pid_t child = spawn_owner("dead", address, sizeof address);
	AUTO(cluster_client) struct cluster_client *client = test_client();
	AUTO(backend) struct backend *backend = test_open(client, "dead", NULL);
	ASSERT_EQ(kill(child, SIGKILL), 0);
	ASSERT_EQ(waitpid(child, NULL, 0), child);

	struct error err = { 0 };
	ASSERT_EQ(backend_acquire(backend, NULL, &err), -EBUSY);
	ASSERT_NOT_NULL(strstr(err.text, address));

	uint64_t start_ms = clock_monotonic_ms();
	struct backend_lock_policy policy = { .may_break = is_ours, .argument = address };
	watch_order(client);
	ASSERT_EQ(backend_acquire(backend, &policy, &err), 0);
	ASSERT_STR_EQ(order, "who map break acquire ");
	uint64_t took_ms = clock_monotonic_ms() - start_ms;
	print_message("# taken over in %u ms\n", (unsigned)took_ms);
	ASSERT_TRUE(took_ms < 20000); /* the watch lives 30 s */
	test_fill(backend, 0, 4096, 9);
}

static uint64_t since_ms;

static bool is_fenced(void *argument, const char *owner_address, uint64_t *ret_since_ms)
{
	*ret_since_ms = since_ms;
	return is_ours(argument, owner_address);
}

/* From one whom another client has fenced, and who lives on. */
static void take_from_fenced(const char *image, uint64_t features, const char *expected)
{
	char address[128];
	test_image(image, SIZE, features);
	pid_t child = spawn_owner(image, address, sizeof address);
	AUTO(cluster_client) struct cluster_client *other = test_client();
	AUTO(cluster_client) struct cluster_client *client = test_client();
	AUTO(backend) struct backend *backend = test_open(client, image, NULL);
	struct backend_lock_policy policy = { .is_fenced = is_fenced, .argument = address };
	struct error err = { 0 };
	ASSERT_EQ(cluster_wait_for_map(client, &err), 0); /* of before: says nothing of him */
	ASSERT_EQ(cluster_fence(other, address, 3600, &err), 0);
	since_ms = clock_monotonic_ms();
	ASSERT_TRUE(cluster_has_fenced(other, address));
	ASSERT_FALSE(cluster_has_fenced(client, address));
	watch_order(client); /* which knows nothing of the fence yet */
	ASSERT_EQ(backend_acquire(backend, &policy, &err), 0);
	ASSERT_STR_EQ(order, expected);
	ASSERT_FALSE(cluster_has_fenced(client, address));
	test_fill(backend, 0, 4096, 3);
	ASSERT_EQ(kill(child, SIGKILL), 0);
	ASSERT_EQ(waitpid(child, NULL, 0), child);
}

TEST(the_lock_of_one_that_is_fenced_is_broken_without_fencing_him_again)
{
	take_from_fenced("broken", TEST_FEATURES, "who map free-object-map break acquire ");
}

/* An OSD that is silent may have been asked for it. */
TEST(an_object_map_is_freed_only_where_there_is_one)
{
	take_from_fenced("mapless", RBD_FEATURE_LAYERING | RBD_FEATURE_EXCLUSIVE_LOCK,
	                 "who map break acquire ");
}

/* As when hundreds of images of one owner are taken over: one question to the monitors for all. */
TEST(a_map_that_is_newer_than_the_fence_serves_all_images_of_its_client)
{
	char address[128];
	test_image("served", SIZE, TEST_FEATURES);
	pid_t child = spawn_owner("served", address, sizeof address);
	AUTO(cluster_client) struct cluster_client *other = test_client();
	AUTO(cluster_client) struct cluster_client *client = test_client();
	AUTO(backend) struct backend *backend = test_open(client, "served", NULL);
	struct backend_lock_policy policy = { .is_fenced = is_fenced, .argument = address };
	struct error err = { 0 };
	ASSERT_EQ(cluster_fence(other, address, 3600, &err), 0);
	since_ms = clock_monotonic_ms();
	while (clock_monotonic_ms() == since_ms)
		continue;
	ASSERT_EQ(cluster_wait_for_map_since(client, since_ms, &err), 0);
	watch_order(client);
	ASSERT_EQ(cluster_wait_for_map_since(client, since_ms, &err), 0);
	ASSERT_STR_EQ(order, "");
	ASSERT_EQ(backend_acquire(backend, &policy, &err), 0);
	ASSERT_STR_EQ(order, "who free-object-map break acquire ");
	test_fill(backend, 0, 4096, 3);
	ASSERT_EQ(kill(child, SIGKILL), 0);
	ASSERT_EQ(waitpid(child, NULL, 0), child);
}

static int count_fence(void *argument, const char *owner_address, struct error *err)
{
	unsigned *fences = argument;
	(*fences)++;
	return 0; /* it was in this test */
}

/* Upstream gateways remove entries of their own clients, which may live on: what this client has
 * fenced once proves nothing then. */
TEST(one_that_may_live_is_fenced_again_whoever_has_fenced_him_before)
{
	char address[128];
	unsigned fences = 0;
	test_image("again", SIZE, TEST_FEATURES);
	pid_t child = spawn_owner("again", address, sizeof address);
	AUTO(cluster_client) struct cluster_client *client = test_client();
	AUTO(backend) struct backend *backend = test_open(client, "again", NULL);
	struct backend_lock_policy policy = { .fence_living = count_fence, .argument = &fences };
	struct error err = { 0 };
	ASSERT_EQ(cluster_fence(client, address, 3600, &err), 0);
	ASSERT_TRUE(cluster_has_fenced(client, address));
	watch_order(client);
	ASSERT_EQ(backend_acquire(backend, &policy, &err), 0);
	ASSERT_STR_EQ(order, "who map free-object-map break acquire ");
	ASSERT_EQ(fences, 1);
	ASSERT_EQ(kill(child, SIGKILL), 0);
	ASSERT_EQ(waitpid(child, NULL, 0), child);
}

/* ---- a client that is fenced ---- */

static bool anybody(void *argument, const char *owner_address)
{
	return true;
}

TEST(a_fenced_client_loses_its_disks_once_and_logs_no_flood)
{
	enum { COUNT = 64 };
	test_image("fenced", SIZE, TEST_FEATURES);
	AUTO(cluster_client) struct cluster_client *a = test_client();
	AUTO(cluster_client) struct cluster_client *b = test_client();
	struct test_listener listener = { 0 };
	AUTO(backend) struct backend *victim = test_open(a, "fenced", &listener);
	AUTO(backend) struct backend *winner = test_open(b, "fenced", NULL);
	ASSERT_EQ(backend_acquire(victim, NULL, NULL), 0);
	test_fill(victim, 0, 4096, 1);

	char path[256];
	(void)snprintf(path, sizeof path, "%s/stderr", test_folder());
	int saved = dup(STDERR_FILENO);
	AUTO_CLOSE int captured = open(path, O_CREAT | O_RDWR | O_TRUNC, 0600);
	ASSERT_TRUE(saved >= 0 && captured >= 0 && dup2(captured, STDERR_FILENO) >= 0);

	struct backend_lock_policy policy = { anybody, NULL };
	ASSERT_EQ(backend_acquire(winner, &policy, NULL), 0);
	test_fill(winner, 0, 4096, 2);
	static struct test_io ios[COUNT];
	static char bytes[65536];
	for (int i = 0; i < COUNT; i++) {
		enum io_op op = (enum io_op)(i % IO_OP_COUNT);
		test_io_start(&ios[i], victim, op, 0, op == IO_FLUSH ? 0 : (uint64_t)i * 4096,
		              op == IO_FLUSH ? 0 : 65536, op <= IO_WRITE ? bytes : NULL);
	}
	for (int i = 0; i < COUNT; i++)
		ASSERT_EQ(test_io_wait(&ios[i]), -ESHUTDOWN);
	for (int i = 0; i < 100 * COUNT; i++)
		ASSERT_EQ(test_io(victim, IO_WRITE, 0, 0, 512, bytes), -ESHUTDOWN);
	ASSERT_EQ(test_io(victim, IO_FLUSH, 0, 0, 0, NULL), -ESHUTDOWN);
	ASSERT_EQ(backend_refresh(victim, NULL), -ESHUTDOWN);
	struct error err = { 0 };
	ASSERT_EQ(backend_acquire(victim, NULL, &err), -ESHUTDOWN);
	ASSERT_NOT_NULL(strstr(err.text, "was fenced"));
	(void)dup2(saved, STDERR_FILENO);
	close(saved);

	ASSERT_EQ(atomic_load(&listener.lost), 1);
	off_t logged = lseek(captured, 0, SEEK_END);
	print_message("# %d bytes of log\n", (int)logged);
	ASSERT_TRUE(logged < 1024);
	ASSERT_TRUE(test_reads_as(winner, 0, 4096, 2));
}

TEST(requests_under_way_when_the_fence_falls_all_end)
{
	enum { COUNT = 16 };
	test_image("under_way", SIZE, TEST_FEATURES);
	AUTO(cluster_client) struct cluster_client *a = test_client();
	AUTO(cluster_client) struct cluster_client *b = test_client();
	AUTO(backend) struct backend *victim = test_open(a, "under_way", NULL);
	ASSERT_EQ(backend_acquire(victim, NULL, NULL), 0);
	static struct test_io ios[COUNT];
	static char bytes[4096];
	test_rig("osd-pause", "0");
	for (int i = 0; i < COUNT; i++)
		test_io_start(&ios[i], victim, IO_WRITE, 0, (uint64_t)i << 22, sizeof bytes, bytes);
	reactor_turn(test_reactor(), 0);
	int r = cluster_fence(b, cluster_client_address(a), 600, NULL);
	bool any_finished = false;
	for (int i = 0; i < COUNT; i++)
		any_finished = any_finished || ios[i].finished;
	test_rig("osd-resume", "0");
	ASSERT_EQ(r, 0);
	ASSERT_FALSE(any_finished);
	for (int i = 0; i < COUNT; i++) {
		r = test_io_wait(&ios[i]);
		ASSERT_TRUE(r == 0 || r == -ESHUTDOWN); /* before the fence, or never */
	}
}

/* [H2] By the object map in its memory nothing stands there; its successor may have written. */
TEST(who_may_be_fenced_does_not_answer_for_absent_objects_by_himself)
{
	enum { OBJECT = 4u << 20 };
	static const struct {
		enum io_op op;
		unsigned object;
	} rows[] = { { IO_READ, 1 }, { IO_READ, 2 }, { IO_DISCARD, 3 }, { IO_WRITE_ZEROES, 4 } };
	static struct test_io ios[ARRAY_LEN(rows)];
	static char bytes[ARRAY_LEN(rows)][4096];
	test_image("absent", SIZE, TEST_FEATURES);
	AUTO(cluster_client) struct cluster_client *a = test_client();
	AUTO(cluster_client) struct cluster_client *b = test_client();
	AUTO(backend) struct backend *victim = test_open(a, "absent", NULL);
	ASSERT_EQ(backend_acquire(victim, NULL, NULL), 0);
	test_fill(victim, OBJECT, 4096, 1); /* the first was there once, the others never */
	ASSERT_TRUE(test_reads_as(victim, OBJECT, 4096, 1));
	ASSERT_EQ(test_io(victim, IO_DISCARD, 0, OBJECT, OBJECT, NULL), 0);
	ASSERT_TRUE(test_reads_as(victim, OBJECT, 4096, 0));
	test_rig("osd-pause", "0");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		test_io_start(&ios[i], victim, rows[i].op, 0, (uint64_t)rows[i].object * OBJECT,
		              sizeof bytes[i], rows[i].op == IO_READ ? bytes[i] : NULL);
	int r = cluster_fence(b, cluster_client_address(a), 600, NULL); /* takes its time */
	for (size_t i = 0; i < 100; i++)
		(void)reactor_turn(test_reactor(), 0);
	bool finished[ARRAY_LEN(rows)];
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		finished[i] = ios[i].finished;
	test_rig("osd-resume", "0");
	ASSERT_EQ(r, 0);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		TEST_ROW("%zu", i);
		r = test_io_wait(&ios[i]);
		ASSERT_FALSE(finished[i]);
		ASSERT_TRUE(r == 0 || r == -ESHUTDOWN); /* before the fence, or never */
	}
}

TEST(an_owner_that_nobody_knows_but_who_is_long_dead_is_replaced)
{
	ASSERT_EQ(system("env -u CEPH_ARGS ceph --name client.admin tell osd.0 config set "
	                 "osd_client_watch_timeout 2 >&2"),
	          0);
	char address[128];
	test_image("long_dead", SIZE, TEST_FEATURES);
	pid_t child = spawn_owner("long_dead", address, sizeof address);
	AUTO(cluster_client) struct cluster_client *client = test_client();
	AUTO(backend) struct backend *backend = test_open(client, "long_dead", NULL);
	ASSERT_EQ(backend_acquire(backend, NULL, NULL), -EBUSY);
	ASSERT_EQ(kill(child, SIGKILL), 0);
	ASSERT_EQ(waitpid(child, NULL, 0), child);
	uint64_t deadline_ms = clock_monotonic_ms() + 60000;
	int r;
	while ((r = backend_acquire(backend, NULL, NULL)) == -EBUSY) {
		ASSERT_TRUE(clock_monotonic_ms() < deadline_ms);
		(void)poll(NULL, 0, 100);
	}
	ASSERT_EQ(r, 0);
	test_fill(backend, 0, 512, 1);
	ASSERT_EQ(system("env -u CEPH_ARGS ceph --name client.admin tell osd.0 config set "
	                 "osd_client_watch_timeout 30 >&2"),
	          0);
}

TEST(an_idle_disk_learns_that_it_was_fenced)
{
	test_image("asleep", SIZE, TEST_FEATURES);
	AUTO(cluster_client) struct cluster_client *a = test_client();
	AUTO(cluster_client) struct cluster_client *b = test_client();
	struct test_listener listener = { 0 };
	AUTO(backend) struct backend *victim = test_open(a, "asleep", &listener);
	ASSERT_EQ(backend_acquire(victim, NULL, NULL), 0);
	ASSERT_EQ(backend_refresh(victim, NULL), 0);
	unsigned before = atomic_load(&listener.resized);
	ASSERT_EQ(cluster_fence(b, cluster_client_address(a), 60, NULL), 0);
	test_wait_for(&listener.resized, before + 1);
	ASSERT_EQ(backend_refresh(victim, NULL), -ESHUTDOWN);
	ASSERT_EQ(atomic_load(&listener.lost), 1);
}

TEST(a_lock_that_was_taken_away_is_told_and_writes_are_refused)
{
	test_image("taken", SIZE, TEST_FEATURES);
	AUTO(cluster_client) struct cluster_client *client = test_client();
	struct test_listener listener = { 0 };
	AUTO(backend) struct backend *backend = test_open(client, "taken", &listener);
	ASSERT_EQ(backend_acquire(backend, NULL, NULL), 0);
	/* Behind the backend's back. */
	ASSERT_EQ(rbd_lock_release(disk_of(backend)->image), 0);
	char byte = 1;
	ASSERT_EQ(test_io(backend, IO_WRITE, 0, 0, 1, &byte), -EROFS);
	ASSERT_EQ(test_io(backend, IO_WRITE, 0, 0, 1, &byte), -EROFS);
	ASSERT_EQ(atomic_load(&listener.released), 1);
	ASSERT_EQ(atomic_load(&listener.lost), 0);
	ASSERT_EQ(backend_acquire(backend, NULL, NULL), 0);
	test_fill(backend, 0, 512, 1);
}

/* An administrator's program, which has the lock while it works. */
static int administer(struct cluster_client *client, int (*act)(rbd_image_t image))
{
	AUTO(backend) struct backend *backend = test_open(client, "mirrored", NULL);
	return act(disk_of(backend)->image);
}

static int enable_mirroring(rbd_image_t image)
{
	return rbd_mirror_image_enable2(image, RBD_MIRROR_IMAGE_MODE_SNAPSHOT);
}

static int promote(rbd_image_t image)
{
	return rbd_mirror_image_promote(image, false);
}

/* [H28] While it is owned librbd refuses to demote it. */
TEST(a_demoted_image_says_so_and_is_taken_again_after_its_promotion)
{
	test_image("mirrored", SIZE, TEST_FEATURES);
	AUTO(cluster_client) struct cluster_client *client = test_client();
	AUTO(cluster_client) struct cluster_client *other = test_client();
	struct backend *backend = test_open(client, "mirrored", NULL);
	struct error err = { 0 };
	ASSERT_EQ(rbd_mirror_mode_set(disk_of(backend)->pool, RBD_MIRROR_MODE_IMAGE), 0);
	ASSERT_EQ(administer(other, enable_mirroring), 0);
	ASSERT_EQ(backend_acquire(backend, NULL, NULL), 0);
	ASSERT_TRUE(administer(other, rbd_mirror_image_demote) < 0);
	test_fill(backend, 0, 4096, 1);
	ASSERT_EQ(backend_release(backend, NULL), 0);
	backend_free(backend);

	ASSERT_EQ(administer(other, rbd_mirror_image_demote), 0);
	backend = test_open(client, "mirrored", NULL);
	ASSERT_EQ(backend_acquire(backend, NULL, &err), -ESTALE);
	ASSERT_NOT_NULL(strstr(err.text, "rbd mirror image promote"));
	backend_free(backend);

	ASSERT_EQ(administer(other, promote), 0);
	backend = test_open(client, "mirrored", NULL);
	ASSERT_EQ(backend_acquire(backend, NULL, NULL), 0);
	ASSERT_TRUE(test_reads_as(backend, 0, 4096, 1));
	test_fill(backend, 0, 4096, 2);
	ASSERT_EQ(backend_release(backend, NULL), 0);
	backend_free(backend);
}
