/* Threads that take jobs from one queue. */
#include "target/job.h"

#include "base/error.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

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

void job_queue_submit_first(struct job_queue *queue, struct job *job)
{
	(void)pthread_mutex_lock(&queue->lock);
	list_prepend(&queue->waiting, &job->link);
	(void)pthread_cond_signal(&queue->wanted);
	(void)pthread_mutex_unlock(&queue->lock);
}

/* ---- by name ---- */

struct job_queues {
	unsigned threads_each;
	size_t count;
	struct named_queue {
		char *name;
		struct job_queue *queue;
	} list[JOB_QUEUES_MAX]; /* the first takes the names that get none of their own */
};

static struct job_queue *add_queue(struct job_queues *queues, const char *name)
{
	struct named_queue *added = &queues->list[queues->count];
	if (queues->count == JOB_QUEUES_MAX)
		return NULL;
	added->name = strdup(name);
	if (!added->name || job_queue_new(queues->threads_each, &added->queue) < 0) {
		free(steal(&added->name));
		return NULL;
	}
	queues->count++;
	return added->queue;
}

int job_queues_new(unsigned threads_each, struct job_queues **ret_queues)
{
	struct job_queues *queues = calloc(1, sizeof *queues);
	if (!queues)
		return -ENOMEM;
	queues->threads_each = threads_each;
	if (!add_queue(queues, "")) {
		free(queues);
		return -ENOMEM;
	}
	*ret_queues = queues;
	return 0;
}

void job_queues_free(struct job_queues *queues)
{
	for (size_t i = 0; queues && i < queues->count; i++) {
		job_queue_free(queues->list[i].queue);
		free(queues->list[i].name);
	}
	free(queues);
}

struct job_queue *job_queues_get(struct job_queues *queues, const char *name)
{
	for (size_t i = 0; i < queues->count; i++) {
		if (strcmp(queues->list[i].name, name) == 0)
			return queues->list[i].queue;
	}
	struct job_queue *added = add_queue(queues, name);
	return added ? added : queues->list[0].queue;
}
