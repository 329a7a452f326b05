/* Both formats of sense data. */
#include "base/bytes.h"
#include "scsi/sense.h"
#include "test.h"

TEST(fixed_sense_has_18_bytes_and_every_field_in_its_place)
{
	uint8_t p[SENSE_MAX_LEN];
	struct sense_detail detail = { .has_information = true, .information = 0x12345678 };
	ASSERT_EQ(sense_put(p, SENSE_LBA_OUT_OF_RANGE, false, &detail), 18);
	static const uint8_t expected[18] = { 0xf0, 0, 5, 0x12, 0x34, 0x56, 0x78, 0x0a,
		                              0,    0, 0, 0,    0x21, 0,    0,    0 };
	ASSERT_MEM_EQ(p, expected, 18);
}

TEST(an_information_above_32_bits_is_left_out_of_fixed_sense)
{
	uint8_t p[SENSE_MAX_LEN];
	struct sense_detail detail = { .has_information = true, .information = 1ull << 32 };
	ASSERT_EQ(sense_put(p, SENSE_LBA_OUT_OF_RANGE, false, &detail), 18);
	ASSERT_EQ(p[0], 0x70);
	ASSERT_EQ(get_be32(p + 3), 0);
}

TEST(a_field_pointer_names_cdb_or_list_and_bit)
{
	static const struct {
		struct sense_detail detail;
		uint8_t bytes[3];
	} rows[] = {
		{ { .has_pointer = true, .in_cdb = true, .byte = 1, .bit = 7 }, { 0xcf, 0, 1 } },
		{ { .has_pointer = true, .in_cdb = true, .byte = 2, .bit = 8 }, { 0xc0, 0, 2 } },
		{ { .has_pointer = true, .byte = 0x102, .bit = 8 }, { 0x80, 1, 2 } },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		uint8_t p[SENSE_MAX_LEN];
		TEST_ROW("%zu", i);
		(void)sense_put(p, SENSE_INVALID_FIELD_IN_CDB, false, &rows[i].detail);
		ASSERT_MEM_EQ(p + 15, rows[i].bytes, 3);
		ASSERT_EQ(sense_put(p, SENSE_INVALID_FIELD_IN_CDB, true, &rows[i].detail), 16);
		ASSERT_MEM_EQ(p + 12, rows[i].bytes, 3);
	}
}

TEST(descriptor_sense_carries_64_bits)
{
	uint8_t p[SENSE_MAX_LEN];
	struct sense_detail detail = { .has_information = true, .information = 1ull << 32 };
	ASSERT_EQ(sense_put(p, SENSE_MISCOMPARE, true, &detail), 20);
	ASSERT_EQ(p[0], 0x72);
	ASSERT_EQ(p[1], 0x0e);
	ASSERT_EQ(p[2], 0x1d);
	ASSERT_EQ(p[7], 12);
	ASSERT_EQ(p[9], 10);
	ASSERT_EQ(p[10], 0x80);
	ASSERT_EQ(get_be64(p + 12), 1ull << 32);
}
