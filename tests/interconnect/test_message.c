/* What PDUs between gateways carry comes out as it went in; what is torn is refused. */
#include "interconnect/message.h"
#include "test.h"

#include <errno.h>
#include <string.h>

static uint8_t header[BHS_BYTES + 256];

TEST(a_command_says_its_row_epoch_and_age)
{
	const struct message_command command = { 7, 0x12345678, 0x1122334455667788, 99, 42 };
	struct message_command found;
	const uint8_t *cdb_rest = NULL;
	static const uint8_t rest[16] = { 1, 2, 3, [15] = 9 };
	for (unsigned with_rest = 0; with_rest < 2; with_rest++) {
		pdu_start(header, PDU_SCSI_COMMAND, 0, 1);
		message_put_command(header, &command, with_rest ? rest : NULL);
		ASSERT_EQ(pdu_ahs_len(header), with_rest ? 52 : 32);
		ASSERT_EQ(message_take_command(header, &found, &cdb_rest), 0);
		ASSERT_EQ(found.row, command.row);
		ASSERT_EQ(found.length, command.length);
		ASSERT_EQ(found.epoch, command.epoch);
		ASSERT_EQ(found.stamp, command.stamp);
		ASSERT_EQ(found.tag, command.tag);
		ASSERT_EQ(cdb_rest != NULL, with_rest);
		if (with_rest)
			ASSERT_MEM_EQ(cdb_rest, rest, 16);
		for (uint8_t words = 0; words < 60; words++) {
			if (words == 8 || words == (with_rest ? 13 : 8))
				continue; /* a whole one */
			header[BHS_AHS_LENGTH] = words;
			ASSERT_EQ(message_take_command(header, &found, &cdb_rest), -EINVAL);
		}
	}
}

TEST(a_heartbeat_says_three_numbers)
{
	const struct message_heartbeat heartbeat = { 1ull << 60, 77, 1000 };
	struct message_heartbeat found;
	pdu_start(header, PDU_NOP_IN, 0, 1);
	message_put_heartbeat(header, &heartbeat);
	ASSERT_EQ(message_take_heartbeat(header, &found), 0);
	ASSERT_EQ(found.stamp, heartbeat.stamp);
	ASSERT_EQ(found.seen, heartbeat.seen);
	ASSERT_EQ(found.stalled_ms, heartbeat.stalled_ms);
	for (uint8_t words = 0; words < 60; words++) {
		header[BHS_AHS_LENGTH] = words;
		ASSERT_EQ(message_take_heartbeat(header, &found), words == 6 ? 0 : -EINVAL);
	}
}

TEST(a_nexus_and_a_row_are_declared)
{
	char text[MESSAGE_TEXT_MAX];
	struct message_nexus nexus = { 3,
		                       "iqn.1994-05.com.redhat:a",
		                       "iqn.2003-01.com:igw",
		                       { 0, 2, 0x3d, 0xff, 1, 0 },
		                       2 },
	                     found_nexus;
	int len = message_put_nexus(&nexus, text);
	ASSERT_TRUE(len > 0);
	ASSERT_EQ(message_take_nexus(text, (uint32_t)len, &found_nexus), 0);
	ASSERT_EQ(found_nexus.handle, 3);
	ASSERT_EQ(found_nexus.tag, 2);
	ASSERT_STR_EQ(found_nexus.initiator, nexus.initiator);
	ASSERT_STR_EQ(found_nexus.target, nexus.target);
	ASSERT_MEM_EQ(found_nexus.isid, nexus.isid, 6);

	struct message_row row = { 9, 3, "rbd/disk_1", "ee982d1a", true }, found_row;
	len = message_put_row(&row, text);
	ASSERT_TRUE(len > 0);
	ASSERT_EQ(message_take_row(text, (uint32_t)len, &found_row), 0);
	ASSERT_EQ(found_row.handle, 9);
	ASSERT_EQ(found_row.nexus, 3);
	ASSERT_TRUE(found_row.read_only);
	ASSERT_STR_EQ(found_row.name, row.name);
	ASSERT_STR_EQ(found_row.wwn, row.wwn);
}

TEST(a_torn_declaration_is_refused)
{
	static const char *const texts[] = {
		"", "Nexus=1", "Nexus=x", "Nexus=99999999999", "Row=1", "=", "Nexus", "\xff=1",
	};
	struct message_nexus nexus;
	struct message_row row;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		uint32_t len = (uint32_t)strlen(texts[i]);
		ASSERT_EQ(message_take_nexus(texts[i], len, &nexus), -EINVAL);
		ASSERT_EQ(message_take_row(texts[i], len, &row), -EINVAL);
	}
	static const char isid[] = "Nexus=1\0Initiator=a\0ISID=0x0011\0Target=b\0Tag=1";
	ASSERT_EQ(message_take_nexus(isid, sizeof isid, &nexus), -EINVAL);
}
