/* Connections that break at any byte: no write is executed twice, every command is answered once.
 */
#include "world.h"

#include <stdlib.h>
#include <string.h>

static struct command a, b;

static struct cutter *cutter_of(struct world *world)
{
	return &world->gateways[world->count - 1].cutter;
}

static struct disk *disk_of(struct world *world)
{
	return &world->gateways[world->count - 1].disk;
}

static void assert_written_once(struct world *world, uint32_t lba, uint32_t blocks, uint8_t fill)
{
	const struct disk *disk = disk_of(world);
	for (uint32_t i = lba; i < lba + blocks; i++) {
		ASSERT_EQ(disk->writes[i], 1);
		ASSERT_EQ(get_be32(disk->memory + (size_t)i * WORLD_BLOCK), i);
		ASSERT_EQ(disk->memory[(size_t)i * WORLD_BLOCK + 511], fill);
	}
}

static void write_and_read(struct world *world, struct nexus *nexus, uint32_t lba)
{
	write_start(&a, nexus, lba, 2, 0x42);
	read_start(&b, nexus, 0, 3);
	command_wait(world, &a);
	command_wait(world, &b);
	assert_good(&a);
	assert_good(&b);
	ASSERT_EQ(b.task.data_in_len, 3 * WORLD_BLOCK);
	command_free(&b);
	assert_written_once(world, lba, 2, 0x42);
}

static void settle(struct world *world)
{
	world_now_ms += 101; /* the connection has lived for long: it is made anew at once */
	for (unsigned i = 0; i < 8; i++)
		world_turn(world);
}

static void cut_everywhere(unsigned direction, bool reset)
{
	AUTO(world) struct world *world = world_new(2);
	struct nexus *nexus = world_nexus(world, 0, 0, 1);
	struct cutter *cutter = cutter_of(world);
	uint32_t lba = 100;
	unsigned cuts = 0;
	cutter->reset = reset;
	for (size_t bytes = 1;; bytes += reset ? 3 : 1) {
		settle(world);
		cutter->passed[direction] = 0;
		cutter_arm(cutter, direction, bytes);
		write_and_read(world, nexus, lba);
		lba += 2;
		cuts += !cutter->armed[direction];
		if (cutter->armed[direction] && cutter->passed[direction] < bytes)
			break;
	}
	print_message("# %u cuts\n", cuts);
	ASSERT_TRUE(cuts > 300);
	cutter->armed[direction] = false;
	world_nexus_end(world, nexus);
}

TEST(requests_are_cut_after_each_byte)
{
	cut_everywhere(0, false);
}

TEST(answers_are_cut_after_each_byte)
{
	cut_everywhere(1, false);
}

TEST(connections_are_reset_after_each_byte_of_requests)
{
	cut_everywhere(0, true);
}

TEST(connections_are_reset_after_each_byte_of_answers)
{
	cut_everywhere(1, true);
}

TEST(connections_are_cut_again_while_they_are_made_anew)
{
	AUTO(world) struct world *world = world_new(2);
	struct nexus *nexus = world_nexus(world, 0, 0, 1);
	struct cutter *cutter = cutter_of(world);
	uint32_t lba = 100;
	for (unsigned direction = 0; direction < 2; direction++) {
		for (size_t bytes = 1; bytes < 2500; bytes += 3) {
			settle(world);
			write_start(&a, nexus, lba, 2, 0x42);
			read_start(&b, nexus, 0, 3);
			for (unsigned i = 0; i < (bytes & 1) * 8; i++)
				world_turn(world); /* the cut finds it executed or not */
			cutter_cut(cutter);
			cutter_arm(cutter, direction, bytes);
			command_wait(world, &a);
			command_wait(world, &b);
			assert_good(&a);
			assert_good(&b);
			command_free(&b);
			assert_written_once(world, lba, 2, 0x42);
			lba += 2;
		}
	}
	cutter->armed[1] = false;
	world_nexus_end(world, nexus);
}

TEST(large_writes_are_cut_in_the_middle_of_their_data)
{
	static const size_t cuts[] = { 1,        1000,     100000,   5000000, 16777000,
		                       16777300, 16777400, 16800000, 19000000 };
	AUTO(world) struct world *world = world_new(2);
	struct nexus *nexus = world_nexus(world, 0, 0, 1);
	for (size_t i = 0; i < ARRAY_LEN(cuts); i++) {
		TEST_ROW("after %zu bytes", cuts[i]);
		memset(disk_of(world)->writes, 0, WORLD_BLOCKS);
		cutter_arm(cutter_of(world), i & 1, cuts[i]);
		write_start(&a, nexus, 10, 40000, (uint8_t)i);
		read_start(&b, nexus, 60000, 40000);
		command_wait(world, &a);
		command_wait(world, &b);
		assert_good(&a);
		assert_good(&b);
		ASSERT_EQ(b.task.data_in_len, 40000 * WORLD_BLOCK);
		command_free(&b);
		assert_written_once(world, 10, 40000, (uint8_t)i);
	}
	cutter_of(world)->armed[0] = cutter_of(world)->armed[1] = false;
	world_nexus_end(world, nexus);
}

TEST(what_runs_while_the_connection_is_away_is_answered_on_the_next)
{
	AUTO(world) struct world *world = world_new(2);
	struct nexus *nexus = world_nexus(world, 0, 0, 1);
	struct disk *disk = disk_of(world);
	for (unsigned i = 0; i < 2; i++) {
		disk->hold = true;
		write_start(&a, nexus, 10 + 10 * i, 4, 9);
		read_start(&b, nexus, 50, 4);
		EVENTUALLY(world, disk->held_count == 2);
		cutter_of(world)->refuse = true;
		cutter_cut(cutter_of(world));
		world_pass(world, 50);
		if (i == 0)
			disk_release(disk); /* the end comes while nobody is connected */
		world_pass(world, 50);
		ASSERT_EQ(a.done + b.done, 0);
		cutter_of(world)->refuse = false;
		world_pass(world, 1500);
		if (i == 1) {
			ASSERT_EQ(a.done + b.done, 0);
			disk_release(disk);
		}
		command_wait(world, &a);
		command_wait(world, &b);
		assert_good(&a);
		assert_good(&b);
		command_free(&b);
		assert_written_once(world, 10 + 10 * i, 4, 9);
	}
	world_nexus_end(world, nexus);
}

TEST(many_commands_survive_many_cuts)
{
	static struct command commands[100];
	static uint8_t lengths[100];
	world_age_max_ms = 600000; /* none is too old, however often it is cut */
	AUTO(world) struct world *world = world_new(2);
	world_age_max_ms = 0;
	struct nexus *nexuses[] = { world_nexus(world, 0, 0, 1), world_nexus(world, 0, 1, 2) };
	struct cutter *cutter = cutter_of(world);
	unsigned cuts = cutter->cuts;
	srand(7);
	for (unsigned round = 0; round < 20; round++) {
		memset(disk_of(world)->writes, 0, WORLD_BLOCKS);
		cutter->reset = rand() & 1;
		for (unsigned i = 0; i < ARRAY_LEN(commands); i++) {
			lengths[i] = (uint8_t)(1 + rand() % 64);
			if (i % 3 == 2)
				read_start(&commands[i], nexuses[i & 1], 100 * i, lengths[i]);
			else
				write_start(&commands[i], nexuses[i & 1], 100 * i, lengths[i],
				            (uint8_t)round);
			if (rand() % 4 == 0)
				world_turn(world);
			if (!cutter->armed[0] && !cutter->armed[1])
				cutter_arm(cutter, rand() & 1, (size_t)(1 + rand() % 200000));
		}
		for (unsigned i = 0; i < ARRAY_LEN(commands); i++) {
			command_wait(world, &commands[i]);
			assert_good(&commands[i]);
			command_free(&commands[i]);
			if (i % 3 != 2)
				assert_written_once(world, 100 * i, lengths[i], (uint8_t)round);
		}
	}
	ASSERT_TRUE(cutter->cuts - cuts > 20);
	cutter->armed[0] = cutter->armed[1] = false;
	world_nexus_end(world, nexuses[0]);
	world_nexus_end(world, nexuses[1]);
}

static bool manage_done;
static void managed(struct task_management *request)
{
	(void)request;
	manage_done = true;
}

TEST(an_abort_while_the_connection_is_away_waits_for_the_owner)
{
	AUTO(world) struct world *world = world_new(2);
	struct nexus *nexus = world_nexus(world, 0, 0, 1);
	struct disk *disk = disk_of(world);
	struct task_management request = {
		.function = TMF_ABORT_TASK, .lun = { 0, 3 }, .task = &a.task, .done = managed
	};
	manage_done = false;
	disk->hold = true;
	write_start(&a, nexus, 8, 1, 1);
	EVENTUALLY(world, disk->held_count == 1);
	cutter_of(world)->refuse = true;
	cutter_cut(cutter_of(world));
	world_pass(world, 10);
	nexus_manage(nexus, &request);
	world_pass(world, 200);
	ASSERT_FALSE(manage_done || a.done);
	cutter_of(world)->refuse = false;
	world_pass(world, 1500);
	ASSERT_FALSE(manage_done || a.done);
	disk_release(disk);
	EVENTUALLY(world, manage_done && a.done);
	ASSERT_TRUE(a.task.aborted);
	world_nexus_end(world, nexus);
}

/* ---- age ---- */

TEST(a_write_that_comes_late_is_not_executed)
{
	static const struct {
		unsigned ms;
		bool executed;
	} rows[] = { { 0, true }, { 900, true }, { 2100, false }, { 30000, false } };
	world_silence_ms = 60000;
	AUTO(world) struct world *world = world_new(2);
	world_silence_ms = 0;
	struct nexus *nexus = world_nexus(world, 0, 0, 1);
	for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
		TEST_ROW("%u ms", rows[i].ms);
		world_pass(world, 600); /* heartbeats */
		cutter_of(world)->stalled = true;
		write_start(&a, nexus, 8 + i, 1, 1);
		world_pass(world, rows[i].ms);
		cutter_of(world)->stalled = false;
		command_wait(world, &a);
		ASSERT_EQ(a.task.status, rows[i].executed ? SCSI_GOOD : SCSI_BUSY);
		ASSERT_EQ(disk_of(world)->writes[8 + i], rows[i].executed);
	}
	world_nexus_end(world, nexus);
}

TEST(a_write_is_not_executed_by_an_owner_that_was_stopped_for_long)
{
	AUTO(world) struct world *world = world_new(2);
	struct nexus *nexus = world_nexus(world, 0, 0, 1);
	world->gateways[1].paused = true;
	write_start(&a, nexus, 8, 1, 1);
	world_pass(world, 1500);
	world_now_ms += 1000;
	world->gateways[1].paused = false;
	command_wait(world, &a);
	ASSERT_EQ(a.task.status, SCSI_BUSY);
	ASSERT_EQ(disk_of(world)->writes[8], 0);
	world_nexus_end(world, nexus);
}

TEST(a_write_that_was_torn_goes_again_only_while_it_is_young)
{
	AUTO(world) struct world *world = world_new(2);
	struct nexus *nexus = world_nexus(world, 0, 0, 1);
	for (unsigned i = 0; i < 2; i++) {
		world_pass(world, 600);
		cutter_of(world)->refuse = true;
		cutter_arm(cutter_of(world), 0, 300);
		write_start(&a, nexus, 8 + 10 * i, 4, 1);
		world_pass(world, i ? 4000 : 300);
		cutter_of(world)->refuse = false;
		command_wait(world, &a);
		ASSERT_EQ(a.task.status, i ? SCSI_BUSY : SCSI_GOOD);
		ASSERT_EQ(disk_of(world)->writes[8 + 10 * i], !i);
	}
	world_nexus_end(world, nexus);
}

/* The peer is up, by the connection of its other reactor, so its LUNs are forwarded to it. */
TEST(a_write_that_waits_for_its_connection_is_as_old_as_it_has_waited)
{
	static const struct {
		unsigned ms;
		bool frozen, executed;
	} rows[] = { { 10, false, true },
		     { 1000, false, true },
		     { 1000, true, true },
		     { 30000, true, false } };
	AUTO(world) struct world *world = world_new(2);
	struct nexus *nexuses[] = { world_nexus(world, 0, 0, 1), world_nexus(world, 0, 1, 2) };
	for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
		TEST_ROW("%u ms%s", rows[i].ms, rows[i].frozen ? ", frozen" : "");
		cutter_of(world)->only = 1;
		world_pass(world, 5000);
		write_start(&a, nexuses[0], 8 + i, 1, 1);
		write_start(&b, nexuses[1], 28 + i, 1, 1);
		world_pass(world, 5);
		ASSERT_EQ(a.done + b.done, 1);
		bool waits = !a.done;
		world->gateways[0].paused = rows[i].frozen;
		world_pass(world, rows[i].ms);
		cutter_of(world)->only = 0;
		world->gateways[0].paused = false;
		command_wait(world, &a);
		command_wait(world, &b);
		assert_good(waits ? &b : &a);
		ASSERT_EQ((waits ? &a : &b)->task.status, rows[i].executed ? SCSI_GOOD : SCSI_BUSY);
		ASSERT_EQ(disk_of(world)->writes[(waits ? 8 : 28) + i], rows[i].executed);
	}
	world_nexus_end(world, nexuses[0]);
	world_nexus_end(world, nexuses[1]);
}

/* ---- the end of the owner ---- */

static void set_quiet(void *argument)
{
	*(bool *)argument = true;
}

/* The LUN moves to the origin: the write (a), whose fate nobody knows, is not repeated there; the
 * read (b) is. */
static void serve_at_origin(struct world *world)
{
	struct gateway *origin = &world->gateways[0];
	lun_set_state(origin->lun, LUN_HELD);
	lun_set_epoch(origin->lun, 8);
	lun_serve(origin->lun, &origin->disk.backend);
	command_wait(world, &a);
	command_wait(world, &b);
	assert_sense(&a, 0x0b0800);
	assert_good(&b);
	command_free(&b);
	ASSERT_EQ(origin->disk.writes[8], 0);
}

TEST(the_fate_of_what_an_owner_had_whose_instance_is_over_is_unknown)
{
	AUTO(world) struct world *world = world_new(2);
	struct nexus *nexus = world_nexus(world, 0, 0, 1);
	struct gateway *origin = &world->gateways[0];
	struct lun_route route;
	disk_of(world)->hold = true;
	write_start(&a, nexus, 8, 1, 1);
	read_start(&b, nexus, 8, 1);
	EVENTUALLY(world, disk_of(world)->held_count == 2);
	world->gateways[1].paused = true; /* it hangs */
	lun_get_route(origin->lun, &route);
	interconnect_forget(origin->interconnect, route.peer);
	world_pass(world, 50);
	ASSERT_EQ(a.done + b.done, 0);
	serve_at_origin(world);
	world->gateways[1].paused = false;
	world_nexus_end(world, nexus);
}

/* The owner lives, has given the LUN back, and cannot be reached. */
static void move_on_with_commands(bool received)
{
	AUTO(world) struct world *world = world_new(2);
	struct nexus *nexus = world_nexus(world, 0, 0, 1);
	struct gateway *origin = &world->gateways[0], *owner = &world->gateways[1];
	bool quiet = false;

	owner->disk.hold = received;
	if (!received)
		cutter_of(world)->stalled = true;
	write_start(&a, nexus, 8, 1, 1);
	read_start(&b, nexus, 8, 1);
	if (received)
		EVENTUALLY(world, owner->disk.held_count == 2);
	world_pass(world, 50);
	cutter_of(world)->stalled = false;
	cutter_of(world)->refuse = true;
	cutter_cut(cutter_of(world));
	world_pass(world, 50);
	disk_release(&owner->disk);
	lun_quiesce(owner->lun, LUN_HELD, set_quiet, &quiet);
	EVENTUALLY(world, quiet);
	ASSERT_EQ(a.done + b.done, 0);

	serve_at_origin(world);
	ASSERT_EQ(owner->disk.writes[8], received);

	/* It comes back, and serves again: the numbers are in step. */
	bool given = false;
	lun_quiesce(origin->lun, LUN_HELD, set_quiet, &given);
	EVENTUALLY(world, given);
	lun_set_epoch(owner->lun, 9);
	lun_serve(owner->lun, &owner->disk.backend);
	cutter_of(world)->refuse = false;
	world_forward(world, 0, 1, 9);
	world_pass(world, 1500);
	write_start(&a, nexus, 20, 1, 1);
	command_wait(world, &a);
	assert_good(&a);
	ASSERT_EQ(owner->disk.writes[8], received);
	ASSERT_EQ(owner->disk.writes[20], 1);
	world_nexus_end(world, nexus);
}

TEST(the_fate_of_what_was_executed_before_the_lun_moved_on_is_unknown)
{
	move_on_with_commands(true);
}

TEST(what_was_on_its_way_when_the_lun_moved_on_is_never_executed)
{
	move_on_with_commands(false);
}

TEST(a_stop_waits_for_commands_of_peers_and_answers_them)
{
	AUTO(world) struct world *world = world_new(2);
	struct nexus *nexus = world_nexus(world, 0, 0, 1);
	struct gateway *owner = &world->gateways[1];
	owner->disk.hold = true;
	write_start(&a, nexus, 8, 1, 1);
	EVENTUALLY(world, owner->disk.held_count == 1);
	owner->stopped = false;
	world_stop_start(world, 1);
	world_pass(world, 100);
	ASSERT_FALSE(owner->stopped);
	write_start(&b, nexus, 20, 1, 1); /* comes too late */
	world_pass(world, 5);
	disk_release(&owner->disk);
	command_wait(world, &a);
	assert_good(&a);
	EVENTUALLY(world, owner->stopped);
	ASSERT_EQ(b.done, 0);
	ASSERT_EQ(owner->disk.writes[20], 0);
	lun_set_state(world->gateways[0].lun, LUN_BUSY);
	command_wait(world, &b);
	ASSERT_EQ(b.task.status, SCSI_BUSY);
	world_nexus_end(world, nexus);
}
