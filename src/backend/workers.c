/* Worker threads behind a queue of requests: workers.h. The queue is linked through
 * io->private_data, so a waiting request costs no memory. */
#include "backend/workers.h"

#include "base/cond.h"
#include "base/reactor.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#define IDLE_MS 10000

struct workers {
	struct backend *backend;
	int (*serve)(struct backend *backend, struct io *io);
	unsigned max_threads;

	pthread_mutex_t lock; /* all below */
	pthread_cond_t work;  /* a request waits, or stopping */
	pthread_cond_t left;  /* a thread has left */
	void *first, **last;  /* struct io */
	unsigned waiting, idle, threads;
	bool stopping;
};

int workers_new(struct backend *backend, int (*serve)(struct backend *backend, struct io *io),
                unsigned max_threads, struct workers **ret_workers)
{
	struct workers *workers = calloc(1, sizeof *workers);
	if (!workers)
		return -ENOMEM;
	workers->backend = backend;
	workers->serve = serve;
	workers->max_threads = max_threads;
	workers->last = &workers->first;
	cond_init_monotonic(&workers->work);
	pthread_cond_init(&workers->left, NULL);
	pthread_mutex_init(&workers->lock, NULL);
	*ret_workers = workers;
	return 0;
}

void workers_free(struct workers *workers)
{
	if (!workers)
		return;
	pthread_mutex_lock(&workers->lock);
	assert(!workers->first);
	workers->stopping = true;
	pthread_cond_broadcast(&workers->work);
	while (workers->threads > 0)
		pthread_cond_wait(&workers->left, &workers->lock);
	pthread_mutex_unlock(&workers->lock);
	pthread_mutex_destroy(&workers->lock);
	pthread_cond_destroy(&workers->work);
	pthread_cond_destroy(&workers->left);
	free(workers);
}

static struct io *take(struct workers *workers)
{
	struct io *io = workers->first;
	workers->first = io->private_data;
	if (!workers->first)
		workers->last = &workers->first;
	workers->waiting--;
	return io;
}

/* With the lock held. False: nothing came, the thread may leave. */
static bool wait_for_work(struct workers *workers)
{
	const uint64_t until_ms = clock_monotonic_ms() + IDLE_MS;
	bool in_time = true;
	workers->idle++;
	while (!workers->first && !workers->stopping && in_time)
		in_time = cond_wait_until(&workers->work, &workers->lock, until_ms);
	workers->idle--;
	return workers->first;
}

static void *worker(void *argument)
{
	struct workers *workers = argument;
	pthread_mutex_lock(&workers->lock);
	while (workers->first || wait_for_work(workers)) {
		struct io *io = take(workers);
		pthread_mutex_unlock(&workers->lock);
		io_complete(io, workers->serve(workers->backend, io));
		pthread_mutex_lock(&workers->lock);
	}
	workers->threads--;
	pthread_cond_signal(&workers->left);
	pthread_mutex_unlock(&workers->lock);
	return NULL;
}

/* With the lock held. */
static void add_thread(struct workers *workers)
{
	pthread_attr_t detached;
	pthread_attr_init(&detached);
	pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
	pthread_t thread;
	if (pthread_create(&thread, &detached, worker, workers) == 0)
		workers->threads++;
	pthread_attr_destroy(&detached);
}

void workers_submit(struct workers *workers, struct io *io)
{
	pthread_mutex_lock(&workers->lock);
	if (workers->waiting >= workers->idle && workers->threads < workers->max_threads)
		add_thread(workers);
	bool served = workers->threads > 0;
	if (served) {
		io->private_data = NULL;
		*workers->last = io;
		workers->last = &io->private_data;
		workers->waiting++;
		pthread_cond_signal(&workers->work);
	}
	pthread_mutex_unlock(&workers->lock);
	if (!served)
		io_complete(io, -EAGAIN);
}
