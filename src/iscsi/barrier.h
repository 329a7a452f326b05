/* Commands that change something and may have come late wait until their initiator has answered a
 * ping that was sent after they came: one that has given up on the connection never answers, and
 * what waits there goes with the connection. Reads pass; they harm nobody.
 * (docs/availability.md "Commands that come late"; hazards H3, H35)
 *
 * TCP keeps order: whoever answers the ping was on this connection after it had sent all that was
 * read before. A busy initiator proves itself by what it acknowledges and is never pinged.
 *
 * The same initiator with another session (another ISID, or another gateway) while this one is
 * silent: nothing is closed for that. Its late commands here are not proven young, so they wait for
 * an answer that only comes if the initiator still stands by this connection. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct command;
struct session;
struct worker;

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
/* It waits; command_execute() follows, or the connection's end, or an abort. */
void barrier_wait(struct command *command);
/* It waits no more, for whatever reason. */
void barrier_leave(struct command *command);
/* Does a ping that commands wait for stay without an answer for too long? */
bool barrier_overdue(const struct session *session, uint64_t now_ms);
