/* COMPARE AND WRITE and ORWRITE. */
#include "fixture.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct command c;
static uint8_t out[2 * 256 * 512];

static void compare_write(struct rig *rig, uint8_t lba, uint8_t blocks, int64_t expected)
{
	RUN(rig, &c, CDB(0x89, 0, 0, 0, 0, 0, 0, 0, 0, lba, 0, 0, 0, blocks, 0, 0), expected, out);
}

TEST(equal_data_are_replaced)
{
	AUTO(rig) struct rig *rig = rig_new(512, 1000);
	for (unsigned blocks = 1; blocks <= 64; blocks *= 4) {
		size_t half = blocks * 512;
		memset(rig->fake->memory, 'a', half);
		memset(out, 'a', half);
		memset(out + half, 'b', half);
		compare_write(rig, 0, (uint8_t)blocks, -(int64_t)(2 * half));
		assert_good(&c);
		ASSERT_MEM_EQ(rig->fake->memory, out + half, half);
	}
}

TEST(a_miscompare_names_the_first_byte_that_differs_and_writes_nothing)
{
	AUTO(rig) struct rig *rig = rig_new(512, 1000);
	memset(out, 0, sizeof out);
	out[512 + 5] = 1;
	compare_write(rig, 16, 2, -2048);
	assert_sense(&c, 0x0e1d00);
	ASSERT_EQ(c.task.sense[0], 0xf0);
	ASSERT_EQ(get_be32(c.task.sense + 3), 512 + 5);
	ASSERT_EQ(c.task.sense_len, 18);
	ASSERT_EQ(rig->fake->count[IO_WRITE], 0);
}

TEST(an_unknown_state_is_never_a_miscompare)
{
	AUTO(rig) struct rig *rig = rig_new(512, 1000);
	memset(out, 0, sizeof out);
	rig->fake->fail[IO_READ] = -ESHUTDOWN;
	compare_write(rig, 0, 1, -1024);
	ASSERT_EQ(c.done, 0); /* not while it may still be executed */
	rig->ended = false;
	lun_quiesce(rig->lun, LUN_HELD, set_flag, &rig->ended);
	ASSERT_TRUE(rig->ended);
	rig->fake->fail[IO_READ] = 0;
	lun_serve(rig->lun, &rig->fake->backend);
	rig_turn(rig);
	assert_sense(&c, 0x0b0800);
	rig->fake->fail[IO_WRITE] = -EIO;
	compare_write(rig, 0, 1, -1024);
	assert_sense(&c, 0x030c00);
}

TEST(lengths_are_checked_before_anything_is_written)
{
	static const struct {
		uint8_t blocks;
		int64_t expected;
		uint32_t sense;
	} rows[] = {
		{ 0, 0, 0 },
		{ 129, -2 * 129 * 512, 0x052400 },
		{ 0, -2 * 256 * 512, 0x052400 }, /* NUMBER OF BLOCKS of 256 */
		{ 128, -2 * 129 * 512, 0x052400 },
		{ 128, -2 * 127 * 512, 0x050e03 },
		{ 0, -2 * 128 * 512, 0x050e03 },
		{ 1, -512, 0x050e03 },
		{ 1, -2048, 0x050e03 },
		{ 3, -4 * 512, 0x050e03 },
	};
	AUTO(rig) struct rig *rig = rig_new(512, 1000);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		TEST_ROW("%d blocks", rows[i].blocks);
		compare_write(rig, 0, rows[i].blocks, rows[i].expected);
		if (rows[i].sense)
			assert_sense(&c, rows[i].sense);
		else
			assert_good(&c);
	}
	ASSERT_EQ(rig->fake->count[IO_WRITE], 0);
}

TEST(a_large_orwrite_reads_in_pieces_and_writes_once)
{
	enum { BLOCKS = 5000, BYTES = BLOCKS * 512 };
	AUTO(rig) struct rig *rig = rig_new(512, BLOCKS);
	AUTO_FREE uint8_t *data = malloc(BYTES);
	ASSERT_NOT_NULL(data);
	memset(data, 0x31, BYTES);
	memset(rig->fake->memory, 0x0f, BYTES);
	RUN(rig, &c, CDB(0x8b, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, BLOCKS >> 8, BLOCKS & 0xff, 0, 0),
	    -(int64_t)BYTES, data);
	assert_good(&c);
	memset(data, 0x3f, BYTES);
	ASSERT_MEM_EQ(rig->fake->memory, data, BYTES);
	ASSERT_EQ(rig->fake->count[IO_READ], 3);
	ASSERT_EQ(rig->fake->count[IO_WRITE], 1);
}

TEST(orwrite_sets_bits)
{
	AUTO(rig) struct rig *rig = rig_new(512, 1000);
	memset(rig->fake->memory, 0x0f, 1024);
	memset(out, 0x31, 512);
	RUN(rig, &c, CDB(0x8b, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0), -512, out);
	assert_good(&c);
	ASSERT_EQ(rig->fake->memory[0], 0x3f);
	ASSERT_EQ(rig->fake->memory[512], 0x0f);
	RUN(rig, &c, CDB(0x8b, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0), -1024, out);
	assert_sense(&c, 0x050e03);
	RUN(rig, &c, CDB(0x8b, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), 0, out);
	assert_good(&c);
}
