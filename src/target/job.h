/* A few threads for work that may block: opening images, locks, the store. A job runs on one of
 * them, then its end runs on the reactor that asked. */
#pragma once

#include "base/auto.h"
#include "base/reactor.h"

struct job_queue;

/* Embedded in the object that it is about; free for the next job once done() was entered. */
struct job {
	void (*work)(struct job *job); /* on a worker */
	void (*done)(struct job *job); /* on reactor */
	struct reactor *reactor;
	struct message message;
	struct list link;
};

int job_queue_new(unsigned thread_count, struct job_queue **ret_queue) MUST_CHECK;
/* Waits for the jobs that run or wait. Their done() is still posted. NULL is fine. */
void job_queue_free(struct job_queue *queue);
DEFINE_AUTO(job_queue);

/* Any thread. job->work, done and reactor are set. Jobs start in order. */
void job_queue_submit(struct job_queue *queue, struct job *job);
