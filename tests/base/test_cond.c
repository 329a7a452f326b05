#include "base/cond.h"

#include "base/reactor.h"
#include "test.h"

#define WAIT_MS     30
#define DEADLINE_MS 20000

struct box {
	pthread_mutex_t lock;
	pthread_cond_t filled;
	bool full;
};

static void *fill(void *argument)
{
	struct box *box = argument;
	(void)pthread_mutex_lock(&box->lock);
	box->full = true;
	(void)pthread_cond_signal(&box->filled);
	(void)pthread_mutex_unlock(&box->lock);
	return NULL;
}

TEST(a_wait_ends_at_its_moment_of_the_monotonic_clock_and_not_before)
{
	struct box box = { .lock = PTHREAD_MUTEX_INITIALIZER };
	const uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MS;
	cond_init_monotonic(&box.filled);
	(void)pthread_mutex_lock(&box.lock);
	while (cond_wait_until(&box.filled, &box.lock, deadline_ms))
		;
	ASSERT_TRUE(clock_monotonic_ms() >= deadline_ms);
	/* A moment that is past is no wait. */
	const uint64_t late_ms = clock_monotonic_ms() + DEADLINE_MS;
	while (cond_wait_until(&box.filled, &box.lock, deadline_ms - WAIT_MS))
		;
	ASSERT_TRUE(clock_monotonic_ms() < late_ms);
	(void)pthread_mutex_unlock(&box.lock);
	(void)pthread_cond_destroy(&box.filled);
}

TEST(a_signal_ends_a_wait_before_its_moment)
{
	struct box box = { .lock = PTHREAD_MUTEX_INITIALIZER };
	const uint64_t deadline_ms = clock_monotonic_ms() + DEADLINE_MS;
	pthread_t thread;
	bool in_time = true;
	cond_init_monotonic(&box.filled);
	(void)pthread_mutex_lock(&box.lock);
	ASSERT_EQ(pthread_create(&thread, NULL, fill, &box), 0);
	while (!box.full && in_time)
		in_time = cond_wait_until(&box.filled, &box.lock, deadline_ms);
	(void)pthread_mutex_unlock(&box.lock);
	ASSERT_TRUE(box.full && in_time);
	(void)pthread_join(thread, NULL);
	(void)pthread_cond_destroy(&box.filled);
}
