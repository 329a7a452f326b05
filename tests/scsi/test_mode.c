/* MODE SENSE and MODE SELECT. */
#include "fixture.h"

#include <string.h>

static struct command c;

static void sense6(struct rig *rig, uint8_t dbd, uint8_t page, uint8_t subpage)
{
	RUN(rig, &c, CDB(0x1a, dbd, page, subpage, 255, 0), 255, NULL);
}

TEST(all_pages_come_in_order_and_add_up)
{
	static const uint8_t order[] = { 0x01, 0x02, 0x08, 0x0a, 0x1c };
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	sense6(rig, 0x00, 0x3f, 0x00);
	assert_good(&c);
	ASSERT_EQ(c.in[0] + 1u, c.task.data_in_len);
	ASSERT_EQ(c.in[2], 0x10); /* DPOFUA */
	ASSERT_EQ(c.in[3], 8);
	ASSERT_EQ(get_be32(c.in + 4), 100);
	ASSERT_EQ(get_be24(c.in + 9), 512);
	size_t at = 12;
	for (size_t i = 0; i < sizeof order; i++) {
		ASSERT_EQ(c.in[at], order[i]);
		at += 2u + c.in[at + 1];
	}
	ASSERT_EQ(at, c.task.data_in_len);
	sense6(rig, 0x08, 0x3f, 0xff); /* with subpages, without block descriptor */
	assert_good(&c);
	ASSERT_EQ(c.in[3], 0);
	ASSERT_EQ(c.task.data_in_len, at - 8 + 32);
}

TEST(the_control_page_says_what_this_target_does)
{
	static const uint8_t current[12] = { 0x0a, 0x0a, 0x02, 0x10, 0, 0x40,
		                             0,    0,    0xff, 0xff, 0, 0x1e };
	static const uint8_t changeable[12] = { 0x0a, 0x0a }; /* nothing */
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	sense6(rig, 8, 0x0a, 0);
	assert_good(&c);
	ASSERT_MEM_EQ(c.in + 4, current, 12);
	sense6(rig, 8, 0x4a, 0);
	ASSERT_MEM_EQ(c.in + 4, changeable, 12);
	sense6(rig, 8, 0x8a, 0);
	ASSERT_MEM_EQ(c.in + 4, current, 12);
	sense6(rig, 8, 0xca, 0);
	assert_sense(&c, 0x053900);
	sense6(rig, 8, 0x0a, 1);
	assert_good(&c);
	ASSERT_EQ(c.in[4], 0x4a);
	ASSERT_EQ(get_be16(c.in + 6), 0x1c);
	sense6(rig, 8, 0x19, 0);
	assert_sense(&c, 0x052400);
}

TEST(mode_sense_10_has_the_long_descriptor_on_request)
{
	AUTO(rig) struct rig *rig = rig_new(4096, 100);
	RUN(rig, &c, CDB(0x5a, 0x10, 0x0a, 0, 0, 0, 0, 1, 0, 0), 256, NULL);
	assert_good(&c);
	ASSERT_EQ(get_be16(c.in) + 2u, c.task.data_in_len);
	ASSERT_EQ(c.in[4], 1);
	ASSERT_EQ(get_be16(c.in + 6), 16);
	ASSERT_EQ(get_be64(c.in + 8), 100);
	ASSERT_EQ(get_be32(c.in + 20), 4096);
	ASSERT_EQ(c.in[24], 0x0a);
}

TEST(the_write_cache_is_told)
{
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	sense6(rig, 8, 0x08, 0);
	ASSERT_EQ(c.in[6], 0);
	rig->fake->info.write_cache = true;
	lun_resized(rig->lun);
	sense6(rig, 8, 0x08, 0);
	ASSERT_EQ(c.in[6], 0x04);
}

static void select6(struct rig *rig, const uint8_t *list, uint8_t len)
{
	RUN(rig, &c, CDB(0x15, 0x10, 0, 0, len, 0), -(int64_t)len, list);
}

TEST(mode_select_takes_what_is_so_and_nothing_else)
{
	static const struct {
		const char *name;
		uint8_t list[40];
		uint8_t len;
		uint32_t sense;
	} rows[] = {
		{ "nothing", { 0 }, 0, 0 },
		{ "header only", { 0 }, 4, 0 },
		{ "cut header", { 0 }, 3, 0x051a00 },
		{ "cut page", { 0, 0, 0, 0, 0x0a, 0x0a, 2 }, 7, 0x051a00 },
		{ "wrong page length", { 0, 0, 0, 0, 0x0a, 0x0b, 2 }, 17, 0x052600 },
		{ "page that is not there", { 0, 0, 0, 0, 0x19, 2 }, 8, 0x052600 },
		{ "bit that may not change",
		  { 0, 0, 0, 0, 0x0a, 0x0a, 2, 0x10, 0, 0, 0, 0, 0xff, 0xff, 0, 0x1e },
		  16,
		  0x052600 },
		{ "SWP",
		  { 0, 0, 0, 0, 0x0a, 0x0a, 2, 0x10, 8, 0x40, 0, 0, 0xff, 0xff, 0, 0x1e },
		  16,
		  0x052600 },
		{ "D_SENSE",
		  { 0, 0, 0, 0, 0x0a, 0x0a, 6, 0x10, 0, 0x40, 0, 0, 0xff, 0xff, 0, 0x1e },
		  16,
		  0x052600 },
		{ "the page as it is",
		  { 0, 0, 0, 0, 0x0a, 0x0a, 2, 0x10, 0, 0x40, 0, 0, 0xff, 0xff, 0, 0x1e },
		  16,
		  0 },
		{ "good page before a bad one",
		  { 0, 0, 0,    0,    0x0a, 0x0a, 2,    0x10, 0, 0x40,
		    0, 0, 0xff, 0xff, 0,    0x1e, 0x19, 2,    0, 0 },
		  20,
		  0x052600 },
		{ "block size that differs",
		  { 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 16, 0 },
		  12,
		  0x052600 },
		{ "as it is", { 0, 0, 0, 8, 0, 0, 0, 100, 0, 0, 2, 0 }, 12, 0 },
		{ "odd descriptor length", { 0, 0, 0, 7 }, 12, 0x052600 },
	};
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		TEST_ROW("%s", rows[i].name);
		select6(rig, rows[i].list, rows[i].len);
		if (rows[i].sense)
			assert_sense(&c, rows[i].sense);
		else
			assert_good(&c);
		RUN(rig, &c, CDB(0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0), -512, NULL);
		assert_good(&c);
	}
	RUN(rig, &c, CDB(0x15, 0x00, 0, 0, 4, 0), -4, NULL); /* PF=0 */
	assert_sense(&c, 0x052400);
	RUN(rig, &c, CDB(0x15, 0x11, 0, 0, 4, 0), -4, NULL); /* SP=1 */
	assert_sense(&c, 0x053900);
	RUN(rig, &c, CDB(0x15, 0x10, 0, 0, 16, 0), -12, NULL); /* less came than was said */
	assert_sense(&c, 0x051a00);
}
