/* When events are written, and the oldest dropped. What writes and drops them is the test's. */
#include "ownership/history_writer.h"

#include "base/reactor.h"
#include "test.h"

#include <poll.h>
#include <stdatomic.h>

#define DEADLINE_MS 60000
#define EVENTS      640
#define TOGETHER    32 /* do not wait for more */
#define QUIET_MS    2000

static atomic_uint adds, writes, prunes;

uint64_t history_now_ms(void)
{
	return 1;
}

unsigned history_number(void)
{
	return 1;
}

int history_add(struct store *store, const struct history_event *events, size_t count,
                struct error *err)
{
	atomic_fetch_add(&writes, count > 0);
	atomic_fetch_add(&adds, (unsigned)count);
	return 0;
}

int history_prune(struct store *store, struct error *err)
{
	atomic_fetch_add(&prunes, 1);
	return 0;
}

static void await(atomic_uint *count, unsigned least)
{
	uint64_t deadline_ms = clock_monotonic_ms() + DEADLINE_MS;
	while (atomic_load(count) < least && clock_monotonic_ms() < deadline_ms)
		(void)poll(NULL, 0, 1);
	ASSERT_EQ(atomic_load(count), least);
}

TEST(what_happens_within_a_moment_is_written_at_once)
{
	struct history_writer *writer = NULL;
	ASSERT_EQ(history_writer_new(NULL, "gw-1", &writer), 0);
	uint64_t start_ms = clock_monotonic_ms();
	for (unsigned i = 0; i < 10; i++)
		history_write(writer, "hand-over", "rbd/disk_1", "event %u", i);
	uint64_t took_ms = clock_monotonic_ms() - start_ms;
	await(&adds, 10);
	ASSERT_TRUE(clock_monotonic_ms() >= start_ms + 100);
	if (took_ms < 100) /* else this test itself was stopped for a while */
		ASSERT_EQ(atomic_load(&writes), 1);
	history_writer_free(writer);
}

/* As when LUNs are handed over: one by one, each with an event. */
TEST(while_luns_move_nothing_is_dropped_and_once_it_is_quiet_it_is)
{
	struct history_writer *writer = NULL;
	atomic_store(&adds, 0);
	atomic_store(&prunes, 0);
	ASSERT_EQ(history_writer_new(NULL, "gw-1", &writer), 0);
	uint64_t longest_ms = 0, last_ms = clock_monotonic_ms();
	for (unsigned i = 1; i <= EVENTS; i++) {
		history_write(writer, "hand-over", "rbd/disk_1", "event %u", i);
		if (i % TOGETHER == 0)
			await(&adds, i);
		uint64_t now_ms = clock_monotonic_ms();
		longest_ms = now_ms - last_ms > longest_ms ? now_ms - last_ms : longest_ms;
		last_ms = now_ms;
	}
	if (longest_ms < QUIET_MS / 2) /* else this test itself was stopped for a while */
		ASSERT_EQ(atomic_load(&prunes), 0);
	await(&prunes, 1);
	history_writer_free(writer);
}

TEST(a_process_that_tells_little_drops_the_oldest_when_it_is_new)
{
	struct history_writer *writer = NULL;
	atomic_store(&prunes, 0);
	ASSERT_EQ(history_writer_new(NULL, "gw-1", &writer), 0);
	await(&prunes, 1);
	history_writer_free(writer);
}

TEST(the_end_waits_for_no_quiet)
{
	struct history_writer *writer = NULL;
	atomic_store(&adds, 0);
	ASSERT_EQ(history_writer_new(NULL, "gw-1", &writer), 0);
	for (unsigned i = 1; i <= 100; i++)
		history_write(writer, "hand-over", "rbd/disk_1", "event %u", i);
	uint64_t start_ms = clock_monotonic_ms();
	history_writer_free(writer);
	ASSERT_TRUE(clock_monotonic_ms() < start_ms + DEADLINE_MS);
	ASSERT_EQ(atomic_load(&adds), 100);
}
