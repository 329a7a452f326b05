/* rbd-target-io-planted: mistakes as RBDGATE_PLANTED names them, separated by commas. Never
 * installed. */
#include "backend/backend.h"
#include "target/planted.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

bool planted(const char *fault)
{
	const char *at = getenv("RBDGATE_PLANTED");
	size_t len = strlen(fault);
	for (; at && *at; at += strcspn(at, ","), at += *at == ',') {
		if (strcspn(at, ",") == len && strncmp(at, fault, len) == 0)
			return true;
	}
	return false;
}

/* ---- early-answer: a write is answered at once, and done when the next request comes ---- */

struct late {
	struct io io;
	struct iovec iov;
	char bytes[];
};

struct early {
	struct backend backend;
	_Atomic(struct late *) late;
};

static void late_done(struct io *io)
{
	free(container_of(io, struct late, io));
}

static void do_late(struct early *early, struct late *next)
{
	struct late *late = atomic_exchange(&early->late, next);
	if (late)
		backend_submit(early->backend.below, &late->io);
}

static void early_pass(struct backend *backend, struct io *io)
{
	do_late(container_of(backend, struct early, backend), NULL);
	backend_next(backend, io);
}

static void early_write(struct backend *backend, struct io *io)
{
	struct early *early = container_of(backend, struct early, backend);
	struct late *late = malloc(sizeof *late + io->length);
	if (!late) {
		early_pass(backend, io);
		return;
	}
	char *to = late->bytes;
	for (unsigned i = 0; i < io->iov_count; i++)
		to = (char *)memcpy(to, io->iov[i].iov_base, io->iov[i].iov_len) +
		     io->iov[i].iov_len;
	late->iov = (struct iovec){ .iov_base = late->bytes, .iov_len = io->length };
	late->io = (struct io){ .op = IO_WRITE,
		                .flags = io->flags,
		                .offset = io->offset,
		                .length = io->length,
		                .iov = &late->iov,
		                .iov_count = 1,
		                .reactor = io->reactor,
		                .done = late_done };
	do_late(early, late);
	io_complete(io, 0);
}

static void early_close(struct backend *backend)
{
	struct early *early = container_of(backend, struct early, backend);
	free(early->late);
	free(early);
}

static const struct backend_ops early_ops = {
	.name = "early",
	.close = early_close,
	.submit = { [IO_READ] = early_pass,
	            [IO_WRITE] = early_write,
	            [IO_FLUSH] = early_pass,
	            [IO_DISCARD] = early_pass,
	            [IO_WRITE_ZEROES] = early_pass },
};

/* ---- slow: a write waits before it begins; hung: for so long that nobody sees it begin ---- */

#define SLOW_MS 400
#define HUNG_MS 3600000

struct waiting {
	struct timer timer;
	struct backend *filter;
	struct io *io;
};

static void waited(struct timer *timer)
{
	struct waiting *waiting = container_of(timer, struct waiting, timer);
	backend_next(waiting->filter, waiting->io);
	free(waiting);
}

static void slow_write(struct backend *backend, struct io *io)
{
	struct waiting *waiting = calloc(1, sizeof *waiting);
	if (!waiting) {
		backend_next(backend, io);
		return;
	}
	*waiting = (struct waiting){
		.timer = { .expired = waited },
		.filter = backend,
		.io = io,
	};
	reactor_arm(io->reactor, &waiting->timer, planted("hung") ? HUNG_MS : SLOW_MS);
}

static void slow_close(struct backend *backend)
{
	free(backend);
}

static const struct backend_ops slow_ops = {
	.name = "slow",
	.close = slow_close,
	.submit = { [IO_WRITE] = slow_write },
};

/* ---- what there is ---- */

static void push_early(struct backend **stack)
{
	struct early *early = calloc(1, sizeof *early);
	if (!early)
		return;
	early->backend.ops = &early_ops;
	backend_push(stack, &early->backend);
}

static void push_slow(struct backend **stack)
{
	struct backend *slow = calloc(1, sizeof *slow);
	if (!slow)
		return;
	slow->ops = &slow_ops;
	backend_push(stack, slow);
}

void planted_filters(struct backend **stack)
{
	if (planted("early-answer"))
		push_early(stack);
	if (planted("slow") || planted("hung"))
		push_slow(stack);
}
