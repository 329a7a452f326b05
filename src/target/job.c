/* Threads that take jobs from one queue. */
#include "target/job.h"

#include "base/error.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>

struct job_queue {
	pthread_mutex_t lock; /* of everything below */
	pthread_cond_t wanted;
	struct list waiting;
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
	struct job_queue *queue = argument;
	(void)pthread_setname_np(pthread_self(), "worker"); /* only for people's eyes */
	(void)pthread_mutex_lock(&queue->lock);
	for (;;) {
		struct list *link = list_take_first(&queue->waiting);
		if (!link) {
			if (queue->stopping)
				break;
			(void)pthread_cond_wait(&queue->wanted, &queue->lock);
			continue;
		}
		(void)pthread_mutex_unlock(&queue->lock);
		struct job *job = list_entry(link, struct job, link);
		job->work(job);
		job->message.run = job_ended;
		reactor_post(job->reactor, &job->message);
		(void)pthread_mutex_lock(&queue->lock);
	}
	(void)pthread_mutex_unlock(&queue->lock);
	return NULL;
}

int job_queue_new(unsigned thread_count, struct job_queue **ret_queue)
{
	struct job_queue *queue = calloc(1, sizeof *queue + thread_count * sizeof(pthread_t));
	if (!queue)
		return -ENOMEM;
	(void)pthread_mutex_init(&queue->lock, NULL); /* cannot fail with default attributes */
	(void)pthread_cond_init(&queue->wanted, NULL);
	list_init(&queue->waiting);
	for (unsigned i = 0; i < thread_count; i++) {
		int r = pthread_create(&queue->threads[i], NULL, worker_main, queue);
		if (r != 0) {
			job_queue_free(queue);
			return -r;
		}
		queue->thread_count++;
	}
	*ret_queue = queue;
	return 0;
}

void job_queue_free(struct job_queue *queue)
{
	if (!queue)
		return;
	(void)pthread_mutex_lock(&queue->lock);
	queue->stopping = true;
	(void)pthread_cond_broadcast(&queue->wanted);
	(void)pthread_mutex_unlock(&queue->lock);
	for (unsigned i = 0; i < queue->thread_count; i++)
		(void)pthread_join(queue->threads[i], NULL);
	(void)pthread_cond_destroy(&queue->wanted);
	(void)pthread_mutex_destroy(&queue->lock);
	free(queue);
}

void job_queue_submit(struct job_queue *queue, struct job *job)
{
	(void)pthread_mutex_lock(&queue->lock);
	list_append(&queue->waiting, &job->link);
	(void)pthread_cond_signal(&queue->wanted);
	(void)pthread_mutex_unlock(&queue->lock);
}
