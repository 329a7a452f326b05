/* The server as a whole: reinstatement, waiting logins, floods, snapshots that sessions follow, the
 * polite stop. */
#include "rig.h"

#include "base/reactor.h"
#include "iscsi/connection.h"
#include "iscsi/session_table.h"
#include "scsi/task.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

static const uint8_t test_unit_ready[6];

static const char login_keys[] = "InitiatorName=" RIG_INITIATOR "\nTargetName=" RIG_TARGET "\n";

/* A READ(10) or a TEST UNIT READY of any LUN. */
static uint32_t ask(struct raw *raw, uint8_t lun, bool reads)
{
	static const uint8_t read[10] = { 0x28, [8] = 1 };
	return reads ? raw_command(raw, lun, FLAG_FINAL | FLAG_READ, read, 10, RIG_BLOCK, NULL, 0)
	             : raw_command(raw, lun, FLAG_FINAL, test_unit_ready, 6, 0, NULL, 0);
}

/* One that has waited for 3 s by then was told BUSY. */
static void expect_good_after_all(struct raw *raw, uint8_t fill)
{
	uint8_t data[RIG_BLOCK];

	memset(data, fill, sizeof(data));
	for (;;) {
		raw_expect(raw, PDU_SCSI_RESPONSE);
		if (raw->pdu.bhs[BHS_STATUS] == 0)
			return;
		ASSERT_EQ(raw->pdu.bhs[BHS_STATUS], SCSI_BUSY);
		(void)raw_write(raw, 0, 1, RIG_BLOCK, FLAG_FINAL, data, sizeof(data));
	}
}

/* Takes the unit attention of a new nexus. */
static void take_attention(struct raw *raw, uint8_t lun)
{
	raw_expect_sense(raw, ask(raw, lun, false), 0x062901);
}

TEST(a_new_login_does_not_wait_for_the_old_sessions_writes)
{
	AUTO(rig) struct rig *rig = rig_new();
	static struct raw old, new, third;
	static uint8_t data[512], back[512];

	rig->lun_count = 2;
	rig_apply(rig);
	for (unsigned round = 0; round < 4; round++) {
		memset(data, 2 * (int)round + 1, sizeof(data));
		rig_login(rig, &old, 7, "");
		/* Moves which reactor comes next, so that both cases are seen. */
		rig_login(rig, &third, 8, "");
		rig_hold(rig);
		(void)raw_write(&old, 0, 1, RIG_BLOCK, FLAG_FINAL, data, sizeof(data));
		rig_wait_held(rig, 1);
		raw_connect(&new, rig->address);
		ASSERT_EQ(raw_login(&new, 7, login_keys), LOGIN_SUCCESS);
		ASSERT_NE(new.tsih, old.tsih);
		raw_expect_close(&old);

		/* What follows at the same LUN does not overtake it; the other LUN is there. */
		take_attention(&new, 0);
		take_attention(&new, 1);
		memset(data, 2 * (int)round + 2, sizeof(data));
		uint32_t read = ask(&new, 1, true);
		raw_expect_data(&new, read, back, sizeof(back));
		(void)raw_write(&new, 0, 1, RIG_BLOCK, FLAG_FINAL, data, sizeof(data));
		raw_expect_good(&new, ask(&new, 0, false)); /* the write has come */
		ASSERT_EQ(rig_held(rig), 1);
		rig_release(rig);
		expect_good_after_all(&new, data[0]);
		ASSERT_EQ(rig->memory[0], 2 * round + 2);
		ASSERT_EQ(rig_sessions(rig), 2);
		raw_close(&old);
		raw_close(&new);
		raw_close(&third);
		rig_wait_sessions(rig, 0);
	}
}

TEST(an_initiator_that_logs_in_again_and_again_leaves_one_session_behind)
{
	AUTO(rig) struct rig *rig = rig_new();
	static struct raw raw;
	static uint8_t data[512];

	rig->limits.connections_max = 1; /* those that linger do not count */
	rig_apply(rig);
	rig_login(rig, &raw, 1, "");
	rig_hold(rig);
	(void)raw_write(&raw, 0, 1, RIG_BLOCK, FLAG_FINAL, data, sizeof(data));
	rig_wait_held(rig, 1);
	for (unsigned i = 0; i < 1000; i++) {
		int last = raw.fd;
		raw_connect(&raw, rig->address);
		ASSERT_EQ(raw_login(&raw, 1, login_keys), LOGIN_SUCCESS);
		close(last);
		take_attention(&raw, 0);
		(void)raw_write(&raw, 0, 1, RIG_BLOCK, FLAG_FINAL, data, sizeof(data));
	}
	ASSERT_EQ(rig_held(rig), 1);
	rig_wait_sessions(rig, 1);
	rig_release(rig);
	expect_good_after_all(&raw, data[0]);
	ASSERT_EQ(rig_writes(rig), 2);
	raw_close(&raw);
}

TEST(a_connection_that_takes_over_the_session_goes_on_with_its_numbers)
{
	AUTO(rig) struct rig *rig = rig_new();
	static struct raw old, new;
	static uint8_t data[512];

	rig_apply(rig);
	rig_login(rig, &old, 1, "");
	rig_hold(rig);
	(void)raw_write(&old, 0, 1, RIG_BLOCK, FLAG_FINAL, data, sizeof(data));
	rig_wait_held(rig, 1);
	raw_connect(&new, rig->address);
	new.tsih = old.tsih;
	ASSERT_EQ(raw_login(&new, 1, login_keys), LOGIN_SUCCESS);
	ASSERT_EQ(new.tsih, old.tsih);
	ASSERT_EQ(new.cmd_sn, old.cmd_sn);
	raw_expect_close(&old);
	take_attention(&new, 0);
	(void)raw_write(&new, 0, 1, RIG_BLOCK, FLAG_FINAL, data, sizeof(data));
	raw_expect_good(&new, ask(&new, 0, false));
	ASSERT_EQ(rig_held(rig), 1);
	rig_release(rig);
	expect_good_after_all(&new, data[0]);
	raw_close(&old);
	raw_close(&new);
}

/* So many sessions of one port that each has left something behind. */
static void leave_behind(struct rig *rig, unsigned count)
{
	static struct raw raw;

	rig_hold(rig);
	for (unsigned i = 0; i < count; i++) {
		raw_connect(&raw, rig->address);
		ASSERT_EQ(raw_login(&raw, 1, login_keys), LOGIN_SUCCESS);
		take_attention(&raw, (uint8_t)i);
		(void)ask(&raw, (uint8_t)i, true);
		rig_wait_held(rig, i + 1);
		raw_close(&raw);
	}
}

TEST(a_login_waits_while_too_many_sessions_of_its_port_linger)
{
	AUTO(rig) struct rig *rig = rig_new();
	static struct raw new, other;

	rig->limits.ready_wait_s = 1;
	rig->limits.connections_max = 2;
	rig->lun_count = SESSIONS_LINGERING_MAX;
	rig->others_hang = true;
	rig_apply(rig);
	leave_behind(rig, SESSIONS_LINGERING_MAX);
	raw_connect(&new, rig->address);
	ASSERT_EQ(raw_login(&new, 1, login_keys), LOGIN_OUT_OF_RESOURCES);
	raw_close(&new);
	rig_login(rig, &other, 2, ""); /* another port of the initiator is none of them */
	/* One that goes away while it waits leaves nothing behind. */
	raw_connect(&new, rig->address);
	raw_send_login(&new, 1, login_keys);
	raw_close(&new);
	raw_connect(&new, rig->address);
	raw_send_login(&new, 1, login_keys);
	ASSERT_TRUE(raw_silent(&new));
	rig_release(rig);
	ASSERT_EQ(raw_login_result(&new), LOGIN_SUCCESS);
	raw_close(&new);
	raw_close(&other);
}

TEST(another_isid_is_another_session)
{
	AUTO(rig) struct rig *rig = rig_new();
	static struct raw one, two;

	rig_apply(rig);
	rig_login(rig, &one, 1, "");
	rig_login(rig, &two, 2, "");
	ASSERT_EQ(rig_sessions(rig), 2);
	(void)raw_nop(&one, NULL, 0);
	raw_expect(&one, PDU_NOP_IN);
	raw_close(&one);
	raw_close(&two);
}

TEST(a_login_with_a_tsih_takes_over_its_session_or_is_refused)
{
	AUTO(rig) struct rig *rig = rig_new();
	static struct raw old, new;

	rig_apply(rig);
	rig_login(rig, &old, 1, "");
	raw_connect(&new, rig->address);
	new.tsih = old.tsih + 1;
	ASSERT_EQ(raw_login(&new, 1, login_keys), LOGIN_NO_SESSION);
	raw_expect_close(&new);
	raw_close(&new);

	raw_connect(&new, rig->address);
	new.tsih = old.tsih;
	ASSERT_EQ(raw_login(&new, 1, login_keys), LOGIN_SUCCESS);
	ASSERT_EQ(new.tsih, old.tsih);
	ASSERT_EQ(new.cmd_sn, old.cmd_sn); /* numbering goes on */
	raw_expect_close(&old);
	raw_close(&old);
	raw_close(&new);
}

TEST(a_login_waits_for_its_target_and_blocks_nobody)
{
	AUTO(rig) struct rig *rig = rig_new();
	static struct raw waits, other;

	rig->ready = false;
	rig_apply(rig);
	raw_connect(&waits, rig->address);
	raw_send_login(&waits, 1, login_keys);
	raw_connect(&other, rig->address);
	ASSERT_EQ(raw_login(&other, 2, "InitiatorName=" RIG_OTHER "\nSessionType=Discovery\n"),
	          LOGIN_SUCCESS);
	ASSERT_TRUE(raw_silent(&waits));
	rig->ready = true;
	rig_apply(rig);
	ASSERT_EQ(raw_login_result(&waits), LOGIN_SUCCESS);
	raw_close(&waits);
	raw_close(&other);
}

TEST(a_target_that_never_gets_ready_refuses_so_that_initiators_try_again)
{
	AUTO(rig) struct rig *rig = rig_new();
	static struct raw raw;

	rig->ready = false;
	rig->limits.ready_wait_s = 1;
	rig_apply(rig);
	raw_connect(&raw, rig->address);
	ASSERT_EQ(raw_login(&raw, 1, login_keys), LOGIN_SERVICE_UNAVAILABLE);
	raw_expect_close(&raw);
	raw_close(&raw);
}

TEST(a_connection_that_does_not_log_in_is_closed)
{
	AUTO(rig) struct rig *rig = rig_new();
	static struct raw silent, half;

	rig->limits.login_timeout_s = 1;
	rig_apply(rig);
	raw_connect(&silent, rig->address);
	raw_connect(&half, rig->address);
	ASSERT_TRUE(raw_send_bytes(&half, "\x43\x87\0\0", 4));
	raw_expect_close(&silent);
	raw_expect_close(&half);
	raw_close(&silent);
	raw_close(&half);
}

TEST(a_flood_of_half_open_connections_does_not_keep_a_login_out)
{
	enum { FLOOD = 200 };
	AUTO(rig) struct rig *rig = rig_new();
	static struct raw raw;
	static int flood[FLOOD];

	rig->limits.login_connections_max = 16;
	rig_apply(rig);
	for (unsigned i = 0; i < FLOOD; i++) {
		raw_connect(&raw, rig->address);
		flood[i] = raw.fd;
	}
	rig_login(rig, &raw, 1, "");
	raw_close(&raw);
	for (unsigned i = 0; i < FLOOD; i++)
		close(flood[i]);
}

TEST(who_comes_while_there_are_no_descriptors_is_served_when_there_are)
{
	enum { CROWD = 40, SOME = 5 };
	AUTO(rig) struct rig *rig = rig_new();
	static struct raw crowd[CROWD], raw;
	struct rlimit before, tight;

	rig_apply(rig);
	rig_freeze(rig); /* they wait for being accepted */
	for (unsigned i = 0; i < CROWD; i++)
		raw_connect(&crowd[i], rig->address);
	ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
	tight = before;
	tight.rlim_cur = (rlim_t)crowd[CROWD - 1].fd + 1 + SOME;
	ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &tight), 0);
	rig_thaw(rig);
	for (unsigned i = 0; i < SOME; i++)
		ASSERT_EQ(raw_login(&crowd[i], (uint8_t)i, login_keys), LOGIN_SUCCESS);
	ASSERT_EQ(rig_sessions(rig), SOME);
	for (unsigned i = 0; i < CROWD - 1; i++)
		raw_close(&crowd[i]);
	ASSERT_EQ(raw_login(&crowd[CROWD - 1], CROWD, login_keys), LOGIN_SUCCESS);
	ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
	raw_connect(&raw, rig->address);
	ASSERT_EQ(raw_login(&raw, CROWD + 1, login_keys), LOGIN_SUCCESS);
	raw_close(&raw);
	raw_close(&crowd[CROWD - 1]);
}

/* The sanitizer's count of bytes on the heap; absent without it. */
size_t __sanitizer_get_current_allocated_bytes(void) __attribute__((weak));

TEST(a_connection_that_logs_in_without_end_costs_at_most_16_kib)
{
	enum { CROWD = 32 };
	AUTO(rig) struct rig *rig = rig_new();
	static struct raw raw;
	static int crowd[CROWD];
	static const char text[LOGIN_DATA_MAX - 1];
	uint8_t bhs[BHS_BYTES];

	if (!__sanitizer_get_current_allocated_bytes)
		skip();
	rig_apply(rig);
	size_t before = __sanitizer_get_current_allocated_bytes();
	for (unsigned i = 0; i < CROWD; i++) {
		raw_connect(&raw, rig->address);
		crowd[i] = raw.fd;
		/* The start of a chain: most of its text, and no end of it. */
		pdu_start(bhs, PDU_LOGIN, FLAG_CONTINUE | FLAG_STAGES(1, 0), 1);
		bhs[BHS_OPCODE] |= PDU_IMMEDIATE;
		ASSERT_TRUE(raw_send(&raw, bhs, text, sizeof(text)));
		raw_expect(&raw, PDU_LOGIN_RESPONSE); /* taken, and its text is kept */
	}
	size_t each = (__sanitizer_get_current_allocated_bytes() - before) / CROWD;
	print_message("# %zu bytes a connection\n", each);
	ASSERT_TRUE(each > sizeof(text));
	ASSERT_TRUE(each <= CONNECTION_MEMORY_MAX);
	for (unsigned i = 0; i < CROWD; i++)
		close(crowd[i]);
}

TEST(sessions_beyond_the_bound_are_refused_for_now)
{
	AUTO(rig) struct rig *rig = rig_new();
	static struct raw one, two;

	rig->limits.connections_max = 1;
	rig_apply(rig);
	rig_login(rig, &one, 1, "");
	raw_connect(&two, rig->address);
	ASSERT_EQ(raw_login(&two, 2, login_keys), LOGIN_OUT_OF_RESOURCES);
	raw_expect_close(&two);
	raw_close(&two);
	raw_close(&one);
}

TEST(a_target_that_is_removed_drops_its_sessions_with_an_announcement)
{
	AUTO(rig) struct rig *rig = rig_new();
	static struct raw raw;
	static uint8_t data[512];

	rig_apply(rig);
	rig_login(rig, &raw, 1, "");
	rig_hold(rig);
	(void)raw_write(&raw, 0, 1, RIG_BLOCK, FLAG_FINAL, data, sizeof(data));
	rig_wait_held(rig, 1);
	rig->with_target = false;
	rig_apply_start(rig);
	raw_expect(&raw, PDU_ASYNC_MESSAGE);
	ASSERT_EQ(raw.pdu.bhs[BHS_ASYNC_EVENT], ASYNC_DROP_SESSION);
	raw_expect_close(&raw);
	ASSERT_TRUE(atomic_load(&rig->applying) > 0); /* its write still runs */
	rig_release(rig);
	EVENTUALLY(atomic_load(&rig->applying) == 0);
	raw_close(&raw);
}

/* The tag is part of the port's name: what the initiator knows of the port is of no use then. */
TEST(a_portal_group_that_gets_another_tag_drops_its_sessions_and_takes_them_again)
{
	AUTO(rig) struct rig *rig = rig_new();
	static struct raw raw;

	rig->tag = 3;
	rig_apply(rig);
	rig_login(rig, &raw, 1, "");
	rig->tag = 2; /* a gateway that was listed before it has left the target */
	rig_apply(rig);
	raw_expect(&raw, PDU_ASYNC_MESSAGE);
	ASSERT_EQ(raw.pdu.bhs[BHS_ASYNC_EVENT], ASYNC_DROP_SESSION);
	raw_expect_close(&raw);
	raw_close(&raw);
	rig_login(rig, &raw, 1, "");
	raw_close(&raw);
}

TEST(changed_credentials_drop_the_session_and_the_same_ones_do_not)
{
	AUTO(rig) struct rig *rig = rig_new();
	static struct raw raw;

	rig->with_acl = true;
	rig_apply(rig);
	rig_login(rig, &raw, 1, "");
	rig_apply(rig);
	(void)raw_nop(&raw, NULL, 0);
	raw_expect(&raw, PDU_NOP_IN);
	rig->user = "someuser";
	rig->secret = "somesecret12";
	rig_apply(rig);
	raw_expect(&raw, PDU_ASYNC_MESSAGE);
	raw_expect_close(&raw);
	raw_close(&raw);
}

TEST(a_lun_that_is_taken_away_is_gone_when_the_snapshot_is_applied)
{
	AUTO(rig) struct rig *rig = rig_new();
	static struct raw raw;
	static uint8_t data[512];

	rig_apply(rig);
	rig_login(rig, &raw, 1, "");
	rig_hold(rig);
	(void)raw_write(&raw, 0, 1, RIG_BLOCK, FLAG_FINAL, data, sizeof(data));
	rig_wait_held(rig, 1);
	rig->with_lun = false;
	rig_apply_start(rig);
	rig->with_lun = true;
	(void)raw_nop(&raw, NULL, 0);
	raw_expect(&raw, PDU_NOP_IN);
	ASSERT_TRUE(atomic_load(&rig->applying) > 0);
	rig_release(rig);
	EVENTUALLY(atomic_load(&rig->applying) == 0);
	uint32_t itt = raw_command(&raw, 0, FLAG_FINAL, test_unit_ready, 6, 0, NULL, 0);
	raw_expect_sense(&raw, itt, 0x052500);
	rig_apply(rig);
	itt = raw_command(&raw, 0, FLAG_FINAL, test_unit_ready, 6, 0, NULL, 0);
	raw_expect(&raw, PDU_SCSI_RESPONSE);
	ASSERT_EQ(pdu_itt(raw.pdu.bhs), itt);
	ASSERT_EQ(raw.pdu.data[2 + 2] & 15, 6);
	raw_close(&raw);
}

/* REPORTED LUNS DATA HAS CHANGED and the like are taken. */
static uint32_t answer_at_last(struct raw *raw, uint8_t lun)
{
	for (;;) {
		uint32_t itt = ask(raw, lun, false);
		raw_expect(raw, PDU_SCSI_RESPONSE);
		ASSERT_EQ(pdu_itt(raw->pdu.bhs), itt);
		if (raw->pdu.bhs[BHS_STATUS] == SCSI_GOOD)
			return 0;
		const uint8_t *sense = raw->pdu.data + 2;
		if ((sense[2] & 15) != 6)
			return (uint32_t)(sense[2] & 15) << 16 | get_be16(sense + 12);
	}
}

TEST(luns_come_and_go_while_a_command_of_one_that_was_taken_away_hangs)
{
	AUTO(rig) struct rig *rig = rig_new();
	static struct raw raw;
	static uint8_t data[RIG_BLOCK];

	rig_apply(rig);
	rig_login(rig, &raw, 1, "");
	rig_hold(rig);
	(void)raw_write(&raw, 0, 1, RIG_BLOCK, FLAG_FINAL, data, sizeof(data));
	rig_wait_held(rig, 1);
	rig->with_lun = false;
	rig_apply_start(rig);
	rig->with_lun = true;
	rig->lun_count = 2;
	rig_apply_start(rig);
	EVENTUALLY(answer_at_last(&raw, 1) == 0);
	ASSERT_EQ(answer_at_last(&raw, 0), 0); /* back again; the medium waits (H9) */
	rig->lun_count = 1;
	rig_apply_start(rig);
	EVENTUALLY(answer_at_last(&raw, 1) == 0x052500);
	ASSERT_TRUE(atomic_load(&rig->applying) > 0);
	rig_release(rig);
	EVENTUALLY(atomic_load(&rig->applying) == 0);
	ASSERT_EQ(answer_at_last(&raw, 0), 0);
	raw_close(&raw);
}

TEST(an_address_that_is_not_there_is_reported_and_tried_again)
{
	AUTO(rig) struct rig *rig = rig_new();
	static struct raw raw;
	AUTO(rig) struct rig *thief = rig_new();

	strcpy(thief->address, rig->address);
	rig_apply(thief);
	rig_apply_start(rig);
	EVENTUALLY(atomic_load(&rig->applying) == 0);
	ASSERT_EQ(rig->apply_error.code, -EADDRINUSE);
	thief->with_target = false;
	rig_apply(thief); /* gives the address back */
	for (;;) {
		raw_connect_try(&raw, rig->address);
		if (raw.fd >= 0)
			break;
		sched_yield();
	}
	ASSERT_EQ(raw_login(&raw, 1, login_keys), LOGIN_SUCCESS);
	raw_close(&raw);
}

TEST(a_wildcard_portal_takes_every_address)
{
	static const char *const hosts[] = { "0.0.0.0", "[::]" };

	for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
		AUTO(rig) struct rig *rig = rig_new();
		static struct raw raw;
		if (i == 1 && access("/proc/net/if_inet6", F_OK) < 0)
			break; /* a host without IPv6 */
		TEST_ROW("%s", hosts[i]);
		snprintf(rig->portal, sizeof(rig->portal), "%s%s", hosts[i],
		         strchr(rig->address, ':'));
		rig_apply(rig);
		rig_login(rig, &raw, 1, "");
		raw_close(&raw);
	}
}

TEST(a_polite_stop_asks_for_logout_and_waits_for_it)
{
	struct rig *rig = rig_new();
	static struct raw raw;

	rig_apply(rig);
	rig_login(rig, &raw, 1, "");
	rig_stop_start(rig, 5000);
	raw_expect(&raw, PDU_ASYNC_MESSAGE);
	ASSERT_EQ(raw.pdu.bhs[BHS_ASYNC_EVENT], ASYNC_LOGOUT_REQUEST);
	ASSERT_EQ(get_be16(raw.pdu.bhs + BHS_ASYNC_PARAMETER3), 5);
	ASSERT_FALSE(atomic_load(&rig->stopped));
	(void)raw_logout(&raw);
	raw_expect(&raw, PDU_LOGOUT_RESPONSE);
	raw_expect_close(&raw);
	raw_close(&raw);
	rig_free(rig);
}

TEST(a_stop_does_not_wait_for_an_initiator_that_reads_nothing)
{
	enum { READS = 48, BLOCKS = 512, GRACE_MS = 200, BOUND_MS = 5000 };
	struct rig *rig = rig_new();
	static struct raw raw;

	rig_apply(rig);
	rig_login(rig, &raw, 1, "");
	for (unsigned i = 0; i < READS; i++) /* more than both sockets hold */
		(void)raw_read(&raw, 0, BLOCKS, RIG_BLOCK);
	uint64_t began_ms = clock_monotonic_ms();
	rig_stop_start(rig, GRACE_MS);
	while (!atomic_load(&rig->stopped)) {
		ASSERT_TRUE(clock_monotonic_ms() - began_ms < BOUND_MS);
		sched_yield();
	}
	raw_close(&raw);
	rig_free(rig);
}
