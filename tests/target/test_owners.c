/* What a look at the rows leads to. Looks and the interconnect are the test's. */
#include "target/owners.h"

#include "ownership/registration.h"
#include "store/store.h"
#include "target/disk_set.h"
#include "target/look.h"
#include "target/peers.h"
#include "test.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#define DEADLINE_MS 20000

/* ---- what owners.c calls ---- */

static atomic_uint looks;
static atomic_int look_result, look_own;

int look_make(struct store *store, struct registration *registration, struct look **ret_look,
              struct error *err)
{
	int r = atomic_load(&look_result);
	atomic_fetch_add(&looks, 1);
	if (r < 0)
		return error_set(err, r, "a look that fails");
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

/* ---- the world ---- */

struct world {
	struct reactor *manager;
	struct store *store;
	struct registration *registration;
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
	ASSERT_EQ(reactor_new("manager", NULL, &world->manager), 0);
	ASSERT_EQ(store_open(&config, &world->store, &err), 0);
	ASSERT_EQ(registration_new(world->store, "gw-1", &world->registration, &err), 0);
	struct owners_config owners = { .manager = world->manager,
		                        .disks = &world->disks,
		                        .gateway = "gw-1",
		                        .condemned = count_condemned,
		                        .argument = world };
	ASSERT_EQ(owners_new(&owners, &world->owners), 0);
}

static void begin(struct world *world)
{
	owners_begin(world->owners, world->store, world->registration, NULL, NULL);
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
