/* The range lock alone. */
#include "scsi/range_lock.h"
#include "test.h"

static unsigned granted_count;
static struct range *granted_last;

static void granted(struct range *range)
{
	granted_count++;
	granted_last = range;
}

static struct range range_of(uint64_t lba, uint64_t blocks)
{
	struct range range = { .lba = lba, .blocks = blocks, .granted = granted };
	return range;
}

TEST(ranges_overlap_when_they_share_a_block)
{
	static const struct {
		uint64_t a, a_len, b, b_len;
		bool overlap;
	} rows[] = {
		{ 0, 8, 8, 8, false }, { 0, 9, 8, 8, true },    { 8, 8, 0, 8, false },
		{ 4, 1, 0, 8, true },  { 0, 0, 0, 8, false },   { 0, 8, 4, 0, false },
		{ 3, 1, 3, 1, true },  { 100, 1, 3, 1, false },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		TEST_ROW("%zu", i);
		ASSERT_EQ(ranges_overlap(rows[i].a, rows[i].a_len, rows[i].b, rows[i].b_len),
		          rows[i].overlap);
	}
}

TEST(an_exclusive_range_waits_for_older_ones_and_holds_up_younger_ones)
{
	struct range_lock lock;
	ASSERT_EQ(range_lock_init(&lock), 0);
	ASSERT_TRUE(range_lock_idle(&lock));
	granted_count = 0;
	struct range plain = range_of(0, 10), exclusive = range_of(5, 10),
	             younger = range_of(12, 1), far = range_of(50, 1);
	ASSERT_TRUE(range_lock_take(&lock, &plain, false));
	ASSERT_FALSE(range_lock_take(&lock, &exclusive, true));
	ASSERT_FALSE(range_lock_take(&lock, &younger, false));
	ASSERT_TRUE(range_lock_take(&lock, &far, false));
	ASSERT_FALSE(range_lock_idle(&lock));

	range_lock_release(&lock, &plain);
	ASSERT_EQ(granted_count, 1);
	ASSERT_TRUE(granted_last == &exclusive);
	range_lock_release(&lock, &exclusive);
	ASSERT_EQ(granted_count, 2);
	ASSERT_TRUE(granted_last == &younger);
	range_lock_release(&lock, &younger);
	range_lock_release(&lock, &far);
	ASSERT_TRUE(range_lock_idle(&lock));
	range_lock_done(&lock);
}

TEST(plain_ranges_do_not_wait_for_each_other)
{
	struct range_lock lock;
	ASSERT_EQ(range_lock_init(&lock), 0);
	struct range a = range_of(0, 10), b = range_of(0, 10);
	ASSERT_TRUE(range_lock_take(&lock, &a, false));
	ASSERT_TRUE(range_lock_take(&lock, &b, false));
	range_lock_release(&lock, &b);
	range_lock_release(&lock, &a);
	range_lock_done(&lock);
}

TEST(a_range_that_still_waits_can_leave_the_queue)
{
	struct range_lock lock;
	ASSERT_EQ(range_lock_init(&lock), 0);
	granted_count = 0;
	struct range a = range_of(0, 10), b = range_of(0, 10), c = range_of(0, 10);
	ASSERT_TRUE(range_lock_take(&lock, &a, false));
	ASSERT_FALSE(range_lock_take(&lock, &b, true));
	ASSERT_FALSE(range_lock_take(&lock, &c, false));
	ASSERT_FALSE(range_lock_cancel(&lock, &a)); /* it has its range */
	ASSERT_TRUE(range_lock_cancel(&lock, &b));
	ASSERT_EQ(granted_count, 1); /* nothing is in the way of c any more */
	ASSERT_FALSE(range_lock_cancel(&lock, &c));
	range_lock_release(&lock, &a);
	range_lock_release(&lock, &c);
	range_lock_done(&lock);
}
