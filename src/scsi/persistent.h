/* The rules of persistent reservations, without commands: what an order makes of a draft of the
 * state [SPC-4 5.13]. */
#pragma once

#include "scsi/lun_private.h"

enum persistent_action {
	PERSISTENT_REGISTER,
	PERSISTENT_RESERVE,
	PERSISTENT_RELEASE,
	PERSISTENT_CLEAR,
	PERSISTENT_PREEMPT,
	PERSISTENT_PREEMPT_AND_ABORT,
	PERSISTENT_REGISTER_AND_IGNORE,
	PERSISTENT_REGISTER_AND_MOVE,
	PERSISTENT_ACTION_COUNT,
};

/* A PERSISTENT RESERVE OUT as it came. */
struct persistent_order {
	const struct reservation_port *port; /* who sent it */
	enum persistent_action action;
	enum reservation_type type;
	uint64_t key, action_key;
	bool all_target_ports;
	bool aptpl; /* REGISTER, also MOVE: the LUN's state survives a power loss from now on */
	bool unregister; /* MOVE: the sender's registration goes */
	/* REGISTER: further nexuses (SPEC_I_PT); MOVE: the one to move to. */
	struct reservation_port *others;
	size_t other_count;
};

enum persistent_result {
	PERSISTENT_GOOD,      /* the draft is the new state */
	PERSISTENT_UNCHANGED, /* GOOD, and nothing is different */
	PERSISTENT_CONFLICT,
	PERSISTENT_BAD_KEY,     /* 5/26/00, the service action's key */
	PERSISTENT_BAD_PORT,    /* 5/26/00, a TransportID */
	PERSISTENT_BAD_RELEASE, /* 5/26/04 */
	PERSISTENT_NO_ROOM,     /* 5/55/04 */
};

/* Carries the order out on change->draft, and writes down who is to be told and whose tasks are to
 * be aborted. With any other result than GOOD the change must be dropped. */
enum persistent_result persistent_carry_out(struct reservation_change *change,
                                            const struct persistent_order *order);
