/* Reactors that turn only when the test says so. */
#include "target/watchdog.h"

#include "test.h"

static uint64_t now_ms;
static uint64_t test_clock(void)
{
	return now_ms;
}

struct world {
	struct reactor *manager;
	struct reactor *reactors[2];
	struct watchdog watchdog;
	bool hangs; /* the second reactor */
	unsigned turned;
};

static void turned(struct watchdog *watchdog)
{
	container_of(watchdog, struct world, watchdog)->turned++;
}

static void world_init(struct world *world)
{
	now_ms = 1000000;
	*world = (struct world){ 0 };
	ASSERT_EQ(reactor_new("manager", test_clock, &world->manager), 0);
	for (unsigned i = 0; i < 2; i++)
		ASSERT_EQ(reactor_new("io", test_clock, &world->reactors[i]), 0);
	world->watchdog = (struct watchdog){ .manager = world->manager,
		                             .reactors = world->reactors,
		                             .reactor_count = 2,
		                             .turned = turned };
	ASSERT_EQ(watchdog_init(&world->watchdog), 0);
}

static void turn(struct world *world)
{
	for (unsigned i = 0; i < 2u - world->hangs; i++)
		(void)reactor_turn(world->reactors[i], 0);
	(void)reactor_turn(world->manager, 0);
}

static uint32_t pass(struct world *world, unsigned ms)
{
	uint32_t hangs_ms = watchdog_check(&world->watchdog);
	for (unsigned at = 0; at < ms; at += 500) {
		turn(world);
		now_ms += 500;
		turn(world);
		hangs_ms = watchdog_check(&world->watchdog);
	}
	return hangs_ms;
}

static void world_done(struct world *world)
{
	world->hangs = false;
	turn(world);
	ASSERT_EQ(world->watchdog.waiting, 0);
	watchdog_done(&world->watchdog);
	for (unsigned i = 0; i < 2; i++)
		reactor_free(world->reactors[i]);
	reactor_free(world->manager);
}

TEST(a_reactor_that_hangs_is_found_and_is_well_when_it_turns_again)
{
	struct world world;
	world_init(&world);
	ASSERT_EQ(pass(&world, 20000), 0);
	ASSERT_TRUE(world.turned >= 2 * 39);
	world.hangs = true;
	ASSERT_EQ(pass(&world, 4000), 0);
	ASSERT_EQ(pass(&world, 1000), 5000);
	ASSERT_EQ(pass(&world, 5000), 10000);
	world.hangs = false;
	ASSERT_EQ(pass(&world, 500), 0);
	world_done(&world);
}

TEST(a_pause_of_the_process_is_nobodys_fault)
{
	struct world world;
	world_init(&world);
	ASSERT_EQ(pass(&world, 1000), 0);
	now_ms += 30000;
	(void)reactor_turn(world.manager, 0);
	ASSERT_EQ(watchdog_check(&world.watchdog), 0);
	ASSERT_EQ(pass(&world, 1000), 0);
	world.hangs = true;
	ASSERT_EQ(pass(&world, 2000), 0);
	now_ms += 30000;
	(void)reactor_turn(world.manager, 0);
	ASSERT_EQ(pass(&world, 3500), 0);
	ASSERT_TRUE(pass(&world, 2000) > 4000);
	world_done(&world);
}
