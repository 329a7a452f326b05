/* Orders about reservations wait for each other and for the keeper; what was not saved was never
 * seen. */
#include "keeper.h"

#include "scsi/lun_private.h"
#include "scsi/sense.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WERO 5 /* write exclusive, registrants only */

static struct command c, d, e;

static struct rig *rig_registered(struct keeper *keeper)
{
	struct rig *rig = rig_new_kept(512, 100, &keeper->keeper);
	order_run(rig, &c, A, REGISTER, 0, 0, 0x11);
	assert_good(&c);
	order_run(rig, &c, B, REGISTER, 0, 0, 0x22);
	assert_good(&c);
	keeper->saves = 0;
	return rig;
}

TEST(status_comes_when_the_change_is_kept_and_nobody_sees_it_before)
{
	AUTO_KEEPER struct keeper keeper;
	keeper_init(&keeper);
	AUTO(rig) struct rig *rig = rig_registered(&keeper);
	order_run(rig, &c, B, REGISTER, 0, 0x22, 0);
	assert_good(&c);
	keeper.hold = true;
	order_run(rig, &c, A, RESERVE, WERO, 0x11, 0);
	ASSERT_EQ(c.done, 0);
	ASSERT_TRUE(is_allowed(rig, B, true));
	keeper_complete(&keeper, 0);
	ASSERT_TRUE(is_allowed(rig, A, true)); /* turns */
	assert_good(&c);
	ASSERT_FALSE(is_allowed(rig, B, true));
}

TEST(a_release_lets_others_in_only_when_it_is_kept)
{
	AUTO_KEEPER struct keeper keeper;
	keeper_init(&keeper);
	AUTO(rig) struct rig *rig = rig_registered(&keeper);
	order_run(rig, &c, A, RESERVE, 1, 0x11, 0);
	keeper.hold = true;
	order_run(rig, &c, A, RELEASE, 1, 0x11, 0);
	write_start(&d, rig->nexuses[B], 0, 1, 512, NULL);
	rig_turn(rig);
	ASSERT_EQ(d.done + rig->fake->count[IO_WRITE], 0);
	keeper_complete(&keeper, -ENOSPC);
	rig_turn(rig);
	assert_sense(&c, 0x055504);
	assert_status(&d, SCSI_RESERVATION_CONFLICT);
	ASSERT_FALSE(is_allowed(rig, B, true));
	order_run(rig, &c, A, RELEASE, 1, 0x11, 0);
	keeper_complete(&keeper, 0);
	rig_turn(rig);
	assert_good(&c);
	ASSERT_TRUE(is_allowed(rig, B, true));
}

TEST(what_comes_while_a_save_is_under_way_waits_in_order)
{
	AUTO_KEEPER struct keeper keeper;
	keeper_init(&keeper);
	AUTO(rig) struct rig *rig = rig_registered(&keeper);
	keeper.hold = true;
	order_run(rig, &c, A, RESERVE, 1, 0x11, 0);
	order_run(rig, &d, B, RESERVE, 3, 0x22, 0);
	command_run(rig, &e, B, CDB(0x5e, 1, 0, 0, 0, 0, 0, 1, 0, 0), 256, NULL);
	ASSERT_EQ(c.done + d.done + e.done, 0);
	ASSERT_EQ(keeper.held_count, 1);
	keeper_complete(&keeper, 0);
	rig_turn(rig);
	assert_good(&c);
	assert_status(&d, SCSI_RESERVATION_CONFLICT);
	assert_good(&e);
	ASSERT_EQ(get_be64(e.in + 8), 0x11);
	ASSERT_EQ(e.in[21], 1);
}

/* Both at once would make a text that no later owner takes. */
TEST(an_order_that_waited_behind_a_reserve6_conflicts_with_it)
{
	static const enum order_action actions[] = { REGISTER, REGISTER_AND_IGNORE };
	for (size_t i = 0; i < ARRAY_LEN(actions); i++) {
		TEST_ROW("action %d", actions[i]);
		AUTO_KEEPER struct keeper keeper;
		keeper_init(&keeper);
		AUTO(rig) struct rig *rig = rig_new_kept(512, 100, &keeper.keeper);
		keeper.hold = true;
		command_run(rig, &c, A, CDB(0x16, 0, 0, 0, 0, 0), 0, NULL);
		order_run(rig, &d, B, actions[i], 0, 0, 0x22);
		ASSERT_EQ(c.done + d.done, 0);
		keeper_complete(&keeper, 0);
		rig_turn(rig);
		assert_good(&c);
		assert_status(&d, SCSI_RESERVATION_CONFLICT);
		keeper.hold = false;
		rig_reload(rig, keeper.row, RESERVATION_LOAD_HANDED_OVER, 7);
		assert_status(&d, SCSI_RESERVATION_CONFLICT);
		command_run(rig, &c, B, CDB(0, 0, 0, 0, 0, 0), 0, NULL);
		assert_status(&c, SCSI_RESERVATION_CONFLICT);
	}
}

TEST(who_waits_for_a_save_that_fails_finds_the_state_as_it_was)
{
	AUTO_KEEPER struct keeper keeper;
	keeper_init(&keeper);
	AUTO(rig) struct rig *rig = rig_registered(&keeper);
	keeper.hold = true;
	order_run(rig, &c, A, RESERVE, 1, 0x11, 0);
	order_run(rig, &d, B, RESERVE, 3, 0x22, 0);
	keeper_complete(&keeper, -EIO);
	rig_turn(rig);
	assert_sense(&c, 0x044400);
	ASSERT_EQ(d.done, 0);
	keeper_complete(&keeper, 0);
	rig_turn(rig);
	assert_good(&d);
	ask(rig, &e, A, 1);
	ASSERT_EQ(get_be64(e.in + 8), 0x22);
}

static void add_notices(struct lun *lun, size_t count)
{
	struct reservation_queue *queue = &lun->reservation_queue;
	for (size_t i = 0; i < count; i++) {
		struct reservation_notice *notice = calloc(1, sizeof *notice);
		(void)snprintf(notice->port.initiator, RESERVATION_NAME_MAX, "iqn.gone:%zu", i);
		(void)snprintf(notice->port.target, RESERVATION_NAME_MAX, "iqn.target");
		notice->code = SENSE_RESERVATIONS_RELEASED;
		list_append(&queue->notices, &notice->link);
		queue->notice_count++;
	}
}

TEST(attentions_that_nobody_asks_for_leave_a_text_that_the_next_owner_takes)
{
	AUTO_KEEPER struct keeper keeper;
	keeper_init(&keeper);
	AUTO(rig) struct rig *rig = rig_registered(&keeper);
	add_notices(rig->lun, RESERVATION_NOTICES_MAX);
	order_run(rig, &c, A, CLEAR, 0, 0x11, 0);
	assert_good(&c);
	rig_reload(rig, keeper.row, RESERVATION_LOAD_HANDED_OVER, 2);
	ASSERT_EQ(attention_of(rig, rig->nexuses[B]), 0x062a03);
	ASSERT_EQ(rig->lun->reservation_queue.notice_count, RESERVATION_NOTICES_MAX - 1);
}

TEST(without_a_change_nothing_is_saved)
{
	AUTO_KEEPER struct keeper keeper;
	keeper_init(&keeper);
	AUTO(rig) struct rig *rig = rig_registered(&keeper);
	order_run(rig, &c, A, RESERVE, 1, 0x11, 0);
	ASSERT_EQ(keeper.saves, 1);
	order_run(rig, &c, A, RESERVE, 1, 0x11, 0);
	assert_good(&c);
	order_run(rig, &c, B, RELEASE, 1, 0x22, 0);
	assert_good(&c);
	order_run(rig, &c, B, RESERVE, 1, 0x22, 0);
	assert_status(&c, SCSI_RESERVATION_CONFLICT);
	order_run(rig, &c, B, REGISTER, 0, 0x33, 0x44);
	assert_status(&c, SCSI_RESERVATION_CONFLICT);
	RUN(rig, &c, CDB(0x17, 0, 0, 0, 0, 0), 0, NULL);
	assert_good(&c);
	for (uint8_t action = 0; action < 4; action++)
		ask(rig, &c, A, action);
	ASSERT_EQ(keeper.saves, 1);
}

TEST(each_failure_of_a_save_leaves_everything_as_it_was)
{
	static const struct {
		int result;
		uint32_t sense; /* 0: BUSY or TASK SET FULL */
	} rows[] = {
		{ -ENOSPC, 0x055504 }, { -EDQUOT, 0x055504 }, { -ENOMEM, 0 }, { -EIO, 0x044400 }
	};
	static const struct {
		enum order_action action;
		uint64_t action_key;
	} orders[] = {
		{ REGISTER, 0x99 }, { REGISTER, 0 },   { RELEASE, 0 },
		{ CLEAR, 0 },       { PREEMPT, 0x22 }, { PREEMPT_AND_ABORT, 0x22 },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows) * ARRAY_LEN(orders); i++) {
		const int result = rows[i / ARRAY_LEN(orders)].result;
		const uint32_t sense = rows[i / ARRAY_LEN(orders)].sense;
		TEST_ROW("result %d, action %d", result, orders[i % ARRAY_LEN(orders)].action);
		AUTO_KEEPER struct keeper keeper, twin_keeper;
		keeper_init(&keeper);
		keeper_init(&twin_keeper);
		AUTO(rig) struct rig *rig = rig_registered(&keeper);
		AUTO(rig) struct rig *twin = rig_registered(&twin_keeper);
		order_run(rig, &c, A, RESERVE, WERO, 0x11, 0);
		order_run(twin, &c, A, RESERVE, WERO, 0x11, 0);
		keeper.result = result;
		order_run(rig, &c, A, orders[i % ARRAY_LEN(orders)].action, WERO, 0x11,
		          orders[i % ARRAY_LEN(orders)].action_key);
		if (sense)
			assert_sense(&c, sense);
		else
			assert_status(&c, SCSI_BUSY);
		ASSERT_EQ(attention_of(rig, rig->nexuses[B]), 0);
		assert_same_answers(rig, twin, true);
	}
}

TEST(the_losers_tasks_are_aborted_after_the_save_and_answered_before_the_order)
{
	AUTO_KEEPER struct keeper keeper;
	keeper_init(&keeper);
	AUTO(rig) struct rig *rig = rig_registered(&keeper);
	order_run(rig, &c, A, RESERVE, WERO, 0x11, 0);
	keeper.hold = rig->fake->hold = true;
	write_start(&d, rig->nexuses[A], 0, 1, 512, NULL);
	order_run(rig, &c, B, PREEMPT_AND_ABORT, WERO, 0x22, 0x11);
	ASSERT_EQ(d.task.state.abort, 0);
	keeper_complete(&keeper, 0);
	rig_turn(rig);
	ASSERT_NE(d.task.state.abort, 0);
	ASSERT_EQ(c.done + d.done, 0);
	keeper.hold = false;
	ask(rig, &e, B, 1); /* the turn is free meanwhile */
	fake_complete(rig->fake, 0);
	rig_turn(rig);
	assert_status(&d, SCSI_TASK_ABORTED);
	assert_good(&c);
	ASSERT_EQ(attention_of(rig, rig->nexuses[A]), 0x062a05);
	ASSERT_FALSE(is_allowed(rig, A, true));
}

TEST(a_loser_that_waits_for_its_turn_is_aborted_too)
{
	AUTO_KEEPER struct keeper keeper;
	keeper_init(&keeper);
	AUTO(rig) struct rig *rig = rig_registered(&keeper);
	keeper.hold = true;
	order_run(rig, &c, B, PREEMPT_AND_ABORT, WERO, 0x22, 0x11);
	order_run(rig, &d, A, CLEAR, 0, 0x11, 0);
	keeper_complete(&keeper, 0);
	rig_turn(rig);
	assert_good(&c);
	ASSERT_EQ(d.done, 1);
	ASSERT_NE(d.task.status, SCSI_GOOD);
	keeper.hold = false;
	ask(rig, &e, B, 0);
	ASSERT_EQ(get_be32(e.in + 4), 8);
}

/* Between the save of an order and its walk to the tasks of who lost by it. */
static struct meanwhile {
	struct rig *rig;
	struct keeper *keeper;
	void (*save)(struct reservation_keeper *keeper, struct lun *lun, const char *text,
	             void (*saved)(void *argument, int result), void *argument);
} meanwhile;

static void loser_strikes_back(struct reservation_keeper *base, struct lun *lun, const char *text,
                               void (*saved)(void *argument, int result), void *argument)
{
	struct rig *rig = meanwhile.rig;
	base->save = meanwhile.save;
	meanwhile.keeper->hold = false;
	base->save(base, lun, text, saved, argument);
	command_fill(&e, rig->nexuses[B], CDB(0, 0, 0, 0, 0, 0), 0);
	command_start(&e, NULL);
	(void)reactor_turn(rig->reactors[B], 0);
	assert_sense(&e, 0x062a05);
	order_start(&e, rig->nexuses[B], REGISTER_AND_IGNORE, 0, 0, 0x22, 0);
	for (int turn = 0; turn < 4; turn++)
		(void)reactor_turn(rig->reactors[B], 0);
	assert_good(&e);
	meanwhile.keeper->hold = true;
	order_start(&d, rig->nexuses[B], PREEMPT_AND_ABORT, WERO, 0x22, 0x11, 0);
}

/* Each is a task that the other one aborts, and neither changes anything any more. */
TEST(two_that_preempt_and_abort_each_other_do_not_wait_for_each_other)
{
	AUTO_KEEPER struct keeper keeper;
	keeper_init(&keeper);
	AUTO(rig) struct rig *rig = rig_registered(&keeper);
	meanwhile = (struct meanwhile){ rig, &keeper, keeper.keeper.save };
	keeper.hold = true;
	order_run(rig, &c, A, PREEMPT_AND_ABORT, WERO, 0x11, 0x22);
	rig->lun->reservation_queue.dirty = true; /* so that something is saved after it */
	keeper.keeper.save = loser_strikes_back;
	keeper_complete(&keeper, 0);
	rig_turn(rig);
	ASSERT_EQ(keeper.held_count, 1);
	ASSERT_NE(d.task.state.abort, 0);
	keeper_complete(&keeper, 0);
	rig_turn(rig);
	assert_status(&c, SCSI_TASK_ABORTED);
	assert_status(&d, SCSI_TASK_ABORTED);
	keeper.hold = false;
	ASSERT_EQ(attention_of(rig, rig->nexuses[A]), 0x062a05);
	ask(rig, &e, B, 0);
	ASSERT_EQ(get_be32(e.in + 4), 8);
	ASSERT_EQ(get_be64(e.in + 8), 0x22);
}

TEST(an_order_that_is_aborted_is_carried_out_whole_or_not_at_all)
{
	AUTO_KEEPER struct keeper keeper;
	keeper_init(&keeper);
	AUTO(rig) struct rig *rig = rig_registered(&keeper);
	struct nexus *third = rig_nexus(rig, 0, "iqn.2000-01.test:third", 3);
	struct nexus *fourth = rig_nexus(rig, 1, "iqn.2000-01.test:fourth", 4);
	bool third_ended = false, fourth_ended = false;
	keeper.hold = true;
	order_start(&c, third, REGISTER, 0, 0, 0x33, 0);
	order_start(&d, fourth, REGISTER, 0, 0, 0x44, 0);
	nexus_stop(third, set_flag, &third_ended);
	nexus_stop(fourth, set_flag, &fourth_ended);
	rig_turn(rig);
	ASSERT_EQ(keeper.held_count, 1);
	ASSERT_FALSE(third_ended || fourth_ended);
	keeper_complete(&keeper, 0);
	rig_turn(rig);
	ASSERT_TRUE(third_ended && fourth_ended);
	ASSERT_TRUE(c.task.aborted && d.task.aborted);
	ASSERT_EQ(keeper.held_count, 0);
	nexus_free(third);
	nexus_free(fourth);
	ask(rig, &e, A, 0);
	ASSERT_EQ(get_be32(e.in + 4), 24);
	ASSERT_EQ(get_be64(e.in + 24), 0x33);
}

TEST(taking_the_unit_out_of_service_waits_for_the_save)
{
	AUTO_KEEPER struct keeper keeper;
	keeper_init(&keeper);
	AUTO(rig) struct rig *rig = rig_registered(&keeper);
	bool quiesced = false;
	keeper.hold = true;
	order_run(rig, &c, A, RESERVE, 1, 0x11, 0);
	lun_quiesce(rig->lun, LUN_HELD, set_flag, &quiesced);
	rig_turn(rig);
	ASSERT_FALSE(quiesced);
	keeper_complete(&keeper, 0);
	rig_turn(rig);
	assert_good(&c);
	ASSERT_TRUE(quiesced);
	rig_reload(rig, keeper.row, RESERVATION_LOAD_HANDED_OVER, 2);
	ASSERT_FALSE(is_allowed(rig, B, true));
	ASSERT_TRUE(is_allowed(rig, A, true));
}

/* ---- RESERVE(6) ---- */

static void reserve6(struct rig *rig, struct command *command, struct nexus *nexus, bool releases)
{
	command_fill(command, nexus, CDB(releases ? 0x17 : 0x16, 0, 0, 0, 0, 0), 0);
	command_start(command, NULL);
	rig_turn(rig);
}

TEST(a_reserve_6_is_kept_and_its_end_too)
{
	AUTO_KEEPER struct keeper keeper;
	keeper_init(&keeper);
	AUTO(rig) struct rig *rig = rig_new_kept(512, 100, &keeper.keeper);
	keeper.hold = true;
	reserve6(rig, &c, rig->nexuses[A], false);
	ASSERT_EQ(c.done, 0);
	ASSERT_TRUE(is_allowed(rig, B, true));
	keeper_complete(&keeper, 0);
	rig_turn(rig);
	assert_good(&c);
	ASSERT_NOT_NULL(strstr(keeper.row, "reserve6"));
	ASSERT_FALSE(is_allowed(rig, B, true));
	reserve6(rig, &c, rig->nexuses[A], true);
	write_start(&d, rig->nexuses[B], 0, 1, 512, NULL);
	rig_turn(rig);
	ASSERT_EQ(d.done, 0);
	keeper_complete(&keeper, 0);
	rig_turn(rig);
	assert_good(&c);
	assert_status(&d, SCSI_RESERVATION_CONFLICT);
	ASSERT_NULL(strstr(keeper.row, "reserve6"));
	ASSERT_TRUE(is_allowed(rig, B, true));
}

TEST(the_end_of_its_nexus_ends_a_reserve_6_at_once_and_is_kept_later)
{
	AUTO_KEEPER struct keeper keeper;
	keeper_init(&keeper);
	AUTO(rig) struct rig *rig = rig_new_kept(512, 100, &keeper.keeper);
	struct nexus *third = rig_nexus(rig, 0, "iqn.2000-01.test:third", 3);
	reserve6(rig, &c, third, false);
	assert_good(&c);
	keeper.hold = true;
	rig_stop(rig, third);
	ASSERT_TRUE(is_allowed(rig, B, true));
	ASSERT_NOT_NULL(strstr(keeper.row, "reserve6"));
	keeper_complete(&keeper, 0);
	ASSERT_NULL(strstr(keeper.row, "reserve6"));
}

struct request {
	struct task_management tmf;
	unsigned done;
};

static void request_done(struct task_management *tmf)
{
	container_of(tmf, struct request, tmf)->done++;
}

TEST(a_save_under_way_does_not_bring_back_the_reserve_6_that_a_reset_ended)
{
	AUTO_KEEPER struct keeper keeper;
	keeper_init(&keeper);
	AUTO(rig) struct rig *rig = rig_new_kept(512, 100, &keeper.keeper);
	keeper.hold = true;
	reserve6(rig, &c, rig->nexuses[A], false);
	struct request reset = { .tmf = { .function = TMF_LUN_RESET, .done = request_done } };
	nexus_manage(rig->nexuses[B], &reset.tmf);
	rig_turn(rig);
	ASSERT_EQ(reset.done, 0); /* the order is not over yet */
	keeper_complete(&keeper, 0);
	rig_turn(rig);
	assert_status(&c, SCSI_TASK_ABORTED);
	ASSERT_EQ(reset.done, 0); /* the next owner could still find it */
	keeper_complete(&keeper, 0);
	rig_turn(rig);
	ASSERT_EQ(reset.done, 1);
	ASSERT_NULL(strstr(keeper.row, "reserve6"));
	ASSERT_EQ(attention_of(rig, rig->nexuses[B]), 0x062903);
	ASSERT_TRUE(is_allowed(rig, B, true));
}

/* ---- unit attentions that nobody has asked for yet ---- */

TEST(a_unit_attention_is_kept_until_it_is_reported)
{
	AUTO_KEEPER struct keeper keeper;
	keeper_init(&keeper);
	AUTO(rig) struct rig *rig = rig_registered(&keeper);
	order_run(rig, &c, A, RESERVE, WERO, 0x11, 0);
	order_run(rig, &c, A, RELEASE, WERO, 0x11, 0);
	assert_good(&c);
	ASSERT_NOT_NULL(strstr(keeper.row, "\"code\":403972")); /* 06/2A/04 */
	keeper.saves = 0;
	ASSERT_EQ(attention_of(rig, rig->nexuses[B]), 0x062a04);
	ASSERT_EQ(keeper.saves, 1);
	ASSERT_NULL(strstr(keeper.row, "\"code\""));
}

TEST(a_keeper_that_knows_of_another_owner_is_asked_before_anything_is_told)
{
	AUTO_KEEPER struct keeper keeper;
	keeper_init(&keeper);
	AUTO(rig) struct rig *rig = rig_registered(&keeper);
	keeper.confirm = -EIO;
	RUN(rig, &c, CDB(0x5e, 0, 0, 0, 0, 0, 0, 1, 0, 0), 256, NULL);
	assert_sense(&c, 0x044400);
	keeper.confirm = 0;
	ask(rig, &c, A, 0);
}

/* ---- ownership is lost ---- */

TEST(an_order_whose_save_finds_another_owner_is_answered_by_the_next_one)
{
	static const int results[] = { -ECANCELED, -ESHUTDOWN };
	for (size_t i = 0; i < ARRAY_LEN(results); i++) {
		TEST_ROW("result %d", results[i]);
		AUTO_KEEPER struct keeper keeper;
		keeper_init(&keeper);
		AUTO(rig) struct rig *rig = rig_registered(&keeper);
		AUTO_FREE char *before = strdup(keeper.row);
		static struct command f;
		keeper.hold = true;
		order_run(rig, &c, A, RESERVE, 3, 0x11, 0);
		order_run(rig, &d, B, RESERVE, 1, 0x22, 0);
		command_run(rig, &e, A, CDB(0x5e, 1, 0, 0, 0, 0, 0, 1, 0, 0), 256, NULL);
		keeper_complete(&keeper, results[i]);
		rig_turn(rig);
		command_run(rig, &f, B, CDB(0x16, 0, 0, 0, 0, 0), 0, NULL);
		ASSERT_EQ(c.done + d.done + e.done + f.done, 0);
		ASSERT_EQ(keeper.held_count, 0);
		keeper.hold = false;
		rig_reload(rig, before, RESERVATION_LOAD_TAKEN_OVER, 2);
		assert_sense(&c, 0x0b0800); /* done or not: nobody knows */
		assert_good(&d);            /* was not begun */
		assert_good(&e);
		assert_good(&f); /* it holds the reservation: no effect */
		ask(rig, &e, A, 1);
		ASSERT_EQ(get_be64(e.in + 8), 0x22);
	}
}

TEST(an_owner_of_the_past_tells_nothing)
{
	AUTO_KEEPER struct keeper keeper;
	keeper_init(&keeper);
	AUTO(rig) struct rig *rig = rig_registered(&keeper);
	AUTO_FREE char *before = strdup(keeper.row);
	keeper.confirm = -ECANCELED;
	RUN(rig, &c, CDB(0x5e, 0, 0, 0, 0, 0, 0, 1, 0, 0), 256, NULL);
	ASSERT_EQ(c.done, 0);
	keeper.confirm = 0;
	rig_reload(rig, before, RESERVATION_LOAD_TAKEN_OVER, 2);
	assert_good(&c);
	ASSERT_EQ(get_be32(c.in + 4), 16);
}

/* "You have it" from an owner of the past would be as wrong as a READ RESERVATION of it. */
TEST(good_without_a_change_is_said_by_the_owner_only)
{
	static const struct {
		const char *name;
		bool six;
		enum order_action action;
		enum scsi_status next; /* at the next owner, where all was cleared */
	} rows[] = {
		{ "RESERVE", false, RESERVE, SCSI_RESERVATION_CONFLICT },
		{ "RELEASE of what another one holds", false, RELEASE, SCSI_RESERVATION_CONFLICT },
		{ "RESERVE(6)", true, 0, SCSI_GOOD },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		TEST_ROW("%s", rows[i].name);
		unsigned who = rows[i].action == RELEASE ? B : A;
		AUTO_KEEPER struct keeper keeper;
		keeper_init(&keeper);
		AUTO(rig)
		struct rig *rig = rows[i].six ? rig_new_kept(512, 100, &keeper.keeper)
		                              : rig_registered(&keeper);
		for (unsigned time = 0; time < 2; time++) {
			keeper.confirm = time ? -ECANCELED : 0;
			if (rows[i].six)
				RUN(rig, &c, CDB(0x16, 0, 0, 0, 0, 0), 0, NULL);
			else
				order_run(rig, &c, time ? who : A, time ? rows[i].action : RESERVE,
				          WERO, time && who == B ? 0x22 : 0x11, 0);
			ASSERT_EQ(c.done, !time);
			ASSERT_EQ(keeper.saves, 1);
		}
		keeper.confirm = 0;
		rig_reload(rig, NULL, RESERVATION_LOAD_TAKEN_OVER, 2);
		assert_status(&c, rows[i].next);
	}
}

/* ---- proxies ---- */

TEST(a_nexus_of_another_gateway_is_a_nexus_like_any_other)
{
	AUTO_KEEPER struct keeper keeper;
	keeper_init(&keeper);
	AUTO(rig) struct rig *rig = rig_registered(&keeper);
	struct lun_mapping mapping = { .number = 0, .lun = rig->lun };
	struct scsi_port port = rig->port;
	port.tag = 2;
	struct nexus_config config = {
		.initiator_name = "iqn.1994-05.com.redhat:rh7-client", /* as A, by another port */
		.isid = { 0x00, 0x02, 0x3d, 0, 0, 1 },
		.port = &port,
		.reactor = rig->reactors[1],
		.mappings = &mapping,
		.mapping_count = 1,
		.proxy = true,
	};
	struct nexus *proxy;
	ASSERT_EQ(nexus_new(&config, &proxy), 0);
	order_start(&c, proxy, RESERVE, WERO, 0x11, 0, 0);
	rig_turn(rig);
	assert_status(&c, SCSI_RESERVATION_CONFLICT); /* another nexus than A */
	order_start(&c, proxy, REGISTER, 0, 0, 0x33, 0);
	rig_turn(rig);
	assert_good(&c);
	order_start(&c, proxy, RESERVE, WERO, 0x33, 0, 0);
	rig_turn(rig);
	assert_good(&c);
	rig->fake->hold = true;
	write_start(&d, proxy, 0, 1, 512, NULL);
	order_run(rig, &c, B, PREEMPT_AND_ABORT, WERO, 0x22, 0x33);
	ASSERT_EQ(c.done + d.done, 0);
	fake_complete(rig->fake, 0);
	rig_turn(rig);
	assert_status(&d, SCSI_TASK_ABORTED);
	assert_good(&c);
	ASSERT_EQ(attention_of(rig, proxy), 0x062a05);
	ASSERT_NOT_NULL(strstr(keeper.row, "\"tag\":1"));
	ASSERT_NULL(strstr(keeper.row, "\"tag\":2"));
	rig_stop(rig, proxy);
}
