/* Rolling back an image by hand of its lock, beside others that have or want it. */
#include "base/json.h"
#include "base/reactor.h"
#include "cluster/command.h"
#include "rados_place.h"
#include "store/image.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <rbd/librbd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROLE         "TEST_OWNER_OF"
#define NINE_YEARS_S (9 * 365 * 86400)
#define BLOCK        4096

/* ---- others ---- */

/* Somebody else's handle of an image. */
struct other {
	struct cluster_client *client;
	void *pool;
	rbd_image_t image;
};

static struct other other_open(const char *image)
{
	struct other other = { 0 };
	struct cluster_client_config client = { .client_name = "client.gw", .data = true };
	ASSERT_EQ(cluster_client_connect(&client, &other.client, NULL), 0);
	ASSERT_EQ(cluster_pool_open(other.client, "rbd", NULL, &other.pool, NULL), 0);
	ASSERT_EQ(rbd_open(other.pool, image, &other.image, NULL), 0);
	return other;
}

static void other_close(struct other *other)
{
	(void)rbd_close(other->image);
	cluster_pool_close(other->pool);
	cluster_client_free(other->client);
}
#define AUTO_OTHER __attribute__((cleanup(other_close)))

static ssize_t fill(const struct other *other, char byte)
{
	char block[BLOCK];
	memset(block, byte, sizeof block);
	return rbd_write(other->image, 0, sizeof block, block);
}

/* As it is now. */
static char byte_of(const char *image)
{
	AUTO_OTHER struct other other = other_open(image);
	char block[BLOCK];
	ASSERT_EQ(rbd_read(other.image, 0, sizeof block, block), sizeof block);
	return block[0];
}

/* 'o' in the snapshot "before", 'n' since. */
static void make_image(const struct place *place, const char *image)
{
	ASSERT_EQ(image_create(place->store, "rbd", image, 4 << 20, NULL), 0);
	AUTO_OTHER struct other other = other_open(image);
	ASSERT_EQ(fill(&other, 'o'), BLOCK);
	ASSERT_EQ(image_snapshot_create(place->store, "rbd", image, "before", NULL), 0);
	ASSERT_EQ(fill(&other, 'n'), BLOCK);
}

/* ---- consent ---- */

struct asked {
	const struct other *other; /* tries to get the lock meanwhile */
	struct cluster_client *fences;
	unsigned times;
	int lock, answer;
};

static void take_lock_away(const struct asked *asked)
{
	rbd_lock_mode_t mode;
	char *owner;
	size_t count = 1;
	ASSERT_EQ(rbd_lock_get_owners(asked->other->image, &mode, &owner, &count), 0);
	ASSERT_EQ(cluster_fence(asked->fences, owner, 600, NULL), 0);
	ASSERT_EQ(rbd_lock_break(asked->other->image, mode, owner), 0);
	rbd_lock_get_owners_cleanup(&owner, count);
}

static int ask(void *argument, struct error *err)
{
	struct asked *asked = argument;
	asked->times++;
	if (asked->fences)
		take_lock_away(asked);
	if (asked->other)
		asked->lock = rbd_lock_acquire(asked->other->image, RBD_LOCK_MODE_EXCLUSIVE);
	return asked->answer < 0 ? error_set(err, asked->answer, "the reason") : 0;
}

static int roll_back(const struct place *place, const char *image, const char *snapshot,
                     struct asked *asked)
{
	const struct image_consent consent = { ask, asked };
	return image_snapshot_rollback(place->store, "rbd", image, snapshot, &consent, NULL);
}

/* ---- cases ---- */

TEST(it_is_asked_with_the_lock_that_nobody_else_gets)
{
	AUTO_PLACE struct place place = place_open();
	make_image(&place, "asked");
	AUTO_OTHER struct other other = other_open("asked");
	struct asked asked = { .other = &other, .answer = -ESTALE };
	ASSERT_EQ(roll_back(&place, "asked", "before", &asked), -ESTALE);
	ASSERT_EQ(asked.times, 1);
	ASSERT_EQ(asked.lock, -EROFS);
	ASSERT_EQ(byte_of("asked"), 'n');
	ASSERT_EQ(rbd_lock_acquire(other.image, RBD_LOCK_MODE_EXCLUSIVE), 0);
	ASSERT_EQ(rbd_lock_release(other.image), 0);
	asked.answer = 0;
	ASSERT_EQ(roll_back(&place, "asked", "before", &asked), 0);
	ASSERT_EQ(asked.lock, -EROFS);
	ASSERT_EQ(byte_of("asked"), 'o');
	ASSERT_EQ(roll_back(&place, "asked", "none", &asked), -ENOENT);
	ASSERT_EQ(roll_back(&place, "no image", "before", &asked), -ENOENT);
}

TEST(who_has_the_lock_keeps_it_by_hand_or_not)
{
	AUTO_PLACE struct place place = place_open();
	make_image(&place, "kept");
	AUTO_OTHER struct other other = other_open("kept");
	struct asked asked = { 0 };
	ASSERT_EQ(fill(&other, 'w'), BLOCK); /* librbd takes it by itself */
	ASSERT_EQ(roll_back(&place, "kept", "before", &asked), -EROFS);
	ASSERT_EQ(rbd_lock_acquire(other.image, RBD_LOCK_MODE_EXCLUSIVE), 0);
	ASSERT_EQ(roll_back(&place, "kept", "before", &asked), -EROFS);
	ASSERT_EQ(asked.times, 0);
	ASSERT_EQ(fill(&other, 'x'), BLOCK);
	ASSERT_EQ(byte_of("kept"), 'x');
}

TEST(one_that_was_fenced_meanwhile_changes_nothing)
{
	AUTO_PLACE struct place place = place_open();
	make_image(&place, "fenced");
	AUTO_OTHER struct other other = other_open("fenced");
	struct asked asked = { .other = &other, .fences = place.cluster };
	int r = roll_back(&place, "fenced", "before", &asked);
	ASSERT_EQ(asked.lock, 0);
	ASSERT_TRUE(r == -ESHUTDOWN || r == -EROFS);
	ASSERT_EQ(byte_of("fenced"), 'n');
}

TEST(an_image_without_a_lock_is_refused_with_the_remedy)
{
	AUTO_PLACE struct place place = place_open();
	int order = 22;
	void *pool;
	struct error err = { 0 };
	struct asked asked = { 0 };
	const struct image_consent consent = { ask, &asked };
	ASSERT_EQ(cluster_pool_open(place.cluster, "rbd", NULL, &pool, NULL), 0);
	ASSERT_EQ(rbd_create2(pool, "plain", 4 << 20, RBD_FEATURE_LAYERING, &order), 0);
	cluster_pool_close(pool);
	ASSERT_EQ(image_snapshot_create(place.store, "rbd", "plain", "before", NULL), 0);
	ASSERT_EQ(image_snapshot_rollback(place.store, "rbd", "plain", "before", &consent, &err),
	          -ENOTSUP);
	ASSERT_NOT_NULL(strstr(err.text, "rbd feature enable rbd/plain exclusive-lock"));
	ASSERT_EQ(asked.times, 0);
}

/* ---- an owner that dies ---- */

static void __attribute__((constructor)) be_owner(void)
{
	const char *image = getenv(ROLE);
	if (!image)
		return;
	struct other other = other_open(image);
	if (rbd_lock_acquire(other.image, RBD_LOCK_MODE_EXCLUSIVE) < 0)
		_exit(1);
	(void)puts(cluster_client_address(other.client));
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

static void set_watch_timeout(unsigned seconds)
{
	char command[160];
	(void)snprintf(command, sizeof command,
	               "env -u CEPH_ARGS ceph --name client.admin tell osd.0 config set "
	               "osd_client_watch_timeout %u >&2",
	               seconds);
	ASSERT_EQ(system(command), 0);
}

TEST(one_that_died_with_the_lock_is_fenced_for_good)
{
	AUTO_PLACE struct place place = place_open();
	char address[128];
	struct asked asked = { 0 };
	set_watch_timeout(2);
	make_image(&place, "dead");
	pid_t child = spawn_owner("dead", address, sizeof address);
	ASSERT_EQ(kill(child, SIGKILL), 0);
	ASSERT_EQ(waitpid(child, NULL, 0), child);
	ASSERT_EQ(roll_back(&place, "dead", "before", &asked), -EROFS); /* it may live */
	uint64_t deadline_ms = clock_monotonic_ms() + 60000;
	int r;
	while ((r = roll_back(&place, "dead", "before", &asked)) == -EROFS) {
		ASSERT_TRUE(clock_monotonic_ms() < deadline_ms);
		(void)poll(NULL, 0, 100);
	}
	ASSERT_EQ(r, 0);
	ASSERT_EQ(byte_of("dead"), 'o');
	AUTO_JSON json_t *fences = NULL;
	ASSERT_EQ(cluster_fence(place.cluster, "127.0.0.1:0/1", 60, NULL), 0); /* tells the time */
	ASSERT_EQ(cluster_list_fences(place.cluster, &fences, NULL), 0);
	ASSERT_TRUE(json_number(fences, address, 0) > NINE_YEARS_S);
	set_watch_timeout(30);
}
