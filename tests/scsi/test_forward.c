/* Commands of a LUN that another gateway owns: to the relay and back. */
#include "fixture.h"

#include "scsi/sense.h"

#include <errno.h>
#include <string.h>

static struct command a, b, c;
static uint8_t out[4096];

static struct rig *forwarding_rig(uint64_t epoch)
{
	struct rig *rig = rig_new(512, 100);
	rig_leave(rig, LUN_HELD);
	rig_forward(rig, 7, epoch);
	return rig;
}

TEST(a_command_goes_to_the_owner_whole_and_its_answer_comes_back)
{
	AUTO(rig) struct rig *rig = forwarding_rig(5);
	memset(out, 0x77, sizeof out);
	write_start(&a, rig->nexuses[0], 3, 2, 512, out);
	read_start(&b, rig->nexuses[1], 3, 1, 512);
	rig_turn(rig);
	ASSERT_EQ(rig->relay.task_count, 2);
	ASSERT_EQ(rig->relay.route.peer, 7);
	ASSERT_EQ(rig->relay.route.epoch, 5);
	ASSERT_EQ(a.task.data_out_len, 1024);
	ASSERT_MEM_EQ(a.task.data->data, out, 1024);
	ASSERT_EQ(a.done + b.done, 0);
	struct lun_counters counters;
	lun_get_counters(rig->lun, &counters);
	ASSERT_EQ(counters.relayed, 2);
	fake_relay_answer(&rig->relay, 1, SCSI_GOOD, 0x33);
	assert_good(&b);
	ASSERT_EQ(b.task.data_in_len, 512);
	ASSERT_EQ(b.in[511], 0x33);
	fake_relay_answer(&rig->relay, 0, SCSI_RESERVATION_CONFLICT, 0);
	assert_status(&a, SCSI_RESERVATION_CONFLICT);
	ASSERT_EQ(rig->fake->count[IO_WRITE] + rig->fake->count[IO_READ], 0);
	lun_get_counters(rig->lun, &counters);
	ASSERT_EQ(counters.forwarded, 2);
	ASSERT_EQ(counters.relayed, 0);
}

TEST(the_owner_checks_what_needs_the_medium)
{
	static const struct {
		uint8_t cdb[16];
		int64_t expected;
		uint32_t data_out_len;
	} rows[] = {
		{ { 0x28, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 1 }, 512, 0 },
		{ { 0x2a, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 1 }, -512, 512 },
		{ { 0x2a, [8] = 2 }, -512, 512 },
		{ { 0x2a, [8] = 1 }, -1024, 512 },
		{ { 0x89, [13] = 1 }, -1024, 1024 },
		{ { 0x42, [8] = 24 }, -24, 24 },
		{ { 0x5f, 0, [8] = 24 }, -24, 24 },
		{ { 0x1a, 0, 0x3f, 0, 255 }, 255, 0 },
		{ { 0x25 }, 8, 0 },
		{ { 0x00 }, 0, 0 },
		{ { 0x41, [8] = 9 }, -512, 512 },
		{ { 0x0a, 0, 0, 0, 0 }, -4096, 4096 },
	};
	AUTO(rig) struct rig *rig = forwarding_rig(5);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		TEST_ROW("opcode %02x", rows[i].cdb[0]);
		command_run(rig, &a, 0, rows[i].cdb, 16, rows[i].expected, NULL);
		ASSERT_EQ(rig->relay.task_count, 1);
		ASSERT_EQ(a.task.data_out_len, rows[i].data_out_len);
		fake_relay_answer(&rig->relay, 0, SCSI_BUSY, 0);
		assert_status(&a, SCSI_BUSY);
	}
	/* No more than a command may bring is ever collected. */
	RUN(rig, &a, CDB(0x8a, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0), -(64 << 20), NULL);
	assert_sense(&a, 0x052400);
	RUN(rig, &a, CDB(0xff, 0, 0, 0, 0, 0), 0, NULL);
	assert_sense(&a, 0x052000);
}

TEST(not_executed_waits_until_the_state_or_the_route_changes)
{
	AUTO(rig) struct rig *rig = forwarding_rig(5);
	write_start(&a, rig->nexuses[0], 3, 1, 512, out);
	rig_turn(rig);
	fake_relay_return(&rig->relay, 0, RELAY_NOT_EXECUTED);
	rig_turn(rig);
	ASSERT_EQ(rig->relay.begun, 1); /* no loop */
	ASSERT_EQ(a.done, 0);
	rig_forward(rig, 8, 6);
	ASSERT_EQ(rig->relay.begun, 2);
	ASSERT_EQ(rig->relay.route.epoch, 6);
	lun_set_state(rig->lun, LUN_HELD); /* before the owner says that it did not */
	rig_serve(rig, 7);
	ASSERT_EQ(a.done, 0);
	fake_relay_return(&rig->relay, 0, RELAY_NOT_EXECUTED);
	rig_turn(rig);
	assert_good(&a);
	ASSERT_EQ(rig->fake->count[IO_WRITE], 1);
}

/* Its initiator may have repeated it on another path by then. */
TEST(what_no_owner_executes_does_not_wait_for_ever)
{
	AUTO(rig) struct rig *rig = forwarding_rig(5);
	write_start(&a, rig->nexuses[0], 3, 1, 512, out);
	rig_turn(rig);
	a.task.state.started_ms = 0;
	fake_relay_return(&rig->relay, 0, RELAY_NOT_EXECUTED);
	rig_turn(rig);
	assert_status(&a, SCSI_BUSY);
	write_start(&a, rig->nexuses[0], 3, 1, 512, out);
	rig_turn(rig);
	fake_relay_return(&rig->relay, 0, RELAY_NOT_EXECUTED);
	rig_turn(rig);
	ASSERT_EQ(a.done, 0);
	a.task.state.started_ms = 0;
	lun_set_state(rig->lun, LUN_HELD);
	rig_turn(rig);
	assert_status(&a, SCSI_BUSY);
}

TEST(what_a_fenced_owner_had_is_never_repeated_if_it_changes_something)
{
	static const struct {
		uint8_t cdb[16];
		int64_t expected;
		bool runs_again;
	} rows[] = {
		{ { 0x28, [8] = 1 }, 512, true },
		{ { 0x00 }, 0, true },
		{ { 0x5e, 0, [8] = 8 }, 8, true },
		{ { 0x1a, 0, 0x3f, 0, 255 }, 255, true },
		{ { 0x2a, [8] = 1 }, -512, false },
		{ { 0x89, [13] = 1 }, -1024, false },
		{ { 0x42, [8] = 24 }, -24, false },
		{ { 0x5f, 0, [8] = 24 }, -24, false },
		{ { 0x15, 0x10, 0, 0, 4 }, -4, false },
		{ { 0x16 }, 0, false },
		{ { 0x17 }, 0, false },
		{ { 0x1b, 0, 0, 0, 1 }, 0, false },
	};
	AUTO(rig) struct rig *rig = forwarding_rig(5);
	uint64_t epoch = 5;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		TEST_ROW("opcode %02x", rows[i].cdb[0]);
		command_run(rig, &a, 0, rows[i].cdb, 16, rows[i].expected, NULL);
		fake_relay_return(&rig->relay, 0, RELAY_UNKNOWN);
		rig_turn(rig);
		rig_forward(rig, 7, epoch); /* the same one */
		lun_set_state(rig->lun, LUN_BUSY);
		rig_turn(rig);
		lun_set_state(rig->lun, LUN_FAILED);
		rig_turn(rig);
		ASSERT_EQ(a.done, 0);
		rig_forward(rig, 8, ++epoch);
		ASSERT_EQ(rig->relay.task_count, rows[i].runs_again);
		if (rows[i].runs_again) {
			fake_relay_answer(&rig->relay, 0, SCSI_GOOD, 1);
			assert_good(&a);
		} else {
			assert_sense(&a, 0x0b0800);
		}
	}
}

TEST(an_unknown_command_of_a_fenced_owner_is_settled_here_after_taking_over)
{
	AUTO(rig) struct rig *rig = forwarding_rig(5);
	write_start(&a, rig->nexuses[0], 3, 1, 512, out);
	read_start(&b, rig->nexuses[1], 3, 1, 512);
	rig_turn(rig);
	lun_set_state(rig->lun, LUN_HELD);
	fake_relay_return(&rig->relay, 0, RELAY_UNKNOWN);
	rig_turn(rig);
	rig_serve(rig, 6);
	assert_sense(&a, 0x0b0800);
	ASSERT_EQ(b.done, 0);
	fake_relay_return(&rig->relay, 0, RELAY_UNKNOWN); /* the relay is late */
	rig_turn(rig);
	assert_good(&b);
	ASSERT_EQ(rig->fake->count[IO_WRITE], 0);
}

TEST(an_aborted_command_is_cancelled_at_the_owner_and_waited_for)
{
	static const struct {
		enum relay_outcome outcome;
		bool waits;
	} rows[] = {
		{ RELAY_ABORTED, false },
		{ RELAY_ANSWERED, false },
		{ RELAY_NOT_EXECUTED, false },
		{ RELAY_UNKNOWN, true },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		TEST_ROW("outcome %d", rows[i].outcome);
		AUTO(rig) struct rig *rig = forwarding_rig(5);
		write_start(&a, rig->nexuses[0], 3, 1, 512, out);
		write_start(&b, rig->nexuses[0], 4, 1, 512, out);
		rig_turn(rig);
		struct command_management request;
		manage(&request, rig->nexuses[0], TMF_ABORT_TASK, &a.task);
		rig_turn(rig);
		ASSERT_EQ(rig->relay.cancelled, 1);
		ASSERT_TRUE(rig->relay.cancelled_task == &a.task);
		ASSERT_EQ(request.done, 0);
		fake_relay_return(&rig->relay, 0, rows[i].outcome);
		rig_turn(rig);
		ASSERT_EQ(request.done, !rows[i].waits);
		rig_forward(rig, 8, 6);
		ASSERT_EQ(request.done, 1);
		ASSERT_EQ(request.tmf.response, TMF_COMPLETE);
		ASSERT_EQ(a.done, 1);
		ASSERT_TRUE(a.task.aborted);
		ASSERT_EQ(b.done, 0);
		fake_relay_answer(&rig->relay, 0, SCSI_GOOD, 0);
		assert_good(&b);
	}
}

TEST(a_nexus_that_ends_waits_for_its_commands_at_the_owner)
{
	AUTO(rig) struct rig *rig = forwarding_rig(5);
	write_start(&a, rig->nexuses[0], 3, 1, 512, out);
	rig_turn(rig);
	uint64_t serial = nexus_serial(rig->nexuses[0]);
	rig->ended = false;
	nexus_stop(rig->nexuses[0], set_flag, &rig->ended);
	rig_turn(rig);
	ASSERT_EQ(rig->relay.cancelled, 1);
	ASSERT_FALSE(rig->ended);
	ASSERT_EQ(rig->relay.ended, 0);
	fake_relay_return(&rig->relay, 0, RELAY_UNKNOWN); /* nobody is left to be told */
	rig_turn(rig);
	ASSERT_TRUE(rig->ended);
	ASSERT_EQ(rig->relay.ended, serial);
	ASSERT_TRUE(a.task.aborted);
	nexus_free(rig->nexuses[0]);
	rig->nexuses[0] = NULL;
}

TEST(a_row_that_goes_waits_for_its_commands_at_the_owner)
{
	AUTO(rig) struct rig *rig = forwarding_rig(5);
	write_start(&a, rig->nexuses[0], 3, 1, 512, out);
	rig_turn(rig);
	bool changed = false;
	ASSERT_EQ(nexus_change_map(rig->nexuses[0], NULL, 0, set_flag, &changed), 0);
	rig_turn(rig);
	ASSERT_EQ(rig->relay.cancelled, 1);
	ASSERT_FALSE(changed);
	fake_relay_return(&rig->relay, 0, RELAY_ABORTED);
	rig_turn(rig);
	ASSERT_TRUE(changed);
	ASSERT_TRUE(a.task.aborted);
}

TEST(an_owner_that_aborts_on_its_own_says_it_in_the_status)
{
	AUTO(rig) struct rig *rig = forwarding_rig(5);
	write_start(&a, rig->nexuses[0], 3, 1, 512, out);
	rig_turn(rig);
	fake_relay_answer(&rig->relay, 0, SCSI_TASK_ABORTED, 0);
	assert_status(&a, SCSI_TASK_ABORTED);
}

/* A reset of its own nexus, perhaps, that came to the owner behind it: here it is none that was
 * taken off, so its initiator waits for it. */
TEST(what_only_the_owner_has_taken_off_is_answered)
{
	AUTO(rig) struct rig *rig = forwarding_rig(5);
	write_start(&a, rig->nexuses[0], 3, 1, 512, out);
	rig_turn(rig);
	fake_relay_return(&rig->relay, 0, RELAY_ABORTED);
	rig_turn(rig);
	ASSERT_FALSE(a.task.aborted);
	assert_status(&a, SCSI_TASK_ABORTED);
}

TEST(ordered_commands_wait_for_those_at_the_owner)
{
	AUTO(rig) struct rig *rig = forwarding_rig(5);
	write_start(&a, rig->nexuses[0], 3, 1, 512, out);
	command_fill(&b, rig->nexuses[0], CDB(0x2a, 0, 0, 0, 0, 5, 0, 0, 1, 0), -512);
	b.task.attribute = SCSI_ORDERED;
	command_start(&b, out);
	write_start(&c, rig->nexuses[0], 3, 1, 512, out);
	rig_turn(rig);
	ASSERT_EQ(rig->relay.begun, 1);
	fake_relay_answer(&rig->relay, 0, SCSI_GOOD, 0);
	rig_turn(rig);
	ASSERT_EQ(rig->relay.begun, 2);
	fake_relay_answer(&rig->relay, 0, SCSI_GOOD, 0);
	rig_turn(rig);
	ASSERT_EQ(rig->relay.begun, 3);
	fake_relay_answer(&rig->relay, 0, SCSI_GOOD, 0);
	assert_good(&c);
}

TEST(who_saw_the_lun_opening_is_told_when_the_owner_is_found)
{
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	rig_leave(rig, LUN_OPENING);
	RUN(rig, &a, CDB(0, 0, 0, 0, 0, 0), 0, NULL);
	assert_sense(&a, 0x020401);
	rig_forward(rig, 7, 5);
	RUN(rig, &a, CDB(0, 0, 0, 0, 0, 0), 0, NULL);
	assert_sense(&a, 0x062a09);
	RUN(rig, &a, CDB(0, 0, 0, 0, 0, 0), 0, NULL);
	ASSERT_EQ(rig->relay.task_count, 1);
	fake_relay_answer(&rig->relay, 0, SCSI_GOOD, 0);
	assert_good(&a);
}

/* TEST UNIT READY reaches the owner, so nothing is pending here; it answers GOOD, or with that
 * sense. */
static void ask_owner_answered(struct rig *rig, unsigned nexus, uint32_t sense)
{
	command_run(rig, &a, nexus, CDB(0, 0, 0, 0, 0, 0), 0, NULL);
	ASSERT_EQ(rig->relay.task_count, 1);
	if (sense)
		a.task.sense_len = (uint8_t)sense_put(a.task.sense, sense, nexus % 2, NULL);
	fake_relay_answer(&rig->relay, 0, sense ? SCSI_CHECK_CONDITION : SCSI_GOOD, 0);
	if (sense)
		assert_sense(&a, sense);
	else
		assert_good(&a);
}

static void ask_owner(struct rig *rig, unsigned nexus)
{
	ask_owner_answered(rig, nexus, 0);
}

static void expect_new_size(struct rig *rig, unsigned nexus)
{
	command_run(rig, &b, nexus, CDB(0, 0, 0, 0, 0, 0), 0, NULL);
	assert_sense(&b, SENSE_CAPACITY_CHANGED);
}

static void see_size(struct rig *rig, uint64_t blocks)
{
	struct backend_info info = { .size_bytes = blocks * 512 };
	lun_describe(rig->lun, &info);
}

TEST(a_new_size_that_its_owner_cannot_tell_is_told_here)
{
	AUTO(rig) struct rig *rig = forwarding_rig(5);
	ask_owner(rig, 0);
	see_size(rig, 120);
	expect_new_size(rig, 1); /* the owner does not know of it */
	ask_owner(rig, 1);
	ask_owner(rig, 0);
	rig_forward(rig, 7, 5); /* the same owner */
	ask_owner(rig, 0);
	lun_set_state(rig->lun, LUN_HELD);
	rig_forward(rig, 8, 6); /* that one is gone before it has told it */
	expect_new_size(rig, 0);
	ask_owner(rig, 0);
	ask_owner(rig, 1);
	/* Seen between two owners, and then this gateway is the next. */
	lun_set_state(rig->lun, LUN_HELD);
	see_size(rig, 100);
	rig_serve(rig, 7);
	expect_new_size(rig, 0);
	expect_new_size(rig, 1);
	RUN(rig, &a, CDB(0, 0, 0, 0, 0, 0), 0, NULL);
	assert_good(&a);
}

TEST(a_new_size_that_its_owner_has_told_is_not_told_again)
{
	AUTO(rig) struct rig *rig = forwarding_rig(5);
	ask_owner(rig, 0);
	ask_owner(rig, 1);
	see_size(rig, 120);
	ask_owner_answered(rig, 0, SENSE_CAPACITY_CHANGED);
	ask_owner_answered(rig, 1, SENSE_CAPACITY_CHANGED);
	/* The next one is seen here after the owner has told it. */
	ask_owner_answered(rig, 0, SENSE_CAPACITY_CHANGED);
	ask_owner_answered(rig, 1, SENSE_CAPACITY_CHANGED);
	see_size(rig, 140);
	rig_forward(rig, 8, 6);
	ask_owner(rig, 0);
	ask_owner(rig, 1);
}

/* The owner has told it, and will not again: the next command here does. */
TEST(a_unit_attention_that_an_aborted_command_brought_is_not_lost)
{
	static const uint32_t codes[] = { 0x062a05, 0x062a09, 0x062903 };
	for (size_t i = 0; i < 2 * ARRAY_LEN(codes); i++) {
		uint32_t code = codes[i / 2];
		TEST_ROW("%06x, by %s", code, i % 2 ? "its own nexus" : "another");
		AUTO(rig) struct rig *rig = forwarding_rig(5);
		struct command_management request;
		write_start(&a, rig->nexuses[0], 3, 1, 512, out);
		rig_turn(rig);
		manage(&request, rig->nexuses[i % 2 ? 0 : 1], TMF_CLEAR_TASK_SET, NULL);
		rig_turn(rig);
		a.task.sense_len = (uint8_t)sense_put(a.task.sense, code, i % 2, NULL);
		fake_relay_answer(&rig->relay, 0, SCSI_CHECK_CONDITION, 0);
		fake_relay_managed(&rig->relay, 0, RELAY_ANSWERED, TMF_COMPLETE);
		rig_turn(rig);
		ASSERT_EQ(a.done, 1);
		ASSERT_EQ(request.done, 1);
		ASSERT_EQ(a.task.aborted, i % 2);
		RUN(rig, &b, CDB(0, 0, 0, 0, 0, 0), 0, NULL);
		assert_sense(&b, code);
		ask_owner(rig, 0);
		rig_forward(rig, 8, 6); /* nothing is owed */
		ask_owner(rig, 0);
	}
}

TEST(what_is_known_of_the_medium_is_told_by_inquiry_and_raises_nothing)
{
	AUTO(rig) struct rig *rig = forwarding_rig(5);
	struct backend_info info = { .size_bytes = 50 * 512, .discard_granularity = 1u << 20 };
	ask_owner(rig, 0);
	lun_describe(rig->lun, &info); /* the owner raises 2A/09 */
	RUN(rig, &a, CDB(0x12, 1, 0xb0, 0, 64, 0), 64, NULL);
	assert_good(&a);
	ASSERT_EQ(get_be32(a.in + 28), (1u << 20) / 512);
	RUN(rig, &a, CDB(0, 0, 0, 0, 0, 0), 0, NULL);
	ASSERT_EQ(rig->relay.task_count, 1);
	fake_relay_answer(&rig->relay, 0, SCSI_GOOD, 0);
	lun_set_state(rig->lun, LUN_HELD);
	rig_serve(rig, 6); /* not the size that was known */
	RUN(rig, &a, CDB(0, 0, 0, 0, 0, 0), 0, NULL);
	assert_sense(&a, 0x062a09);
}

/* ---- task management ---- */

TEST(a_reset_is_done_here_and_at_the_owner)
{
	AUTO(rig) struct rig *rig = forwarding_rig(5);
	struct command_management request;
	write_start(&a, rig->nexuses[0], 3, 1, 512, out);
	write_start(&b, rig->nexuses[1], 4, 1, 512, out);
	rig_turn(rig);
	manage(&request, rig->nexuses[0], TMF_TARGET_WARM_RESET, NULL);
	rig_turn(rig);
	ASSERT_EQ(rig->relay.cancelled, 2);
	ASSERT_EQ(rig->relay.request_count, 1);
	ASSERT_EQ(rig->relay.requests[0]->function, TMF_LUN_RESET);
	fake_relay_managed(&rig->relay, 0, RELAY_ANSWERED, TMF_COMPLETE);
	rig_turn(rig);
	ASSERT_EQ(request.done, 0);
	fake_relay_return(&rig->relay, 0, RELAY_ABORTED);
	rig_turn(rig);
	ASSERT_EQ(request.done, 0);
	fake_relay_return(&rig->relay, 0, RELAY_ABORTED);
	rig_turn(rig);
	ASSERT_EQ(request.done, 1);
	ASSERT_EQ(request.tmf.response, TMF_COMPLETE);
	ASSERT_TRUE(a.task.aborted);
	assert_status(&b, SCSI_TASK_ABORTED);
	/* The owner raises the attention. */
	RUN(rig, &c, CDB(0, 0, 0, 0, 0, 0), 0, NULL);
	ASSERT_EQ(rig->relay.task_count, 1);
	fake_relay_answer(&rig->relay, 0, SCSI_GOOD, 0);
	assert_good(&c);
}

TEST(a_reset_that_the_owner_did_not_do_is_done_by_the_next_one)
{
	AUTO(rig) struct rig *rig = forwarding_rig(5);
	struct command_management request;
	manage(&request, rig->nexuses[0], TMF_LUN_RESET, NULL);
	rig_turn(rig);
	fake_relay_managed(&rig->relay, 0, RELAY_NOT_EXECUTED, 0);
	rig_turn(rig);
	ASSERT_EQ(rig->relay.managed, 1); /* the same route: no loop */
	rig_forward(rig, 8, 6);
	ASSERT_EQ(rig->relay.managed, 2);
	write_start(&a, rig->nexuses[0], 3, 1, 512, out); /* later: not its business */
	rig_turn(rig);
	lun_set_state(rig->lun, LUN_HELD);
	fake_relay_managed(&rig->relay, 0, RELAY_UNKNOWN, 0);
	fake_relay_return(&rig->relay, 0, RELAY_NOT_EXECUTED);
	rig_turn(rig);
	ASSERT_EQ(request.done, 0);
	rig_serve(rig, 7);
	ASSERT_EQ(request.done, 1);
	ASSERT_EQ(request.tmf.response, TMF_COMPLETE);
	assert_good(&a);
	RUN(rig, &b, CDB(0, 0, 0, 0, 0, 0), 0, NULL);
	assert_sense(&b, 0x062903);
}

/* Whoever forwards the LUN sends again only what waits (target/disk_show.c). */
TEST(a_reset_that_the_owner_did_not_do_counts_as_waiting_until_it_is_done)
{
	AUTO(rig) struct rig *rig = forwarding_rig(5);
	struct command_management request;
	struct lun_counters counters;
	manage(&request, rig->nexuses[0], TMF_LUN_RESET, NULL);
	rig_turn(rig);
	for (unsigned time = 0; time < 2; time++) {
		fake_relay_managed(&rig->relay, 0, RELAY_NOT_EXECUTED, 0);
		rig_turn(rig);
		lun_get_counters(rig->lun, &counters);
		ASSERT_EQ(counters.held, 1);
		rig_forward(rig, 7, 5); /* again */
		ASSERT_EQ(rig->relay.managed, time + 2);
		lun_get_counters(rig->lun, &counters);
		ASSERT_EQ(counters.held, 0);
	}
	fake_relay_managed(&rig->relay, 0, RELAY_ANSWERED, TMF_COMPLETE);
	rig_turn(rig);
	ASSERT_EQ(request.done, 1);
	ASSERT_EQ(request.tmf.response, TMF_COMPLETE);
}

TEST(management_of_a_held_lun_does_what_is_here_at_once)
{
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	struct command_management reset, set;
	rig_leave(rig, LUN_HELD);
	write_start(&a, rig->nexuses[0], 3, 1, 512, out);
	write_start(&b, rig->nexuses[1], 4, 1, 512, out);
	manage(&set, rig->nexuses[0], TMF_ABORT_TASK_SET, NULL);
	rig_turn(rig);
	ASSERT_EQ(set.done, 1); /* all of them are here */
	ASSERT_TRUE(a.task.aborted);
	manage(&reset, rig->nexuses[0], TMF_LUN_RESET, NULL);
	rig_turn(rig);
	assert_status(&b, SCSI_TASK_ABORTED);
	ASSERT_EQ(reset.done, 0);
	lun_set_state(rig->lun, LUN_BUSY);
	rig_turn(rig);
	ASSERT_EQ(reset.done, 0);
	rig_forward(rig, 7, 5);
	ASSERT_EQ(rig->relay.request_count, 1);
	fake_relay_managed(&rig->relay, 0, RELAY_ANSWERED, TMF_COMPLETE);
	rig_turn(rig);
	ASSERT_EQ(reset.done, 1);
}

/* Whoever asked for it may have given up, and others have begun anew. */
TEST(a_reset_that_has_waited_for_too_long_is_done_nowhere)
{
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	struct command_management request;
	for (unsigned forwards = 0; forwards < 2; forwards++) {
		TEST_ROW("%s", forwards ? "forwarded" : "served");
		rig_leave(rig, LUN_HELD);
		manage(&request, rig->nexuses[0], TMF_LUN_RESET, NULL);
		rig_advance(rig, 3500);
		ASSERT_EQ(request.done, 0);
		if (forwards)
			rig_forward(rig, 8, 6);
		else
			rig_serve(rig, 2);
		rig_turn(rig);
		ASSERT_EQ(request.done, 1);
		ASSERT_EQ(request.tmf.response, TMF_REJECTED);
		ASSERT_EQ(rig->relay.managed, 0);
		if (forwards)
			continue;
		RUN(rig, &b, CDB(0, 0, 0, 0, 0, 0), 0, NULL);
		assert_good(&b); /* no unit attention */
	}
}

TEST(management_ends_with_its_nexus)
{
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	struct command_management held, relayed;
	rig_leave(rig, LUN_HELD);
	manage(&held, rig->nexuses[0], TMF_LUN_RESET, NULL);
	rig_turn(rig);
	rig_stop(rig, rig->nexuses[0]);
	ASSERT_EQ(held.done, 1);

	rig_forward(rig, 7, 5);
	manage(&relayed, rig->nexuses[1], TMF_LUN_RESET, NULL);
	rig->ended = false;
	nexus_stop(rig->nexuses[1], set_flag, &rig->ended);
	rig_turn(rig);
	ASSERT_FALSE(rig->ended);
	fake_relay_managed(&rig->relay, 0, RELAY_UNKNOWN, 0);
	rig_turn(rig);
	ASSERT_EQ(relayed.done, 1);
	ASSERT_TRUE(rig->ended);
	nexus_free(rig->nexuses[1]);
	rig->nexuses[0] = rig->nexuses[1] = NULL;
}

TEST(an_unknown_write_keeps_the_answer_to_a_reset_back)
{
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	struct command_management request;
	rig->fake->fail[IO_WRITE] = -ESHUTDOWN;
	write_start(&a, rig->nexuses[1], 3, 1, 512, out);
	rig_turn(rig);
	manage(&request, rig->nexuses[0], TMF_LUN_RESET, NULL);
	rig_turn(rig);
	ASSERT_EQ(request.done + a.done, 0);
	rig_leave(rig, LUN_HELD);
	ASSERT_EQ(request.done + a.done, 0);
	rig->fake->fail[IO_WRITE] = 0;
	rig_serve(rig, 2);
	assert_status(&a, SCSI_TASK_ABORTED);
	ASSERT_EQ(request.done, 1);
}

/* What others have at the owner is still executed there. */
TEST(a_reset_is_rejected_while_the_owner_lives_and_cannot_be_reached)
{
	static const struct {
		enum lun_state state;
		bool unreachable;
		enum task_function function;
		enum task_function_response response;
	} rows[] = {
		{ LUN_FAILED, true, TMF_LUN_RESET, TMF_REJECTED },
		{ LUN_FAILED, true, TMF_TARGET_WARM_RESET, TMF_REJECTED },
		{ LUN_FAILED, true, TMF_CLEAR_TASK_SET, TMF_REJECTED },
		{ LUN_FAILED, true, TMF_ABORT_TASK_SET, TMF_COMPLETE },
		{ LUN_FAILED, false, TMF_LUN_RESET, TMF_COMPLETE },
		{ LUN_FAILED, false, TMF_CLEAR_TASK_SET, TMF_COMPLETE },
		{ LUN_STANDBY, false, TMF_LUN_RESET, TMF_REJECTED },
		{ LUN_STANDBY, false, TMF_ABORT_TASK_SET, TMF_COMPLETE },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		TEST_ROW("state %d, unreachable %d, function %d", rows[i].state,
		         rows[i].unreachable, rows[i].function);
		AUTO(rig) struct rig *rig = forwarding_rig(5);
		struct command_management before, request;
		manage(&before, rig->nexuses[0], rows[i].function, NULL);
		rig_turn(rig);
		fake_relay_managed(&rig->relay, 0, RELAY_NOT_EXECUTED, 0);
		rig_turn(rig);
		lun_set_unreachable(rig->lun, rows[i].unreachable);
		lun_set_state(rig->lun, rows[i].state);
		manage(&request, rig->nexuses[0], rows[i].function, NULL);
		rig_turn(rig);
		ASSERT_EQ(before.done, 1); /* it waited for an owner */
		ASSERT_EQ(before.tmf.response, rows[i].response);
		ASSERT_EQ(request.done, 1);
		ASSERT_EQ(request.tmf.response, rows[i].response);
	}
}
