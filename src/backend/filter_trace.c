/* The trace filter: see filter.h. */
#include "backend/filter.h"
#include "base/log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct trace {
	struct backend backend;
	char *name;
};

static const char *const op_names[IO_OP_COUNT] = {
	[IO_READ] = "read",
	[IO_WRITE] = "write",
	[IO_FLUSH] = "flush",
	[IO_DISCARD] = "discard",
	[IO_WRITE_ZEROES] = "write zeroes",
};

const char *io_op_name(enum io_op op)
{
	return op_names[op];
}

static int trace_completed(struct backend *backend, struct io *io, int result)
{
	const struct trace *trace = container_of(backend, struct trace, backend);
	log_debug("%s: %s of %" PRIu64 " bytes at %" PRIu64 "%s: %s", trace->name,
	          io_op_name(io->op), io->length, io->offset,
	          (io->flags & IO_FUA) ? ", durable" : "", result < 0 ? strerror(-result) : "ok");
	return result;
}

static void trace_close(struct backend *backend)
{
	struct trace *trace = container_of(backend, struct trace, backend);
	free(trace->name);
	free(trace);
}

static const struct backend_ops trace_ops = {
	.name = "trace",
	.close = trace_close,
	.completed = trace_completed,
};

int trace_filter_new(const char *name, struct backend **ret_filter)
{
	struct trace *trace = calloc(1, sizeof *trace);
	if (!trace)
		return -ENOMEM;
	trace->backend.ops = &trace_ops;
	trace->name = strdup(name);
	if (!trace->name) {
		free(trace);
		return -ENOMEM;
	}
	*ret_filter = &trace->backend;
	return 0;
}
