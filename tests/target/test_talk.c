/* What is asked of a member through the store. The disks and the store are the test's. */
#include "target/owners_private.h"

#include "interconnect/interconnect.h"
#include "ownership/record.h"
#include "store/kinds.h"
#include "target/disk_set.h"
#include "target/peers.h"
#include "target/probe.h"
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEADLINE_MS 60000
#define DISKS       2000

struct disk {
	struct owner_record record;
	char name[128];
	unsigned asked; /* times */
	bool waits, used;
};
static struct disk disks[DISKS];
static bool connected; /* to that member */

/* ---- what talk.c calls ---- */

struct disk *disk_set_at(const struct disk_set *set, size_t i)
{
	return &disks[i];
}

struct disk *disk_set_find(const struct disk_set *set, const char *name)
{
	for (size_t i = 0; i < DISKS; i++)
		if (strcmp(disks[i].name, name) == 0)
			return &disks[i];
	return NULL;
}

const char *disk_name(const struct disk *disk)
{
	return disk->name;
}

const struct owner_record *disk_record(const struct disk *disk)
{
	return &disk->record;
}

bool disk_commands_wait(const struct disk *disk)
{
	return disk->waits;
}

bool disk_is_used(const struct disk *disk)
{
	return disk->used;
}

void disk_note_refusals(struct disk *disk)
{
}

bool owners_find_taker(const struct owners *owners, const struct plan_disk *wanted,
                       char ret_gateway[GATEWAY_NAME_MAX])
{
	(void)snprintf(ret_gateway, GATEWAY_NAME_MAX, "gateway-2.storage.example.com");
	return true;
}

bool disk_is_owner(const struct disk *disk)
{
	return false;
}

struct lun *disk_lun(const struct disk *disk)
{
	return NULL;
}

void disk_ask_for(struct disk *disk, const char *next)
{
}

const char *disk_asked_for(const struct disk *disk, uint64_t *ret_asked_ms)
{
	return "";
}

void disk_heard_owner(struct disk *disk)
{
}

bool disk_saw_record(struct disk *disk, const struct owner_record *record)
{
	return false;
}

const char *disk_reservations(const struct disk *disk)
{
	return NULL;
}

void disk_told_reservations(struct disk *disk, const char *text)
{
}

void disk_told_record(struct disk *disk, const struct owner_record *record, bool kept)
{
}

bool disk_was_kept(const struct disk *disk)
{
	return false;
}

void owners_changed(struct owners *owners)
{
}

void owners_disk_changed(struct owners *owners, struct disk *disk)
{
}

void owners_look(struct owners *owners)
{
}

void owners_check_stopped(struct owners *owners)
{
}

void members_heard(struct members *members, uint64_t number)
{
}

void members_answered(struct members *members, uint64_t number)
{
}

struct interconnect *peers_interconnect(struct peers *peers)
{
	return (struct interconnect *)disks; /* nobody looks into it */
}

bool interconnect_get_peer(const struct interconnect *interconnect, uint32_t id,
                           struct peer_info *ret_peer)
{
	*ret_peer = (struct peer_info){ .state = connected ? PEER_UP : PEER_LOST };
	return true;
}

int interconnect_tell(struct interconnect *interconnect, uint32_t id, const char *text)
{
	return 0;
}

int probe_start(struct reactor *manager, struct reactor *const *reactors, unsigned reactor_count,
                void (*done)(void *argument, json_t *question), void *argument, json_t *question)
{
	json_decref(question);
	return 0;
}

void hung_heard_try(struct owners *owners, const json_t *message)
{
}

void hung_heard_tried(struct owners *owners, const json_t *message)
{
}

void paths_heard_leaves(struct owners *owners, const json_t *message)
{
}

void paths_heard(struct owners *owners, const json_t *message)
{
}

void fates_heard_unanswered(struct owners *owners, const json_t *message)
{
}

void fates_heard(struct owners *owners, const json_t *message)
{
}

/* ---- the store ---- */

static char *told; /* the last message */

static int tell(struct store *store, const char *text, struct error *err)
{
	free(told);
	told = strdup(text);
	return 0;
}

/* ---- the world ---- */

struct world {
	struct store store;
	struct plan plan;
	struct disk_set set;
	struct owners owners;
	struct member member;
};

static const struct store_ops store_ops = { .tell = tell };

static void world_init(struct world *world)
{
	*world = (struct world){ .store = { .ops = &store_ops }, .plan = { .disk_count = DISKS } };
	world->plan.disks = calloc(DISKS, sizeof *world->plan.disks);
	ASSERT_NOT_NULL(world->plan.disks);
	world->set.plan = &world->plan;
	world->owners = (struct owners){ .config = { .disks = &world->set, .gateway = "gw-1" },
		                         .store = &world->store,
		                         .members = { .instance = "one" } };
	world->member = (struct member){ .gateway = "gw-3", .instance = "three", .has_peer = true };
	ASSERT_EQ(reactor_new("manager", NULL, &world->owners.config.manager), 0);
	ASSERT_EQ(job_queue_new(1, &world->owners.jobs), 0);
	for (size_t i = 0; i < DISKS; i++) {
		disks[i] = (struct disk){ .waits = true };
		(void)snprintf(disks[i].name, sizeof disks[i].name,
		               "virtual-machines/datastore-of-the-second-floor-%04zu", i);
		(void)snprintf(disks[i].record.instance, INSTANCE_MAX, "three");
	}
}

static void world_done(struct world *world)
{
	job_queue_free(world->owners.jobs);
	reactor_free(world->owners.config.manager);
	free(world->plan.disks);
	free(told);
	told = NULL;
}

/* A new reference: what was asked; each LUN has its taker. NULL: nothing came through. */
static json_t *ask(struct world *world)
{
	struct owners *owners = &world->owners;
	uint64_t deadline_ms = clock_monotonic_ms() + DEADLINE_MS;
	free(told);
	told = NULL;
	talk_ask(owners, &world->member);
	while (owners->letters > 0 && clock_monotonic_ms() < deadline_ms)
		(void)reactor_turn(owners->config.manager, 5);
	ASSERT_EQ(owners->letters, 0);
	AUTO_JSON json_t *message = told ? json_loads(told, 0, NULL) : NULL;
	json_t *question = json_object_get(message, "ask");
	ASSERT_EQ(json_array_size(json_object_get(question, "luns")),
	          json_array_size(json_object_get(question, "takers")));
	return json_incref(question);
}

static void note_asked(const json_t *question)
{
	size_t index;
	json_t *name;
	json_array_foreach (json_object_get(question, "luns"), index, name)
		disk_set_find(NULL, json_string_value(name))->asked++;
}

/* ---- cases ---- */

TEST(a_question_names_what_commands_wait_for_at_that_member)
{
	struct world world;
	world_init(&world);
	for (size_t i = 0; i < DISKS; i++)
		disks[i].waits = i % 500 == 3;
	(void)snprintf(disks[503].record.instance, INSTANCE_MAX, "four");
	for (unsigned round = 1; round <= 3; round++) {
		AUTO_JSON json_t *question = ask(&world);
		ASSERT_EQ(json_number(question, "number", 0), round);
		note_asked(question);
		for (size_t i = 0; i < DISKS; i++)
			ASSERT_EQ(disks[i].asked, disks[i].waits && i != 503 ? round : 0);
	}
	world_done(&world);
}

/* One that is connected is asked because its storage is slow, which others may not change. */
TEST(what_is_used_through_one_that_is_not_connected_is_asked_for_before_it_is_missed)
{
	struct world world;
	world_init(&world);
	for (size_t i = 0; i < DISKS; i++) {
		disks[i].waits = i == 7;
		disks[i].used = i == 7 || i == 8;
	}
	for (unsigned lost = 0; lost < 2; lost++) {
		connected = !lost;
		AUTO_JSON json_t *question = ask(&world);
		ASSERT_EQ(json_array_size(json_object_get(question, "luns")), 1 + lost);
		note_asked(question);
	}
	ASSERT_EQ(disks[7].asked, 2);
	ASSERT_EQ(disks[8].asked, 1);
	world_done(&world);
}

/* One that is dead cannot be condemned unless it was asked. */
TEST(a_question_that_would_be_too_long_for_the_store_names_the_rest_next_time)
{
	struct world world;
	unsigned rounds = 0, least = 0;
	world_init(&world);
	while (least == 0 && rounds < 20) {
		AUTO_JSON json_t *question = ask(&world);
		rounds++;
		ASSERT_NOT_NULL(question);
		ASSERT_TRUE(json_array_size(json_object_get(question, "luns")) > 100);
		note_asked(question);
		least = rounds;
		for (size_t i = 0; i < DISKS; i++)
			least = disks[i].asked < least ? disks[i].asked : least;
	}
	ASSERT_EQ(least, 1);
	for (size_t i = 0; i < DISKS; i++)
		ASSERT_TRUE(disks[i].asked <= 2);
	world_done(&world);
}
