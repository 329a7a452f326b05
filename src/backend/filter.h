/* Filters: layers that are put above a backend with backend_push(). The stack frees them. Each may
 * be asked through the pointer that its own *_filter_new gave. */
#pragma once

#include "backend/backend.h"

/* ---- fault: makes requests fail or wait, for tests of the layers above ---- */

int fault_filter_new(struct backend **ret_filter) MUST_CHECK;
/* Of the requests `op` to come, the nth (1: the next) ends with `result` and is not carried out.
 * One such order for each op; nth 0 takes it back. Any thread. */
void fault_filter_fail(struct backend *filter, enum io_op op, unsigned nth, int result);
/* Requests `op` wait from now on, until fault_filter_release(). Any thread. */
void fault_filter_hold(struct backend *filter, enum io_op op);
/* How many wait now. Any thread. */
unsigned fault_filter_held(struct backend *filter);
/* All waiting ones go on, in order of arrival, and nothing is held any more. Any thread. */
void fault_filter_release(struct backend *filter);

/* ---- stats: counts ---- */

struct stats_filter_counters {
	uint64_t requests, errors, bytes; /* completed */
	uint64_t latency_sum_us, latency_max_us;
	uint32_t in_flight;
};
int stats_filter_new(struct backend **ret_filter) MUST_CHECK;
/* Any thread. */
void stats_filter_read(const struct backend *filter, enum io_op op,
                       struct stats_filter_counters *ret_counters);

/* ---- trace: one debug line of log for each request when it ends ---- */

/* name is copied. */
int trace_filter_new(const char *name, struct backend **ret_filter) MUST_CHECK;

const char *io_op_name(enum io_op op);
