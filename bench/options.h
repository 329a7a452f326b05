/* The command line of iscsi-bench. */
#pragma once

#include "initiator.h"

#include <sys/types.h>

#define CONNECTIONS_MAX 256

struct options {
	struct initiator_config config;
	unsigned reads_percent, connections;
	uint64_t size_bytes, range_bytes;
	uint64_t duration_ns, warmup_ns;
	int cpu;
	pid_t server_pid;
	bool sequential, verify, spin, json;
	bool unmap, write_same; /* instead of writes */
};

/* Requests are larger than what is sent with them. */
static inline bool options_deallocate(const struct options *options)
{
	return options->unmap || options->write_same;
}

/* 0; 1 = help was asked for and is on stdout; -EINVAL, told on stderr. */
int options_parse(int argc, char **argv, struct options *ret_options) MUST_CHECK;
