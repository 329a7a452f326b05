/* What the measuring programs share: places drawn by lot, latencies, CPU time of a process, and how
 * it is shown. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Nanoseconds of a clock that never goes back. */
uint64_t measure_now_ns(void);

/* The next number of a sequence that looks random, from its state, which begins so: */
#define MEASURE_RANDOM 88172645463325252u
uint64_t measure_random(uint64_t *state);

/* Latencies in buckets of 1/32 of a power of two. Zeroed memory is an empty one. */
#define LATENCY_BUCKETS (32 * 60)
struct latencies {
	uint64_t count, sum_ns, max_ns;
	uint64_t buckets[LATENCY_BUCKETS];
};
void latencies_add(struct latencies *latencies, uint64_t ns);
/* The latency that `share` (0..1) of all do not exceed. */
uint64_t latencies_percentile(const struct latencies *latencies, double share);

/* CPU time and voluntary context switches of all threads of a process so far. */
struct process_usage {
	uint64_t cpu_ns, switches;
};
/* False if there is no such process. */
bool process_usage_read(pid_t pid, struct process_usage *ret_usage);

/* The result of one run. */
struct measurement {
	uint64_t operations, bytes;
	uint64_t elapsed_ns;
	struct latencies latencies;
	struct process_usage own, server; /* differences over the run */
	bool has_server;
};
/* To stdout, for people or as one line of JSON. */
void measurement_print(const struct measurement *measurement, bool json);

/* "4k", "256K", "1m", "512": bytes. False if it is none. */
bool measure_parse_size(const char *text, uint64_t *ret_bytes);
/* "3", "0.5": seconds, from a millisecond to a day. */
bool measure_parse_seconds(const char *text, uint64_t *ret_ns);
/* Keeps the calling process on one CPU. */
bool measure_pin(int cpu);
