/* Everything of full feature phase that is not data: digests, pings, task management, rejects,
 * logout. */
#include "rig.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

static const uint8_t test_unit_ready[6];

static void expect_reject(struct raw *raw, enum reject_reason reason, const uint8_t *bhs)
{
	raw_expect(raw, PDU_REJECT);
	ASSERT_EQ(raw->pdu.bhs[BHS_RESPONSE], reason);
	ASSERT_EQ(pdu_itt(raw->pdu.bhs), TAG_NONE);
	ASSERT_EQ(raw->pdu.len, BHS_BYTES);
	ASSERT_MEM_EQ(raw->pdu.data, bhs, BHS_BYTES);
}

/* The session is alive and has answered everything before. */
static void expect_ping(struct raw *raw)
{
	uint32_t itt = raw_nop(raw, NULL, 0);
	raw_expect(raw, PDU_NOP_IN);
	ASSERT_EQ(pdu_itt(raw->pdu.bhs), itt);
	ASSERT_EQ(raw->pdu.len, 0);
}

static void expect_management(struct raw *raw, uint32_t itt, enum task_function_response response)
{
	raw_expect(raw, PDU_TASK_MANAGEMENT_RESPONSE);
	ASSERT_EQ(pdu_itt(raw->pdu.bhs), itt);
	ASSERT_EQ(raw->pdu.bhs[BHS_RESPONSE], response);
}

TEST(a_bad_header_digest_closes_without_a_word)
{
	AUTO(rig) struct rig *rig = rig_new();
	static struct raw raw;
	uint8_t frame[BHS_BYTES + DIGEST_BYTES];

	rig_apply(rig);
	rig_login(rig, &raw, 1, "HeaderDigest=CRC32C\n");
	memset(frame, 0, sizeof(frame));
	pdu_start(frame, PDU_NOP_OUT, FLAG_FINAL, 5);
	ASSERT_TRUE(raw_send_bytes(&raw, frame, sizeof(frame)));
	ASSERT_FALSE(raw_receive(&raw));
	raw_close(&raw);
	rig_wait_sessions(rig, 0);
}

TEST(a_bad_data_digest_is_rejected_and_ends_only_what_writes)
{
	AUTO(rig) struct rig *rig = rig_new();
	static struct raw raw;
	uint8_t frame[BHS_BYTES + 512 + DIGEST_BYTES];

	rig_apply(rig);
	rig_login(rig, &raw, 1, "DataDigest=CRC32C\n");
	memset(frame, 0, sizeof(frame));
	raw_start(&raw, frame, PDU_NOP_OUT | PDU_IMMEDIATE, FLAG_FINAL);
	put_be32(frame + BHS_TTT, TAG_NONE);
	pdu_put_data_len(frame, 512);
	ASSERT_TRUE(raw_send_bytes(&raw, frame, sizeof(frame)));
	expect_reject(&raw, REJECT_DATA_DIGEST, frame);
	expect_ping(&raw);

	raw_start(&raw, frame, PDU_SCSI_COMMAND, FLAG_FINAL | FLAG_WRITE | 1);
	put_be32(frame + BHS_EXPECTED_LENGTH, 512);
	pdu_put_data_len(frame, 512);
	memset(frame + BHS_CDB, 0, 16);
	frame[BHS_CDB] = 0x2a;
	frame[BHS_CDB + 8] = 1;
	ASSERT_TRUE(raw_send_bytes(&raw, frame, sizeof(frame)));
	expect_reject(&raw, REJECT_DATA_DIGEST, frame);
	raw_expect_close(&raw);
	ASSERT_EQ(rig_writes(rig), 0);
	raw_close(&raw);
}

TEST(a_ping_comes_back_with_its_data_while_the_disk_hangs)
{
	AUTO(rig) struct rig *rig = rig_new();
	static struct raw raw;
	static uint8_t back[512];

	rig_apply(rig);
	rig_login(rig, &raw, 1, "");
	rig_hold(rig);
	uint32_t read = raw_read(&raw, 0, 1, RIG_BLOCK);
	rig_wait_held(rig, 1);
	uint32_t itt = raw_nop(&raw, "hello", 5);
	raw_expect(&raw, PDU_NOP_IN);
	ASSERT_EQ(pdu_itt(raw.pdu.bhs), itt);
	ASSERT_EQ(pdu_ttt(raw.pdu.bhs), TAG_NONE);
	ASSERT_EQ(raw.pdu.len, 5);
	ASSERT_MEM_EQ(raw.pdu.data, "hello", 5);
	rig_release(rig);
	raw_expect_data(&raw, read, back, sizeof(back));
	raw_close(&raw);
}

TEST(an_idle_initiator_is_pinged_and_dropped_if_it_does_not_answer)
{
	AUTO(rig) struct rig *rig = rig_new();
	static struct raw raw;
	uint8_t bhs[BHS_BYTES];

	rig->controls.nopin_timeout_s = rig->controls.nopin_response_timeout_s = 1;
	rig_apply(rig);
	rig_login(rig, &raw, 1, "");
	raw_expect(&raw, PDU_NOP_IN);
	ASSERT_EQ(pdu_itt(raw.pdu.bhs), TAG_NONE);
	ASSERT_NE(pdu_ttt(raw.pdu.bhs), TAG_NONE);
	ASSERT_EQ(raw.pdu.len, 0);
	raw_start(&raw, bhs, PDU_NOP_OUT | PDU_IMMEDIATE, FLAG_FINAL);
	put_be32(bhs + BHS_ITT, TAG_NONE);
	memcpy(bhs + BHS_TTT, raw.pdu.bhs + BHS_TTT, 4);
	ASSERT_TRUE(raw_send(&raw, bhs, NULL, 0));
	raw_expect(&raw, PDU_NOP_IN); /* answered: it asks again */
	raw_expect_close(&raw);
	raw_close(&raw);
	rig_wait_sessions(rig, 0);
}

TEST(data_that_is_asked_for_and_never_comes_ends_the_connection)
{
	AUTO(rig) struct rig *rig = rig_new();
	static struct raw raw;

	rig->controls.dataout_timeout_s = 1;
	rig_apply(rig);
	rig_login(rig, &raw, 1, "ImmediateData=No\n");
	(void)raw_write(&raw, 0, 8, RIG_BLOCK, FLAG_FINAL, NULL, 0);
	raw_expect(&raw, PDU_R2T);
	raw_expect_close(&raw);
	raw_close(&raw);
	rig_wait_sessions(rig, 0);
}

TEST(a_gap_in_the_command_numbers_that_stays_ends_the_connection)
{
	AUTO(rig) struct rig *rig = rig_new();
	static struct raw raw;

	ASSERT_EQ(rig->limits.command_gap_s, 10);
	rig->limits.command_gap_s = 1;
	rig_apply(rig);
	rig_login(rig, &raw, 1, "");
	raw.cmd_sn++; /* the gap */
	(void)raw_read(&raw, 0, 1, RIG_BLOCK);
	raw_expect_close(&raw);
	raw_close(&raw);
	rig_wait_sessions(rig, 0);
}

TEST(an_initiator_that_does_not_read_its_answers_is_dropped)
{
	AUTO(rig) struct rig *rig = rig_new();
	static struct raw raw;

	ASSERT_EQ(rig->limits.slow_reader_s, 30);
	rig->limits.slow_reader_s = 1;
	rig_apply(rig);
	rig_login(rig, &raw, 1, "");
	for (unsigned i = 0; i < 16; i++) /* far more than the sockets take */
		(void)raw_read(&raw, 0, RIG_BYTES / 2 / RIG_BLOCK, RIG_BLOCK);
	rig_wait_sessions(rig, 0);
	raw_close(&raw);
}

TEST(abort_in_the_backend_is_answered_when_the_write_has_ended)
{
	AUTO(rig) struct rig *rig = rig_new();
	static struct raw raw;
	static uint8_t data[512];

	rig_apply(rig);
	rig_login(rig, &raw, 1, "");
	rig_hold(rig);
	uint32_t cmd_sn = raw.cmd_sn;
	uint32_t write = raw_write(&raw, 0, 1, RIG_BLOCK, FLAG_FINAL, data, sizeof(data));
	rig_wait_held(rig, 1);
	uint32_t abort = raw_manage(&raw, TMF_ABORT_TASK, 0, write, cmd_sn);
	expect_ping(&raw); /* and nothing before it */
	rig_release(rig);
	raw_expect(&raw, PDU_TASK_MANAGEMENT_RESPONSE);
	ASSERT_EQ(pdu_itt(raw.pdu.bhs), abort);
	ASSERT_EQ(raw.pdu.bhs[BHS_RESPONSE], TMF_COMPLETE);
	expect_ping(&raw);
	raw_close(&raw);
}

TEST(abort_before_the_data_has_come_drops_what_is_still_sent)
{
	AUTO(rig) struct rig *rig = rig_new();
	static struct raw raw;
	static uint8_t data[4096];

	rig_apply(rig);
	rig_login(rig, &raw, 1, "ImmediateData=No\n");
	uint32_t cmd_sn = raw.cmd_sn;
	uint32_t write = raw_write(&raw, 0, 8, RIG_BLOCK, FLAG_FINAL, NULL, 0);
	raw_expect(&raw, PDU_R2T);
	uint32_t ttt = pdu_ttt(raw.pdu.bhs);
	expect_management(&raw, raw_manage(&raw, TMF_ABORT_TASK, 0, write, cmd_sn), TMF_COMPLETE);
	ASSERT_TRUE(raw_data_out(&raw, write, ttt, 0, 0, true, data, sizeof(data)));
	expect_ping(&raw);
	ASSERT_EQ(rig_writes(rig), 0);
	raw_close(&raw);
}

TEST(abort_answers_as_the_standard_says_for_tasks_that_are_not_there)
{
	AUTO(rig) struct rig *rig = rig_new();
	static struct raw raw;
	static uint8_t back[512];

	rig_apply(rig);
	rig_login(rig, &raw, 1, "");
	uint32_t cmd_sn = raw.cmd_sn;
	uint32_t read = raw_read(&raw, 0, 1, RIG_BLOCK);
	raw_expect_data(&raw, read, back, sizeof(back));
	expect_management(&raw, raw_manage(&raw, TMF_ABORT_TASK, 0, read, cmd_sn), TMF_NO_TASK);

	/* A command that was sent before, and has not come: it is aborted before it does. */
	uint32_t later = raw.itt + 1;
	raw.cmd_sn++;
	expect_management(&raw, raw_manage(&raw, TMF_ABORT_TASK, 0, later, raw.cmd_sn - 1),
	                  TMF_COMPLETE);
	raw.cmd_sn--;
	ASSERT_EQ(raw_read(&raw, 0, 1, RIG_BLOCK), later);
	read = raw_read(&raw, 0, 1, RIG_BLOCK);
	raw_expect_data(&raw, read, back, sizeof(back));

	rig_hold(rig);
	cmd_sn = raw.cmd_sn;
	read = raw_read(&raw, 0, 1, RIG_BLOCK);
	rig_wait_held(rig, 1);
	expect_management(&raw, raw_manage(&raw, TMF_ABORT_TASK, 0, read, cmd_sn - 1),
	                  TMF_REJECTED);
	expect_management(&raw, raw_manage(&raw, TMF_ABORT_TASK, 1, read, cmd_sn), TMF_NO_TASK);
	rig_release(rig);
	raw_expect_data(&raw, read, back, sizeof(back));
	raw_close(&raw);
}

/* RefCmdSN of a task that was immediate is the request's own CmdSN, which is also that of the next
 * command. [RFC 7143 11.5.5] */
TEST(abort_of_an_immediate_command_that_is_answered_takes_no_number_away)
{
	AUTO(rig) struct rig *rig = rig_new();
	static struct raw raw;
	static uint8_t back[512];

	rig_apply(rig);
	rig_login(rig, &raw, 1, "");
	for (unsigned ahead = 0; ahead < 2; ahead++) {
		uint32_t aborted = raw.itt;
		expect_management(&raw,
		                  raw_manage(&raw, TMF_ABORT_TASK, 0, aborted, raw.cmd_sn + ahead),
		                  TMF_NO_TASK);
		uint32_t read = raw_read(&raw, 0, 1, RIG_BLOCK);
		raw_expect_data(&raw, read, back, sizeof(back));
	}
	raw_close(&raw);
}

TEST(lun_reset_ends_everything_and_raises_a_unit_attention)
{
	AUTO(rig) struct rig *rig = rig_new();
	static struct raw raw;
	static uint8_t data[512];

	rig_apply(rig);
	rig_login(rig, &raw, 1, "");
	rig_hold(rig);
	(void)raw_write(&raw, 0, 1, RIG_BLOCK, FLAG_FINAL, data, sizeof(data));
	(void)raw_write(&raw, 8, 8, RIG_BLOCK, FLAG_FINAL, data, sizeof(data));
	raw_expect(&raw, PDU_R2T);
	rig_wait_held(rig, 1);
	uint32_t reset = raw_manage(&raw, TMF_LUN_RESET, 0, TAG_NONE, 0);
	expect_ping(&raw);
	rig_release(rig);
	expect_management(&raw, reset, TMF_COMPLETE);
	uint32_t itt = raw_command(&raw, 0, FLAG_FINAL, test_unit_ready, 6, 0, NULL, 0);
	raw_expect_sense(&raw, itt, 0x062903);
	raw_close(&raw);
}

TEST(task_management_functions_answer_by_the_table)
{
	static const struct {
		uint8_t function, lun;
		enum task_function_response response;
	} rows[] = {
		{ TMF_ABORT_TASK_SET, 0, TMF_COMPLETE },
		{ TMF_ABORT_TASK_SET, 9, TMF_NO_LUN },
		{ TMF_CLEAR_TASK_SET, 0, TMF_COMPLETE },
		{ TMF_CLEAR_ACA, 0, TMF_NOT_SUPPORTED },
		{ TMF_LUN_RESET, 9, TMF_NO_LUN },
		{ TMF_TARGET_WARM_RESET, 0, TMF_COMPLETE },
		{ TMF_TASK_REASSIGN, 0, TMF_NO_REASSIGN },
		{ TMF_TARGET_COLD_RESET, 0, TMF_NOT_SUPPORTED },
		{ 11, 0, TMF_NOT_SUPPORTED },
		{ 0, 0, TMF_NOT_SUPPORTED },
	};
	AUTO(rig) struct rig *rig = rig_new();
	static struct raw raw;

	rig_apply(rig);
	rig_login(rig, &raw, 1, "");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		TEST_ROW("function %u, LUN %u", rows[i].function, rows[i].lun);
		expect_management(&raw,
		                  raw_manage(&raw, rows[i].function, rows[i].lun, TAG_NONE, 0),
		                  rows[i].response);
	}
	raw_close(&raw);
}

TEST(what_is_not_understood_is_rejected_and_the_session_goes_on)
{
	static const struct {
		const char *name;
		uint8_t opcode, flags;
		uint32_t expected_len, ttt;
		enum reject_reason reason;
	} rows[] = {
		{ "unknown opcode", 0x1c, 0x80, 0, TAG_NONE, REJECT_NOT_SUPPORTED },
		{ "SNACK", PDU_SNACK, 0x80, 0, TAG_NONE, REJECT_SNACK },
		{ "unsolicited data for a read", PDU_SCSI_COMMAND, FLAG_READ, 512, 512,
		  REJECT_INVALID_FIELD },
		{ "text without end or continuation", PDU_TEXT, 0, 0, TAG_NONE,
		  REJECT_INVALID_FIELD },
		{ "text of another exchange", PDU_TEXT, FLAG_FINAL, 0, 77, REJECT_PROTOCOL_ERROR },
		{ "logout for an unknown reason", PDU_LOGOUT, 0x80 | 9, 0, 0,
		  REJECT_INVALID_FIELD },
	};
	AUTO(rig) struct rig *rig = rig_new();
	static struct raw raw;

	rig_apply(rig);
	rig_login(rig, &raw, 1, "");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		uint8_t bhs[BHS_BYTES];
		bool numbered = rows[i].opcode != PDU_SNACK && rows[i].opcode != 0x1c;
		TEST_ROW("%s", rows[i].name);
		raw_start(&raw, bhs, rows[i].opcode, rows[i].flags);
		if (!numbered)
			raw.cmd_sn--;
		put_be32(bhs + BHS_TTT, rows[i].ttt);
		ASSERT_TRUE(raw_send(&raw, bhs, NULL, 0));
		expect_reject(&raw, rows[i].reason, bhs);
		ASSERT_EQ(raw.exp_cmd_sn, raw.cmd_sn);
		expect_ping(&raw);
	}
	raw_close(&raw);
}

TEST(protocol_errors_are_rejected_and_end_the_connection)
{
	static const struct {
		const char *name;
		uint8_t opcode, ahs;
		uint32_t data_len;
	} rows[] = {
		{ "a PDU that only targets send", PDU_R2T, 0, 0 },
		{ "a login in full feature phase", PDU_LOGIN | PDU_IMMEDIATE, 0, 0 },
		{ "AHS on a NOP", PDU_NOP_OUT | PDU_IMMEDIATE, 1, 0 },
		{ "more data than we take", PDU_NOP_OUT | PDU_IMMEDIATE, 0, 300000 },
	};
	AUTO(rig) struct rig *rig = rig_new();
	static struct raw raw;

	rig_apply(rig);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		uint8_t frame[BHS_BYTES + 4] = { 0 };
		TEST_ROW("%s", rows[i].name);
		rig_login(rig, &raw, 1, "");
		raw_start(&raw, frame, rows[i].opcode, FLAG_FINAL);
		frame[BHS_AHS_LENGTH] = rows[i].ahs;
		pdu_put_data_len(frame, rows[i].data_len);
		ASSERT_TRUE(raw_send_bytes(&raw, frame, BHS_BYTES + rows[i].ahs * 4));
		raw_expect(&raw, PDU_REJECT);
		ASSERT_EQ(raw.pdu.bhs[BHS_RESPONSE], REJECT_PROTOCOL_ERROR);
		raw_expect_close(&raw);
		raw_close(&raw);
	}
}

TEST(data_out_that_is_out_of_order_never_reaches_the_disk)
{
	static const struct {
		const char *name;
		uint32_t data_sn, offset, len, ttt_add;
		bool final;
	} rows[] = {
		{ "DataSN too high", 1, 0, 4096, 0, true },
		{ "offset too high", 0, 512, 3584, 0, true },
		{ "more than asked for", 0, 0, 4608, 0, true },
		{ "final too early", 0, 0, 512, 0, true },
		{ "final missing", 0, 0, 4096, 0, false },
		{ "another tag", 0, 0, 4096, 1, true },
	};
	AUTO(rig) struct rig *rig = rig_new();
	static struct raw raw;
	static uint8_t data[8192];

	rig_apply(rig);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		TEST_ROW("%s", rows[i].name);
		rig_login(rig, &raw, 1, "ImmediateData=No\n");
		uint32_t itt = raw_write(&raw, 0, 8, RIG_BLOCK, FLAG_FINAL, NULL, 0);
		raw_expect(&raw, PDU_R2T);
		ASSERT_TRUE(raw_data_out(&raw, itt, pdu_ttt(raw.pdu.bhs) + rows[i].ttt_add,
		                         rows[i].data_sn, rows[i].offset, rows[i].final, data,
		                         rows[i].len));
		raw_expect_sense(&raw, itt, 0x0b4b00);
		expect_ping(&raw);
		raw_close(&raw);
	}
	ASSERT_EQ(rig_writes(rig), 0);
}

TEST(unsolicited_data_against_the_agreement_is_told_and_ends_the_connection)
{
	AUTO(rig) struct rig *rig = rig_new();
	static struct raw raw;
	static uint8_t data[8192];

	rig_apply(rig);
	rig_login(rig, &raw, 1, "InitialR2T=Yes\n");
	uint32_t itt = raw_write(&raw, 0, 8, RIG_BLOCK, 0, data, 512);
	raw_expect_sense(&raw, itt, 0x0b0c0c);
	raw_expect_close(&raw);
	raw_close(&raw);

	rig_login(rig, &raw, 1, "InitialR2T=No\nFirstBurstLength=1024\n");
	itt = raw_write(&raw, 0, 8, RIG_BLOCK, 0, data, 512);
	ASSERT_TRUE(raw_data_out(&raw, itt, TAG_NONE, 0, 512, true, data, 3584));
	/* Once more, maybe before the first was seen: it changes nothing. */
	(void)raw_data_out(&raw, itt, TAG_NONE, 0, 512, true, data, 3584);
	raw_expect_sense(&raw, itt, 0x0b0c0d);
	raw_expect_close(&raw);
	raw_close(&raw);

	rig_login(rig, &raw, 1, "ImmediateData=No\n");
	(void)raw_write(&raw, 0, 1, RIG_BLOCK, FLAG_FINAL, data, 512);
	raw_expect(&raw, PDU_REJECT);
	raw_expect_close(&raw);
	raw_close(&raw);
	ASSERT_EQ(rig_writes(rig), 0);
}

TEST(a_tag_that_is_in_use_ends_the_connection)
{
	AUTO(rig) struct rig *rig = rig_new();
	static struct raw raw;

	rig_apply(rig);
	rig_login(rig, &raw, 1, "");
	rig_hold(rig);
	(void)raw_read(&raw, 0, 1, RIG_BLOCK);
	rig_wait_held(rig, 1);
	raw.itt--;
	(void)raw_read(&raw, 0, 1, RIG_BLOCK);
	raw_expect(&raw, PDU_REJECT);
	ASSERT_EQ(raw.pdu.bhs[BHS_RESPONSE], REJECT_TASK_IN_PROGRESS);
	raw_expect_close(&raw);
	raw_close(&raw);
	rig_release(rig);
}

TEST(logout_waits_for_what_runs_and_is_the_last_word)
{
	AUTO(rig) struct rig *rig = rig_new();
	static struct raw raw;
	static uint8_t data[512];

	rig_apply(rig);
	rig_login(rig, &raw, 1, "");
	rig_hold(rig);
	(void)raw_write(&raw, 0, 1, RIG_BLOCK, FLAG_FINAL, data, sizeof(data));
	rig_wait_held(rig, 1);
	uint32_t itt = raw_logout(&raw);
	/* Whatever comes after a logout is dropped. */
	(void)raw_read(&raw, 0, 1, RIG_BLOCK);
	(void)raw_nop(&raw, NULL, 0);
	ASSERT_TRUE(raw_silent(&raw));
	rig_release(rig);
	raw_expect(&raw, PDU_LOGOUT_RESPONSE);
	ASSERT_EQ(pdu_itt(raw.pdu.bhs), itt);
	ASSERT_EQ(raw.pdu.bhs[BHS_RESPONSE], LOGOUT_DONE);
	ASSERT_FALSE(raw_receive(&raw));
	raw_close(&raw);
	rig_wait_sessions(rig, 0);
}

TEST(logout_of_another_connection_is_refused)
{
	AUTO(rig) struct rig *rig = rig_new();
	static struct raw raw;
	uint8_t bhs[BHS_BYTES];

	rig_apply(rig);
	rig_login(rig, &raw, 1, "");
	raw_start(&raw, bhs, PDU_LOGOUT | PDU_IMMEDIATE, FLAG_FINAL | LOGOUT_CLOSE_CONNECTION);
	put_be16(bhs + BHS_CID, 5);
	ASSERT_TRUE(raw_send(&raw, bhs, NULL, 0));
	raw_expect(&raw, PDU_LOGOUT_RESPONSE);
	ASSERT_EQ(raw.pdu.bhs[BHS_RESPONSE], LOGOUT_NO_CID);
	raw_start(&raw, bhs, PDU_LOGOUT | PDU_IMMEDIATE, FLAG_FINAL | LOGOUT_RECOVERY);
	ASSERT_TRUE(raw_send(&raw, bhs, NULL, 0));
	raw_expect(&raw, PDU_LOGOUT_RESPONSE);
	ASSERT_EQ(raw.pdu.bhs[BHS_RESPONSE], LOGOUT_NO_RECOVERY);
	expect_ping(&raw);
	raw_close(&raw);
}

TEST(send_targets_answers_in_pieces_that_fit)
{
	AUTO(rig) struct rig *rig = rig_new();
	static struct raw raw;
	uint8_t bhs[BHS_BYTES];
	char answer[256] = "", want[256];
	size_t len = 0;

	rig_apply(rig);
	raw_connect(&raw, rig->address);
	ASSERT_EQ(raw_login(&raw, 1,
	                    "InitiatorName=" RIG_INITIATOR "\nSessionType=Discovery\n"
	                    "MaxRecvDataSegmentLength=512\n"),
	          LOGIN_SUCCESS);
	uint32_t itt = raw_start(&raw, bhs, PDU_TEXT, FLAG_FINAL);
	put_be32(bhs + BHS_TTT, TAG_NONE);
	ASSERT_TRUE(raw_send(&raw, bhs, "SendTargets=All", 16));
	raw_expect(&raw, PDU_TEXT_RESPONSE);
	ASSERT_EQ(pdu_itt(raw.pdu.bhs), itt);
	ASSERT_EQ(raw.pdu.bhs[BHS_FLAGS], FLAG_FINAL);
	ASSERT_EQ(pdu_ttt(raw.pdu.bhs), TAG_NONE);
	memcpy(answer, raw.pdu.data, raw.pdu.len);
	len = (size_t)snprintf(want, sizeof(want), "TargetName=%s%cTargetAddress=%s,1", RIG_TARGET,
	                       0, rig->address) +
	      1;
	ASSERT_EQ(raw.pdu.len, len);
	ASSERT_MEM_EQ(answer, want, len);
	/* SCSI has no place in a discovery session. */
	(void)raw_read(&raw, 0, 1, RIG_BLOCK);
	raw_expect(&raw, PDU_REJECT);
	raw_expect_close(&raw);
	raw_close(&raw);
}

TEST(a_lost_connection_ends_the_session_when_its_writes_have_ended)
{
	AUTO(rig) struct rig *rig = rig_new();
	static struct raw raw, other;
	static uint8_t data[4096];

	rig_apply(rig);
	rig_login(rig, &raw, 1, "");
	rig_hold(rig);
	(void)raw_write(&raw, 0, 8, RIG_BLOCK, FLAG_FINAL, data, sizeof(data));
	(void)raw_read(&raw, 0, 8, RIG_BLOCK);
	rig_wait_held(rig, 2);
	raw_close(&raw);
	rig_wait_sessions(rig, 0);
	rig_release(rig);
	rig_login(rig, &other, 2, "");
	raw_close(&other);
}
