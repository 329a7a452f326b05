/* iscsi-pairs: what a command takes through one portal more than through another. Both are asked in
 * turn, one command at a time, so that whatever disturbs the storage behind them disturbs both; and
 * after each pair a bare exchange, which finds the machine as they do: asleep, or with other work.
 */
#include "base/auto.h"
#include "exchange.h"
#include "initiator.h"
#include "measure.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WARMUP_NS 100000000u
#define PAIRS_MAX (1u << 20)
#define SIDES     2

static const char help[] = "usage: iscsi-pairs [OPTION]... iscsi://FIRST iscsi://SECOND\n"
                           "Random reads or writes of one LUN through two portals in turn; writes "
                           "destroy what is on it.\n"
                           "\n"
                           "  --write            writes, instead of reads\n"
                           "  --size BYTES       of a request; 4k, 1m, ... (4k)\n"
                           "  --seconds N        how long to measure; 0.5 is fine (3)\n"
                           "  --help             this text\n"
                           "\n"
                           "One line of JSON: how many pairs, the median latency through each, the "
                           "median of what the second\n"
                           "took more than the first, and that of a bare exchange of the same size "
                           "over loopback after each\n"
                           "pair, in microseconds.\n";

struct options {
	bool writes;
	uint64_t size_bytes, duration_ns;
	const char *urls[SIDES];
};

struct bench {
	const struct options *options;
	struct initiator *sides[SIDES];
	uint32_t block_size;
	uint64_t slots, random; /* places of size_bytes on the LUN */
	uint8_t *memory;
	struct exchange bare;
	uint64_t *took_ns[SIDES], *bare_ns; /* of each pair */
	int64_t *more_ns;
	size_t count;
};

/* ---- measuring ---- */

static int execute(struct bench *bench, struct initiator *side, uint64_t *ret_ns)
{
	const struct options *options = bench->options;
	uint32_t blocks = (uint32_t)(options->size_bytes / bench->block_size);
	struct initiator_request request = { .data = bench->memory };
	initiator_request_transfer(&request, options->writes,
	                           measure_random(&bench->random) % bench->slots * blocks, blocks,
	                           bench->block_size);
	uint64_t began_ns = measure_now_ns();
	int r = initiator_execute(side, &request);
	*ret_ns = measure_now_ns() - began_ns;
	if (r < 0) {
		fprintf(stderr, "iscsi-pairs: %s\n", initiator_error(side)->text);
	} else if (request.status || request.response || request.residual) {
		char text[80];
		initiator_request_describe(&request, text, sizeof(text));
		fprintf(stderr, "iscsi-pairs: %s\n", text);
		r = -EIO;
	}
	return r;
}

static int exchange(struct bench *bench, uint64_t *ret_ns)
{
	uint64_t began_ns = measure_now_ns();
	int r = exchange_one(&bench->bare);
	*ret_ns = measure_now_ns() - began_ns;
	if (r < 0)
		fprintf(stderr, "iscsi-pairs: a bare exchange: %s\n", strerror(-r));
	return r;
}

/* Who is asked first changes, for the storage may have something left to do for who was. */
static int measure_pairs(struct bench *bench)
{
	uint64_t begin_ns = measure_now_ns() + WARMUP_NS,
	         end_ns = begin_ns + bench->options->duration_ns;
	int r = 0;
	for (unsigned first = 0; r == 0 && measure_now_ns() < end_ns && bench->count < PAIRS_MAX;
	     first = !first) {
		uint64_t took_ns[SIDES], bare_ns = 0;
		bool counts = measure_now_ns() >= begin_ns;
		r = execute(bench, bench->sides[first], &took_ns[first]);
		if (r == 0)
			r = execute(bench, bench->sides[!first], &took_ns[!first]);
		if (r == 0)
			r = exchange(bench, &bare_ns);
		if (r < 0 || !counts)
			continue;
		for (unsigned i = 0; i < SIDES; i++)
			bench->took_ns[i][bench->count] = took_ns[i];
		bench->bare_ns[bench->count] = bare_ns;
		bench->more_ns[bench->count++] = (int64_t)took_ns[1] - (int64_t)took_ns[0];
	}
	return r;
}

/* ---- the result ---- */

static int compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
	return (x > y) - (x < y);
}

static double median_us(void *values_ns, size_t count)
{
	qsort(values_ns, count, sizeof(int64_t), compare);
	return (double)((const int64_t *)values_ns)[count / 2] / 1e3;
}

static int print(struct bench *bench)
{
	if (!bench->count) {
		fprintf(stderr, "iscsi-pairs: not one pair in that time\n");
		return -ETIMEDOUT;
	}
	printf("{\"pairs\": %zu", bench->count);
	printf(", \"first_p50_us\": %.3f", median_us(bench->took_ns[0], bench->count));
	printf(", \"second_p50_us\": %.3f", median_us(bench->took_ns[1], bench->count));
	printf(", \"more_p50_us\": %.3f", median_us(bench->more_ns, bench->count));
	printf(", \"bare_p50_us\": %.3f}\n", median_us(bench->bare_ns, bench->count));
	return 0;
}

/* ---- setting up ---- */

static int connect_side(struct bench *bench, unsigned index)
{
	struct initiator_config config;
	struct error err;
	uint64_t blocks = 0;
	initiator_config_default(&config);
	config.depth = 1;
	config.isid[5] = (uint8_t)index;
	int r = initiator_config_parse(&config, bench->options->urls[index], &err);
	if (r == 0)
		r = initiator_connect(&config, &bench->sides[index], &err);
	if (r == 0)
		r = initiator_read_capacity(bench->sides[index], &blocks, &bench->block_size, &err);
	if (r < 0) {
		fprintf(stderr, "iscsi-pairs: %s\n", err.text);
		return r;
	}
	bench->slots = blocks * bench->block_size / bench->options->size_bytes;
	if (bench->slots == 0 || bench->options->size_bytes % bench->block_size) {
		fprintf(stderr,
		        "iscsi-pairs: --size does not fit a LUN of %llu blocks of %u bytes\n",
		        (unsigned long long)blocks, bench->block_size);
		return -EINVAL;
	}
	return 0;
}

static int open_exchange(struct bench *bench)
{
	const struct options *options = bench->options;
	int r = exchange_start(options->writes, options->size_bytes, -1, &bench->bare);
	if (r < 0)
		fprintf(stderr, "iscsi-pairs: a bare exchange: %s\n", strerror(-r));
	return r;
}

static int open_bench(struct bench *bench)
{
	bench->random = MEASURE_RANDOM;
	bench->memory = calloc(1, bench->options->size_bytes);
	bench->more_ns = calloc(PAIRS_MAX, sizeof(*bench->more_ns));
	bench->bare_ns = calloc(PAIRS_MAX, sizeof(*bench->bare_ns));
	int r = bench->memory && bench->more_ns && bench->bare_ns ? 0 : -ENOMEM;
	if (r == 0)
		r = open_exchange(bench);
	for (unsigned i = 0; r == 0 && i < SIDES; i++) {
		bench->took_ns[i] = calloc(PAIRS_MAX, sizeof(*bench->took_ns[i]));
		r = bench->took_ns[i] ? connect_side(bench, i) : -ENOMEM;
	}
	return r;
}

static int log_out(struct bench *bench)
{
	int r = 0;
	for (unsigned i = 0; r == 0 && i < SIDES; i++) {
		struct error err;
		r = initiator_logout(bench->sides[i], &err);
		if (r < 0)
			fprintf(stderr, "iscsi-pairs: %s\n", err.text);
	}
	return r;
}

static void close_bench(struct bench *bench)
{
	for (unsigned i = 0; i < SIDES; i++) {
		initiator_free(bench->sides[i]);
		free(bench->took_ns[i]);
	}
	exchange_end(&bench->bare);
	free(bench->bare_ns);
	free(bench->more_ns);
	free(bench->memory);
}

/* ---- the command line ---- */

static const struct option long_options[] = {
	{ "write", no_argument, NULL, 'w' },
	{ "size", required_argument, NULL, 'b' },
	{ "seconds", required_argument, NULL, 's' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL },
};

static bool take_option(int id, const char *text, struct options *options)
{
	switch (id) {
	case 'w':
		return options->writes = true;
	case 'b':
		return measure_parse_size(text, &options->size_bytes) &&
		       options->size_bytes <= EXCHANGE_DATA_MAX;
	default:
		return measure_parse_seconds(text, &options->duration_ns);
	}
}

/* 0; 1 = help was asked for; -EINVAL, told on stderr. */
static int parse_options(int argc, char **argv, struct options *ret_options)
{
	struct options options = { .size_bytes = 4096, .duration_ns = 3000000000u };
	for (int id, index = 0; (id = getopt_long(argc, argv, "", long_options, &index)) != -1;) {
		if (id == 'h') {
			fputs(help, stdout);
			return 1;
		}
		if (id == '?')
			return -EINVAL;
		if (!take_option(id, optarg, &options)) {
			fprintf(stderr, "iscsi-pairs: --%s: not a valid value: %s\n",
			        long_options[index].name, optarg);
			return -EINVAL;
		}
	}
	if (optind + SIDES != argc) {
		fprintf(stderr, "iscsi-pairs: expected two iscsi:// URLs; see --help\n");
		return -EINVAL;
	}
	memcpy(options.urls, argv + optind, sizeof(options.urls));
	*ret_options = options;
	return 0;
}

int main(int argc, char **argv)
{
	struct options options;
	int r = parse_options(argc, argv, &options);
	if (r != 0)
		return r > 0 ? 0 : 2;
	struct bench bench = { .options = &options };
	r = open_bench(&bench);
	if (r == -ENOMEM)
		fprintf(stderr, "iscsi-pairs: %s\n", strerror(-r));
	if (r == 0)
		r = measure_pairs(&bench);
	if (r == 0)
		r = log_out(&bench);
	if (r == 0)
		r = print(&bench);
	close_bench(&bench);
	return r == 0 ? 0 : 1;
}
