/* All sessions of the server by I_T nexus: gives out TSIHs, and makes a login of the same initiator
 * port wait until its old session has really ended. Any thread; one lock, held for a walk only.
 * [RFC 7143 6.3.1, 6.3.5] */
#pragma once

#include "base/list.h"
#include "base/reactor.h"
#include "iscsi/login.h"

struct session_table;

/* The table's part of a session: embedded in it, filled by session_table_claim(). */
struct session_entry {
	char initiator_name[ISCSI_NAME_MAX + 1];
	char target_name[ISCSI_NAME_MAX + 1]; /* "" = discovery */
	uint8_t isid[6];
	uint16_t portal_group_tag, tsih, cid;
	struct session_table *table; /* set by the claim */
	struct reactor *reactor;
	/* On the reactor: another login takes this session's place; end it. */
	void (*stop)(struct session_entry *entry);

	/* Under the table's lock. */
	struct list link;
	struct list waiters;
	bool stop_posted; /* until stop_message has run */
	bool removed;
	uint32_t exp_cmd_sn; /* where the session ended: for connection reinstatement */
	struct message stop_message;
	void (*freed)(struct session_entry *entry);
};

/* A login that waits for a session to end: embedded in its connection. */
struct session_waiter {
	struct reactor *reactor;
	struct message message; /* run() is set by the owner: claim again */
	/* Under the table's lock. */
	struct list link;
	bool posted;  /* the message is on its way; the owner clears it in run() */
	bool resumes; /* connection reinstatement: keep TSIH and numbering */
	uint32_t exp_cmd_sn;
};

int session_table_new(struct session_table **ret_table) MUST_CHECK;
void session_table_free(struct session_table *table);

/* Puts a session into the table. 0: entry->tsih and *ret_exp_cmd_sn are set. -EAGAIN: an old
 * session has to end first; it was told to, and waiter->message will be posted.
 * Else a negative errno with the status to refuse with in *ret_status. */
int session_table_claim(struct session_table *table, struct session_entry *entry,
                        const struct login_result *login, struct session_waiter *waiter,
                        uint32_t *ret_exp_cmd_sn, enum login_status *ret_status) MUST_CHECK;
/* The nexus has ended: takes the session out and wakes who waits for its place. */
void session_table_unlist(struct session_table *table, struct session_entry *entry,
                          uint32_t exp_cmd_sn);
/* Nothing is left of the session, unlisted before: freed(entry) is called, on its reactor, now or
 * when a stop that is on its way has arrived. */
void session_table_remove(struct session_table *table, struct session_entry *entry,
                          void (*freed)(struct session_entry *entry));
/* True: the message will not come. False: it is on its way (posted). */
bool session_waiter_cancel(struct session_table *table, struct session_waiter *waiter);
/* Is there a session that a login with a TSIH may belong to? For login_environment. */
enum login_status session_table_check(struct session_table *table,
                                      const struct login_result *login);
