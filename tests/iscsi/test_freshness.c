/* What acknowledgements prove, mark by mark. */
#include "iscsi/freshness.h"
#include "test.h"

TEST(an_acknowledgement_proves_the_time_of_the_newest_mark_before_it)
{
	struct freshness f;

	freshness_init(&f, 2000, 1000);
	freshness_mark(&f, 7, 2000);
	freshness_mark(&f, 9, 2500);
	ASSERT_FALSE(freshness_acknowledge(&f, 7)); /* 7 itself is not acknowledged */
	ASSERT_EQ(f.alive_ms, 1000);
	ASSERT_TRUE(freshness_acknowledge(&f, 8));
	ASSERT_EQ(f.alive_ms, 2000);
	ASSERT_FALSE(freshness_acknowledge(&f, 9));
	ASSERT_TRUE(freshness_acknowledge(&f, 20));
	ASSERT_EQ(f.alive_ms, 2500);
	ASSERT_FALSE(freshness_acknowledge(&f, 20));
}

TEST(one_acknowledgement_takes_several_marks)
{
	struct freshness f;

	freshness_init(&f, 2000, 0);
	for (uint32_t i = 0; i < 10; i++)
		freshness_mark(&f, i, 1000 + i * 100);
	ASSERT_TRUE(freshness_acknowledge(&f, 8));
	ASSERT_EQ(f.alive_ms, 1700);
	ASSERT_TRUE(freshness_acknowledge(&f, 10));
	ASSERT_EQ(f.alive_ms, 1900);
}

TEST(numbers_wrap)
{
	struct freshness f;

	freshness_init(&f, 2000, 0);
	freshness_mark(&f, UINT32_MAX, 100);
	ASSERT_FALSE(freshness_acknowledge(&f, UINT32_MAX));
	ASSERT_TRUE(freshness_acknowledge(&f, 0));
	ASSERT_EQ(f.alive_ms, 100);
}

TEST(marks_are_coarse_and_a_number_that_was_not_sent_yet_moves_its_mark)
{
	struct freshness f;

	freshness_init(&f, 2000, 0);
	freshness_mark(&f, 1, 1000);
	freshness_mark(&f, 1, 1500); /* nothing was sent meanwhile */
	freshness_mark(&f, 2, 1599); /* too near to the one before */
	freshness_mark(&f, 3, 1600);
	ASSERT_TRUE(freshness_acknowledge(&f, 3));
	ASSERT_EQ(f.alive_ms, 1500);
	ASSERT_TRUE(freshness_acknowledge(&f, 4));
	ASSERT_EQ(f.alive_ms, 1600);
}

TEST(a_full_ring_forgets_what_is_too_old_to_matter)
{
	struct freshness f;
	uint64_t now_ms = 0;

	freshness_init(&f, 2000, 0);
	for (uint32_t i = 0; i < 100; i++)
		freshness_mark(&f, i, now_ms += 100);
	ASSERT_FALSE(freshness_acknowledge(&f, 100 - FRESHNESS_MARKS));
	ASSERT_TRUE(freshness_acknowledge(&f, 101 - FRESHNESS_MARKS));
	ASSERT_FALSE(freshness_young(&f, f.alive_ms, now_ms));
	ASSERT_TRUE(freshness_acknowledge(&f, 100));
	ASSERT_TRUE(freshness_young(&f, f.alive_ms, now_ms));
}

TEST(age_is_bounded_unless_it_is_switched_off)
{
	struct freshness f;

	freshness_init(&f, 2000, 5000);
	ASSERT_TRUE(freshness_young(&f, 5000, 7000));
	ASSERT_FALSE(freshness_young(&f, 5000, 7001));
	freshness_init(&f, 0, 5000);
	ASSERT_TRUE(freshness_young(&f, 0, 1u << 30));
}

TEST(what_was_proven_never_goes_back)
{
	struct freshness f;

	freshness_init(&f, 2000, 5000);
	ASSERT_FALSE(freshness_answered(&f, 4000));
	ASSERT_EQ(f.alive_ms, 5000);
	freshness_mark(&f, 1, 6000);
	ASSERT_TRUE(freshness_answered(&f, 7000));
	ASSERT_FALSE(freshness_acknowledge(&f, 2));
	ASSERT_EQ(f.alive_ms, 7000);
}
