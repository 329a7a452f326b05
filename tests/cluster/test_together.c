/* Threads that ask the same. */
#include "cluster/together.h"

#include "base/reactor.h"
#include "test.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <time.h>

#define THREADS 8
#define TIMES   50

static struct together together;
static atomic_int begun;

static int slow_ask(void *argument)
{
	int number = atomic_fetch_add(&begun, 1) + 1;
	(void)nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	return number;
}

static void *ask_often(void *argument)
{
	for (int i = 0; i < TIMES; i++) {
		int before = atomic_load(&begun);
		if (together_ask(&together, slow_ask, NULL) <= before)
			*(bool *)argument = true;
	}
	return NULL;
}

TEST(who_asks_gets_the_answer_to_a_question_that_was_asked_later)
{
	pthread_t threads[THREADS];
	bool old[THREADS] = { false };
	together_init(&together);
	for (size_t i = 0; i < THREADS; i++)
		ASSERT_EQ(pthread_create(&threads[i], NULL, ask_often, &old[i]), 0);
	for (size_t i = 0; i < THREADS; i++) {
		ASSERT_EQ(pthread_join(threads[i], NULL), 0);
		ASSERT_FALSE(old[i]);
	}
	ASSERT_TRUE(atomic_load(&begun) < THREADS * TIMES); /* some were shared */
	together_done(&together);
}

static int refuse(void *argument)
{
	return -5;
}

TEST(alone_each_time_is_asked_and_a_failure_is_told)
{
	together_init(&together);
	atomic_store(&begun, 0);
	ASSERT_EQ(together_ask(&together, slow_ask, NULL), 1);
	ASSERT_EQ(together_ask(&together, refuse, NULL), -5);
	ASSERT_EQ(together_ask(&together, slow_ask, NULL), 2);
	together_done(&together);
}

static int agree(void *argument)
{
	atomic_fetch_add(&begun, 1);
	return 0;
}

static uint64_t next_ms(void)
{
	uint64_t now_ms = clock_monotonic_ms();
	while (clock_monotonic_ms() == now_ms)
		continue;
	return now_ms;
}

TEST(an_answer_serves_who_wants_none_that_is_later)
{
	together_init(&together);
	atomic_store(&begun, 0);
	uint64_t first_ms = next_ms();
	ASSERT_EQ(together_ask_since(&together, first_ms, refuse, NULL), -5);
	ASSERT_EQ(together_ask_since(&together, first_ms, agree, NULL), 0);
	ASSERT_EQ(together_ask_since(&together, first_ms, refuse, NULL), 0);
	ASSERT_EQ(atomic_load(&begun), 1);
	uint64_t second_ms = clock_monotonic_ms(); /* or in the same millisecond */
	ASSERT_EQ(together_ask_since(&together, second_ms, refuse, NULL), -5);
	(void)next_ms();
	ASSERT_EQ(together_ask_since(&together, second_ms, agree, NULL), 0);
	ASSERT_EQ(together_ask_since(&together, first_ms, refuse, NULL), 0);
	ASSERT_EQ(together_ask(&together, refuse, NULL), -5); /* each time anew */
	together_done(&together);
}
