/* RESERVE and RELEASE. */
#include "fixture.h"

#include <string.h>

static struct command c;

TEST(a_reserved_unit_answers_others_with_a_conflict)
{
	static const struct {
		const char *name;
		uint8_t cdb[12];
		bool allowed;
	} rows[] = {
		{ "TEST UNIT READY", { 0 }, false },
		{ "INQUIRY", { 0x12, 0, 0, 0, 36 }, true },
		{ "REPORT LUNS", { 0xa0, [9] = 16 }, true },
		{ "REQUEST SENSE", { 0x03, 0, 0, 0, 18 }, true },
		{ "RELEASE(6)", { 0x17 }, true },
		{ "RESERVE(6)", { 0x16 }, false },
		{ "MODE SENSE(6)", { 0x1a, 0, 0x3f, 0, 255 }, false },
		{ "READ CAPACITY(10)", { 0x25 }, false },
		{ "READ(10)", { 0x28, [8] = 1 }, false },
	};
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	for (unsigned ten = 0; ten < 2; ten++) {
		uint8_t reserve[10] = { ten ? 0x56 : 0x16 }, release[10] = { ten ? 0x57 : 0x17 };
		for (int twice = 0; twice < 2; twice++) {
			command_run(rig, &c, 0, reserve, 10, 0, NULL);
			assert_good(&c);
		}
		for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
			TEST_ROW("%s", rows[i].name);
			command_run(rig, &c, 1, rows[i].cdb, 12, 512, NULL);
			assert_status(&c, rows[i].allowed ? SCSI_GOOD : SCSI_RESERVATION_CONFLICT);
		}
		command_run(rig, &c, 0, CDB(0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0), 512, NULL);
		assert_good(&c);
		command_run(rig, &c, 0, release, 10, 0, NULL);
		assert_good(&c);
		command_run(rig, &c, 1, CDB(0, 0, 0, 0, 0, 0), 0, NULL);
		assert_good(&c);
	}
}

TEST(third_parties_and_extents_are_refused)
{
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	RUN(rig, &c, CDB(0x16, 0x10, 0, 0, 0, 0), 0, NULL);
	assert_sense(&c, 0x052400);
	RUN(rig, &c, CDB(0x56, 0x02, 0, 0, 0, 0, 0, 0, 0, 0), 0, NULL);
	assert_sense(&c, 0x052400);
}

TEST(a_reservation_counts_when_the_data_are_there)
{
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	static struct command write;
	command_fill(&write, rig->nexuses[1], CDB(0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0), -512);
	ASSERT_EQ(scsi_task_begin(&write.task), SCSI_BEGIN_NEEDS_DATA);
	RUN(rig, &c, CDB(0x16, 0, 0, 0, 0, 0), 0, NULL);
	assert_good(&c);
	write.task.data = buffer_get(reactor_buffers(rig->reactors[1]), 512);
	memset(write.task.data->data, 0, 512);
	scsi_task_execute(&write.task);
	rig_turn(rig);
	assert_status(&write, SCSI_RESERVATION_CONFLICT);
	ASSERT_EQ(rig->fake->count[IO_WRITE], 0);
}
