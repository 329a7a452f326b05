/* REPORT TARGET PORT GROUPS, SUPPORTED OPERATION CODES, SUPPORTED TASK MANAGEMENT FUNCTIONS. */
#include "fixture.h"
#include "scsi/opcode.h"

#include <string.h>

static struct command c;

TEST(port_groups_are_reported_as_they_were_set)
{
	static const uint8_t expected[28] = {
		0, 0, 0,    24,   0x00, 0x8f, 0, 1, 0, 2, 0, 1, 0, 0,
		0, 1, 0x01, 0x8f, 0,    2,    0, 2, 0, 1, 0, 0, 0, 2
	};
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	struct port_group groups[] = { { 1, ALUA_OPTIMIZED }, { 2, ALUA_NON_OPTIMIZED } };
	ASSERT_EQ(lun_set_port_groups(rig->lun, groups, 2), 0);
	RUN(rig, &c, CDB(0xa3, 0x0a, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0), 256, NULL);
	assert_good(&c);
	ASSERT_EQ(c.task.data_in_len, 28);
	ASSERT_MEM_EQ(c.in, expected, 28);
	RUN(rig, &c, CDB(0xa3, 0x2a, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0), 256, NULL);
	assert_good(&c);
	ASSERT_EQ(get_be32(c.in), 28);
	ASSERT_EQ(c.in[4], 0x10);
	ASSERT_MEM_EQ(c.in + 8, expected + 4, 24);
	RUN(rig, &c, CDB(0xa3, 0x4a, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0), 256, NULL);
	assert_sense(&c, 0x052400);
	for (uint8_t alloc = 0; alloc < 28; alloc++) {
		RUN(rig, &c, CDB(0xa3, 0x0a, 0, 0, 0, 0, 0, 0, 0, alloc, 0, 0), alloc, NULL);
		assert_good(&c);
		ASSERT_EQ(c.task.data_in_len, alloc);
		ASSERT_MEM_EQ(c.in, expected, alloc);
	}
}

TEST(a_changed_port_group_is_announced)
{
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	struct port_group groups[] = { { 1, ALUA_OPTIMIZED }, { 2, ALUA_NON_OPTIMIZED } };
	ASSERT_EQ(lun_set_port_groups(rig->lun, groups, 2), 0);
	ASSERT_EQ(lun_set_port_groups(rig->lun, groups, 2), 0);
	RUN(rig, &c, CDB(0, 0, 0, 0, 0, 0), 0, NULL);
	assert_good(&c);
	groups[1].state = ALUA_TRANSITIONING;
	ASSERT_EQ(lun_set_port_groups(rig->lun, groups, 2), 0);
	RUN(rig, &c, CDB(0, 0, 0, 0, 0, 0), 0, NULL);
	assert_sense(&c, 0x062a06);
}

TEST(every_state_that_is_reported_is_announced)
{
	static const struct {
		enum alua_state state;
		uint8_t supported;
	} rows[] = {
		{ ALUA_OPTIMIZED, 0x01 },   { ALUA_NON_OPTIMIZED, 0x02 }, { ALUA_STANDBY, 0x04 },
		{ ALUA_UNAVAILABLE, 0x08 }, { ALUA_TRANSITIONING, 0x80 },
	};
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		TEST_ROW("state %d", rows[i].state);
		struct port_group group = { 1, rows[i].state };
		ASSERT_EQ(lun_set_port_groups(rig->lun, &group, 1), 0);
		for (unsigned nexus = 0; nexus < 2 && i > 0; nexus++) {
			command_run(rig, &c, nexus, CDB(0, 0, 0, 0, 0, 0), 0, NULL);
			assert_sense(&c, 0x062a06); /* once */
		}
		RUN(rig, &c, CDB(0xa3, 0x0a, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0), 256, NULL);
		assert_good(&c);
		ASSERT_EQ(c.in[4], rows[i].state); /* PREF 0 */
		ASSERT_EQ(c.in[5] & rows[i].supported, rows[i].supported);
	}
}

TEST(rows_are_sorted_and_their_usage_fits)
{
	for (size_t i = 0; i < opcode_count(); i++) {
		const struct scsi_opcode *row = opcode_at(i);
		TEST_ROW("%s", row->name);
		unsigned key = row->op << 8 | row->service_action;
		if (i)
			ASSERT_TRUE(key > (unsigned)(opcode_at(i - 1)->op << 8 |
			                             opcode_at(i - 1)->service_action));
		ASSERT_EQ(row->usage[0], row->op);
		for (size_t byte = row->cdb_len; byte < sizeof row->usage; byte++)
			ASSERT_EQ(row->usage[byte], 0);
		ASSERT_EQ(row->usage[row->cdb_len - 1] & 0x04, 0x04); /* NACA is looked at */
		static const uint8_t len_of_group[] = { 6, 10, 10, 0, 16, 12, 0, 0 };
		ASSERT_EQ(row->cdb_len, len_of_group[row->op >> 5]);
		ASSERT_NOT_NULL(row->run);
		struct cdb_field fields[] = { row->lba, row->blocks, row->length };
		for (size_t f = 0; f < ARRAY_LEN(fields); f++)
			ASSERT_TRUE(fields[f].at + fields[f].len < row->cdb_len);
	}
}

TEST(every_supported_opcode_can_be_asked_for)
{
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	RUN(rig, &c, CDB(0xa3, 0x0c, 0, 0, 0, 0, 0, 0, 16, 0, 0, 0), 4096, NULL);
	assert_good(&c);
	size_t count = get_be32(c.in) / 8;
	ASSERT_EQ(count, opcode_count());
	for (size_t i = 0; i < opcode_count(); i++) {
		const struct scsi_opcode *row = opcode_at(i);
		bool action = row->service_action != SA_NONE;
		uint8_t sa = action ? row->service_action : 0;
		TEST_ROW("%s", row->name);
		for (uint8_t option = 1; option <= 3; option++) {
			RUN(rig, &c,
			    CDB(0xa3, 0x0c, (uint8_t)(option | 0x80), row->op, 0, sa, 0, 0, 1, 0, 0,
			        0),
			    256, NULL);
			if (option == (action ? 1 : 2)) {
				assert_sense(&c, 0x052400);
				ASSERT_EQ(get_be16(c.task.sense + 16), 2);
				continue;
			}
			assert_good(&c);
			ASSERT_EQ(c.in[1], 0x83);
			ASSERT_EQ(get_be16(c.in + 2), row->cdb_len);
			ASSERT_EQ(c.in[4], row->op);
			ASSERT_EQ(get_be16(c.in + 4 + row->cdb_len), 10);
			ASSERT_EQ(c.task.data_in_len, 4u + row->cdb_len + 12);
		}
	}
	RUN(rig, &c, CDB(0xa3, 0x0c, 1, 0x04, 0, 0, 0, 0, 1, 0, 0, 0), 256, NULL);
	assert_good(&c);
	ASSERT_EQ(c.in[1], 1);
}

TEST(supported_task_management_functions)
{
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	RUN(rig, &c, CDB(0xa3, 0x0d, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0), 4, NULL);
	assert_good(&c);
	ASSERT_EQ(c.in[0], 0xda);
	RUN(rig, &c, CDB(0xa3, 0x0d, 0x80, 0, 0, 0, 0, 0, 0, 16, 0, 0), 16, NULL);
	ASSERT_EQ(c.in[3], 12);
}
