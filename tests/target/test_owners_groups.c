/* Which access state a gateway tells of each port group, and that gateways agree about those that
 * stand in the record. The disk is the test's. */
#include "target/owners_private.h"

#include "target/disk_set.h"
#include "target/plan.h"
#include "test.h"

#include <stdio.h>

#define O ALUA_OPTIMIZED
#define N ALUA_NON_OPTIMIZED
#define S ALUA_STANDBY
#define U ALUA_UNAVAILABLE
#define F ALUA_TRANSITIONING

/* ---- what owners_groups.c calls ---- */

struct disk {
	struct owner_record record;
	enum lun_state state;
};

const struct owner_record *disk_record(const struct disk *disk)
{
	return &disk->record;
}

enum lun_state disk_state(const struct disk *disk)
{
	return disk->state;
}

/* ---- the world: three gateways as one of them sees them ---- */

#define GATEWAYS 3
static const char *const names[GATEWAYS] = { "gw-1", "gw-2", "gw-3" };

struct world {
	struct owners owners;
	struct member members[GATEWAYS];
	struct plan_group groups[GATEWAYS];
	struct plan_disk wanted;
	struct disk disk;
};

/* Owned by gw-1, which gw-2 is to own. */
static void world_init(struct world *world, size_t self)
{
	*world = (struct world){
		.owners = { .config = { .gateway = names[self] },
		            .members = { .gateway = names[self], .known = true } },
		.wanted = { .preferred = (char *)names[1],
		            .groups = world->groups,
		            .group_count = GATEWAYS },
		.disk = { .record = { .state = OWNER_ACTIVE,
		                      .gateway = "gw-1",
		                      .instance = "gw-1" },
		          .state = self == 0 ? LUN_READY : LUN_FORWARDED },
	};
	list_init(&world->owners.members.list);
	for (size_t i = 0; i < GATEWAYS; i++) {
		struct member *member = &world->members[i];
		world->groups[i] = (struct plan_group){ .tag = (uint16_t)(i + 1),
			                                .gateway = (char *)names[i] };
		*member = (struct member){ .current = true,
			                   .state = GATEWAY_UP,
			                   .health = MEMBER_UP };
		(void)snprintf(member->gateway, sizeof member->gateway, "%s", names[i]);
		(void)snprintf(member->instance, sizeof member->instance, "%s", names[i]);
		list_init(&member->link);
		if (i != self)
			list_append(&world->owners.members.list, &member->link);
	}
}

static enum alua_state told_with_another_path(const struct port_group *group)
{
	return group->leaves ? ALUA_UNAVAILABLE : group->state;
}

static void expect_states(struct world *world, const struct disk *disk,
                          const enum alua_state expected[GATEWAYS])
{
	struct port_group groups[PORT_GROUPS_MAX];
	ASSERT_EQ(owners_port_groups(&world->owners, &world->wanted, disk, groups), GATEWAYS);
	for (size_t i = 0; i < GATEWAYS; i++) {
		TEST_ROW("group of %s", names[i]);
		ASSERT_EQ(groups[i].tag, i + 1);
		ASSERT_EQ(told_with_another_path(&groups[i]), expected[i]);
	}
}

/* ---- cases ---- */

/* What the rows say of gw-1. */
struct rows {
	const char *name;
	enum owner_state record;
	bool leaving, condemned;
	enum member_health health; /* as far as the others can tell */
	enum alua_state expected[GATEWAYS];
};

TEST(all_gateways_tell_the_same_of_what_stands_in_the_rows)
{
	static const struct rows all[] = {
		{ "owned", OWNER_ACTIVE, .health = MEMBER_UP, .expected = { O, N, N } },
		{ "does not answer", OWNER_ACTIVE, .health = MEMBER_SUSPECT,
		  .expected = { O, N, N } },
		{ "given back", OWNER_CLEAN, .health = MEMBER_UP, .expected = { O, N, N } },
		{ "nobody's yet", OWNER_NONE, .health = MEMBER_UP, .expected = { N, O, N } },
		{ "leaves", OWNER_ACTIVE, true, .health = MEMBER_UP, .expected = { U, N, N } },
	};
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		for (size_t self = 0; self < GATEWAYS; self++) {
			struct world world;
			TEST_ROW("%s, told by %s", all[i].name, names[self]);
			world_init(&world, self);
			world.disk.record.state = all[i].record;
			world.members[0].health = all[i].health;
			world.members[0].state = all[i].leaving ? GATEWAY_LEAVING : GATEWAY_UP;
			world.owners.leaving = self == 0 && all[i].leaving;
			expect_states(&world, &world.disk, all[i].expected);
		}
	}
}

TEST(a_gateway_that_is_condemned_fenced_or_stopped_is_unavailable_to_all_others)
{
	static const struct {
		const char *name;
		enum gateway_state state;
		bool condemned, past;
		enum member_health health;
	} all[] = {
		{ "condemned", GATEWAY_UP, true, false, MEMBER_SUSPECT },
		{ "fenced", GATEWAY_UP, true, false, MEMBER_FENCED },
		{ "stopped", GATEWAY_STOPPED, false, false, MEMBER_ABSENT },
		{ "stopped before this one began", GATEWAY_STOPPED, false, true, MEMBER_ABSENT },
	};
	static const enum alua_state before[] = { U, N, N }, after[] = { U, N, O };
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		for (size_t self = 1; self < GATEWAYS; self++) {
			struct world world;
			TEST_ROW("%s, told by %s", all[i].name, names[self]);
			world_init(&world, self);
			world.members[0].state = all[i].state;
			world.members[0].condemned = all[i].condemned;
			world.members[0].current = !all[i].past;
			world.members[0].health = all[i].health;
			world.disk.state = LUN_HELD;
			expect_states(&world, &world.disk, before);
			world.disk.state = self == 2 ? LUN_READY : LUN_FORWARDED;
			(void)snprintf(world.disk.record.gateway, GATEWAY_NAME_MAX, "gw-3");
			(void)snprintf(world.disk.record.instance, INSTANCE_MAX, "gw-3");
			expect_states(&world, &world.disk, after);
		}
	}
}

TEST(a_gateway_tells_of_its_own_group_what_commands_meet_there)
{
	static const struct {
		const char *name;
		enum lun_state state;
		enum alua_state own; /* where gw-1 is the owner by the record */
	} all[] = {
		{ "opening", LUN_OPENING, N },
		{ "forwarded", LUN_FORWARDED, N },
		{ "held for a moment", LUN_HELD, N },
		{ "busy", LUN_BUSY, N },
		{ "held for long", LUN_TRANSITIONING, F },
		{ "cut off from the owner, or without its image", LUN_FAILED, U },
		{ "waiting for a lock that somebody has", LUN_STANDBY, S },
	};
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		struct world world;
		TEST_ROW("%s", all[i].name);
		world_init(&world, 2);
		world.disk.state = all[i].state;
		expect_states(&world, &world.disk, (const enum alua_state[]){ O, N, all[i].own });
	}
}

TEST(while_nobody_owns_it_for_long_each_path_is_told_to_be_transitioning)
{
	static const struct {
		const char *name;
		enum owner_state record;
		bool condemned, stalled;
		enum alua_state expected[GATEWAYS];
	} all[] = {
		{ "condemned, not fenced yet", OWNER_ACTIVE, true, false, { U, F, F } },
		{ "given back, not taken", OWNER_CLEAN, false, false, { F, F, F } },
		{ "the owner may serve others", OWNER_ACTIVE, false, false, { O, N, F } },
		{ "the rows are not read", OWNER_CLEAN, false, true, { O, N, F } },
	};
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		struct world world;
		TEST_ROW("%s", all[i].name);
		world_init(&world, 2);
		world.disk.state = LUN_TRANSITIONING;
		world.disk.record.state = all[i].record;
		world.members[0].health = MEMBER_SUSPECT;
		world.members[0].condemned = all[i].condemned;
		world.owners.members.stalled = all[i].stalled;
		expect_states(&world, &world.disk, all[i].expected);
	}
}

TEST(beside_upstream_gateways_the_preferred_owner_is_optimized_wherever_the_lock_is)
{
	static const struct {
		const char *name;
		enum lun_state state;
		bool leaving;
		enum alua_state own;
	} all[] = {
		{ "on demand", LUN_ON_DEMAND, false, N }, { "served", LUN_READY, false, N },
		{ "forwarded", LUN_FORWARDED, false, N }, { "moves too often", LUN_BUSY, false, N },
		{ "drained", LUN_STANDBY, false, S },     { "cut off", LUN_FAILED, false, U },
		{ "leaves", LUN_ON_DEMAND, true, U },
	};
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		struct world world;
		TEST_ROW("%s", all[i].name);
		world_init(&world, 0);
		list_remove(&world.members[2].link); /* never registered */
		world.disk.state = all[i].state;
		world.owners.leaving = all[i].leaving;
		expect_states(&world, &world.disk, (const enum alua_state[]){ all[i].own, O, N });
	}
}

TEST(of_itself_a_gateway_that_leaves_tells_others_what_it_was)
{
	static const struct {
		const char *name;
		enum lun_state state;
		bool beside; /* upstream gateways */
		enum alua_state own;
	} all[] = {
		{ "owner", LUN_READY, false, O },
		{ "gives it away", LUN_HELD, false, O },
		{ "held for long", LUN_TRANSITIONING, false, F },
		{ "cut off", LUN_FAILED, false, U },
		{ "on demand", LUN_ON_DEMAND, true, N },
	};
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		struct world world;
		struct port_group groups[PORT_GROUPS_MAX];
		TEST_ROW("%s", all[i].name);
		world_init(&world, 0);
		if (all[i].beside)
			list_remove(&world.members[2].link);
		world.disk.state = all[i].state;
		world.owners.leaving = true;
		(void)owners_port_groups(&world.owners, &world.wanted, &world.disk, groups);
		for (size_t group = 0; group < GATEWAYS; group++)
			ASSERT_EQ(groups[group].leaves, group == 0);
		ASSERT_EQ(groups[0].state, all[i].own);
	}
}

TEST(before_a_disk_is_there_its_preferred_owner_is_told)
{
	struct world world;
	world_init(&world, 0);
	expect_states(&world, NULL, (const enum alua_state[]){ N, O, N });
}
