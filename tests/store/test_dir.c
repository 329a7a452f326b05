#include "base/reactor.h"
#include "hearing.h"
#include "store/store.h"
#include "test.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#define DEADLINE_MS 60000

/* A folder of its own for each test. */
static char *new_folder(void)
{
	static unsigned count;
	char *path;
	assert_true(asprintf(&path, "%s/store-%u", test_folder(), count++) > 0);
	return path;
}

static struct store *opened(const char *path)
{
	struct store_config config = { .kind = "dir", .path = path, .object = "gateway.conf" };
	struct store *store = NULL;
	struct error err = { 0 };
	if (store_open(&config, &store, &err) < 0)
		fail_msg("%s", err.text);
	return store;
}

static struct store_version version_of(struct store *store)
{
	AUTO_FREE char *text = NULL;
	struct store_version version = { 0 };
	assert_int_equal(store_load(store, &text, &version, NULL), 0);
	return version;
}

TEST(an_object_that_is_not_there_loads_as_nothing)
{
	AUTO_FREE char *path = new_folder();
	AUTO(store) struct store *store = opened(path);
	AUTO_FREE char *text = NULL;
	struct store_version version = { .exists = true };
	ASSERT_EQ(store_load(store, &text, &version, NULL), 0);
	ASSERT_STR_EQ(text, "");
	ASSERT_FALSE(version.exists);
	ASSERT_EQ(version.epoch, 0);
}

TEST(a_commit_is_guarded_by_what_was_loaded)
{
	AUTO_FREE char *path = new_folder();
	AUTO(store) struct store *store = opened(path), *other = opened(path);
	struct store_version missing = version_of(store);
	ASSERT_EQ(store_commit(store, "{\"epoch\": 1}", 1, &missing, NULL), 0);
	struct store_version first = version_of(other);
	ASSERT_TRUE(first.exists);
	ASSERT_EQ(first.epoch, 1);
	ASSERT_EQ(store_commit(store, "{\"epoch\": 1}", 1, &missing, NULL), -ECANCELED);
	ASSERT_EQ(store_commit(other, "{\"epoch\": 2}", 2, &first, NULL), 0);
	ASSERT_EQ(store_commit(store, "{\"epoch\": 2, \"x\": 1}", 2, &first, NULL), -ECANCELED);
	AUTO_FREE char *text = NULL;
	ASSERT_EQ(store_load(store, &text, &first, NULL), 0);
	ASSERT_STR_EQ(text, "{\"epoch\": 2}");
}

static void write_by_hand(const char *folder, const char *text)
{
	char path[512];
	(void)snprintf(path, sizeof path, "%s/gateway.conf", folder);
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	(void)fputs(text, file);
	(void)fclose(file);
}

TEST(an_edit_by_hand_counts_as_a_change)
{
	AUTO_FREE char *path = new_folder();
	AUTO(store) struct store *store = opened(path);
	write_by_hand(path, "{\"epoch\": 7}");
	struct store_version before = version_of(store);
	write_by_hand(path, "{\"epoch\": 7, \"x\": 1}");
	ASSERT_EQ(store_commit(store, "{}", 8, &before, NULL), -ECANCELED);
}

static void put_key(void *argument, const char *key, const char *text)
{
	char *all = argument;
	size_t len = strlen(all);
	(void)snprintf(all + len, 1024 - len, "%s=%s;", key, text);
}

TEST(rows_compare_before_they_change)
{
	AUTO_FREE char *path = new_folder();
	AUTO(store) struct store *store = opened(path);
	AUTO_FREE char *text = NULL;
	ASSERT_EQ(store_get_row(store, "gateway/a", &text, NULL), -ENOENT);
	ASSERT_EQ(store_put_row(store, "gateway/a", "old", "1", NULL), -ECANCELED);
	ASSERT_EQ(store_put_row(store, "gateway/a", NULL, "1", NULL), 0);
	ASSERT_EQ(store_put_row(store, "gateway/a", NULL, "2", NULL), -ECANCELED);
	ASSERT_EQ(store_put_row(store, "gateway/a", "1", "2", NULL), 0);
	ASSERT_EQ(store_get_row(store, "gateway/a", &text, NULL), 0);
	ASSERT_STR_EQ(text, "2");
	ASSERT_EQ(store_put_row(store, "gateway/a", "1", NULL, NULL), -ECANCELED);
	ASSERT_EQ(store_put_row(store, "gateway/a", "2", NULL, NULL), 0);
	ASSERT_EQ(store_put_row(store, "gateway/a", NULL, NULL, NULL), 0);
	char *none = NULL;
	ASSERT_EQ(store_get_row(store, "gateway/a", &none, NULL), -ENOENT);
}

TEST(rows_that_change_at_once_do_so_all_or_not_at_all)
{
	AUTO_FREE char *path = new_folder();
	AUTO(store) struct store *store = opened(path);
	check_rows_change_at_once(store);
}

TEST(rows_are_listed_by_prefix_in_order_whatever_their_keys)
{
	static const char *const keys[] = { "b/2", "b/1", "b/..", "b/a%b", "a/1", ".", "b" };
	AUTO_FREE char *path = new_folder();
	AUTO(store) struct store *store = opened(path);
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		ASSERT_EQ(store_put_row(store, keys[i], NULL, "x", NULL), 0);
	char all[1024] = "";
	ASSERT_EQ(store_list_rows(store, "b/", put_key, all, NULL), 0);
	ASSERT_STR_EQ(all, "b/..=x;b/1=x;b/2=x;b/a%b=x;");
	all[0] = '\0';
	ASSERT_EQ(store_list_rows(store, "", put_key, all, NULL), 0);
	ASSERT_STR_EQ(all, ".=x;a/1=x;b=x;b/..=x;b/1=x;b/2=x;b/a%b=x;");
	char long_key[400];
	memset(long_key, 'k', sizeof long_key - 1);
	long_key[sizeof long_key - 1] = '\0';
	ASSERT_EQ(store_put_row(store, long_key, NULL, "x", NULL), -ENAMETOOLONG);
}

/* ---- several processes ---- */

/* "{"epoch": N, "pad": "zzz..."}" with a pad whose length and letter follow from N. */
static char *object_of(uint64_t epoch)
{
	char *text;
	size_t pad_len = 1000 + epoch * 7919 % 50000;
	AUTO_FREE char *pad = malloc(pad_len + 1);
	assert_non_null(pad);
	memset(pad, 'a' + (int)(epoch % 26), pad_len);
	pad[pad_len] = '\0';
	assert_true(asprintf(&text, "{\"epoch\": %llu, \"pad\": \"%s\"}", (unsigned long long)epoch,
	                     pad) > 0);
	return text;
}

/* One commit on top of what is there; says so with a byte. */
static void commit_next(struct store *store, int pipe_fd)
{
	struct store_version version = version_of(store);
	AUTO_FREE char *text = object_of(version.epoch + 1);
	int r = store_commit(store, text, version.epoch + 1, &version, NULL);
	if (r == 0 && write(pipe_fd, "x", 1) != 1)
		_exit(3);
	if (r < 0 && r != -ECANCELED)
		_exit(4);
}

static pid_t start_child(const char *path, int pipe_fd, unsigned commits)
{
	pid_t child = fork();
	assert_true(child >= 0);
	if (child > 0)
		return child;
	struct store *store = opened(path);
	struct store_version version = { 0 };
	for (unsigned done = 0; done < commits;) {
		uint64_t before = version.epoch;
		commit_next(store, pipe_fd);
		version = version_of(store);
		done += version.epoch > before;
	}
	_exit(0);
}

TEST(a_writer_killed_at_any_moment_leaves_a_whole_object)
{
	AUTO_FREE char *path = new_folder();
	AUTO(store) struct store *store = opened(path);
	for (int round = 0; round < 25; round++) {
		int pipe_fds[2], status;
		char byte;
		ASSERT_EQ(pipe(pipe_fds), 0);
		pid_t child = start_child(path, pipe_fds[1], 1000000);
		close(pipe_fds[1]);
		ASSERT_EQ(read(pipe_fds[0], &byte, 1), 1); /* it is in its loop */
		/* Somewhere inside the following commit or two. */
		(void)poll(NULL, 0, round % 5);
		ASSERT_EQ(kill(child, SIGKILL), 0);
		ASSERT_EQ(waitpid(child, &status, 0), child);
		ASSERT_TRUE(WIFSIGNALED(status));
		close(pipe_fds[0]);
		AUTO_FREE char *text = NULL;
		struct store_version version;
		ASSERT_EQ(store_load(store, &text, &version, NULL), 0);
		AUTO_FREE char *expected = object_of(version.epoch);
		ASSERT_TRUE(version.epoch >= 1);
		ASSERT_STR_EQ(text, expected);
		AUTO_FREE char *next = object_of(version.epoch + 1);
		ASSERT_EQ(store_commit(store, next, version.epoch + 1, &version, NULL), 0);
	}
}

TEST(writers_that_race_lose_no_update)
{
	enum { WRITERS = 3 };
	AUTO_FREE char *path = new_folder();
	AUTO(store) struct store *store = opened(path);
	pid_t children[WRITERS];
	int pipe_fds[2], status;
	ASSERT_EQ(pipe(pipe_fds), 0);
	for (int i = 0; i < WRITERS; i++) {
		children[i] = fork();
		ASSERT_TRUE(children[i] >= 0);
		if (children[i] == 0) {
			struct store *own = opened(path);
			for (int attempt = 0; attempt < 60; attempt++)
				commit_next(own, pipe_fds[1]);
			_exit(0);
		}
	}
	close(pipe_fds[1]);
	uint64_t committed = 0;
	char bytes[64];
	ssize_t n;
	while ((n = read(pipe_fds[0], bytes, sizeof bytes)) > 0)
		committed += (uint64_t)n;
	for (int i = 0; i < WRITERS; i++) {
		ASSERT_EQ(waitpid(children[i], &status, 0), children[i]);
		ASSERT_EQ(status, 0);
	}
	close(pipe_fds[0]);
	ASSERT_TRUE(committed >= 60);
	ASSERT_EQ(version_of(store).epoch, committed);
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
		(void)poll(NULL, 0, 1);
	}
}

TEST(a_member_is_told_of_commits_announcements_and_edits)
{
	AUTO_FREE char *path = new_folder();
	AUTO(store) struct store *store = opened(path), *writer = opened(path);
	struct counting_listener counting = { .listener.changed = count_change };
	ASSERT_EQ(store_join(store, "gw1", &counting.listener, NULL), 0);
	wait_for_changes(&counting, 0);
	struct store_version version = version_of(writer);
	unsigned seen = atomic_load(&counting.changes);
	ASSERT_EQ(store_commit(writer, "{}", 1, &version, NULL), 0);
	wait_for_changes(&counting, seen);
	seen = atomic_load(&counting.changes);
	write_by_hand(path, "{\"epoch\": 2}");
	wait_for_changes(&counting, seen);
	seen = atomic_load(&counting.changes);
	struct store_answer *answers = NULL;
	size_t count = 0;
	ASSERT_EQ(store_announce(writer, 2, 0, &answers, &count, NULL), 0);
	wait_for_changes(&counting, seen);
	ASSERT_EQ(count, 1);
	ASSERT_EQ(answers[0].state, STORE_MEMBER_SILENT);
	free(answers);
}

TEST(a_name_belongs_to_one_live_member)
{
	AUTO_FREE char *path = new_folder();
	AUTO(store) struct store *store = opened(path), *other = opened(path);
	struct counting_listener counting = { .listener.changed = count_change };
	ASSERT_EQ(store_join(store, "gw1", &counting.listener, NULL), 0);
	ASSERT_EQ(store_join(other, "gw1", &counting.listener, NULL), -EBUSY);
	ASSERT_EQ(store_join(store, "gw2", &counting.listener, NULL), -EBUSY);
	store_leave(store);
	ASSERT_EQ(store_join(other, "gw1", &counting.listener, NULL), 0);
	ASSERT_EQ(store_report(store, 1, "", NULL), -ENOTCONN);
}

/* A gateway in a process of its own: joins, reports epoch 5 if asked to, tells the test, waits. */
static pid_t start_gateway(const char *path, const char *name, const char *problem)
{
	int pipe_fds[2];
	char byte;
	assert_int_equal(pipe(pipe_fds), 0);
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		static struct counting_listener counting = { .listener.changed = count_change };
		struct store *store = opened(path);
		if (store_join(store, name, &counting.listener, NULL) < 0 ||
		    (problem && store_report(store, 5, problem, NULL) < 0) ||
		    write(pipe_fds[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			(void)pause();
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

static const struct store_answer *answer_of(const struct store_answer *answers, size_t count,
                                            const char *gateway)
{
	for (size_t i = 0; i < count; i++)
		if (!strcmp(answers[i].gateway, gateway))
			return &answers[i];
	return NULL;
}

TEST(an_announcement_says_who_applied_failed_or_is_silent_and_omits_the_dead)
{
	AUTO_FREE char *path = new_folder();
	AUTO(store) struct store *store = opened(path);
	struct store_answer *answers = NULL;
	size_t count = 9;
	ASSERT_EQ(store_announce(store, 5, 10, &answers, &count, NULL), 0);
	ASSERT_EQ(count, 0);
	pid_t good = start_gateway(path, "gw/good", "");
	pid_t bad = start_gateway(path, "gw-bad", "no such image");
	pid_t silent = start_gateway(path, "gw-silent", NULL);
	pid_t dead = start_gateway(path, "gw-dead", "");
	kill_gateway(dead);
	ASSERT_EQ(store_announce(store, 5, 10, &answers, &count, NULL), 0);
	ASSERT_EQ(count, 3);
	ASSERT_EQ(answer_of(answers, count, "gw/good")->state, STORE_MEMBER_APPLIED);
	ASSERT_EQ(answer_of(answers, count, "gw-bad")->state, STORE_MEMBER_FAILED);
	ASSERT_STR_EQ(answer_of(answers, count, "gw-bad")->text, "no such image");
	ASSERT_EQ(answer_of(answers, count, "gw-silent")->state, STORE_MEMBER_SILENT);
	free(answers);
	ASSERT_EQ(store_announce(store, 6, 0, &answers, &count, NULL), 0);
	ASSERT_EQ(answer_of(answers, count, "gw/good")->state, STORE_MEMBER_SILENT);
	free(answers);
	kill_gateway(good);
	kill_gateway(bad);
	kill_gateway(silent);
	/* The name of a dead gateway is free again, and its report is forgotten. */
	struct counting_listener counting = { .listener.changed = count_change };
	ASSERT_EQ(store_join(store, "gw/good", &counting.listener, NULL), 0);
	AUTO(store) struct store *announcer = opened(path);
	ASSERT_EQ(store_announce(announcer, 5, 0, &answers, &count, NULL), 0);
	ASSERT_EQ(count, 1);
	ASSERT_EQ(answers[0].state, STORE_MEMBER_SILENT);
	free(answers);
}

/* Reports whatever it is told of, from its own thread. */
struct reporting {
	struct store_listener listener;
	struct store *store;
};

static void report_six(struct store_listener *listener)
{
	struct reporting *reporting = container_of(listener, struct reporting, listener);
	assert_int_equal(store_report(reporting->store, 6, "", NULL), 0);
}

TEST(an_announcement_returns_when_the_last_one_has_reported)
{
	AUTO_FREE char *path = new_folder();
	AUTO(store) struct store *store = opened(path), *announcer = opened(path);
	struct reporting reporting = { .listener.changed = report_six, .store = store };
	ASSERT_EQ(store_join(store, "gw1", &reporting.listener, NULL), 0);
	struct store_answer *answers = NULL;
	size_t count = 0;
	uint64_t begun_ms = clock_monotonic_ms();
	ASSERT_EQ(store_announce(announcer, 6, 10 * DEADLINE_MS, &answers, &count, NULL), 0);
	ASSERT_TRUE(clock_monotonic_ms() - begun_ms < DEADLINE_MS);
	ASSERT_EQ(count, 1);
	ASSERT_EQ(answers[0].state, STORE_MEMBER_APPLIED);
	free(answers);
}

/* ---- messages ---- */

TEST(all_members_are_told_also_the_one_that_tells)
{
	AUTO_FREE char *path = new_folder();
	AUTO(store) struct store *one = opened(path), *two = opened(path), *deaf = opened(path);
	check_all_are_told(one, two, deaf);
}

TEST(neither_the_dead_nor_the_stopped_keep_the_others_from_being_told)
{
	AUTO_FREE char *path = new_folder();
	AUTO(store) struct store *store = opened(path);
	struct hearing_listener hearing = HEARING;
	pid_t dead = start_gateway(path, "dead", NULL);
	pid_t stopped = start_gateway(path, "stopped", NULL);
	kill_gateway(dead);
	ASSERT_EQ(kill(stopped, SIGSTOP), 0);
	ASSERT_EQ(store_join(store, "gw1", &hearing.listener, NULL), 0);
	AUTO_FREE char *text = long_text(64 * 1024);
	for (unsigned i = 1; i <= 8; i++) { /* fills the queue of the stopped one */
		ASSERT_EQ(store_tell(store, text, NULL), 0);
		wait_to_hear(&hearing, i, text);
	}
	kill_gateway(stopped);
	/* A name that comes back hears again. */
	store_leave(store);
	ASSERT_EQ(store_join(store, "dead", &hearing.listener, NULL), 0);
	ASSERT_EQ(store_tell(store, "back", NULL), 0);
	wait_to_hear(&hearing, 9, "back");
	free(hearing.heard);
}

TEST(a_relative_folder_or_an_unknown_kind_is_refused)
{
	struct store_config config = { .kind = "dir", .path = "x", .object = "gateway.conf" };
	struct store *store = NULL;
	ASSERT_EQ(store_open(&config, &store, NULL), -EINVAL);
	config.kind = "etcd";
	ASSERT_EQ(store_open(&config, &store, NULL), -EINVAL);
}
