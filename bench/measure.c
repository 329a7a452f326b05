/* Counting and showing; see the header. */
#include "measure.h"
#include "base/auto.h"
#include "base/text.h"

#include <dirent.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SUB_BITS 5 /* buckets in a power of two: 32 */

uint64_t measure_now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t measure_random(uint64_t *state)
{
	*state ^= *state << 13; /* xorshift64, Marsaglia 2003 */
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static unsigned bucket_of(uint64_t ns)
{
	if (ns < 1u << SUB_BITS)
		return (unsigned)ns;
	unsigned shift = 63 - SUB_BITS - (unsigned)__builtin_clzll(ns);
	return (shift << SUB_BITS) + (unsigned)(ns >> shift);
}

/* The middle of a bucket. */
static uint64_t bucket_ns(unsigned bucket)
{
	if (bucket < 2u << SUB_BITS)
		return bucket;
	unsigned shift = (bucket >> SUB_BITS) - 1;
	uint64_t low = (uint64_t)(bucket - (shift << SUB_BITS)) << shift;
	return low + (1ull << shift) / 2;
}

void latencies_add(struct latencies *latencies, uint64_t ns)
{
	unsigned bucket = bucket_of(ns);
	latencies->count++;
	latencies->sum_ns += ns;
	if (ns > latencies->max_ns)
		latencies->max_ns = ns;
	latencies->buckets[bucket < LATENCY_BUCKETS ? bucket : LATENCY_BUCKETS - 1]++;
}

uint64_t latencies_percentile(const struct latencies *latencies, double share)
{
	uint64_t wanted = (uint64_t)((double)latencies->count * share), seen = 0;
	for (unsigned i = 0; i < LATENCY_BUCKETS; i++) {
		seen += latencies->buckets[i];
		if (seen > wanted)
			return bucket_ns(i) < latencies->max_ns ? bucket_ns(i) : latencies->max_ns;
	}
	return latencies->max_ns;
}

/* Adds one thread: /proc/PID/task/TID/schedstat has nanoseconds, where stat has only ticks. */
static void add_thread(const char *task_folder, const char *thread, struct process_usage *usage)
{
	char path[320], line[128];
	uint64_t value;
	snprintf(path, sizeof(path), "%s/%s/schedstat", task_folder, thread);
	FILE *file = fopen(path, "r");
	if (file && fscanf(file, "%" SCNu64, &value) == 1)
		usage->cpu_ns += value;
	if (file)
		fclose(file);
	snprintf(path, sizeof(path), "%s/%s/status", task_folder, thread);
	file = fopen(path, "r");
	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "voluntary_ctxt_switches: %" SCNu64, &value) == 1)
			usage->switches += value;
	if (file)
		fclose(file);
}

bool process_usage_read(pid_t pid, struct process_usage *ret_usage)
{
	char folder[32];
	snprintf(folder, sizeof(folder), "/proc/%d/task", (int)pid);
	DIR *threads = opendir(folder);
	if (!threads)
		return false;
	*ret_usage = (struct process_usage){ 0 };
	for (struct dirent *entry; (entry = readdir(threads));)
		if (entry->d_name[0] != '.')
			add_thread(folder, entry->d_name, ret_usage);
	closedir(threads);
	return true;
}

void measurement_print(const struct measurement *m, bool json)
{
	double operations = m->operations ? (double)m->operations : 1;
	double seconds = (double)m->elapsed_ns / 1e9;
	struct {
		const char *name, *unit;
		double value;
	} rows[] = {
		{ "iops", "", (double)m->operations / seconds },
		{ "mib_per_s", "MiB/s", (double)m->bytes / seconds / 1048576 },
		{ "latency_mean_us", "us", (double)m->latencies.sum_ns / operations / 1e3 },
		{ "latency_p50_us", "us", (double)latencies_percentile(&m->latencies, 0.5) / 1e3 },
		{ "latency_p99_us", "us", (double)latencies_percentile(&m->latencies, 0.99) / 1e3 },
		{ "latency_max_us", "us", (double)m->latencies.max_ns / 1e3 },
		{ "own_cpu_us", "us an I/O", (double)m->own.cpu_ns / operations / 1e3 },
		{ "server_cpu_us", "us an I/O", (double)m->server.cpu_ns / operations / 1e3 },
		{ "server_switches", "an I/O", (double)m->server.switches / operations },
		{ "server_busy", "of a CPU", (double)m->server.cpu_ns / (double)m->elapsed_ns },
	};
	size_t count = ARRAY_LEN(rows) - (m->has_server ? 0 : 3);
	for (size_t i = 0; i < count; i++)
		printf(json ? "%s\"%s\": %.3f" : "%s%-16s %12.2f %s\n",
		       json ? (i ? ", " : "{") : "", rows[i].name, rows[i].value, rows[i].unit);
	if (json)
		printf("}\n");
}

bool measure_parse_size(const char *text, uint64_t *ret_bytes)
{
	static const struct {
		char letter;
		unsigned shift;
	} units[] = { { 'k', 10 }, { 'm', 20 }, { 'g', 30 }, { 't', 40 } };
	char number[24];
	size_t len = strlen(text);
	unsigned shift = 0;
	uint64_t value;
	if (len == 0 || len >= sizeof(number))
		return false;
	memcpy(number, text, len + 1);
	text_lower(number);
	for (size_t i = 0; i < ARRAY_LEN(units); i++)
		if (number[len - 1] == units[i].letter)
			shift = units[i].shift;
	if (shift)
		number[len - 1] = '\0';
	if (text_to_uint(number, 1, UINT64_MAX >> shift, &value) < 0)
		return false;
	*ret_bytes = value << shift;
	return true;
}

bool measure_parse_seconds(const char *text, uint64_t *ret_ns)
{
	char *end;
	double seconds = strtod(text, &end);
	if (end == text || *end || !(seconds >= 0.001 && seconds <= 86400))
		return false;
	*ret_ns = (uint64_t)(seconds * 1e9);
	return true;
}

bool measure_pin(int cpu)
{
	cpu_set_t set;
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return sched_setaffinity(0, sizeof(set), &set) == 0;
}
