/* Commands that come late. Time is told by the rig's clock, which moves only when told to; the
 * initiator answers pings only where a test does it. */
#include "rig.h"

#include <sched.h>
#include <string.h>
#include <sys/socket.h>

#define SILENCE_MS 10000

static struct raw raw;
static uint8_t data[4096], back[512];

static uint32_t write_block(void)
{
	return raw_write(&raw, 0, 1, RIG_BLOCK, FLAG_FINAL, data, RIG_BLOCK);
}

/* The target asks; returns the tag of its ping. */
static uint32_t expect_question(void)
{
	raw_expect(&raw, PDU_NOP_IN);
	ASSERT_EQ(pdu_itt(raw.pdu.bhs), TAG_NONE);
	ASSERT_NE(pdu_ttt(raw.pdu.bhs), TAG_NONE);
	return pdu_ttt(raw.pdu.bhs);
}

/* A ping of the initiator comes back; nothing else comes before it. */
static void round_trip(void)
{
	uint32_t itt = raw_nop(&raw, NULL, 0);
	raw_expect(&raw, PDU_NOP_IN);
	ASSERT_EQ(pdu_itt(raw.pdu.bhs), itt);
}

static struct rig *start(const char *keys)
{
	struct rig *rig = rig_new();
	rig_apply(rig);
	rig_login(rig, &raw, 1, keys);
	return rig;
}

TEST(a_write_after_silence_runs_when_the_ping_is_answered)
{
	AUTO(rig) struct rig *rig = start("");

	rig_advance(SILENCE_MS);
	uint32_t write = write_block();
	uint32_t question = expect_question();
	ASSERT_EQ(rig_writes(rig), 0);
	raw_answer_ping(&raw, question);
	raw_expect_good(&raw, write);
	ASSERT_EQ(rig_writes(rig), 1);
	raw_expect_good(&raw, write_block()); /* young by itself now */
	raw_close(&raw);
}

TEST(a_busy_connection_is_never_pinged)
{
	AUTO(rig) struct rig *rig = start("");

	for (unsigned i = 0; i < 50; i++) {
		rig_advance(1900);
		raw_expect_good(&raw, write_block());
	}
	rig_advance(SILENCE_MS);
	uint32_t read = raw_read(&raw, 0, 1, RIG_BLOCK);
	raw_expect_data(&raw, read, back, sizeof(back));
	raw_expect_good(&raw, write_block()); /* it acknowledges the read */
	raw_close(&raw);
}

TEST(one_ping_serves_all_that_wait_and_they_keep_their_order)
{
	AUTO(rig) struct rig *rig = start("");
	uint32_t writes[5];

	rig_advance(SILENCE_MS);
	writes[0] = write_block();
	uint32_t question = expect_question();
	for (unsigned i = 1; i < ARRAY_LEN(writes); i++)
		writes[i] = write_block();
	raw_answer_ping(&raw, question);
	for (unsigned i = 0; i < ARRAY_LEN(writes); i++)
		raw_expect_good(&raw, writes[i]);
	round_trip();
	raw_close(&raw);
}

TEST(reads_pass_and_their_acknowledgement_is_an_answer_too)
{
	AUTO(rig) struct rig *rig = start("");

	rig_advance(SILENCE_MS);
	uint32_t write = write_block();
	(void)expect_question();
	uint32_t read = raw_read(&raw, 0, 1, RIG_BLOCK);
	raw_expect_data(&raw, read, back, sizeof(back));
	ASSERT_EQ(rig_writes(rig), 0);
	round_trip();
	raw_expect_good(&raw, write);
	raw_close(&raw);
}

TEST(the_answer_to_another_ping_proves_nothing)
{
	AUTO(rig) struct rig *rig = start("");

	rig_advance(SILENCE_MS);
	uint32_t write = write_block();
	uint32_t question = expect_question();
	raw_answer_ping(&raw, question - 1);
	raw_answer_ping(&raw, question + 1);
	raw_answer_ping(&raw, TAG_NONE);
	round_trip();
	ASSERT_EQ(rig_writes(rig), 0);
	raw_answer_ping(&raw, question);
	raw_expect_good(&raw, write);
	raw_close(&raw);
}

TEST(an_answer_that_is_too_old_itself_is_asked_for_again)
{
	AUTO(rig) struct rig *rig = start("");

	rig_advance(SILENCE_MS);
	uint32_t write = write_block();
	uint32_t question = expect_question();
	rig_advance(2001);
	raw_answer_ping(&raw, question);
	question = expect_question();
	ASSERT_EQ(rig_writes(rig), 0);
	raw_answer_ping(&raw, question);
	raw_expect_good(&raw, write);
	raw_close(&raw);
}

TEST(what_came_while_the_reactor_was_frozen_waits)
{
	AUTO(rig) struct rig *rig = start("");

	raw_expect_good(&raw, write_block());
	rig_freeze(rig);
	uint32_t write = write_block(); /* acknowledges what was sent just before the freeze */
	rig_advance(2001);
	rig_thaw(rig);
	uint32_t question = expect_question();
	ASSERT_EQ(rig_writes(rig), 1);
	raw_answer_ping(&raw, question);
	raw_expect_good(&raw, write);

	rig_freeze(rig);
	write = write_block();
	rig_advance(1000); /* too short to matter */
	rig_thaw(rig);
	raw_expect_good(&raw, write);
	raw_close(&raw);
}

TEST(an_initiator_that_never_answers_is_dropped_and_nothing_runs)
{
	AUTO(rig) struct rig *rig = rig_new();

	rig->controls.nopin_response_timeout_s = 1;
	rig_apply(rig);
	rig_login(rig, &raw, 1, "");
	rig_advance(SILENCE_MS);
	(void)write_block();
	(void)expect_question();
	(void)write_block();
	raw_expect_close(&raw);
	raw_close(&raw);
	rig_wait_sessions(rig, 0);
	ASSERT_EQ(rig_writes(rig), 0);
}

TEST(what_waits_can_be_aborted)
{
	static const uint8_t functions[] = { TMF_ABORT_TASK, TMF_ABORT_TASK_SET };
	AUTO(rig) struct rig *rig = rig_new();

	rig_apply(rig);
	for (size_t i = 0; i < ARRAY_LEN(functions); i++) {
		TEST_ROW("function %u", functions[i]);
		rig_login(rig, &raw, 1, "");
		rig_advance(SILENCE_MS);
		uint32_t cmd_sn = raw.cmd_sn;
		uint32_t write = write_block();
		uint32_t question = expect_question();
		(void)raw_manage(&raw, functions[i], 0, write, cmd_sn);
		raw_expect(&raw, PDU_TASK_MANAGEMENT_RESPONSE);
		ASSERT_EQ(raw.pdu.bhs[BHS_RESPONSE], TMF_COMPLETE);
		raw_answer_ping(&raw, question);
		round_trip();
		ASSERT_EQ(rig_writes(rig), 0);
		raw_close(&raw);
		rig_wait_sessions(rig, 0);
	}
}

TEST(a_reset_waits_too_and_goes_with_the_connection)
{
	static const uint8_t functions[] = { TMF_CLEAR_TASK_SET, TMF_LUN_RESET,
		                             TMF_TARGET_WARM_RESET };
	AUTO(rig) struct rig *rig = rig_new();

	rig_apply(rig);
	for (size_t i = 0; i < ARRAY_LEN(functions); i++) {
		TEST_ROW("function %u", functions[i]);
		rig_login(rig, &raw, 1, "");
		rig_advance(SILENCE_MS);
		uint32_t itt = raw_manage(&raw, functions[i], 0, TAG_NONE, 0);
		raw_answer_ping(&raw, expect_question());
		raw_expect(&raw, PDU_TASK_MANAGEMENT_RESPONSE);
		ASSERT_EQ(pdu_itt(raw.pdu.bhs), itt);
		ASSERT_EQ(raw.pdu.bhs[BHS_RESPONSE], TMF_COMPLETE);

		rig_advance(SILENCE_MS);
		(void)raw_manage(&raw, functions[i], 0, TAG_NONE, 0);
		(void)expect_question();
		raw_close(&raw);
		rig_wait_sessions(rig, 0);
	}
}

TEST(what_stands_in_the_socket_of_a_dead_connection_never_runs)
{
	static const struct {
		const char *name;
		bool reset;
	} rows[] = { { "FIN", false }, { "RST", true } };
	static const struct linger at_once = { .l_onoff = 1 };
	AUTO(rig) struct rig *rig = rig_new();

	rig_apply(rig);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		TEST_ROW("%s", rows[i].name);
		rig_login(rig, &raw, 1, "");
		rig_freeze(rig);
		(void)write_block();
		if (rows[i].reset)
			ASSERT_EQ(setsockopt(raw.fd, SOL_SOCKET, SO_LINGER, &at_once,
			                     sizeof(at_once)),
			          0);
		raw_close(&raw);
		rig_thaw(rig);
		rig_wait_sessions(rig, 0);
		ASSERT_EQ(rig_writes(rig), 0);
	}
}

TEST(a_command_without_data_waits_too)
{
	static const uint8_t reserve[6] = { 0x16 };
	AUTO(rig) struct rig *rig = start("InitialR2T=No\n");

	rig_advance(SILENCE_MS);
	uint32_t itt = raw_command(&raw, 0, FLAG_FINAL, reserve, 6, 0, NULL, 0);
	raw_answer_ping(&raw, expect_question());
	raw_expect_good(&raw, itt);

	/* With data that it does not take. */
	rig_advance(SILENCE_MS);
	itt = raw_command(&raw, 0, FLAG_WRITE, reserve, 6, 1024, data, 512);
	uint32_t question = expect_question();
	ASSERT_TRUE(raw_data_out(&raw, itt, TAG_NONE, 0, 512, true, data, 512));
	raw_answer_ping(&raw, question);
	raw_expect_good(&raw, itt);
	raw_close(&raw);
}

TEST(data_that_we_asked_for_is_an_answer)
{
	AUTO(rig) struct rig *rig = start("ImmediateData=No\n");

	rig_advance(SILENCE_MS);
	uint32_t write = raw_write(&raw, 0, 8, RIG_BLOCK, FLAG_FINAL, NULL, 0);
	raw_expect(&raw, PDU_R2T);
	raw_answer_r2t(&raw, data, sizeof(data));
	raw_expect_good(&raw, write);

	rig_advance(SILENCE_MS);
	write = raw_write(&raw, 0, 8, RIG_BLOCK, FLAG_FINAL, NULL, 0);
	raw_expect(&raw, PDU_R2T);
	rig_advance(2001); /* the data is late */
	raw_answer_r2t(&raw, data, sizeof(data));
	uint32_t question = expect_question();
	ASSERT_EQ(rig_writes(rig), 1);
	raw_answer_ping(&raw, question);
	raw_expect_good(&raw, write);
	raw_close(&raw);
}

TEST(the_bound_can_be_switched_off)
{
	AUTO(rig) struct rig *rig = rig_new();

	ASSERT_EQ(rig->limits.age_max_ms, 2000);
	rig->limits.age_max_ms = 0;
	rig_apply(rig);
	rig_login(rig, &raw, 1, "");
	rig_advance(SILENCE_MS);
	raw_expect_good(&raw, write_block());
	raw_close(&raw);
}

TEST(the_server_knows_how_long_no_io_came_and_path_checkers_do_none)
{
	AUTO(rig) struct rig *rig = rig_new();

	rig_apply(rig);
	rig_advance(500);
	ASSERT_EQ(iscsi_server_idle_ms(rig->server), 500);
	rig_login(rig, &raw, 1, "");
	ASSERT_EQ(iscsi_server_idle_ms(rig->server), 500); /* its TEST UNIT READY */
	raw_expect_good(&raw, write_block());
	ASSERT_EQ(iscsi_server_idle_ms(rig->server), 0);
	rig_advance(700);
	round_trip(); /* not a command */
	ASSERT_EQ(iscsi_server_idle_ms(rig->server), 700);
	raw_close(&raw);
}
