/* Rows of rollbacks: who may change them when, and what gateways may do beside them. */
#include "ownership/rollback.h"

#include "open_store.h"
#include "ownership/record.h"
#include "store/store.h"
#include "test.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#define LUN "rbd/disk_1"

static void expect_state(struct store *store, enum rollback_state state)
{
	AUTO_ROLLBACK struct rollback rollback = { 0 };
	ASSERT_EQ(rollback_read(store, LUN, &rollback, NULL), 0);
	ASSERT_EQ(rollback.state, state);
}

TEST(a_rollback_is_asked_for_ordered_and_over)
{
	AUTO(store) struct store *store = open_store();
	AUTO_ROLLBACK struct rollback mine = { 0 }, others = { 0 };
	AUTO_ROLLBACK struct rollback told = { 0 };
	expect_state(store, ROLLBACK_NONE);
	ASSERT_EQ(rollback_ask(store, LUN, "before", "gw-1", &mine, NULL), 0);
	ASSERT_EQ(mine.state, ROLLBACK_ASKED);
	ASSERT_STR_EQ(mine.snapshot, "before");
	expect_state(store, ROLLBACK_ASKED);
	/* Somebody who saw no row. */
	ASSERT_EQ(rollback_ask(store, LUN, "other", "gw-2", &others, NULL), -ECANCELED);
	ASSERT_EQ(rollback_read(store, LUN, &others, NULL), 0);
	ASSERT_EQ(rollback_order(store, LUN, &mine, NULL), 0);
	ASSERT_EQ(mine.state, ROLLBACK_ORDERED);
	ASSERT_STR_EQ(mine.token, others.token);
	expect_state(store, ROLLBACK_ORDERED);
	/* Somebody who saw that it was only asked for. */
	ASSERT_EQ(rollback_order(store, LUN, &others, NULL), -ECANCELED);
	ASSERT_EQ(rollback_end(store, LUN, &others, NULL, NULL, NULL), -ECANCELED);
	ASSERT_EQ(rollback_end(store, LUN, &mine, "the reason", NULL, NULL), 0);
	ASSERT_EQ(rollback_read(store, LUN, &told, NULL), 0);
	ASSERT_EQ(told.state, ROLLBACK_FAILED);
	ASSERT_STR_EQ(told.problem, "the reason");
	ASSERT_STR_EQ(told.token, mine.token);
	ASSERT_EQ(rollback_end(store, LUN, &told, NULL, NULL, NULL), 0);
	expect_state(store, ROLLBACK_NONE);
}

TEST(one_that_is_moved_leaves_none_and_is_told_by_its_text)
{
	AUTO_ROLLBACK struct rollback one = { 0 }, other = { 0 };
	ASSERT_TRUE(rollback_is_same(&one, &other));
	ASSERT_EQ(rollback_parse("{\"snapshot\":\"s\",\"token\":\"t\"}", &one), 0);
	ASSERT_FALSE(rollback_is_same(&one, &other));
	ASSERT_FALSE(rollback_is_same(&other, &one));
	ASSERT_EQ(rollback_parse(one.text, &other), 0);
	ASSERT_TRUE(rollback_is_same(&one, &other));
	rollback_move(&other, &one);
	ASSERT_EQ(one.state, ROLLBACK_NONE);
	ASSERT_NULL(one.text);
	ASSERT_STR_EQ(other.snapshot, "s");
	ASSERT_FALSE(rollback_is_same(&one, &other));
	rollback_done(&other);
	ASSERT_EQ(rollback_parse("{}", &other), 0); /* another text, not to be read as well */
	ASSERT_EQ(rollback_parse("damaged", &one), 0);
	ASSERT_FALSE(rollback_is_same(&one, &other));
}

/* Who was fenced meanwhile must not say that it is over: the next owner is in the middle of it. */
TEST(only_the_owner_of_the_record_ends_it)
{
	AUTO(store) struct store *store = open_store();
	AUTO_ROLLBACK struct rollback rollback = { 0 };
	struct owner_record former = { 0 }, present = { 0 };
	struct owner_claim claim = { "gw-1", "aa", "", "", "start", .epoch = 1 };
	ASSERT_EQ(owner_record_take(store, LUN, &former, &claim, NULL), 0);
	ASSERT_EQ(owner_record_copy(&former, &present), 0);
	claim = (struct owner_claim){ "gw-2", "bb", "", "", "take-over", .epoch = 2 };
	ASSERT_EQ(owner_record_take(store, LUN, &present, &claim, NULL), 0);
	ASSERT_EQ(rollback_ask(store, LUN, "before", "gw-1", &rollback, NULL), 0);
	ASSERT_EQ(rollback_order(store, LUN, &rollback, NULL), 0);
	ASSERT_EQ(rollback_end(store, LUN, &rollback, NULL, &former, NULL), -ECANCELED);
	ASSERT_EQ(rollback_end(store, LUN, &rollback, "why", &former, NULL), -ECANCELED);
	expect_state(store, ROLLBACK_ORDERED);
	ASSERT_EQ(rollback_end(store, LUN, &rollback, NULL, &present, NULL), 0);
	expect_state(store, ROLLBACK_NONE);
	owner_record_done(&former);
	owner_record_done(&present);
}

TEST(who_takes_the_lun_compares_the_row_and_removes_one_that_was_only_asked_for)
{
	static const struct {
		const char *text;
		bool stays;
	} rows[] = {
		{ NULL, true },
		{ "{\"snapshot\":\"s\",\"state\":\"asked\",\"token\":\"t\"}", false },
		{ "{\"snapshot\":\"s\",\"state\":\"ordered\",\"token\":\"t\"}", true },
		{ "{\"snapshot\":\"s\",\"state\":\"failed\",\"token\":\"t\"}", true },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		TEST_ROW("%s", rows[i].text ? rows[i].text : "none");
		AUTO_ROLLBACK struct rollback rollback = { 0 };
		struct store_change change;
		if (rows[i].text)
			ASSERT_EQ(rollback_parse(rows[i].text, &rollback), 0);
		ASSERT_EQ(rollback_guard(LUN, &rollback, &change), 0);
		ASSERT_STR_EQ(change.key, "rollback/" LUN);
		ASSERT_TRUE(change.expected == rollback.text);
		ASSERT_TRUE(change.text == (rows[i].stays ? rollback.text : NULL));
		free((char *)change.key);
	}
}

TEST(what_cannot_be_read_is_not_taken_for_nothing)
{
	static const char *const texts[] = {
		"",
		"[]",
		"{\"snapshot\":\"s\",\"state\":\"thawed\",\"token\":\"t\"}",
		"{\"state\":\"ordered\",\"token\":\"t\"}",
		"{\"snapshot\":\"s\",\"state\":\"asked\"}",
	};
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		TEST_ROW("%s", texts[i]);
		AUTO_ROLLBACK struct rollback rollback = { 0 };
		ASSERT_EQ(rollback_parse(texts[i], &rollback), 0);
		ASSERT_EQ(rollback.state, ROLLBACK_UNKNOWN);
	}
}

TEST(nobody_serves_beside_it_but_for_who_carries_it_out_or_outlives_it)
{
	static const struct {
		enum rollback_state state;
		bool takes;
		uint64_t age_ms;
		bool allowed;
	} rows[] = {
		{ ROLLBACK_NONE, false, 0, true },
		{ ROLLBACK_FAILED, false, 0, true },
		{ ROLLBACK_ASKED, false, 0, false },
		{ ROLLBACK_ASKED, true, 0, false },
		{ ROLLBACK_ASKED, true, ROLLBACK_ASKED_MS - 1, false },
		{ ROLLBACK_ASKED, true, ROLLBACK_ASKED_MS, true },
		{ ROLLBACK_ASKED, false, ROLLBACK_ASKED_MS, false },
		{ ROLLBACK_ORDERED, true, 0, true },
		{ ROLLBACK_ORDERED, false, ROLLBACK_ASKED_MS, false },
		{ ROLLBACK_UNKNOWN, true, ROLLBACK_ASKED_MS, false },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		TEST_ROW("row %zu", i);
		const struct rollback rollback = { .state = rows[i].state };
		ASSERT_EQ(rollback_allows(&rollback, rows[i].takes, 1000, 1000 + rows[i].age_ms),
		          rows[i].allowed);
	}
}

struct listener {
	struct store_listener listener;
	atomic_uint wakes;
};

static void ignore_change(struct store_listener *listener)
{
}

static void hear(struct store_listener *listener, const char *text)
{
	if (strcmp(text, ROLLBACK_WAKE) == 0)
		container_of(listener, struct listener, listener)->wakes++;
}

TEST(gateways_are_told_of_what_is_asked_and_ordered)
{
	struct listener listener = { .listener = { .changed = ignore_change, .told = hear } };
	AUTO(store) struct store *member = open_store();
	AUTO(store) struct store *store = open_store();
	AUTO_ROLLBACK struct rollback rollback = { 0 };
	static const struct timespec pause = { .tv_nsec = 1000000 };
	ASSERT_EQ(store_join(member, "gw-1", &listener.listener, NULL), 0);
	ASSERT_EQ(rollback_read(store, "rbd/told", &rollback, NULL), 0);
	ASSERT_EQ(rollback_ask(store, "rbd/told", "s", "gw-2", &rollback, NULL), 0);
	ASSERT_EQ(rollback_order(store, "rbd/told", &rollback, NULL), 0);
	for (int i = 0; i < 10000 && listener.wakes < 2; i++)
		(void)nanosleep(&pause, NULL);
	ASSERT_EQ(listener.wakes, 2);
	store_leave(member);
}

/* A disk of the same name would inherit it. */
TEST(it_goes_with_the_disk)
{
	AUTO(store) struct store *store = open_store();
	AUTO_ROLLBACK struct rollback rollback = { 0 };
	struct store_version version = { 0 };
	AUTO_FREE char *object = NULL;
	ASSERT_EQ(rollback_ask(store, LUN, "s", "gw-2", &rollback, NULL), 0);
	ASSERT_EQ(store_load(store, &object, &version, NULL), 0);
	ASSERT_EQ(owner_record_remove(store, LUN, &version, NULL), 0);
	expect_state(store, ROLLBACK_NONE);
}
