/* The fake backend, and a device server that the test steps. */
#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the fake backend ---- */

static struct fake *fake_of(struct backend *backend)
{
	return container_of(backend, struct fake, backend);
}

static void carry_out(struct fake *fake, struct io *io)
{
	uint64_t at = io->offset;
	assert_true(io->op == IO_FLUSH || range_ok(at, io->length, fake->info.size_bytes));
	if (io->op == IO_WRITE_ZEROES)
		memset(fake->memory + at, 0, io->length);
	for (unsigned i = 0; i < io->iov_count; i++) {
		struct iovec *iov = &io->iov[i];
		if (io->op == IO_READ)
			memcpy(iov->iov_base, fake->memory + at, iov->iov_len);
		else
			memcpy(fake->memory + at, iov->iov_base, iov->iov_len);
		at += iov->iov_len;
	}
}

static void complete(struct fake *fake, struct io *io)
{
	int result = fake->fail[io->op];
	if (result == 0)
		carry_out(fake, io);
	io_complete(io, result);
}

static void fake_submit(struct backend *backend, struct io *io)
{
	struct fake *fake = fake_of(backend);
	fake->count[io->op]++;
	fake->flags = io->flags;
	if (!fake->hold) {
		complete(fake, io);
		return;
	}
	assert_true(fake->held_count < FAKE_HELD_MAX);
	fake->held[fake->held_count++] = io;
}

void fake_complete(struct fake *fake, unsigned i)
{
	assert_true(i < fake->held_count);
	struct io *io = fake->held[i];
	fake->held_count--;
	memmove(&fake->held[i], &fake->held[i + 1], (fake->held_count - i) * sizeof fake->held[0]);
	complete(fake, io);
}

static void fake_close(struct backend *backend)
{
	struct fake *fake = fake_of(backend);
	free(fake->memory);
	free(fake);
}

static void fake_get_info(const struct backend *backend, struct backend_info *ret_info)
{
	*ret_info = container_of(backend, struct fake, backend)->info;
}

static const struct backend_ops fake_ops = {
	.name = "fake",
	.close = fake_close,
	.submit = { fake_submit, fake_submit, fake_submit, fake_submit, fake_submit },
	.get_info = fake_get_info,
};

static struct fake *fake_new(uint64_t size_bytes)
{
	struct fake *fake = calloc(1, sizeof *fake);
	assert_non_null(fake);
	fake->backend.ops = &fake_ops;
	fake->memory = calloc(1, size_bytes);
	assert_non_null(fake->memory);
	fake->info.size_bytes = size_bytes;
	fake->info.discard_granularity = 65536;
	fake->info.optimal_io = 4u << 20;
	fake->info.rotational = true;
	return fake;
}

/* ---- the rig ---- */

static uint64_t advanced_ms;

static uint64_t rig_clock(void)
{
	return clock_monotonic_ms() + advanced_ms;
}

void rig_advance(struct rig *rig, unsigned ms)
{
	advanced_ms += ms;
	rig_turn(rig);
}

void rig_turn(struct rig *rig)
{
	for (unsigned turn = 0; turn < 8; turn++) {
		for (unsigned i = 0; i < RIG_NEXUSES; i++)
			(void)reactor_turn(rig->reactors[i], 0);
	}
}

struct nexus *rig_nexus(struct rig *rig, unsigned reactor, const char *initiator, uint8_t isid)
{
	struct lun_mapping mapping = { .number = 0, .lun = rig->lun };
	struct nexus_config config = {
		.initiator_name = initiator,
		.isid = { 0x00, 0x02, 0x3d, 0, 0, isid },
		.port = &rig->port,
		.reactor = rig->reactors[reactor],
		.mappings = &mapping,
		.mapping_count = 1,
	};
	struct nexus *nexus;
	assert_int_equal(nexus_new(&config, &nexus), 0);
	struct command *command = calloc(1, sizeof *command);
	for (int i = 0; i < 2; i++) { /* the attention of a new nexus, and after it */
		command_fill(command, nexus, CDB(0, 0, 0, 0, 0, 0), 0);
		command_start(command, NULL);
		rig_turn(rig);
	}
	assert_good(command);
	free(command);
	return nexus;
}

static void rig_ended(void *argument)
{
	((struct rig *)argument)->ended = true;
}

void rig_stop(struct rig *rig, struct nexus *nexus)
{
	rig->ended = false;
	nexus_stop(nexus, rig_ended, rig);
	rig_turn(rig);
	assert_true(rig->ended);
	nexus_free(nexus);
}

struct rig *rig_new(uint32_t block_size, uint64_t blocks)
{
	return rig_new_kept(block_size, blocks, NULL);
}

struct rig *rig_new_kept(uint32_t block_size, uint64_t blocks, struct reservation_keeper *keeper)
{
	struct rig *rig = calloc(1, sizeof *rig);
	assert_non_null(rig);
	rig->block_size = block_size;
	(void)snprintf(rig->port.target_name, sizeof rig->port.target_name,
	               "iqn.2003-01.com.redhat.iscsi-gw:iscsi-igw");
	rig->port.tag = 1;
	struct lun_config config = {
		.name = "rbd/disk_1",
		.wwn = "ee982d1a-a657-4cf2-996c-a3d03a6f25a9",
		.vendor_id = "rbd/rbd/disk_1;osd_op_timeout=30",
		.block_size = block_size,
		.max_sectors = 1024,
		.relay = &rig->relay.relay,
		.reservation_keeper = keeper,
	};
	fake_relay_init(&rig->relay);
	assert_int_equal(lun_new(&config, &rig->lun), 0);
	rig->fake = fake_new(block_size * blocks);
	lun_serve(rig->lun, &rig->fake->backend);
	for (unsigned i = 0; i < RIG_NEXUSES; i++)
		assert_int_equal(reactor_new("test", rig_clock, &rig->reactors[i]), 0);
	rig->nexuses[0] = rig_nexus(rig, 0, RIG_INITIATOR, 1);
	rig->nexuses[1] = rig_nexus(rig, 1, "iqn.1994-05.com.redhat:client2", 1);
	return rig;
}

void rig_free(struct rig *rig)
{
	if (!rig)
		return;
	for (unsigned i = 0; i < RIG_NEXUSES; i++) {
		if (rig->nexuses[i])
			rig_stop(rig, rig->nexuses[i]);
	}
	if (lun_get_state(rig->lun) == LUN_READY) {
		rig->ended = false;
		lun_quiesce(rig->lun, LUN_FAILED, rig_ended, rig);
		assert_true(rig->ended);
	}
	lun_put(rig->lun);
	backend_free(&rig->fake->backend);
	for (unsigned i = 0; i < RIG_NEXUSES; i++)
		reactor_free(rig->reactors[i]);
	free(rig);
}

void rig_leave(struct rig *rig, enum lun_state state)
{
	rig->ended = false;
	lun_quiesce(rig->lun, state, rig_ended, rig);
	assert_true(rig->ended);
	rig_turn(rig);
}

void rig_serve(struct rig *rig, uint64_t epoch)
{
	lun_set_epoch(rig->lun, epoch);
	lun_serve(rig->lun, &rig->fake->backend);
	rig_turn(rig);
}

void rig_forward(struct rig *rig, uint32_t peer, uint64_t epoch)
{
	lun_forward(rig->lun, &(struct lun_route){ .peer = peer, .epoch = epoch });
	rig_turn(rig);
}

void rig_make_proxy(struct rig *rig, uint16_t tag)
{
	rig_stop(rig, rig->nexuses[1]);
	struct scsi_port port = rig->port;
	port.tag = tag;
	struct nexus_config config = {
		.initiator_name = "iqn.1994-05.com.redhat:client2",
		.isid = { 0x00, 0x02, 0x3d, 0, 0, 1 },
		.port = &port,
		.reactor = rig->reactors[1],
		.proxy = true,
	};
	assert_int_equal(nexus_new(&config, &rig->nexuses[1]), 0);
	struct lun_mapping mapping = { .number = 0, .lun = rig->lun };
	assert_int_equal(nexus_add_mapping(rig->nexuses[1], &mapping), 0);
}

/* ---- commands ---- */

static void command_done(struct scsi_task *task)
{
	struct command *command = container_of(task, struct command, task);
	command->done++;
	assert_true(task->data_in_len <= task->expected_len);
	if (task->data_in_len) {
		assert_true(task->data_in_len <= sizeof command->in);
		memcpy(command->in, task->data->data, task->data_in_len);
	}
	scsi_task_release(task);
}

void command_fill(struct command *command, struct nexus *nexus, const uint8_t *cdb, size_t cdb_len,
                  int64_t expected_len)
{
	memset(command, 0, sizeof *command);
	struct scsi_task *task = &command->task;
	task->nexus = nexus;
	memcpy(task->cdb, cdb, cdb_len);
	task->cdb_len = 16;
	task->attribute = SCSI_SIMPLE;
	task->wants_read = expected_len > 0;
	task->wants_write = expected_len < 0;
	task->expected_len = (uint32_t)(expected_len < 0 ? -expected_len : expected_len);
	task->done = command_done;
}

void command_start(struct command *command, const void *out)
{
	struct scsi_task *task = &command->task;
	command->begun = scsi_task_begin(task);
	assert_int_equal(command->done, 0);
	if (command->begun != SCSI_BEGIN_NEEDS_DATA)
		return;
	assert_true(task->data_out_len > 0 && task->data_out_len <= task->expected_len);
	task->data = buffer_get(reactor_buffers(nexus_reactor(task->nexus)), task->data_out_len);
	assert_non_null(task->data);
	if (out)
		memcpy(task->data->data, out, task->data_out_len);
	else
		memset(task->data->data, 0, task->data_out_len);
	scsi_task_execute(task);
	assert_int_equal(command->done, 0);
}

void command_run(struct rig *rig, struct command *command, unsigned nexus, const uint8_t *cdb,
                 size_t cdb_len, int64_t expected_len, const void *out)
{
	command_fill(command, rig->nexuses[nexus], cdb, cdb_len, expected_len);
	command_start(command, out);
	rig_turn(rig);
}

void assert_status(const struct command *command, enum scsi_status status)
{
	assert_int_equal(command->done, 1);
	assert_false(command->task.aborted);
	if (command->task.status != status && command->task.sense_len)
		print_message("# sense %02x/%02x/%02x\n", command->task.sense[2] & 15,
		              command->task.sense[12], command->task.sense[13]);
	assert_int_equal(command->task.status, status);
}

void assert_good(const struct command *command)
{
	assert_status(command, SCSI_GOOD);
	assert_int_equal(command->task.sense_len, 0);
}

void assert_sense(const struct command *command, uint32_t code)
{
	const struct scsi_task *task = &command->task;
	assert_status(command, SCSI_CHECK_CONDITION);
	uint32_t is = (uint32_t)(task->sense[2] & 0x0f) << 16 | (uint32_t)task->sense[12] << 8 |
	              task->sense[13];
	if ((task->sense[0] & 0x7f) == 0x72)
		is = (uint32_t)task->sense[1] << 16 | (uint32_t)task->sense[2] << 8 |
		     task->sense[3];
	if (is != code)
		print_message("# sense is %06x, should be %06x\n", is, code);
	assert_int_equal(is, code);
}

void assert_residual(const struct command *command, enum scsi_residual kind, uint32_t residual)
{
	assert_int_equal(command->task.residual_kind, kind);
	assert_int_equal(command->task.residual, residual);
}

void read_start(struct command *command, struct nexus *nexus, uint32_t lba, uint16_t blocks,
                uint32_t block_size)
{
	uint8_t cdb[10] = { 0x28 };
	put_be32(cdb + 2, lba);
	put_be16(cdb + 7, blocks);
	command_fill(command, nexus, cdb, sizeof cdb, (int64_t)blocks * block_size);
	command_start(command, NULL);
}

void write_start(struct command *command, struct nexus *nexus, uint32_t lba, uint16_t blocks,
                 uint32_t block_size, const void *out)
{
	uint8_t cdb[10] = { 0x2a };
	put_be32(cdb + 2, lba);
	put_be16(cdb + 7, blocks);
	command_fill(command, nexus, cdb, sizeof cdb, -(int64_t)blocks * block_size);
	command_start(command, out);
}

void management_done(struct task_management *tmf)
{
	container_of(tmf, struct command_management, tmf)->done++;
}

void manage(struct command_management *request, struct nexus *nexus, enum task_function function,
            struct scsi_task *task)
{
	memset(request, 0, sizeof *request);
	request->tmf.function = function;
	request->tmf.task = task;
	request->tmf.done = management_done;
	nexus_manage(nexus, &request->tmf);
	assert_int_equal(request->done, 0);
}

void set_flag(void *argument)
{
	*(bool *)argument = true;
}
