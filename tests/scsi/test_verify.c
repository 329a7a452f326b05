/* VERIFY, WRITE AND VERIFY, SYNCHRONIZE CACHE, PRE-FETCH. */
#include "fixture.h"

#include <string.h>

static struct command c;
static uint8_t out[4096];

TEST(verify_compares_as_bytchk_says)
{
	static const struct {
		const char *name;
		uint8_t bytchk, blocks;
		int64_t expected;
		bool differs;
		uint32_t sense;
	} rows[] = {
		{ "nothing to compare", 0, 3, 0, true, 0 },
		{ "data that nobody looks at", 0, 1, -512, true, 0 },
		{ "equal", 2, 3, -1536, false, 0 },
		{ "different", 2, 3, -1536, true, 0x0e1d00 },
		{ "one block, equal", 6, 3, -512, false, 0 },
		{ "one block, different", 6, 3, -512, true, 0x0e1d00 },
		{ "reserved", 4, 1, -512, false, 0x052400 },
		{ "wrong length", 2, 2, -512, false, 0x050e03 },
		{ "no blocks", 2, 0, 0, false, 0 },
	};
	static const uint8_t opcodes[] = { 0x2f, 0xaf, 0x8f };
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	memset(rig->fake->memory, 'v', 51200);
	for (size_t i = 0; i < ARRAY_LEN(rows) * 3; i++) {
		size_t row = i / 3;
		uint8_t cdb[16] = { opcodes[i % 3], rows[row].bytchk };
		TEST_ROW("%s, opcode %02x", rows[row].name, cdb[0]);
		cdb[cdb[0] == 0x2f ? 8 : cdb[0] == 0xaf ? 9 : 13] = rows[row].blocks;
		memset(out, 'v', sizeof out);
		if (rows[row].differs)
			out[300] = 'w';
		command_run(rig, &c, 0, cdb, 16, rows[row].expected, out);
		if (rows[row].sense)
			assert_sense(&c, rows[row].sense);
		else
			assert_good(&c);
		if (rows[row].sense == 0x0e1d00)
			ASSERT_EQ(get_be32(c.task.sense + 3), 300);
	}
	ASSERT_EQ(rig->fake->count[IO_WRITE], 0);
}

TEST(a_long_verify_reads_in_pieces)
{
	AUTO(rig) struct rig *rig = rig_new(512, 10000);
	RUN(rig, &c, CDB(0x2f, 0, 0, 0, 0, 0, 0, 0x27, 0x10, 0), 0, NULL);
	assert_good(&c);
	ASSERT_EQ(rig->fake->count[IO_READ], 5);
}

TEST(write_and_verify_writes_and_reads)
{
	static const uint8_t cdbs[][16] = {
		{ 0x2e, 2, 0, 0, 0, 1, 0, 0, 2 },
		{ 0xae, 0, 0, 0, 0, 1, 0, 0, 0, 2 },
		{ 0x8e, 2, [9] = 1, [13] = 2 },
	};
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	for (size_t i = 0; i < ARRAY_LEN(cdbs); i++) {
		TEST_ROW("opcode %02x", cdbs[i][0]);
		memset(out, (int)i + 1, sizeof out);
		command_run(rig, &c, 0, cdbs[i], 16, -1024, out);
		assert_good(&c);
		ASSERT_EQ(rig->fake->count[IO_WRITE], i + 1);
		ASSERT_EQ(rig->fake->count[IO_READ], i + 1);
		ASSERT_MEM_EQ(rig->fake->memory + 512, out, 1024);
	}
	RUN(rig, &c, CDB(0x2e, 4, 0, 0, 0, 1, 0, 0, 2, 0), -1024, out);
	assert_sense(&c, 0x052400);
}

TEST(synchronize_cache_flushes_after_checking_the_range)
{
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	RUN(rig, &c, CDB(0x35, 2, 0, 0, 0, 0, 0, 0, 0, 0), 0, NULL);
	assert_good(&c);
	RUN(rig, &c, CDB(0x91, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 100, 0, 0), 0, NULL);
	assert_good(&c);
	ASSERT_EQ(rig->fake->count[IO_FLUSH], 2);
	RUN(rig, &c, CDB(0x35, 0, 0, 0, 0, 99, 0, 0, 2, 0), 0, NULL);
	assert_sense(&c, 0x052100);
	ASSERT_EQ(rig->fake->count[IO_FLUSH], 2);
}

TEST(prefetch_checks_the_range_and_promises_nothing)
{
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	RUN(rig, &c, CDB(0x34, 2, 0, 0, 0, 0, 3, 0, 4, 0), 0, NULL);
	assert_good(&c);
	RUN(rig, &c, CDB(0x90, 0, 0, 0, 0, 0, 0, 0, 0, 101, 0, 0, 0, 0, 0, 0), 0, NULL);
	assert_sense(&c, 0x052100);
}
