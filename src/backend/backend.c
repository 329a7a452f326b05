/* The table of backend kinds, and the way of a request down a stack of filters and back up. */
#include "backend/backend.h"
#include "backend/kinds.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

static const struct backend_ops *const kinds[] = { &memory_ops, &file_ops, &rbd_ops };

int backend_open(const struct backend_config *config, struct backend **ret_backend,
                 struct error *err)
{
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		if (strcmp(kinds[i]->name, config->kind) == 0)
			return kinds[i]->open(config, ret_backend, err);
	}
	return error_set(err, -EINVAL, "%s: there is no kind of backend '%s'", config->name,
	                 config->kind);
}

void backend_free(struct backend *backend)
{
	while (backend) {
		struct backend *below = backend->below;
		backend->ops->close(backend);
		backend = below;
	}
}

void backend_push(struct backend **stack, struct backend *filter)
{
	assert(!filter->below && !(*stack)->above);
	filter->below = *stack;
	(*stack)->above = filter;
	*stack = filter;
}

static void submit(struct backend *backend, struct io *io)
{
	while (!backend->ops->submit[io->op])
		backend = backend->below;
	io->backend = backend;
	backend->ops->submit[io->op](backend, io);
}

void backend_submit(struct backend *backend, struct io *io)
{
	assert(io->op < IO_OP_COUNT);
	assert(io->length > 0 || io->op == IO_FLUSH);
	submit(backend, io);
}

void backend_next(struct backend *filter, struct io *io)
{
	submit(filter->below, io);
}

void backend_reach(struct backend *backend, struct io *io)
{
	io->backend = backend; /* the top: nothing is above it to see the result */
	while (!backend->ops->reach && backend->below)
		backend = backend->below;
	if (backend->ops->reach)
		backend->ops->reach(backend, io);
	else
		io_complete(io, 0);
}

static void io_done(struct message *message)
{
	struct io *io = container_of(message, struct io, message);
	io->done(io);
}

void io_complete(struct io *io, int result)
{
	for (struct backend *b = io->backend->above; b; b = b->above) {
		if (b->ops->completed)
			result = b->ops->completed(b, io, result);
	}
	io->result = result;
	io->message.run = io_done;
	reactor_deliver(io->reactor, &io->message);
}

void backend_prepare(struct backend *backend)
{
	while (!backend->ops->prepare && backend->below)
		backend = backend->below;
	if (backend->ops->prepare)
		backend->ops->prepare(backend);
}

int backend_acquire(struct backend *backend, const struct backend_lock_policy *policy,
                    struct error *err)
{
	while (!backend->ops->acquire)
		backend = backend->below;
	return backend->ops->acquire(backend, policy, err);
}

int backend_release(struct backend *backend, struct error *err)
{
	while (!backend->ops->release)
		backend = backend->below;
	return backend->ops->release(backend, err);
}

void backend_get_info(const struct backend *backend, struct backend_info *ret_info)
{
	while (!backend->ops->get_info)
		backend = backend->below;
	backend->ops->get_info(backend, ret_info);
}

int backend_refresh(struct backend *backend, struct error *err)
{
	while (!backend->ops->refresh)
		backend = backend->below;
	return backend->ops->refresh(backend, err);
}
