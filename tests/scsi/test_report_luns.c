/* REPORT LUNS and the change of a LUN map. */
#include "fixture.h"

#include <string.h>

static struct command a, b;

static void change(struct rig *rig, const struct lun_mapping *mappings, size_t count)
{
	bool changed = false;
	ASSERT_EQ(nexus_change_map(rig->nexuses[0], mappings, count, set_flag, &changed), 0);
	ASSERT_FALSE(changed);
	rig_turn(rig);
	ASSERT_TRUE(changed);
}

TEST(select_report_picks_the_list)
{
	static const struct {
		uint8_t select, count, first;
	} rows[] = { { 0, 3, 0 },    { 1, 1, 0xc1 }, { 2, 4, 0 },
		     { 0x10, 0, 0 }, { 0x11, 0, 0 }, { 0x12, 0, 0 } };
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	struct lun_mapping mappings[] = { { .number = 300, .lun = rig->lun },
		                          { .number = 0, .lun = rig->lun },
		                          { .number = 7, .lun = rig->lun } };
	change(rig, mappings, 3);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		TEST_ROW("select report %02x", rows[i].select);
		RUN(rig, &a, CDB(0xa0, 0, rows[i].select, 0, 0, 0, 0, 0, 1, 0, 0, 0), 256, NULL);
		assert_good(&a);
		ASSERT_EQ(get_be32(a.in), 8u * rows[i].count);
		ASSERT_EQ(a.task.data_in_len, 8u + 8u * rows[i].count);
		if (rows[i].count)
			ASSERT_EQ(a.in[8], rows[i].first);
	}
	RUN(rig, &a, CDB(0xa0, 0, 3, 0, 0, 0, 0, 0, 1, 0, 0, 0), 256, NULL);
	assert_sense(&a, 0x052400);
	RUN(rig, &a, CDB(0xa0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0), 256, NULL);
	static const uint8_t list[24] = { [9] = 7, [16] = 0x41, 0x2c };
	ASSERT_MEM_EQ(a.in + 8, list, 24);
}

TEST(lun_0_is_reported_when_nothing_is_mapped)
{
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	change(rig, NULL, 0);
	RUN(rig, &a, CDB(0xa0, 0, 0, 0, 0, 0, 0, 0, 0, 16, 0, 0), 16, NULL);
	assert_good(&a);
	ASSERT_EQ(get_be32(a.in), 8);
	RUN(rig, &a, CDB(0x12, 0, 0, 0, 36, 0), 36, NULL);
	ASSERT_EQ(a.in[0], 0x20);
	RUN(rig, &a, CDB(0, 0, 0, 0, 0, 0), 0, NULL);
	assert_sense(&a, 0x052500);
}

TEST(a_changed_map_is_announced_on_every_lun_until_it_is_read)
{
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	struct lun_mapping mappings[] = { { .number = 0, .lun = rig->lun },
		                          { .number = 1, .lun = rig->lun } };
	change(rig, mappings, 2);
	RUN(rig, &a, CDB(0, 0, 0, 0, 0, 0), 0, NULL);
	assert_sense(&a, 0x063f0e);
	RUN(rig, &a, CDB(0xa0, 0, 0, 0, 0, 0, 0, 0, 0, 64, 0, 0), 64, NULL);
	assert_good(&a);
	command_fill(&a, rig->nexuses[0], CDB(0, 0, 0, 0, 0, 0), 0);
	a.task.lun[1] = 1;
	command_start(&a, NULL);
	rig_turn(rig);
	assert_good(&a);

	change(rig, mappings, 2); /* the same again: nothing to announce */
	RUN(rig, &a, CDB(0, 0, 0, 0, 0, 0), 0, NULL);
	assert_good(&a);
}

TEST(unmapping_waits_for_the_tasks_of_the_lun)
{
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	bool changed = false;
	rig->fake->hold = true;
	write_start(&a, rig->nexuses[0], 0, 1, 512, NULL);
	ASSERT_EQ(nexus_change_map(rig->nexuses[0], NULL, 0, set_flag, &changed), 0);
	RUN(rig, &b, CDB(0, 0, 0, 0, 0, 0), 0, NULL);
	assert_sense(&b, 0x052500);
	ASSERT_FALSE(changed);
	fake_complete(rig->fake, 0);
	rig_turn(rig);
	ASSERT_TRUE(changed);
	ASSERT_TRUE(a.done && a.task.aborted);
}

TEST(stopping_a_nexus_waits_for_its_tasks_and_gives_its_reservation_back)
{
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	struct nexus *third = rig_nexus(rig, 0, "iqn.2000-01.test:third", 3);
	bool ended = false;
	command_fill(&a, third, CDB(0x16, 0, 0, 0, 0, 0), 0);
	command_start(&a, NULL);
	rig_turn(rig);
	assert_good(&a);
	RUN(rig, &b, CDB(0, 0, 0, 0, 0, 0), 0, NULL);
	assert_status(&b, SCSI_RESERVATION_CONFLICT);

	rig->fake->hold = true;
	write_start(&a, third, 0, 1, 512, NULL);
	nexus_stop(third, set_flag, &ended);
	rig_turn(rig);
	ASSERT_FALSE(ended);
	fake_complete(rig->fake, 0);
	rig_turn(rig);
	ASSERT_TRUE(ended);
	ASSERT_TRUE(a.done && a.task.aborted);
	nexus_free(third);
	RUN(rig, &b, CDB(0, 0, 0, 0, 0, 0), 0, NULL);
	assert_good(&b);
}
