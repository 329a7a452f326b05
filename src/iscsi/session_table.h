/* All sessions of the server by I_T nexus: gives out TSIHs, and makes a login of the same initiator
 * port wait until its old session takes nothing more. What that one has left behind may take long
 * to end, if storage hangs; it keeps its session in the table as a lingering one, and the nexus of
 * the new session waits for it, LUN by LUN (scsi/succession.h). Of each initiator so many may
 * linger; then a login of it waits for the end of one. They do not count as sessions: no initiator
 * keeps others out with them. Any thread; one lock, held for a walk only.
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
	bool lingering;   /* it takes nothing more, and is no obstacle to others */
	bool removed;
	struct message stop_message;
	void (*freed)(struct session_entry *entry);
};

#define SESSIONS_LINGERING_MAX  8  /* of one initiator port at one target port */
#define INITIATOR_LINGERING_MAX 64 /* of one initiator, through all its ports, at one target */

/* A login that waits for a session to end: embedded in its connection. */
struct session_waiter {
	struct reactor *reactor;
	struct message message; /* run() is set by the owner: claim again */
	/* Under the table's lock. */
	struct list link;
	bool posted;   /* the message is on its way; the owner clears it in run() */
	bool admitted; /* an old session was told to stop for it */
	/* Where that ended. Connection reinstatement keeps TSIH and numbering. */
	uint32_t exp_cmd_sn;
};

/* sessions_max: so many may be logged in; SESSIONS_LINGERING_MAX times as many may linger. */
int session_table_new(unsigned sessions_max, struct session_table **ret_table) MUST_CHECK;
void session_table_free(struct session_table *table);

/* Puts a session into the table. 0: entry->tsih and *ret_exp_cmd_sn are set. -EAGAIN: an old
 * session has to stop first, and was told to, or too many of the initiator's linger;
 * waiter->message will be posted. Else a negative errno with the status to refuse with in
 * *ret_status. */
int session_table_claim(struct session_table *table, struct session_entry *entry,
                        const struct login_result *login, struct session_waiter *waiter,
                        uint32_t *ret_exp_cmd_sn, enum login_status *ret_status) MUST_CHECK;
/* The nexus is stopping and the session takes nothing more: its place is free, and who waits for it
 * is woken. */
void session_table_linger(struct session_table *table, struct session_entry *entry,
                          uint32_t exp_cmd_sn);
/* The nexus has ended: takes the session out. */
void session_table_unlist(struct session_table *table, struct session_entry *entry);
/* Nothing is left of the session, unlisted before: freed(entry) is called, on its reactor, now or
 * when a stop that is on its way has arrived. */
void session_table_remove(struct session_table *table, struct session_entry *entry,
                          void (*freed)(struct session_entry *entry));
/* Is anybody logged in? */
bool session_table_is_used(struct session_table *table);
/* True: the message will not come. False: it is on its way (posted). */
bool session_waiter_cancel(struct session_table *table, struct session_waiter *waiter);
/* Is there a session that a login with a TSIH may belong to? For login_environment. */
enum login_status session_table_check(struct session_table *table,
                                      const struct login_result *login);
