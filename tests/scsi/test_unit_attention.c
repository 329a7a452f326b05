/* The set of pending unit attentions. */
#include "scsi/unit_attention.h"
#include "test.h"

TEST(the_most_important_comes_first_and_equals_in_order_of_arrival)
{
	struct ua_set set = { 0 };
	ua_add(&set, SENSE_LUNS_CHANGED);
	ua_add(&set, SENSE_CAPACITY_CHANGED);
	ua_add(&set, SENSE_NEXUS_LOSS);
	ua_add(&set, SENSE_LUNS_CHANGED);
	ASSERT_TRUE(ua_pending(&set));
	ASSERT_EQ(ua_take(&set), SENSE_NEXUS_LOSS);
	ASSERT_EQ(ua_take(&set), SENSE_LUNS_CHANGED);
	ASSERT_EQ(ua_take(&set), SENSE_CAPACITY_CHANGED);
	ASSERT_EQ(ua_take(&set), SENSE_NONE);
	ASSERT_FALSE(ua_pending(&set));
}

TEST(a_reset_takes_the_place_of_what_was_pending_but_not_of_what_must_be_seen)
{
	struct ua_set set = { 0 };
	ua_add(&set, SENSE_INQUIRY_CHANGED);
	ua_add(&set, SENSE_NEXUS_LOSS);
	ua_add(&set, SENSE_CAPACITY_CHANGED);
	ua_add(&set, SENSE_LUN_RESET);
	ASSERT_EQ(ua_take(&set), SENSE_LUN_RESET);
	ASSERT_EQ(ua_take(&set), SENSE_CAPACITY_CHANGED);
	ASSERT_EQ(ua_take(&set), SENSE_NONE);
}

TEST(power_on_comes_before_a_lun_reset)
{
	struct ua_set set = { 0 };
	ua_add(&set, SENSE_POWER_ON);
	ua_add(&set, SENSE_LUN_RESET);
	ASSERT_EQ(ua_take(&set), SENSE_POWER_ON);
	ASSERT_EQ(ua_take(&set), SENSE_LUN_RESET);
}

TEST(a_full_set_drops_the_newest_unimportant_one)
{
	struct ua_set set = { 0 };
	for (unsigned i = 0; i < UA_MAX + 4; i++)
		ua_add(&set, (enum sense_code)(0x063c00 + i));
	ua_add(&set, SENSE_CAPACITY_CHANGED);
	for (unsigned i = 0; i < UA_MAX - 1; i++)
		ASSERT_EQ(ua_take(&set), 0x063c00 + i);
	ASSERT_EQ(ua_take(&set), SENSE_CAPACITY_CHANGED);
	ASSERT_FALSE(ua_pending(&set));
}

TEST(one_can_be_removed)
{
	struct ua_set set = { 0 };
	ua_add(&set, SENSE_LUNS_CHANGED);
	ua_add(&set, SENSE_CAPACITY_CHANGED);
	ua_remove(&set, SENSE_LUNS_CHANGED);
	ua_remove(&set, SENSE_LUNS_CHANGED);
	ASSERT_EQ(ua_take(&set), SENSE_CAPACITY_CHANGED);
}
