/* bench-interconnect: what forwarding costs. Two gateways in one process, each with one reactor on
 * a thread of its own and a disk in memory; commands enter at the first and run at the second
 * (--forwarded), or at the first itself. To be compared with bench-echo of the same size. */
#include "interconnect/interconnect.h"

#include "backend/backend.h"
#include "base/bytes.h"
#include "base/log.h"
#include "base/text.h"
#include "measure.h"
#include "scsi/lun.h"
#include "scsi/nexus.h"
#include "scsi/task.h"

#include <getopt.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define BLOCK     512u
#define DISK      (64u << 20)
#define DEPTH_MAX 1024

struct options {
	bool forwarded, writes, json;
	uint64_t size_bytes, duration_ns;
	unsigned depth;
	int cpu[2];
};

struct gateway {
	struct reactor *manager, *reactor;
	struct interconnect *interconnect;
	struct interconnect_listener listener;
	struct lun *lun;
	struct backend *disk;
};

struct run;
struct slot {
	struct scsi_task task;
	struct message message;
	struct run *run;
	uint64_t begun_ns;
};

struct run {
	struct options options;
	struct gateway gateways[2];
	struct nexus *nexus;
	struct slot slots[DEPTH_MAX];
	struct message begin;
	uint64_t next, until_ns;
	unsigned open;
	struct measurement measurement;
	bool failed;
	atomic_bool over, up, stopped;
};

static struct run run;

/* ---- gateways ---- */

static void peer_changed(struct interconnect_listener *listener, const struct peer_info *peer)
{
	(void)listener;
	atomic_store(&run.up, peer->state == PEER_UP);
}

static void told(struct interconnect_listener *listener, const struct peer_info *peer,
                 const char *text)
{
	(void)listener;
	(void)peer;
	(void)text;
}

static struct lun *find_lun(struct interconnect_listener *listener, const char *name,
                            const char *wwn)
{
	(void)name;
	(void)wwn;
	return lun_get(container_of(listener, struct gateway, listener)->lun);
}

static int gateway_start(struct gateway *gateway, const char *name, int cpu, struct error *err)
{
	const struct backend_config disk = { .kind = "memory", .name = name, .size_bytes = DISK };
	struct interconnect_config config = { .reactor_count = 1,
		                              .gateway = name,
		                              .instance = "bench",
		                              .address = "127.0.0.1",
		                              .listener = &gateway->listener };
	gateway->listener = (struct interconnect_listener){ peer_changed, told, find_lun };
	int r = reactor_new("manager", NULL, &gateway->manager);
	if (r == 0)
		r = reactor_new(name, NULL, &gateway->reactor);
	if (r == 0)
		r = backend_open(&disk, &gateway->disk, err);
	if (r < 0)
		return r;
	config.manager = gateway->manager;
	config.reactors = &gateway->reactor;
	r = interconnect_new(&config, &gateway->interconnect, err);
	if (r < 0)
		return r;
	const struct lun_config lun = { .name = "disk",
		                        .wwn = "disk",
		                        .vendor_id = "disk",
		                        .block_size = BLOCK,
		                        .max_sectors = 8192,
		                        .relay = interconnect_relay(gateway->interconnect) };
	r = lun_new(&lun, &gateway->lun);
	return r < 0 ? r : reactor_start(gateway->reactor, cpu);
}

/* The managers have no thread of their own here. */
static void turn_managers(void)
{
	for (unsigned i = 0; i < 2; i++)
		(void)reactor_turn(run.gateways[i].manager, 1);
}

static int connect_gateways(void)
{
	struct gateway *origin = &run.gateways[0], *owner = &run.gateways[1];
	struct lun_route route = { .epoch = 1 };
	int r = interconnect_add_peer(origin->interconnect, "owner", "bench",
	                              interconnect_address(owner->interconnect), &route.peer);
	if (r < 0)
		return r;
	while (!atomic_load(&run.up))
		turn_managers();
	lun_set_epoch(owner->lun, 1);
	lun_serve(owner->lun, owner->disk);
	if (run.options.forwarded)
		lun_forward(origin->lun, &route);
	else
		lun_serve(origin->lun, origin->disk);
	return 0;
}

/* ---- commands ---- */

static void begin(struct slot *slot);

static void begin_later(struct message *message)
{
	begin(container_of(message, struct slot, message));
}

static void done(struct scsi_task *task)
{
	struct slot *slot = container_of(task, struct slot, task);
	struct measurement *measurement = &run.measurement;
	uint64_t now = measure_now_ns();

	/* The unit attention of a new nexus is taken; anything else spoils the run. */
	run.failed |= task->status != SCSI_GOOD && measurement->operations;
	measurement->operations++;
	measurement->bytes += run.options.size_bytes;
	latencies_add(&measurement->latencies, now - slot->begun_ns);
	scsi_task_release(task);
	if (now < run.until_ns) {
		slot->message.run = begin_later;
		reactor_defer(run.gateways[0].reactor, &slot->message);
	} else if (--run.open == 0) {
		atomic_store(&run.over, true);
	}
}

static void begin(struct slot *slot)
{
	const struct options *options = &run.options;
	struct scsi_task *task = &slot->task;
	uint32_t blocks = (uint32_t)(options->size_bytes / BLOCK);
	uint64_t place = run.next++ * 7919 % (DISK / options->size_bytes) * blocks;

	slot->begun_ns = measure_now_ns();
	task->nexus = run.nexus;
	task->cdb[0] = options->writes ? 0x8a : 0x88;
	put_be64(task->cdb + 2, place);
	put_be32(task->cdb + 10, blocks);
	task->cdb_len = 16;
	task->attribute = SCSI_SIMPLE;
	task->wants_write = options->writes;
	task->wants_read = !options->writes;
	task->expected_len = (uint32_t)options->size_bytes;
	task->done = done;
	if (scsi_task_begin(task) != SCSI_BEGIN_NEEDS_DATA)
		return;
	task->data = buffer_get(reactor_buffers(run.gateways[0].reactor), task->data_out_len);
	if (task->data)
		scsi_task_execute(task);
	else
		scsi_task_cancel(task);
}

static void begin_all(struct message *message)
{
	static const struct scsi_port port = { "iqn.2003-01.bench:target", 1 };
	const struct lun_mapping mapping = { .lun = run.gateways[0].lun };
	const struct nexus_config config = { .initiator_name = "iqn.1994-05.bench:initiator",
		                             .port = &port,
		                             .reactor = run.gateways[0].reactor,
		                             .mappings = &mapping,
		                             .mapping_count = 1 };
	(void)message;
	run.failed = nexus_new(&config, &run.nexus) < 0;
	if (run.failed) {
		atomic_store(&run.over, true);
		return;
	}
	run.until_ns = measure_now_ns() + run.options.duration_ns;
	run.open = run.options.depth;
	for (unsigned i = 0; i < run.options.depth; i++) {
		run.slots[i].run = &run;
		begin(&run.slots[i]);
	}
}

static int measure(void)
{
	struct error err = { 0 };
	int r = gateway_start(&run.gateways[0], "origin", run.options.cpu[0], &err);
	if (r == 0)
		r = gateway_start(&run.gateways[1], "owner", run.options.cpu[1], &err);
	if (r == 0)
		r = connect_gateways();
	if (r < 0) {
		fprintf(stderr, "bench-interconnect: %s\n", *err.text ? err.text : strerror(-r));
		return 1;
	}
	uint64_t began = measure_now_ns();
	run.begin.run = begin_all;
	reactor_post(run.gateways[0].reactor, &run.begin);
	while (!atomic_load(&run.over))
		turn_managers();
	run.measurement.elapsed_ns = measure_now_ns() - began;
	measurement_print(&run.measurement, run.options.json);
	if (run.failed)
		fprintf(stderr, "bench-interconnect: commands failed\n");
	return run.failed;
}

/* ---- options ---- */

static const struct option long_options[] = {
	{ "forwarded", no_argument, NULL, 'f' },
	{ "writes", no_argument, NULL, 'w' },
	{ "json", no_argument, NULL, 'j' },
	{ "size", required_argument, NULL, 's' },
	{ "depth", required_argument, NULL, 'd' },
	{ "seconds", required_argument, NULL, 't' },
	{ "cpu", required_argument, NULL, 'c' },
	{ "owner-cpu", required_argument, NULL, 'o' },
	{ 0 },
};

static bool take_number(const char *text, uint64_t min, uint64_t max, int *ret_number)
{
	uint64_t number = 0;
	if (text_to_uint(text, min, max, &number) < 0)
		return false;
	*ret_number = (int)number;
	return true;
}

static bool take_option(int option, struct options *options)
{
	int depth = 0;
	switch (option) {
	case 'f':
		return options->forwarded = true;
	case 'w':
		return options->writes = true;
	case 'j':
		return options->json = true;
	case 's':
		return measure_parse_size(optarg, &options->size_bytes) &&
		       options->size_bytes >= BLOCK && options->size_bytes % BLOCK == 0 &&
		       options->size_bytes <= DISK;
	case 't':
		return measure_parse_seconds(optarg, &options->duration_ns);
	case 'c':
		return take_number(optarg, 0, 1023, &options->cpu[0]);
	case 'o':
		return take_number(optarg, 0, 1023, &options->cpu[1]);
	case 'd':
		if (!take_number(optarg, 1, DEPTH_MAX, &depth))
			return false;
		options->depth = (unsigned)depth;
		return true;
	default:
		return false;
	}
}

int main(int argc, char **argv)
{
	run.options = (struct options){
		.size_bytes = 4096, .depth = 1, .duration_ns = 3000000000u, .cpu = { -1, -1 }
	};
	for (int option; (option = getopt_long(argc, argv, "", long_options, NULL)) >= 0;) {
		if (take_option(option, &run.options))
			continue;
		fprintf(stderr, "usage: bench-interconnect [--forwarded] [--writes] [--json]\n"
		                "  [--size 4k] [--depth 1] [--seconds 3] [--cpu N] "
		                "[--owner-cpu N]\n");
		return 2;
	}
	log_set_level(LOG_LEVEL_ERROR);
	return measure();
}
