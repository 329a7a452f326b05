/* Order of tasks, the range lock over two reactors, and LUNs whose state changes under them. */
#include "fixture.h"

#include <string.h>

static struct command a, b, c, d;
static uint8_t out[8192];

static void start(struct command *command, struct nexus *nexus, enum scsi_attribute attribute,
                  uint8_t lba)
{
	command_fill(command, nexus, CDB(0x28, 0, 0, 0, 0, lba, 0, 0, 1, 0), 512);
	command->task.attribute = attribute;
	command_start(command, NULL);
}

TEST(an_ordered_task_waits_for_older_ones_and_holds_up_younger_ones)
{
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	rig->fake->hold = true;
	start(&a, rig->nexuses[0], SCSI_SIMPLE, 1);
	start(&b, rig->nexuses[0], SCSI_ORDERED, 2);
	start(&c, rig->nexuses[0], SCSI_SIMPLE, 3);
	start(&d, rig->nexuses[0], SCSI_HEAD_OF_QUEUE, 4);
	rig_turn(rig);
	ASSERT_EQ(rig->fake->held_count, 2); /* a and d */
	fake_complete(rig->fake, 1);
	rig_turn(rig);
	assert_good(&d);
	ASSERT_EQ(rig->fake->held_count, 1);
	fake_complete(rig->fake, 0);
	rig_turn(rig);
	assert_good(&a);
	ASSERT_EQ(rig->fake->held_count, 1); /* b alone */
	ASSERT_EQ(c.done, 0);
	fake_complete(rig->fake, 0);
	rig_turn(rig);
	assert_good(&b);
	fake_complete(rig->fake, 0);
	rig_turn(rig);
	assert_good(&c);
}

/* Its initiator may have turned to another path meanwhile, and repeated it there (H35). */
TEST(a_write_that_waited_for_its_turn_for_too_long_is_not_executed)
{
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	rig->fake->hold = true;
	start(&a, rig->nexuses[0], SCSI_ORDERED, 1);
	write_start(&b, rig->nexuses[0], 2, 1, 512, out);
	start(&c, rig->nexuses[0], SCSI_SIMPLE, 3);
	rig_advance(rig, 2000);
	write_start(&d, rig->nexuses[0], 4, 1, 512, out);
	rig_advance(rig, 1000);
	ASSERT_EQ(b.done, 0);
	rig->fake->hold = false;
	fake_complete(rig->fake, 0);
	rig_turn(rig);
	assert_good(&a);
	assert_status(&b, SCSI_BUSY);
	assert_good(&c); /* a read is never late */
	assert_good(&d);
	ASSERT_EQ(rig->fake->count[IO_WRITE], 1);
}

TEST(inquiry_does_not_wait_for_an_ordered_task)
{
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	rig->fake->hold = true;
	start(&a, rig->nexuses[0], SCSI_ORDERED, 1);
	RUN(rig, &b, CDB(0x12, 0, 0, 0, 36, 0), 36, NULL);
	assert_good(&b);
	fake_complete(rig->fake, 0);
	rig_turn(rig);
	assert_good(&a);
}

TEST(aca_is_refused)
{
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	command_fill(&a, rig->nexuses[0], CDB(0, 0, 0, 0, 0, 0), 0);
	a.task.attribute = SCSI_ACA;
	command_start(&a, NULL);
	rig_turn(rig);
	assert_sense(&a, 0x052400);
}

static void compare_write(struct command *command, struct nexus *nexus, uint8_t lba,
                          const void *data)
{
	command_fill(command, nexus, CDB(0x89, 0, 0, 0, 0, 0, 0, 0, 0, lba, 0, 0, 0, 1, 0, 0),
	             -1024);
	command_start(command, data);
}

TEST(compare_and_write_waits_for_overlapping_writes_of_the_other_reactor)
{
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	rig->fake->hold = true;
	write_start(&a, rig->nexuses[1], 4, 4, 512, out);
	write_start(&b, rig->nexuses[1], 50, 1, 512, out); /* elsewhere: not waited for */
	compare_write(&c, rig->nexuses[0], 5, out);
	rig_turn(rig);
	ASSERT_EQ(rig->fake->count[IO_READ], 0);
	fake_complete(rig->fake, 0);
	rig_turn(rig);
	assert_good(&a);
	ASSERT_EQ(rig->fake->count[IO_READ], 1);
	ASSERT_EQ(b.done, 0);
	while (rig->fake->held_count) {
		fake_complete(rig->fake, 0);
		rig_turn(rig);
	}
	assert_good(&b);
	assert_good(&c);
}

TEST(writes_of_the_other_reactor_wait_for_compare_and_write)
{
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	rig->fake->hold = true;
	compare_write(&a, rig->nexuses[0], 5, out);
	write_start(&b, rig->nexuses[1], 5, 1, 512, out);
	read_start(&c, rig->nexuses[1], 6, 1, 512); /* beside it */
	rig_turn(rig);
	ASSERT_EQ(rig->fake->held_count, 2);
	ASSERT_EQ(rig->fake->count[IO_WRITE], 0);
	fake_complete(rig->fake, 0); /* a's read */
	rig_turn(rig);
	ASSERT_EQ(rig->fake->count[IO_WRITE], 1); /* a's write, not b's */
	fake_complete(rig->fake, 1);
	rig_turn(rig);
	assert_good(&a);
	ASSERT_EQ(rig->fake->count[IO_WRITE], 2);
	fake_complete(rig->fake, 1);
	fake_complete(rig->fake, 0);
	rig_turn(rig);
	assert_good(&b);
	assert_good(&c);
}

TEST(of_two_equal_compare_and_writes_one_wins)
{
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	rig->fake->hold = true;
	memset(out, 0, 512);
	memset(out + 512, 'x', 512);
	compare_write(&a, rig->nexuses[0], 5, out);
	compare_write(&b, rig->nexuses[1], 5, out);
	rig_turn(rig);
	while (rig->fake->held_count) {
		ASSERT_EQ(rig->fake->held_count, 1);
		fake_complete(rig->fake, 0);
		rig_turn(rig);
	}
	assert_good(&a);
	assert_sense(&b, 0x0e1d00);
}

TEST(a_part_of_a_block_is_written_with_the_range_locked)
{
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	rig->fake->hold = true;
	memset(rig->fake->memory, 'o', 1024);
	memset(out, 'n', sizeof out);
	command_fill(&a, rig->nexuses[0], CDB(0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0), -100);
	command_start(&a, out);
	write_start(&b, rig->nexuses[1], 0, 1, 512, out);
	rig_turn(rig);
	ASSERT_EQ(rig->fake->held_count, 1);
	fake_complete(rig->fake, 0); /* a's read */
	rig_turn(rig);
	fake_complete(rig->fake, 0); /* a's write */
	rig_turn(rig);
	assert_good(&a);
	ASSERT_EQ(rig->fake->memory[99], 'n');
	ASSERT_EQ(rig->fake->memory[100], 'o');
	fake_complete(rig->fake, 0);
	rig_turn(rig);
	assert_good(&b);
}

TEST(quiesce_waits_for_both_reactors_and_refuses_new_commands)
{
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	bool quiesced = false;
	rig->fake->hold = true;
	write_start(&a, rig->nexuses[0], 0, 1, 512, out);
	write_start(&b, rig->nexuses[1], 1, 1, 512, out);
	command_fill(&d, rig->nexuses[0], CDB(0x2a, 0, 0, 0, 0, 9, 0, 0, 1, 0), -512);
	ASSERT_EQ(scsi_task_begin(&d.task), SCSI_BEGIN_NEEDS_DATA);

	lun_quiesce(rig->lun, LUN_TRANSITIONING, set_flag, &quiesced);
	command_run(rig, &c, 1, CDB(0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0), 512, NULL);
	assert_sense(&c, 0x02040a);
	fake_complete(rig->fake, 0);
	rig_turn(rig);
	ASSERT_FALSE(quiesced);
	fake_complete(rig->fake, 0);
	rig_turn(rig);
	ASSERT_TRUE(quiesced);
	assert_good(&a);
	assert_good(&b);

	d.task.data = buffer_get(reactor_buffers(rig->reactors[0]), 512);
	scsi_task_execute(&d.task); /* its data came too late */
	rig_turn(rig);
	assert_sense(&d, 0x02040a);

	rig->fake->hold = false;
	lun_serve(rig->lun, &rig->fake->backend);
	write_start(&a, rig->nexuses[0], 0, 1, 512, out);
	rig_turn(rig);
	assert_good(&a);
}

TEST(each_state_executes_what_it_may)
{
	static const struct {
		enum lun_state state;
		uint32_t sense, mode_sense, report_groups;
	} rows[] = {
		{ LUN_OPENING, 0x020401, 0x020401, 0 },
		{ LUN_FAILED, 0x02040c, 0x02040c, 0 },
		{ LUN_STANDBY, 0x02040b, 0, 0 },
		{ LUN_TRANSITIONING, 0x02040a, 0x02040a, 0 },
		{ LUN_OPERATION, 0x020407, 0x020407, 0 },
	};
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		bool quiesced = false;
		TEST_ROW("state %d", rows[i].state);
		lun_quiesce(rig->lun, rows[i].state, set_flag, &quiesced);
		ASSERT_TRUE(quiesced);
		RUN(rig, &a, CDB(0, 0, 0, 0, 0, 0), 0, NULL);
		assert_sense(&a, rows[i].sense);
		RUN(rig, &a, CDB(0x12, 0, 0, 0, 36, 0), 36, NULL);
		assert_good(&a);
		RUN(rig, &a, CDB(0x1a, 0, 0x3f, 0, 255, 0), 255, NULL);
		if (rows[i].mode_sense)
			assert_sense(&a, rows[i].mode_sense);
		else
			assert_good(&a);
		RUN(rig, &a, CDB(0xa3, 0x0a, 0, 0, 0, 0, 0, 0, 0, 255, 0, 0), 255, NULL);
		assert_good(&a);
		lun_serve(rig->lun, &rig->fake->backend);
		RUN(rig, &a, CDB(0, 0, 0, 0, 0, 0), 0, NULL);
		if (rows[i].state == LUN_OPENING)
			assert_sense(&a, 0x062a09);
		else
			assert_good(&a);
	}
}

TEST(a_resized_image_is_announced_to_every_nexus)
{
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	rig->fake->info.size_bytes = 50 * 512;
	lun_resized(rig->lun);
	for (unsigned i = 0; i < 2; i++) {
		command_run(rig, &a, i, CDB(0, 0, 0, 0, 0, 0), 0, NULL);
		assert_sense(&a, 0x062a09);
		command_run(rig, &a, i, CDB(0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0), 8, NULL);
		assert_good(&a);
		ASSERT_EQ(get_be32(a.in), 49);
	}
}

static const uint8_t same_without_data[] = { 0x93, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0 };

TEST(a_deferred_task_starts_when_told_though_it_takes_no_data)
{
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	command_fill(&a, rig->nexuses[0], same_without_data, 16, 0);
	a.task.deferred = true;
	ASSERT_EQ(scsi_task_begin(&a.task), SCSI_BEGIN_NEEDS_DATA);
	ASSERT_EQ(a.task.data_out_len, 0);
	RUN(rig, &b, CDB(0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0), 512, NULL); /* a read passes */
	assert_good(&b);
	ASSERT_EQ(a.done, 0);
	scsi_task_execute(&a.task);
	rig_turn(rig);
	assert_good(&a);
	ASSERT_EQ(rig->fake->count[IO_READ], 1);
	ASSERT_TRUE(rig->fake->count[IO_WRITE_ZEROES] + rig->fake->count[IO_WRITE] > 0);
}

static void reset_done(struct task_management *reset)
{
	ASSERT_EQ(reset->response, TMF_COMPLETE);
}

TEST(a_deferred_task_that_is_aborted_never_starts)
{
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	struct task_management reset = { .function = TMF_LUN_RESET, .done = reset_done };
	command_fill(&a, rig->nexuses[0], same_without_data, 16, 0);
	a.task.deferred = true;
	ASSERT_EQ(scsi_task_begin(&a.task), SCSI_BEGIN_NEEDS_DATA);
	nexus_manage(rig->nexuses[0], &reset);
	rig_turn(rig);
	ASSERT_EQ(a.done, 1);
	ASSERT_TRUE(a.task.aborted);
	ASSERT_EQ(rig->fake->count[IO_WRITE_ZEROES] + rig->fake->count[IO_WRITE], 0);
}

TEST(commands_that_change_something_are_known)
{
	static const struct {
		uint8_t cdb[2];
		bool changes;
	} rows[] = {
		{ { 0x2a }, true },        { { 0x0a }, true },  { { 0x42 }, true },
		{ { 0x89 }, true },        { { 0x93 }, true },  { { 0x5f, 0x04 }, true },
		{ { 0x16 }, true },        { { 0x17 }, true },  { { 0x15 }, true },
		{ { 0x28 }, false },       { { 0x88 }, false }, { { 0x12 }, false },
		{ { 0x00 }, false },       { { 0x35 }, false }, { { 0x5e, 0x00 }, false },
		{ { 0xa3, 0x0a }, false }, { { 0xff }, false }, { { 0x5f, 0x1f }, false },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		TEST_ROW("%02x/%02x", rows[i].cdb[0], rows[i].cdb[1]);
		ASSERT_EQ(scsi_command_changes(rows[i].cdb), rows[i].changes);
	}
}
