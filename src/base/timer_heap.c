/* A binary heap of timers, earliest deadline first. */
#include "base/timer_heap.h"

#include <assert.h>
#include <stdlib.h>

static void place(struct timer_heap *heap, unsigned index, struct timer *timer)
{
	heap->timers[index] = timer;
	timer->slot = index + 1;
}

static void sift_up(struct timer_heap *heap, unsigned index, struct timer *timer)
{
	while (index > 0) {
		unsigned parent = (index - 1) / 2;
		if (heap->timers[parent]->deadline_ms <= timer->deadline_ms)
			break;
		place(heap, index, heap->timers[parent]);
		index = parent;
	}
	place(heap, index, timer);
}

static void sift_down(struct timer_heap *heap, unsigned index, struct timer *timer)
{
	for (;;) {
		unsigned child = 2 * index + 1;
		if (child >= heap->count)
			break;
		if (child + 1 < heap->count &&
		    heap->timers[child + 1]->deadline_ms < heap->timers[child]->deadline_ms)
			child++;
		if (timer->deadline_ms <= heap->timers[child]->deadline_ms)
			break;
		place(heap, index, heap->timers[child]);
		index = child;
	}
	place(heap, index, timer);
}

void timer_heap_done(struct timer_heap *heap)
{
	for (unsigned i = 0; i < heap->count; i++)
		heap->timers[i]->slot = 0;
	free(heap->timers);
	*heap = (struct timer_heap){ 0 };
}

void timer_heap_put(struct timer_heap *heap, struct timer *timer)
{
	assert(timer->slot == 0);
	if (heap->count == heap->room) {
		unsigned room = heap->room ? 2 * heap->room : 64;
		struct timer **timers = realloc(heap->timers, room * sizeof(struct timer *));
		if (!timers)
			abort(); /* 8 bytes a timer: nothing else could go on either */
		heap->timers = timers;
		heap->room = room;
	}
	heap->count++;
	sift_up(heap, heap->count - 1, timer);
}

void timer_heap_remove(struct timer_heap *heap, struct timer *timer)
{
	if (timer->slot == 0)
		return;
	unsigned index = timer->slot - 1;
	assert(index < heap->count && heap->timers[index] == timer);
	timer->slot = 0;
	struct timer *last = heap->timers[--heap->count];
	if (last == timer)
		return;
	if (index > 0 && heap->timers[(index - 1) / 2]->deadline_ms > last->deadline_ms)
		sift_up(heap, index, last);
	else
		sift_down(heap, index, last);
}

struct timer *timer_heap_first(const struct timer_heap *heap)
{
	return heap->count ? heap->timers[0] : NULL;
}
