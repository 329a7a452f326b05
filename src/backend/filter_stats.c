/* The stats filter: see filter.h. */
#include "backend/filter.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

struct counters {
	_Atomic uint64_t requests, errors, bytes, latency_sum_us, latency_max_us;
	_Atomic uint32_t in_flight;
};

struct stats {
	struct backend backend;
	struct counters counters[IO_OP_COUNT];
};

static uint64_t now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void add(_Atomic uint64_t *counter, uint64_t n)
{
	atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

static void raise_to(_Atomic uint64_t *counter, uint64_t n)
{
	uint64_t seen = atomic_load_explicit(counter, memory_order_relaxed);
	while (seen < n && !atomic_compare_exchange_weak(counter, &seen, n))
		;
}

static void stats_submit(struct backend *backend, struct io *io)
{
	struct stats *stats = container_of(backend, struct stats, backend);
	atomic_fetch_add_explicit(&stats->counters[io->op].in_flight, 1, memory_order_relaxed);
	io->started_ns = now_ns();
	backend_next(backend, io);
}

static int stats_completed(struct backend *backend, struct io *io, int result)
{
	struct stats *stats = container_of(backend, struct stats, backend);
	struct counters *counters = &stats->counters[io->op];
	uint64_t latency_us = (now_ns() - io->started_ns) / 1000;
	add(&counters->requests, 1);
	if (result < 0)
		add(&counters->errors, 1);
	else
		add(&counters->bytes, io->length);
	add(&counters->latency_sum_us, latency_us);
	raise_to(&counters->latency_max_us, latency_us);
	atomic_fetch_sub_explicit(&counters->in_flight, 1, memory_order_relaxed);
	return result;
}

static void stats_close(struct backend *backend)
{
	free(container_of(backend, struct stats, backend));
}

static const struct backend_ops stats_ops = {
	.name = "stats",
	.close = stats_close,
	.submit = {
		[IO_READ] = stats_submit,
		[IO_WRITE] = stats_submit,
		[IO_FLUSH] = stats_submit,
		[IO_DISCARD] = stats_submit,
		[IO_WRITE_ZEROES] = stats_submit,
	},
	.completed = stats_completed,
};

int stats_filter_new(struct backend **ret_filter)
{
	struct stats *stats = calloc(1, sizeof *stats);
	if (!stats)
		return -ENOMEM;
	stats->backend.ops = &stats_ops;
	*ret_filter = &stats->backend;
	return 0;
}

void stats_filter_read(const struct backend *filter, enum io_op op,
                       struct stats_filter_counters *ret_counters)
{
	const struct stats *stats = container_of(filter, struct stats, backend);
	const struct counters *counters = &stats->counters[op];
	*ret_counters = (struct stats_filter_counters){
		.requests = atomic_load(&counters->requests),
		.errors = atomic_load(&counters->errors),
		.bytes = atomic_load(&counters->bytes),
		.latency_sum_us = atomic_load(&counters->latency_sum_us),
		.latency_max_us = atomic_load(&counters->latency_max_us),
		.in_flight = atomic_load(&counters->in_flight),
	};
}
