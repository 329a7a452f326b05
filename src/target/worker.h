/* A few threads for work that may block: opening images, locks, the store. A job runs on one of
 * them, then its end runs on the reactor that asked. */
#pragma once

#include "base/auto.h"
#include "base/reactor.h"

struct workers;

/* Embedded in the object that it is about; free for the next job once done() was entered. */
struct job {
	void (*work)(struct job *job); /* on a worker */
	void (*done)(struct job *job); /* on reactor */
	struct reactor *reactor;
	struct message message;
	struct list link;
};

int workers_new(unsigned thread_count, struct workers **ret_workers) MUST_CHECK;
/* Waits for the jobs that run or wait. Their done() is still posted. NULL is fine. */
void workers_free(struct workers *workers);
DEFINE_AUTO(workers);

/* Any thread. job->work, done and reactor are set. Jobs start in order. */
void workers_submit(struct workers *workers, struct job *job);
