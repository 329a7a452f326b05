#include "target/job.h"

#include "test.h"

#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>

static _Atomic int worked;
static int ended;

struct counted {
	struct job job;
	struct reactor *reactor_of_work;
	unsigned number;
};

static void work(struct job *job)
{
	container_of(job, struct counted, job)->reactor_of_work = reactor_current();
	worked++;
}

static void done(struct job *job)
{
	ASSERT_NULL(container_of(job, struct counted, job)->reactor_of_work);
	ASSERT_NOT_NULL(reactor_current());
	ended++;
}

TEST(jobs_run_on_workers_and_end_on_the_reactor_that_asked)
{
	AUTO(reactor) struct reactor *reactor = NULL;
	AUTO(job_queue) struct job_queue *queue = NULL;
	ASSERT_EQ(reactor_new("test", NULL, &reactor), 0);
	ASSERT_EQ(job_queue_new(3, &queue), 0);
	static struct counted jobs[100];
	for (size_t i = 0; i < ARRAY_LEN(jobs); i++) {
		jobs[i].job = (struct job){ .work = work, .done = done, .reactor = reactor };
		job_queue_submit(queue, &jobs[i].job);
	}
	uint64_t deadline_ms = clock_monotonic_ms() + 30000;
	while (ended < (int)ARRAY_LEN(jobs) && clock_monotonic_ms() < deadline_ms)
		(void)reactor_turn(reactor, 100);
	ASSERT_EQ(worked, ARRAY_LEN(jobs));
	ASSERT_EQ(ended, ARRAY_LEN(jobs));
}

static _Atomic int held = 1;

static _Atomic int hanging;

static void hang(struct job *job)
{
	hanging++;
	while (held)
		(void)poll(NULL, 0, 1);
}

TEST(jobs_that_hang_under_one_name_hold_up_no_other_name)
{
	AUTO(reactor) struct reactor *reactor = NULL;
	struct job_queues *queues = NULL;
	ASSERT_EQ(reactor_new("test", NULL, &reactor), 0);
	ASSERT_EQ(job_queues_new(2, &queues), 0);
	static struct counted jobs[9];
	ended = 0;
	for (size_t i = 0; i < ARRAY_LEN(jobs); i++) {
		bool last = i + 1 == ARRAY_LEN(jobs);
		jobs[i].job = (struct job){ .work = last ? work : hang,
			                    .done = done,
			                    .reactor = reactor };
		job_queue_submit(job_queues_get(queues, last ? "rbd" : "slow"), &jobs[i].job);
	}
	uint64_t deadline_ms = clock_monotonic_ms() + 30000;
	while (ended == 0 && clock_monotonic_ms() < deadline_ms)
		(void)reactor_turn(reactor, 100);
	ASSERT_EQ(ended, 1);
	held = 0;
	job_queues_free(queues);
	while (ended < (int)ARRAY_LEN(jobs) && clock_monotonic_ms() < deadline_ms)
		(void)reactor_turn(reactor, 100);
	ASSERT_EQ(ended, ARRAY_LEN(jobs));
}

static char order[8];
static _Atomic unsigned ordered;

static void note_order(struct job *job)
{
	order[ordered++] = (char)('a' + (container_of(job, struct counted, job)->number));
}

TEST(a_job_put_first_overtakes_all_that_wait)
{
	AUTO(reactor) struct reactor *reactor = NULL;
	AUTO(job_queue) struct job_queue *queue = NULL;
	static struct counted jobs[5];
	ASSERT_EQ(reactor_new("test", NULL, &reactor), 0);
	ASSERT_EQ(job_queue_new(1, &queue), 0);
	held = 1;
	ended = hanging = 0;
	for (unsigned i = 0; i < ARRAY_LEN(jobs); i++) {
		while (i == 1 && !hanging)
			(void)poll(NULL, 0, 1);
		jobs[i].number = i;
		jobs[i].job = (struct job){ .work = i ? note_order : hang,
			                    .done = done,
			                    .reactor = reactor };
		if (i < 3)
			job_queue_submit(queue, &jobs[i].job);
		else
			job_queue_submit_first(queue, &jobs[i].job);
	}
	held = 0;
	uint64_t deadline_ms = clock_monotonic_ms() + 30000;
	while (ended < (int)ARRAY_LEN(jobs) && clock_monotonic_ms() < deadline_ms)
		(void)reactor_turn(reactor, 100);
	ASSERT_EQ(ended, ARRAY_LEN(jobs));
	ASSERT_STR_EQ(order, "edbc");
}

TEST(names_beyond_the_bound_share_a_queue)
{
	struct job_queues *queues = NULL;
	ASSERT_EQ(job_queues_new(1, &queues), 0);
	struct job_queue *first = job_queues_get(queues, "pool");
	ASSERT_TRUE(job_queues_get(queues, "pool") == first);
	for (int i = 0; i < 2 * JOB_QUEUES_MAX; i++) {
		char name[16];
		(void)snprintf(name, sizeof name, "pool%d", i);
		ASSERT_NOT_NULL(job_queues_get(queues, name));
	}
	ASSERT_TRUE(job_queues_get(queues, "another") == job_queues_get(queues, "one more"));
	job_queues_free(queues);
}
