/* Commands about the unit, and how unit attentions are told. */
#include "fixture.h"

#include <string.h>

static struct command c;

TEST(a_new_nexus_is_told_once_that_power_came_on)
{
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	struct lun_mapping mapping = { .number = 0, .lun = rig->lun };
	struct nexus_config config = { .initiator_name = "iqn.2000-01.test:new",
		                       .port = &rig->port,
		                       .reactor = rig->reactors[0],
		                       .mappings = &mapping,
		                       .mapping_count = 1 };
	struct nexus *nexus;
	ASSERT_EQ(nexus_new(&config, &nexus), 0);
	static const uint8_t cdbs[][12] = { { 0x12, 0, 0, 0, 36 }, { 0xa0, [9] = 16 } };
	for (size_t i = 0; i < 2; i++) { /* these leave it pending */
		command_fill(&c, nexus, cdbs[i], 12, 36);
		command_start(&c, NULL);
		rig_turn(rig);
		assert_good(&c);
	}
	command_fill(&c, nexus, CDB(0, 0, 0, 0, 0, 0), 0);
	command_start(&c, NULL);
	rig_turn(rig);
	assert_sense(&c, 0x062901);
	command_fill(&c, nexus, CDB(0, 0, 0, 0, 0, 0), 0);
	command_start(&c, NULL);
	rig_turn(rig);
	assert_good(&c);
	rig_stop(rig, nexus);
}

TEST(request_sense_returns_an_attention_and_takes_it_away)
{
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	rig->fake->info.size_bytes = 51200 / 2;
	lun_resized(rig->lun);
	RUN(rig, &c, CDB(0x03, 0, 0, 0, 18, 0), 18, NULL);
	assert_good(&c);
	ASSERT_EQ(c.in[0], 0x70);
	ASSERT_EQ(c.in[2], 6);
	ASSERT_EQ(c.in[12], 0x2a);
	ASSERT_EQ(c.in[13], 0x09);
	RUN(rig, &c, CDB(0x03, 1, 0, 0, 8, 0), 8, NULL);
	assert_good(&c);
	ASSERT_EQ(c.in[0], 0x72);
	ASSERT_EQ(c.in[2], 0);
	RUN(rig, &c, CDB(0, 0, 0, 0, 0, 0), 0, NULL);
	assert_good(&c);
}

TEST(small_commands_answer)
{
	static const struct {
		const char *name;
		uint8_t cdb[6];
		uint32_t sense;
	} rows[] = {
		{ "START", { 0x1b, 0, 0, 0, 1 }, 0 },
		{ "STOP has no effect", { 0x1b, 0, 0, 0, 0 }, 0 },
		{ "LOEJ", { 0x1b, 0, 0, 0, 2 }, 0x052400 },
		{ "POWER CONDITION", { 0x1b, 0, 0, 0, 0x10 }, 0x052400 },
		{ "PREVENT", { 0x1e, 0, 0, 0, 1 }, 0 },
		{ "ALLOW", { 0x1e, 0, 0, 0, 0 }, 0 },
		{ "SEND DIAGNOSTIC self-test", { 0x1d, 4 }, 0 },
		{ "SEND DIAGNOSTIC nothing", { 0x1d }, 0 },
		{ "FORMAT UNIT", { 0x04 }, 0x052000 },
		{ "TEST UNIT READY after STOP", { 0 }, 0 },
	};
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		TEST_ROW("%s", rows[i].name);
		command_run(rig, &c, 0, rows[i].cdb, 6, 0, NULL);
		if (rows[i].sense)
			assert_sense(&c, rows[i].sense);
		else
			assert_good(&c);
	}
}

TEST(every_opcode_answers)
{
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	for (unsigned op = 0; op < 256; op++) {
		for (int with_data = -1; with_data <= 1; with_data++) {
			uint8_t cdb[16] = { (uint8_t)op };
			command_run(rig, &c, 0, cdb, 16, with_data * 64, NULL);
			ASSERT_EQ(c.done, 1);
		}
	}
}
