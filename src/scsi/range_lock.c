/* The range lock: a queue in order of arrival under one mutex. It is short: only commands that need
 * atomicity, and what overlaps them, are ever in it. */
#include "scsi/range_lock.h"

#include <assert.h>

int range_lock_init(struct range_lock *lock)
{
	list_init(&lock->queue);
	atomic_init(&lock->count, 0);
	return -pthread_mutex_init(&lock->lock, NULL);
}

void range_lock_done(struct range_lock *lock)
{
	assert(list_empty(&lock->queue));
	(void)pthread_mutex_destroy(&lock->lock); /* fails only if it is held */
}

static bool in_the_way(const struct range *a, const struct range *b)
{
	return (a->exclusive || b->exclusive) &&
	       ranges_overlap(a->lba, a->blocks, b->lba, b->blocks);
}

/* Whether anything that came before stands in the way. */
static bool must_wait(const struct range_lock *lock, const struct range *range)
{
	const struct range *older;
	list_for_each (older, &lock->queue, link) {
		if (older == range)
			return false;
		if (in_the_way(older, range))
			return true;
	}
	return false;
}

static void leave(struct range_lock *lock, struct range *range)
{
	list_remove(&range->link);
	range->queued = false;
	(void)atomic_fetch_sub(&lock->count, 1);
}

static void grant_ready(struct range_lock *lock)
{
	struct range *range;
	list_for_each (range, &lock->queue, link) {
		if (range->waiting && !must_wait(lock, range)) {
			range->waiting = false;
			range->granted(range);
		}
	}
}

bool range_lock_take(struct range_lock *lock, struct range *range, bool exclusive)
{
	(void)pthread_mutex_lock(&lock->lock);
	range->exclusive = exclusive;
	range->queued = true;
	list_append(&lock->queue, &range->link);
	(void)atomic_fetch_add(&lock->count, 1);
	bool waits = must_wait(lock, range);
	range->waiting = waits;
	(void)pthread_mutex_unlock(&lock->lock);
	return !waits;
}

void range_lock_release(struct range_lock *lock, struct range *range)
{
	(void)pthread_mutex_lock(&lock->lock);
	assert(range->queued && !range->waiting);
	leave(lock, range);
	grant_ready(lock);
	(void)pthread_mutex_unlock(&lock->lock);
}

bool range_lock_cancel(struct range_lock *lock, struct range *range)
{
	(void)pthread_mutex_lock(&lock->lock);
	bool waiting = range->queued && range->waiting;
	if (waiting) {
		leave(lock, range);
		grant_ready(lock);
	}
	(void)pthread_mutex_unlock(&lock->lock);
	return waiting;
}
