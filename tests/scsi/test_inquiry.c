/* Identity: byte for byte what the captured gateway gave. */
#include "fixture.h"

#include <stdlib.h>
#include <string.h>

static struct command c;

/* The data that a capture shows for a CDB: hex lines behind "cdb ..."; a line of '*' repeats the
 * one before. Returns how many bytes stand there in full. */
static size_t captured(const char *file, const char *cdb, uint8_t *bytes, size_t max)
{
	char *text = test_read_file(file, NULL);
	char *at = strstr(text, cdb);
	assert_non_null(at);
	at = strstr(at, "data[");
	assert_non_null(at);
	at = strchr(at, '\n') + 1;
	size_t len = 0;
	while (strncmp(at, "  00", 4) == 0 && len + 16 <= max) {
		char *p = at + 8;
		for (int i = 0; i < 16 && p[0] != ' '; i++, p += 3)
			bytes[len++] = (uint8_t)strtoul(p, NULL, 16);
		at = strchr(at, '\n') + 1;
	}
	free(text);
	return len;
}

TEST(inquiry_names_are_those_of_the_captured_gateway)
{
	AUTO(rig) struct rig *rig = rig_new(512, 4194304);
	uint8_t is[1024];
	ASSERT_TRUE(captured("golden/scsi/ao-inq.txt", "cdb 12 00 00 00 24 00", is, sizeof is) >=
	            36);
	RUN(rig, &c, CDB(0x12, 0, 0, 0, 96, 0), 96, NULL);
	assert_good(&c);
	ASSERT_EQ(c.task.data_in_len, 96);
	ASSERT_MEM_EQ(c.in, is, 4);
	ASSERT_MEM_EQ(c.in + 6, is + 6, 30);
	ASSERT_EQ(c.in[4], 0x5b);
	ASSERT_EQ(c.in[5] & 0x30, is[5] & 0x30); /* TPGS */
	ASSERT_EQ(get_be16(c.in + 64), 0x04c0);
}

TEST(pages_80_and_83_are_those_of_the_captured_gateway)
{
	AUTO(rig) struct rig *rig = rig_new(512, 4194304);
	uint8_t is[1024];
	(void)captured("golden/scsi/ao-inq.txt", "cdb 12 01 80 04 00 00", is, sizeof is);
	RUN(rig, &c, CDB(0x12, 1, 0x80, 4, 0, 0), 1024, NULL);
	assert_good(&c);
	ASSERT_EQ(c.task.data_in_len, 4 + 37);
	ASSERT_MEM_EQ(c.in, is, 4 + 37);
	assert_residual(&c, SCSI_UNDERFLOW, 1024 - 41);

	(void)captured("golden/scsi/ao-inq.txt", "cdb 12 01 83 04 00 00", is, sizeof is);
	size_t len = 4u + get_be16(is + 2);
	RUN(rig, &c, CDB(0x12, 1, 0x83, 4, 0, 0), 1024, NULL);
	assert_good(&c);
	ASSERT_EQ(c.task.data_in_len, len);
	static const uint8_t relative_port[] = { 0x51, 0x94, 0x00, 0x04 };
	uint8_t *port = memmem(is, len, relative_port, sizeof relative_port);
	assert_non_null(port);
	ASSERT_EQ(port[7], 2); /* as it was bound there; here it is the tag */
	port[7] = 1;
	ASSERT_MEM_EQ(c.in, is, len);
}

TEST(block_limits_are_not_smaller_than_upstream)
{
	AUTO(rig) struct rig *rig = rig_new(512, 4194304);
	static const struct {
		uint8_t at, len;
	} fields[] = { { 5, 1 }, { 8, 4 }, { 12, 4 }, { 20, 4 }, { 24, 4 }, { 28, 4 }, { 36, 8 } };
	uint8_t is[1024];
	(void)captured("golden/scsi/ao-inq.txt", "cdb 12 01 b0 04 00 00", is, sizeof is);
	RUN(rig, &c, CDB(0x12, 1, 0xb0, 4, 0, 0), 1024, NULL);
	assert_good(&c);
	ASSERT_EQ(c.task.data_in_len, 64);
	ASSERT_EQ(c.in[4], is[4]);
	for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
		uint64_t ours = 0, theirs = 0;
		for (unsigned b = 0; b < fields[i].len; b++) {
			ours = ours << 8 | c.in[fields[i].at + b];
			theirs = theirs << 8 | is[fields[i].at + b];
		}
		TEST_ROW("byte %d", fields[i].at);
		ASSERT_TRUE(ours >= theirs);
	}
}

TEST(every_listed_page_is_there_and_others_are_not)
{
	static const uint8_t expected[] = { 0, 0, 0, 7, 0x00, 0x80, 0x83, 0x86, 0xb0, 0xb1, 0xb2 };
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	RUN(rig, &c, CDB(0x12, 1, 0, 1, 0, 0), 256, NULL);
	assert_good(&c);
	ASSERT_EQ(c.task.data_in_len, sizeof expected);
	ASSERT_MEM_EQ(c.in, expected, sizeof expected);
	for (unsigned page = 0; page < 256; page++) {
		RUN(rig, &c, CDB(0x12, 1, (uint8_t)page, 1, 0, 0), 256, NULL);
		if (memchr(expected + 4, (int)page, 7)) {
			assert_good(&c);
			ASSERT_EQ(c.in[1], page);
			ASSERT_EQ(c.task.data_in_len, 4u + get_be16(c.in + 2));
		} else {
			assert_sense(&c, 0x052400);
			ASSERT_EQ(get_be16(c.task.sense + 16), 2);
		}
	}
}

TEST(an_allocation_length_cuts_without_changing_length_fields)
{
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	for (unsigned len = 0; len <= 96; len++) {
		RUN(rig, &c, CDB(0x12, 0, 0, 0, (uint8_t)len, 0), len, NULL);
		assert_good(&c);
		ASSERT_EQ(c.task.data_in_len, len);
		if (len > 4)
			ASSERT_EQ(c.in[4], 0x5b);
		assert_residual(&c, SCSI_NO_RESIDUAL, 0);
	}
}

TEST(fields_that_must_be_zero_are_checked)
{
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	RUN(rig, &c, CDB(0x12, 0, 0x83, 0, 255, 0), 255, NULL);
	assert_sense(&c, 0x052400);
	RUN(rig, &c, CDB(0x12, 2, 0, 0, 255, 0), 255, NULL); /* CMDDT */
	assert_sense(&c, 0x052400);
}

TEST(a_thick_lun_claims_no_unmap)
{
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	rig->fake->info.discard_granularity = 0;
	lun_resized(rig->lun);
	RUN(rig, &c, CDB(0x12, 1, 0xb2, 1, 0, 0), 256, NULL);
	ASSERT_EQ(c.in[5], 0x04);
	ASSERT_EQ(c.in[6], 1);
	RUN(rig, &c, CDB(0x12, 1, 0xb0, 1, 0, 0), 256, NULL);
	ASSERT_EQ(get_be32(c.in + 20), 0);
	ASSERT_EQ(get_be32(c.in + 24), 0);
	RUN(rig, &c, CDB(0x42, 0, 0, 0, 0, 0, 0, 0, 0, 0), 0, NULL);
	assert_sense(&c, 0x052000);
	RUN(rig, &c, CDB(0x93, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0), 0, NULL);
	assert_sense(&c, 0x052400);
}

TEST(luns_that_are_not_mapped_answer_identity_only)
{
	static const struct {
		const char *name;
		uint8_t lun[8];
		uint8_t cdb[12];
		uint32_t sense; /* 0: GOOD */
		uint8_t first;
	} rows[] = {
		{ "INQUIRY", { 0, 5 }, { 0x12, 0, 0, 0, 96 }, 0, 0x7f },
		{ "INQUIRY page 00", { 0, 5 }, { 0x12, 1, 0, 0, 96 }, 0, 0x7f },
		{ "INQUIRY page 83", { 0, 5 }, { 0x12, 1, 0x83, 0, 96 }, 0x052400, 0 },
		{ "TEST UNIT READY", { 0, 5 }, { 0 }, 0x052500, 0 },
		{ "REQUEST SENSE", { 0, 5 }, { 3, 0, 0, 0, 18 }, 0, 0x70 },
		{ "READ", { 0, 5 }, { 0x28, [8] = 1 }, 0x052500, 0 },
		{ "REPORT LUNS", { 0, 5 }, { 0xa0, [9] = 16 }, 0, 0 },
		{ "flat space form", { 0x40, 0 }, { 0 }, 0, 0 },
		{ "second level", { 0, 0, 0, 1 }, { 0 }, 0x052500, 0 },
		{ "logical unit method", { 0x80 }, { 0 }, 0x052500, 0 },
		{ "well known: REPORT LUNS", { 0xc1, 1 }, { 0xa0, [9] = 16 }, 0, 0 },
		{ "well known: INQUIRY", { 0xc1, 1 }, { 0x12, 0, 0, 0, 96 }, 0, 0x1e },
		{ "well known: READ", { 0xc1, 1 }, { 0x28, [8] = 1 }, 0x052500, 0 },
	};
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		TEST_ROW("%s", rows[i].name);
		bool reads = rows[i].cdb[0] != 0;
		command_fill(&c, rig->nexuses[0], rows[i].cdb, 12, reads ? 512 : 0);
		memcpy(c.task.lun, rows[i].lun, 8);
		command_start(&c, NULL);
		rig_turn(rig);
		if (rows[i].sense) {
			assert_sense(&c, rows[i].sense);
			continue;
		}
		assert_good(&c);
		if (reads)
			ASSERT_EQ(c.in[0], rows[i].first);
	}
	command_fill(&c, rig->nexuses[0], CDB(3, 0, 0, 0, 18, 0), 18);
	c.task.lun[1] = 5;
	command_start(&c, NULL);
	rig_turn(rig);
	ASSERT_EQ(c.in[12], 0x25);
}

/* A LUN in the place of the first, whose image is not open yet. */
static struct lun *map_another(struct rig *rig)
{
	const struct lun_config config = {
		.name = "rbd/disk_2",
		.wwn = "00000000-a657-4cf2-996c-a3d03a6f25a9",
		.vendor_id = "rbd/rbd/disk_2;osd_op_timeout=30",
		.block_size = 512,
		.max_sectors = 1024,
		.relay = &rig->relay.relay,
	};
	struct lun_mapping mapping = { 0 };
	assert_int_equal(lun_new(&config, &mapping.lun), 0);
	for (unsigned i = 0; i < RIG_NEXUSES; i++) {
		bool changed = false;
		assert_int_equal(nexus_change_map(rig->nexuses[i], &mapping, 1, set_flag, &changed),
		                 0);
		rig_turn(rig);
		assert_true(changed);
		command_run(rig, &c, i, CDB(0, 0, 0, 0, 0, 0), 0, NULL);
		assert_sense(&c, 0x063f0e);
	}
	return mapping.lun;
}

/* Commands are forwarded by then, and the image here may be opened much later. */
TEST(who_was_told_of_an_image_before_it_was_known_is_told_when_it_is)
{
	static const struct {
		uint8_t page;
		bool tells; /* of the image */
	} pages[] = {
		{ 0x00, false }, { 0x80, false }, { 0x83, false }, { 0x86, true },
		{ 0xb0, true },  { 0xb1, true },  { 0xb2, true },
	};
	for (size_t i = 0; i < ARRAY_LEN(pages); i++) {
		TEST_ROW("page %02x", pages[i].page);
		AUTO(rig) struct rig *rig = rig_new(512, 100);
		struct lun *lun = map_another(rig);
		RUN(rig, &c, CDB(0x12, 1, pages[i].page, 0, 255, 0), 255, NULL);
		assert_good(&c);
		for (unsigned times = 0; times < 2; times++) /* the second brings nothing new */
			lun_describe(lun, &rig->fake->info);
		for (unsigned nexus = 0; nexus < RIG_NEXUSES; nexus++) {
			TEST_ROW("page %02x, nexus %u", pages[i].page, nexus);
			command_run(rig, &c, nexus, CDB(0, 0, 0, 0, 0, 0), 0, NULL);
			if (nexus == 0 && pages[i].tells) {
				assert_sense(&c, 0x063f03);
				command_run(rig, &c, nexus, CDB(0, 0, 0, 0, 0, 0), 0, NULL);
			}
			assert_sense(&c, 0x020401);
		}
		lun_put(lun);
	}
}

TEST(what_is_known_of_an_image_by_its_owner_is_told_as_well)
{
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	struct lun *lun = map_another(rig);
	RUN(rig, &c, CDB(0x12, 1, 0xb2, 0, 255, 0), 255, NULL);
	assert_good(&c);
	ASSERT_EQ(c.in[5] & 0x80, 0); /* LBPU */
	rig_leave(rig, LUN_HELD);
	lun_serve(lun, &rig->fake->backend);
	RUN(rig, &c, CDB(0, 0, 0, 0, 0, 0), 0, NULL);
	assert_sense(&c, 0x063f03);
	RUN(rig, &c, CDB(0, 0, 0, 0, 0, 0), 0, NULL);
	assert_sense(&c, 0x062a09);
	RUN(rig, &c, CDB(0x12, 1, 0xb2, 0, 255, 0), 255, NULL);
	assert_good(&c);
	ASSERT_EQ(c.in[5] & 0x80, 0x80);
	bool quiesced = false;
	lun_quiesce(lun, LUN_HELD, set_flag, &quiesced);
	ASSERT_TRUE(quiesced);
	lun_put(lun);
}
