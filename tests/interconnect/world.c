/* The gateways, their disk, and commands. */
#include "world.h"

#include "cutter.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

uint64_t world_now_ms = 1000000;
unsigned world_silence_ms, world_age_max_ms;
uint8_t world_version_max[WORLD_GATEWAYS_MAX];
uint8_t world_lun = 3;

bool world_real_time;

uint64_t world_clock(void)
{
	return world_real_time ? clock_monotonic_ms() : world_now_ms;
}

/* ---- the disk ---- */

static void carry_out(struct disk *disk, struct io *io)
{
	uint64_t at = io->offset;
	for (unsigned i = 0; disk->fail == 0 && i < io->iov_count; i++) {
		struct iovec *iov = &io->iov[i];
		if (io->op == IO_READ)
			memcpy(iov->iov_base, disk->memory + at, iov->iov_len);
		else if (io->op == IO_WRITE)
			memcpy(disk->memory + at, iov->iov_base, iov->iov_len);
		at += iov->iov_len;
	}
	if (io->op == IO_WRITE && disk->fail == 0) {
		for (uint64_t b = io->offset / WORLD_BLOCK; b * WORLD_BLOCK < at; b++)
			disk->writes[b]++;
	}
	io_complete(io, disk->fail);
}

static void submit(struct backend *backend, struct io *io)
{
	struct disk *disk = container_of(backend, struct disk, backend);
	disk->count++;
	if (!disk->hold) {
		carry_out(disk, io);
		return;
	}
	assert_true(disk->held_count < HELD_MAX);
	disk->held[disk->held_count++] = io;
}

void disk_release(struct disk *disk)
{
	disk->hold = false;
	for (unsigned i = 0; i < disk->held_count; i++)
		carry_out(disk, disk->held[i]);
	disk->held_count = 0;
}

static void get_info(const struct backend *backend, struct backend_info *ret_info)
{
	(void)backend;
	*ret_info = (struct backend_info){ .size_bytes = WORLD_BYTES };
}

static const struct backend_ops disk_ops = {
	.name = "disk",
	.submit = { submit, submit, submit, submit, submit },
	.get_info = get_info,
};

static void disk_init(struct disk *disk)
{
	disk->backend.ops = &disk_ops;
	disk->memory = mmap(NULL, WORLD_BYTES, PROT_READ | PROT_WRITE,
	                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	assert_true(disk->memory != MAP_FAILED);
	disk->writes = calloc(WORLD_BLOCKS, 1);
	assert_non_null(disk->writes);
}

static void disk_done(struct disk *disk)
{
	munmap(disk->memory, WORLD_BYTES);
	free(disk->writes);
}

/* ---- listeners ---- */

static struct gateway *gateway_of(struct interconnect_listener *listener)
{
	return container_of(listener, struct gateway, listener);
}

static void peer_changed(struct interconnect_listener *listener, const struct peer_info *peer)
{
	gateway_of(listener)->changes++;
	gateway_of(listener)->changed = *peer;
}

static void unproven(struct interconnect_listener *listener)
{
	gateway_of(listener)->unproven++;
}

static void told(struct interconnect_listener *listener, const struct peer_info *peer,
                 const char *text)
{
	struct gateway *gateway = gateway_of(listener);
	gateway->told_count++;
	strcpy(gateway->told.gateway, peer->gateway);
	(void)snprintf(gateway->told.text, sizeof gateway->told.text, "%s", text);
}

static struct lun *find_lun(struct interconnect_listener *listener, const char *name,
                            const char *wwn)
{
	struct gateway *gateway = gateway_of(listener);
	if (gateway->second && strcmp(name, "rbd/disk_2") == 0)
		return lun_get(gateway->second);
	assert_string_equal(name, "rbd/disk_1");
	assert_string_equal(wwn, "ee982d1a-a657-4cf2-996c-a3d03a6f25a9");
	return gateway->no_lun ? NULL : lun_get(gateway->lun);
}

/* ---- gateways ---- */

static void interconnect_init(struct gateway *gateway)
{
	struct error err;
	gateway->config = (struct interconnect_config){
		.manager = gateway->manager,
		.reactors = gateway->reactors,
		.reactor_count = WORLD_REACTORS,
		.gateway = gateway->name,
		.instance = gateway->instance,
		.address = "127.0.0.1",
		.secret = { 1, 2, 3 },
		.silence_ms = world_silence_ms,
		.age_max_ms = world_age_max_ms,
		.version_max = gateway->version_max,
		.listener = &gateway->listener,
		.clock = world_clock,
	};
	assert_int_equal(interconnect_new(&gateway->config, &gateway->interconnect, &err), 0);
	cutter_init(&gateway->cutter, interconnect_address(gateway->interconnect));
}

static struct lun *new_lun(const struct gateway *gateway, const char *name, const char *wwn,
                           const char *vendor_id)
{
	struct lun_config config = {
		.name = name,
		.wwn = wwn,
		.vendor_id = vendor_id,
		.block_size = WORLD_BLOCK,
		.max_sectors = WORLD_BYTES / 512,
		.relay = interconnect_relay(gateway->interconnect),
	};
	struct lun *lun = NULL;
	assert_int_equal(lun_new(&config, &lun), 0);
	return lun;
}

static void gateway_init(struct gateway *gateway, unsigned number)
{
	gateway->version_max = world_version_max[number];
	(void)snprintf(gateway->name, sizeof gateway->name, "gw%u", number);
	(void)snprintf(gateway->instance, sizeof gateway->instance, "life%u", number);
	assert_int_equal(reactor_new("manager", world_clock, &gateway->manager), 0);
	for (unsigned i = 0; i < WORLD_REACTORS; i++)
		assert_int_equal(reactor_new("io", world_clock, &gateway->reactors[i]), 0);
	gateway->listener =
	        (struct interconnect_listener){ peer_changed, told, find_lun, unproven };
	interconnect_init(gateway);
	gateway->lun = new_lun(gateway, "rbd/disk_1", "ee982d1a-a657-4cf2-996c-a3d03a6f25a9",
	                       "rbd/rbd/disk_1;osd_op_timeout=30");
	(void)snprintf(gateway->port.target_name, sizeof gateway->port.target_name,
	               "iqn.2003-01.com.redhat.iscsi-gw:iscsi-igw");
	gateway->port.tag = (uint16_t)(number + 1);
	disk_init(&gateway->disk);
}

static void set_flag(void *argument)
{
	*(bool *)argument = true;
}

void world_stop_start(struct world *world, unsigned number)
{
	struct gateway *gateway = &world->gateways[number];
	gateway->stopped = false;
	gateway->stopping = true;
	interconnect_stop(gateway->interconnect, set_flag, &gateway->stopped);
}

void world_stop(struct world *world, unsigned number)
{
	struct gateway *gateway = &world->gateways[number];
	if (!gateway->interconnect)
		return;
	if (!gateway->stopping)
		world_stop_start(world, number);
	EVENTUALLY(world, gateway->stopped);
	interconnect_free(gateway->interconnect);
	gateway->interconnect = NULL;
	gateway->stopping = false;
}

void world_start(struct world *world, unsigned number)
{
	cutter_done(&world->gateways[number].cutter);
	interconnect_init(&world->gateways[number]);
}

static void gateway_done(struct world *world, unsigned number)
{
	struct gateway *gateway = &world->gateways[number];
	bool quiet = false;
	if (lun_get_state(gateway->lun) == LUN_READY) {
		lun_quiesce(gateway->lun, LUN_FAILED, set_flag, &quiet);
		EVENTUALLY(world, quiet);
	}
	lun_put(gateway->lun);
	cutter_done(&gateway->cutter);
	disk_done(&gateway->disk);
	if (!gateway->second)
		return;
	if (lun_get_state(gateway->second) == LUN_READY) {
		quiet = false;
		lun_quiesce(gateway->second, LUN_FAILED, set_flag, &quiet);
		EVENTUALLY(world, quiet);
	}
	lun_put(gateway->second);
	disk_done(&gateway->second_disk);
}

/* What was not executed waits for news of its owner; the target gives them again and again. */
static void forward_again(struct gateway *gateway)
{
	struct lun_counters counters;
	struct lun_route route;
	if (lun_get_state(gateway->lun) != LUN_FORWARDED ||
	    world_clock() < gateway->forwarded_ms + 50)
		return;
	gateway->forwarded_ms = world_clock();
	lun_get_counters(gateway->lun, &counters);
	lun_get_route(gateway->lun, &route);
	if (counters.held)
		lun_forward(gateway->lun, &route);
}

void world_turn(struct world *world)
{
	for (unsigned i = 0; i < world->count; i++) {
		struct gateway *gateway = &world->gateways[i];
		cutter_turn(&gateway->cutter);
		if (gateway->paused)
			continue;
		(void)reactor_turn(gateway->manager, 0);
		forward_again(gateway);
		for (unsigned k = 0; k < WORLD_REACTORS && !world->threaded; k++)
			(void)reactor_turn(gateway->reactors[k], 0);
	}
}

void world_pass(struct world *world, unsigned ms)
{
	for (unsigned i = 0; i < ms; i++) {
		world_now_ms++;
		world_turn(world);
		world_turn(world);
	}
}

uint32_t world_connect(struct world *world, unsigned from, unsigned to)
{
	struct gateway *gateway = &world->gateways[from], *peer = &world->gateways[to];
	uint32_t id = 0;
	assert_int_equal(interconnect_add_peer(gateway->interconnect, peer->name, peer->instance,
	                                       peer->cutter.address, &id),
	                 0);
	return id;
}

enum peer_state world_peer(const struct world *world, unsigned from, uint32_t id,
                           struct peer_info *ret_info)
{
	assert_true(interconnect_get_peer(world->gateways[from].interconnect, id, ret_info));
	return ret_info->state;
}

void world_forward(struct world *world, unsigned from, unsigned to, uint64_t epoch)
{
	struct peer_info info;
	struct lun_route route = { .peer = world_connect(world, from, to), .epoch = epoch };
	EVENTUALLY(world, world_peer(world, from, route.peer, &info) == PEER_UP);
	lun_forward(world->gateways[from].lun, &route);
}

struct world *world_new_alone(unsigned count)
{
	struct world *world = calloc(1, sizeof *world);
	assert_non_null(world);
	for (unsigned i = 0; i < count; i++)
		gateway_init(&world->gateways[i], i);
	world->count = count;
	return world;
}

struct world *world_new(unsigned count)
{
	struct world *world = world_new_alone(count);
	struct gateway *owner = &world->gateways[count - 1];
	lun_set_epoch(owner->lun, 7);
	lun_serve(owner->lun, &owner->disk.backend);
	for (unsigned i = 0; i + 1 < count; i++) {
		world_forward(world, i, count - 1, 7);
		(void)world_connect(world, count - 1, i);
	}
	return world;
}

void world_add_lun(struct world *world)
{
	for (unsigned i = 0; i < world->count; i++) {
		struct gateway *gateway = &world->gateways[i];
		struct lun_route route;
		gateway->second =
		        new_lun(gateway, "rbd/disk_2", "ee982d1a-a657-4cf2-996c-a3d03a6f25aa",
		                "rbd/rbd/disk_2;osd_op_timeout=30");
		disk_init(&gateway->second_disk);
		if (i + 1 == world->count) {
			lun_set_epoch(gateway->second, 7);
			lun_serve(gateway->second, &gateway->second_disk.backend);
		} else {
			lun_get_route(gateway->lun, &route);
			lun_forward(gateway->second, &route);
		}
	}
}

void world_free(struct world *world)
{
	if (!world)
		return;
	for (unsigned i = 0; i < world->count; i++) {
		disk_release(&world->gateways[i].disk);
		disk_release(&world->gateways[i].second_disk);
	}
	for (unsigned i = 0; i < world->count; i++)
		world_stop(world, i);
	for (unsigned i = 0; i < world->count; i++)
		gateway_done(world, i);
	for (unsigned i = 0; i < world->count; i++) {
		reactor_free(world->gateways[i].manager);
		for (unsigned k = 0; k < WORLD_REACTORS; k++)
			reactor_free(world->gateways[i].reactors[k]);
	}
	free(world);
}

/* ---- nexuses and commands ---- */

struct nexus *world_nexus(struct world *world, unsigned number, unsigned reactor, uint8_t isid)
{
	struct gateway *gateway = &world->gateways[number];
	struct lun_mapping mappings[] = { { .number = 3, .lun = gateway->lun },
		                          { .number = 4, .lun = gateway->second } };
	struct nexus_config config = {
		.initiator_name = "iqn.1994-05.com.redhat:rh7-client",
		.isid = { 0, 2, 0x3d, 0, (uint8_t)number, isid },
		.port = &gateway->port,
		.reactor = gateway->reactors[reactor],
		.mappings = mappings,
		.mapping_count = gateway->second ? 2 : 1,
	};
	struct nexus *nexus = NULL;
	struct command command = { 0 };
	assert_int_equal(nexus_new(&config, &nexus), 0);
	for (world_lun = 3; world_lun < 3 + config.mapping_count; world_lun++) {
		do { /* until no unit attention is left */
			command_free(&command);
			command_start(&command, nexus, CDB(0, 0, 0, 0, 0, 0), 0, NULL);
			command_wait(world, &command);
		} while (command.task.status == SCSI_CHECK_CONDITION);
		assert_good(&command);
		command_free(&command);
	}
	world_lun = 3;
	return nexus;
}

void world_nexus_end(struct world *world, struct nexus *nexus)
{
	bool ended = false;
	nexus_stop(nexus, set_flag, &ended);
	EVENTUALLY(world, ended);
	nexus_free(nexus);
	for (unsigned i = 0; i < 4; i++)
		world_turn(world);
}

static void command_done(struct scsi_task *task)
{
	struct command *command = container_of(task, struct command, task);
	command->done++;
	assert_true(task->data_in_len <= task->expected_len);
	if (task->data_in_len) {
		command->in = malloc(task->data_in_len);
		memcpy(command->in, task->data->data, task->data_in_len);
	}
	scsi_task_release(task);
}

void command_start(struct command *command, struct nexus *nexus, const uint8_t *cdb, size_t cdb_len,
                   int64_t expected, const void *out)
{
	memset(command, 0, sizeof *command);
	struct scsi_task *task = &command->task;
	task->nexus = nexus;
	memcpy(task->cdb, cdb, cdb_len);
	task->cdb_len = cdb_len > 16 ? 32 : 16;
	task->lun[1] = world_lun;
	task->attribute = SCSI_SIMPLE;
	task->wants_read = expected > 0;
	task->wants_write = expected < 0;
	task->expected_len = (uint32_t)(expected < 0 ? -expected : expected);
	task->tag = 77;
	task->done = command_done;
	if (scsi_task_begin(task) != SCSI_BEGIN_NEEDS_DATA)
		return;
	task->data = buffer_get(reactor_buffers(nexus_reactor(nexus)), task->data_out_len);
	assert_non_null(task->data);
	if (out)
		memcpy(task->data->data, out, task->data_out_len);
	scsi_task_execute(task);
	assert_int_equal(command->done, 0);
}

void command_free(struct command *command)
{
	free(command->in);
	command->in = NULL;
}

static void put_rw16(uint8_t *cdb, uint8_t opcode, uint32_t lba, uint32_t blocks)
{
	memset(cdb, 0, 16);
	cdb[0] = opcode;
	put_be64(cdb + 2, lba);
	put_be32(cdb + 10, blocks);
}

/* Every block begins with its number, so that a misplaced one is seen. */
static void fill_blocks(uint8_t *data, uint32_t lba, uint32_t blocks, uint8_t fill)
{
	memset(data, fill, (size_t)blocks * WORLD_BLOCK);
	for (uint32_t i = 0; i < blocks; i++)
		put_be32(data + (size_t)i * WORLD_BLOCK, lba + i);
}

void write_start(struct command *command, struct nexus *nexus, uint32_t lba, uint32_t blocks,
                 uint8_t fill)
{
	uint8_t cdb[16], *data = malloc((size_t)blocks * WORLD_BLOCK);
	assert_non_null(data);
	fill_blocks(data, lba, blocks, fill);
	put_rw16(cdb, 0x8a, lba, blocks);
	command_start(command, nexus, cdb, sizeof cdb, -(int64_t)blocks * WORLD_BLOCK, data);
	free(data);
}

void read_start(struct command *command, struct nexus *nexus, uint32_t lba, uint32_t blocks)
{
	uint8_t cdb[16];
	put_rw16(cdb, 0x88, lba, blocks);
	command_start(command, nexus, cdb, sizeof cdb, (int64_t)blocks * WORLD_BLOCK, NULL);
}

void command_wait(struct world *world, const struct command *command)
{
	EVENTUALLY(world, command->done);
	assert_int_equal(command->done, 1);
}

void assert_good(const struct command *command)
{
	assert_int_equal(command->done, 1);
	assert_false(command->task.aborted);
	if (command->task.status == SCSI_CHECK_CONDITION)
		print_message("# sense %02x/%02x/%02x\n", command->task.sense[2] & 15,
		              command->task.sense[12], command->task.sense[13]);
	assert_int_equal(command->task.status, SCSI_GOOD);
}

void assert_sense(const struct command *command, uint32_t code)
{
	const uint8_t *sense = command->task.sense;
	assert_int_equal(command->done, 1);
	assert_int_equal(command->task.status, SCSI_CHECK_CONDITION);
	assert_int_equal((uint32_t)(sense[2] & 15) << 16 | sense[12] << 8 | sense[13], code);
}
