#include "base/timer_heap.h"

#include "test.h"

TEST(timers_come_out_by_deadline_whatever_was_removed_before)
{
	struct timer_heap heap = { 0 };
	struct timer timers[200] = { 0 };
	uint32_t seed = 12345;
	for (size_t i = 0; i < ARRAY_LEN(timers); i++) {
		seed = seed * 1664525 + 1013904223;
		timers[i].deadline_ms = seed >> 20;
		timer_heap_put(&heap, &timers[i]);
	}
	for (size_t i = 0; i < ARRAY_LEN(timers); i += 3)
		timer_heap_remove(&heap, &timers[i]);
	uint64_t last = 0;
	unsigned count = 0;
	for (struct timer *timer; (timer = timer_heap_first(&heap)); count++) {
		ASSERT_TRUE(timer->deadline_ms >= last);
		last = timer->deadline_ms;
		timer_heap_remove(&heap, timer);
		ASSERT_FALSE(timer_armed(timer));
	}
	ASSERT_EQ(count, 200 - 67);
	timer_heap_done(&heap);
}
