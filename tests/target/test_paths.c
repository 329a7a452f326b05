/* How a gateway that leaves learns who has another path: between two of them, whose messages the
 * test carries. */
#include "target/owners_private.h"

#include "base/text.h"
#include "interconnect/interconnect.h"
#include "scsi/other_paths.h"
#include "target/disk_set.h"
#include "target/peers.h"
#include "test.h"

#include <stdio.h>
#include <string.h>

#define TARGET         "iqn.2003-01.org.example:target"
#define NAME_MAX_BYTES 224
#define PORTS_MAX      600

static uint64_t now_ms;
static uint64_t test_clock(void)
{
	return now_ms;
}

static char *told[8];
static unsigned told_count;
static unsigned ports; /* that many initiators are logged in at each LUN, each twice */
static unsigned shown; /* LUNs that were told */

/* ---- what paths.c calls ---- */

struct interconnect *peers_interconnect(struct peers *peers)
{
	return (struct interconnect *)&told; /* nobody looks into it */
}

int interconnect_tell(struct interconnect *interconnect, uint32_t peer, const char *text)
{
	ASSERT_TRUE(told_count < ARRAY_LEN(told) && strlen(text) <= INTERCONNECT_TELL_MAX);
	told[told_count++] = strdup(text);
	return 0;
}

struct member *members_find_instance(const struct members *members, const char *gateway,
                                     const char *instance)
{
	struct member *member;
	list_for_each (member, &members->list, link) {
		if (strcmp(member->gateway, gateway) == 0 &&
		    strcmp(member->instance, instance) == 0)
			return member;
	}
	return NULL;
}

struct disk *disk_set_at(const struct disk_set *set, size_t i)
{
	return (struct disk *)set; /* likewise, as the next */
}

struct lun *disk_lun(const struct disk *disk)
{
	return (struct lun *)disk;
}

void lun_visit_ports(struct lun *lun,
                     void (*visit)(void *argument, const char *initiator, const char *target),
                     void *argument)
{
	for (unsigned i = 0; i < 2 * ports; i++) {
		char name[NAME_MAX_BYTES];
		(void)snprintf(name, sizeof name, "iqn.1994-05.test:\"%0200u", i % ports);
		visit(argument, name, TARGET);
	}
}

void lun_set_other_paths(struct lun *lun, struct other_paths *paths)
{
	shown++;
}

/* ---- the world: two gateways as each sees itself and the other ---- */

struct side {
	struct owners owners;
	struct member other;
};
struct world {
	struct side leaves, stays;
	struct reactor *manager;
	struct disk_set disks;
	struct plan plan;
};

static void side_init(struct world *world, struct side *side, const char *own, const char *other)
{
	struct members *members = &side->owners.members;
	*side = (struct side){ .owners = { .config = { .manager = world->manager,
		                                       .disks = &world->disks,
		                                       .gateway = own } },
		               .other = {
		                       .current = true, .has_peer = true, .health = MEMBER_UP } };
	(void)snprintf(members->instance, sizeof members->instance, "%s", own);
	(void)snprintf(side->other.gateway, sizeof side->other.gateway, "%s", other);
	(void)snprintf(side->other.instance, sizeof side->other.instance, "%s", other);
	list_init(&members->list);
	list_init(&side->other.link);
	list_append(&members->list, &side->other.link);
}

static void world_init(struct world *world)
{
	now_ms = 1000000;
	told_count = shown = 0;
	ports = 3;
	*world = (struct world){ .plan = { .disk_count = 2 } };
	world->disks.plan = &world->plan;
	ASSERT_EQ(reactor_new("manager", test_clock, &world->manager), 0);
	side_init(world, &world->leaves, "gw-1", "gw-2");
	side_init(world, &world->stays, "gw-2", "gw-1");
	world->leaves.owners.leaving = true;
}

static void world_done(struct world *world)
{
	ASSERT_EQ(told_count, 0);
	other_paths_put(world->leaves.owners.paths);
	reactor_free(world->manager);
}

/* Carries what was told so far to `to`; what it tells then is the next. */
static unsigned carry(struct owners *to)
{
	unsigned count = told_count;
	char *texts[ARRAY_LEN(told)];
	memcpy(texts, told, sizeof texts);
	told_count = 0;
	for (unsigned i = 0; i < count; i++) {
		AUTO_JSON json_t *message = json_loads(texts[i], 0, NULL);
		const json_t *leaves = json_object_get(message, "leaves"),
		             *paths = json_object_get(message, "paths");
		ASSERT_TRUE(!leaves != !paths);
		if (leaves)
			paths_heard_leaves(to, leaves);
		else
			paths_heard(to, paths);
		free(texts[i]);
	}
	return count;
}

static void turn(struct world *world, unsigned ms)
{
	now_ms += ms;
	(void)reactor_turn(world->manager, 0);
	paths_review(&world->leaves.owners);
}

/* ---- cases ---- */

TEST(who_leaves_asks_at_once_and_each_second_who_has_another_path)
{
	struct world world;
	char name[NAME_MAX_BYTES];
	world_init(&world);
	turn(&world, 0);
	turn(&world, 500);
	ASSERT_EQ(carry(&world.stays.owners), 1);
	ASSERT_EQ(carry(&world.leaves.owners), 1);
	const struct other_paths *paths = world.leaves.owners.paths;
	ASSERT_EQ(other_paths_count(paths), ports); /* each once */
	(void)snprintf(name, sizeof name, "iqn.1994-05.test:\"%0200u", 2);
	ASSERT_TRUE(other_paths_has(paths, name, TARGET));
	ASSERT_EQ(shown, 2);
	ports = 4;
	turn(&world, 500);
	ASSERT_EQ(carry(&world.stays.owners), 1);
	ASSERT_EQ(carry(&world.leaves.owners), 1);
	ASSERT_EQ(other_paths_count(world.leaves.owners.paths), ports);
	world_done(&world);
}

TEST(many_are_told_in_parts)
{
	struct world world;
	world_init(&world);
	ports = PORTS_MAX;
	turn(&world, 0);
	ASSERT_EQ(carry(&world.stays.owners), 1);
	ASSERT_EQ(carry(&world.leaves.owners), 3);
	ASSERT_EQ(other_paths_count(world.leaves.owners.paths), PORTS_MAX);
	world_done(&world);
}

TEST(nobody_asks_or_answers_who_should_not)
{
	static const struct {
		const char *name;
		bool serves, not_up, answerer_leaves, answerer_is_new;
		unsigned asked, answered;
	} rows[] = {
		{ "serves", .serves = true },
		{ "the other one is not up", .not_up = true },
		{ "the other one leaves as well", .answerer_leaves = true, .asked = 1 },
		{ "the other one has begun anew", .answerer_is_new = true, .asked = 1 },
		{ "leaves", .asked = 1, .answered = 1 },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct world world;
		TEST_ROW("%s", rows[i].name);
		world_init(&world);
		world.leaves.owners.leaving = !rows[i].serves;
		world.leaves.other.health = rows[i].not_up ? MEMBER_UNREACHABLE : MEMBER_UP;
		world.stays.owners.leaving = rows[i].answerer_leaves;
		if (rows[i].answerer_is_new)
			(void)snprintf(world.stays.owners.members.instance, INSTANCE_MAX, "new");
		turn(&world, 0);
		ASSERT_EQ(carry(&world.stays.owners), rows[i].asked);
		ASSERT_EQ(carry(&world.leaves.owners), rows[i].answered);
		ASSERT_EQ(other_paths_count(world.leaves.owners.paths),
		          rows[i].answered ? ports : 0);
		world_done(&world);
	}
}
