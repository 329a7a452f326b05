/* What is known of an ownership by what its owner has told of itself. */
#include "target/disk_private.h"

#include "test.h"

static void tell(struct disk *disk, enum owner_state state, uint64_t epoch, bool kept)
{
	const struct owner_record record = { .state = state, .epoch = epoch };
	disk_told_record(disk, &record, kept);
	disk->record = (struct owner_record){ .state = state, .epoch = epoch };
}

/* [H1] Its fences come before it serves; a map that is newer serves the next owner as well. */
TEST(an_owner_that_kept_a_lun_fenced_all_before_it_said_that_it_serves)
{
	struct disk disk = { 0 };
	uint64_t before_ms = clock_monotonic_ms();
	tell(&disk, OWNER_ACTIVE, 7, false);
	uint64_t after_ms = clock_monotonic_ms();
	ASSERT_EQ(disk_kept_since_ms(&disk), 0); /* it may have fenced more before it ended */
	while (clock_monotonic_ms() == after_ms)
		continue;
	tell(&disk, OWNER_CLEAN, 7, true);
	ASSERT_TRUE(disk_kept_since_ms(&disk) >= before_ms &&
	            disk_kept_since_ms(&disk) <= after_ms);
}

TEST(what_the_owner_has_not_told_itself_is_not_known)
{
	static const struct {
		const char *name;
		uint64_t active, clean, record; /* epochs; 0: not told */
		bool kept, on_demand, known;
	} rows[] = {
		{ "kept", 7, 7, 7, .kept = true, .known = true },
		{ "lost it meanwhile", 7, 7, 7 },
		{ "did not say that it serves", 0, 7, 7, .kept = true },
		{ "did not say that it gave it back", 7, 0, 7 },
		{ "of an ownership before", 6, 7, 7, .kept = true },
		{ "of another record than is known", 7, 7, 8, .kept = true },
		{ "others may have had it", 7, 7, 7, .kept = true, .on_demand = true },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		TEST_ROW("%s", rows[i].name);
		struct disk disk = { .order.on_demand = rows[i].on_demand };
		if (rows[i].active)
			tell(&disk, OWNER_ACTIVE, rows[i].active, false);
		if (rows[i].clean)
			tell(&disk, OWNER_CLEAN, rows[i].clean, rows[i].kept);
		disk.record =
		        (struct owner_record){ .state = OWNER_CLEAN, .epoch = rows[i].record };
		ASSERT_EQ(disk_kept_since_ms(&disk) > 0, rows[i].known);
	}
}

TEST(an_owner_that_took_it_again_has_not_kept_it)
{
	struct disk disk = { 0 };
	tell(&disk, OWNER_ACTIVE, 7, false);
	tell(&disk, OWNER_CLEAN, 7, true);
	tell(&disk, OWNER_ACTIVE, 7, false);
	disk.record.state = OWNER_CLEAN; /* as the rows tell */
	ASSERT_EQ(disk_kept_since_ms(&disk), 0);
}

/* Whoever has it by then may hand it to the gateway that gave it. */
TEST(what_was_asked_for_is_asked_for_until_somebody_has_taken_it)
{
	struct disk disk = { .record = { .state = OWNER_ACTIVE, .epoch = 7 } };
	struct disk_host host = { 0 };
	uint64_t asked_ms;
	ASSERT_EQ(reactor_new("manager", NULL, &host.manager), 0);
	disk.host = &host;
	ASSERT_STR_EQ(disk_asked_for(&disk, &asked_ms), "");
	disk_ask_for(&disk, "gw-2");
	ASSERT_STR_EQ(disk_asked_for(&disk, &asked_ms), "gw-2");
	disk.record.state = OWNER_CLEAN;
	ASSERT_STR_EQ(disk_asked_for(&disk, &asked_ms), "gw-2");
	disk.record = (struct owner_record){ .state = OWNER_ACTIVE, .epoch = 8 };
	ASSERT_STR_EQ(disk_asked_for(&disk, &asked_ms), "");
	reactor_free(host.manager);
}
