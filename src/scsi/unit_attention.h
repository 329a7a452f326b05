/* Unit attentions pending for one I_T_L nexus: an ordered set, most important first
 * [SAM-5 5.14]. No locks here: the LUN's lock guards every set of that LUN. */
#pragma once

#include "base/auto.h"
#include "scsi/sense.h"

#include <stdatomic.h>

#define UA_MAX 16u

/* Zeroed memory is an empty set. */
struct ua_set {
	atomic_uint count; /* read without the lock to see that nothing is pending */
	uint8_t asc[UA_MAX], ascq[UA_MAX];
};

static inline bool ua_pending(const struct ua_set *set)
{
	return atomic_load_explicit(&set->count, memory_order_acquire) != 0;
}

/* Adds it unless it is there already. A reset makes what was pending before it meaningless and
 * takes its place. When the set is full, the newest of the least important goes. */
void ua_add(struct ua_set *set, enum sense_code code);
/* Takes the most important one out; SENSE_NONE if there is none. */
enum sense_code ua_take(struct ua_set *set);
void ua_remove(struct ua_set *set, enum sense_code code);
