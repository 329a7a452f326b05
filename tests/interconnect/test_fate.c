/* Two gateways that live and cannot reach each other: what became of commands is asked and told by
 * another way, however late, torn or repeated the messages are. */
#include "world.h"

#include "base/json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ORIGIN 0
#define OWNER  1

static struct command a, b, c;

static struct cutter *cutter_of(struct world *world)
{
	return &world->gateways[OWNER].cutter;
}

static struct disk *disk_of(struct world *world)
{
	return &world->gateways[OWNER].disk;
}

static struct interconnect *interconnect_of(struct world *world, unsigned gateway)
{
	return world->gateways[gateway].interconnect;
}

static void collect(void *argument, const json_t *found)
{
	*(json_t **)argument = json_deep_copy(found);
}

static json_t *find_unanswered(struct world *world)
{
	json_t *found = NULL;
	uint32_t id = world_connect(world, ORIGIN, OWNER);
	ASSERT_EQ(interconnect_find_unanswered(interconnect_of(world, ORIGIN), id, collect, &found),
	          0);
	EVENTUALLY(world, found);
	return found;
}

static json_t *find_fates(struct world *world, const json_t *unanswered)
{
	json_t *found = NULL;
	uint32_t id = world_connect(world, OWNER, ORIGIN);
	ASSERT_EQ(interconnect_find_fates(interconnect_of(world, OWNER), id, unanswered, collect,
	                                  &found),
	          0);
	EVENTUALLY(world, found);
	return found;
}

static void take_fates(struct world *world, const json_t *fates)
{
	uint32_t id = world_connect(world, ORIGIN, OWNER);
	ASSERT_EQ(interconnect_take_fates(interconnect_of(world, ORIGIN), id, fates), 0);
	for (unsigned i = 0; i < 8; i++)
		world_turn(world);
}

/* How many channels it was about. */
static size_t ask(struct world *world)
{
	AUTO_JSON json_t *unanswered = find_unanswered(world);
	AUTO_JSON json_t *fates = find_fates(world, unanswered);
	take_fates(world, fates);
	return json_array_size(fates);
}

/* Nobody hears the other any more, and both know it. */
static void part(struct world *world)
{
	struct peer_info info;
	uint32_t id = world_connect(world, ORIGIN, OWNER);
	cutter_of(world)->stalled = true;
	EVENTUALLY(world, world_peer(world, ORIGIN, id, &info) == PEER_LOST);
	cutter_of(world)->refuse = true; /* and no attempt is kept in the middle */
	world_pass(world, 2000);
}

static void heal(struct world *world)
{
	struct peer_info info;
	uint32_t id = world_connect(world, ORIGIN, OWNER);
	cutter_of(world)->stalled = cutter_of(world)->refuse = false;
	EVENTUALLY(world, world_peer(world, ORIGIN, id, &info) == PEER_UP);
}

static void assert_works(struct world *world, struct nexus *nexus)
{
	struct command write = { 0 }, read = { 0 };
	memset(disk_of(world)->writes, 0, WORLD_BLOCKS);
	write_start(&write, nexus, 4000, 8, 0x77);
	read_start(&read, nexus, 4100, 8);
	command_wait(world, &write);
	command_wait(world, &read);
	assert_good(&write);
	assert_good(&read);
	ASSERT_EQ(disk_of(world)->writes[4000], 1);
	command_free(&read);
}

TEST(nothing_is_asked_while_nothing_waits_or_the_channel_is_up)
{
	AUTO(world) struct world *world = world_new(2);
	struct nexus *nexus = world_nexus(world, ORIGIN, 0, 1);
	AUTO_JSON json_t *before = find_unanswered(world);
	ASSERT_EQ(json_array_size(before), 0);
	disk_of(world)->hold = true;
	write_start(&a, nexus, 8, 1, 1);
	EVENTUALLY(world, disk_of(world)->held_count == 1);
	AUTO_JSON json_t *up = find_unanswered(world);
	ASSERT_EQ(json_array_size(up), 0);
	part(world);
	AUTO_JSON json_t *parted = find_unanswered(world);
	ASSERT_EQ(json_array_size(parted), 1);
	heal(world);
	disk_release(disk_of(world));
	command_wait(world, &a);
	assert_good(&a);
	world_nexus_end(world, nexus);
}

/* The answer of a write is told; what a read gave is not, and it may run again. */
TEST(what_was_executed_is_answered_though_its_connection_is_gone)
{
	AUTO(world) struct world *world = world_new(2);
	struct nexus *nexus = world_nexus(world, ORIGIN, 0, 1);
	disk_of(world)->hold = true;
	write_start(&a, nexus, 8, 2, 5);
	read_start(&b, nexus, 30, 2);
	write_start(&c, nexus, 100, 1, 6);
	EVENTUALLY(world, disk_of(world)->held_count == 3);
	part(world);
	ASSERT_EQ(ask(world), 1);
	ASSERT_EQ(a.done + b.done + c.done, 0); /* they run yet */
	disk_of(world)->fail = -EIO;
	disk_release(disk_of(world));
	disk_of(world)->fail = 0;
	world_pass(world, 10);
	ASSERT_EQ(ask(world), 1);
	command_wait(world, &a);
	command_wait(world, &b);
	command_wait(world, &c);
	ASSERT_EQ(a.task.status, SCSI_CHECK_CONDITION);
	ASSERT_EQ(b.task.status, SCSI_CHECK_CONDITION);
	heal(world);
	assert_works(world, nexus);
	world_nexus_end(world, nexus);
}

TEST(a_write_that_was_executed_is_good_and_a_read_may_run_again)
{
	AUTO(world) struct world *world = world_new(2);
	struct nexus *nexus = world_nexus(world, ORIGIN, 0, 1);
	disk_of(world)->hold = true;
	write_start(&a, nexus, 8, 2, 5);
	read_start(&b, nexus, 30, 2);
	EVENTUALLY(world, disk_of(world)->held_count == 2);
	part(world);
	disk_release(disk_of(world));
	world_pass(world, 10);
	ASSERT_EQ(ask(world), 1);
	command_wait(world, &a);
	assert_good(&a);
	ASSERT_EQ(disk_of(world)->writes[8], 1);
	command_wait(world, &b);
	ASSERT_EQ(b.task.status, SCSI_BUSY); /* no owner in reach for more than 3 s */
	AUTO_JSON json_t *rest = find_unanswered(world);
	ASSERT_EQ(json_array_size(rest), 0);
	heal(world);
	assert_works(world, nexus);
	world_nexus_end(world, nexus);
}

TEST(what_was_not_received_is_not_executed_whatever_is_still_on_its_way)
{
	AUTO(world) struct world *world = world_new(2);
	struct nexus *nexuses[] = { world_nexus(world, ORIGIN, 0, 1),
		                    world_nexus(world, ORIGIN, 1, 2) };
	for (unsigned late = 0; late < 2; late++) {
		memset(disk_of(world)->writes, 0, WORLD_BLOCKS);
		cutter_of(world)->stalled = true; /* sent, and kept in the middle */
		write_start(&a, nexuses[0], 8, 2, 5);
		write_start(&b, nexuses[1], 30, 2, 5);
		part(world);
		ASSERT_EQ(ask(world), 2);
		command_wait(world, &a);
		command_wait(world, &b);
		ASSERT_EQ(a.task.status, SCSI_BUSY);
		ASSERT_EQ(b.task.status, SCSI_BUSY);
		if (late)
			cutter_cut(cutter_of(world));
		heal(world);
		world_pass(world, 100);
		ASSERT_EQ(disk_of(world)->writes[8] + disk_of(world)->writes[30], 0);
		assert_works(world, nexuses[0]);
		assert_works(world, nexuses[1]);
	}
	world_nexus_end(world, nexuses[0]);
	world_nexus_end(world, nexuses[1]);
}

/* A nexus that the owner has not heard of is declared again, under another number. */
TEST(declarations_that_were_not_received_go_again)
{
	AUTO(world) struct world *world = world_new(2);
	world_add_lun(world);
	struct nexus *nexus = world_nexus(world, ORIGIN, 0, 1);
	for (uint8_t isid = 2; isid < 5; isid++) {
		struct nexus *other = world_nexus(world, ORIGIN, 0, isid);
		cutter_of(world)->stalled = true;
		write_start(&a, nexus, 8, 2, isid);
		world_nexus_end(world, other); /* the owner is told, and does not hear it */
		part(world);
		ASSERT_EQ(ask(world), 1);
		command_wait(world, &a);
		ASSERT_EQ(a.task.status, SCSI_BUSY);
		heal(world);
		assert_works(world, nexus);
	}
	world_nexus_end(world, nexus);
}

TEST(what_is_told_after_the_connection_is_back_changes_nothing)
{
	AUTO(world) struct world *world = world_new(2);
	struct nexus *nexus = world_nexus(world, ORIGIN, 0, 1);
	cutter_of(world)->stalled = true;
	write_start(&a, nexus, 8, 2, 5);
	part(world);
	AUTO_JSON json_t *unanswered = find_unanswered(world);
	AUTO_JSON json_t *fates = find_fates(world, unanswered);
	ASSERT_EQ(json_array_size(fates), 1);
	disk_of(world)->hold = true;
	heal(world); /* too old by now, and another one that is not */
	command_wait(world, &a);
	ASSERT_EQ(a.task.status, SCSI_BUSY);
	write_start(&b, nexus, 30, 2, 5);
	EVENTUALLY(world, disk_of(world)->held_count == 1);
	take_fates(world, fates);
	part(world);
	take_fates(world, fates); /* of the connection before */
	world_pass(world, 10);
	ASSERT_EQ(b.done, 0);
	heal(world);
	/* And the owner is not asked about a connection that lives. */
	AUTO_JSON json_t *none = find_fates(world, unanswered);
	ASSERT_EQ(json_array_size(none), 0);
	disk_release(disk_of(world));
	command_wait(world, &b);
	assert_good(&b);
	ASSERT_EQ(disk_of(world)->writes[30], 1);
	world_nexus_end(world, nexus);
}

static bool managed_done;
static void managed(struct task_management *request)
{
	(void)request;
	managed_done = true;
}

TEST(task_management_is_answered_as_well)
{
	AUTO(world) struct world *world = world_new(2);
	struct nexus *nexus = world_nexus(world, ORIGIN, 0, 1);
	struct task_management abort = {
		.function = TMF_ABORT_TASK, .lun = { 0, 3 }, .task = &a.task, .done = managed
	};
	managed_done = false;
	disk_of(world)->hold = true;
	write_start(&a, nexus, 8, 1, 1);
	EVENTUALLY(world, disk_of(world)->held_count == 1);
	part(world);
	nexus_manage(nexus, &abort);
	ASSERT_EQ(ask(world), 1);
	world_pass(world, 10);
	ASSERT_FALSE(managed_done || a.done); /* the owner's storage has it yet */
	disk_release(disk_of(world));
	world_pass(world, 10);
	ASSERT_EQ(ask(world), 1);
	EVENTUALLY(world, managed_done && a.done);
	ASSERT_TRUE(a.task.aborted);
	struct task_management reset = { .function = TMF_LUN_RESET,
		                         .lun = { 0, 3 },
		                         .done = managed };
	heal(world);
	assert_works(world, nexus);
	managed_done = false;
	cutter_of(world)->stalled = true;
	nexus_manage(nexus, &reset);
	part(world);
	lun_set_unreachable(world->gateways[ORIGIN].lun, true);
	lun_set_state(world->gateways[ORIGIN].lun, LUN_FAILED);
	world_pass(world, 10);
	ASSERT_FALSE(managed_done); /* it may be there, or come there yet */
	ASSERT_EQ(ask(world), 1);
	EVENTUALLY(world, managed_done);
	ASSERT_EQ(reset.response, TMF_REJECTED);
	heal(world);
	world_forward(world, ORIGIN, OWNER, 7);
	world_nexus_end(world, nexus);
}

/* However many reactors have answers, and whatever sense they carry: a message of the store that is
 * too long never arrives, nor would the next, which says the same. */
TEST(more_answers_than_one_message_has_come_with_the_next)
{
	static struct command commands[400];
	AUTO(world) struct world *world = world_new(2);
	world_add_lun(world);
	struct nexus *nexuses[] = { world_nexus(world, ORIGIN, 0, 1),
		                    world_nexus(world, ORIGIN, 1, 2) };
	struct disk *disks[] = { disk_of(world), &world->gateways[OWNER].second_disk };
	unsigned asked = 0;
	disks[0]->hold = disks[1]->hold = true;
	for (unsigned i = 0; i < ARRAY_LEN(commands); i++) {
		world_lun = 3 + (i & 1);
		write_start(&commands[i], nexuses[i / 2 % 2], 10 * i, 1, 1);
	}
	world_lun = 3;
	/* A LUN leaves to others as much as it has. */
	EVENTUALLY(world, disks[0]->held_count + disks[1]->held_count > 320);
	part(world);
	disks[0]->fail = -EIO;
	disk_release(disks[0]);
	disk_release(disks[1]);
	disks[0]->fail = 0;
	world_pass(world, 10);
	for (size_t count = 1; count; asked += count != 0) {
		AUTO_JSON json_t *unanswered = find_unanswered(world);
		AUTO_JSON json_t *fates = find_fates(world, unanswered);
		count = json_array_size(fates);
		assert_true(json_dumpb(fates, NULL, 0, JSON_COMPACT) <= INTERCONNECT_FATES_MAX);
		take_fates(world, fates);
	}
	ASSERT_EQ(asked, 2);
	for (unsigned i = 0; i < ARRAY_LEN(commands); i++) {
		command_wait(world, &commands[i]);
		ASSERT_EQ(disks[i & 1]->writes[10 * i], commands[i].task.status == SCSI_GOOD);
	}
	heal(world);
	assert_works(world, nexuses[0]);
	assert_works(world, nexuses[1]);
	world_nexus_end(world, nexuses[0]);
	world_nexus_end(world, nexuses[1]);
}

TEST(what_makes_no_sense_harms_nothing)
{
	static const char *const texts[] = {
		"[]",
		"{}",
		"[1, \"x\", null]",
		"[{\"reactor\": 0}]",
		"[{\"reactor\": 0, \"life\": 1, \"exp_cmd_sn\": 99999, \"answers\": []}]",
		"[{\"reactor\": 0, \"life\": 1, \"exp_cmd_sn\": 0, \"answers\": []}]",
		"[{\"reactor\": 0, \"life\": 1, \"exp_cmd_sn\": 1, \"answers\": [\"00\"]}]",
		"[{\"reactor\": 0, \"life\": 1, \"exp_cmd_sn\": 1, \"answers\": [\"zz\", 7]}]",
		"[{\"reactor\": 0, \"life\": 1, \"exp_cmd_sn\": 1, \"answers\": {\"a\": 1}}]",
		"[{\"reactor\": 0, \"life\": 1, \"answers\": "
		"[\"21800000000000ff000000000000000000000000000000000000000900000000"
		"00000000000000000000000000000000\"]}]",
		"[{\"reactor\": 0, \"exp_stat_sn\": 4000000}]",
		"[{\"reactor\": 77, \"life\": 1}]",
	};
	AUTO(world) struct world *world = world_new(2);
	struct nexus *nexus = world_nexus(world, ORIGIN, 0, 1);
	disk_of(world)->hold = true;
	write_start(&a, nexus, 8, 1, 1);
	EVENTUALLY(world, disk_of(world)->held_count == 1);
	part(world);
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		TEST_ROW("%s", texts[i]);
		AUTO_JSON json_t *text = json_loads(texts[i], 0, NULL);
		assert_non_null(text);
		take_fates(world, text);
		AUTO_JSON json_t *found = find_fates(world, text);
		ASSERT_EQ(a.done, 0);
	}
	disk_release(disk_of(world));
	heal(world);
	command_wait(world, &a);
	assert_good(&a);
	assert_works(world, nexus);
	world_nexus_end(world, nexus);
}

TEST(a_stop_waits_for_a_question_that_is_under_way)
{
	AUTO(world) struct world *world = world_new(2);
	json_t *found = NULL;
	uint32_t id = world_connect(world, ORIGIN, OWNER);
	ASSERT_EQ(interconnect_find_unanswered(interconnect_of(world, ORIGIN), id, collect, &found),
	          0);
	world_stop_start(world, ORIGIN);
	ASSERT_EQ(interconnect_find_unanswered(interconnect_of(world, ORIGIN), id, collect, &found),
	          -ENOTCONN);
	EVENTUALLY(world, world->gateways[ORIGIN].stopped);
	assert_non_null(found);
	json_decref(found);
	ASSERT_EQ(interconnect_find_fates(interconnect_of(world, OWNER), 99, NULL, collect, &found),
	          -ENOTCONN);
}

/* ---- all of it at random ---- */

#define LETTERS 4

static struct {
	json_t *unanswered[LETTERS], *fates[LETTERS];
	size_t answers;
} letters;

static void count_answers(const json_t *fates)
{
	const json_t *channel;
	size_t index;
	json_array_foreach (fates, index, channel)
		letters.answers += json_array_size(json_object_get(channel, "answers"));
}

static void say_something(struct world *world)
{
	unsigned i = (unsigned)rand() % LETTERS, k = (unsigned)rand() % LETTERS;
	switch (rand() % 3) {
	case 0:
		json_decref(letters.unanswered[i]);
		letters.unanswered[i] = find_unanswered(world);
		break;
	case 1:
		if (!letters.unanswered[i])
			break;
		json_decref(letters.fates[k]);
		letters.fates[k] = find_fates(world, letters.unanswered[i]);
		count_answers(letters.fates[k]);
		break;
	case 2:
		if (letters.fates[k])
			take_fates(world, letters.fates[k]);
		break;
	}
}

static void disturb(struct world *world)
{
	struct cutter *cutter = cutter_of(world);
	switch (rand() % 9) {
	case 0:
		cutter->reset = rand() & 1;
		cutter_cut(cutter);
		break;
	case 1:
		cutter->stalled = !cutter->stalled;
		break;
	case 2:
		cutter->refuse = !cutter->refuse;
		break;
	case 3:
		cutter_arm(cutter, rand() & 1, (size_t)(1 + rand() % 5000));
		break;
	case 4:
		disk_of(world)->hold = true;
		break;
	case 5:
		disk_release(disk_of(world));
		break;
	case 6:
		world_pass(world, (unsigned)rand() % 3000);
		break;
	default:
		world_pass(world, (unsigned)rand() % 50);
		break;
	}
}

static void run_round(struct world *world, struct nexus *const *nexuses, unsigned round)
{
	static struct command commands[48];
	memset(disk_of(world)->writes, 0, WORLD_BLOCKS);
	for (unsigned i = 0; i < ARRAY_LEN(commands); i++) {
		if (i % 4 == 3)
			read_start(&commands[i], nexuses[i & 1], 100 * i, 1 + (i & 7));
		else
			write_start(&commands[i], nexuses[i & 1], 100 * i, 1, (uint8_t)round);
		if (rand() % 2)
			disturb(world);
		if (rand() % 2)
			say_something(world);
	}
	struct cutter *cutter = cutter_of(world);
	cutter->stalled = cutter->refuse = cutter->armed[0] = cutter->armed[1] = false;
	disk_release(disk_of(world));
	for (unsigned i = 0; i < ARRAY_LEN(commands); i++) {
		command_wait(world, &commands[i]);
		command_free(&commands[i]);
		if (commands[i].task.status != SCSI_BUSY)
			assert_good(&commands[i]);
		if (i % 4 != 3)
			ASSERT_EQ(disk_of(world)->writes[100 * i],
			          commands[i].task.status == SCSI_GOOD);
	}
}

TEST(whatever_is_cut_asked_and_told_a_write_is_good_if_and_only_if_it_was_executed_once)
{
	world_age_max_ms = 600000; /* none is too old, however often it is cut */
	AUTO(world) struct world *world = world_new(2);
	world_age_max_ms = 0;
	struct nexus *nexuses[] = { world_nexus(world, ORIGIN, 0, 1),
		                    world_nexus(world, ORIGIN, 1, 2) };
	srand(11);
	for (unsigned round = 0; round < 40; round++) {
		TEST_ROW("round %u", round);
		run_round(world, nexuses, round);
	}
	ASSERT_TRUE(letters.answers > 100);
	for (unsigned i = 0; i < LETTERS; i++) {
		json_decref(letters.unanswered[i]);
		json_decref(letters.fates[i]);
	}
	memset(&letters, 0, sizeof letters);
	world_nexus_end(world, nexuses[0]);
	world_nexus_end(world, nexuses[1]);
}

/* ---- the same with commands that are taken off, resets, and a LUN that moves on ---- */

#define CHANCES 40

static struct chance {
	struct command command;
	struct task_management management;
	uint32_t lba;
	bool asked, managed, seen; /* seen: what it says is known */
	uint8_t writes;            /* when it was seen */
} chances[CHANCES];

static void chance_managed(struct task_management *request)
{
	struct chance *chance = container_of(request, struct chance, management);
	assert_false(chance->managed);
	chance->managed = true;
}

/* Answered, or said to be gone: from then on it changes nothing. */
static void watch(struct world *world)
{
	for (unsigned i = 0; i < CHANCES; i++) {
		struct chance *chance = &chances[i];
		if (chance->seen || !chance->command.done)
			continue;
		chance->seen = true;
		chance->writes = disk_of(world)->writes[chance->lba];
	}
}

static void take_off(struct nexus *nexus, struct chance *chance, enum task_function function)
{
	if (chance->asked || (chance->command.done && function == TMF_ABORT_TASK))
		return;
	chance->asked = true;
	chance->management = (struct task_management){
		.function = function,
		.lun = { 0, 3 },
		.task = function == TMF_ABORT_TASK ? &chance->command.task : NULL,
		.done = chance_managed,
	};
	nexus_manage(nexus, &chance->management);
}

static void set_flag(void *argument)
{
	*(bool *)argument = true;
}

/* Who gives it back has nothing of it in flight. */
static void move_on(struct world *world, uint64_t *epoch)
{
	struct lun *lun = world->gateways[OWNER].lun;
	struct lun_route route = { .peer = world_connect(world, ORIGIN, OWNER), .epoch = ++*epoch };
	bool given = false;
	disk_release(disk_of(world));
	lun_quiesce(lun, LUN_HELD, set_flag, &given);
	EVENTUALLY(world, given);
	lun_set_epoch(lun, *epoch);
	lun_serve(lun, &disk_of(world)->backend);
	lun_set_state(world->gateways[ORIGIN].lun, LUN_HELD);
	lun_forward(world->gateways[ORIGIN].lun, &route);
}

static void run_chances(struct world *world, struct nexus *const *nexuses, uint64_t *epoch)
{
	static const enum task_function functions[] = { TMF_ABORT_TASK, TMF_ABORT_TASK,
		                                        TMF_ABORT_TASK, TMF_LUN_RESET,
		                                        TMF_ABORT_TASK_SET };
	memset(disk_of(world)->writes, 0, WORLD_BLOCKS);
	memset(chances, 0, sizeof chances);
	for (unsigned i = 0; i < CHANCES; i++) {
		chances[i].lba = 100 * i;
		if (i % 4 == 3)
			read_start(&chances[i].command, nexuses[i & 1], 100 * i, 1 + (i & 7));
		else
			write_start(&chances[i].command, nexuses[i & 1], 100 * i, 1, 1);
		if (rand() % 2)
			disturb(world);
		watch(world);
		if (rand() % 2)
			say_something(world);
		watch(world);
		unsigned which = (unsigned)rand() % (i + 1);
		if (rand() % 3 == 0)
			take_off(nexuses[which & 1], &chances[which],
			         functions[rand() % ARRAY_LEN(functions)]);
		if (rand() % 16 == 0)
			move_on(world, epoch);
		watch(world);
	}
	struct cutter *cutter = cutter_of(world);
	cutter->stalled = cutter->refuse = cutter->armed[0] = cutter->armed[1] = false;
	disk_release(disk_of(world));
	for (unsigned i = 0; i < CHANCES; i++) {
		struct chance *chance = &chances[i];
		TEST_ROW("command %u", i);
		EVENTUALLY(world, chance->command.done && (!chance->asked || chance->managed));
		watch(world);
	}
	world_pass(world, 100);
	for (unsigned i = 0; i < CHANCES; i++) {
		const struct chance *chance = &chances[i];
		const struct scsi_task *task = &chance->command.task;
		uint8_t writes = disk_of(world)->writes[chance->lba];
		TEST_ROW("command %u: status %u, aborted %d", i, task->status, task->aborted);
		ASSERT_EQ(chance->command.done, 1);
		command_free(&chances[i].command);
		if (i % 4 == 3)
			continue;
		ASSERT_EQ(writes, chance->writes);
		assert_true(writes <= 1);
		if (!task->aborted && task->status == SCSI_GOOD)
			ASSERT_EQ(writes, 1);
		if (!task->aborted && task->status == SCSI_BUSY)
			ASSERT_EQ(writes, 0);
	}
}

TEST(what_is_taken_off_or_left_behind_meanwhile_is_never_executed_late)
{
	uint64_t epoch = 7;
	world_age_max_ms = 600000;
	AUTO(world) struct world *world = world_new(2);
	world_age_max_ms = 0;
	struct nexus *nexuses[] = { world_nexus(world, ORIGIN, 0, 1),
		                    world_nexus(world, ORIGIN, 1, 2) };
	srand(23);
	for (unsigned round = 0; round < 40; round++)
		run_chances(world, nexuses, &epoch);
	for (unsigned i = 0; i < LETTERS; i++) {
		json_decref(letters.unanswered[i]);
		json_decref(letters.fates[i]);
	}
	memset(&letters, 0, sizeof letters);
	world_nexus_end(world, nexuses[0]);
	world_nexus_end(world, nexuses[1]);
}
