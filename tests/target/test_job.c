#include "target/job.h"

#include "test.h"

#include <stdatomic.h>

static _Atomic int worked;
static int ended;

struct counted {
	struct job job;
	struct reactor *reactor_of_work;
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
