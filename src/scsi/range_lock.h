/* The range lock of a logical unit: orders commands that must not overlap. Ranges wait in order of
 * arrival; two ranges get in each other's way when they overlap and one of them is exclusive.
 *
 * Plain READ and WRITE do not come here while the queue is empty (range_lock_idle): an exclusive
 * range must therefore also wait for the plain ones that were in flight when it was queued. */
#pragma once

#include "base/auto.h"
#include "base/list.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct range_lock {
	pthread_mutex_t lock; /* innermost: nothing else is taken under it */
	struct list queue;
	atomic_uint count; /* entries of the queue */
};

struct range {
	uint64_t lba, blocks;
	/* Called once if range_lock_take() had to wait, by the thread that released what was in the
	 * way, with the lock held: it only posts a message. */
	void (*granted)(struct range *range);
	/* The lock's own. */
	struct list link;
	bool exclusive, queued, waiting;
};

int range_lock_init(struct range_lock *lock) MUST_CHECK;
void range_lock_done(struct range_lock *lock);

/* Nobody is in the queue. Sequentially consistent: see range_lock_take. */
static inline bool range_lock_idle(const struct range_lock *lock)
{
	return atomic_load(&lock->count) == 0;
}

static inline bool ranges_overlap(uint64_t a, uint64_t a_len, uint64_t b, uint64_t b_len)
{
	return a_len && b_len && a < b + b_len && b < a + a_len;
}

/* Any thread. True: the range is taken; false: granted() will come. */
bool range_lock_take(struct range_lock *lock, struct range *range, bool exclusive);
/* Gives a taken range back and grants what waited for it. */
void range_lock_release(struct range_lock *lock, struct range *range);
/* Leaves the queue; false if it has been granted already (granted() was or is being called). */
bool range_lock_cancel(struct range_lock *lock, struct range *range);
