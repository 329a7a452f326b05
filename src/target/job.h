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
/* The same, before all that wait: somebody waits for it. */
void job_queue_submit_first(struct job_queue *queue, struct job *job);

/* A queue for each name (a pool), made when it is first asked for: what hangs in one pool takes no
 * thread of another. Beyond JOB_QUEUES_MAX names, or without memory, names share a queue. */
#define JOB_QUEUES_MAX 32
struct job_queues;

int job_queues_new(unsigned threads_each, struct job_queues **ret_queues) MUST_CHECK;
/* Waits as job_queue_free() does. NULL is fine. */
void job_queues_free(struct job_queues *queues);
/* On one thread only. Never NULL. */
struct job_queue *job_queues_get(struct job_queues *queues, const char *name);
