/* A disk is rolled back between taking it and serving it. On the embedded store; the snapshot is
 * the test's. */
#include "disk_means.h"

#include "store/image.h"
#include "target/disk_private.h"

#include <errno.h>
#include <semaphore.h>
#include <string.h>

#define DEADLINE_MS 60000
#define LUN         "rbd/disk"

static int result;
static atomic_uint calls;
static sem_t may_end;
static bool waits; /* for that */

int backend_roll_back(struct backend *backend, const char *snapshot, struct error *err)
{
	calls++;
	ASSERT_STR_EQ(snapshot, "before");
	if (waits)
		(void)sem_wait(&may_end);
	return result < 0 ? error_set(err, result, "cannot roll back: %s", strerror(-result)) : 0;
}

struct world {
	struct disk_host host;
	struct disk *disk;
	unsigned fences;
	bool closed;
};

static void ignore(struct disk_host *host, struct disk *disk)
{
}

static void fenced(struct disk_host *host, struct disk *disk)
{
	container_of(host, struct world, host)->fences++;
}

static const struct disk_order serve = { .role = DISK_SERVE, .why = "start" };
static const struct disk_order stop = { .role = DISK_ROLL_BACK, .why = "rollback" };

static void world_init(struct world *world)
{
	*world = (struct world){ 0 };
	result = 0;
	calls = 0;
	waits = false;
	means_init(&world->host, 2, ignore, ignore);
	world->host.fenced = fenced;
	const struct disk_config config = {
		.pool = "rbd",
		.image = "disk",
		.lun = { .name = LUN,
		         .wwn = "a1b2c3d4-e5f6-4789-8abc-def012345678",
		         .vendor_id = "rbd/rbd/x;osd_op_timeout=30",
		         .block_size = 512,
		         .max_sectors = 1024 },
	};
	(void)!image_create(world->host.store, "rbd", "disk", 1 << 20, NULL); /* it may be there */
	ASSERT_EQ(disk_new(&world->host, &config, &world->disk), 0);
	struct owner_record record = { 0 }; /* of the test before */
	ASSERT_EQ(owner_record_read(world->host.store, LUN, &record, NULL), 0);
	(void)disk_saw_record(world->disk, &record);
	owner_record_done(&record);
}

static void wait_state(struct world *world, enum lun_state state)
{
	uint64_t deadline_ms = clock_monotonic_ms() + DEADLINE_MS;
	while ((disk_state(world->disk) != state || disk_is_moving(world->disk)) &&
	       clock_monotonic_ms() < deadline_ms)
		(void)reactor_turn(world->host.manager, 50);
	ASSERT_EQ(disk_state(world->disk), state);
}

static void disk_closed(void *argument)
{
	((struct world *)argument)->closed = true;
}

static void world_done(struct world *world)
{
	disk_close(world->disk, disk_closed, world);
	uint64_t deadline_ms = clock_monotonic_ms() + DEADLINE_MS;
	while (!world->closed && clock_monotonic_ms() < deadline_ms)
		(void)reactor_turn(world->host.manager, 50);
	ASSERT_TRUE(world->closed);
	means_done(&world->host);
}

static enum rollback_state there(struct world *world)
{
	AUTO_ROLLBACK struct rollback rollback = { 0 };
	ASSERT_EQ(rollback_read(world->host.store, LUN, &rollback, NULL), 0);
	return rollback.state;
}

/* As a look finds the row, that begins now. */
static void look(struct world *world)
{
	AUTO_ROLLBACK struct rollback rollback = { 0 };
	ASSERT_EQ(rollback_read(world->host.store, LUN, &rollback, NULL), 0);
	disk_saw_rollback(world->disk, &rollback, UINT64_MAX);
}

static void ask(struct world *world, bool order)
{
	AUTO_ROLLBACK struct rollback rollback = { 0 };
	ASSERT_EQ(rollback_read(world->host.store, LUN, &rollback, NULL), 0);
	ASSERT_EQ(rollback_ask(world->host.store, LUN, "before", "gw-1", &rollback, NULL), 0);
	if (order)
		ASSERT_EQ(rollback_order(world->host.store, LUN, &rollback, NULL), 0);
}

TEST(it_is_given_back_rolled_back_and_served_again)
{
	struct world world;
	world_init(&world);
	disk_give_order(world.disk, &serve);
	wait_state(&world, LUN_READY);
	uint64_t epoch = disk_record(world.disk)->epoch;
	ask(&world, false);
	look(&world);
	disk_give_order(world.disk, &stop);
	wait_state(&world, LUN_OPERATION);
	ASSERT_EQ(disk_record(world.disk)->state, OWNER_CLEAN);
	ASSERT_FALSE(disk_record_moves(world.disk));
	ASSERT_EQ(calls, 0);
	AUTO_ROLLBACK struct rollback rollback = { 0 };
	ASSERT_EQ(rollback_read(world.host.store, LUN, &rollback, NULL), 0);
	ASSERT_EQ(rollback_order(world.host.store, LUN, &rollback, NULL), 0);
	look(&world);
	disk_give_order(world.disk, &serve);
	wait_state(&world, LUN_READY);
	ASSERT_EQ(calls, 1);
	ASSERT_EQ(there(&world), ROLLBACK_NONE);
	ASSERT_EQ(disk_rollback(world.disk)->state, ROLLBACK_NONE);
	ASSERT_TRUE(disk_was_rolled_back(world.disk));
	ASSERT_TRUE(disk_record(world.disk)->epoch > epoch);
	/* What a look saw that began before that is no news. */
	disk_saw_rollback(world.disk, &rollback, 1);
	ASSERT_EQ(disk_rollback(world.disk)->state, ROLLBACK_NONE);
	world_done(&world);
}

/* The row came after the decision, or this process has just begun. */
TEST(what_was_not_known_is_carried_out_all_the_same)
{
	struct world world;
	world_init(&world);
	ask(&world, true);
	disk_give_order(world.disk, &serve);
	wait_state(&world, LUN_READY);
	ASSERT_EQ(calls, 1);
	ASSERT_EQ(there(&world), ROLLBACK_NONE);
	world_done(&world);
}

TEST(nobody_is_served_while_it_lasts)
{
	struct world world;
	world_init(&world);
	ASSERT_EQ(sem_init(&may_end, 0, 0), 0);
	waits = true;
	ask(&world, true);
	look(&world);
	disk_give_order(world.disk, &serve);
	uint64_t deadline_ms = clock_monotonic_ms() + DEADLINE_MS;
	while (calls == 0 && clock_monotonic_ms() < deadline_ms)
		(void)reactor_turn(world.host.manager, 10);
	ASSERT_EQ(calls, 1);
	ASSERT_EQ(disk_state(world.disk), LUN_OPERATION);
	ASSERT_FALSE(disk_is_owner(world.disk));
	ASSERT_TRUE(disk_record_moves(world.disk)); /* and it has not stopped */
	ASSERT_TRUE(disk_settled(world.disk)); /* a change of the configuration does not wait */
	ASSERT_EQ(disk_oldest(world.disk).since_ms, 0); /* and nothing seems to hang */
	ASSERT_EQ(there(&world), ROLLBACK_ORDERED);
	(void)sem_post(&may_end);
	wait_state(&world, LUN_READY);
	world_done(&world);
}

TEST(why_it_failed_is_told_and_the_disk_is_served_as_it_is)
{
	struct world world;
	world_init(&world);
	result = -ENOENT;
	ask(&world, true);
	disk_give_order(world.disk, &serve);
	wait_state(&world, LUN_READY);
	AUTO_ROLLBACK struct rollback rollback = { 0 };
	ASSERT_EQ(rollback_read(world.host.store, LUN, &rollback, NULL), 0);
	ASSERT_EQ(rollback.state, ROLLBACK_FAILED);
	ASSERT_STR_EQ(rollback.problem, "cannot roll back: No such file or directory");
	/* It keeps nobody. */
	disk_give_order(world.disk, &stop);
	wait_state(&world, LUN_OPERATION);
	disk_give_order(world.disk, &serve);
	wait_state(&world, LUN_READY);
	ASSERT_EQ(calls, 1);
	world_done(&world);
}

TEST(who_was_fenced_meanwhile_leaves_it_to_the_next_owner)
{
	struct world world;
	world_init(&world);
	result = -ESHUTDOWN;
	ask(&world, true);
	disk_give_order(world.disk, &serve);
	uint64_t deadline_ms = clock_monotonic_ms() + DEADLINE_MS;
	while (world.fences == 0 && clock_monotonic_ms() < deadline_ms)
		(void)reactor_turn(world.host.manager, 50);
	ASSERT_EQ(world.fences, 1);
	ASSERT_EQ(there(&world), ROLLBACK_ORDERED);
	result = 0;
	wait_state(&world, LUN_READY); /* by a new client */
	ASSERT_EQ(there(&world), ROLLBACK_NONE);
	world_done(&world);
}

/* Its API is gone: the disk is served as it was, and a late order finds the row gone. */
TEST(what_was_only_asked_for_is_forgotten_by_who_takes_it_then)
{
	struct world world;
	world_init(&world);
	ask(&world, false);
	look(&world);
	disk_give_order(world.disk, &stop);
	wait_state(&world, LUN_OPERATION);
	AUTO_ROLLBACK struct rollback rollback = { 0 };
	ASSERT_EQ(rollback_read(world.host.store, LUN, &rollback, NULL), 0);
	disk_give_order(world.disk, &serve); /* owners_decide.c waits before it gives that */
	wait_state(&world, LUN_READY);
	ASSERT_EQ(calls, 0);
	ASSERT_EQ(there(&world), ROLLBACK_NONE);
	ASSERT_EQ(rollback_order(world.host.store, LUN, &rollback, NULL), -ECANCELED);
	world_done(&world);
}

/* Damaged, or of a later release: who looks at the LUN learns why nobody serves it. */
TEST(a_row_that_cannot_be_read_is_the_problem_of_its_disk)
{
	struct world world;
	world_init(&world);
	AUTO_ROLLBACK struct rollback rollback = { 0 };
	ASSERT_EQ(rollback_parse("no row", &rollback), 0);
	ASSERT_STR_EQ(disk_problem(world.disk), "");
	disk_saw_rollback(world.disk, &rollback, UINT64_MAX);
	ASSERT_STR_EQ(disk_problem(world.disk), DISK_ROLLBACK_UNKNOWN);
	disk_saw_rollback(world.disk, NULL, UINT64_MAX);
	ASSERT_STR_EQ(disk_problem(world.disk), "");
	disk_give_order(world.disk, &serve);
	wait_state(&world, LUN_READY);
	world_done(&world);
}
