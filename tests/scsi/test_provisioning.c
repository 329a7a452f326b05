/* UNMAP and WRITE SAME. */
#include "fixture.h"

#include <errno.h>
#include <string.h>

static struct command c;
static uint8_t list[8 + 257 * 16];

static size_t descriptor(size_t i, uint64_t lba, uint32_t blocks)
{
	put_be64(list + 8 + 16 * i, lba);
	put_be32(list + 16 + 16 * i, blocks);
	size_t len = 16 * (i + 1);
	put_be16(list, (uint16_t)(len + 6));
	put_be16(list + 2, (uint16_t)len);
	return 8 + len;
}

static void unmap(struct rig *rig, size_t len)
{
	RUN(rig, &c, CDB(0x42, 0, 0, 0, 0, 0, 0, (uint8_t)(len >> 8), (uint8_t)len, 0),
	    -(int64_t)len, list);
}

TEST(unmapped_blocks_read_as_zero_down_to_one)
{
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	memset(rig->fake->memory, 'x', 51200);
	(void)descriptor(0, 3, 1);
	(void)descriptor(1, 0, 0);
	unmap(rig, descriptor(2, 98, 2));
	assert_good(&c);
	for (size_t i = 0; i < 51200; i++) {
		bool gone = i / 512 == 3 || i / 512 >= 98;
		ASSERT_EQ(rig->fake->memory[i], gone ? 0 : 'x');
	}
}

TEST(a_bad_descriptor_means_that_nothing_is_unmapped)
{
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	(void)descriptor(0, 0, 10);
	unmap(rig, descriptor(1, 90, 11));
	assert_sense(&c, 0x052100);
	ASSERT_EQ(rig->fake->count[IO_WRITE_ZEROES], 0);
}

TEST(limits_and_torn_lists_are_refused)
{
	AUTO(rig) struct rig *rig = rig_new(512, 100000);
	unmap(rig, 0);
	assert_good(&c);
	unmap(rig, 7);
	assert_sense(&c, 0x051a00);
	unmap(rig, descriptor(0, 0, 32769)); /* more than four objects */
	assert_sense(&c, 0x052600);
	(void)descriptor(0, 0, 20000);
	unmap(rig, descriptor(1, 20000, 20000)); /* in sum */
	assert_sense(&c, 0x052600);
	size_t len = 0;
	for (size_t i = 0; i < 257; i++)
		len = descriptor(i, i, 1);
	unmap(rig, len);
	assert_sense(&c, 0x052600);
	RUN(rig, &c, CDB(0x42, 1, 0, 0, 0, 0, 0, 0, 0, 0), 0, NULL); /* ANCHOR */
	assert_sense(&c, 0x052400);
	ASSERT_EQ(rig->fake->count[IO_WRITE_ZEROES], 0);

	/* The header promises two descriptors, one and a half came: one is used. */
	(void)descriptor(0, 0, 1);
	(void)descriptor(1, 1, 1);
	unmap(rig, 8 + 24);
	assert_good(&c);
	ASSERT_EQ(rig->fake->count[IO_WRITE_ZEROES], 1);
	unmap(rig, descriptor(0, 100000, 0)); /* nothing, at the end */
	assert_good(&c);
}

TEST(an_error_of_unmap_is_told)
{
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	rig->fake->fail[IO_WRITE_ZEROES] = -EIO;
	unmap(rig, descriptor(0, 0, 1));
	assert_sense(&c, 0x030c00);
}

TEST(write_same_writes_the_block_everywhere)
{
	static const struct {
		const char *name;
		uint8_t cdb[16];
		int64_t expected;
		uint8_t pattern;
		unsigned zeroes, writes;
		unsigned flags;
	} rows[] = {
		{ "10, pattern", { 0x41, 0, 0, 0, 0, 5, 0, 0, 3 }, -512, 'p', 0, 1, 0 },
		{ "16, pattern", { 0x93, 0, [9] = 5, [13] = 3 }, -512, 'p', 0, 1, 0 },
		{ "zeroes", { 0x93, 0, [9] = 5, [13] = 3 }, -512, 0, 1, 0, IO_NO_UNMAP },
		{ "zeroes with UNMAP", { 0x93, 8, [9] = 5, [13] = 3 }, -512, 0, 1, 0, 0 },
		{ "pattern with UNMAP", { 0x93, 8, [9] = 5, [13] = 3 }, -512, 'p', 0, 1, 0 },
		{ "NDOB", { 0x93, 1, [9] = 5, [13] = 3 }, 0, 0, 1, 0, IO_NO_UNMAP },
		{ "NDOB with UNMAP", { 0x93, 9, [9] = 5, [13] = 3 }, 0, 0, 1, 0, 0 },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		TEST_ROW("%s", rows[i].name);
		AUTO(rig) struct rig *rig = rig_new(512, 100);
		memset(rig->fake->memory, 'o', 51200);
		uint8_t block[512];
		memset(block, rows[i].pattern, sizeof block);
		command_run(rig, &c, 0, rows[i].cdb, 16, rows[i].expected, block);
		assert_good(&c);
		assert_residual(&c, SCSI_NO_RESIDUAL, 0);
		ASSERT_EQ(rig->fake->count[IO_WRITE_ZEROES], rows[i].zeroes);
		ASSERT_EQ(rig->fake->count[IO_WRITE], rows[i].writes);
		ASSERT_EQ(rig->fake->flags, rows[i].flags);
		ASSERT_EQ(rig->fake->memory[5 * 512 - 1], 'o');
		for (unsigned b = 5; b < 8; b++)
			ASSERT_MEM_EQ(rig->fake->memory + 512 * b, block, 512);
		ASSERT_EQ(rig->fake->memory[8 * 512], 'o');
	}
}

TEST(write_same_checks_its_cdb)
{
	static const struct {
		const char *name;
		uint8_t cdb[16];
		int64_t expected;
		uint32_t sense;
	} rows[] = {
		{ "zero blocks", { 0x41 }, -512, 0x052400 },
		{ "zero blocks beyond the end", { 0x41, 0, 0, 0, 0, 101 }, -512, 0x052100 },
		{ "beyond the end", { 0x41, 0, 0, 0, 0, 99, 0, 0, 2 }, -512, 0x052100 },
		{ "ANCHOR", { 0x93, 0x18, [13] = 1 }, -512, 0x052400 },
		{ "LBDATA", { 0x41, 0x02, [8] = 1 }, -512, 0x052400 },
		{ "WRPROTECT", { 0x93, 0x20, [13] = 1 }, -512, 0x052400 },
		{ "half a block", { 0x93, 0, [13] = 1 }, -256, 0x050e03 },
		{ "two blocks", { 0x93, 0, [13] = 1 }, -1024, 0x050e03 },
		{ "no data", { 0x93, 0, [13] = 1 }, 0, 0x050e03 },
	};
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		TEST_ROW("%s", rows[i].name);
		command_run(rig, &c, 0, rows[i].cdb, 16, rows[i].expected, NULL);
		assert_sense(&c, rows[i].sense);
	}
	ASSERT_EQ(rig->fake->count[IO_WRITE] + rig->fake->count[IO_WRITE_ZEROES], 0);
}

TEST(a_long_pattern_is_written_in_pieces)
{
	AUTO(rig) struct rig *rig = rig_new(512, 10000);
	uint8_t block[512];
	memset(block, 'p', sizeof block);
	RUN(rig, &c, CDB(0x41, 0, 0, 0, 0, 1, 0, 0x27, 0x0f, 0), -512, block);
	assert_good(&c);
	ASSERT_EQ(rig->fake->count[IO_WRITE], 5); /* 9999 blocks, 1 MiB a piece */
	ASSERT_EQ(rig->fake->memory[511], 0);
	ASSERT_EQ(rig->fake->memory[512], 'p');
	ASSERT_EQ(rig->fake->memory[10000 * 512 - 1], 'p');
}
