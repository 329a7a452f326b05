#include "base/reactor.h"
#include "cluster/client.h"
#include "hearing.h"
#include "store/store.h"
#include "test.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <rados/librados.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#define DEADLINE_MS 90000

/* A store with a connection of its own, as another process would have. */
struct place {
	struct cluster_client *cluster;
	struct store *store;
};

static struct cluster_client *connected(void)
{
	struct cluster_client_config config = { .client_name = "client.gw" };
	struct cluster_client *cluster = NULL;
	struct error err = { 0 };
	if (cluster_client_connect(&config, &cluster, &err) < 0)
		fail_msg("%s", err.text);
	return cluster;
}

static struct store_config config_of(struct cluster_client *cluster, const char *object)
{
	return (struct store_config){
		.kind = "rados", .cluster = cluster, .pool = "rbd", .object = object
	};
}

static struct place place_open(const char *object)
{
	struct place place = { .cluster = connected() };
	struct store_config config = config_of(place.cluster, object);
	struct error err = { 0 };
	if (store_open(&config, &place.store, &err) < 0)
		fail_msg("%s", err.text);
	return place;
}

static void place_close(struct place *place)
{
	store_free(place->store);
	cluster_client_free(place->cluster);
}
#define AUTO_PLACE __attribute__((cleanup(place_close)))

static struct store_version version_of(struct store *store)
{
	AUTO_FREE char *text = NULL;
	struct store_version version = { 0 };
	assert_int_equal(store_load(store, &text, &version, NULL), 0);
	return version;
}

static void *pool_of(const struct place *place)
{
	void *pool = NULL;
	assert_int_equal(cluster_pool_open(place->cluster, "rbd", NULL, &pool, NULL), 0);
	return pool;
}

static ssize_t locker_count(void *pool, const char *object)
{
	char tag[64], clients[256], cookies[256], addresses[256];
	int exclusive;
	size_t tag_len = sizeof tag, clients_len = sizeof clients;
	size_t cookies_len = sizeof cookies, addresses_len = sizeof addresses;
	return rados_list_lockers(pool, object, "lock", &exclusive, tag, &tag_len, clients,
	                          &clients_len, cookies, &cookies_len, addresses, &addresses_len);
}

/* ---- commits ---- */

TEST(a_commit_writes_text_and_epoch_and_is_guarded)
{
	AUTO_PLACE struct place place = place_open("guarded"), other = place_open("guarded");
	struct store_version missing = version_of(place.store);
	ASSERT_FALSE(missing.exists);
	ASSERT_EQ(store_commit(place.store, "{\"epoch\": 0}", 0, &missing, NULL), 0);
	ASSERT_EQ(store_commit(place.store, "{\"epoch\": 0}", 0, &missing, NULL), -ECANCELED);
	struct store_version first = version_of(other.store);
	ASSERT_TRUE(first.exists);
	ASSERT_EQ(store_commit(other.store, "{\"epoch\": 1}", 1, &first, NULL), 0);
	ASSERT_EQ(store_commit(place.store, "{\"x\": 1}", 1, &first, NULL), -ECANCELED);
	ASSERT_EQ(version_of(place.store).epoch, 1);
	char epoch[8];
	void *pool = pool_of(&place);
	ASSERT_EQ(rados_getxattr(pool, "guarded", "epoch", epoch, sizeof epoch), 1);
	ASSERT_EQ(epoch[0], '1');
	ASSERT_EQ(locker_count(pool, "guarded"), 0);
	cluster_pool_close(pool);
}

TEST(a_writer_that_leaves_the_epoch_alone_is_noticed_and_a_bad_xattr_is_mended)
{
	AUTO_PLACE struct place place = place_open("mended");
	void *pool = pool_of(&place);
	/* As upstream between its two writes: no xattr yet. */
	ASSERT_EQ(rados_write_full(pool, "mended", "{\"epoch\": 3}", 12), 0);
	struct store_version before = version_of(place.store);
	ASSERT_EQ(before.epoch, 0);
	ASSERT_EQ(rados_write_full(pool, "mended", "{\"epoch\": 4}", 12), 0);
	ASSERT_EQ(store_commit(place.store, "{\"epoch\": 4}", 4, &before, NULL), -ECANCELED);
	before = version_of(place.store);
	ASSERT_EQ(store_commit(place.store, "{\"epoch\": 5}", 5, &before, NULL), 0);
	ASSERT_EQ(version_of(place.store).epoch, 5);
	ASSERT_EQ(rados_setxattr(pool, "mended", "epoch", "junk", 4), 0);
	before = version_of(place.store);
	ASSERT_EQ(before.epoch, 0);
	ASSERT_EQ(store_commit(place.store, "{\"epoch\": 6}", 6, &before, NULL), 0);
	ASSERT_EQ(version_of(place.store).epoch, 6);
	cluster_pool_close(pool);
}

TEST(an_object_larger_than_the_first_read_loads_whole)
{
	AUTO_PLACE struct place place = place_open("large");
	AUTO_FREE char *text = malloc(3000001), *loaded = NULL;
	memset(text, 'x', 3000000);
	text[3000000] = '\0';
	struct store_version version = version_of(place.store);
	ASSERT_EQ(store_commit(place.store, text, 1, &version, NULL), 0);
	ASSERT_EQ(store_load(place.store, &loaded, &version, NULL), 0);
	ASSERT_STR_EQ(loaded, text);
}

/* Adds one to the epoch; true if nobody was faster. */
static bool commit_next(struct store *store)
{
	struct store_version version = version_of(store);
	char text[64];
	(void)snprintf(text, sizeof text, "{\"epoch\": %llu}",
	               (unsigned long long)version.epoch + 1);
	struct error err = { 0 };
	int r = store_commit(store, text, version.epoch + 1, &version, &err);
	if (r < 0 && r != -ECANCELED)
		fail_msg("%s", err.text);
	return r == 0;
}

struct racer {
	pthread_t thread;
	struct store *store;
	unsigned committed;
};

static void *race(void *argument)
{
	struct racer *racer = argument;
	for (int attempt = 0; attempt < 40; attempt++)
		racer->committed += commit_next(racer->store);
	return NULL;
}

static void race_two(const char *object, bool exclusive_writers)
{
	struct racer racers[2] = { 0 };
	struct cluster_client *clusters[2];
	uint64_t committed = 0;
	for (int i = 0; i < 2; i++) {
		clusters[i] = connected();
		struct store_config config = config_of(clusters[i], object);
		config.exclusive_writers = exclusive_writers;
		assert_int_equal(store_open(&config, &racers[i].store, NULL), 0);
	}
	struct store_version version = version_of(racers[0].store);
	assert_int_equal(store_commit(racers[0].store, "{\"epoch\": 0}", 0, &version, NULL), 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&racers[i].thread, NULL, race, &racers[i]), 0);
	for (int i = 0; i < 2; i++) {
		(void)pthread_join(racers[i].thread, NULL);
		committed += racers[i].committed;
	}
	assert_true(committed >= 40);
	assert_int_equal(version_of(racers[0].store).epoch, committed);
	for (int i = 0; i < 2; i++) {
		store_free(racers[i].store);
		cluster_client_free(clusters[i]);
	}
}

TEST(two_stores_that_race_lose_no_update)
{
	race_two("raced", false);
}

TEST(two_stores_that_race_without_the_lock_lose_no_update)
{
	race_two("raced-without-lock", true);
}

/* ---- the lock ---- */

TEST(a_lock_that_lapses_delays_a_commit_and_one_that_does_not_is_named)
{
	AUTO_PLACE struct place place = place_open("locked"), holder = place_open("locked");
	struct store_version version = version_of(place.store);
	ASSERT_EQ(store_commit(place.store, "{\"epoch\": 0}", 0, &version, NULL), 0);
	void *pool = pool_of(&holder);
	/* A rbdgate that died inside a commit. */
	struct timeval duration = { .tv_sec = 2 };
	ASSERT_EQ(rados_lock_exclusive(pool, "locked", "lock", "config", "", &duration, 0), 0);
	ASSERT_TRUE(commit_next(place.store));
	/* An upstream gateway that died inside one: its lock never lapses. */
	ASSERT_EQ(rados_lock_exclusive(pool, "locked", "lock", "config", "", NULL, 0), 0);
	struct store_config config = config_of(place.cluster, "locked");
	config.lock_timeout_ms = 300;
	AUTO(store) struct store *hasty = NULL;
	struct error err = { 0 };
	char client[32];
	ASSERT_EQ(store_open(&config, &hasty, NULL), 0);
	version = version_of(hasty);
	ASSERT_EQ(store_commit(hasty, "{}", 2, &version, &err), -ETIMEDOUT);
	(void)snprintf(
	        client, sizeof client, "lock break locked lock client.%llu",
	        (unsigned long long)rados_get_instance_id(cluster_client_handle(holder.cluster)));
	if (!strstr(err.text, client) || !strstr(err.text, "127.0.0.1:"))
		fail_msg("%s", err.text);
	ASSERT_EQ(rados_unlock(pool, "locked", "lock", "config"), 0);
	ASSERT_TRUE(commit_next(hasty));
	cluster_pool_close(pool);
}

/* ---- rows ---- */

static void put_key(void *argument, const char *key, const char *text)
{
	char *all = argument;
	size_t len = strlen(all);
	(void)snprintf(all + len, 1024 - len, "%s=%s;", key, text);
}

TEST(rows_compare_before_they_change_and_are_listed_in_order)
{
	AUTO_PLACE struct place place = place_open("rows");
	struct store *store = place.store;
	AUTO_FREE char *text = NULL;
	char all[1024] = "";
	ASSERT_EQ(store_list_rows(store, "", put_key, all, NULL), 0);
	ASSERT_EQ(store_get_row(store, "a/1", &text, NULL), -ENOENT);
	ASSERT_EQ(store_put_row(store, "a/1", "x", "y", NULL), -ECANCELED);
	ASSERT_EQ(store_put_row(store, "a/1", NULL, "y", NULL), 0);
	ASSERT_EQ(store_put_row(store, "a/1", NULL, "z", NULL), -ECANCELED);
	ASSERT_EQ(store_put_row(store, "a/1", "y", "", NULL), -EINVAL);
	ASSERT_EQ(store_put_row(store, "a/1", "y", "z", NULL), 0);
	ASSERT_EQ(store_get_row(store, "a/1", &text, NULL), 0);
	ASSERT_STR_EQ(text, "z");
	ASSERT_EQ(store_put_row(store, "b", NULL, "2", NULL), 0);
	ASSERT_EQ(store_put_row(store, "a/0", NULL, "0", NULL), 0);
	ASSERT_EQ(store_list_rows(store, "a/", put_key, all, NULL), 0);
	ASSERT_STR_EQ(all, "a/0=0;a/1=z;");
	ASSERT_EQ(store_put_row(store, "a/1", "y", NULL, NULL), -ECANCELED);
	ASSERT_EQ(store_put_row(store, "a/1", "z", NULL, NULL), 0);
	char *none = NULL;
	ASSERT_EQ(store_get_row(store, "a/1", &none, NULL), -ENOENT);
}

static void count_row(void *argument, const char *key, const char *text)
{
	++*(unsigned *)argument;
}

static uint64_t rows_version(const struct place *place)
{
	uint64_t version = 0;
	ASSERT_EQ(store_rows_version(place->store, &version, NULL), 0);
	return version;
}

TEST(every_change_of_a_row_changes_the_version_and_messages_do_not)
{
	AUTO_PLACE struct place place = place_open("version"), other = place_open("version");
	static const struct {
		const char *key, *expected, *text;
	} changes[] = {
		{ "owner/a", NULL, "1" }, { "owner/b", NULL, "1" }, { "owner/a", "1", "2" },
		{ "owner/a", "2", "1" },  { "owner/b", "1", NULL }, { "owner/b", NULL, "1" },
	};
	ASSERT_EQ(rows_version(&place), 0);
	uint64_t before = 0;
	for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
		ASSERT_EQ(store_put_row(other.store, changes[i].key, changes[i].expected,
		                        changes[i].text, NULL),
		          0);
		uint64_t version = rows_version(&place);
		ASSERT_TRUE(version > before);
		ASSERT_EQ(store_tell(other.store, "{}", NULL), 0);
		ASSERT_EQ(store_put_row(other.store, "owner/a", "no", "3", NULL), -ECANCELED);
		ASSERT_EQ(rows_version(&place), version);
		before = version;
	}
}

TEST(more_rows_than_a_page_are_all_listed)
{
	AUTO_PLACE struct place place = place_open("pages");
	unsigned count = 0;
	for (unsigned i = 0; i < 1030; i++) {
		char key[16];
		(void)snprintf(key, sizeof key, "k%05u", i);
		ASSERT_EQ(store_put_row(place.store, key, NULL, "x", NULL), 0);
	}
	ASSERT_EQ(store_list_rows(place.store, "k", count_row, &count, NULL), 0);
	ASSERT_EQ(count, 1030);
}

TEST(rows_that_change_at_once_do_so_all_or_not_at_all)
{
	AUTO_PLACE struct place place = place_open("at once");
	check_rows_change_at_once(place.store);
}

/* ---- many threads ---- */

#define THREADS 16
#define ROUNDS  8

struct counting_thread {
	struct store *store;
	int number;
	pthread_t thread;
	unsigned lost; /* guards that failed on the row of all */
};

/* Counts the row up by one; false: somebody was faster. */
static bool count_up(struct store *store, const char *key)
{
	AUTO_FREE char *text = NULL;
	char next[16];
	int r = store_get_row(store, key, &text, NULL);
	(void)snprintf(next, sizeof next, "%d", r == 0 ? atoi(text) + 1 : 1);
	r = store_put_row(store, key, r == 0 ? text : NULL, next, NULL);
	assert_true(r == 0 || r == -ECANCELED);
	return r == 0;
}

static void *count_rows(void *argument)
{
	struct counting_thread *counting = argument;
	char own[16];
	(void)snprintf(own, sizeof own, "own/%d", counting->number);
	for (int i = 0; i < ROUNDS; i++) {
		assert_true(count_up(counting->store, own));
		while (!count_up(counting->store, "all"))
			counting->lost++;
	}
	return NULL;
}

TEST(changes_of_many_threads_travel_together_and_each_keeps_its_guard)
{
	AUTO_PLACE struct place place = place_open("batched"), other = place_open("batched");
	struct counting_thread threads[THREADS];
	unsigned lost = 0;
	for (int i = 0; i < THREADS; i++) {
		threads[i] = (struct counting_thread){ .store = i % 2 ? place.store : other.store,
			                               .number = i };
		ASSERT_EQ(pthread_create(&threads[i].thread, NULL, count_rows, &threads[i]), 0);
	}
	for (int i = 0; i < THREADS; i++) {
		ASSERT_EQ(pthread_join(threads[i].thread, NULL), 0);
		lost += threads[i].lost;
	}
	print_message("# %u guards failed\n", lost);
	AUTO_FREE char *all = NULL;
	ASSERT_EQ(store_get_row(place.store, "all", &all, NULL), 0);
	ASSERT_EQ(atoi(all), THREADS * ROUNDS);
	for (int i = 0; i < THREADS; i++) {
		AUTO_FREE char *own = NULL;
		char key[16];
		(void)snprintf(key, sizeof key, "own/%d", i);
		ASSERT_EQ(store_get_row(place.store, key, &own, NULL), 0);
		ASSERT_EQ(atoi(own), ROUNDS);
	}
}

/* As gateways that take hundreds of disks: each changes two rows of its own while its guard stands,
 * which changes now and then. */
struct guarded_thread {
	struct store *store;
	int number;
	pthread_t thread;
};

static char *row_of(struct store *store, const char *key)
{
	char *text = NULL;
	return store_get_row(store, key, &text, NULL) == 0 ? text : NULL;
}

static int change_pair(const struct guarded_thread *guarded, int round)
{
	char one[16], two[16], before[16], after[16];
	AUTO_FREE char *guard = row_of(guarded->store, "guard");
	(void)snprintf(one, sizeof one, "one/%d", guarded->number);
	(void)snprintf(two, sizeof two, "two/%d", guarded->number);
	(void)snprintf(before, sizeof before, "%d", round - 1);
	(void)snprintf(after, sizeof after, "%d", round);
	const struct store_change changes[] = {
		{ .key = one, .expected = round > 1 ? before : NULL, .text = after },
		{ .key = "guard", .expected = guard, .text = guard },
		{ .key = two, .expected = round > 1 ? before : NULL, .text = after },
	};
	return store_put_rows_at_once(guarded->store, changes, ARRAY_LEN(changes), NULL);
}

static void *change_pairs(void *argument)
{
	const struct guarded_thread *guarded = argument;
	for (int round = 1; round <= ROUNDS; round++) {
		int r;
		do
			r = change_pair(guarded, round);
		while (r == -ECANCELED); /* by the guard alone */
		assert_int_equal(r, 0);
		if (guarded->number == 0)
			(void)count_up(guarded->store, "guard");
	}
	return NULL;
}

TEST(what_changes_at_once_travels_with_others_and_keeps_its_guard)
{
	AUTO_PLACE struct place place = place_open("guarded"), other = place_open("guarded");
	struct guarded_thread threads[THREADS];
	ASSERT_TRUE(count_up(place.store, "guard"));
	for (int i = 0; i < THREADS; i++) {
		threads[i] = (struct guarded_thread){ .store = i % 2 ? place.store : other.store,
			                              .number = i };
		ASSERT_EQ(pthread_create(&threads[i].thread, NULL, change_pairs, &threads[i]), 0);
	}
	for (int i = 0; i < THREADS; i++)
		ASSERT_EQ(pthread_join(threads[i].thread, NULL), 0);
	for (int i = 0; i < THREADS; i++) {
		char one[16], two[16];
		(void)snprintf(one, sizeof one, "one/%d", i);
		(void)snprintf(two, sizeof two, "two/%d", i);
		AUTO_FREE char *first = row_of(place.store, one),
		               *second = row_of(place.store, two);
		ASSERT_EQ(atoi(first), ROUNDS);
		ASSERT_STR_EQ(first, second);
	}
}

/* ---- members ---- */

struct counting_listener {
	struct store_listener listener;
	atomic_uint changes;
};

static void count_change(struct store_listener *listener)
{
	atomic_fetch_add(&container_of(listener, struct counting_listener, listener)->changes, 1);
}

static void wait_for_changes(struct counting_listener *counting, unsigned more_than)
{
	uint64_t deadline_ms = clock_monotonic_ms() + DEADLINE_MS;
	while (atomic_load(&counting->changes) <= more_than) {
		assert_true(clock_monotonic_ms() < deadline_ms);
		(void)poll(NULL, 0, 5);
	}
}

TEST(a_member_is_told_of_announcements_and_sees_writers_that_do_not_notify)
{
	AUTO_PLACE struct place place = place_open("followed"), writer = place_open("followed");
	struct counting_listener counting = { .listener.changed = count_change };
	ASSERT_EQ(store_join(place.store, "gw1", &counting.listener, NULL), 0);
	wait_for_changes(&counting, 0);
	struct store_answer *answers = NULL;
	size_t count = 0;
	unsigned seen = atomic_load(&counting.changes);
	ASSERT_EQ(store_announce(writer.store, 1, 0, &answers, &count, NULL), 0);
	wait_for_changes(&counting, seen);
	ASSERT_EQ(count, 1);
	ASSERT_STR_EQ(answers[0].gateway, "gw1");
	ASSERT_EQ(answers[0].state, STORE_MEMBER_SILENT);
	free(answers);
	seen = atomic_load(&counting.changes);
	void *pool = pool_of(&writer);
	ASSERT_EQ(rados_write_full(pool, "followed", "{\"epoch\": 9}", 12), 0);
	cluster_pool_close(pool);
	wait_for_changes(&counting, seen);
	/* One name, one live member. */
	ASSERT_EQ(store_join(writer.store, "gw1", &counting.listener, NULL), -EBUSY);
	store_leave(place.store);
	ASSERT_EQ(store_join(writer.store, "gw1", &counting.listener, NULL), 0);
}

/* What start_gateway() starts; does nothing when run as a test. */
TEST(helper_process)
{
	const char *object = getenv("HELPER_OBJECT"), *problem = getenv("HELPER_PROBLEM");
	if (!object)
		return;
	static struct counting_listener counting = { .listener.changed = count_change };
	struct place place = place_open(object);
	if (store_join(place.store, getenv("HELPER_NAME"), &counting.listener, NULL) < 0 ||
	    (problem && store_report(place.store, 5, problem, NULL) < 0) || write(3, "x", 1) != 1)
		_exit(1);
	for (;;)
		(void)pause();
}

/* A gateway in a process of its own: joins, reports epoch 5 if asked to, waits. */
static pid_t start_gateway(const char *object, const char *name, const char *problem)
{
	int pipe_fds[2];
	char byte;
	assert_int_equal(pipe(pipe_fds), 0);
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		(void)dup2(pipe_fds[1], 3);
		(void)setenv("HELPER_OBJECT", object, 1);
		(void)setenv("HELPER_NAME", name, 1);
		if (problem)
			(void)setenv("HELPER_PROBLEM", problem, 1);
		(void)dup2(STDERR_FILENO, STDOUT_FILENO); /* stdout carries the test's own TAP */
		(void)execl("/proc/self/exe", "gateway", "helper_process", (char *)NULL);
		_exit(2);
	}
	close(pipe_fds[1]);
	assert_int_equal(read(pipe_fds[0], &byte, 1), 1);
	close(pipe_fds[0]);
	return child;
}

static void kill_gateway(pid_t child)
{
	int status;
	assert_int_equal(kill(child, SIGKILL), 0);
	assert_int_equal(waitpid(child, &status, 0), child);
}

static int state_of(struct store *store, const char *gateway)
{
	struct store_answer *answers = NULL;
	size_t count = 0;
	int state = -1;
	assert_int_equal(store_announce(store, 5, 1000, &answers, &count, NULL), 0);
	for (size_t i = 0; i < count; i++)
		if (!strcmp(answers[i].gateway, gateway))
			state = (int)answers[i].state;
	free(answers);
	return state;
}

TEST(an_announcement_says_who_applied_failed_or_is_silent_and_omits_the_dead)
{
	AUTO_PLACE struct place place = place_open("announced");
	ASSERT_EQ(state_of(place.store, "good"), -1);
	pid_t good = start_gateway("announced", "good", "");
	pid_t bad = start_gateway("announced", "bad", "no such image");
	pid_t silent = start_gateway("announced", "silent", NULL);
	pid_t hung = start_gateway("announced", "hung", NULL);
	ASSERT_EQ(state_of(place.store, "good"), STORE_MEMBER_APPLIED);
	ASSERT_EQ(state_of(place.store, "bad"), STORE_MEMBER_FAILED);
	ASSERT_EQ(state_of(place.store, "silent"), STORE_MEMBER_SILENT);
	ASSERT_EQ(kill(hung, SIGSTOP), 0);
	ASSERT_EQ(state_of(place.store, "hung"), STORE_MEMBER_SILENT);
	ASSERT_EQ(state_of(place.store, "good"), STORE_MEMBER_APPLIED);
	kill_gateway(good);
	uint64_t deadline_ms = clock_monotonic_ms() + DEADLINE_MS;
	while (state_of(place.store, "good") != -1)
		ASSERT_TRUE(clock_monotonic_ms() < deadline_ms);
	ASSERT_EQ(state_of(place.store, "bad"), STORE_MEMBER_FAILED);
	/* The name of a dead gateway is free, and its report is forgotten. */
	good = start_gateway("announced", "good", NULL);
	ASSERT_EQ(state_of(place.store, "good"), STORE_MEMBER_SILENT);
	kill_gateway(good);
	kill_gateway(bad);
	kill_gateway(silent);
	kill_gateway(hung);
}

struct reporting {
	struct store_listener listener;
	atomic_bool told;
};

static void note_told(struct store_listener *listener)
{
	atomic_store(&container_of(listener, struct reporting, listener)->told, true);
}

static void *announce_seven(void *argument)
{
	struct store_answer *answers = NULL;
	size_t count = 0;
	intptr_t state = -1;
	if (store_announce(argument, 7, DEADLINE_MS, &answers, &count, NULL) == 0 && count == 1)
		state = answers[0].state;
	free(answers);
	return (void *)state;
}

TEST(an_announcement_returns_when_the_last_one_has_reported)
{
	AUTO_PLACE struct place place = place_open("waited"), announcer = place_open("waited");
	struct reporting reporting = { .listener.changed = note_told };
	ASSERT_EQ(store_join(place.store, "gw1", &reporting.listener, NULL), 0);
	pthread_t thread;
	void *result;
	uint64_t begun_ms = clock_monotonic_ms();
	ASSERT_EQ(pthread_create(&thread, NULL, announce_seven, announcer.store), 0);
	while (!atomic_load(&reporting.told))
		(void)poll(NULL, 0, 1);
	ASSERT_EQ(store_report(place.store, 7, "", NULL), 0);
	ASSERT_EQ(pthread_join(thread, &result), 0);
	ASSERT_EQ((intptr_t)result, STORE_MEMBER_APPLIED);
	ASSERT_TRUE(clock_monotonic_ms() - begun_ms < DEADLINE_MS / 2);
}

static void run_ceph(const char *format, const char *argument)
{
	char command[512], arguments[256];
	(void)snprintf(arguments, sizeof arguments, format, argument);
	(void)snprintf(command, sizeof command,
	               "CEPH_ARGS= ceph --name client.admin %s >/dev/null 2>&1", arguments);
	assert_int_equal(system(command), 0);
}

/* ---- messages ---- */

TEST(all_members_are_told_also_the_one_that_tells)
{
	AUTO_PLACE struct place one = place_open("told"), two = place_open("told");
	AUTO_PLACE struct place deaf = place_open("told");
	check_all_are_told(one.store, two.store, deaf.store);
}

TEST(a_dead_member_holds_up_a_message_for_a_second_or_so)
{
	AUTO_PLACE struct place place = place_open("told_dead");
	struct hearing_listener hearing = HEARING;
	pid_t dead = start_gateway("told_dead", "dead", NULL);
	kill_gateway(dead);
	ASSERT_EQ(store_join(place.store, "gw1", &hearing.listener, NULL), 0);
	ASSERT_EQ(store_tell(place.store, "hello", NULL), 0);
	wait_to_hear(&hearing, 1, "hello");
	store_leave(place.store);
	free(hearing.heard);
}

TEST(a_watch_lost_by_blocklisting_is_set_up_again)
{
	AUTO_PLACE struct place place = place_open("blocked"), other = place_open("blocked");
	struct counting_listener counting = { .listener.changed = count_change };
	ASSERT_EQ(store_join(place.store, "gw1", &counting.listener, NULL), 0);
	ASSERT_EQ(store_report(place.store, 5, "", NULL), 0);
	ASSERT_EQ(state_of(other.store, "gw1"), STORE_MEMBER_APPLIED);
	const char *address = cluster_client_address(place.cluster);
	run_ceph("osd blocklist add %s 3600", address);
	uint64_t deadline_ms = clock_monotonic_ms() + DEADLINE_MS;
	while (state_of(other.store, "gw1") != -1)
		ASSERT_TRUE(clock_monotonic_ms() < deadline_ms);
	unsigned seen = atomic_load(&counting.changes);
	run_ceph("osd blocklist rm %s", address);
	wait_for_changes(&counting, seen);
	ASSERT_EQ(state_of(other.store, "gw1"), STORE_MEMBER_APPLIED);
}

/* A writer that dies anywhere inside its commits leaves a whole object, and at worst a lock that
 * lapses. */
TEST(helper_writer)
{
	const char *object = getenv("WRITER_OBJECT");
	if (!object)
		return;
	struct place place = place_open(object);
	for (;;)
		if (commit_next(place.store) && write(3, "x", 1) != 1)
			_exit(1);
}

TEST(a_writer_killed_inside_a_commit_holds_up_the_others_only_until_its_lock_lapses)
{
	AUTO_PLACE struct place place = place_open("killed");
	struct store_version version = version_of(place.store);
	ASSERT_EQ(store_commit(place.store, "{\"epoch\": 0}", 0, &version, NULL), 0);
	for (int round = 0; round < 3; round++) {
		int pipe_fds[2], status;
		char bytes[2];
		ASSERT_EQ(pipe(pipe_fds), 0);
		pid_t child = fork();
		if (child == 0) {
			(void)dup2(pipe_fds[1], 3);
			(void)dup2(STDERR_FILENO, STDOUT_FILENO);
			(void)setenv("WRITER_OBJECT", "killed", 1);
			(void)execl("/proc/self/exe", "writer", "helper_writer", (char *)NULL);
			_exit(2);
		}
		close(pipe_fds[1]);
		ASSERT_TRUE(read(pipe_fds[0], bytes, sizeof bytes) > 0);
		ASSERT_EQ(kill(child, SIGKILL), 0);
		ASSERT_EQ(waitpid(child, &status, 0), child);
		close(pipe_fds[0]);
		AUTO_FREE char *text = NULL;
		ASSERT_EQ(store_load(place.store, &text, &version, NULL), 0);
		char expected[64];
		(void)snprintf(expected, sizeof expected, "{\"epoch\": %llu}",
		               (unsigned long long)version.epoch);
		ASSERT_STR_EQ(text, expected);
		ASSERT_TRUE(commit_next(place.store));
	}
}
