/* Reservations move from owner to owner: the next one answers as the last one did. */
#include "keeper.h"

#include "scsi/reservation_text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct command c, d;

static uint64_t seed = 7;
static unsigned draw(unsigned below)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(seed >> 33) % below;
}

TEST(the_next_owner_answers_as_the_last_one_did)
{
	static const uint8_t types[] = { 1, 3, 5, 6, 7, 8 };
	AUTO_KEEPER struct keeper keeper, next_keeper;
	keeper_init(&keeper);
	keeper_init(&next_keeper);
	AUTO(rig) struct rig *rig = rig_new_kept(512, 100, &keeper.keeper);
	AUTO(rig) struct rig *next = rig_new_kept(512, 100, &next_keeper.keeper);
	for (unsigned i = 0; i < 400; i++) {
		uint64_t key = draw(4), action_key = draw(4);
		unsigned nexus = draw(2);
		enum order_action action = draw(8) == 0 ? CLEAR : draw(7);
		if (draw(3)) { /* mostly orders that make sense */
			action = draw(2) ? REGISTER_AND_IGNORE : RESERVE;
			key = action_key = nexus + 1;
		}
		order_start(&c, rig->nexuses[nexus], action, types[draw(6)], key, action_key,
		            draw(4) ? 0 : 0x04 | (uint8_t)draw(2));
		rig_turn(rig);
		ASSERT_EQ(c.done, 1);
		if (draw(8) || !keeper.row)
			continue;
		AUTO_FREE char *text = NULL, *again = lun_format_reservations(rig->lun);
		struct error err;
		ASSERT_STR_EQ(again, keeper.row);
		ASSERT_EQ(reservation_text_take(keeper.row, &(uint64_t){ i + 1 },
		                                RESERVATION_LOAD_TAKEN_OVER, &text, &err),
		          0);
		rig_reload(next, text, RESERVATION_LOAD_TAKEN_OVER, i + 1);
		for (unsigned n = 0; n < 2; n++) {
			uint32_t before, after;
			do { /* both say the same, until neither has anything to say */
				before = attention_of(rig, rig->nexuses[n]);
				after = attention_of(next, next->nexuses[n]);
				ASSERT_EQ(before, after);
			} while (before);
			ASSERT_EQ(is_allowed(rig, n, false), is_allowed(next, n, false));
			ASSERT_EQ(is_allowed(rig, n, true), is_allowed(next, n, true));
		}
		assert_same_answers(rig, next, true);
	}
}

TEST(after_a_power_loss_only_what_was_asked_to_is_left)
{
	static const struct {
		uint8_t flags;
		enum reservation_load how;
		bool left;
	} rows[] = {
		{ 0, RESERVATION_LOAD_HANDED_OVER, true },
		{ 0, RESERVATION_LOAD_TAKEN_OVER, true },
		{ 0, RESERVATION_LOAD_POWER_LOSS, false },
		{ 1, RESERVATION_LOAD_HANDED_OVER, true },
		{ 1, RESERVATION_LOAD_TAKEN_OVER, true },
		{ 1, RESERVATION_LOAD_POWER_LOSS, true },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		TEST_ROW("APTPL %u, load %d", rows[i].flags, rows[i].how);
		AUTO_KEEPER struct keeper keeper;
		keeper_init(&keeper);
		AUTO(rig) struct rig *rig = rig_new_kept(512, 100, &keeper.keeper);
		order_start(&c, rig->nexuses[A], REGISTER, 0, 0, 0x11, rows[i].flags);
		rig_turn(rig);
		assert_good(&c);
		order_run(rig, &c, A, RESERVE, 3, 0x11, 0);
		assert_good(&c);
		ask(rig, &c, A, 2);
		ASSERT_EQ(c.in[2], 0x1d);
		ASSERT_EQ(c.in[3], 0x90 | rows[i].flags);
		AUTO_FREE char *text = strdup(keeper.row);
		keeper.saves = 0;
		rig_reload(rig, text, rows[i].how, 1);
		ASSERT_EQ(is_allowed(rig, B, false), !rows[i].left);
		ask(rig, &c, B, 1);
		ASSERT_EQ(get_be32(c.in + 4), rows[i].left ? 16 : 0);
		/* What is gone stays gone at the next owner. */
		ASSERT_EQ(keeper.saves, rows[i].left ? 0 : 1);
		ASSERT_EQ(!strstr(keeper.row, "initiator"), !rows[i].left);
	}
}

TEST(the_last_register_says_whether_the_unit_survives_a_power_loss)
{
	AUTO_KEEPER struct keeper keeper;
	keeper_init(&keeper);
	AUTO(rig) struct rig *rig = rig_new_kept(512, 100, &keeper.keeper);
	for (uint8_t i = 0; i < 4; i++) {
		order_start(&c, rig->nexuses[i % 2], REGISTER_AND_IGNORE, 0, 0, 1, i % 2);
		rig_turn(rig);
		assert_good(&c);
		ask(rig, &c, A, 2);
		ASSERT_EQ(c.in[3] & 1, i % 2);
	}
}

TEST(without_a_keeper_nothing_survives_and_nothing_says_so)
{
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	ask(rig, &c, A, 2);
	ASSERT_EQ(c.in[2], 0x1c);
	order_start(&c, rig->nexuses[A], REGISTER, 0, 0, 1, 1);
	rig_turn(rig);
	assert_sense(&c, 0x052600);
}

TEST(registrations_bind_to_the_same_nexus_when_it_comes_to_the_next_owner)
{
	AUTO_KEEPER struct keeper keeper, next_keeper;
	keeper_init(&keeper);
	keeper_init(&next_keeper);
	AUTO(rig) struct rig *rig = rig_new_kept(512, 100, &keeper.keeper);
	AUTO(rig) struct rig *next = rig_new_kept(512, 100, &next_keeper.keeper);
	struct nexus *third = rig_nexus(rig, 0, "iqn.2000-01.test:third", 3);
	order_start(&c, third, REGISTER, 0, 0, 0x33, 0);
	rig_turn(rig);
	order_start(&c, third, RESERVE, 3, 0x33, 0, 0);
	rig_turn(rig);
	assert_good(&c);
	rig_stop(rig, third);
	rig_reload(next, keeper.row, RESERVATION_LOAD_TAKEN_OVER, 2);
	ASSERT_FALSE(is_allowed(next, A, false));
	third = rig_nexus(next, 1, "iqn.2000-01.test:THIRD", 3);
	order_start(&c, third, RELEASE, 3, 0x33, 0, 0);
	rig_turn(next);
	assert_good(&c);
	ASSERT_TRUE(is_allowed(next, A, true));
	rig_stop(next, third);
}

TEST(a_reserve_6_lives_as_long_as_its_nexus_can)
{
	static const struct {
		enum reservation_load how;
		bool left;
	} rows[] = {
		{ RESERVATION_LOAD_HANDED_OVER, true },
		{ RESERVATION_LOAD_TAKEN_OVER, false },
		{ RESERVATION_LOAD_POWER_LOSS, false },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		TEST_ROW("load %d", rows[i].how);
		AUTO_KEEPER struct keeper keeper;
		keeper_init(&keeper);
		AUTO(rig) struct rig *rig = rig_new_kept(512, 100, &keeper.keeper);
		RUN(rig, &c, CDB(0x16, 0, 0, 0, 0, 0), 0, NULL);
		assert_good(&c);
		AUTO_FREE char *text = strdup(keeper.row);
		rig_reload(rig, text, rows[i].how, 2);
		ASSERT_TRUE(is_allowed(rig, A, true));
		ASSERT_EQ(is_allowed(rig, B, true), !rows[i].left);
	}
}

/* As rig_nexus(rig, 0, initiator, 3), but what it has to be told is not taken from it. */
static struct nexus *new_third(struct rig *rig, const char *initiator, bool proxy)
{
	struct lun_mapping mapping = { .number = 0, .lun = rig->lun };
	struct nexus_config config = {
		.initiator_name = initiator,
		.isid = { 0x00, 0x02, 0x3d, 0, 0, 3 },
		.port = &rig->port,
		.reactor = rig->reactors[0],
		.mappings = &mapping,
		.mapping_count = 1,
		.proxy = proxy,
	};
	struct nexus *nexus;
	ASSERT_EQ(nexus_new(&config, &nexus), 0);
	return nexus;
}

static void forwarded_read(struct rig *rig, struct nexus *proxy, uint64_t epoch)
{
	command_fill(&c, proxy, CDB(0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0), 512);
	c.task.epoch = epoch;
	command_start(&c, NULL);
	rig_turn(rig);
}

/* The session of a RESERVE(6): at the owner, or beyond it. */
static struct nexus *session_of_third(struct rig *rig, bool here)
{
	const char *name = "iqn.2000-01.test:third";
	return here ? rig_nexus(rig, 0, name, 3) : new_third(rig, name, true);
}

TEST(a_reserve_6_ends_with_the_gateway_of_its_session_and_no_other)
{
	enum { FIRST, SECOND, ELSEWHERE };
	static const struct {
		const char *name;
		int session;
		enum reservation_load second, third; /* how they came to the LUN */
		bool left;
	} rows[] = {
		{ "the first one gave it, and lives", FIRST, RESERVATION_LOAD_HANDED_OVER,
		  RESERVATION_LOAD_TAKEN_OVER, true },
		{ "it was given twice", FIRST, RESERVATION_LOAD_HANDED_OVER,
		  RESERVATION_LOAD_HANDED_OVER, true },
		{ "given to its gateway, which died", SECOND, RESERVATION_LOAD_HANDED_OVER,
		  RESERVATION_LOAD_TAKEN_OVER, false },
		{ "taken over by its gateway, which died", SECOND, RESERVATION_LOAD_TAKEN_OVER,
		  RESERVATION_LOAD_TAKEN_OVER, false },
		{ "given on by its gateway", SECOND, RESERVATION_LOAD_TAKEN_OVER,
		  RESERVATION_LOAD_HANDED_OVER, true },
		{ "two others died", ELSEWHERE, RESERVATION_LOAD_TAKEN_OVER,
		  RESERVATION_LOAD_TAKEN_OVER, true },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		TEST_ROW("%s", rows[i].name);
		AUTO_KEEPER struct keeper first_keeper, keeper;
		keeper_init(&first_keeper);
		keeper_init(&keeper);
		AUTO(rig) struct rig *first = rig_new_kept(512, 100, &first_keeper.keeper);
		AUTO(rig) struct rig *second = rig_new_kept(512, 100, &keeper.keeper);
		AUTO(rig) struct rig *third = rig_new(512, 100);
		rig_reload(first, NULL, RESERVATION_LOAD_HANDED_OVER, 1);
		struct nexus *session = session_of_third(first, rows[i].session == FIRST);
		command_fill(&c, session, CDB(0x16, 0, 0, 0, 0, 0), 0);
		c.task.epoch = 1;
		command_start(&c, NULL);
		rig_turn(first);
		assert_good(&c);

		struct nexus *moved = session_of_third(second, rows[i].session == SECOND);
		rig_reload(second, first_keeper.row, rows[i].second, 2);
		const char *row = keeper.row ? keeper.row : first_keeper.row;
		rig_reload(third, row, rows[i].third, 3);
		ASSERT_EQ(is_allowed(third, B, true), !rows[i].left);
		rig_stop(first, session);
		rig_stop(second, moved);
	}
}

/* Who takes the LUN may give it back, or die, before it has loaded anything. */
TEST(who_takes_a_lun_writes_down_what_lives_on_before_it_loads_it)
{
	static const struct {
		const char *name;
		bool here; /* the session, at the first owner */
		enum reservation_load second, third;
		bool left;
	} rows[] = {
		{ "taken over, given back", true, RESERVATION_LOAD_TAKEN_OVER,
		  RESERVATION_LOAD_HANDED_OVER, false },
		{ "of a session elsewhere", false, RESERVATION_LOAD_TAKEN_OVER,
		  RESERVATION_LOAD_HANDED_OVER, true },
		{ "given, then dead", true, RESERVATION_LOAD_HANDED_OVER,
		  RESERVATION_LOAD_TAKEN_OVER, true },
		{ "power loss, given back", false, RESERVATION_LOAD_POWER_LOSS,
		  RESERVATION_LOAD_HANDED_OVER, false },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		TEST_ROW("%s", rows[i].name);
		AUTO_KEEPER struct keeper keeper;
		keeper_init(&keeper);
		AUTO(rig) struct rig *first = rig_new_kept(512, 100, &keeper.keeper);
		AUTO(rig) struct rig *third = rig_new(512, 100);
		rig_reload(first, NULL, RESERVATION_LOAD_HANDED_OVER, 1);
		struct nexus *session = session_of_third(first, rows[i].here);
		command_fill(&c, session, CDB(0x16, 0, 0, 0, 0, 0), 0);
		c.task.epoch = 1;
		command_start(&c, NULL);
		rig_turn(first);
		assert_good(&c);
		AUTO_FREE char *second = NULL, *last = NULL;
		struct error err;
		ASSERT_EQ(reservation_text_take(keeper.row, &(uint64_t){ 2 }, rows[i].second,
		                                &second, &err),
		          0);
		ASSERT_EQ(
		        reservation_text_take(second, &(uint64_t){ 3 }, rows[i].third, &last, &err),
		        0);
		rig_reload(third, last, rows[i].third, 3);
		ASSERT_EQ(is_allowed(third, B, true), !rows[i].left);
		rig_stop(first, session);
	}
}

TEST(what_the_dead_owner_did_not_tell_is_told_by_the_next_one_even_to_who_comes_late)
{
	AUTO_KEEPER struct keeper keeper, next_keeper;
	keeper_init(&keeper);
	keeper_init(&next_keeper);
	AUTO(rig) struct rig *rig = rig_new_kept(512, 100, &keeper.keeper);
	AUTO(rig) struct rig *next = rig_new_kept(512, 100, &next_keeper.keeper);
	struct nexus *third = rig_nexus(rig, 0, "iqn.2000-01.test:third", 3);
	order_start(&c, third, REGISTER, 0, 0, 0x33, 0);
	rig_turn(rig);
	order_run(rig, &c, B, REGISTER, 0, 0, 0x22);
	order_run(rig, &c, A, REGISTER, 0, 0, 0x11);
	order_run(rig, &c, A, CLEAR, 0, 0x11, 0);
	assert_good(&c);
	rig_reload(next, keeper.row, RESERVATION_LOAD_TAKEN_OVER, 2);
	ASSERT_EQ(attention_of(next, next->nexuses[A]), 0);
	ASSERT_EQ(attention_of(next, next->nexuses[B]), 0x062a03);
	ASSERT_EQ(attention_of(next, next->nexuses[B]), 0);

	struct nexus *late = new_third(next, "iqn.2000-01.test:third", false);
	ASSERT_EQ(attention_of(next, late), 0x062901);
	ASSERT_EQ(attention_of(next, late), 0x062a03);
	ASSERT_EQ(attention_of(next, late), 0);
	ASSERT_NULL(strstr(next_keeper.row, "\"code\""));
	rig_stop(next, late);
	rig_stop(rig, third);
}

/* Its session is at a gateway that has forwarded nothing of it since the LUN has a new owner. */
TEST(who_lost_its_registration_before_its_first_command_to_a_new_owner_is_told_then)
{
	static const struct {
		enum order_action action;
		uint32_t code;
	} rows[] = {
		{ PREEMPT, 0x062a05 },
		{ PREEMPT_AND_ABORT, 0x062a05 },
		{ CLEAR, 0x062a03 },
		{ RELEASE, 0x062a04 },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		TEST_ROW("action %d", rows[i].action);
		AUTO_KEEPER struct keeper keeper, next_keeper;
		keeper_init(&keeper);
		keeper_init(&next_keeper);
		AUTO(rig) struct rig *rig = rig_new_kept(512, 100, &keeper.keeper);
		AUTO(rig) struct rig *next = rig_new_kept(512, 100, &next_keeper.keeper);
		struct nexus *far = rig_nexus(rig, 0, "iqn.2000-01.test:far", 3);
		order_start(&c, far, REGISTER, 0, 0, 0x33, 0);
		rig_turn(rig);
		order_run(rig, &c, A, REGISTER, 0, 0, 0x11);
		order_run(rig, &c, A, RESERVE, 6, 0x11, 0);
		assert_good(&c);
		rig_reload(next, keeper.row, RESERVATION_LOAD_TAKEN_OVER, 2);
		order_run(next, &c, A, rows[i].action, 6, 0x11, 0x33);
		assert_good(&c);

		struct nexus *proxy = new_third(next, "iqn.2000-01.test:far", true);
		forwarded_read(next, proxy, 2);
		assert_sense(&c, rows[i].code);
		forwarded_read(next, proxy, 2);
		bool registered = rows[i].action == RELEASE;
		assert_status(&c, registered || rows[i].action == CLEAR
		                          ? SCSI_GOOD
		                          : SCSI_RESERVATION_CONFLICT);
		ASSERT_NULL(strstr(next_keeper.row, "\"code\""));
		rig_stop(next, proxy);
		rig_stop(rig, far);
	}
}

/* It is followed by another one of its name before it is over. */
TEST(a_reserve_6_ends_with_its_session_also_after_a_hand_over)
{
	for (unsigned late = 0; late < 2; late++) {
		TEST_ROW("it comes to the new owner late: %u", late);
		AUTO_KEEPER struct keeper keeper, next_keeper;
		keeper_init(&keeper);
		keeper_init(&next_keeper);
		AUTO(rig) struct rig *rig = rig_new_kept(512, 100, &keeper.keeper);
		AUTO(rig) struct rig *next = rig_new_kept(512, 100, &next_keeper.keeper);
		struct nexus *far = rig_nexus(rig, 0, "iqn.2000-01.test:far", 3);
		command_fill(&c, far, CDB(0x16, 0, 0, 0, 0, 0), 0);
		command_start(&c, NULL);
		rig_turn(rig);
		assert_good(&c);
		struct nexus *first = late ? NULL : new_third(next, "iqn.2000-01.test:far", true);
		rig_reload(next, keeper.row, RESERVATION_LOAD_HANDED_OVER, 2);
		if (late)
			first = new_third(next, "iqn.2000-01.test:far", true);
		forwarded_read(next, first, 2);
		assert_good(&c);
		next->fake->hold = true;
		command_fill(&d, first, CDB(0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0), 512);
		d.task.epoch = 2;
		command_start(&d, NULL);
		rig_turn(next);
		struct nexus *second = new_third(next, "iqn.2000-01.test:far", true);
		next->ended = false;
		nexus_stop(first, set_flag, &next->ended);
		rig_turn(next);
		ASSERT_FALSE(next->ended);
		next->fake->hold = false;
		fake_complete(next->fake, 0);
		rig_turn(next);
		ASSERT_TRUE(next->ended);
		nexus_free(first);
		ASSERT_TRUE(is_allowed(next, A, true));
		ASSERT_NULL(strstr(next_keeper.row, "reserve6"));
		rig_stop(next, second);
		rig_stop(rig, far);
	}
}

/* Registered at one target port for all of them, it may come by any. */
TEST(who_is_registered_for_all_target_ports_is_told_at_each_that_it_comes_by)
{
	AUTO_KEEPER struct keeper keeper;
	keeper_init(&keeper);
	AUTO(rig) struct rig *rig = rig_new_kept(512, 100, &keeper.keeper);
	const struct port_group groups[] = { { 1, ALUA_OPTIMIZED },
		                             { 2, ALUA_NON_OPTIMIZED },
		                             { 3, ALUA_NON_OPTIMIZED } };
	ASSERT_EQ(lun_set_port_groups(rig->lun, groups, ARRAY_LEN(groups)), 0);
	struct nexus *third = new_third(rig, "iqn.2000-01.test:far", true);
	order_start(&c, third, REGISTER, 0, 0, 0x33, 0x04); /* ALL_TG_PT */
	c.task.epoch = 0;
	rig_turn(rig);
	assert_good(&c);
	order_run(rig, &c, A, REGISTER, 0, 0, 0x11);
	assert_good(&c);
	order_run(rig, &c, A, PREEMPT, 6, 0x11, 0x33);
	assert_good(&c);
	struct scsi_port port = rig->port;
	for (uint16_t tag = 2; tag <= 3; tag++) {
		TEST_ROW("tag %u", tag);
		rig->port.tag = tag;
		struct nexus *other = new_third(rig, "iqn.2000-01.test:far", true);
		forwarded_read(rig, other, 0);
		assert_sense(&c, 0x062a05);
		forwarded_read(rig, other, 0);
		assert_good(&c);
		rig_stop(rig, other);
	}
	rig->port = port;
	forwarded_read(rig, third, 0);
	assert_sense(&c, 0x062a05);
	forwarded_read(rig, third, 0);
	assert_good(&c);
	ASSERT_NULL(strstr(keeper.row, "\"code\""));
	rig_stop(rig, third);
}

/* Its session is at a gateway that was the owner when that happened. */
TEST(who_lost_its_registration_while_it_was_away_is_told_by_the_present_owner_alone)
{
	AUTO_KEEPER struct keeper keeper;
	keeper_init(&keeper);
	AUTO(rig) struct rig *rig = rig_new_kept(512, 100, &keeper.keeper);
	struct nexus *third = new_third(rig, "iqn.2000-01.test:third", false);
	ASSERT_EQ(attention_of(rig, third), 0x062901);
	order_start(&c, third, REGISTER, 0, 0, 0x33, 0);
	rig_turn(rig);
	assert_good(&c);
	rig_stop(rig, third);
	order_run(rig, &c, A, REGISTER, 0, 0, 0x11);
	order_run(rig, &c, A, PREEMPT, 6, 0x11, 0x33);
	assert_good(&c);
	ASSERT_NOT_NULL(strstr(keeper.row, "\"code\""));
	rig_leave(rig, LUN_HELD);
	rig_forward(rig, 7, 5);
	third = new_third(rig, "iqn.2000-01.test:third", false);
	ASSERT_EQ(attention_of(rig, third), 0x062901);
	command_fill(&c, third, CDB(0, 0, 0, 0, 0, 0), 0);
	command_start(&c, NULL);
	rig_turn(rig);
	ASSERT_EQ(c.done, 0);
	ASSERT_EQ(rig->relay.task_count, 1);
	fake_relay_answer(&rig->relay, 0, SCSI_GOOD, 0);
	rig_stop(rig, third);
}

static void reset(struct rig *rig)
{
	static struct command_management request;
	manage(&request, rig->nexuses[B], TMF_LUN_RESET, NULL);
	rig_turn(rig);
	ASSERT_EQ(request.tmf.response, TMF_COMPLETE);
}

/* It would write on as if nobody else could have written meanwhile. */
TEST(who_lost_its_reserve_6_by_a_reset_before_its_first_command_to_an_owner_is_told_then)
{
	for (unsigned owners = 1; owners <= 2; owners++) {
		TEST_ROW("owners since the reset: %u", owners);
		AUTO_KEEPER struct keeper keeper, next_keeper, last_keeper;
		keeper_init(&keeper);
		keeper_init(&next_keeper);
		keeper_init(&last_keeper);
		AUTO(rig) struct rig *rig = rig_new_kept(512, 100, &keeper.keeper);
		AUTO(rig) struct rig *next = rig_new_kept(512, 100, &next_keeper.keeper);
		AUTO(rig) struct rig *last = rig_new_kept(512, 100, &last_keeper.keeper);
		struct nexus *far = rig_nexus(rig, 0, "iqn.2000-01.test:far", 3);
		command_fill(&c, far, CDB(0x16, 0, 0, 0, 0, 0), 0);
		command_start(&c, NULL);
		rig_turn(rig);
		assert_good(&c);
		rig_reload(next, keeper.row, RESERVATION_LOAD_HANDED_OVER, 2);
		ASSERT_FALSE(is_allowed(next, A, true));
		reset(next);
		struct rig *owner = next;
		if (owners == 2) {
			rig_reload(last, next_keeper.row, RESERVATION_LOAD_TAKEN_OVER, 3);
			owner = last;
		}
		struct nexus *proxy = new_third(owner, "iqn.2000-01.test:far", true);
		forwarded_read(owner, proxy, owners + 1);
		assert_sense(&c, 0x062a04);
		forwarded_read(owner, proxy, owners + 1);
		assert_good(&c);
		rig_stop(owner, proxy);
		rig_stop(rig, far);
	}
}

/* Who was here heard of the reset, and nothing else. */
TEST(who_lost_its_reserve_6_by_a_reset_is_told_once)
{
	AUTO_KEEPER struct keeper keeper;
	keeper_init(&keeper);
	AUTO(rig) struct rig *rig = rig_new_kept(512, 100, &keeper.keeper);
	RUN(rig, &c, CDB(0x16, 0, 0, 0, 0, 0), 0, NULL);
	assert_good(&c);
	reset(rig);
	ASSERT_NOT_NULL(strstr(keeper.row, "\"code\""));
	ASSERT_EQ(attention_of(rig, rig->nexuses[A]), 0x062903);
	ASSERT_EQ(attention_of(rig, rig->nexuses[A]), 0);
	ASSERT_NULL(strstr(keeper.row, "\"code\""));
}

TEST(a_text_that_is_not_right_changes_nothing)
{
	AUTO_KEEPER struct keeper keeper;
	keeper_init(&keeper);
	AUTO(rig) struct rig *rig = rig_new_kept(512, 100, &keeper.keeper);
	order_run(rig, &c, A, REGISTER, 0, 0, 0x11);
	AUTO_FREE char *before = lun_format_reservations(rig->lun);
	rig_reload(rig, before, RESERVATION_LOAD_HANDED_OVER, 4);
	rig->ended = false;
	struct error err = { 0 };
	AUTO_FREE char *taken = NULL;
	ASSERT_EQ(reservation_text_take("{", &(uint64_t){ 4 }, RESERVATION_LOAD_HANDED_OVER, &taken,
	                                &err),
	          -EBADMSG);
	rig_reload(rig, before, RESERVATION_LOAD_HANDED_OVER, 4);
	ask(rig, &c, A, 0);
	ASSERT_EQ(get_be32(c.in + 4), 8);
}

TEST(who_takes_it_is_later_than_what_stands_there)
{
	static const struct {
		uint64_t known, taken;
	} rows[] = { { 4, 8 }, { 6, 8 }, { 7, 7 }, { 8, 8 }, { 9, 9 } };
	struct error err = { 0 };
	AUTO_FREE char *before = NULL;
	ASSERT_EQ(reservation_text_take(NULL, &(uint64_t){ 7 }, RESERVATION_LOAD_HANDED_OVER,
	                                &before, &err),
	          0);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		TEST_ROW("%llu", (unsigned long long)rows[i].known);
		AUTO_FREE char *text = NULL;
		uint64_t epoch = rows[i].known;
		ASSERT_EQ(reservation_text_take(before, &epoch, RESERVATION_LOAD_HANDED_OVER, &text,
		                                &err),
		          0);
		ASSERT_EQ(epoch, rows[i].taken);
		struct reservation_text parsed;
		ASSERT_EQ(reservation_text_parse(text, &parsed, &err), 0);
		ASSERT_EQ(parsed.epoch, epoch);
		reservation_text_done(&parsed);
	}
}

TEST(none_kept_is_written_down_too)
{
	AUTO_FREE char *text = NULL;
	struct error err;
	ASSERT_EQ(reservation_text_take(NULL, &(uint64_t){ 9 }, RESERVATION_LOAD_HANDED_OVER, &text,
	                                &err),
	          0);
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	rig_reload(rig, text, RESERVATION_LOAD_HANDED_OVER, 9);
	AUTO_FREE char *again = lun_format_reservations(rig->lun);
	ASSERT_STR_EQ(text, again);
	rig_reload(rig, NULL, RESERVATION_LOAD_TAKEN_OVER, 10);
}
