/* Commands that wait while ownership changes, and those whose fate nobody knows. */
#include "fixture.h"

#include "scsi/lun_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct command a, b, c;
static uint8_t out[4096];

static uint32_t held(const struct rig *rig)
{
	struct lun_counters counters;
	lun_get_counters(rig->lun, &counters);
	return counters.held;
}

/* Each command while the backend is fenced: nobody waits for it, nothing is said. */
static void lose(struct rig *rig, struct command *command, const uint8_t *cdb, int64_t expected)
{
	for (size_t op = 0; op < IO_OP_COUNT; op++)
		rig->fake->fail[op] = -ESHUTDOWN;
	command_run(rig, command, 0, cdb, 16, expected, out);
	ASSERT_EQ(command->done, 0);
	ASSERT_EQ(held(rig), 1);
	rig_leave(rig, LUN_HELD);
	memset(rig->fake->fail, 0, sizeof rig->fake->fail);
	ASSERT_EQ(command->done, 0);
}

/* The first case: so much of it is in the log once in a while only. */
TEST(people_are_told_of_an_unknown_fate_if_it_matters)
{
	static const struct {
		const char *name;
		uint8_t cdb[16];
		int64_t expected;
		bool told;
	} rows[] = {
		{ "READ(10)", { 0x28, [8] = 1 }, 512, false },
		{ "VERIFY(10)", { 0x2f, [8] = 1 }, 0, false },
		{ "WRITE(10)", { 0x2a, [8] = 1 }, -512, true },
	};
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	char path[256];
	(void)snprintf(path, sizeof path, "%s/stderr", test_folder());
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char text[1024] = { 0 };
		int saved = dup(STDERR_FILENO);
		AUTO_CLOSE int captured = open(path, O_CREAT | O_RDWR | O_TRUNC, 0600);
		ASSERT_TRUE(saved >= 0 && captured >= 0 && dup2(captured, STDERR_FILENO) >= 0);
		lose(rig, &a, rows[i].cdb, rows[i].expected);
		(void)dup2(saved, STDERR_FILENO);
		close(saved);
		TEST_ROW("%s", rows[i].name);
		ASSERT_TRUE(pread(captured, text, sizeof text - 1, 0) >= 0);
		ASSERT_EQ(strstr(text, "may have been executed") != NULL, rows[i].told);
		rig_serve(rig, i + 2);
	}
}

TEST(a_held_command_runs_when_the_lun_is_served)
{
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	memset(out, 0x5a, sizeof out);
	rig_leave(rig, LUN_HELD);
	write_start(&a, rig->nexuses[0], 3, 1, 512, out);
	ASSERT_EQ(a.begun, SCSI_BEGIN_NEEDS_DATA);
	read_start(&b, rig->nexuses[1], 3, 1, 512);
	command_fill(&c, rig->nexuses[0], CDB(0, 0, 0, 0, 0, 0), 0);
	command_start(&c, NULL);
	rig_turn(rig);
	ASSERT_EQ(a.done + b.done + c.done, 0);
	ASSERT_EQ(held(rig), 3);
	lun_set_state(rig->lun, LUN_HELD); /* nothing new */
	rig_turn(rig);
	ASSERT_EQ(held(rig), 3);
	rig_serve(rig, 2);
	assert_good(&a);
	assert_good(&b);
	assert_good(&c);
	ASSERT_EQ(held(rig), 0);
	ASSERT_MEM_EQ(rig->fake->memory + 3 * 512, out, 512);
}

/* [H35] As after a pause of the process: its initiator may have repeated it on another path. */
TEST(a_command_that_was_held_for_too_long_runs_nowhere)
{
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	for (unsigned forwards = 0; forwards < 2; forwards++) {
		TEST_ROW("%s", forwards ? "forwarded" : "served");
		rig_leave(rig, LUN_HELD);
		write_start(&a, rig->nexuses[0], 3, 1, 512, out);
		rig_advance(rig, 3500);
		ASSERT_EQ(a.done, 0);
		if (forwards)
			rig_forward(rig, 8, 6);
		else
			rig_serve(rig, 2);
		assert_status(&a, SCSI_BUSY);
		ASSERT_EQ(held(rig), 0);
	}
	ASSERT_EQ(rig->fake->count[IO_WRITE], 0);
	ASSERT_EQ(rig->relay.begun, 0);
}

TEST(commands_about_identity_are_not_held)
{
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	static const enum lun_state states[] = { LUN_HELD, LUN_BUSY, LUN_FORWARDED };
	for (size_t i = 0; i < ARRAY_LEN(states); i++) {
		TEST_ROW("state %d", states[i]);
		rig_leave(rig, LUN_HELD);
		if (states[i] == LUN_FORWARDED)
			rig_forward(rig, 1, 1);
		else
			lun_set_state(rig->lun, states[i]);
		RUN(rig, &a, CDB(0x12, 0, 0, 0, 36, 0), 36, NULL);
		assert_good(&a);
		RUN(rig, &a, CDB(0x12, 1, 0x83, 0, 255, 0), 255, NULL);
		assert_good(&a);
		RUN(rig, &a, CDB(0xa0, 0, 0, 0, 0, 0, 0, 0, 0, 64, 0, 0), 64, NULL);
		assert_good(&a);
		RUN(rig, &a, CDB(0xa3, 0x0a, 0, 0, 0, 0, 0, 0, 0, 255, 0, 0), 255, NULL);
		assert_good(&a);
		RUN(rig, &a, CDB(0x03, 0, 0, 0, 18, 0), 18, NULL);
		assert_good(&a);
		ASSERT_EQ(rig->relay.begun, 0);
		rig_serve(rig, i + 2);
	}
}

TEST(a_pending_unit_attention_is_told_before_anything_is_held)
{
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	struct port_group groups[] = { { 1, ALUA_OPTIMIZED }, { 2, ALUA_NON_OPTIMIZED } };
	ASSERT_EQ(lun_set_port_groups(rig->lun, groups, 2), 0);
	rig_leave(rig, LUN_HELD);
	groups[0].state = ALUA_TRANSITIONING;
	ASSERT_EQ(lun_set_port_groups(rig->lun, groups, 2), 0);
	RUN(rig, &a, CDB(0, 0, 0, 0, 0, 0), 0, NULL);
	assert_sense(&a, 0x062a06);
}

TEST(what_was_not_checked_is_checked_when_it_is_served)
{
	static const struct {
		uint8_t cdb[16];
		int64_t expected;
		uint32_t sense;
	} rows[] = {
		{ { 0x28, 0, 0, 0, 0, 100, 0, 0, 1 }, 512, 0x052100 },
		{ { 0x2a, 0, 0, 0, 0, 100, 0, 0, 1 }, -512, 0x052100 },
		{ { 0x89, 0, [9] = 99, [13] = 1 }, -512, 0x050e03 },
		{ { 0x41, 0, [5] = 1, [8] = 0 }, -512, 0x052400 },
		{ { 0x15, 0x10, 0, 0, 12 }, -4, 0x051a00 },
		{ { 0x28, 0xe0, 0, 0, 0, 1, 0, 0, 1 }, 512, 0x052400 },
	};
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		TEST_ROW("opcode %02x, row %zu", rows[i].cdb[0], i);
		rig_leave(rig, LUN_HELD);
		command_run(rig, &a, 0, rows[i].cdb, 16, rows[i].expected, out);
		ASSERT_EQ(a.done, 0);
		rig_serve(rig, i + 2);
		assert_sense(&a, rows[i].sense);
	}
	rig_leave(rig, LUN_HELD);
	RUN(rig, &a, CDB(0x2a, 0, 0, 0, 0, 1, 0, 0, 1, 0), -512, out);
	struct lun_config config = { .block_size = 512, .max_sectors = 1024, .read_only = true };
	ASSERT_EQ(lun_change(rig->lun, &config), 0);
	rig_serve(rig, 99);
	assert_sense(&a, 0x072700);
}

TEST(held_commands_meet_the_state_that_comes)
{
	static const struct {
		enum lun_state state;
		uint32_t sense; /* below 0x100: a status */
	} rows[] = {
		{ LUN_BUSY, SCSI_BUSY },     { LUN_TRANSITIONING, 0x02040a },
		{ LUN_FAILED, 0x02040c },    { LUN_STANDBY, 0x02040b },
		{ LUN_OPERATION, 0x020407 },
	};
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		TEST_ROW("state %d", rows[i].state);
		rig_leave(rig, LUN_HELD);
		write_start(&a, rig->nexuses[0], 3, 1, 512, out);
		read_start(&b, rig->nexuses[1], 3, 1, 512);
		lun_set_state(rig->lun, rows[i].state);
		rig_turn(rig);
		write_start(&c, rig->nexuses[0], 3, 1, 512, out); /* and those that come now */
		rig_turn(rig);
		struct command *commands[] = { &a, &b, &c };
		for (size_t j = 0; j < 3; j++) {
			if (rows[i].sense < 0x100)
				assert_status(commands[j], rows[i].sense);
			else
				assert_sense(commands[j], rows[i].sense);
		}
		rig_serve(rig, i + 2);
	}
	ASSERT_EQ(rig->fake->count[IO_WRITE], 0);
}

TEST(quiescing_to_held_drains_the_backend_and_holds_the_rest)
{
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	bool quiesced = false;
	rig->fake->hold = true;
	command_fill(&a, rig->nexuses[0], CDB(0x89, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0),
	             -1024);
	memset(out, 0, sizeof out);
	command_start(&a, out);                           /* its read is in the backend */
	write_start(&b, rig->nexuses[1], 0, 1, 512, out); /* waits for its range */
	command_fill(&c, rig->nexuses[0], CDB(0x2a, 0, 0, 0, 0, 5, 0, 0, 1, 0), -512);
	c.task.attribute = SCSI_ORDERED; /* waits for a */
	command_start(&c, out);
	lun_quiesce(rig->lun, LUN_HELD, set_flag, &quiesced);
	rig_turn(rig);
	ASSERT_FALSE(quiesced);
	fake_complete(rig->fake, 0); /* a's read, then its write */
	rig_turn(rig);
	fake_complete(rig->fake, 0);
	rig_turn(rig);
	assert_good(&a);
	ASSERT_TRUE(quiesced);
	ASSERT_EQ(rig->fake->held_count, 0);
	ASSERT_EQ(b.done + c.done, 0);
	rig->fake->hold = false;
	rig_serve(rig, 2);
	assert_good(&b);
	assert_good(&c);
	ASSERT_EQ(rig->fake->count[IO_WRITE], 3);
}

TEST(a_held_command_is_aborted_at_once)
{
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	rig_leave(rig, LUN_HELD);
	write_start(&a, rig->nexuses[0], 3, 1, 512, out);
	rig_turn(rig);
	rig_stop(rig, rig->nexuses[0]);
	rig->nexuses[0] = NULL;
	ASSERT_EQ(a.done, 1);
	ASSERT_TRUE(a.task.aborted);
	ASSERT_EQ(held(rig), 0);
	rig_serve(rig, 2);
	ASSERT_EQ(rig->fake->count[IO_WRITE], 0);
}

/* ---- unknown fate ---- */

TEST(what_the_lost_backend_had_is_settled_when_the_lun_is_served_again)
{
	static const struct {
		uint8_t cdb[16];
		int64_t expected;
		bool runs_again;
	} rows[] = {
		{ { 0x28, [8] = 1 }, 512, true },
		{ { 0x88, [13] = 2 }, 1024, true },
		{ { 0x2f, [8] = 1 }, 0, true },
		{ { 0x2f, 2, [8] = 1 }, -512, true },
		{ { 0x35 }, 0, true },
		{ { 0x2a, [8] = 1 }, -512, false },
		{ { 0x2e, 2, [8] = 1 }, -512, false },
		{ { 0x89, [13] = 1 }, -1024, false },
		{ { 0x8b, [13] = 1 }, -512, false },
		{ { 0x41, [8] = 1 }, -512, false },
		{ { 0x93, 1, [13] = 1 }, 0, false },
	};
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	memset(out, 0, sizeof out);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		for (unsigned forwarded = 0; forwarded < 2; forwarded++) {
			TEST_ROW("row %zu, opcode %02x", i, rows[i].cdb[0]);
			lose(rig, &a, rows[i].cdb, rows[i].expected);
			lun_set_state(rig->lun, LUN_BUSY);
			rig_turn(rig);
			ASSERT_EQ(a.done, 0);
			lun_set_state(rig->lun, LUN_TRANSITIONING);
			rig_turn(rig);
			ASSERT_EQ(a.done, 0);
			uint64_t epoch = 10 * (2 * i + forwarded + 1);
			if (forwarded) {
				rig_forward(rig, 1, lun_get_epoch(rig->lun)); /* not later */
				ASSERT_EQ(a.done + rig->relay.task_count, 0);
				rig_forward(rig, 1, epoch);
				ASSERT_EQ(rig->relay.task_count, rows[i].runs_again);
				if (rows[i].runs_again)
					fake_relay_answer(&rig->relay, 0, SCSI_GOOD, 7);
				lun_set_state(rig->lun, LUN_HELD);
			}
			rig_serve(rig, epoch + 1);
			if (rows[i].runs_again)
				assert_good(&a);
			else
				assert_sense(&a, 0x0b0800);
			ASSERT_EQ(held(rig), 0);
		}
	}
}

TEST(a_lock_that_was_taken_away_is_the_same)
{
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	rig->fake->fail[IO_WRITE] = -EROFS;
	write_start(&a, rig->nexuses[0], 3, 1, 512, out);
	rig_turn(rig);
	ASSERT_EQ(a.done, 0);
	rig_leave(rig, LUN_HELD);
	rig->fake->fail[IO_WRITE] = 0;
	rig_serve(rig, 2);
	assert_sense(&a, 0x0b0800);
}

TEST(an_unknown_write_goes_with_its_nexus)
{
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	rig->fake->hold = true;
	rig->fake->fail[IO_WRITE] = -ESHUTDOWN;
	write_start(&a, rig->nexuses[0], 3, 1, 512, out);
	write_start(&b, rig->nexuses[0], 4, 1, 512, out);
	fake_complete(rig->fake, 0);
	rig_turn(rig);
	ASSERT_EQ(held(rig), 1);
	rig->ended = false;
	struct nexus *nexus = rig->nexuses[0];
	rig->nexuses[0] = NULL;
	nexus_stop(nexus, set_flag, &rig->ended);
	rig_turn(rig);
	ASSERT_EQ(a.done, 1);
	ASSERT_TRUE(a.task.aborted);
	ASSERT_FALSE(rig->ended); /* b is in the backend */
	fake_complete(rig->fake, 0);
	rig_turn(rig);
	ASSERT_TRUE(b.task.aborted);
	ASSERT_TRUE(rig->ended);
	nexus_free(nexus);
}

/* PERSISTENT RESERVE OUT of a nexus. */
static void persistent(struct rig *rig, unsigned nexus, uint8_t action, uint64_t key,
                       uint64_t action_key)
{
	uint8_t list[24] = { 0 };
	put_be64(list, key);
	put_be64(list + 8, action_key);
	command_run(rig, &c, nexus, CDB(0x5f, action, action ? 5 : 0, 0, 0, 0, 0, 0, 24, 0), -24,
	            list);
}

TEST(a_change_of_ownership_does_not_wait_for_preempt_and_abort)
{
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	for (unsigned i = 0; i < 2; i++) {
		persistent(rig, i, 0, 0, 0xa + i);
		assert_good(&c);
	}
	rig->fake->fail[IO_WRITE] = -ESHUTDOWN;
	write_start(&a, rig->nexuses[1], 3, 1, 512, out);
	rig_turn(rig);
	persistent(rig, 0, 5, 0xa, 0xb);
	ASSERT_EQ(a.done + c.done, 0); /* the victim's write may still land */
	rig_leave(rig, LUN_HELD);
	ASSERT_EQ(a.done + c.done, 0);
	rig->fake->fail[IO_WRITE] = 0;
	rig_serve(rig, 2);
	assert_good(&c);
	assert_status(&a, SCSI_TASK_ABORTED);
}

/* ---- on demand ---- */

static unsigned demands;

static void count_demand(void *argument)
{
	demands++;
}

static struct rig *rig_on_demand(void)
{
	struct rig *rig = rig_new(512, 100);
	rig->lun->wanted = count_demand;
	demands = 0;
	rig_leave(rig, LUN_ON_DEMAND);
	return rig;
}

TEST(looking_at_a_path_asks_for_nothing)
{
	static const struct {
		uint8_t cdb[16];
		uint32_t expected;
	} rows[] = {
		{ { 0x00 }, 0 },                          /* TEST UNIT READY */
		{ { 0x12, [4] = 36 }, 36 },               /* INQUIRY */
		{ { 0x1a, [2] = 0x3f, [4] = 255 }, 255 }, /* MODE SENSE */
		{ { 0x1b, [4] = 1 }, 0 },                 /* START */
		{ { 0x25 }, 8 },                          /* READ CAPACITY(10) */
		{ { 0x9e, 0x10, [13] = 32 }, 32 },        /* READ CAPACITY(16) */
		{ { 0xa0, [9] = 64 }, 64 },               /* REPORT LUNS */
		{ { 0xa3, 0x0a, [9] = 255 }, 255 },       /* REPORT TARGET PORT GROUPS */
		{ { 0xa3, 0x0c, [8] = 16 }, 4096 },       /* REPORT SUPPORTED OPERATION CODES */
		{ { 0xa3, 0x0d, [9] = 16 }, 16 },         /* ... TASK MANAGEMENT FUNCTIONS */
	};
	AUTO(rig) struct rig *rig = rig_on_demand();
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		TEST_ROW("opcode %02x", rows[i].cdb[0]);
		command_run(rig, &a, 0, rows[i].cdb, 16, rows[i].expected, NULL);
		assert_good(&a);
		ASSERT_EQ(held(rig), 0);
	}
	ASSERT_EQ(demands, 0);
}

TEST(what_needs_the_lun_waits_and_asks_for_it)
{
	static const struct {
		uint8_t cdb[16];
		int64_t expected;
	} rows[] = {
		{ { 0x28, [8] = 1 }, 512 },
		{ { 0x2a, [8] = 1 }, -512 },
		{ { 0x35 }, 0 },
		{ { 0x5e, [8] = 8 }, 8 },
		{ { 0x16 }, 0 },
	};
	AUTO(rig) struct rig *rig = rig_on_demand();
	memset(out, 0, sizeof out);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		TEST_ROW("opcode %02x", rows[i].cdb[0]);
		demands = 0;
		command_run(rig, &a, 0, rows[i].cdb, 16, rows[i].expected, out);
		ASSERT_EQ(a.done, 0);
		ASSERT_EQ(held(rig), 1);
		ASSERT_TRUE(demands > 0);
		rig_serve(rig, i + 2);
		ASSERT_EQ(a.done, 1);
		ASSERT_EQ(a.task.status, SCSI_GOOD);
		rig_leave(rig, LUN_ON_DEMAND);
	}
	/* One that waits already asks when that state comes. */
	lun_set_state(rig->lun, LUN_HELD);
	read_start(&a, rig->nexuses[0], 3, 1, 512);
	rig_turn(rig);
	demands = 0;
	lun_set_state(rig->lun, LUN_ON_DEMAND);
	rig_turn(rig);
	ASSERT_TRUE(demands > 0);
	rig_serve(rig, 20);
	assert_good(&a);
}

TEST(what_our_own_lost_backend_had_is_settled_and_asks_for_nothing)
{
	static const uint8_t read[16] = { 0x28, [8] = 1 }, write[16] = { 0x2a, [8] = 1 };
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	rig->lun->wanted = count_demand;
	demands = 0;
	memset(out, 0, sizeof out);
	lose(rig, &a, write, -512);
	lun_set_state(rig->lun, LUN_ON_DEMAND);
	rig_turn(rig);
	assert_sense(&a, 0x0b0800);
	rig_serve(rig, 2);
	lose(rig, &a, read, 512);
	lun_set_state(rig->lun, LUN_ON_DEMAND);
	rig_turn(rig);
	ASSERT_EQ(a.done, 1);
	ASSERT_EQ(a.task.status, SCSI_BUSY);
	ASSERT_EQ(demands, 0);
}

TEST(what_a_peer_had_is_not_settled_before_the_lun_is_taken)
{
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	rig->lun->wanted = count_demand;
	demands = 0;
	memset(out, 0, sizeof out);
	rig_leave(rig, LUN_HELD);
	rig_forward(rig, 1, 7);
	write_start(&a, rig->nexuses[0], 3, 1, 512, out);
	rig_turn(rig);
	ASSERT_EQ(rig->relay.task_count, 1);
	fake_relay_return(&rig->relay, 0, RELAY_UNKNOWN);
	lun_set_state(rig->lun, LUN_ON_DEMAND);
	rig_turn(rig);
	ASSERT_EQ(a.done, 0);
	ASSERT_TRUE(demands > 0);
	rig_serve(rig, 8);
	assert_sense(&a, 0x0b0800);
}
