/* Who waits for which session. The sessions are the test's. */
#include "iscsi/session_table.h"
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct waiting {
	struct session_waiter waiter;
	unsigned woken;
};

#define SESSIONS_MAX 16

static struct session_entry entries[SESSIONS_MAX * SESSIONS_LINGERING_MAX];
static struct session_entry lives[SESSIONS_MAX];
static struct reactor *reactor;
static struct session_table *table;

static void world_init(void)
{
	ASSERT_EQ(reactor_new("test", NULL, &reactor), 0);
	ASSERT_EQ(session_table_new(SESSIONS_MAX, &table), 0);
}

static void world_done(void)
{
	session_table_free(table);
	reactor_free(reactor);
}

static void woken(struct message *message)
{
	struct waiting *waiting = container_of(message, struct waiting, waiter.message);
	waiting->waiter.posted = false;
	waiting->woken++;
}

static int claim_as(const char *initiator, struct session_entry *entry, uint8_t isid,
                    struct waiting *waiting, enum login_status *ret_status)
{
	static char name[] = "iqn.t";
	static const struct iscsi_target target = { .name = name };
	struct login_result login = { .isid = { isid }, .target = &target };
	uint32_t exp_cmd_sn;
	(void)snprintf(login.initiator_name, sizeof login.initiator_name, "%s", initiator);
	waiting->waiter.reactor = reactor;
	waiting->waiter.message.run = woken;
	*entry = (struct session_entry){ .reactor = reactor };
	return session_table_claim(table, entry, &login, &waiting->waiter, &exp_cmd_sn, ret_status);
}

static int claim(struct session_entry *entry, uint8_t isid, struct waiting *waiting)
{
	enum login_status status;
	return claim_as("iqn.i", entry, isid, waiting, &status);
}

static void leave_behind_as(const char *initiator, struct session_entry *entry, uint8_t isid)
{
	struct waiting none = { 0 };
	enum login_status status;
	ASSERT_EQ(claim_as(initiator, entry, isid, &none, &status), 0);
	session_table_linger(table, entry, 1);
}

static void leave_behind(struct session_entry *entry, uint8_t isid)
{
	leave_behind_as("iqn.i", entry, isid);
}

TEST(who_waits_since_too_many_linger_is_woken_by_the_end_of_any_of_them)
{
	world_init();
	struct session_entry other;
	leave_behind_as("iqn.j", &other, 1);
	for (unsigned i = 0; i < SESSIONS_LINGERING_MAX; i++)
		leave_behind(&entries[i], 1);
	for (unsigned i = SESSIONS_LINGERING_MAX; i-- > 0;) { /* the oldest one last */
		TEST_ROW("session %u of %u ends", i, SESSIONS_LINGERING_MAX);
		struct waiting first = { 0 }, second = { 0 };
		struct session_entry new = { 0 };
		ASSERT_EQ(claim(&new, 1, &first), -EAGAIN);
		ASSERT_EQ(claim(&new, 1, &second), -EAGAIN);
		session_table_unlist(table, &other);
		(void)reactor_turn(reactor, 0);
		ASSERT_EQ(first.woken + second.woken, 0); /* that one is of another initiator */
		leave_behind_as("iqn.j", &other, 1);
		session_table_unlist(table, &entries[i]);
		(void)reactor_turn(reactor, 0);
		ASSERT_EQ(first.woken, 1);
		ASSERT_EQ(second.woken, 1);
		ASSERT_EQ(claim(&new, 1, &first), 0);
		session_table_unlist(table, &new);
		leave_behind(&entries[i], 1);
	}
	for (unsigned i = 0; i < SESSIONS_LINGERING_MAX; i++)
		session_table_unlist(table, &entries[i]);
	session_table_unlist(table, &other);
	world_done();
}

TEST(an_initiator_that_leaves_much_behind_keeps_nobody_else_out)
{
	struct waiting waiting = { 0 };
	struct session_entry new;
	world_init();
	for (unsigned i = 0; i < INITIATOR_LINGERING_MAX; i++)
		leave_behind(&entries[i], (uint8_t)(i / SESSIONS_LINGERING_MAX));
	ASSERT_FALSE(session_table_is_used(table));
	ASSERT_EQ(claim(&new, 99, &waiting), -EAGAIN); /* by none of its ports */
	for (unsigned i = 0; i < SESSIONS_MAX; i++) {
		struct waiting none = { 0 };
		enum login_status status;
		ASSERT_EQ(claim_as("iqn.j", &lives[i], (uint8_t)i, &none, &status), 0);
	}
	session_table_unlist(table, &lives[0]);
	ASSERT_EQ(waiting.woken, 0);
	session_table_unlist(table, &entries[INITIATOR_LINGERING_MAX - 1]);
	(void)reactor_turn(reactor, 0);
	ASSERT_EQ(waiting.woken, 1);
	ASSERT_EQ(claim(&new, 99, &waiting), 0);
	session_table_unlist(table, &new);
	for (unsigned i = 0; i < INITIATOR_LINGERING_MAX - 1; i++)
		session_table_unlist(table, &entries[i]);
	for (unsigned i = 1; i < SESSIONS_MAX; i++)
		session_table_unlist(table, &lives[i]);
	world_done();
}

static unsigned stopped;

static void stop(struct session_entry *entry)
{
	stopped++;
	session_table_linger(table, entry, 1);
}

TEST(who_logs_in_again_needs_no_place_beyond_that_of_its_old_session)
{
	struct waiting waiting = { 0 };
	struct session_entry new;
	enum login_status status = LOGIN_SUCCESS;
	world_init();
	for (unsigned i = 0; i < SESSIONS_MAX; i++) {
		ASSERT_EQ(claim(&lives[i], (uint8_t)i, &waiting), 0);
		lives[i].stop = stop;
	}
	ASSERT_EQ(claim_as("iqn.j", &new, 1, &waiting, &status), -ENOSPC);
	ASSERT_EQ(status, LOGIN_OUT_OF_RESOURCES);
	ASSERT_EQ(claim(&new, 1, &waiting), -EAGAIN);
	(void)reactor_turn(reactor, 0);
	ASSERT_EQ(stopped, 1);
	(void)reactor_turn(reactor, 0);
	ASSERT_EQ(waiting.woken, 1);
	ASSERT_EQ(claim(&new, 1, &waiting), 0);
	session_table_unlist(table, &new);
	for (unsigned i = 0; i < SESSIONS_MAX; i++)
		session_table_unlist(table, &lives[i]);
	world_done();
}

TEST(what_lingers_in_all_is_bounded)
{
	struct waiting waiting = { 0 };
	struct session_entry new;
	enum login_status status = LOGIN_SUCCESS;
	char initiator[16];
	world_init();
	for (size_t i = 0; i < ARRAY_LEN(entries); i++) {
		(void)snprintf(initiator, sizeof initiator, "iqn.%zu", i);
		leave_behind_as(initiator, &entries[i], 1);
	}
	ASSERT_EQ(claim_as("iqn.new", &new, 1, &waiting, &status), -ENOSPC);
	ASSERT_EQ(status, LOGIN_OUT_OF_RESOURCES);
	session_table_unlist(table, &entries[0]);
	ASSERT_EQ(claim_as("iqn.new", &new, 1, &waiting, &status), 0);
	session_table_unlist(table, &new);
	for (size_t i = 1; i < ARRAY_LEN(entries); i++)
		session_table_unlist(table, &entries[i]);
	world_done();
}
