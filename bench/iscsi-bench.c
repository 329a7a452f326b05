/* iscsi-bench: how many reads, writes or deallocations a second an iSCSI target does, and what each
 * costs. */
#include "base/auto.h"
#include "base/bytes.h"
#include "measure.h"
#include "options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>

#define VERIFY_RANGE (256ull << 20)
#define UNMAP_LIST   24 /* with one descriptor [SBC-3 5.28] */

struct lane;

/* One of the requests that a connection keeps in flight. */
struct worker {
	struct initiator_request request;
	struct lane *lane;
	uint64_t started_ns, lba;
};

struct lane {
	struct bench *bench;
	struct initiator *initiator;
	struct worker *workers;
	uint32_t epoll_events;
};

struct bench {
	const struct options *options;
	struct lane lanes[CONNECTIONS_MAX];
	uint64_t now_ns, random, next_slot;
	uint64_t slots; /* places of size_bytes in the range */
	uint32_t blocks, block_size;
	bool measuring, stopping, failed;
	int epoll_fd;
	uint8_t *memory;
	struct measurement result;
};

/* ---- what is read and written ---- */

static uint64_t pattern_word(uint64_t lba, uint32_t at)
{
	return (lba + 1) * 0x9e3779b97f4a7c15u + at;
}

static void put_pattern(const struct bench *bench, const struct worker *worker)
{
	uint8_t *at = worker->request.data;
	for (uint32_t block = 0; block < bench->blocks; block++)
		for (uint32_t i = 0; i < bench->block_size; i += 8, at += 8)
			put_be64(at, pattern_word(worker->lba + block, i));
}

static bool pattern_ok(const struct bench *bench, const struct worker *worker)
{
	const uint8_t *at = worker->request.data;
	uint64_t wrong = 0;
	for (uint32_t block = 0; block < bench->blocks; block++)
		for (uint32_t i = 0; i < bench->block_size; i += 8, at += 8)
			wrong |= get_be64(at) ^ pattern_word(worker->lba + block, i);
	return !wrong;
}

/* ---- the turning wheel ---- */

/* The clock is read once a turn at most. */
static uint64_t turn_now(struct bench *bench)
{
	if (!bench->now_ns)
		bench->now_ns = measure_now_ns();
	return bench->now_ns;
}

static void request_unmap(const struct bench *bench, struct worker *worker)
{
	struct initiator_request *request = &worker->request;
	uint8_t *list = request->data;
	memset(request->cdb, 0, sizeof(request->cdb));
	request->cdb[0] = 0x42;
	put_be16(request->cdb + 7, UNMAP_LIST);
	memset(list, 0, UNMAP_LIST);
	put_be16(list, UNMAP_LIST - 2);
	put_be16(list + 2, UNMAP_LIST - 8);
	put_be64(list + 8, worker->lba);
	put_be32(list + 16, bench->blocks);
	request->writes = true;
	request->len_bytes = UNMAP_LIST;
}

/* WRITE SAME(16) of a block of zeros, with UNMAP. */
static void request_write_same(const struct bench *bench, struct worker *worker)
{
	struct initiator_request *request = &worker->request;
	initiator_request_transfer(request, true, worker->lba, bench->blocks, bench->block_size);
	request->cdb[0] = 0x93;
	request->cdb[1] = 0x08;
	request->len_bytes = bench->block_size;
	memset(request->data, 0, bench->block_size);
}

static void submit_at(struct bench *bench, struct worker *worker, uint64_t slot, bool writes)
{
	worker->lba = slot * bench->blocks;
	if (bench->options->unmap)
		request_unmap(bench, worker);
	else if (bench->options->write_same)
		request_write_same(bench, worker);
	else
		initiator_request_transfer(&worker->request, writes, worker->lba, bench->blocks,
		                           bench->block_size);
	if (writes && bench->options->verify)
		put_pattern(bench, worker);
	worker->started_ns = turn_now(bench);
	initiator_submit(worker->lane->initiator, &worker->request);
}

static void submit_next(struct bench *bench, struct worker *worker)
{
	const struct options *options = bench->options;
	uint64_t slot = options->sequential ? bench->next_slot++ : measure_random(&bench->random);
	bool writes = options->reads_percent == 0 ||
	              (options->reads_percent < 100 &&
	               measure_random(&bench->random) % 100 >= options->reads_percent);
	submit_at(bench, worker, slot % bench->slots, writes);
}

static bool check_result(struct bench *bench, const struct worker *worker)
{
	const struct initiator_request *request = &worker->request;
	char text[80];
	if (request->status || request->response || request->residual) {
		initiator_request_describe(request, text, sizeof(text));
		fprintf(stderr, "iscsi-bench: %s of %u bytes at block %llu: %s, residual %u\n",
		        request->writes ? "write" : "read", request->len_bytes,
		        (unsigned long long)worker->lba, text, request->residual);
		bench->failed = true;
	} else if (bench->options->verify && !request->writes && !pattern_ok(bench, worker)) {
		fprintf(stderr, "iscsi-bench: wrong data at block %llu\n",
		        (unsigned long long)worker->lba);
		bench->failed = true;
	}
	return !bench->failed;
}

static void request_done(struct initiator_request *request)
{
	struct worker *worker = container_of(request, struct worker, request);
	struct bench *bench = worker->lane->bench;
	if (!check_result(bench, worker))
		return;
	if (bench->measuring) {
		latencies_add(&bench->result.latencies, turn_now(bench) - worker->started_ns);
		bench->result.bytes += bench->options->size_bytes;
	}
	if (!bench->stopping)
		submit_next(bench, worker);
}

/* While --verify fills the range: on to the next place until all are written. */
static void fill_done(struct initiator_request *request)
{
	struct worker *worker = container_of(request, struct worker, request);
	struct bench *bench = worker->lane->bench;
	if (check_result(bench, worker) && bench->next_slot < bench->slots)
		submit_at(bench, worker, bench->next_slot++, true);
}

static int turn_lane(struct bench *bench, struct lane *lane, bool wait)
{
	int r = initiator_turn(lane->initiator, wait);
	if (r < 0)
		fprintf(stderr, "iscsi-bench: %s\n", initiator_error(lane->initiator)->text);
	return r;
}

static int watch_lane(struct bench *bench, struct lane *lane)
{
	uint32_t events = EPOLLIN | (initiator_wants_write(lane->initiator) ? EPOLLOUT : 0);
	if (events == lane->epoll_events)
		return 0;
	struct epoll_event event = { .events = events, .data.ptr = lane };
	int operation = lane->epoll_events ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
	lane->epoll_events = events;
	return epoll_ctl(bench->epoll_fd, operation, initiator_fd(lane->initiator), &event);
}

/* Turns every connection that has something to do; one alone needs no epoll. */
static int turn(struct bench *bench)
{
	struct epoll_event events[CONNECTIONS_MAX];
	bool spin = bench->options->spin;
	bench->now_ns = 0;
	if (bench->options->connections == 1)
		return turn_lane(bench, &bench->lanes[0], !spin);
	int n = epoll_wait(bench->epoll_fd, events, CONNECTIONS_MAX,
	                   spin ? 0 : (int)bench->options->config.timeout_ms);
	if (n == 0 && !spin)
		fprintf(stderr, "iscsi-bench: the target gives no sign of life\n");
	if (n < 0 || (n == 0 && !spin))
		return n == 0 ? -ETIMEDOUT : -errno;
	for (int i = 0; i < n; i++) {
		struct lane *lane = events[i].data.ptr;
		int r = turn_lane(bench, lane, false);
		if (r < 0 || (r = watch_lane(bench, lane)) < 0)
			return r;
	}
	return 0;
}

static unsigned in_flight(const struct bench *bench)
{
	unsigned sum = 0;
	for (unsigned i = 0; i < bench->options->connections; i++)
		sum += initiator_in_flight(bench->lanes[i].initiator);
	return sum;
}

static int turn_until(struct bench *bench, uint64_t end_ns)
{
	int r = 0;
	while (r == 0 && !bench->failed && turn_now(bench) < end_ns)
		r = turn(bench);
	return bench->failed ? -EIO : r;
}

static int drain(struct bench *bench)
{
	int r = 0;
	while (r == 0 && !bench->failed && in_flight(bench))
		r = turn(bench);
	return bench->failed ? -EIO : r;
}

/* Starts every worker of every connection; the first PDUs leave in the first turn. */
static int start_workers(struct bench *bench, bool fill)
{
	const struct options *options = bench->options;
	bench->now_ns = 0;
	for (unsigned i = 0; i < options->connections; i++) {
		struct lane *lane = &bench->lanes[i];
		for (unsigned j = 0; j < options->config.depth; j++) {
			struct worker *worker = &lane->workers[j];
			worker->request.done = fill ? fill_done : request_done;
			if (!fill)
				submit_next(bench, worker);
			else if (bench->next_slot < bench->slots)
				submit_at(bench, worker, bench->next_slot++, true);
		}
		int r = options->connections > 1 ? turn_lane(bench, lane, false) : 0;
		if (r < 0 || (options->connections > 1 && (r = watch_lane(bench, lane)) < 0))
			return r;
	}
	return 0;
}

static int fill_range(struct bench *bench)
{
	bench->next_slot = 0;
	int r = start_workers(bench, true);
	return r < 0 ? r : drain(bench);
}

static void read_usage(const struct bench *bench, struct process_usage *ret_own,
                       struct process_usage *ret_server)
{
	(void)process_usage_read(getpid(), ret_own); /* it is there */
	if (bench->options->server_pid &&
	    !process_usage_read(bench->options->server_pid, ret_server))
		*ret_server = (struct process_usage){ 0 };
}

static void subtract_usage(struct process_usage *from, const struct process_usage *what)
{
	from->cpu_ns -= what->cpu_ns;
	from->switches -= what->switches;
}

static int measure(struct bench *bench)
{
	const struct options *options = bench->options;
	struct measurement *result = &bench->result;
	struct process_usage own = { 0 }, server = { 0 };
	int r = start_workers(bench, false);
	if (r == 0)
		r = turn_until(bench, measure_now_ns() + options->warmup_ns);
	if (r < 0)
		return r;
	read_usage(bench, &own, &server);
	bench->measuring = true;
	uint64_t begin_ns = measure_now_ns();
	r = turn_until(bench, begin_ns + options->duration_ns);
	result->elapsed_ns = measure_now_ns() - begin_ns;
	bench->measuring = false;
	bench->stopping = true;
	read_usage(bench, &result->own, &result->server);
	subtract_usage(&result->own, &own);
	subtract_usage(&result->server, &server);
	result->has_server = options->server_pid != 0;
	result->operations = result->latencies.count;
	return r < 0 ? r : drain(bench);
}

/* ---- setting up ---- */

static int open_lane(struct bench *bench, unsigned index, uint64_t *ret_bytes)
{
	struct lane *lane = &bench->lanes[index];
	struct initiator_config config = bench->options->config;
	struct error err;
	uint64_t blocks;
	config.isid[4] = (uint8_t)(index >> 8);
	config.isid[5] = (uint8_t)index;
	lane->bench = bench;
	int r = initiator_connect(&config, &lane->initiator, &err);
	if (r == 0)
		r = initiator_read_capacity(lane->initiator, &blocks, &bench->block_size, &err);
	if (r < 0) {
		fprintf(stderr, "iscsi-bench: %s\n", err.text);
		return r;
	}
	*ret_bytes = blocks * bench->block_size;
	lane->workers = calloc(config.depth, sizeof(*lane->workers));
	return lane->workers ? 0 : -ENOMEM;
}

static int plan_range(struct bench *bench, uint64_t lun_bytes)
{
	const struct options *options = bench->options;
	uint64_t range = options->range_bytes ? options->range_bytes : lun_bytes;
	if (options->verify && !options->range_bytes && range > VERIFY_RANGE)
		range = VERIFY_RANGE;
	if (range > lun_bytes || options->size_bytes > range ||
	    options->size_bytes % bench->block_size) {
		fprintf(stderr,
		        "iscsi-bench: the LUN has %llu bytes in blocks of %u: --size and --range "
		        "do not fit\n",
		        (unsigned long long)lun_bytes, bench->block_size);
		return -EINVAL;
	}
	bench->blocks = (uint32_t)(options->size_bytes / bench->block_size);
	bench->slots = range / options->size_bytes;
	bench->random = MEASURE_RANDOM;
	return 0;
}

/* Each request has a buffer of its own; reads that nobody looks at need none. */
static int give_buffers(struct bench *bench)
{
	const struct options *options = bench->options;
	uint64_t most = options_deallocate(options) ? bench->block_size : options->size_bytes;
	size_t size = (most + 4095) & ~4095ull;
	size_t count = (size_t)options->connections * options->config.depth;
	if (options->reads_percent == 100 && !options->verify)
		return 0;
	bench->memory = aligned_alloc(4096, size * count);
	if (!bench->memory)
		return -ENOMEM;
	memset(bench->memory, 0x5a, size * count);
	uint8_t *at = bench->memory;
	for (unsigned i = 0; i < options->connections; i++)
		for (unsigned j = 0; j < options->config.depth; j++, at += size)
			bench->lanes[i].workers[j].request.data = at;
	return 0;
}

static int open_bench(struct bench *bench)
{
	uint64_t bytes = 0;
	bench->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (bench->epoll_fd < 0)
		return -errno;
	for (unsigned i = 0; i < bench->options->connections; i++) {
		int r = open_lane(bench, i, &bytes);
		if (r < 0)
			return r;
	}
	int r = plan_range(bench, bytes);
	if (r == 0)
		r = give_buffers(bench);
	for (unsigned i = 0; r == 0 && i < bench->options->connections; i++)
		for (unsigned j = 0; j < bench->options->config.depth; j++)
			bench->lanes[i].workers[j].lane = &bench->lanes[i];
	return r;
}

static int log_out(struct bench *bench)
{
	struct error err;
	for (unsigned i = 0; i < bench->options->connections; i++) {
		int r = initiator_logout(bench->lanes[i].initiator, &err);
		if (r < 0) {
			fprintf(stderr, "iscsi-bench: %s\n", err.text);
			return r;
		}
	}
	return 0;
}

static void close_bench(struct bench *bench)
{
	for (unsigned i = 0; i < CONNECTIONS_MAX; i++) {
		initiator_free(bench->lanes[i].initiator);
		free(bench->lanes[i].workers);
	}
	free(bench->memory);
	if (bench->epoll_fd >= 0)
		close(bench->epoll_fd);
	free(bench);
}

int main(int argc, char **argv)
{
	struct options options;
	int r = options_parse(argc, argv, &options);
	if (r != 0)
		return r > 0 ? 0 : 2;
	if (options.cpu >= 0 && !measure_pin(options.cpu)) {
		fprintf(stderr, "iscsi-bench: there is no CPU %d\n", options.cpu);
		return 2;
	}
	struct bench *bench = calloc(1, sizeof(*bench));
	if (!bench)
		return 1;
	bench->options = &options;
	r = open_bench(bench);
	if (r == 0 && options.verify)
		r = fill_range(bench);
	if (r == 0)
		r = measure(bench);
	if (r == 0)
		r = log_out(bench);
	if (r == 0)
		measurement_print(&bench->result, options.json);
	close_bench(bench);
	return r == 0 ? 0 : 1;
}
