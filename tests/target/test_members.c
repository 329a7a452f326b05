/* Who is there, and who is taken for dead. The interconnect and the fence are the test's. */
#include "target/members.h"

#include "interconnect/interconnect.h"
#include "target/look.h"
#include "test.h"

#include <stdio.h>
#include <string.h>

static uint64_t now_ms;
static uint64_t test_clock(void)
{
	return now_ms;
}

static unsigned asked, fenced, forgotten, peers;
static int version_min, version_max;
static bool silent, condemned;
static uint32_t stalled_ms;
static enum peer_state peer_state;
static uint64_t peer_since_ms;

/* ---- what members.c calls ---- */

void member_fence(struct members *members, struct member *member, const char *why)
{
	fenced++;
}

int interconnect_add_peer(struct interconnect *interconnect, const char *gateway,
                          const char *instance, const char *address, uint32_t *ret_id)
{
	*ret_id = 1;
	peers++;
	return 0;
}

bool interconnect_get_peer(const struct interconnect *interconnect, uint32_t id,
                           struct peer_info *ret_peer)
{
	*ret_peer = (struct peer_info){
		.id = id,
		.state = peer_state,
		.since_ms = peer_since_ms,
		.silent = silent,
		.stalled_ms = stalled_ms,
	};
	return true;
}

void interconnect_forget(struct interconnect *interconnect, uint32_t id)
{
	forgotten++;
}

static void changed(struct members *members)
{
}

static void look(struct members *members)
{
}

static void ask(struct members *members, struct member *member)
{
	member->ask_number = ++asked;
	member->asked_ms = now_ms;
	member->heard_ms = 0;
}

static bool wanted(struct members *members, const struct member *member)
{
	return true;
}

/* ---- the world ---- */

static void world_init(struct members *members)
{
	now_ms = 1000000;
	asked = fenced = forgotten = peers = 0;
	version_min = version_max = 1;
	silent = condemned = false;
	stalled_ms = 0;
	peer_since_ms = 0;
	peer_state = PEER_LOST;
	*members = (struct members){
		.gateway = "gw-1",
		.interconnect = (struct interconnect *)members, /* nobody looks into it */
		.changed = changed,
		.look = look,
		.ask = ask,
		.wanted = wanted,
	};
	ASSERT_EQ(reactor_new("manager", test_clock, &members->manager), 0);
	members_init(members);
}

static void world_done(struct members *members)
{
	members_done(members);
	reactor_free(members->manager);
}

static void turn(struct members *members, unsigned ms)
{
	now_ms += ms;
	(void)reactor_turn(members->manager, 0);
	members_review(members);
}

static void see_row(struct members *members, const char *instance, enum gateway_state state)
{
	struct registration_row row = {
		.state = state,
		.version_min = version_min,
		.version_max = version_max,
		.condemned = condemned,
	};
	struct look seen = { .rows = &row, .row_count = 1 };
	(void)snprintf(row.gateway, sizeof row.gateway, "gw-2");
	(void)snprintf(row.instance, sizeof row.instance, "%s", instance);
	(void)snprintf(row.interconnect, sizeof row.interconnect, "10.0.0.2:3262");
	members_update(members, &seen);
}

/* No connection is tried. It is asked through the store, as one that cannot be reached, and lives.
 */
TEST(who_speaks_later_versions_only_is_no_peer_until_it_speaks_ours)
{
	struct members members;
	world_init(&members);
	version_min = 2;
	version_max = 3;
	see_row(&members, "one", GATEWAY_UP);
	const struct member *member = members_find(&members, "gw-2");
	for (unsigned at = 0; at < 400; at++) {
		turn(&members, 50);
		if (member->ask_number)
			members_answered(&members, member->ask_number);
	}
	ASSERT_EQ(peers, 0);
	ASSERT_FALSE(member->has_peer);
	ASSERT_TRUE(asked > 0);
	ASSERT_EQ(member->health, MEMBER_UNREACHABLE);
	ASSERT_EQ(fenced, 0);
	version_min = 1; /* it was put back */
	see_row(&members, "one", GATEWAY_UP);
	ASSERT_EQ(peers, 1);
	ASSERT_TRUE(member->has_peer);
	world_done(&members);
}

/* The first may be lost on the way, as its watch comes back later than ours. */
static bool not_wanted(struct members *members, const struct member *member)
{
	return false;
}

/* A gateway of no target has no interconnect, perhaps for ever: nothing is about to happen. */
TEST(who_has_no_interconnect_is_not_waited_for)
{
	struct members members;
	struct registration_row row = { .gateway = "gw-2", .instance = "one" };
	struct look seen = { .rows = &row, .row_count = 1 };
	world_init(&members);
	members.wanted = not_wanted;
	members_update(&members, &seen);
	turn(&members, 10000);
	ASSERT_EQ(members_find(&members, "gw-2")->health, MEMBER_CONNECTING);
	ASSERT_FALSE(members_unsettled(&members));
	peer_state = PEER_CONNECTING;
	see_row(&members, "one", GATEWAY_UP);
	ASSERT_TRUE(members_unsettled(&members));
	world_done(&members);
}

TEST(who_leaves_two_questions_in_a_row_without_an_answer_is_fenced)
{
	static const struct {
		bool silent;
		unsigned turns; /* of 50 ms */
	} rows[] = { { false, 8 }, { true, 16 } };
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct members members;
		TEST_ROW("silent: %d", rows[i].silent);
		world_init(&members);
		silent = rows[i].silent;
		see_row(&members, "one", GATEWAY_UP);
		turn(&members, 50);
		for (unsigned question = 1; question <= 2; question++) {
			ASSERT_EQ(asked, question);
			ASSERT_EQ(members_due_ms(&members), 0);
			members_heard(&members, question);
			ASSERT_EQ(members_due_ms(&members), now_ms + 50 * rows[i].turns);
			for (unsigned at = 1; at < rows[i].turns; at++)
				turn(&members, 50);
			ASSERT_EQ(asked, question);
			ASSERT_EQ(fenced, 0);
			turn(&members, 50);
		}
		ASSERT_EQ(asked, 2);
		ASSERT_EQ(fenced, 1);
		world_done(&members);
	}
}

TEST(an_answer_to_any_of_the_questions_is_one)
{
	for (uint64_t answered = 1; answered <= 2; answered++) {
		struct members members;
		TEST_ROW("question %u", (unsigned)answered);
		world_init(&members);
		see_row(&members, "one", GATEWAY_UP);
		turn(&members, 50);
		members_heard(&members, 1);
		for (unsigned i = 0; i < 8; i++)
			turn(&members, 50);
		ASSERT_EQ(asked, 2);
		members_heard(&members, 2);
		members_answered(&members, answered);
		for (unsigned i = 0; i < 20; i++)
			turn(&members, 50);
		ASSERT_EQ(members_find(&members, "gw-2")->health, MEMBER_UNREACHABLE);
		ASSERT_EQ(fenced, 0);
		/* Asked again later, it has as many as at first. */
		for (unsigned i = 0; asked < 3 && i < 100; i++)
			turn(&members, 50);
		members_heard(&members, 3);
		for (unsigned i = 0; i < 8; i++)
			turn(&members, 50);
		ASSERT_EQ(asked, 4);
		ASSERT_EQ(fenced, 0);
		world_done(&members);
	}
}

TEST(who_lived_when_it_was_asked_is_asked_at_once_when_its_connections_end)
{
	struct members members;
	world_init(&members);
	peer_state = PEER_UP;
	stalled_ms = 5000;
	see_row(&members, "one", GATEWAY_UP);
	turn(&members, 50);
	ASSERT_EQ(asked, 1);
	members_answered(&members, 1);
	turn(&members, 200);
	ASSERT_EQ(members_find(&members, "gw-2")->health, MEMBER_UP);
	ASSERT_EQ(asked, 1);
	peer_state = PEER_LOST;
	peer_since_ms = now_ms;
	turn(&members, 50);
	ASSERT_EQ(asked, 2);
	members_answered(&members, 2); /* it does live */
	for (unsigned i = 0; i < 10; i++)
		turn(&members, 50);
	ASSERT_EQ(asked, 2);
	world_done(&members);
}

/* Else it would be taken for one that lives, and nobody would take what it had. */
TEST(an_answer_that_comes_after_the_fence_changes_nothing)
{
	for (unsigned i = 0; i < 2; i++) {
		struct members members;
		TEST_ROW("%s", i ? "it was condemned by another" : "it has started anew");
		world_init(&members);
		see_row(&members, "one", GATEWAY_UP);
		turn(&members, 50);
		struct member *member = members_find(&members, "gw-2");
		members_heard(&members, 1);
		condemned = i;
		see_row(&members, i ? "one" : "two", GATEWAY_UP);
		turn(&members, 50);
		ASSERT_EQ(fenced, 1);
		member_fenced(&members, member, 0);
		ASSERT_EQ(member->health, MEMBER_FENCED);
		members_answered(&members, 1);
		ASSERT_EQ(member->health, MEMBER_FENCED);
		world_done(&members);
	}
}

TEST(a_pause_of_this_process_condemns_nobody)
{
	struct members members;
	world_init(&members);
	see_row(&members, "one", GATEWAY_UP);
	turn(&members, 50);
	members_heard(&members, 1);
	turn(&members, 5000);
	ASSERT_EQ(fenced, 0);
	turn(&members, 50);
	members_answered(&members, 1); /* it came during the pause */
	for (unsigned i = 0; i < 20; i++)
		turn(&members, 50);
	ASSERT_EQ(fenced, 0);
	ASSERT_EQ(members_find(&members, "gw-2")->health, MEMBER_UNREACHABLE);
	world_done(&members);
}

/* What it executed for us may have been answered into a connection that was broken. */
TEST(what_a_stopped_owner_has_not_answered_is_of_unknown_fate)
{
	struct members members;
	world_init(&members);
	see_row(&members, "one", GATEWAY_UP);
	see_row(&members, "one", GATEWAY_STOPPED);
	ASSERT_EQ(forgotten, 1);
	world_done(&members);
}

/* What power took from all at once is forgotten; what somebody else had meanwhile is not. */
TEST(it_is_known_for_ever_whether_another_gateway_has_lived_beside_this_one)
{
	struct members members;
	world_init(&members); /* what a power loss leaves: never heard, asked, fenced */
	see_row(&members, "dead", GATEWAY_UP);
	turn(&members, 4000);
	member_fenced(&members, members_find(&members, "gw-2"), 0);
	ASSERT_TRUE(!members.company);
	see_row(&members, "one", GATEWAY_STOPPED); /* before we were there, for all we know */
	ASSERT_TRUE(!members.company);
	world_done(&members);

	world_init(&members);
	peer_state = PEER_UP;
	see_row(&members, "one", GATEWAY_UP);
	turn(&members, 50);
	ASSERT_EQ(members_find(&members, "gw-2")->health, MEMBER_UP);
	member_fenced(&members, members_find(&members, "gw-2"), 0);
	ASSERT_TRUE(members.company);
	world_done(&members);

	world_init(&members); /* never heard, and it stops well */
	see_row(&members, "one", GATEWAY_UP);
	see_row(&members, "one", GATEWAY_STOPPED);
	ASSERT_TRUE(members.company);
	world_done(&members);
}

TEST(a_gateway_that_was_stopped_long_ago_is_still_known)
{
	struct members members;
	world_init(&members);
	see_row(&members, "one", GATEWAY_STOPPED);
	ASSERT_TRUE(members_know(&members, "gw-2"));
	turn(&members, 700000);
	ASSERT_TRUE(members_know(&members, "gw-2"));
	see_row(&members, "two", GATEWAY_UP);
	turn(&members, 50);
	ASSERT_NULL(members_find_instance(&members, "gw-2", "one"));
	ASSERT_TRUE(members_know(&members, "gw-2"));
	world_done(&members);
}

/* It is an upstream gateway from then on. Of one that has not stopped the row is damaged, perhaps.
 */
TEST(a_gateway_that_has_stopped_is_forgotten_when_people_remove_its_row)
{
	static const struct {
		const char *name;
		bool seen_up, died_before;
		enum gateway_state last;
		bool known;
	} rows[] = {
		{ "stopped", true, false, GATEWAY_STOPPED, false },
		{ "stopped before this one began", false, false, GATEWAY_STOPPED, false },
		{ "stopped in its second life", true, true, GATEWAY_STOPPED, false },
		{ "not stopped", true, false, GATEWAY_UP, true },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct members members;
		struct look none = { 0 };
		TEST_ROW("%s", rows[i].name);
		world_init(&members);
		if (rows[i].died_before) {
			see_row(&members, "dead", GATEWAY_UP);
			member_fenced(&members, members_find(&members, "gw-2"), 0);
		}
		if (rows[i].seen_up)
			see_row(&members, "one", GATEWAY_UP);
		see_row(&members, "one", rows[i].last);
		turn(&members, 50);
		members_update(&members, &none);
		turn(&members, 50);
		ASSERT_EQ(members_know(&members, "gw-2"), rows[i].known);
		ASSERT_EQ(fenced, rows[i].known);
		world_done(&members);
	}
}

static size_t place_of(const struct members *members, const char *gateway, const char *instance)
{
	const struct member *member;
	size_t place = 0;
	list_for_each (member, &members->list, link) {
		if (strcmp(member->gateway, gateway) == 0 &&
		    strcmp(member->instance, instance) == 0)
			return place;
		place++;
	}
	return SIZE_MAX;
}

/* decide() is told of so many only as come first. */
TEST(who_is_there_comes_before_the_past_of_others_however_often_they_start_anew)
{
	for (unsigned fence = 0; fence < 2; fence++) {
		struct members members;
		world_init(&members);
		struct registration_row rows[] = {
			{ .state = GATEWAY_UP, .gateway = "gw-3", .instance = "stays" },
			{ .gateway = "gw-2" },
		};
		struct look seen = { .rows = rows, .row_count = 2 };
		for (unsigned life = 0; life < 100; life++) {
			(void)snprintf(rows[1].instance, sizeof rows[1].instance, "%u", life);
			rows[1].state = GATEWAY_UP;
			members_update(&members, &seen);
			if (fence) {
				member_fenced(&members, members_find(&members, "gw-2"), 0);
			} else {
				rows[1].state = GATEWAY_STOPPED;
				members_update(&members, &seen);
			}
		}
		ASSERT_TRUE(place_of(&members, "gw-3", "stays") < 2);
		ASSERT_TRUE(place_of(&members, "gw-2", "99") < 2);
		ASSERT_EQ(place_of(&members, "gw-2", "98"), 2);
		ASSERT_EQ(place_of(&members, "gw-2", "0"), 100);
		world_done(&members);
	}
}

TEST(one_that_is_up_on_some_connections_only_is_asked_and_not_fenced_if_it_answers)
{
	struct members members;
	world_init(&members);
	peer_state = PEER_UP;
	see_row(&members, "one", GATEWAY_UP);
	turn(&members, 50);
	ASSERT_EQ(members_find(&members, "gw-2")->health, MEMBER_UP);
	ASSERT_EQ(asked, 0);
	silent = true;
	turn(&members, 50);
	ASSERT_EQ(asked, 1);
	members_heard(&members, 1);
	turn(&members, 50);
	members_answered(&members, 1);
	for (unsigned i = 0; i < 20; i++)
		turn(&members, 50);
	ASSERT_EQ(fenced, 0);
	ASSERT_EQ(members_find(&members, "gw-2")->health, MEMBER_UNREACHABLE);
	silent = false;
	turn(&members, 50);
	ASSERT_EQ(members_find(&members, "gw-2")->health, MEMBER_UP);
	world_done(&members);
}

TEST(what_a_gateway_says_of_its_storage_is_known_until_it_says_something_else)
{
	struct members members;
	world_init(&members);
	peer_state = PEER_UP;
	see_row(&members, "one", GATEWAY_UP);
	turn(&members, 50);
	const struct member *member = members_find(&members, "gw-2");
	ASSERT_FALSE(member->stalled);
	for (unsigned i = 0; i < 2; i++) {
		TEST_ROW("this one %s", i ? "as well" : "does better");
		members.stalled = i != 0;
		stalled_ms = UINT32_MAX - 1;
		turn(&members, 50);
		ASSERT_TRUE(member->stalled);
		ASSERT_EQ(member->health, i ? MEMBER_UP : MEMBER_SUSPECT);
		peer_state = PEER_LOST;
		turn(&members, 50);
		ASSERT_TRUE(member->stalled);
		peer_state = PEER_UP;
		stalled_ms = 0;
		turn(&members, 50);
		ASSERT_FALSE(member->stalled);
		ASSERT_EQ(member->health, MEMBER_UP);
	}
	world_done(&members);
}

/* After the restart of the OSD with the rows one gateway is served before the other, whose last
 * word is older than its answer. */
TEST(one_that_answers_through_the_store_is_up_whatever_it_said_of_its_storage_before)
{
	struct members members;
	world_init(&members);
	peer_state = PEER_UP;
	stalled_ms = 5000;
	see_row(&members, "one", GATEWAY_UP);
	turn(&members, 50);
	const struct member *member = members_find(&members, "gw-2");
	ASSERT_EQ(member->health, MEMBER_SUSPECT);
	uint64_t asked_ms = now_ms;
	members_heard(&members, 1);
	turn(&members, 50);
	members_answered(&members, 1);
	ASSERT_EQ(member->health, MEMBER_UP);
	while (now_ms < asked_ms + 3950)
		turn(&members, 50);
	ASSERT_EQ(member->health, MEMBER_UP);
	ASSERT_EQ(asked, 1);
	turn(&members, 50); /* it says so still: nothing has come of its storage since */
	ASSERT_EQ(member->health, MEMBER_SUSPECT);
	ASSERT_EQ(asked, 2);
	world_done(&members);
}

TEST(one_that_is_cautious_is_well_and_takes_nothing)
{
	struct members members;
	world_init(&members);
	peer_state = PEER_UP;
	stalled_ms = INTERCONNECT_CAUTIOUS;
	see_row(&members, "one", GATEWAY_UP);
	turn(&members, 50);
	const struct member *member = members_find(&members, "gw-2");
	ASSERT_EQ(member->health, MEMBER_UP);
	ASSERT_TRUE(member->cautious);
	ASSERT_FALSE(member->stalled);
	ASSERT_EQ(asked, 0);
	stalled_ms = 5000; /* it lost the cluster as well */
	turn(&members, 50);
	ASSERT_EQ(member->health, MEMBER_SUSPECT);
	ASSERT_TRUE(member->stalled);
	members_answered(&members, 1);
	ASSERT_EQ(member->health, MEMBER_UP);
	ASSERT_TRUE(member->cautious);
	stalled_ms = 0;
	turn(&members, 50);
	ASSERT_EQ(member->health, MEMBER_UP);
	ASSERT_FALSE(member->cautious);
	world_done(&members);
}

/* Its storage may be slow for a moment as well: that says nothing of what it may be given. */
TEST(one_that_was_cautious_is_so_until_it_says_that_all_is_well)
{
	static const uint32_t pauses_ms[] = { 1, 1600, 4000, 4001, 60000 };
	struct members members;
	world_init(&members);
	peer_state = PEER_UP;
	see_row(&members, "one", GATEWAY_UP);
	const struct member *member = members_find(&members, "gw-2");
	for (size_t i = 0; i < ARRAY_LEN(pauses_ms); i++) {
		TEST_ROW("%u ms", pauses_ms[i]);
		stalled_ms = INTERCONNECT_CAUTIOUS;
		turn(&members, 50);
		ASSERT_TRUE(member->cautious);
		stalled_ms = pauses_ms[i];
		turn(&members, 50);
		ASSERT_TRUE(member->cautious);
		stalled_ms = 0;
		turn(&members, 50);
		ASSERT_FALSE(member->cautious);
		stalled_ms = pauses_ms[i];
		turn(&members, 50);
		ASSERT_FALSE(member->cautious);
	}
	world_done(&members);
}

/* What returns to it waits from then on. */
TEST(one_that_was_cautious_is_healthy_since_it_is_so_no_more)
{
	struct members members;
	world_init(&members);
	peer_state = PEER_UP;
	stalled_ms = INTERCONNECT_CAUTIOUS;
	see_row(&members, "one", GATEWAY_UP);
	turn(&members, 50);
	const struct member *member = members_find(&members, "gw-2");
	ASSERT_EQ(member->up_since_ms, now_ms);
	turn(&members, 10000);
	stalled_ms = 0;
	turn(&members, 50);
	uint64_t well_ms = now_ms;
	ASSERT_EQ(member->up_since_ms, well_ms);
	turn(&members, 50);
	ASSERT_EQ(member->up_since_ms, well_ms);
	world_done(&members);
}
