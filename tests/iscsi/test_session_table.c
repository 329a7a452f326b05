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

static struct session_entry entries[SESSIONS_LINGERING_MAX + 1];
static struct reactor *reactor;
static struct session_table *table;

static void woken(struct message *message)
{
	struct waiting *waiting = container_of(message, struct waiting, waiter.message);
	waiting->waiter.posted = false;
	waiting->woken++;
}

static int claim(struct session_entry *entry, uint8_t isid, struct waiting *waiting)
{
	static char name[] = "iqn.t";
	static const struct iscsi_target target = { .name = name };
	struct login_result login = { .isid = { isid }, .target = &target };
	enum login_status status;
	uint32_t exp_cmd_sn;
	(void)snprintf(login.initiator_name, sizeof login.initiator_name, "iqn.i");
	waiting->waiter.reactor = reactor;
	waiting->waiter.message.run = woken;
	entry->reactor = reactor;
	return session_table_claim(table, entry, &login, &waiting->waiter, &exp_cmd_sn, &status);
}

static void leave_behind(struct session_entry *entry, uint8_t isid)
{
	struct waiting none = { 0 };
	*entry = (struct session_entry){ 0 };
	ASSERT_EQ(claim(entry, isid, &none), 0);
	session_table_linger(table, entry, 1);
}

TEST(who_waits_since_too_many_linger_is_woken_by_the_end_of_any_of_them)
{
	ASSERT_EQ(reactor_new("test", NULL, &reactor), 0);
	ASSERT_EQ(session_table_new(&table), 0);
	struct session_entry other;
	leave_behind(&other, 2);
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
		ASSERT_EQ(first.woken + second.woken, 0); /* that one is of another port */
		leave_behind(&other, 2);
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
	session_table_free(table);
	reactor_free(reactor);
}
