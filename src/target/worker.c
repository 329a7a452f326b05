/* Threads that take jobs from one queue. */
#include "target/worker.h"

#include "base/error.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>

struct workers {
	pthread_mutex_t lock; /* of everything below */
	pthread_cond_t wanted;
	struct list queue;
	bool stopping;
	unsigned thread_count;
	pthread_t threads[];
};

static void job_ended(struct message *message)
{
	struct job *job = container_of(message, struct job, message);
	job->done(job);
}

static void *worker_main(void *argument)
{
	struct workers *workers = argument;
	(void)pthread_setname_np(pthread_self(), "worker"); /* only for people's eyes */
	(void)pthread_mutex_lock(&workers->lock);
	for (;;) {
		struct list *link = list_take_first(&workers->queue);
		if (!link) {
			if (workers->stopping)
				break;
			(void)pthread_cond_wait(&workers->wanted, &workers->lock);
			continue;
		}
		(void)pthread_mutex_unlock(&workers->lock);
		struct job *job = list_entry(link, struct job, link);
		job->work(job);
		job->message.run = job_ended;
		reactor_post(job->reactor, &job->message);
		(void)pthread_mutex_lock(&workers->lock);
	}
	(void)pthread_mutex_unlock(&workers->lock);
	return NULL;
}

int workers_new(unsigned thread_count, struct workers **ret_workers)
{
	struct workers *workers = calloc(1, sizeof *workers + thread_count * sizeof(pthread_t));
	if (!workers)
		return -ENOMEM;
	(void)pthread_mutex_init(&workers->lock, NULL); /* cannot fail with default attributes */
	(void)pthread_cond_init(&workers->wanted, NULL);
	list_init(&workers->queue);
	for (unsigned i = 0; i < thread_count; i++) {
		int r = pthread_create(&workers->threads[i], NULL, worker_main, workers);
		if (r != 0) {
			workers_free(workers);
			return -r;
		}
		workers->thread_count++;
	}
	*ret_workers = workers;
	return 0;
}

void workers_free(struct workers *workers)
{
	if (!workers)
		return;
	(void)pthread_mutex_lock(&workers->lock);
	workers->stopping = true;
	(void)pthread_cond_broadcast(&workers->wanted);
	(void)pthread_mutex_unlock(&workers->lock);
	for (unsigned i = 0; i < workers->thread_count; i++)
		(void)pthread_join(workers->threads[i], NULL);
	(void)pthread_cond_destroy(&workers->wanted);
	(void)pthread_mutex_destroy(&workers->lock);
	free(workers);
}

void workers_submit(struct workers *workers, struct job *job)
{
	(void)pthread_mutex_lock(&workers->lock);
	list_append(&workers->queue, &job->link);
	(void)pthread_cond_signal(&workers->wanted);
	(void)pthread_mutex_unlock(&workers->lock);
}
