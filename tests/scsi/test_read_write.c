/* READ and WRITE: data, ranges, residuals, errors of the backend. */
#include "fixture.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct command c;
static uint8_t out[65536];

static void fill(uint8_t *p, size_t len, uint8_t seed)
{
	for (size_t i = 0; i < len; i++)
		p[i] = (uint8_t)(seed + i * 7 + i / 251);
}

TEST(what_was_written_is_read_by_every_length_of_cdb)
{
	static const struct {
		const char *name;
		uint8_t write[16], read[16];
		size_t len;
	} rows[] = {
		{ "6", { 0x0a, 0, 0, 3, 2 }, { 0x08, 0, 0, 3, 2 }, 6 },
		{ "10", { 0x2a, 0, 0, 0, 0, 3, 0, 0, 2 }, { 0x28, 0, 0, 0, 0, 3, 0, 0, 2 }, 10 },
		{ "12",
		  { 0xaa, 0, 0, 0, 0, 3, 0, 0, 0, 2 },
		  { 0xa8, 0, 0, 0, 0, 3, 0, 0, 0, 2 },
		  12 },
		{ "16", { 0x8a, [9] = 3, [13] = 2 }, { 0x88, [9] = 3, [13] = 2 }, 16 },
		{ "16 with DPO and FUA",
		  { 0x8a, 0x18, [9] = 3, [13] = 2 },
		  { 0x88, 0x18, [9] = 3, [13] = 2 },
		  16 },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		TEST_ROW("%s", rows[i].name);
		AUTO(rig) struct rig *rig = rig_new(512, 100);
		fill(out, 1024, (uint8_t)i);
		command_run(rig, &c, 0, rows[i].write, rows[i].len, -1024, out);
		assert_good(&c);
		assert_residual(&c, SCSI_NO_RESIDUAL, 0);
		ASSERT_MEM_EQ(rig->fake->memory + 3 * 512, out, 1024);
		command_run(rig, &c, 1, rows[i].read, rows[i].len, 1024, NULL);
		assert_good(&c);
		ASSERT_EQ(c.task.data_in_len, 1024);
		ASSERT_MEM_EQ(c.in, out, 1024);
	}
}

TEST(fua_reaches_the_backend)
{
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	RUN(rig, &c, CDB(0x2a, 0x08, 0, 0, 0, 0, 0, 0, 1, 0), -512, out);
	assert_good(&c);
	ASSERT_EQ(rig->fake->flags, IO_FUA);
	RUN(rig, &c, CDB(0x2a, 0x00, 0, 0, 0, 0, 0, 0, 1, 0), -512, out);
	ASSERT_EQ(rig->fake->flags, 0);
}

TEST(checks_of_the_cdb_come_before_data)
{
	static const struct {
		const char *name;
		uint8_t cdb[16];
		size_t len;
		int64_t expected;
		uint32_t sense; /* 0: GOOD */
	} rows[] = {
		{ "zero blocks", { 0x28 }, 10, 0, 0 },
		{ "zero blocks at the capacity", { 0x28, 0, 0, 0, 0, 100 }, 10, 0, 0 },
		{ "zero blocks beyond", { 0x28, 0, 0, 0, 0, 101 }, 10, 0, 0x052100 },
		{ "zero blocks to write", { 0x2a }, 10, 0, 0 },
		{ "last block and one more",
		  { 0x28, 0, 0, 0, 0, 99, 0, 0, 2 },
		  10,
		  1024,
		  0x052100 },
		{ "far", { 0x88, 0, 0x80, [13] = 1 }, 16, 512, 0x052100 },
		{ "all ones",
		  { 0x88, 0, 255, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 2 },
		  16,
		  1024,
		  0x052100 },
		{ "read(6) of 256", { 0x08, 0, 0, 0, 0 }, 6, 131072, 0x052100 },
		{ "too long", { 0x88, [11] = 1, 0, 1 }, 16, 1 << 25, 0x052400 },
		{ "RDPROTECT", { 0x28, 0x20, [8] = 1 }, 10, 512, 0x052400 },
		{ "WRPROTECT", { 0x2a, 0x20, [8] = 1 }, 10, -512, 0x052400 },
		{ "RELADR", { 0x28, 0x01, [8] = 1 }, 10, 512, 0x052400 },
		{ "NACA", { 0x28, 0x00, [8] = 1, 4 }, 10, 512, 0x052400 },
		{ "a write that wants to read", { 0x2a, 0x00, [8] = 1 }, 10, 512, 0x052400 },
		{ "unknown opcode", { 0x60 }, 6, 0, 0x052000 },
		{ "unknown opcode", { 0xff }, 6, 0, 0x052000 },
		{ "READ(32)", { 0x7f, [7] = 0x18, [9] = 9 }, 16, 512, 0x052000 },
		{ "unknown service action", { 0x9e, 0x13 }, 16, 0, 0x052400 },
	};
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		TEST_ROW("%s", rows[i].name);
		command_run(rig, &c, 0, rows[i].cdb, rows[i].len, rows[i].expected, NULL);
		ASSERT_EQ(c.begun, SCSI_BEGIN_STARTED);
		if (rows[i].sense) {
			assert_sense(&c, rows[i].sense);
			int64_t e = rows[i].expected;
			assert_residual(&c, e ? SCSI_UNDERFLOW : SCSI_NO_RESIDUAL,
			                (uint32_t)(e < 0 ? -e : e));
		} else {
			assert_good(&c);
		}
	}
	ASSERT_EQ(rig->fake->count[IO_READ] + rig->fake->count[IO_WRITE], 0);
}

TEST(information_is_the_first_lba_out_of_range)
{
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	RUN(rig, &c, CDB(0x28, 0, 0, 0, 0, 99, 0, 0, 2, 0), 1024, NULL);
	assert_sense(&c, 0x052100);
	ASSERT_EQ(c.task.sense[0], 0xf0);
	ASSERT_EQ(get_be32(c.task.sense + 3), 100);
}

TEST(reads_move_the_smaller_of_cdb_and_expected_length)
{
	static const struct {
		uint8_t blocks;
		int64_t expected;
		uint32_t in;
		enum scsi_residual kind;
		uint32_t residual;
	} rows[] = {
		{ 1, 0, 0, SCSI_OVERFLOW, 512 },
		{ 1, 10000, 512, SCSI_UNDERFLOW, 10000 - 512 },
		{ 1, 200, 200, SCSI_OVERFLOW, 312 },
		{ 2, 512, 512, SCSI_OVERFLOW, 512 },
		{ 2, 1024, 1024, SCSI_NO_RESIDUAL, 0 },
		{ 1, -512, 0, SCSI_NO_RESIDUAL, 0 }, /* with the W bit: dropped */
	};
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	fill(rig->fake->memory, 51200, 1);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		TEST_ROW("%zu", i);
		RUN(rig, &c, CDB(0x28, 0, 0, 0, 0, 0, 0, 0, rows[i].blocks, 0), rows[i].expected,
		    NULL);
		assert_good(&c);
		ASSERT_EQ(c.task.data_in_len, rows[i].in);
		ASSERT_MEM_EQ(c.in, rig->fake->memory, rows[i].in);
		assert_residual(&c, rows[i].kind, rows[i].residual);
	}
}

TEST(writes_take_the_smaller_of_cdb_and_expected_length)
{
	static const struct {
		uint32_t block_size;
		uint8_t blocks;
		uint32_t expected, taken;
		enum scsi_residual kind;
		uint32_t residual;
	} rows[] = {
		{ 512, 1, 0, 0, SCSI_OVERFLOW, 512 },
		{ 512, 1, 10000, 512, SCSI_UNDERFLOW, 10000 - 512 },
		{ 512, 1, 200, 200, SCSI_OVERFLOW, 312 },
		{ 512, 2, 512, 512, SCSI_OVERFLOW, 512 },
		{ 512, 2, 700, 700, SCSI_OVERFLOW, 324 },
		{ 512, 1, 1024, 512, SCSI_UNDERFLOW, 512 },
		{ 4096, 1, 512, 512, SCSI_OVERFLOW, 3584 },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		for (unsigned op = 0; op < 2; op++) {
			TEST_ROW("%zu, %s", i, op ? "WRITE AND VERIFY" : "WRITE");
			AUTO(rig) struct rig *rig = rig_new(rows[i].block_size, 100);
			fill(rig->fake->memory, 16384, 100);
			static uint8_t before[16384];
			memcpy(before, rig->fake->memory, sizeof before);
			fill(out, sizeof out, 3);
			RUN(rig, &c,
			    CDB(op ? 0x2e : 0x2a, op ? 2 : 0, 0, 0, 0, 0, 0, 0, rows[i].blocks, 0),
			    -(int64_t)rows[i].expected, out);
			assert_good(&c);
			ASSERT_EQ(c.task.data_out_len, rows[i].taken);
			ASSERT_MEM_EQ(rig->fake->memory, out, rows[i].taken);
			ASSERT_MEM_EQ(rig->fake->memory + rows[i].taken, before + rows[i].taken,
			              16384 - rows[i].taken);
			if (rows[i].expected)
				assert_residual(&c, rows[i].kind, rows[i].residual);
		}
	}
}

TEST(errors_of_the_backend_become_sense)
{
	static const struct {
		int error;
		uint32_t read, write; /* below 0x100: a status */
	} rows[] = {
		{ -EIO, 0x031100, 0x030c00 },      { -ENOSPC, 0x072707, 0x072707 },
		{ -ENOMEM, SCSI_BUSY, SCSI_BUSY }, { -ENOENT, 0x02040c, 0x02040c },
		{ -ERANGE, 0x052100, 0x052100 },
	};
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		TEST_ROW("%s", strerror(-rows[i].error));
		rig->fake->fail[IO_READ] = rig->fake->fail[IO_WRITE] = rows[i].error;
		for (unsigned writes = 0; writes < 2; writes++) {
			uint32_t expected = writes ? rows[i].write : rows[i].read;
			RUN(rig, &c, CDB(writes ? 0x2a : 0x28, 0, 0, 0, 0, 7, 0, 0, 1, 0),
			    writes ? -512 : 512, NULL);
			if (expected < 0x100)
				assert_status(&c, expected);
			else
				assert_sense(&c, expected);
			ASSERT_EQ(c.task.data_in_len, 0);
		}
	}
}

TEST(a_write_that_may_still_land_gets_no_answer)
{
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	rig->fake->fail[IO_WRITE] = -ETIMEDOUT;
	RUN(rig, &c, CDB(0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0), -512, NULL);
	ASSERT_EQ(c.done, 1);
	ASSERT_TRUE(c.task.aborted);
}

TEST(a_write_protected_lun_is_read_only)
{
	static const uint8_t cdbs[][16] = {
		{ 0x0a, 0, 0, 0, 1 }, { 0x2a, [8] = 1 },     { 0xaa, [9] = 1 },
		{ 0x8a, [13] = 1 },   { 0x2e, 2, [8] = 1 },  { 0x8e, 2, [13] = 1 },
		{ 0x41, [8] = 1 },    { 0x41, 8, [8] = 1 },  { 0x93, 9, [13] = 1 },
		{ 0x42, [8] = 24 },   { 0x89, 0, [13] = 1 }, { 0x8b, 0, [13] = 1 },
	};
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	struct lun_config config = { .block_size = 512, .max_sectors = 1024, .read_only = true };
	ASSERT_EQ(lun_change(rig->lun, &config), 0);
	for (size_t i = 0; i < ARRAY_LEN(cdbs); i++) {
		TEST_ROW("opcode %02x", cdbs[i][0]);
		command_run(rig, &c, 0, cdbs[i], 16, 0, NULL);
		assert_sense(&c, 0x072700);
	}
	RUN(rig, &c, CDB(0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0), 512, NULL);
	assert_good(&c);
}

TEST(a_command_of_32_mib_runs_alone_whatever_is_announced)
{
	enum { MOST = 32 << 20, BLOCKS = MOST / 512 };
	AUTO(rig) struct rig *rig = rig_new(512, BLOCKS + 1);
	struct lun_config config = { .block_size = 512,
		                     .max_sectors = 1024,
		                     .max_inflight_bytes = 8 << 20 };
	ASSERT_EQ(lun_change(rig->lun, &config), 0);
	AUTO_FREE uint8_t *data = malloc(MOST);
	ASSERT_NOT_NULL(data);
	memset(data, 0x5a, MOST);
	RUN(rig, &c, CDB(0x8a, [11] = BLOCKS >> 16, 0, 0, 0, 0), -MOST, data);
	assert_good(&c);
	ASSERT_MEM_EQ(rig->fake->memory, data, MOST);
	ASSERT_EQ(rig->fake->count[IO_WRITE], 1);

	rig->fake->hold = true;
	static struct command small;
	write_start(&small, rig->nexuses[1], 0, 1, 512, data);
	rig_turn(rig);
	RUN(rig, &c, CDB(0x8a, [11] = BLOCKS >> 16, 0, 0, 0, 0), -MOST, data);
	assert_status(&c, SCSI_BUSY); /* not beside others */
	fake_complete(rig->fake, 0);
	rig_turn(rig);
	assert_good(&small);
	rig->fake->hold = false;
	RUN(rig, &c, CDB(0x8a, [11] = BLOCKS >> 16, 0, 1, 0, 0), -MOST - 512, NULL);
	assert_sense(&c, 0x052400);
}

TEST(bytes_in_flight_are_bounded)
{
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	struct lun_config config = { .block_size = 512,
		                     .max_sectors = 1024,
		                     .max_inflight_bytes = 1024 };
	ASSERT_EQ(lun_change(rig->lun, &config), 0);
	rig->fake->hold = true;
	static struct command big, other, own;
	read_start(&big, rig->nexuses[0], 0, 4, 512); /* one always fits */
	read_start(&own, rig->nexuses[0], 0, 1, 512);
	read_start(&other, rig->nexuses[1], 0, 1, 512);
	rig_turn(rig);
	assert_status(&own, SCSI_TASK_SET_FULL);
	assert_status(&other, SCSI_BUSY);
	fake_complete(rig->fake, 0);
	rig_turn(rig);
	assert_good(&big);
	read_start(&own, rig->nexuses[0], 0, 1, 512);
	fake_complete(rig->fake, 0);
	rig_turn(rig);
	assert_good(&own);
}

TEST(counters_add_up_over_nexuses)
{
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	struct lun_counters counters;
	for (unsigned i = 0; i < 2; i++) {
		command_run(rig, &c, i, CDB(0x2a, 0, 0, 0, 0, 0, 0, 0, 2, 0), -1024, NULL);
		command_run(rig, &c, i, CDB(0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0), 512, NULL);
	}
	lun_get_counters(rig->lun, &counters);
	ASSERT_EQ(counters.reads, 2);
	ASSERT_EQ(counters.writes, 2);
	ASSERT_EQ(counters.read_bytes, 1024);
	ASSERT_EQ(counters.write_bytes, 2048);
	ASSERT_EQ(counters.nexuses, 2);
	ASSERT_EQ(counters.in_flight, 0);
}
