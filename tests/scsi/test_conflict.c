/* RESERVATION CONFLICT, and what else is said of reservations without touching the medium: only who
 * proves to be the owner says it. */
#include "keeper.h"

#include "scsi/lun_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct command c, d, e, order;

static void both_register(struct rig *rig)
{
	order_run(rig, &c, A, REGISTER, 0, 0, 0x11);
	assert_good(&c);
	order_run(rig, &c, B, REGISTER, 0, 0, 0x22);
	assert_good(&c);
}

/* It may have been reserved for who is told so, by then. */
TEST(an_owner_of_the_past_says_of_no_command_that_it_conflicts)
{
	static const struct {
		const char *name;
		uint8_t cdb[10];
		int64_t expected;
		bool six; /* a RESERVE(6) is in the way, else exclusive access */
		enum scsi_status now, next;
	} rows[] = {
		{ "READ", { 0x28, [8] = 1 }, 512, false, 0xff, SCSI_GOOD },
		{ "VERIFY", { 0x2f, [8] = 1 }, 0, false, 0xff, SCSI_GOOD },
		/* Its data were not collected. */
		{ "WRITE", { 0x2a, [8] = 1 }, -512, false, SCSI_BUSY, SCSI_BUSY },
		{ "RESERVE(6)", { 0x16 }, 0, false, 0xff, SCSI_RESERVATION_CONFLICT },
		{ "TEST UNIT READY", { 0 }, 0, true, 0xff, SCSI_GOOD },
		{ "READ KEYS", { 0x5e, [8] = 8 }, 8, true, 0xff, SCSI_GOOD },
		{ "RESERVE(6) of two", { 0x16 }, 0, true, 0xff, SCSI_GOOD },
		/* It runs in every state of the LUN. */
		{ "REPORT TARGET PORT GROUPS",
		  { 0xa3, 0x0a, [9] = 64 },
		  64,
		  true,
		  SCSI_BUSY,
		  SCSI_BUSY },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		TEST_ROW("%s", rows[i].name);
		AUTO_KEEPER struct keeper keeper;
		keeper_init(&keeper);
		AUTO(rig) struct rig *rig = rig_new_kept(512, 100, &keeper.keeper);
		AUTO_FREE char *before = NULL;
		if (rows[i].six) {
			reserve6_run(rig, &c, A);
		} else {
			both_register(rig);
			before = strdup(keeper.row);
			order_run(rig, &c, A, RESERVE, 3, 0x11, 0);
			assert_good(&c);
		}
		command_run(rig, &d, B, rows[i].cdb, 16, rows[i].expected, NULL);
		assert_status(&d, SCSI_RESERVATION_CONFLICT);
		keeper.confirm = -ECANCELED;
		for (unsigned time = 0; time < 2; time++) { /* found out; known */
			struct command *command = time ? &e : &d;
			command_run(rig, command, B, rows[i].cdb, 16, rows[i].expected, NULL);
			ASSERT_EQ(command->done, rows[i].now != 0xff);
		}
		keeper.confirm = 0;
		rig_reload(rig, before, RESERVATION_LOAD_TAKEN_OVER, 2);
		assert_status(&d, rows[i].next);
		assert_status(&e, rows[i].next);
	}
}

TEST(an_owner_of_the_past_refuses_no_order)
{
	AUTO_KEEPER struct keeper keeper;
	keeper_init(&keeper);
	AUTO(rig) struct rig *rig = rig_new_kept(512, 100, &keeper.keeper);
	both_register(rig);
	AUTO_FREE char *before = strdup(keeper.row);
	order_run(rig, &c, A, RESERVE, 3, 0x11, 0);
	assert_good(&c);
	order_run(rig, &c, B, RESERVE, 3, 0x22, 0);
	assert_status(&c, SCSI_RESERVATION_CONFLICT);
	keeper.confirm = -ECANCELED;
	order_run(rig, &c, B, RESERVE, 3, 0x22, 0);
	ASSERT_EQ(c.done, 0);
	keeper.confirm = 0;
	rig_reload(rig, before, RESERVATION_LOAD_TAKEN_OVER, 2);
	assert_good(&c);
}

TEST(an_owner_of_the_past_has_not_executed_what_conflicts_of_a_peer)
{
	AUTO_KEEPER struct keeper keeper;
	keeper_init(&keeper);
	AUTO(rig) struct rig *rig = rig_new_kept(512, 100, &keeper.keeper);
	rig_leave(rig, LUN_HELD);
	rig_serve(rig, 5);
	rig_make_proxy(rig, 2);
	reserve6_run(rig, &c, A);
	for (unsigned time = 0; time < 3; time++) {
		TEST_ROW("time %u", time);
		keeper.confirm = time ? -ESHUTDOWN : 0;
		command_fill(&d, rig->nexuses[1], CDB(0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0), -512);
		d.task.epoch = 5;
		command_start(&d, NULL);
		rig_turn(rig);
		ASSERT_EQ(d.done, 1);
		ASSERT_EQ(d.task.not_executed, time > 0);
	}
}

TEST(a_write_whose_data_came_before_the_reservation_is_executed_by_the_next_owner)
{
	AUTO_KEEPER struct keeper keeper;
	keeper_init(&keeper);
	AUTO(rig) struct rig *rig = rig_new_kept(512, 100, &keeper.keeper);
	both_register(rig);
	AUTO_FREE char *before = strdup(keeper.row);
	command_fill(&d, rig->nexuses[B], CDB(0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0), -512);
	ASSERT_EQ(scsi_task_begin(&d.task), SCSI_BEGIN_NEEDS_DATA);
	order_run(rig, &c, A, RESERVE, 3, 0x11, 0);
	assert_good(&c);
	keeper.confirm = -ECANCELED;
	d.task.data = buffer_get(reactor_buffers(rig->reactors[B]), 512);
	ASSERT_NOT_NULL(d.task.data);
	memset(d.task.data->data, 0x5a, 512);
	scsi_task_execute(&d.task);
	rig_turn(rig);
	ASSERT_EQ(d.done, 0);
	ASSERT_EQ(rig->fake->count[IO_WRITE], 0);
	keeper.confirm = 0;
	rig_reload(rig, before, RESERVATION_LOAD_TAKEN_OVER, 2);
	assert_good(&d);
	ASSERT_EQ(rig->fake->count[IO_WRITE], 1);
	ASSERT_EQ(rig->fake->memory[0], 0x5a);
}

/* An order does not wait for all who come meanwhile. */
TEST(one_question_serves_all_who_have_come_before_it)
{
	AUTO_KEEPER struct keeper keeper;
	keeper_init(&keeper);
	AUTO(rig) struct rig *rig = rig_new_kept(512, 100, &keeper.keeper);
	both_register(rig);
	order_run(rig, &c, A, RESERVE, 3, 0x11, 0);
	assert_good(&c);
	keeper.hold_confirms = true;
	keeper.confirms = keeper.saves = 0;
	read_start(&c, rig->nexuses[B], 0, 1, 512);
	read_start(&d, rig->nexuses[B], 1, 1, 512);
	read_start(&e, rig->nexuses[B], 2, 1, 512);
	order_start(&order, rig->nexuses[A], RELEASE, 3, 0x11, 0, 0);
	rig_turn(rig);
	ASSERT_EQ(c.done + d.done + e.done + order.done, 0);
	ASSERT_EQ(keeper.confirms, 1);
	keeper_complete(&keeper, 0);
	rig_turn(rig);
	assert_status(&c, SCSI_RESERVATION_CONFLICT);
	assert_good(&order);
	ASSERT_EQ(keeper.saves, 1);
	ASSERT_EQ(d.done + e.done, 0);
	ASSERT_EQ(keeper.confirms, 2);
	struct command_management request;
	manage(&request, rig->nexuses[B], TMF_ABORT_TASK, &e.task);
	rig_turn(rig);
	ASSERT_EQ(request.done, 0);
	keeper_complete(&keeper, 0);
	rig_turn(rig);
	assert_status(&d, SCSI_RESERVATION_CONFLICT); /* when it came */
	ASSERT_TRUE(e.task.aborted);
	ASSERT_EQ(request.done, 1);
	ASSERT_TRUE(is_allowed(rig, B, false));
}

TEST(a_lun_that_begins_to_move_leaves_conflicts_to_the_next_owner)
{
	AUTO_KEEPER struct keeper keeper;
	keeper_init(&keeper);
	AUTO(rig) struct rig *rig = rig_new_kept(512, 100, &keeper.keeper);
	reserve6_run(rig, &c, A);
	keeper.hold_confirms = true;
	read_start(&c, rig->nexuses[B], 0, 1, 512);
	read_start(&d, rig->nexuses[B], 1, 1, 512);
	rig_turn(rig);
	rig->ended = false;
	lun_quiesce(rig->lun, LUN_HELD, set_flag, &rig->ended);
	ASSERT_FALSE(rig->ended);
	keeper_complete(&keeper, 0);
	rig_turn(rig);
	ASSERT_TRUE(rig->ended);
	assert_status(&c, SCSI_RESERVATION_CONFLICT);
	ASSERT_EQ(d.done, 0);
	rig_forward(rig, 7, 5);
	ASSERT_EQ(rig->relay.task_count, 1);
	fake_relay_answer(&rig->relay, 0, SCSI_GOOD, 0x33);
	assert_good(&d);
}
