/* An owner of the past could say of a reset that it is complete, without touching the medium: only
 * who proves to be the owner says it. */
#include "keeper.h"

#include "scsi/lun_private.h"
#include "scsi/sense.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct command c;

/* What others do at the LUN goes on where it is served, and a RESERVE(6) stays there. */
TEST(an_owner_of_the_past_says_of_no_reset_that_it_is_complete)
{
	static const struct {
		const char *name;
		enum task_function function, relayed;
		bool reserved;
	} rows[] = {
		{ "LOGICAL UNIT RESET", TMF_LUN_RESET, TMF_LUN_RESET, false },
		{ "LOGICAL UNIT RESET, RESERVE(6)", TMF_LUN_RESET, TMF_LUN_RESET, true },
		{ "TARGET WARM RESET", TMF_TARGET_WARM_RESET, TMF_LUN_RESET, false },
		{ "CLEAR TASK SET", TMF_CLEAR_TASK_SET, TMF_CLEAR_TASK_SET, false },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		TEST_ROW("%s", rows[i].name);
		AUTO_KEEPER struct keeper keeper;
		keeper_init(&keeper);
		AUTO(rig) struct rig *rig = rig_new_kept(512, 100, &keeper.keeper);
		struct command_management first, later;
		if (rows[i].reserved)
			reserve6_run(rig, &c, B);
		keeper.result = keeper.confirm = -ECANCELED;
		manage(&first, rig->nexuses[A], rows[i].function, NULL);
		rig_turn(rig);
		manage(&later, rig->nexuses[A], rows[i].function, NULL); /* it is known by now */
		rig_turn(rig);
		ASSERT_EQ(first.done + later.done, 0);
		rig_leave(rig, LUN_HELD);
		ASSERT_EQ(first.done + later.done, 0);
		rig_forward(rig, 7, 5);
		ASSERT_EQ(rig->relay.request_count, 2);
		for (unsigned n = 0; n < 2; n++) {
			ASSERT_EQ(rig->relay.requests[0]->function, rows[i].relayed);
			fake_relay_managed(&rig->relay, 0, RELAY_ANSWERED, TMF_COMPLETE);
		}
		rig_turn(rig);
		ASSERT_EQ(first.done + later.done, 2);
		ASSERT_EQ(first.tmf.response, TMF_COMPLETE);
	}
}

TEST(an_owner_of_the_past_has_not_executed_the_reset_of_a_peer)
{
	AUTO_KEEPER struct keeper keeper;
	keeper_init(&keeper);
	AUTO(rig) struct rig *rig = rig_new_kept(512, 100, &keeper.keeper);
	rig_leave(rig, LUN_HELD);
	rig_serve(rig, 5);
	rig_make_proxy(rig, 2);
	for (unsigned time = 0; time < 3; time++) {
		TEST_ROW("time %u", time);
		struct command_management request = {
			.tmf = { .function = TMF_LUN_RESET, .epoch = 5, .done = management_done }
		};
		keeper.confirm = time ? -ESHUTDOWN : 0;
		nexus_manage(rig->nexuses[1], &request.tmf);
		rig_turn(rig);
		ASSERT_EQ(request.done, 1);
		ASSERT_EQ(request.tmf.not_executed, time > 0);
	}
}

/* The row still has it when the LUN is given to the next owner. */
TEST(a_reset_that_could_not_be_kept_before_the_lun_moved_is_done_where_it_goes)
{
	AUTO_KEEPER struct keeper keeper;
	keeper_init(&keeper);
	AUTO(rig) struct rig *rig = rig_new_kept(512, 100, &keeper.keeper);
	struct command_management reset;
	keeper.hold = true;
	command_fill(&c, rig->nexuses[A], CDB(0x16, 0, 0, 0, 0, 0), 0);
	command_start(&c, NULL);
	rig_turn(rig);
	manage(&reset, rig->nexuses[B], TMF_LUN_RESET, NULL);
	rig_turn(rig);
	lun_quiesce(rig->lun, LUN_HELD, set_flag, &rig->ended);
	keeper_complete(&keeper, 0);
	rig_turn(rig);
	assert_status(&c, SCSI_TASK_ABORTED);
	ASSERT_NOT_NULL(strstr(keeper.row, "reserve6"));
	ASSERT_TRUE(rig->ended);
	ASSERT_EQ(keeper.held_count, 0);
	ASSERT_EQ(reset.done, 0);
	rig_forward(rig, 7, 5);
	ASSERT_EQ(rig->relay.request_count, 1);
	fake_relay_managed(&rig->relay, 0, RELAY_ANSWERED, TMF_COMPLETE);
	rig_turn(rig);
	ASSERT_EQ(reset.done, 1);
	ASSERT_EQ(reset.tmf.response, TMF_COMPLETE);
}

/* The store has no room, say. */
TEST(what_of_a_reset_could_not_be_kept_is_kept_with_the_next_one)
{
	AUTO_KEEPER struct keeper keeper;
	keeper_init(&keeper);
	AUTO(rig) struct rig *rig = rig_new_kept(512, 100, &keeper.keeper);
	struct command_management reset;
	reserve6_run(rig, &c, B);
	for (unsigned time = 0; time < 3; time++) {
		TEST_ROW("time %u", time);
		keeper.result = time == 2 ? 0 : -ENOSPC;
		manage(&reset, rig->nexuses[A], TMF_LUN_RESET, NULL);
		rig_turn(rig);
		ASSERT_EQ(reset.done, 1);
		ASSERT_EQ(reset.tmf.response, TMF_COMPLETE);
		ASSERT_EQ(keeper.saves, time + 2);
		ASSERT_EQ(strstr(keeper.row, "reserve6") == NULL, time == 2);
	}
}
