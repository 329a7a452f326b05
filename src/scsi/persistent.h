/* The rules of persistent reservations, without commands: changes of the state that is kept with a
 * LUN [SPC-4 5.13]. All with lun->lock held. */
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
	PERSISTENT_ACTION_COUNT,
};

/* A PERSISTENT RESERVE OUT as it came. */
struct persistent_order {
	struct itl *itl; /* who sent it */
	enum persistent_action action;
	enum reservation_type type;
	uint64_t key, action_key;
	bool all_target_ports;
};

enum persistent_result {
	PERSISTENT_GOOD,
	PERSISTENT_CONFLICT,
	PERSISTENT_BAD_KEY,     /* 5/26/00 */
	PERSISTENT_BAD_RELEASE, /* 5/26/04 */
	PERSISTENT_NO_ROOM,     /* 5/55/04 */
};

/* Carries the order out, or leaves everything as it was. Raises unit attentions; PREEMPT AND
 * ABORT marks the nexuses that lost their registration (itl->preempted). */
enum persistent_result persistent_carry_out(struct lun *lun, const struct persistent_order *order);
