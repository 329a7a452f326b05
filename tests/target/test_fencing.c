/* Condemning and fencing that is tried again until it succeeds. The fence is the test's. */
#include "target/members.h"

#include "ownership/fence.h"
#include "ownership/history_writer.h"
#include "store/store.h"
#include "target/job.h"
#include "test.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define DEADLINE_MS 60000

/* ---- what fencing.c calls ---- */

static int fence_result;
static atomic_uint condemns, fences; /* events */

int fence_addresses(struct fence *fence, char *const *addresses, size_t count, const char *gateway,
                    const char *instance, struct error *err)
{
	return fence_result < 0 ? error_set(err, fence_result, "a fence that fails") : 0;
}

void history_write(struct history_writer *writer, const char *kind, const char *lun,
                   const char *format, ...)
{
	atomic_fetch_add(strcmp(kind, "condemn") == 0 ? &condemns : &fences, 1);
}

static unsigned ended;
static int ended_with;

void member_fenced(struct members *members, struct member *member, int result)
{
	ended++;
	ended_with = result;
}

/* ---- the world ---- */

struct world {
	struct members members;
	struct member member;
	struct registration *victim;
};

static void world_init(struct world *world)
{
	struct store_config config = { .kind = "dir", .path = test_folder(), .object = "o" };
	struct error err = { 0 };
	*world = (struct world){ .members = { .gateway = "gw-1" } };
	ASSERT_EQ(store_open(&config, &world->members.store, &err), 0);
	ASSERT_EQ(reactor_new("manager", NULL, &world->members.manager), 0);
	ASSERT_EQ(job_queue_new(1, &world->members.jobs), 0);
	ASSERT_EQ(registration_new(world->members.store, "gw-2", &world->victim, &err), 0);
	ASSERT_EQ(registration_add(world->victim, "10.0.0.2:0/1", &err), 0);
	world->member = (struct member){ .gateway = "gw-2", .current = true };
	(void)snprintf(world->member.instance, INSTANCE_MAX, "%s",
	               registration_instance(world->victim));
	ended = 0;
	atomic_store(&condemns, 0);
	atomic_store(&fences, 0);
}

static void world_done(struct world *world)
{
	job_queue_free(world->members.jobs);
	registration_free(world->victim);
	store_free(world->members.store);
	reactor_free(world->members.manager);
}

static int fence_once(struct world *world)
{
	uint64_t deadline_ms = clock_monotonic_ms() + DEADLINE_MS;
	unsigned before = ended;
	member_fence(&world->members, &world->member, "lost, and did not answer");
	while (ended == before && clock_monotonic_ms() < deadline_ms)
		(void)reactor_turn(world->members.manager, 5);
	ASSERT_EQ(ended, before + 1);
	return ended_with;
}

/* While there is no quorum of the monitors, or the user may not fence: the history would hold
 * nothing else soon. */
TEST(however_often_a_fence_is_tried_it_is_one_event_that_its_gateway_was_condemned)
{
	struct world world;
	world_init(&world);
	fence_result = -ETIMEDOUT;
	for (unsigned i = 0; i < 5; i++) {
		ASSERT_EQ(fence_once(&world), -ETIMEDOUT);
		ASSERT_EQ(atomic_load(&condemns), 1);
	}
	ASSERT_EQ(atomic_load(&fences), 0);
	fence_result = 0;
	ASSERT_EQ(fence_once(&world), 0);
	ASSERT_EQ(atomic_load(&condemns), 1);
	ASSERT_EQ(atomic_load(&fences), 1);
	world_done(&world);
}
