/* Which disks are decided about, and how many move at a time. The disks are the test's. */
#include "target/owners_private.h"

#include "ownership/registration.h"
#include "store/store.h"
#include "target/disk_set.h"
#include "target/look.h"
#include "target/plan.h"
#include "test.h"

#include <stdio.h>
#include <string.h>

#define DISKS 16
#define MOVES 1 /* that the owners let go at a time */

struct disk {
	struct owner_record record;
	uint64_t seen_ms, role_since_ms;
	struct disk_order order;
	char next[GATEWAY_NAME_MAX]; /* order.next */
	struct rollback rollback;
	uint64_t rollback_seen_ms, fails_since_ms;
	bool marked, waited_for, anew, hangs;
	const char *asked_for;
	unsigned orders;
};
static struct disk disks[DISKS];
static uint64_t now_ms;

/* ---- what owners_decide.c calls ---- */

struct disk *disk_set_at(const struct disk_set *set, size_t i)
{
	return &disks[i];
}

const struct owner_record *disk_record(const struct disk *disk)
{
	return &disk->record;
}

uint64_t disk_record_seen_ms(const struct disk *disk)
{
	return disk->seen_ms;
}

uint64_t disk_fails_since_ms(const struct disk *disk)
{
	return disk->fails_since_ms;
}

bool disk_record_is_own(const struct disk *disk)
{
	return disk->record.state == OWNER_ACTIVE && strcmp(disk->record.gateway, "gw-1") == 0;
}

enum lun_state disk_state(const struct disk *disk)
{
	return LUN_READY;
}

bool disk_is_owner(const struct disk *disk)
{
	return disk_record_is_own(disk);
}

bool disk_is_ours(const struct disk *disk)
{
	return disk_record_is_own(disk);
}

enum disk_role disk_role(const struct disk *disk)
{
	return disk->order.role;
}

uint64_t disk_role_since_ms(const struct disk *disk)
{
	return disk->role_since_ms;
}

void disk_mark(struct disk *disk, bool marked)
{
	disk->marked = marked;
}

bool disk_marked(const struct disk *disk)
{
	return disk->marked;
}

const struct demand_moves *disk_moves(const struct disk *disk)
{
	static const struct demand_moves none;
	return &none;
}

bool disk_is_requested(const struct disk *disk)
{
	return false;
}

bool disk_is_demanded(const struct disk *disk)
{
	return false;
}

bool disk_forwards_anew(const struct disk *disk)
{
	return disk->anew;
}

bool disk_commands_wait(const struct disk *disk)
{
	return disk->waited_for;
}

const char *disk_asked_for(const struct disk *disk, uint64_t *ret_asked_ms)
{
	*ret_asked_ms = now_ms;
	return disk->asked_for ? disk->asked_for : "";
}

void disk_set_port_groups(struct disk *disk, const struct port_group *groups, size_t count)
{
}

uint64_t hung_for_ms(const struct owners *owners, const struct disk *disk)
{
	return disk->hangs ? 4000 : 0;
}

const char *disk_name(const struct disk *disk)
{
	return "rbd/disk";
}

void disk_saw_rollback(struct disk *disk, const struct rollback *rollback, uint64_t since_ms)
{
	disk->rollback = rollback ? *rollback : (struct rollback){ 0 };
}

const struct rollback *disk_rollback(const struct disk *disk)
{
	return &disk->rollback;
}

uint64_t disk_rollback_seen_ms(const struct disk *disk)
{
	return disk->rollback_seen_ms;
}

void disk_give_order(struct disk *disk, const struct disk_order *order)
{
	if (order->role != disk->order.role)
		disk->role_since_ms = now_ms;
	disk->order = *order;
	(void)snprintf(disk->next, sizeof disk->next, "%s", order->next ? order->next : "");
	disk->order.next = disk->next;
	disk->orders++;
}

/* ---- the world: this gateway owns all disks, and gw-2 is up ---- */

struct world {
	struct reactor *manager;
	struct store *store;
	struct registration *registration;
	struct disk_set set;
	struct plan plan;
	struct plan_disk wanted[DISKS];
	struct owners owners;
	struct member peer;
};

static void left(void *argument)
{
}

static void own(struct world *world, struct disk *disk)
{
	disk->record = (struct owner_record){ .state = OWNER_ACTIVE, .epoch = 1 };
	(void)snprintf(disk->record.gateway, sizeof disk->record.gateway, "gw-1");
	(void)snprintf(disk->record.instance, sizeof disk->record.instance, "%s",
	               registration_instance(world->registration));
	disk->order.role = DISK_SERVE;
}

static void members_changed(struct members *members)
{
}

static void world_init(struct world *world)
{
	struct store_config config = { .kind = "dir", .path = test_folder(), .object = "o" };
	static char name[] = "rbd/disk", preferred[] = "gw-1";
	static struct plan_group groups[] = { { .gateway = (char *)"gw-1" },
		                              { .gateway = (char *)"gw-2" } };
	struct error err = { 0 };
	*world = (struct world){ 0 };
	ASSERT_EQ(reactor_new("manager", NULL, &world->manager), 0);
	ASSERT_EQ(store_open(&config, &world->store, &err), 0);
	ASSERT_EQ(registration_new(world->store, "gw-1", &world->registration, &err), 0);
	now_ms = reactor_now_ms(world->manager);
	memset(disks, 0, sizeof disks);
	for (size_t i = 0; i < DISKS; i++) {
		world->wanted[i] = (struct plan_disk){ .name = name,
			                               .preferred = preferred,
			                               .groups = groups,
			                               .group_count = ARRAY_LEN(groups) };
		own(world, &disks[i]);
	}
	world->plan = (struct plan){ .disks = world->wanted, .disk_count = DISKS };
	world->set.plan = &world->plan;
	world->owners = (struct owners){
		.config = { .manager = world->manager,
		            .disks = &world->set,
		            .gateway = "gw-1",
		            .left = left },
		.registration = world->registration,
		.members = { .manager = world->manager,
		             .gateway = "gw-1",
		             .known = true,
		             .changed = members_changed },
		.all_wanted = true,
	};
	(void)snprintf(world->owners.members.instance, INSTANCE_MAX, "%s",
	               registration_instance(world->registration));
	list_init(&world->owners.members.list);
	world->peer = (struct member){ .gateway = "gw-2",
		                       .instance = "two",
		                       .current = true,
		                       .state = GATEWAY_UP,
		                       .has_peer = true,
		                       .health = MEMBER_UP };
	list_append(&world->owners.members.list, &world->peer.link);
}

static void world_done(struct world *world)
{
	registration_free(world->registration);
	store_free(world->store);
	reactor_free(world->manager);
}

static void decide_all(struct world *world)
{
	world->owners.all_wanted = true;
	owners_decide(&world->owners);
}

static unsigned count_role(enum disk_role role)
{
	unsigned count = 0;
	for (size_t i = 0; i < DISKS; i++)
		count += disks[i].order.role == role;
	return count;
}

static void give_back(struct disk *disk)
{
	disk->record.state = OWNER_CLEAN;
	(void)snprintf(disk->record.next, sizeof disk->record.next, "gw-2");
	disk->seen_ms = now_ms;
}

static void arrive(struct disk *disk)
{
	disk->record.state = OWNER_ACTIVE;
	disk->record.epoch++;
	(void)snprintf(disk->record.gateway, sizeof disk->record.gateway, "gw-2");
	(void)snprintf(disk->record.instance, sizeof disk->record.instance, "two");
	disk->marked = true;
}

/* ---- cases ---- */

TEST(what_happens_to_one_disk_is_decided_about_that_disk)
{
	struct world world;
	world_init(&world);
	decide_all(&world);
	for (size_t i = 0; i < DISKS; i++)
		ASSERT_EQ(disks[i].orders, 1);
	ASSERT_FALSE(world.owners.undecided);
	disk_mark(&disks[3], true);
	owners_decide(&world.owners);
	for (size_t i = 0; i < DISKS; i++)
		ASSERT_EQ(disks[i].orders, i == 3 ? 2 : 1);
	owners_decide(&world.owners);
	ASSERT_EQ(disks[3].orders, 2);
	world_done(&world);
}

/* An initiator without another path goes on to write until its session has ended. */
TEST(on_demand_a_gateway_that_leaves_serves_to_the_end_and_waits_for_nobody)
{
	static struct plan_group groups[] = { { .gateway = (char *)"gw-1" },
		                              { .gateway = (char *)"gw-2" },
		                              { .gateway = (char *)"upstream" } };
	struct world world;
	world_init(&world);
	for (size_t i = 0; i < DISKS; i++) {
		world.wanted[i].groups = groups;
		world.wanted[i].group_count = ARRAY_LEN(groups);
	}
	give_back(&disks[1]);
	world.owners.leaving = true;
	world.owners.leave_ms = now_ms;
	decide_all(&world);
	ASSERT_EQ(count_role(DISK_SERVE), DISKS - 1);
	ASSERT_EQ(disks[1].order.role, DISK_OFFER);
	ASSERT_TRUE(world.owners.left);
	world.owners.members.maintenance = true;
	decide_all(&world);
	ASSERT_EQ(count_role(DISK_STANDBY), DISKS);
	world_done(&world);
}

TEST(what_waits_is_decided_about_each_time_until_it_does_not)
{
	struct world world;
	world_init(&world);
	world.peer.health = MEMBER_SUSPECT;
	arrive(&disks[5]); /* at one who does not answer now */
	decide_all(&world);
	for (unsigned i = 2; i < 5; i++) {
		ASSERT_EQ(disks[5].order.role, DISK_WAIT);
		ASSERT_TRUE(world.owners.undecided);
		owners_decide(&world.owners);
		ASSERT_EQ(disks[5].orders, i);
		ASSERT_EQ(disks[4].orders, 1);
	}
	world.peer.health = MEMBER_UP;
	decide_all(&world);
	ASSERT_EQ(disks[5].order.role, DISK_FORWARD);
	ASSERT_FALSE(world.owners.undecided);
	world_done(&world);
}

/* The owner's record comes before its lock. */
TEST(what_is_forwarded_anew_is_decided_about_for_a_while)
{
	struct world world;
	world_init(&world);
	arrive(&disks[5]);
	disks[5].anew = true;
	decide_all(&world);
	ASSERT_EQ(disks[5].order.role, DISK_FORWARD);
	ASSERT_TRUE(world.owners.undecided);
	disks[5].anew = false;
	owners_decide(&world.owners);
	ASSERT_EQ(disks[5].orders, 2);
	ASSERT_FALSE(world.owners.undecided);
	owners_decide(&world.owners);
	ASSERT_EQ(disks[5].orders, 2);
	world_done(&world);
}

TEST(a_few_disks_move_at_a_time_and_the_next_goes_when_one_has_arrived)
{
	struct world world;
	world_init(&world);
	world.owners.members.maintenance = true;
	decide_all(&world);
	for (size_t i = 0; i < DISKS; i++) {
		unsigned moving = DISKS - i < MOVES ? DISKS - (unsigned)i : MOVES;
		ASSERT_EQ(count_role(DISK_GIVE), moving);
		ASSERT_EQ(count_role(DISK_SERVE), DISKS - i - moving);
		ASSERT_EQ(disks[i].order.role, DISK_GIVE);
		ASSERT_STR_EQ(disks[i].order.next, "gw-2");
		give_back(&disks[i]); /* that alone makes room for nobody */
		disks[i].marked = true;
		owners_decide(&world.owners);
		ASSERT_EQ(count_role(DISK_SERVE), DISKS - i - moving);
		arrive(&disks[i]);
		owners_decide(&world.owners);
	}
	ASSERT_EQ(count_role(DISK_FORWARD), DISKS);
	ASSERT_FALSE(world.owners.undecided);
	world_done(&world);
}

/* Each of them has given up, answered by a third one that is gone by now. */
/* Within 40 ms. */
static void move(struct world *world, struct disk *disk)
{
	give_back(disk);
	disk->marked = true;
	owners_decide(&world->owners);
	world->owners.turn_ms -= 60;
	arrive(disk);
	owners_decide(&world->owners);
}

TEST(the_next_disk_goes_after_a_rest_as_long_as_the_move_was)
{
	struct world world;
	world_init(&world);
	world.owners.members.maintenance = true;
	decide_all(&world);
	move(&world, &disks[0]);
	ASSERT_EQ(disks[1].order.role, DISK_SERVE);
	uint64_t now = reactor_now_ms(world.manager);
	ASSERT_TRUE(world.owners.again_ms > now && world.owners.again_ms <= now + 50);
	world.owners.rested_ms = now;
	decide_all(&world);
	ASSERT_EQ(disks[1].order.role, DISK_GIVE);
	world.owners.leaving = true; /* who is stopped does not rest */
	world.owners.leave_ms = now;
	move(&world, &disks[1]);
	ASSERT_EQ(disks[2].order.role, DISK_GIVE);
	world_done(&world);
}

TEST(a_disk_that_cannot_be_served_here_is_given_to_who_may_be_able_to)
{
	struct world world;
	world_init(&world);
	disks[1].fails_since_ms = now_ms;
	decide_all(&world);
	ASSERT_EQ(disks[1].order.role, DISK_SERVE);
	disks[1].fails_since_ms = now_ms - 10000;
	decide_all(&world);
	ASSERT_EQ(disks[1].order.role, DISK_GIVE);
	ASSERT_STR_EQ(disks[1].order.why, DECIDE_FAILED);
	ASSERT_EQ(count_role(DISK_GIVE), 1);
	world_done(&world);
}

TEST(who_is_cautious_waits_for_those_only_who_can_take)
{
	static const struct {
		const char *name;
		enum member_health health;
		enum gateway_state state;
		bool stalled, cautious, condemned, maintenance, past;
		enum disk_role role;
	} rows[] = {
		{ "up", MEMBER_UP, GATEWAY_UP, .role = DISK_WAIT },
		{ "connecting", MEMBER_CONNECTING, GATEWAY_UP, .role = DISK_WAIT },
		{ "being asked", MEMBER_SUSPECT, GATEWAY_UP, .role = DISK_WAIT },
		{ "out of reach", MEMBER_UNREACHABLE, GATEWAY_UP, .role = DISK_WAIT },
		{ "cautious", MEMBER_UP, GATEWAY_UP, .cautious = true, .role = DISK_SERVE },
		{ "stalled", MEMBER_UNREACHABLE, GATEWAY_UP, true, .role = DISK_SERVE },
		{ "stalled, asked", MEMBER_SUSPECT, GATEWAY_UP, true, .role = DISK_SERVE },
		{ "condemned", MEMBER_SUSPECT, GATEWAY_UP, .condemned = true, .role = DISK_SERVE },
		{ "drained", MEMBER_UP, GATEWAY_UP, .maintenance = true, .role = DISK_SERVE },
		{ "of the past", MEMBER_SUSPECT, GATEWAY_UP, .past = true, .role = DISK_SERVE },
		{ "fenced", MEMBER_FENCED, GATEWAY_UP, .role = DISK_SERVE },
		{ "stopped", MEMBER_ABSENT, GATEWAY_STOPPED, .role = DISK_SERVE },
	};
	struct world world;
	world_init(&world);
	world.owners.hung.cautious = true;
	for (size_t i = 0; i < DISKS; i++)
		disks[i].record = (struct owner_record){ .state = OWNER_NONE };
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		TEST_ROW("%s", rows[i].name);
		world.peer.health = rows[i].health;
		world.peer.state = rows[i].state;
		world.peer.stalled = rows[i].stalled;
		world.peer.cautious = rows[i].cautious;
		world.peer.condemned = rows[i].condemned;
		world.peer.maintenance = rows[i].maintenance;
		world.peer.current = !rows[i].past;
		decide_all(&world);
		ASSERT_EQ(count_role(rows[i].role), DISKS);
	}
	world_done(&world);
}

/* It took what nobody else could take. */
TEST(who_is_cautious_keeps_what_it_has_until_somebody_can_take_it)
{
	struct world world;
	world_init(&world);
	world.owners.hung.cautious = true;
	world.peer.cautious = true;
	decide_all(&world);
	ASSERT_EQ(count_role(DISK_SERVE), DISKS);
	world.peer.cautious = false;
	decide_all(&world);
	ASSERT_EQ(count_role(DISK_GIVE), MOVES);
	world_done(&world);
}

/* A peer that is cautious is given nothing, and what it has is forwarded to it. */
TEST(who_is_cautious_is_given_nothing_and_serves_what_it_has)
{
	struct world world;
	world_init(&world);
	world.owners.members.maintenance = true;
	world.peer.cautious = true;
	arrive(&disks[0]);
	decide_all(&world);
	ASSERT_EQ(disks[0].order.role, DISK_FORWARD);
	ASSERT_EQ(count_role(DISK_SERVE), DISKS - 1);
	world_done(&world);
}

/* It has answered through the store, so it is up; but only its next word tells of what it is given.
 */
TEST(who_says_that_its_storage_makes_no_progress_is_given_nothing_unless_that_is_so_here)
{
	struct world world;
	world_init(&world);
	world.owners.members.maintenance = true;
	world.peer.stalled = true;
	decide_all(&world);
	ASSERT_EQ(count_role(DISK_SERVE), DISKS);
	world.owners.members.stalled = true;
	decide_all(&world);
	ASSERT_EQ(count_role(DISK_GIVE), MOVES);
	world_done(&world);
}

/* Whoever took over a gateway that was gone before this one began knows it by its records only. */
TEST(all_clients_that_records_name_of_an_instance_of_the_past_are_to_be_fenced)
{
	struct world world;
	world_init(&world);
	world.owners.known_since_ms = 1;
	for (size_t i = 0; i < 3; i++) {
		struct owner_record *record = &disks[i].record;
		(void)snprintf(record->gateway, sizeof record->gateway, "gw-3");
		(void)snprintf(record->instance, sizeof record->instance, "three");
		(void)snprintf(record->client, sizeof record->client, "10.0.0.3:0/%zu", i % 2);
	}
	decide_all(&world);
	struct member *past = members_find_instance(&world.owners.members, "gw-3", "three");
	ASSERT_NOT_NULL(past);
	ASSERT_FALSE(past->current);
	ASSERT_EQ(past->client_count, 2);
	/* One more, when it was fenced already. */
	past->health = MEMBER_FENCED;
	disks[2].waited_for = true;
	(void)snprintf(disks[2].record.client, sizeof disks[2].record.client, "10.0.0.3:0/9");
	decide_all(&world);
	ASSERT_EQ(past->client_count, 3);
	ASSERT_EQ(past->health, MEMBER_SUSPECT);
	ASSERT_EQ(disks[2].order.role, DISK_WAIT);
	/* And one that comes with the look by which it is known to be over. */
	past->health = MEMBER_FENCED;
	disks[1].waited_for = true;
	disks[1].seen_ms = world.owners.known_since_ms;
	(void)snprintf(disks[1].record.client, sizeof disks[1].record.client, "10.0.0.3:0/8");
	decide_all(&world);
	ASSERT_EQ(past->client_count, 4);
	ASSERT_EQ(disks[1].order.role, DISK_WAIT);
	list_remove(&world.peer.link); /* it is not theirs to free */
	members_done(&world.owners.members);
	world_done(&world);
}

TEST(disks_that_do_not_arrive_keep_the_others_for_a_second_only)
{
	struct world world;
	world_init(&world);
	world.owners.members.maintenance = true;
	decide_all(&world);
	disks[0].role_since_ms -= 1000; /* hangs here */
	owners_decide(&world.owners);
	ASSERT_EQ(disks[1].order.role, DISK_GIVE);
	ASSERT_EQ(disks[2].order.role, DISK_SERVE);
	give_back(&disks[1]);
	disks[1].role_since_ms -= 1000;
	disks[1].seen_ms -= 1000; /* hangs there */
	owners_decide(&world.owners);
	ASSERT_EQ(disks[2].order.role, DISK_GIVE);
	ASSERT_EQ(disks[3].order.role, DISK_SERVE);
	world_done(&world);
}

/* A stop ends when nothing has moved for some time: those that can be drained go first. */
TEST(who_leaves_gives_no_turn_to_a_disk_whose_storage_hangs)
{
	struct world world;
	world_init(&world);
	for (size_t i = 0; i < DISKS - 1; i++)
		disks[i].hangs = true;
	world.owners.leaving = true;
	world.owners.leave_ms = now_ms;
	decide_all(&world);
	ASSERT_EQ(disks[0].order.role, DISK_SERVE);
	ASSERT_EQ(disks[DISKS - 1].order.role, DISK_GIVE);
	ASSERT_FALSE(world.owners.left);
	give_back(&disks[DISKS - 1]);
	arrive(&disks[DISKS - 1]);
	decide_all(&world); /* nothing that it could give is left */
	ASSERT_TRUE(world.owners.left);
	world_done(&world);
}

/* Reservations that are lost with the power of all are kept while anybody lives. */
TEST(who_has_seen_another_gateway_alive_drops_no_reservations)
{
	struct world world;
	world_init(&world);
	world.peer.health = MEMBER_FENCED;
	decide_all(&world);
	ASSERT_TRUE(!disks[0].order.others_up);
	world.owners.members.company = true;
	decide_all(&world);
	ASSERT_TRUE(disks[0].order.others_up);
	world_done(&world);
}

TEST(nobody_serves_what_is_rolled_back_but_for_who_takes_it)
{
	static const struct {
		const char *name;
		enum rollback_state state;
		bool owned; /* served here */
		uint64_t age_ms;
		enum disk_role role;
	} rows[] = {
		{ "none", ROLLBACK_NONE, true, 0, DISK_SERVE },
		{ "asked, and served", ROLLBACK_ASKED, true, 0, DISK_ROLL_BACK },
		{ "asked, and nobody's", ROLLBACK_ASKED, false, 0, DISK_ROLL_BACK },
		{ "forgotten", ROLLBACK_ASKED, false, ROLLBACK_ASKED_MS, DISK_SERVE },
		{ "ordered, and still served", ROLLBACK_ORDERED, true, 0, DISK_ROLL_BACK },
		{ "ordered, and nobody's", ROLLBACK_ORDERED, false, 0, DISK_SERVE },
		{ "over", ROLLBACK_FAILED, true, 0, DISK_SERVE },
		{ "of a later release", ROLLBACK_UNKNOWN, false, 0, DISK_ROLL_BACK },
	};
	struct world world;
	world_init(&world);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		TEST_ROW("%s", rows[i].name);
		struct look_rollback row = { .lun = (char *)"rbd/disk",
			                     .rollback = { .state = rows[i].state } };
		struct look seen = { .rollbacks = &row, .rollback_count = 1 };
		world.owners.seen = &seen;
		own(&world, &disks[0]);
		if (!rows[i].owned)
			disks[0].record = (struct owner_record){ .state = OWNER_NONE };
		disks[0].rollback_seen_ms = reactor_now_ms(world.manager) - rows[i].age_ms;
		decide_all(&world);
		ASSERT_EQ(disks[0].order.role, rows[i].role);
	}
	world.owners.seen = NULL;
	world_done(&world);
}

TEST(what_is_asked_for_goes_to_the_gateway_that_would_take_it_and_is_not_taken_back_at_once)
{
	struct world world;
	world_init(&world);
	world.peer.health = MEMBER_UNREACHABLE;
	disks[3].asked_for = "gw-2";
	decide_all(&world);
	ASSERT_EQ(count_role(DISK_GIVE), 1);
	ASSERT_STR_EQ(disks[3].order.next, "gw-2");
	give_back(&disks[3]);
	decide_all(&world);
	ASSERT_EQ(disks[3].order.role, DISK_WAIT);
	disks[3].waited_for = true; /* here, too */
	decide_all(&world);
	ASSERT_EQ(disks[3].order.role, DISK_SERVE);
	disks[3].waited_for = false;
	disks[3].asked_for = NULL; /* it was taken, and is given back to us */
	decide_all(&world);
	ASSERT_EQ(disks[3].order.role, DISK_SERVE);
	world_done(&world);
}

/* An owner that cannot be reached gives what it is asked for: it must not be for nobody. */
TEST(a_lun_is_asked_for_only_if_somebody_would_take_it)
{
	static const struct {
		const char *name;
		bool maintenance, cautious; /* of this gateway */
		size_t groups;              /* of the LUN */
		enum member_health third;
		bool third_drained;
		const char *taker;
	} rows[] = {
		{ "this gateway", false, false, 3, MEMBER_UP, false, "gw-1" },
		{ "this gateway, on demand", false, false, 4, MEMBER_UP, false, "gw-1" },
		{ "another one", true, false, 3, MEMBER_UP, false, "gw-3" },
		{ "nobody: it is drained as well", true, false, 3, MEMBER_UP, true, NULL },
		{ "nobody: it does not answer", true, false, 3, MEMBER_SUSPECT, false, NULL },
		{ "nobody: there is none", true, false, 3, MEMBER_ABSENT, false, NULL },
		{ "nobody: it is not of its target", true, false, 2, MEMBER_UP, false, NULL },
		{ "another one, of who is cautious", false, true, 3, MEMBER_UP, false, "gw-3" },
		{ "nobody: it waits for the owner", false, true, 3, MEMBER_ABSENT, false, NULL },
		{ "nobody asks for it there", true, false, 4, MEMBER_UP, false, NULL },
	};
	struct world world;
	char taker[GATEWAY_NAME_MAX];
	static struct plan_group groups[] = { { .gateway = (char *)"gw-1" },
		                              { .gateway = (char *)"gw-2" },
		                              { .gateway = (char *)"gw-3" },
		                              { .gateway = (char *)"upstream-1" } };
	world_init(&world);
	struct member third = {
		.gateway = "gw-3", .instance = "three", .current = true, .state = GATEWAY_UP
	};
	list_append(&world.owners.members.list, &third.link);
	world.peer.health = MEMBER_UNREACHABLE; /* the owner */
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		TEST_ROW("%s", rows[i].name);
		world.owners.members.maintenance = rows[i].maintenance;
		world.owners.hung.cautious = rows[i].cautious;
		third.health = rows[i].third;
		third.maintenance = rows[i].third_drained;
		struct plan_disk wanted = { .name = (char *)"rbd/disk",
			                    .preferred = (char *)"gw-2",
			                    .groups = groups,
			                    .group_count = rows[i].groups };
		bool found = owners_find_taker(&world.owners, &wanted, taker);
		ASSERT_EQ(found, rows[i].taker != NULL);
		if (found)
			ASSERT_STR_EQ(taker, rows[i].taker);
	}
	world_done(&world);
}

/* Each name that a host ever had is a row, which nobody removes. */
TEST(who_is_there_is_seen_however_many_gateways_are_no_more)
{
	static struct member gone[200];
	struct world world;
	world_init(&world);
	for (size_t i = 0; i < ARRAY_LEN(gone); i++) {
		gone[i] = (struct member){ .instance = "none",
			                   .current = true,
			                   .condemned = true,
			                   .health = MEMBER_FENCED };
		(void)snprintf(gone[i].gateway, sizeof gone[i].gateway, "gw-old-%zu", i);
		list_prepend(&world.owners.members.list, &gone[i].link);
	}
	for (size_t i = 0; i < DISKS; i++)
		arrive(&disks[i]);
	/* The last one of a gateway that is no more. */
	(void)snprintf(disks[3].record.gateway, sizeof disks[3].record.gateway, "gw-old-0");
	(void)snprintf(disks[3].record.instance, sizeof disks[3].record.instance, "none");
	decide_all(&world);
	ASSERT_EQ(count_role(DISK_FORWARD), DISKS - 1);
	ASSERT_EQ(disks[3].order.role, DISK_SERVE);
	world_done(&world);
}

/* Another target's: it has no such disk. */
TEST(a_gateway_that_is_not_of_the_target_is_given_nothing)
{
	struct world world;
	char names[DISKS][16];
	world_init(&world);
	struct member other = { .gateway = "gw-3",
		                .instance = "three",
		                .current = true,
		                .state = GATEWAY_UP,
		                .health = MEMBER_UP };
	list_append(&world.owners.members.list, &other.link);
	for (size_t i = 0; i < DISKS; i++) { /* some have it for their heir */
		(void)snprintf(names[i], sizeof names[i], "rbd/disk_%zu", i);
		world.wanted[i].name = names[i];
	}
	world.owners.members.maintenance = true;
	for (size_t i = 0; i < DISKS; i++) {
		world.owners.rested_ms = 0;
		decide_all(&world);
		ASSERT_EQ(disks[i].order.role, DISK_GIVE);
		ASSERT_STR_EQ(disks[i].order.next, "gw-2");
		arrive(&disks[i]);
		owners_decide(&world.owners);
	}
	for (size_t i = 0; i < DISKS; i++) /* nor waited for */
		disks[i].record = (struct owner_record){ .state = OWNER_CLEAN, .epoch = 3 };
	world.owners.members.maintenance = false;
	world.peer.maintenance = true;
	decide_all(&world);
	ASSERT_EQ(count_role(DISK_SERVE), DISKS);
	for (size_t i = 0; i < DISKS; i++)
		own(&world, &disks[i]);
	world.owners.leaving = true;
	world.owners.leave_ms = now_ms;
	ASSERT_FALSE(owners_have_heir(&world.owners));
	decide_all(&world);
	ASSERT_EQ(count_role(DISK_SERVE), DISKS);
	ASSERT_TRUE(world.owners.left);
	world_done(&world);
}
