/* Commands that change something, and resets, that may have come late wait until their initiator
 * has answered a ping that was sent after they came: one that has given up on the connection never
 * answers, and what waits there goes with the connection. Reads pass; they harm nobody.
 * (docs/availability.md "Commands that come late"; hazards H3, H35)
 *
 * TCP keeps order: whoever answers the ping was on this connection after it had sent all that was
 * read before. A busy initiator proves itself by what it acknowledges and is never pinged.
 *
 * The same initiator with another session (another ISID, or another gateway) while this one is
 * silent: nothing is closed for that. Its late commands here are not proven young, so they wait for
 * an answer that only comes if the initiator still stands by this connection. */
#pragma once

#include "base/list.h"

#include <stdbool.h>
#include <stdint.h>

struct command;
struct session;
struct worker;

/* What waits: embedded in a command, or in a request that reaches into other nexuses. */
struct waiter {
	struct list link; /* in session->waiting; list_init() before first use */
	/* The initiator is there. */
	void (*pass)(struct waiter *waiter);
	/* The session ends. NULL: its owner is told otherwise. */
	void (*drop)(struct waiter *waiter);
};

/* Full feature phase begins: call before the final login response leaves. */
void barrier_start(struct session *session);
/* Bytes have come in. */
void barrier_received(struct worker *worker);
/* PDUs are about to be sent. */
void barrier_sending(struct session *session);
/* The header of a PDU of the initiator. */
void barrier_take_header(struct session *session, const uint8_t *bhs);
/* A NOP-Out that answers ours. */
void barrier_take_answer(struct session *session, uint32_t ttt);
/* Data came that our last R2T has asked for. */
void barrier_take_data(struct command *command);

/* The command has begun to come in. */
void barrier_begin(struct command *command);
/* May it run now? */
bool barrier_passes(const struct command *command);
/* The same for a request that has just come in, and is not a SCSI command. */
bool barrier_open(const struct session *session);
/* It waits: for pass(), for drop(), or to be taken out of the list. */
void barrier_wait(struct session *session, struct waiter *waiter);
/* Nothing will pass any more. */
void barrier_stop(struct session *session);
/* Does a ping that commands wait for stay without an answer for too long? */
bool barrier_overdue(const struct session *session, uint64_t now_ms);
