/* Header fields, additional header segments, serial number arithmetic. */
#include "iscsi/pdu.h"

#include "test.h"

#include <errno.h>

TEST(serial_numbers_compare_across_the_wrap)
{
	ASSERT_TRUE(serial_lt(0xffffffff, 0));
	ASSERT_FALSE(serial_lt(0, 0xffffffff));
	ASSERT_TRUE(serial_le(5, 5));
	ASSERT_TRUE(serial_lt(0xfffffff0, 0x10));
	ASSERT_FALSE(serial_le(0x10, 0xfffffff0));
}

TEST(padding_fills_up_to_four_bytes)
{
	ASSERT_EQ(pdu_pad(0), 0);
	ASSERT_EQ(pdu_pad(1), 3);
	ASSERT_EQ(pdu_pad(4), 0);
	ASSERT_EQ(pdu_pad(0xffffff), 1);
}

TEST(a_started_header_carries_opcode_flags_tag_and_numbers)
{
	uint8_t bhs[BHS_BYTES];
	pdu_start(bhs, PDU_SCSI_RESPONSE, FLAG_FINAL, 0x01020304);
	pdu_put_sn(bhs, 7, 8, 9);
	pdu_put_data_len(bhs, 0x123456);
	ASSERT_EQ(pdu_opcode(bhs), PDU_SCSI_RESPONSE);
	ASSERT_EQ(bhs[1], 0x80);
	ASSERT_EQ(pdu_itt(bhs), 0x01020304);
	ASSERT_EQ(get_be32(bhs + 24), 7);
	ASSERT_EQ(get_be32(bhs + 28), 8);
	ASSERT_EQ(get_be32(bhs + 32), 9);
	ASSERT_EQ(pdu_data_len(bhs), 0x123456);
}

TEST(an_extended_cdb_and_a_read_length_are_found)
{
	/* 32-byte CDB: 16 bytes more, AHSLength 17, then the read length of a bidirectional one */
	uint8_t ahs[28] = { 0, 17, 1, 0, 0xaa, [19] = 0xbb, [20] = 0, 5, 2, 0, 0, 0, 2, 0 };
	struct pdu_ahs found;
	ASSERT_EQ(pdu_parse_ahs(ahs, sizeof(ahs), &found), 0);
	ASSERT_EQ(found.cdb_rest_len, 16);
	ASSERT_EQ(found.cdb_rest[0], 0xaa);
	ASSERT_EQ(found.cdb_rest[15], 0xbb);
	ASSERT_TRUE(found.bidirectional);
	ASSERT_EQ(found.read_len, 512);
}

TEST(torn_or_strange_header_segments_are_refused)
{
	static const struct {
		const char *name;
		uint8_t bytes[16];
		size_t len;
		int result;
	} rows[] = {
		{ "shorter than its header", { 0, 5, 2 }, 3, -EINVAL },
		{ "longer than the room", { 0, 17, 1, 0 }, 8, -EINVAL },
		{ "length 65535", { 0xff, 0xff, 1, 0 }, 16, -EINVAL },
		{ "length 0", { 0, 0, 1, 0 }, 4, -EINVAL },
		{ "CDB of 16 bytes only", { 0, 1, 1, 0 }, 4, -EINVAL },
		{ "bidirectional of another length", { 0, 4, 2, 0, 0, 0, 0, 0 }, 8, -EINVAL },
		{ "the same twice", { 0, 5, 2, 0, 0, 0, 0, 0, 0, 5, 2, 0 }, 16, -EINVAL },
		{ "unknown type", { 0, 5, 9, 0, 0, 0, 0, 0 }, 8, -EOPNOTSUPP },
		{ "none at all", { 0 }, 0, 0 },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct pdu_ahs found;
		TEST_ROW("%s", rows[i].name);
		ASSERT_EQ(pdu_parse_ahs(rows[i].bytes, rows[i].len, &found), rows[i].result);
	}
}

TEST(only_requests_come_from_an_initiator)
{
	ASSERT_TRUE(pdu_from_initiator(PDU_SCSI_COMMAND));
	ASSERT_FALSE(pdu_from_initiator(PDU_R2T));
	ASSERT_FALSE(pdu_from_initiator(0x1c));
	ASSERT_STR_EQ(pdu_name(0x1c), "unknown opcode");
	ASSERT_STR_EQ(pdu_name(PDU_LOGIN), "Login Request");
}
