/* Timers in order of their deadlines: a binary heap of pointers, each timer knows its slot. */
#pragma once

#include "base/reactor.h"

struct timer_heap {
	struct timer **timers;
	unsigned count, room;
};

void timer_heap_done(struct timer_heap *heap);
/* Aborts the process when memory is short: the heap grows by doubling, up to the number of timers.
 */
void timer_heap_put(struct timer_heap *heap, struct timer *timer);
void timer_heap_remove(struct timer_heap *heap, struct timer *timer);
/* The next to expire, or NULL. */
struct timer *timer_heap_first(const struct timer_heap *heap);
