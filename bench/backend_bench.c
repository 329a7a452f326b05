/* backend-bench: what a backend gives without iSCSI in front: random reads or writes from one
 * reactor. Compare with `fio --ioengine=rbd` on the same image.
 *
 *   backend-bench rbd POOL/IMAGE read|write BLOCK DEPTH SECONDS     (CEPH_CONF; user:
 * CEPH_RIG_USER) backend-bench file PATH ...      backend-bench memory BYTES ... */
#include "backend/backend.h"
#include "cluster/client.h"
#include "measure.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 1024

struct slot {
	struct io io;
	struct iovec iov;
	uint64_t started_ns;
};

static struct bench {
	struct backend *backend;
	struct reactor *reactor;
	enum io_op op;
	uint64_t block, blocks, random, end_ns;
	unsigned in_flight;
	int error;
	struct measurement measurement;
} bench;

static void submit(struct slot *slot)
{
	bench.random = bench.random * 6364136223846793005u + 1442695040888963407u;
	slot->io.offset = (bench.random >> 20) % bench.blocks * bench.block;
	slot->started_ns = measure_now_ns();
	bench.in_flight++;
	backend_submit(bench.backend, &slot->io);
}

static void done(struct io *io)
{
	struct slot *slot = container_of(io, struct slot, io);
	uint64_t now_ns = measure_now_ns();
	bench.in_flight--;
	if (io->result < 0)
		bench.error = io->result;
	latencies_add(&bench.measurement.latencies, now_ns - slot->started_ns);
	bench.measurement.operations++;
	bench.measurement.bytes += bench.block;
	if (now_ns < bench.end_ns && bench.error == 0)
		submit(slot);
}

static void run(struct slot *slots, unsigned depth, uint64_t seconds)
{
	struct process_usage before, after;
	(void)process_usage_read(getpid(), &before); /* our own process is there */
	uint64_t start_ns = measure_now_ns();
	bench.end_ns = start_ns + seconds * 1000000000u;
	for (unsigned i = 0; i < depth; i++)
		submit(&slots[i]);
	while (bench.in_flight > 0)
		reactor_turn(bench.reactor, -1);
	(void)process_usage_read(getpid(), &after);
	bench.measurement.elapsed_ns = measure_now_ns() - start_ns;
	bench.measurement.own.cpu_ns = after.cpu_ns - before.cpu_ns;
	bench.measurement.own.switches = after.switches - before.switches;
}

static int open_backend(const char *kind, char *where, struct cluster_client **ret_client,
                        struct error *err)
{
	struct backend_config config = { .kind = kind, .name = where, .path = where };
	int r = 0;
	if (strcmp(kind, "memory") == 0 && !measure_parse_size(where, &config.size_bytes))
		return error_set(err, -EINVAL, "'%s' is no size", where);
	if (strcmp(kind, "rbd") == 0) {
		const char *user = getenv("CEPH_RIG_USER");
		char name[64];
		(void)snprintf(name, sizeof name, "client.%s", user ? user : "admin");
		struct cluster_client_config cluster = { .client_name = name, .data = true };
		r = cluster_client_connect(&cluster, ret_client, err);
		config.cluster = *ret_client;
		config.pool = strsep(&where, "/");
		config.image = where ? where : "";
		config.name = config.image;
	}
	if (r == 0)
		r = backend_open(&config, &bench.backend, err);
	if (r == 0)
		r = backend_acquire(bench.backend, NULL, err);
	return r;
}

static struct slot *make_slots(unsigned depth)
{
	struct slot *slots = calloc(depth, sizeof *slots);
	uint8_t *buffers = aligned_alloc(4096, depth * bench.block);
	if (!slots || !buffers)
		abort();
	memset(buffers, 0x5a, depth * bench.block);
	for (unsigned i = 0; i < depth; i++) {
		slots[i].iov = (struct iovec){ buffers + i * bench.block, bench.block };
		slots[i].io = (struct io){ .op = bench.op,
			                   .length = bench.block,
			                   .iov = &slots[i].iov,
			                   .iov_count = 1,
			                   .reactor = bench.reactor,
			                   .done = done };
	}
	return slots;
}

int main(int argc, char **argv)
{
	if (argc != 7 || !measure_parse_size(argv[4], &bench.block) || bench.block == 0 ||
	    bench.block % 512 != 0) {
		(void)fprintf(stderr, "usage: backend-bench rbd|file|memory WHERE read|write BLOCK "
		                      "DEPTH SECONDS\n");
		return 2;
	}
	unsigned depth = (unsigned)strtoul(argv[5], NULL, 10);
	bench.op = strcmp(argv[3], "write") == 0 ? IO_WRITE : IO_READ;
	struct cluster_client *client = NULL;
	struct backend_info info;
	struct error err = { 0 };
	if (depth == 0 || depth > DEPTH_MAX || reactor_new("bench", NULL, &bench.reactor) < 0 ||
	    open_backend(argv[1], argv[2], &client, &err) < 0) {
		(void)fprintf(stderr, "backend-bench: %s\n", err.text);
		return 1;
	}
	backend_get_info(bench.backend, &info);
	bench.blocks = info.size_bytes / bench.block;
	struct slot *slots = make_slots(depth);
	run(slots, depth, strtoul(argv[6], NULL, 10));
	measurement_print(&bench.measurement, false);
	if (bench.error < 0)
		(void)fprintf(stderr, "backend-bench: %s\n", strerror(-bench.error));
	backend_free(bench.backend);
	cluster_client_free(client);
	reactor_free(bench.reactor);
	free(slots[0].iov.iov_base);
	free(slots);
	return bench.error < 0 ? 1 : 0;
}
