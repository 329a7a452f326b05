/* When an owner gives its LUNs up: its disk, its peers and its rows are the test's, time as well.
 */
#include "target/owners_private.h"

#include "interconnect/interconnect.h"
#include "ownership/history_writer.h"
#include "store/kinds.h"
#include "target/disk_set.h"
#include "target/peers.h"
#include "target/renew.h"
#include "test.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define DEADLINE_MS 60000
#define LUN         "rbd/disk_0"
#define LUNS        20 /* those of pool rbd, and the last one of pool ssd */
#define POOL_MAX    16 /* LUNs of a pool in question */

/* ---- what hung.c calls ---- */

struct disk {
	char name[32];
	struct lun_request oldest;
	struct read {
		void (*done)(void *argument, int result); /* NULL: none is under way */
		void *argument;
	} reads[DISK_ASKER_COUNT];
	uint64_t asked; /* the number of the last question about it */
	bool image_gone;
};

static uint64_t now_ms;
static struct disk disks[LUNS];
static enum disk_role role;
static struct owner_record record;
static uint64_t record_seen_ms;
static int try_result; /* of disk_try() itself */
static unsigned tries, told, condemnations, lives;
static char last_told[1024];
static const char *note;

static uint64_t stepped_clock(void)
{
	return now_ms;
}

bool disk_image_is_gone(const struct disk *disk)
{
	return disk->image_gone;
}

struct disk *disk_set_at(const struct disk_set *set, size_t i)
{
	return &disks[i];
}

struct disk *disk_set_find(const struct disk_set *set, const char *name)
{
	for (size_t i = 0; i < LUNS; i++) {
		if (strcmp(name, disks[i].name) == 0)
			return &disks[i];
	}
	return NULL;
}

const char *disk_name(const struct disk *disk)
{
	return disk->name;
}

void disk_look_for_oldest(struct disk *disk)
{
}

struct lun_request disk_oldest(const struct disk *disk)
{
	return disk->oldest;
}

enum disk_role disk_role(const struct disk *disk)
{
	return role;
}

const struct owner_record *disk_record(const struct disk *disk)
{
	return &record;
}

uint64_t disk_record_seen_ms(const struct disk *disk)
{
	return record_seen_ms;
}

int disk_try(struct disk *disk, enum disk_asker asker, uint64_t offset, uint64_t length,
             void (*done)(void *argument, int result), void *argument)
{
	if (try_result < 0 || disk->reads[asker].done)
		return try_result < 0 ? try_result : -EBUSY;
	tries++;
	disk->reads[asker] = (struct read){ done, argument };
	return 0;
}

struct interconnect *peers_interconnect(struct peers *peers)
{
	return (struct interconnect *)&told; /* nobody looks inside */
}

int interconnect_tell(struct interconnect *interconnect, uint32_t id, const char *text)
{
	told++;
	for (unsigned i = 0; i < LUNS; i++) {
		const char *number = strstr(text, "\"number\":");
		AUTO_FREE char *lun = NULL;
		ASSERT_TRUE(asprintf(&lun, "\"lun\":\"%s\"", disks[i].name) > 0);
		if (number && strstr(text, lun))
			disks[i].asked = strtoull(number + strlen("\"number\":"), NULL, 10);
	}
	(void)snprintf(last_told, sizeof last_told, "%s", text);
	return 0;
}

struct member *members_find_instance(const struct members *members, const char *gateway,
                                     const char *instance)
{
	struct member *member;
	list_for_each (member, &members->list, link) {
		if (strcmp(member->gateway, gateway) == 0)
			return member;
	}
	return NULL;
}

int registration_condemn(struct store *store, const char *gateway, const char *instance,
                         const char *by, const char *why, struct error *err)
{
	condemnations++;
	ASSERT_STR_EQ(gateway, "gw-1");
	ASSERT_STR_EQ(instance, "one");
	return 0;
}

void history_write(struct history_writer *writer, const char *kind, const char *lun,
                   const char *format, ...)
{
}

void owners_condemned(struct owners *owners, const char *why)
{
	owners->condemned = true;
	lives++;
}

void owners_check_stopped(struct owners *owners)
{
}

void owners_changed(struct owners *owners)
{
}

static char noted[1024];

void renew_set_note(const char *text)
{
	(void)snprintf(noted, sizeof noted, "%s", text ? text : "");
}

const char *renewed_note(void)
{
	return note;
}

static int tell(struct store *store, const char *text, struct error *err)
{
	return 0;
}

/* ---- the world ---- */

struct world {
	struct reactor *manager;
	struct disk_set disks;
	struct plan plan;
	struct store store;
	struct owners owners;
	struct member member;
};

static void world_init(struct world *world)
{
	static const struct store_ops ops = { .tell = tell };
	*world = (struct world){ .store = { .ops = &ops } };
	now_ms = 1000000;
	memset(disks, 0, sizeof disks);
	for (unsigned i = 0; i < LUNS; i++)
		(void)snprintf(disks[i].name, sizeof disks[i].name, "%s/disk_%u",
		               i < LUNS - 1 ? "rbd" : "ssd", i);
	*noted = 0;
	record = (struct owner_record){ .state = OWNER_ACTIVE, .why = "start" };
	record_seen_ms = now_ms;
	role = DISK_SERVE;
	try_result = 0;
	tries = told = condemnations = lives = 0;
	ASSERT_EQ(reactor_new("manager", stepped_clock, &world->manager), 0);
	world->plan.disk_count = LUNS;
	world->disks.plan = &world->plan;
	struct owners *owners = &world->owners;
	owners->config = (struct owners_config){ .manager = world->manager,
		                                 .disks = &world->disks,
		                                 .gateway = "gw-1" };
	hung_init(owners);
	owners->store = &world->store;
	owners->looked_ms = now_ms;
	ASSERT_EQ(job_queue_new(1, &owners->jobs), 0);
	list_init(&owners->members.list);
	(void)snprintf(owners->members.instance, sizeof owners->members.instance, "one");
	world->member = (struct member){
		.gateway = "gw-2", .instance = "two", .has_peer = true, .health = MEMBER_UP
	};
	list_append(&owners->members.list, &world->member.link);
}

static void world_done(struct world *world)
{
	job_queue_free(world->owners.jobs);
	hung_done(&world->owners);
	reactor_free(world->manager);
}

static void answer(struct disk *disk, enum disk_asker asker, int result)
{
	struct read read = disk->reads[asker];
	disk->reads[asker] = (struct read){ 0 };
	ASSERT_NOT_NULL(read.done);
	read.done(read.argument, result);
}

static void answer_read(struct disk *disk, int result)
{
	answer(disk, DISK_OWN_QUESTION, result);
}

static void answer_own_read(int result)
{
	answer_read(&disks[0], result);
}

/* A second passes, and a review. */
static void pass(struct world *world)
{
	now_ms += 1000;
	world->owners.looked_ms = now_ms;
	(void)reactor_turn(world->manager, 0); /* reads the clock */
	hung_review(&world->owners);
}

static void hear(struct world *world, uint64_t number)
{
	AUTO_JSON json_t *message =
	        json_pack("{s:I, s:s}", "number", (json_int_t)number, "from", "gw-2");
	hung_heard_tried(&world->owners, message);
}

static void wait_end(struct world *world)
{
	uint64_t deadline_ms = clock_monotonic_ms() + DEADLINE_MS;
	while (world->owners.hung.busy && clock_monotonic_ms() < deadline_ms)
		(void)reactor_turn(world->manager, 5);
	ASSERT_FALSE(world->owners.hung.busy);
}

static void hang(struct disk *disk)
{
	disk->oldest = (struct lun_request){ .since_ms = now_ms, .offset = 4096, .length = 512 };
}

/* A command hangs, and the question has been raised and asked for the first time. */
static void raise_question(struct world *world)
{
	hang(&disks[0]);
	for (unsigned second = 0; second < 5 && !tries; second++)
		pass(world);
	ASSERT_EQ(tries, 1);
	ASSERT_TRUE(now_ms >= disks[0].oldest.since_ms + 4000);
	ASSERT_EQ(told, 1);
}

static uint64_t number_of(const struct world *world)
{
	return world->owners.hung.number;
}

/* ---- the owner ---- */

TEST(a_peer_that_reads_three_times_what_the_owner_cannot_ends_this_life)
{
	struct world world;
	world_init(&world);
	raise_question(&world);
	ASSERT_NOT_NULL(strstr(last_told, "\"offset\":4096"));
	for (unsigned answers = 1; answers <= 3; answers++) {
		ASSERT_EQ(condemnations, 0);
		hear(&world, number_of(&world));
		hear(&world, number_of(&world)); /* of another peer: it counts once */
		if (answers < 3)
			pass(&world);
	}
	wait_end(&world);
	ASSERT_EQ(condemnations, 1);
	ASSERT_EQ(lives, 1);
	hear(&world, number_of(&world));
	ASSERT_EQ(condemnations, 1);
	answer_own_read(-ESHUTDOWN);
	world_done(&world);
}

enum what { SILENCE, EARLIER, LATE, OWN_READ, PROGRESS, JUST_TAKEN };

TEST(nothing_less_than_that_proves_anything)
{
	static const enum what rows[] = { SILENCE, EARLIER, LATE, OWN_READ, PROGRESS, JUST_TAKEN };
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct world world;
		TEST_ROW("%d", rows[i]);
		world_init(&world);
		raise_question(&world);
		if (rows[i] == JUST_TAKEN)
			record = (struct owner_record){ .state = OWNER_ACTIVE,
				                        .why = "take-over from gw-3" };
		for (unsigned second = 0; second < 20; second++) {
			bool third = second % 3 == 2;
			if (third && rows[i] == SILENCE) {
				pass(&world);
				continue;
			}
			if (third && rows[i] == OWN_READ && disks[0].reads[DISK_OWN_QUESTION].done)
				answer_own_read(0);
			if (third && rows[i] == PROGRESS)
				disks[0].oldest.since_ms += 2500;
			if (rows[i] == LATE)
				now_ms += 1000;
			(void)reactor_turn(world.manager, 0);
			if (!third || rows[i] != PROGRESS)
				hear(&world, number_of(&world) - (third && rows[i] == EARLIER));
			pass(&world);
		}
		ASSERT_EQ(condemnations, 0);
		ASSERT_EQ(lives, 0);
		if (disks[0].reads[DISK_OWN_QUESTION].done)
			answer_own_read(0);
		world_done(&world);
	}
}

TEST(what_was_taken_over_long_ago_may_be_given_up)
{
	struct world world;
	world_init(&world);
	record = (struct owner_record){ .state = OWNER_ACTIVE, .why = "take-over from gw-3" };
	now_ms += 60000;
	raise_question(&world);
	for (unsigned answers = 1; answers <= 3; answers++) {
		hear(&world, number_of(&world));
		if (answers < 3)
			pass(&world);
	}
	wait_end(&world);
	ASSERT_EQ(condemnations, 1);
	answer_own_read(-ESHUTDOWN);
	world_done(&world);
}

/* A second passes, and a peer answers the question about that LUN. */
static void pass_and_answer(struct world *world, const struct disk *disk)
{
	pass(world);
	hear(world, disk->asked);
}

static unsigned asked_now(const struct world *world)
{
	unsigned count = 0;
	for (unsigned i = 0; i < LUNS; i++)
		count += disks[i].asked && disks[i].asked + LUNS > number_of(world);
	return count;
}

TEST(a_lun_that_hangs_for_its_owner_alone_is_found_beside_many_that_hang_for_all)
{
	struct world world;
	struct disk *alone = &disks[LUNS - 1];
	world_init(&world);
	for (unsigned i = 0; i < LUNS - 1; i++)
		hang(&disks[i]);
	for (unsigned second = 0; second < 10; second++)
		pass(&world);
	ASSERT_EQ(tries, POOL_MAX);
	ASSERT_EQ(asked_now(&world), POOL_MAX);
	hang(alone); /* in another pool, and later */
	for (unsigned second = 0; second < 5; second++)
		pass(&world);
	ASSERT_EQ(tries, POOL_MAX + 1);
	for (unsigned answers = 0; answers < 3; answers++) {
		ASSERT_EQ(condemnations, 0);
		pass(&world);
		if (answers == 2)
			hear(&world, disks[0].asked); /* that alone proves nothing */
		hear(&world, alone->asked);
	}
	wait_end(&world);
	ASSERT_EQ(condemnations, 1);
	ASSERT_NOT_NULL(strstr(noted, "4096 512 ssd/disk_19\n"));
	ASSERT_NOT_NULL(strstr(noted, "4096 512 rbd/disk_0\n"));
	ASSERT_NULL(strstr(noted, "rbd/disk_1\n"));
	for (unsigned i = 0; i < LUNS; i++) {
		if (disks[i].reads[DISK_OWN_QUESTION].done)
			answer_read(&disks[i], -ESHUTDOWN);
	}
	world_done(&world);
}

TEST(answers_about_several_luns_do_not_add_up)
{
	struct world world;
	world_init(&world);
	hang(&disks[0]);
	hang(&disks[1]);
	for (unsigned second = 0; second < 20; second++)
		pass_and_answer(&world, &disks[second % 2]);
	ASSERT_EQ(tries, 2);
	ASSERT_EQ(condemnations, 0);
	/* The end of one question is not the end of the other. */
	answer_read(&disks[1], 0);
	disks[1].oldest = (struct lun_request){ 0 };
	for (unsigned answers = 0; answers < 3; answers++)
		pass_and_answer(&world, &disks[0]);
	wait_end(&world);
	ASSERT_EQ(condemnations, 1);
	answer_own_read(-ESHUTDOWN);
	world_done(&world);
}

/* ---- the peer ---- */

static void ask(struct world *world, const char *lun)
{
	AUTO_JSON json_t *message =
	        json_pack("{s:i, s:s, s:s, s:s, s:i, s:i}", "number", 7, "from", "gw-2",
	                  "from_instance", "two", "lun", lun, "offset", 4096, "length", 512);
	(void)reactor_turn(world->manager, 0);
	hung_heard_try(&world->owners, message);
}

TEST(a_peer_answers_what_it_has_read_if_it_could_take_the_lun)
{
	struct world world;
	world_init(&world);
	role = DISK_FORWARD;
	ask(&world, LUN);
	ASSERT_EQ(tries, 1);
	ASSERT_EQ(told, 0);
	answer(&disks[0], DISK_PEER_QUESTION, 0);
	ASSERT_EQ(told, 1);
	ASSERT_STR_EQ(last_told, "{\"tried\":{\"from\":\"gw-1\",\"number\":7}}");
	/* Not what it has not read. */
	ask(&world, LUN);
	answer(&disks[0], DISK_PEER_QUESTION, -ERANGE);
	ask(&world, "rbd/other");
	ASSERT_EQ(told, 1);
	ASSERT_EQ(tries, 2);
	/* Nor if it could not take it. */
	bool *const reasons[] = { &world.owners.leaving, &world.owners.condemned,
		                  &world.owners.members.maintenance, &world.owners.hung.cautious };
	for (size_t i = 0; i < ARRAY_LEN(reasons); i++) {
		*reasons[i] = true;
		ask(&world, LUN);
		*reasons[i] = false;
	}
	role = DISK_SERVE;
	ask(&world, LUN);
	role = DISK_FORWARD;
	now_ms += 6000; /* rows not read for so long */
	ask(&world, LUN);
	ASSERT_EQ(tries, 2);
	world_done(&world);
}

/* It was asked by the last owner, could not read there either, and has had to take the LUN since.
 */
TEST(what_hangs_for_a_peer_since_does_not_keep_the_owner_from_asking)
{
	struct world world;
	world_init(&world);
	role = DISK_FORWARD;
	ask(&world, LUN);
	ASSERT_EQ(tries, 1);
	role = DISK_SERVE;
	hang(&disks[0]);
	for (unsigned second = 0; second < 5; second++)
		pass(&world);
	ASSERT_EQ(tries, 2);
	for (unsigned answers = 1; answers <= 3; answers++) {
		pass(&world);
		hear(&world, number_of(&world));
	}
	wait_end(&world);
	ASSERT_EQ(condemnations, 1);
	answer(&disks[0], DISK_PEER_QUESTION, -ESHUTDOWN);
	answer_own_read(-ESHUTDOWN);
	world_done(&world);
}

/* ---- the life after ---- */

TEST(the_next_life_is_cautious_until_it_has_read_the_place)
{
	struct world world;
	note = "4096 512 " LUN;
	world_init(&world);
	hung_begin(&world.owners);
	ASSERT_TRUE(world.owners.hung.cautious);
	try_result = -ENOTCONN; /* the image cannot be opened */
	pass(&world);
	try_result = 0;
	pass(&world);
	ASSERT_EQ(tries, 1);
	answer_own_read(-EIO);
	ASSERT_TRUE(world.owners.hung.cautious);
	pass(&world);
	answer_own_read(0);
	ASSERT_FALSE(world.owners.hung.cautious);
	pass(&world);
	ASSERT_EQ(tries, 2);
	world_done(&world);
	note = NULL;
}

TEST(each_place_that_was_noted_is_doubted_until_it_was_read)
{
	struct world world;
	note = "4096 512 rbd/disk_0\n0 0 ssd/disk_19\n1 2 rbd/gone\n8 512 rbd/disk_0\n";
	world_init(&world);
	hung_begin(&world.owners);
	ASSERT_STR_EQ(noted, "4096 512 rbd/disk_0\n0 0 ssd/disk_19\n1 2 rbd/gone\n");
	pass(&world);
	ASSERT_EQ(tries, 2);
	ASSERT_STR_EQ(noted, "4096 512 rbd/disk_0\n0 0 ssd/disk_19\n");
	answer_own_read(0);
	ASSERT_TRUE(world.owners.hung.cautious);
	ASSERT_STR_EQ(noted, "0 0 ssd/disk_19\n");
	answer_read(&disks[LUNS - 1], -ERANGE);
	ASSERT_FALSE(world.owners.hung.cautious);
	ASSERT_STR_EQ(noted, "");
	world_done(&world);
	note = NULL;
}

/* It is configured all the same, and will never be opened. */
TEST(a_doubt_ends_when_its_image_has_been_removed)
{
	struct world world;
	note = "0 512 " LUN "\n";
	world_init(&world);
	hung_begin(&world.owners);
	try_result = -ENOTCONN;
	pass(&world);
	ASSERT_TRUE(world.owners.hung.cautious);
	disks[0].image_gone = true;
	pass(&world);
	ASSERT_FALSE(world.owners.hung.cautious);
	try_result = 0;
	world_done(&world);
	note = NULL;
}

/* It had to take its LUNs, as nobody else could, and somebody else is there now. */
TEST(a_cautious_owner_gives_up_what_it_doubts_if_a_peer_can_read_it)
{
	struct world world;
	note = "0 512 " LUN "\n";
	world_init(&world);
	hung_begin(&world.owners);
	pass(&world);
	ASSERT_EQ(tries, 1);
	hang(&disks[0]);
	for (unsigned second = 0; second < 5; second++)
		pass(&world);
	ASSERT_EQ(tries, 1); /* that read is the question's, too */
	ASSERT_NOT_NULL(strstr(last_told, "\"offset\":0"));
	pass_and_answer(&world, &disks[0]);
	answer_own_read(-EIO); /* an answer, but no proof that it works */
	ASSERT_TRUE(world.owners.hung.cautious);
	for (unsigned answers = 0; answers < 3; answers++) {
		ASSERT_EQ(condemnations, 0);
		pass_and_answer(&world, &disks[0]);
	}
	wait_end(&world);
	ASSERT_EQ(condemnations, 1);
	ASSERT_STR_EQ(noted, "0 512 " LUN "\n0 512 " LUN "\n");
	answer_own_read(-ESHUTDOWN);
	world_done(&world);
	note = NULL;
}

TEST(a_note_about_a_lun_that_is_gone_or_that_is_no_note_ends_by_itself)
{
	static const char *const notes[] = { "4096 512 rbd/gone", "", "4096 512", "x y z" };
	for (size_t i = 0; i < ARRAY_LEN(notes); i++) {
		struct world world;
		TEST_ROW("'%s'", notes[i]);
		note = notes[i];
		world_init(&world);
		hung_begin(&world.owners);
		ASSERT_EQ(world.owners.hung.cautious, i == 0);
		pass(&world);
		ASSERT_FALSE(world.owners.hung.cautious);
		world_done(&world);
	}
	note = NULL;
}
