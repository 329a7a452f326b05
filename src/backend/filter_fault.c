/* The fault filter: see filter.h. */
#include "backend/filter.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

struct fault {
	struct backend backend;

	pthread_mutex_t lock; /* all below; never held while a request goes on */
	struct {
		unsigned nth; /* counts down to the one that fails; 0: none */
		int result;
		bool hold;
	} orders[IO_OP_COUNT];
	void *first, **last; /* struct io, linked through private_data */
	unsigned held;
};

static struct fault *fault_of(struct backend *backend)
{
	return container_of(backend, struct fault, backend);
}

static void hold(struct fault *fault, struct io *io)
{
	io->private_data = NULL;
	*fault->last = io;
	fault->last = &io->private_data;
	fault->held++;
}

static void fault_submit(struct backend *backend, struct io *io)
{
	struct fault *fault = fault_of(backend);
	pthread_mutex_lock(&fault->lock);
	bool fails = fault->orders[io->op].nth > 0 && --fault->orders[io->op].nth == 0;
	bool waits = !fails && fault->orders[io->op].hold;
	int result = fault->orders[io->op].result;
	if (waits)
		hold(fault, io);
	pthread_mutex_unlock(&fault->lock);
	if (fails)
		io_complete(io, result);
	else if (!waits)
		backend_next(backend, io);
}

static void fault_close(struct backend *backend)
{
	struct fault *fault = fault_of(backend);
	pthread_mutex_destroy(&fault->lock);
	free(fault);
}

static const struct backend_ops fault_ops = {
	.name = "fault",
	.close = fault_close,
	.submit = {
		[IO_READ] = fault_submit,
		[IO_WRITE] = fault_submit,
		[IO_FLUSH] = fault_submit,
		[IO_DISCARD] = fault_submit,
		[IO_WRITE_ZEROES] = fault_submit,
	},
};

int fault_filter_new(struct backend **ret_filter)
{
	struct fault *fault = calloc(1, sizeof *fault);
	if (!fault)
		return -ENOMEM;
	fault->backend.ops = &fault_ops;
	fault->last = &fault->first;
	pthread_mutex_init(&fault->lock, NULL);
	*ret_filter = &fault->backend;
	return 0;
}

void fault_filter_fail(struct backend *filter, enum io_op op, unsigned nth, int result)
{
	struct fault *fault = fault_of(filter);
	pthread_mutex_lock(&fault->lock);
	fault->orders[op].nth = nth;
	fault->orders[op].result = result;
	pthread_mutex_unlock(&fault->lock);
}

void fault_filter_hold(struct backend *filter, enum io_op op)
{
	struct fault *fault = fault_of(filter);
	pthread_mutex_lock(&fault->lock);
	fault->orders[op].hold = true;
	pthread_mutex_unlock(&fault->lock);
}

unsigned fault_filter_held(struct backend *filter)
{
	struct fault *fault = fault_of(filter);
	pthread_mutex_lock(&fault->lock);
	unsigned held = fault->held;
	pthread_mutex_unlock(&fault->lock);
	return held;
}

void fault_filter_release(struct backend *filter)
{
	struct fault *fault = fault_of(filter);
	pthread_mutex_lock(&fault->lock);
	struct io *io = fault->first;
	fault->first = NULL;
	fault->last = &fault->first;
	fault->held = 0;
	for (int op = 0; op < IO_OP_COUNT; op++)
		fault->orders[op].hold = false;
	pthread_mutex_unlock(&fault->lock);
	while (io) {
		struct io *following = io->private_data; /* the layer below may use the field */
		backend_next(filter, io);
		io = following;
	}
}
