/* What a look at the rows leads to. Looks and the interconnect are the test's. */
#include "target/owners_private.h"

#include "interconnect/interconnect.h"
#include "ownership/fence.h"
#include "ownership/registration.h"
#include "store/kinds.h"
#include "target/disk_set.h"
#include "target/look.h"
#include "target/peers.h"
#include "target/renew.h"
#include "test.h"

#include <errno.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>

#define DEADLINE_MS 60000

/* ---- what owners.c calls ---- */

static atomic_uint looks;
static atomic_int look_result, look_own;
static atomic_bool look_anew; /* else there is nothing new after the first */

int look_make(struct store *store, struct registration *registration, const struct look *before,
              struct look **ret_look, struct error *err)
{
	int r = atomic_load(&look_result);
	atomic_fetch_add(&looks, 1);
	if (r < 0)
		return error_set(err, r, "a look that fails");
	*ret_look = NULL;
	if (before && !atomic_load(&look_anew))
		return 0;
	*ret_look = calloc(1, sizeof **ret_look);
	ASSERT_NOT_NULL(*ret_look);
	(*ret_look)->own = atomic_load(&look_own);
	return 0;
}

void look_free(struct look *look)
{
	free(look);
}

struct interconnect *peers_interconnect(struct peers *peers)
{
	return NULL;
}

static uint32_t said; /* to peers */

void peers_set_stalled(struct peers *peers, uint32_t stalled_ms)
{
	said = stalled_ms;
}

static const char *note; /* of the life before */

const char *renewed_note(void)
{
	return note;
}

void renew_set_note(const char *text)
{
}

/* ---- the world ---- */

static uint64_t stepped_ms; /* 0: time passes */

static uint64_t test_clock(void)
{
	return stepped_ms ? stepped_ms : clock_monotonic_ms();
}

struct world {
	struct reactor *manager;
	struct store *store;
	struct registration *registration;
	struct fence *fence;
	struct disk_set disks;
	struct owners *owners;
	unsigned condemned;
	bool stopped;
};

static void count_condemned(void *argument, const char *why)
{
	((struct world *)argument)->condemned++;
}

static void set_flag(void *argument)
{
	*(bool *)argument = true;
}

static void world_init(struct world *world)
{
	struct store_config config = { .kind = "dir", .path = test_folder(), .object = "o" };
	struct error err = { 0 };
	*world = (struct world){ 0 };
	atomic_store(&looks, 0);
	atomic_store(&look_result, 0);
	atomic_store(&look_own, 0);
	atomic_store(&look_anew, true);
	ASSERT_EQ(reactor_new("manager", test_clock, &world->manager), 0);
	ASSERT_EQ(store_open(&config, &world->store, &err), 0);
	ASSERT_EQ(registration_new(world->store, "gw-1", &world->registration, &err), 0);
	const struct fence_config fence = { .store = world->store };
	ASSERT_EQ(fence_new(&fence, &world->fence), 0);
	struct owners_config owners = { .manager = world->manager,
		                        .disks = &world->disks,
		                        .gateway = "gw-1",
		                        .condemned = count_condemned,
		                        .argument = world };
	ASSERT_EQ(owners_new(&owners, &world->owners), 0);
}

static void begin(struct world *world)
{
	owners_begin(world->owners, world->store, world->registration, world->fence, NULL);
}

static void wait_looks(struct world *world, unsigned count)
{
	uint64_t deadline = clock_monotonic_ms() + DEADLINE_MS;
	while (atomic_load(&looks) < count && clock_monotonic_ms() < deadline) {
		owners_look(world->owners);
		(void)reactor_turn(world->manager, 5);
	}
	ASSERT_TRUE(atomic_load(&looks) >= count);
}

static void world_done(struct world *world)
{
	uint64_t deadline = clock_monotonic_ms() + DEADLINE_MS;
	owners_stop(world->owners, set_flag, &world->stopped);
	while (!world->stopped && clock_monotonic_ms() < deadline)
		(void)reactor_turn(world->manager, 5);
	ASSERT_TRUE(world->stopped);
	owners_free(world->owners);
	fence_free(world->fence);
	registration_free(world->registration);
	store_free(world->store);
	reactor_free(world->manager);
}

TEST(who_is_condemned_or_blocklisted_ends_this_life_once_and_other_errors_pass)
{
	static const struct {
		int result, own;
		bool ends;
	} rows[] = {
		{ 0, 0, false },          { 0, -EOWNERDEAD, true },    { -ESHUTDOWN, 0, true },
		{ -ETIMEDOUT, 0, false }, { -ECONNREFUSED, 0, false }, { -EIO, 0, false },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct world world;
		TEST_ROW("result %d, own %d", rows[i].result, rows[i].own);
		world_init(&world);
		atomic_store(&look_result, rows[i].result);
		atomic_store(&look_own, rows[i].own);
		begin(&world);
		wait_looks(&world, 4); /* the third is over then */
		ASSERT_EQ(world.condemned, rows[i].ends);
		world_done(&world);
	}
}

TEST(a_look_that_finds_nothing_new_is_a_good_one)
{
	struct world world;
	world_init(&world);
	atomic_store(&look_anew, false);
	begin(&world);
	wait_looks(&world, 2); /* the first is over then */
	const struct look *seen = world.owners->seen;
	ASSERT_NOT_NULL(seen);
	uint64_t looked_ms = world.owners->looked_ms;
	uint64_t deadline = clock_monotonic_ms() + DEADLINE_MS;
	while (world.owners->looked_ms == looked_ms && clock_monotonic_ms() < deadline) {
		owners_look(world.owners);
		(void)reactor_turn(world.manager, 5);
	}
	ASSERT_TRUE(world.owners->looked_ms > looked_ms);
	ASSERT_TRUE(world.owners->seen == seen);
	ASSERT_EQ(world.condemned, 0);
	world_done(&world);
}

/* As when hundreds of LUNs move, one after the other. */
TEST(decisions_without_end_do_not_put_the_next_look_off)
{
	struct world world;
	world_init(&world);
	begin(&world);
	uint64_t deadline = clock_monotonic_ms() + DEADLINE_MS;
	while (atomic_load(&looks) < 2 && clock_monotonic_ms() < deadline) {
		owners_changed(world.owners);
		(void)reactor_turn(world.manager, 5);
	}
	ASSERT_TRUE(atomic_load(&looks) >= 2);
	world_done(&world);
}

/* ---- letters ---- */

static sem_t told_gate;
static atomic_uint told;

static int tell(struct store *store, const char *text, struct error *err)
{
	atomic_fetch_add(&told, 1);
	while (sem_wait(&told_gate) < 0)
		;
	return 0;
}

static void wait_letters(struct world *world, unsigned letters, unsigned count)
{
	uint64_t deadline = clock_monotonic_ms() + DEADLINE_MS;
	while ((world->owners->letters != letters || atomic_load(&told) != count) &&
	       clock_monotonic_ms() < deadline)
		(void)reactor_turn(world->manager, 5);
	ASSERT_EQ(world->owners->letters, letters);
	ASSERT_EQ(atomic_load(&told), count);
}

/* A dead watcher holds each of them up: no answer may wait behind them. */
TEST(one_wake_is_on_its_way_at_a_time_and_what_came_meanwhile_makes_one_more)
{
	static const struct store_ops ops = { .tell = tell };
	struct store store = { .ops = &ops };
	struct world world;
	world_init(&world);
	ASSERT_EQ(sem_init(&told_gate, 0, 0), 0);
	atomic_store(&told, 0);
	owners_begin(world.owners, &store, world.registration, world.fence, NULL);
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < 20; i++)
			talk_wake(world.owners);
		wait_letters(&world, 1, 2 * round + 1);
		ASSERT_EQ(sem_post(&told_gate), 0);
		wait_letters(&world, 1, 2 * round + 2);
		ASSERT_EQ(sem_post(&told_gate), 0);
		wait_letters(&world, 0, 2 * round + 2);
	}
	world_done(&world);
	ASSERT_EQ(sem_destroy(&told_gate), 0);
}

/* ---- what peers are told of the storage ---- */

#define NOTHING 12345

static void expect_said(struct world *world, uint32_t stalled_ms)
{
	uint64_t deadline = clock_monotonic_ms() + DEADLINE_MS;
	while (said == NOTHING && clock_monotonic_ms() < deadline)
		(void)reactor_turn(world->manager, 5);
	ASSERT_EQ(said, stalled_ms);
	said = NOTHING;
}

/* As long as nobody would ask because of a pause, peers hear of what counts: give it nothing. */
TEST(a_pause_of_its_storage_does_not_hide_that_a_gateway_is_cautious)
{
	static const struct {
		uint64_t age_ms; /* of the last good look */
		bool cautious;
		uint32_t said;
	} rows[] = {
		{ 700, false, 0 },     { 1400, true, INTERCONNECT_CAUTIOUS },
		{ 2000, false, 2000 }, { 2600, true, INTERCONNECT_CAUTIOUS },
		{ 3300, false, 3300 }, { 4000, true, INTERCONNECT_CAUTIOUS },
		{ 4600, true, 4600 },  { 5200, false, 5200 },
	};
	struct world world;
	world_init(&world);
	begin(&world);
	wait_looks(&world, 2);
	atomic_store(&look_result, -ETIMEDOUT);
	wait_looks(&world, atomic_load(&looks) + 3);
	stepped_ms = clock_monotonic_ms();
	(void)reactor_turn(world.manager, 5);
	world.owners->looked_ms = stepped_ms;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		TEST_ROW("%u ms", (unsigned)rows[i].age_ms);
		said = NOTHING;
		world.owners->hung.cautious = rows[i].cautious;
		stepped_ms = world.owners->looked_ms + rows[i].age_ms;
		expect_said(&world, rows[i].said);
	}
	world_done(&world);
	stepped_ms = 0;
}

TEST(a_cautious_life_says_so_before_it_can_be_connected)
{
	struct world world;
	world_init(&world);
	note = "0 4096 rbd/disk_1\n";
	said = NOTHING;
	begin(&world);
	ASSERT_EQ(said, INTERCONNECT_CAUTIOUS);
	note = NULL;
	world_done(&world);
}
