#include "ownership/decide.h"

#include "test.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define LUN         "rbd/disk_1"
#define NOW         1000000
#define MEMBERS_MAX 5
#define RETURN_MS   60000

/* A cluster as one gateway sees it: members in order, the first is "gw-0", the record names the
 * owner by number. */
struct view {
	struct decide_member members[MEMBERS_MAX];
	size_t count;
	struct owner_record record;
	struct decide_input input;
};

static void name_member(struct decide_member *member, int gateway, int life)
{
	(void)snprintf(member->gateway, sizeof member->gateway, "gw-%d", gateway);
	(void)snprintf(member->instance, sizeof member->instance, "i%d-%d", gateway, life);
}

static void view_init(struct view *view, size_t count)
{
	memset(view, 0, sizeof *view);
	view->count = count;
	for (size_t i = 0; i < count; i++) {
		name_member(&view->members[i], (int)i, 1);
		view->members[i].health = MEMBER_UP;
		view->members[i].takes = true;
	}
	view->input = (struct decide_input){
		.lun = LUN,
		.record = &view->record,
		.preferred = "gw-0",
		.members = view->members,
		.member_count = count,
		.now_ms = NOW,
		.return_after_ms = RETURN_MS,
	};
}

static void own(struct view *view, int gateway, int life)
{
	struct decide_member owner;
	name_member(&owner, gateway, life);
	view->record.state = OWNER_ACTIVE;
	view->record.epoch = 7;
	(void)snprintf(view->record.gateway, sizeof view->record.gateway, "%s", owner.gateway);
	(void)snprintf(view->record.instance, sizeof view->record.instance, "%s", owner.instance);
}

static void assert_decision(const struct view *view, enum decision decision, size_t member,
                            uint64_t again_ms)
{
	struct decision_result result = { 0 };
	decide(&view->input, &result);
	ASSERT_EQ(result.decision, decision);
	if (decision == DECIDE_FORWARD || decision == DECIDE_HAND_OVER)
		ASSERT_EQ(result.member, member);
	ASSERT_EQ(result.again_ms, again_ms);
	ASSERT_NOT_NULL(result.why);
}

/* ---- ours ---- */

TEST(what_is_ours_is_served)
{
	struct view view;
	view_init(&view, 3);
	own(&view, 0, 1);
	assert_decision(&view, DECIDE_SERVE, 0, 0);
	view.input.preferred = "gw-unknown";
	assert_decision(&view, DECIDE_SERVE, 0, 0);
	view.input.preferred = NULL;
	assert_decision(&view, DECIDE_SERVE, 0, 0);
}

TEST(it_returns_to_the_preferred_owner_when_that_has_been_healthy_long_enough)
{
	struct view view;
	view_init(&view, 3);
	own(&view, 0, 1);
	view.input.preferred = "gw-2";
	view.members[2].up_since_ms = NOW - RETURN_MS + 1;
	assert_decision(&view, DECIDE_SERVE, 0, NOW + 1);
	view.members[2].up_since_ms = NOW - RETURN_MS;
	assert_decision(&view, DECIDE_HAND_OVER, 2, 0);
	struct decision_result result;
	decide(&view.input, &result);
	ASSERT_STR_EQ(result.why, "return");
	view.input.requested = true;
	decide(&view.input, &result);
	ASSERT_STR_EQ(result.why, "request");
	/* People wait until it has had the time to open its images, and no longer. */
	view.members[2].up_since_ms = NOW - 2999;
	assert_decision(&view, DECIDE_SERVE, 0, NOW + 1);
	view.members[2].up_since_ms = NOW - 3000;
	assert_decision(&view, DECIDE_HAND_OVER, 2, 0);
	view.members[2].up_since_ms = NOW;
	view.input.return_after_ms = 0;
	assert_decision(&view, DECIDE_HAND_OVER, 2, 0);
	view.input.return_after_ms = RETURN_MS;
	view.members[2].takes = false;
	assert_decision(&view, DECIDE_SERVE, 0, 0);
	view.members[2].takes = true;
	view.members[2].health = MEMBER_SUSPECT;
	assert_decision(&view, DECIDE_SERVE, 0, 0);
}

TEST(what_cannot_be_served_here_is_given_to_another_one)
{
	struct view view;
	struct decision_result result;
	view_init(&view, 3);
	own(&view, 0, 1);
	view.input.fails_since_ms = NOW - 9999;
	assert_decision(&view, DECIDE_SERVE, 0, NOW + 1);
	view.input.fails_since_ms = NOW - 10000;
	view.input.preferred = "gw-2";
	assert_decision(&view, DECIDE_HAND_OVER, 2, 0);
	decide(&view.input, &result);
	ASSERT_STR_EQ(result.why, "not served there");
	/* Nobody else could. */
	view.members[1].takes = view.members[2].takes = false;
	assert_decision(&view, DECIDE_SERVE, 0, 0);
	/* Not in turn: the one before could not serve it either. */
	view.members[1].takes = true;
	(void)snprintf(view.record.why, sizeof view.record.why, "not served there");
	assert_decision(&view, DECIDE_SERVE, 0, NOW + 50000);
	view.input.fails_since_ms = NOW - 60000;
	assert_decision(&view, DECIDE_HAND_OVER, 1, 0);
}

TEST(what_its_preferred_owner_could_not_serve_returns_when_it_has_been_here_long_enough)
{
	struct view view;
	struct decision_result result;
	view_init(&view, 3);
	view.input.preferred = "gw-2";
	view.record = (struct owner_record){ .state = OWNER_CLEAN, .epoch = 6 };
	(void)snprintf(view.record.next, sizeof view.record.next, "gw-0");
	(void)snprintf(view.record.why, sizeof view.record.why, "not served there");
	view.input.seen_ms = NOW;
	decide(&view.input, &result);
	ASSERT_EQ(result.decision, DECIDE_TAKE);
	ASSERT_STR_EQ(result.why, "not served there");
	own(&view, 0, 1);
	assert_decision(&view, DECIDE_SERVE, 0, NOW + RETURN_MS);
	view.input.now_ms = NOW + RETURN_MS;
	assert_decision(&view, DECIDE_HAND_OVER, 2, 0);
}

/* Its initiators cannot reach that one by the gateway that asked. */
TEST(what_was_asked_for_returns_when_it_has_been_here_long_enough)
{
	struct view view;
	view_init(&view, 3);
	view.input.preferred = "gw-2";
	view.record = (struct owner_record){ .state = OWNER_CLEAN, .epoch = 6 };
	(void)snprintf(view.record.next, sizeof view.record.next, "gw-0");
	(void)snprintf(view.record.why, sizeof view.record.why, "asked for");
	view.input.seen_ms = NOW;
	struct decision_result result;
	decide(&view.input, &result);
	ASSERT_EQ(result.decision, DECIDE_TAKE);
	ASSERT_STR_EQ(result.why, "asked for");
	own(&view, 0, 1);
	(void)snprintf(view.record.why, sizeof view.record.why, "asked for from gw-2");
	assert_decision(&view, DECIDE_SERVE, 0, NOW + RETURN_MS);
	view.input.now_ms = NOW + RETURN_MS;
	assert_decision(&view, DECIDE_HAND_OVER, 2, 0);
	view.input.now_ms = NOW;
	view.input.requested = true; /* people want it there */
	assert_decision(&view, DECIDE_HAND_OVER, 2, 0);
}

TEST(who_takes_nothing_hands_over_to_the_preferred_owner_or_the_heir)
{
	struct view view;
	view_init(&view, 3);
	own(&view, 0, 1);
	view.members[0].takes = false;
	size_t heir = decide_heir(LUN, view.members, 3);
	ASSERT_NE(heir, 0);
	assert_decision(&view, DECIDE_HAND_OVER, heir, 0);
	for (size_t other = 1; other < 3; other++) {
		view.input.preferred = view.members[other].gateway;
		assert_decision(&view, DECIDE_HAND_OVER, other, 0);
	}
	view.members[2].takes = false;
	assert_decision(&view, DECIDE_HAND_OVER, 1, 0);
	view.members[1].health = MEMBER_UNREACHABLE;
	assert_decision(&view, DECIDE_SERVE, 0, 0); /* nobody else: better here than nowhere */
}

TEST(what_our_former_life_had_is_taken_again)
{
	struct view view;
	view_init(&view, 2);
	own(&view, 0, 0);
	assert_decision(&view, DECIDE_TAKE, 0, 0);
	view.members[0].takes = false;
	view.input.commands_wait = true;
	assert_decision(&view, DECIDE_HOLD, 0, 0);
}

/* ---- a peer's ---- */

TEST(what_a_peer_has_depends_on_its_health)
{
	static const struct {
		enum member_health health;
		int life; /* of the member; the record's is 1 */
		enum decision decision;
	} rows[] = {
		{ MEMBER_ABSENT, 1, DECIDE_HOLD },
		{ MEMBER_CONNECTING, 1, DECIDE_HOLD },
		{ MEMBER_UP, 1, DECIDE_FORWARD },
		{ MEMBER_SUSPECT, 1, DECIDE_HOLD },
		{ MEMBER_UNREACHABLE, 1, DECIDE_UNAVAILABLE },
		{ MEMBER_UP, 2, DECIDE_HOLD }, /* superseded: nobody has fenced the one before */
		{ MEMBER_FENCED, 2, DECIDE_HOLD },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		for (int waiting = 0; waiting < 2; waiting++) {
			TEST_ROW("%zu, waiting %d", i, waiting);
			struct view view;
			view_init(&view, 2);
			own(&view, 1, 1);
			name_member(&view.members[1], 1, rows[i].life);
			view.members[1].health = rows[i].health;
			view.input.commands_wait = waiting;
			assert_decision(&view, rows[i].decision, 1, 0);
		}
}

TEST(an_owner_out_of_reach_gets_the_time_to_give_back_what_it_does_not_use)
{
	static const struct demand_moves none = { 0 };
	struct view view;
	view_init(&view, 2);
	own(&view, 1, 1);
	view.members[1].health = MEMBER_UNREACHABLE;
	for (int on_demand = 0; on_demand < 2; on_demand++) {
		view.input.on_demand = on_demand ? &none : NULL;
		view.members[1].since_ms = NOW - 999;
		assert_decision(&view, DECIDE_HOLD, 1, NOW + 1);
		view.members[1].since_ms = NOW - 1000;
		assert_decision(&view, DECIDE_UNAVAILABLE, 1, 0);
	}
}

TEST(a_former_instance_that_was_fenced_stands_beside_its_successor)
{
	struct view view;
	view_init(&view, 3);
	own(&view, 1, 1);
	name_member(&view.members[1], 1, 2);
	name_member(&view.members[2], 1, 1);
	view.members[2].health = MEMBER_FENCED;
	view.members[2].takes = false;
	view.input.commands_wait = true;
	assert_decision(&view, DECIDE_TAKE, 0, 0);
}

TEST(what_a_fenced_peer_had_is_the_heirs_or_his_whose_commands_wait)
{
	struct view view;
	view_init(&view, 3);
	own(&view, 1, 1);
	view.members[1].health = MEMBER_FENCED;
	view.members[1].since_ms = NOW - 10;
	bool heir = decide_heir(LUN, view.members, 3) == 0;
	assert_decision(&view, heir ? DECIDE_TAKE : DECIDE_HOLD, 0, heir ? 0 : NOW + 990);
	view.input.commands_wait = true;
	assert_decision(&view, DECIDE_TAKE, 0, 0);
	view.input.commands_wait = false;
	view.members[1].since_ms = NOW - 1000;
	assert_decision(&view, DECIDE_TAKE, 0, 0);
	view.members[0].takes = false;
	view.input.commands_wait = true;
	assert_decision(&view, DECIDE_HOLD, 0, 0);
}

/* ---- nobody's ---- */

TEST(what_is_nobodys_goes_to_the_one_it_was_handed_to_for_a_second)
{
	struct view view;
	view_init(&view, 3);
	view.record.state = OWNER_CLEAN;
	view.input.seen_ms = NOW - 100;
	(void)strcpy(view.record.next, "gw-0");
	view.input.preferred = "gw-1";
	assert_decision(&view, DECIDE_TAKE, 0, 0);
	(void)strcpy(view.record.next, "gw-2");
	view.input.preferred = "gw-0";
	assert_decision(&view, DECIDE_HOLD, 0, NOW + 900);
	view.members[2].health = MEMBER_SUSPECT;
	assert_decision(&view, DECIDE_TAKE, 0, 0);
	view.members[2].health = MEMBER_UP;
	view.input.seen_ms = NOW - 1000;
	assert_decision(&view, DECIDE_TAKE, 0, 0);
}

TEST(what_is_nobodys_waits_five_seconds_for_a_preferred_owner_that_may_be_starting)
{
	static const enum member_health starting[] = { MEMBER_ABSENT, MEMBER_CONNECTING };
	for (size_t i = 0; i < ARRAY_LEN(starting) + 1; i++) {
		struct view view;
		view_init(&view, 2);
		view.input.preferred = i < ARRAY_LEN(starting) ? "gw-1" : "gw-unknown";
		view.input.start_ms = view.input.seen_ms = NOW - 1000;
		view.members[1].takes = false;
		if (i < ARRAY_LEN(starting))
			view.members[1].health = starting[i];
		assert_decision(&view, DECIDE_HOLD, 0, NOW + 4000);
		view.input.commands_wait = true;
		assert_decision(&view, DECIDE_HOLD, 0, NOW + 500);
		view.input.seen_ms = NOW - 1500;
		assert_decision(&view, DECIDE_TAKE, 0, 0);
		view.input.commands_wait = false;
		view.input.start_ms = NOW - 5000;
		assert_decision(&view, DECIDE_TAKE, 0, 0);
	}
}

TEST(what_is_nobodys_is_taken_here_if_commands_wait_and_the_candidate_does_not_come)
{
	struct view view;
	view_init(&view, 2);
	view.input.preferred = "gw-1";
	view.input.seen_ms = NOW - 499;
	assert_decision(&view, DECIDE_HOLD, 0, 0);
	view.input.commands_wait = true;
	assert_decision(&view, DECIDE_HOLD, 0, NOW + 1);
	view.input.seen_ms = NOW - 500;
	assert_decision(&view, DECIDE_TAKE, 0, 0);
	view.members[0].takes = false;
	assert_decision(&view, DECIDE_HOLD, 0, 0);
}

TEST(who_takes_nothing_takes_nothing_even_alone)
{
	struct view view;
	view_init(&view, 1);
	view.members[0].takes = false;
	view.input.commands_wait = true;
	assert_decision(&view, DECIDE_HOLD, 0, 0);
	own(&view, 1, 1);
	assert_decision(&view, DECIDE_HOLD, 0, 0);
}

/* ---- on demand: beside upstream gateways ---- */

static void offer(struct view *view, const struct demand_moves *moves, bool commands_wait)
{
	view->input.on_demand = moves;
	view->input.commands_wait = commands_wait;
}

TEST(on_demand_nobodys_lun_is_taken_only_when_commands_wait_for_it)
{
	static const struct demand_moves none = { 0 };
	static const char *const preferred[] = { "gw-0", "gw-1", "upstream-1" };
	static const enum owner_state states[] = { OWNER_NONE, OWNER_CLEAN };
	struct view view;
	for (size_t i = 0; i < ARRAY_LEN(preferred); i++) {
		for (size_t j = 0; j < ARRAY_LEN(states); j++) {
			TEST_ROW("preferred %s, state %d", preferred[i], states[j]);
			view_init(&view, 2);
			view.input.preferred = preferred[i];
			view.record.state = states[j];
			offer(&view, &none, false);
			assert_decision(&view, DECIDE_OFFER, 0, 0);
			view.input.start_ms = NOW - 100; /* nobody is waited for */
			offer(&view, &none, true);
			assert_decision(&view, DECIDE_TAKE, 0, 0);
			view.members[0].takes = false;
			assert_decision(&view, DECIDE_STAND_BY, 0, 0);
		}
	}
}

TEST(on_demand_what_is_ours_stays_until_the_lock_is_lost)
{
	static const struct demand_moves none = { 0 };
	struct view view;
	view_init(&view, 2);
	own(&view, 0, 1);
	view.input.preferred = "gw-1"; /* healthy for ever: it does not go back to it */
	view.input.serves = true;
	offer(&view, &none, false);
	assert_decision(&view, DECIDE_SERVE, 0, 0);
	view.input.serves = false;
	assert_decision(&view, DECIDE_OFFER, 0, 0);
	offer(&view, &none, true);
	assert_decision(&view, DECIDE_TAKE, 0, 0);
	own(&view, 0, 0); /* a former life had it */
	assert_decision(&view, DECIDE_TAKE, 0, 0);
	offer(&view, &none, false);
	assert_decision(&view, DECIDE_OFFER, 0, 0);
	own(&view, 0, 1);
	view.input.serves = true;
	view.members[0].takes = false; /* stopped, drained: not handed to anybody */
	assert_decision(&view, DECIDE_STAND_BY, 0, 0);
}

TEST(on_demand_a_living_peers_lun_is_forwarded_and_a_dead_ones_waits_for_a_command)
{
	static const struct {
		enum member_health health;
		enum decision idle, waiting;
	} rows[] = {
		{ MEMBER_UP, DECIDE_FORWARD, DECIDE_FORWARD },
		{ MEMBER_CONNECTING, DECIDE_HOLD, DECIDE_HOLD },
		{ MEMBER_SUSPECT, DECIDE_HOLD, DECIDE_HOLD },
		{ MEMBER_UNREACHABLE, DECIDE_UNAVAILABLE, DECIDE_UNAVAILABLE },
		{ MEMBER_FENCED, DECIDE_OFFER, DECIDE_TAKE },
	};
	static const struct demand_moves none = { 0 };
	struct view view;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		TEST_ROW("%zu", i);
		view_init(&view, 2);
		own(&view, 1, 1);
		view.members[1].health = rows[i].health;
		view.members[1].since_ms = NOW - 5000;
		offer(&view, &none, false);
		assert_decision(&view, rows[i].idle, 1, 0);
		offer(&view, &none, true);
		assert_decision(&view, rows[i].waiting, 1, 0);
	}
}

TEST(on_demand_three_moves_in_ten_seconds_are_followed_by_two_of_rest)
{
	static const struct {
		uint64_t at_ms[DEMAND_MOVES]; /* before NOW, the latest first; 0: none */
		uint64_t rest_ms;
	} rows[] = {
		{ { 0, 0, 0 }, 0 },          { { 10, 0, 0 }, 0 },
		{ { 10, 20, 0 }, 0 },        { { 10, 20, 30 }, 1990 },
		{ { 1, 2, 3 }, 1999 },       { { 1999, 2000, 9000 }, 1 },
		{ { 2000, 3000, 4000 }, 0 }, { { 10, 5000, 10009 }, 1990 },
		{ { 10, 5000, 10010 }, 0 },  { { 10, 20, 60000 }, 0 },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct demand_moves moves = { 0 };
		struct view view;
		TEST_ROW("%zu", i);
		for (size_t j = DEMAND_MOVES; j-- > 0;)
			if (rows[i].at_ms[j])
				demand_note_move(&moves, NOW - rows[i].at_ms[j]);
		uint64_t until_ms = rows[i].rest_ms ? NOW + rows[i].rest_ms : 0;
		ASSERT_EQ(demand_keep_until_ms(&moves, NOW), until_ms);
		view_init(&view, 1);
		offer(&view, &moves, true);
		assert_decision(&view, until_ms ? DECIDE_KEEP_OFF : DECIDE_TAKE, 0, until_ms);
		view.input.commands_wait = false;
		assert_decision(&view, until_ms ? DECIDE_KEEP_OFF : DECIDE_OFFER, 0, until_ms);
		own(&view, 0, 1); /* what is ours is not given up for that */
		view.input.serves = true;
		assert_decision(&view, DECIDE_SERVE, 0, 0);
	}
}

/* Whatever an upstream gateway does in answer, a LUN is not taken more often than every two seconds
 * for long. */
TEST(on_demand_two_that_always_want_it_move_it_once_in_two_seconds)
{
	struct demand_moves moves = { 0 };
	struct view view;
	unsigned taken = 0;
	view_init(&view, 1);
	for (uint64_t now_ms = NOW; now_ms < NOW + 60000; now_ms += 10) {
		struct decision_result result;
		offer(&view, &moves, true);
		view.input.now_ms = now_ms;
		decide(&view.input, &result);
		if (result.decision != DECIDE_TAKE)
			continue;
		taken++;
		demand_note_move(&moves, now_ms);
		demand_note_move(&moves, now_ms + 5); /* and lost at once */
	}
	ASSERT_TRUE(taken <= 32);
	ASSERT_TRUE(taken >= 28);
}

/* ---- the heir ---- */

TEST(an_heir_is_the_same_in_any_order_and_only_what_a_lost_one_had_moves)
{
	int shares[MEMBERS_MAX] = { 0 };
	for (int lun = 0; lun < 1000; lun++) {
		char name[32];
		struct view view;
		view_init(&view, MEMBERS_MAX);
		(void)snprintf(name, sizeof name, "rbd/disk_%d", lun);
		size_t heir = decide_heir(name, view.members, MEMBERS_MAX);
		shares[heir]++;
		struct decide_member turned[MEMBERS_MAX];
		for (size_t i = 0; i < MEMBERS_MAX; i++)
			turned[i] = view.members[(i + 2) % MEMBERS_MAX];
		ASSERT_STR_EQ(turned[decide_heir(name, turned, MEMBERS_MAX)].gateway,
		              view.members[heir].gateway);
		size_t lost = (size_t)lun % MEMBERS_MAX;
		view.members[lost].health = MEMBER_FENCED;
		size_t after = decide_heir(name, view.members, MEMBERS_MAX);
		ASSERT_NE(after, lost);
		if (lost != heir)
			ASSERT_EQ(after, heir);
	}
	for (size_t i = 0; i < MEMBERS_MAX; i++)
		ASSERT_TRUE(shares[i] > 140 && shares[i] < 260);
	ASSERT_EQ(decide_heir(LUN, NULL, 0), SIZE_MAX);
}

/* ---- all gateways together ---- */

static uint64_t random_state = 88172645463325252;
static unsigned random_below(unsigned limit)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (unsigned)((random_state >> 20) % limit);
}

/* A cluster on which all agree: who lives (UP) and takes, who is fenced or still asked. */
struct world {
	struct decide_member members[MEMBERS_MAX];
	size_t count;
	struct owner_record record;
	char lun[32], preferred[16];
	uint64_t now_ms;
	bool commands_wait;
};

static void world_make(struct world *world)
{
	static const enum member_health dead[] = { MEMBER_FENCED, MEMBER_ABSENT };
	memset(world, 0, sizeof *world);
	world->count = 2 + random_below(MEMBERS_MAX - 1);
	world->now_ms = NOW;
	for (size_t i = 0; i < world->count; i++) {
		struct decide_member *member = &world->members[i];
		name_member(member, (int)i, 1);
		member->health =
		        i == 0 || random_below(3) ? MEMBER_UP : dead[random_below(ARRAY_LEN(dead))];
		member->takes = member->health == MEMBER_UP && (i == 0 || random_below(4));
		member->since_ms = NOW - random_below(900);
		member->up_since_ms = NOW - random_below(2 * RETURN_MS);
	}
	(void)snprintf(world->lun, sizeof world->lun, "rbd/disk_%u", random_below(1000));
	(void)snprintf(world->preferred, sizeof world->preferred, "gw-%u",
	               random_below((unsigned)world->count + 1));
	world->record.state = random_below(3);
	world->record.epoch = world->record.state == OWNER_NONE ? 0 : 7;
	if (world->record.state == OWNER_NONE)
		return;
	struct decide_member owner;
	name_member(&owner, (int)random_below((unsigned)world->count), 1);
	(void)strcpy(world->record.gateway, owner.gateway);
	(void)strcpy(world->record.instance, owner.instance);
	if (world->record.state == OWNER_CLEAN && random_below(2))
		(void)snprintf(world->record.next, sizeof world->record.next, "gw-%u",
		               random_below((unsigned)world->count));
}

/* What gateway `at` decides. The result's member is a number of the world. */
static struct decision_result decide_at(const struct world *world, size_t at)
{
	struct decide_member seen[MEMBERS_MAX];
	for (size_t i = 0; i < world->count; i++)
		seen[i] = world->members[(at + i) % world->count];
	struct decide_input input = {
		.lun = world->lun,
		.record = &world->record,
		.preferred = world->preferred,
		.members = seen,
		.member_count = world->count,
		.now_ms = world->now_ms,
		.seen_ms = NOW - 50,
		.start_ms = NOW - 10000,
		.return_after_ms = RETURN_MS,
		.commands_wait = world->commands_wait,
	};
	struct decision_result result;
	decide(&input, &result);
	if (result.member < world->count)
		result.member = (at + result.member) % world->count;
	return result;
}

static size_t owner_of(const struct world *world)
{
	for (size_t i = 0; i < world->count; i++)
		if (strcmp(world->members[i].gateway, world->record.gateway) == 0)
			return i;
	return SIZE_MAX;
}

static void assert_one_answer(const struct world *world)
{
	size_t takers = 0, servers = 0, owner = owner_of(world);
	bool proven_free = world->record.state != OWNER_ACTIVE ||
	                   world->members[owner].health == MEMBER_FENCED;
	for (size_t at = 0; at < world->count; at++) {
		if (world->members[at].health != MEMBER_UP)
			continue;
		struct decision_result result = decide_at(world, at);
		if (result.decision == DECIDE_TAKE) {
			takers++;
			ASSERT_TRUE(world->members[at].takes);
		}
		if (result.decision == DECIDE_SERVE || result.decision == DECIDE_HAND_OVER) {
			servers++;
			ASSERT_EQ(at, owner);
		}
		if (result.decision == DECIDE_FORWARD) {
			ASSERT_EQ(result.member, owner);
			ASSERT_NE(at, owner);
			ASSERT_EQ(world->members[owner].health, MEMBER_UP);
		}
		if (result.decision == DECIDE_HAND_OVER) {
			ASSERT_NE(result.member, owner);
			ASSERT_TRUE(world->members[result.member].takes);
		}
	}
	ASSERT_EQ(takers, proven_free ? 1 : 0);
	bool owner_lives =
	        world->record.state == OWNER_ACTIVE && world->members[owner].health == MEMBER_UP;
	ASSERT_EQ(servers, owner_lives ? 1 : 0);
}

TEST(gateways_that_agree_about_health_agree_about_the_owner)
{
	for (int round = 0; round < 200000; round++) {
		struct world world;
		world_make(&world);
		assert_one_answer(&world);
	}
}

/* Plays the decisions until nothing changes: a take or a hand-over changes the record. */
static size_t settle(struct world *world)
{
	size_t changes = 0;
	for (size_t turn = 0; turn < 4 * world->count; turn++) {
		size_t at = turn % world->count;
		if (world->members[at].health != MEMBER_UP)
			continue;
		struct decision_result result = decide_at(world, at);
		if (result.decision == DECIDE_TAKE) {
			world->record = (struct owner_record){ .state = OWNER_ACTIVE,
				                               .epoch = world->record.epoch + 1 };
			(void)strcpy(world->record.gateway, world->members[at].gateway);
			(void)strcpy(world->record.instance, world->members[at].instance);
			changes++;
		} else if (result.decision == DECIDE_HAND_OVER) {
			world->record.state = OWNER_CLEAN;
			(void)strcpy(world->record.next, world->members[result.member].gateway);
			changes++;
		}
	}
	return changes;
}

TEST(ownership_comes_to_rest)
{
	for (int round = 0; round < 50000; round++) {
		struct world world;
		world_make(&world);
		world.commands_wait = random_below(2);
		/* Take, hand over to the preferred, take: then nothing moves any more. */
		ASSERT_TRUE(settle(&world) <= 4);
		ASSERT_EQ(settle(&world), 0);
	}
}
