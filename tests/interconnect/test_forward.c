/* Commands that go to the owner: all that a session sees is as if the LUN were here. */
#include "world.h"

#include <errno.h>
#include <string.h>

static struct command a, b;

static void assert_read(struct world *world, struct nexus *nexus, uint32_t lba, uint32_t blocks,
                        uint8_t fill)
{
	read_start(&b, nexus, lba, blocks);
	command_wait(world, &b);
	assert_good(&b);
	ASSERT_EQ(b.task.data_in_len, blocks * WORLD_BLOCK);
	for (uint32_t i = 0; i < blocks; i++) {
		const uint8_t *block = b.in + (size_t)i * WORLD_BLOCK;
		ASSERT_EQ(get_be32(block), lba + i);
		ASSERT_EQ(block[4], fill);
		ASSERT_EQ(block[WORLD_BLOCK - 1], fill);
	}
	command_free(&b);
}

TEST(what_is_written_through_one_gateway_is_read_through_another)
{
	AUTO(world) struct world *world = world_new(3);
	struct nexus *first = world_nexus(world, 0, 0, 1), *second = world_nexus(world, 1, 1, 1);
	struct nexus *owner = world_nexus(world, 2, 0, 1);
	write_start(&a, first, 100, 8, 0x5a);
	command_wait(world, &a);
	assert_good(&a);
	assert_read(world, second, 100, 8, 0x5a);
	assert_read(world, owner, 100, 8, 0x5a);
	assert_read(world, first, 100, 8, 0x5a);
	struct interconnect_counters counters;
	interconnect_get_counters(world->gateways[2].interconnect, &counters);
	ASSERT_TRUE(counters.executed >= 5);
	ASSERT_EQ(counters.executing_now, 0);
	world_nexus_end(world, first);
	world_nexus_end(world, second);
	world_nexus_end(world, owner);
}

TEST(large_transfers_go_through_in_both_directions)
{
	static const uint32_t sizes[] = { 1, 7, 255, 4096, 32767, 32768, 40000, 65536 };
	AUTO(world) struct world *world = world_new(2);
	struct nexus *nexus = world_nexus(world, 0, 1, 1);
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		TEST_ROW("%u blocks", sizes[i]);
		write_start(&a, nexus, 3, sizes[i], (uint8_t)(i + 1));
		command_wait(world, &a);
		assert_good(&a);
		assert_read(world, nexus, 3, sizes[i], (uint8_t)(i + 1));
	}
	world_nexus_end(world, nexus);
}

TEST(errors_come_back_with_sense_and_residual_as_the_owner_gave_them)
{
	AUTO(world) struct world *world = world_new(2);
	struct nexus *nexus = world_nexus(world, 0, 0, 1);
	read_start(&a, nexus, WORLD_BLOCKS - 1, 2);
	command_wait(world, &a);
	assert_sense(&a, 0x052100);
	world->gateways[1].disk.fail = -EIO;
	read_start(&a, nexus, 5, 1);
	command_wait(world, &a);
	assert_sense(&a, 0x031100);
	ASSERT_EQ(a.task.data_in_len, 0);
	write_start(&a, nexus, 5, 1, 1);
	command_wait(world, &a);
	assert_sense(&a, 0x030c00);
	world->gateways[1].disk.fail = 0;
	/* READ(10) of one block, with room for two: an underflow. */
	command_start(&a, nexus, CDB(0x28, 0, 0, 0, 0, 9, 0, 0, 1, 0), 1024, NULL);
	command_wait(world, &a);
	assert_good(&a);
	ASSERT_EQ(a.task.residual_kind, SCSI_UNDERFLOW);
	ASSERT_EQ(a.task.residual, 512);
	ASSERT_EQ(a.task.data_in_len, 512);
	command_free(&a);
	command_start(&a, nexus, CDB(0x28, 0, 0, 0, 0, 9, 0, 0, 2, 0), 512, NULL);
	command_wait(world, &a);
	ASSERT_EQ(a.task.residual_kind, SCSI_OVERFLOW);
	ASSERT_EQ(a.task.residual, 512);
	command_free(&a);
	world_nexus_end(world, nexus);
}

TEST(compare_and_write_decides_at_the_owner)
{
	AUTO(world) struct world *world = world_new(2);
	struct nexus *nexus = world_nexus(world, 0, 0, 1);
	static uint8_t data[1024];
	memset(data + 512, 0x11, 512);
	command_start(&a, nexus, CDB(0x89, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 1, 0, 0), -1024,
	              data);
	command_wait(world, &a);
	assert_good(&a);
	command_start(&a, nexus, CDB(0x89, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 1, 0, 0), -1024,
	              data);
	command_wait(world, &a);
	assert_sense(&a, 0x0e1d00);
	world_nexus_end(world, nexus);
}

static void reserve_out_start(struct nexus *nexus, uint8_t action, uint8_t type, uint64_t key,
                              uint64_t new_key)
{
	uint8_t cdb[10] = { 0x5f, action, type, 0, 0, 0, 0, 0, 24 }, list[24] = { 0 };
	put_be64(list, key);
	put_be64(list + 8, new_key);
	command_start(&a, nexus, cdb, sizeof cdb, -24, list);
}

static void reserve_out(struct world *world, struct nexus *nexus, uint8_t action, uint8_t type,
                        uint64_t key, uint64_t new_key)
{
	reserve_out_start(nexus, action, type, key, new_key);
	command_wait(world, &a);
}

static void assert_fenced(struct world *world, struct nexus *loser, bool told)
{
	if (!told) {
		write_start(&b, loser, 20, 1, 1);
		command_wait(world, &b);
		assert_sense(&b, 0x062a05);
	}
	write_start(&b, loser, 20, 1, 1);
	command_wait(world, &b);
	ASSERT_EQ(b.task.status, SCSI_RESERVATION_CONFLICT);
	ASSERT_EQ(world->gateways[2].disk.writes[20], 0);
}

TEST(reservations_know_the_nexuses_of_all_gateways_apart)
{
	AUTO(world) struct world *world = world_new(3);
	struct nexus *first = world_nexus(world, 0, 0, 1), *second = world_nexus(world, 1, 0, 1);
	reserve_out(world, first, 0, 0, 0, 0xa);
	assert_good(&a);
	reserve_out(world, first, 1, 5, 0xa, 0); /* write exclusive, registrants only */
	assert_good(&a);
	write_start(&b, second, 1, 1, 1);
	command_wait(world, &b);
	ASSERT_EQ(b.task.status, SCSI_RESERVATION_CONFLICT);
	reserve_out(world, second, 0, 0, 0, 0xb);
	assert_good(&a);
	reserve_out(world, second, 4, 5, 0xb, 0xa); /* preempt */
	assert_good(&a);
	write_start(&b, second, 1, 1, 1);
	command_wait(world, &b);
	assert_good(&b);
	/* The one that lost its registration is told, at its own gateway. */
	assert_fenced(world, first, false);
	world_nexus_end(world, first);
	world_nexus_end(world, second);
}

/* The loser has the reservation (write exclusive, registrants only), the winner is registered. */
static void let_register(struct world *world, struct nexus *loser, struct nexus *winner)
{
	reserve_out(world, loser, 0, 0, 0, 0xa);
	assert_good(&a);
	reserve_out(world, loser, 1, 5, 0xa, 0);
	assert_good(&a);
	reserve_out(world, winner, 0, 0, 0, 0xb);
	assert_good(&a);
}

/* [H16] The order may come in at any gateway. */
TEST(preempt_and_abort_is_answered_when_forwarded_writes_of_the_loser_have_ended)
{
	for (unsigned from = 1; from <= 2; from++) {
		TEST_ROW("the order comes in at gw%u; gw2 is the owner", from);
		AUTO(world) struct world *world = world_new(3);
		struct nexus *loser = world_nexus(world, 0, 0, 1);
		struct nexus *winner = world_nexus(world, from, 1, 1);
		struct disk *disk = &world->gateways[2].disk;
		let_register(world, loser, winner);
		disk->hold = true;
		write_start(&b, loser, 8, 1, 1);
		EVENTUALLY(world, disk->held_count == 1);
		reserve_out_start(winner, 5, 5, 0xb, 0xa);
		world_pass(world, 100);
		ASSERT_EQ(a.done + b.done, 0);
		ASSERT_EQ(disk->writes[8], 0);
		disk_release(disk);
		command_wait(world, &b);
		ASSERT_EQ(b.task.status, SCSI_TASK_ABORTED);
		command_wait(world, &a);
		assert_good(&a);
		assert_fenced(world, loser, false);
		ASSERT_EQ(disk->writes[8], 1); /* what the disk had, and nothing since */
		world_nexus_end(world, loser);
		world_nexus_end(world, winner);
	}
}

TEST(a_write_that_comes_to_the_owner_after_its_node_was_preempted_is_not_executed)
{
	AUTO(world) struct world *world = world_new(3);
	struct nexus *loser = world_nexus(world, 0, 0, 1), *winner = world_nexus(world, 2, 1, 1);
	struct gateway *owner = &world->gateways[2];
	let_register(world, loser, winner);
	owner->cutter.stalled = true;
	write_start(&b, loser, 8, 1, 1);
	world_pass(world, 5);
	reserve_out(world, winner, 5, 5, 0xb, 0xa);
	assert_good(&a);
	ASSERT_EQ(b.done, 0);
	owner->cutter.stalled = false;
	command_wait(world, &b);
	assert_sense(&b, 0x062a05);
	assert_fenced(world, loser, true);
	ASSERT_EQ(owner->disk.writes[8], 0);
	world_nexus_end(world, loser);
	world_nexus_end(world, winner);
}

static void set_flag(void *argument)
{
	*(bool *)argument = true;
}

static bool manage_done;
static void count_done(struct task_management *request)
{
	(void)request;
	manage_done = true;
}

static void manage(struct nexus *nexus, enum task_function function, struct scsi_task *task,
                   struct task_management *request)
{
	*request = (struct task_management){
		.function = function, .lun = { 0, 3 }, .task = task, .done = count_done
	};
	manage_done = false;
	nexus_manage(nexus, request);
}

TEST(an_abort_reaches_the_owner_and_is_answered_when_nothing_can_change_any_more)
{
	AUTO(world) struct world *world = world_new(2);
	struct nexus *nexus = world_nexus(world, 0, 0, 1);
	struct disk *disk = &world->gateways[1].disk;
	struct task_management request;
	disk->hold = true;
	write_start(&a, nexus, 8, 1, 1);
	EVENTUALLY(world, disk->held_count == 1);
	manage(nexus, TMF_ABORT_TASK, &a.task, &request);
	world_pass(world, 100);
	ASSERT_FALSE(manage_done);
	disk_release(disk);
	EVENTUALLY(world, manage_done && a.done);
	ASSERT_TRUE(a.task.aborted);
	ASSERT_EQ(request.response, TMF_COMPLETE);
	world_nexus_end(world, nexus);
}

TEST(an_aborted_command_that_the_owner_never_received_is_not_executed_by_a_new_connection)
{
	AUTO(world) struct world *world = world_new(2);
	struct nexus *nexus = world_nexus(world, 0, 0, 1);
	struct cutter *cutter = &world->gateways[1].cutter;
	struct task_management request;
	cutter->stalled = true;
	write_start(&a, nexus, 8, 1, 1);
	world_pass(world, 5);
	manage(nexus, TMF_ABORT_TASK, &a.task, &request);
	world_pass(world, 5);
	ASSERT_FALSE(manage_done);
	cutter_cut(cutter);
	cutter->stalled = false;
	EVENTUALLY(world, manage_done && a.done);
	ASSERT_TRUE(a.task.aborted);
	ASSERT_EQ(request.response, TMF_COMPLETE);
	ASSERT_EQ(world->gateways[1].disk.writes[8], 0);
	world_nexus_end(world, nexus);
}

TEST(what_stands_unread_in_a_connection_that_has_ended_is_not_executed)
{
	AUTO(world) struct world *world = world_new(2);
	struct nexus *nexus = world_nexus(world, 0, 0, 1);
	struct gateway *owner = &world->gateways[1];
	owner->paused = true;
	write_start(&a, nexus, 8, 1, 1);
	world_pass(world, 5);
	owner->cutter.refuse = true;
	cutter_cut(&owner->cutter);
	owner->paused = false;
	world_pass(world, 5);
	ASSERT_EQ(owner->disk.writes[8], 0);
	owner->cutter.refuse = false;
	command_wait(world, &a);
	assert_good(&a);
	ASSERT_EQ(owner->disk.writes[8], 1);
	world_nexus_end(world, nexus);
}

TEST(a_reset_through_one_gateway_ends_commands_of_all_and_is_told_once)
{
	static const struct {
		const char *name;
		enum task_function function;
		uint32_t told; /* to the other initiator; 0: nothing but TASK ABORTED */
	} rows[] = {
		{ "CLEAR TASK SET", TMF_CLEAR_TASK_SET, 0 },
		{ "LOGICAL UNIT RESET", TMF_LUN_RESET, 0x062903 },
		{ "TARGET WARM RESET", TMF_TARGET_WARM_RESET, 0x062903 },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO(world) struct world *world = world_new(3);
		struct nexus *first = world_nexus(world, 0, 0, 1);
		struct nexus *second = world_nexus(world, 1, 1, 1);
		struct disk *disk = &world->gateways[2].disk;
		struct task_management request;
		TEST_ROW("%s", rows[i].name);
		disk->hold = true;
		write_start(&a, second, 8, 1, 1);
		EVENTUALLY(world, disk->held_count == 1);
		manage(first, rows[i].function, NULL, &request);
		world_pass(world, 50);
		ASSERT_FALSE(manage_done);
		disk_release(disk);
		EVENTUALLY(world, manage_done && a.done);
		ASSERT_EQ(a.task.status, SCSI_TASK_ABORTED);
		ASSERT_EQ(request.response, TMF_COMPLETE);
		if (rows[i].told) {
			write_start(&a, second, 8, 1, 1);
			command_wait(world, &a);
			assert_sense(&a, rows[i].told);
		}
		write_start(&a, second, 8, 1, 1);
		command_wait(world, &a);
		assert_good(&a);
		world_nexus_end(world, first);
		world_nexus_end(world, second);
	}
}

TEST(an_abort_of_ones_own_commands_leaves_those_of_others)
{
	AUTO(world) struct world *world = world_new(3);
	struct nexus *first = world_nexus(world, 0, 0, 1), *second = world_nexus(world, 1, 1, 1);
	struct disk *disk = &world->gateways[2].disk;
	struct task_management request;
	disk->hold = true;
	write_start(&a, first, 8, 1, 1);
	write_start(&b, second, 9, 1, 1);
	EVENTUALLY(world, disk->held_count == 2);
	manage(first, TMF_ABORT_TASK_SET, NULL, &request);
	world_pass(world, 50);
	ASSERT_FALSE(manage_done);
	disk_release(disk);
	EVENTUALLY(world, manage_done && a.done);
	ASSERT_EQ(request.response, TMF_COMPLETE);
	ASSERT_TRUE(a.task.aborted);
	command_wait(world, &b);
	assert_good(&b);
	write_start(&b, second, 9, 1, 1); /* nor are they told anything */
	command_wait(world, &b);
	assert_good(&b);
	world_nexus_end(world, first);
	world_nexus_end(world, second);
}

/* It comes to the owner before them, and is the only thing that they notice of it. */
TEST(a_reset_that_waited_for_an_owner_leaves_what_came_after_it)
{
	AUTO(world) struct world *world = world_new(2);
	struct nexus *nexus = world_nexus(world, 0, 0, 1);
	struct disk *disk = &world->gateways[1].disk;
	struct task_management request;
	lun_set_state(world->gateways[0].lun, LUN_HELD);
	manage(nexus, TMF_LUN_RESET, NULL, &request);
	world_pass(world, 5);
	write_start(&a, nexus, 8, 1, 1);
	world_pass(world, 5);
	ASSERT_FALSE(manage_done || a.done);
	disk->hold = true;
	world_forward(world, 0, 1, 7);
	world_pass(world, 50);
	disk_release(disk);
	EVENTUALLY(world, manage_done && a.done);
	ASSERT_EQ(request.response, TMF_COMPLETE);
	ASSERT_FALSE(a.task.aborted);
	assert_sense(&a, 0x062903);
	write_start(&a, nexus, 8, 1, 1);
	command_wait(world, &a);
	assert_good(&a);
	world_nexus_end(world, nexus);
}

/* The session lives on, and uses its other LUNs. */
TEST(a_lun_that_its_nexus_loses_is_lost_at_the_owner_too)
{
	AUTO(world) struct world *world = world_new(2);
	world_add_lun(world);
	struct nexus *origin = world_nexus(world, 0, 0, 1), *owner = world_nexus(world, 1, 0, 2);
	struct gateway *gateway = &world->gateways[0];
	struct lun *shared = world->gateways[1].lun;
	struct lun_mapping both[] = { { .number = 3, .lun = gateway->lun },
		                      { .number = 4, .lun = gateway->second } };
	struct lun_counters counters;
	for (unsigned time = 0; time < 3; time++) {
		TEST_ROW("time %u", time);
		command_start(&a, origin, CDB(0x16, 0, 0, 0, 0, 0), 0, NULL);
		command_wait(world, &a);
		if (time) { /* the LUN has come back */
			assert_sense(&a, 0x063f0e);
			command_start(&a, origin, CDB(0x16, 0, 0, 0, 0, 0), 0, NULL);
			command_wait(world, &a);
		}
		assert_good(&a);
		world_lun = 4;
		write_start(&a, origin, 8, 1, 1);
		command_wait(world, &a);
		if (time) {
			assert_sense(&a, 0x063f0e);
			write_start(&a, origin, 8, 1, 1);
			command_wait(world, &a);
		}
		assert_good(&a);
		world_lun = 3;
		command_start(&a, owner, CDB(0x00, 0, 0, 0, 0, 0), 0, NULL);
		command_wait(world, &a);
		ASSERT_EQ(a.task.status, SCSI_RESERVATION_CONFLICT);
		lun_get_counters(shared, &counters);
		ASSERT_EQ(counters.nexuses, 2);

		world->gateways[1].second_disk.hold = true;
		world_lun = 4;
		read_start(&b, origin, 8, 1);
		EVENTUALLY(world, world->gateways[1].second_disk.held_count == 1);
		bool changed = false;
		ASSERT_EQ(nexus_change_map(origin, both + 1, 1, set_flag, &changed), 0);
		EVENTUALLY(world, changed);
		EVENTUALLY(world, (lun_get_counters(shared, &counters), counters.nexuses == 1));
		disk_release(&world->gateways[1].second_disk);
		command_wait(world, &b); /* of the other LUN */
		assert_good(&b);
		command_free(&b);
		world_lun = 3;
		command_start(&a, owner, CDB(0x00, 0, 0, 0, 0, 0), 0, NULL);
		command_wait(world, &a);
		assert_good(&a);
		changed = false;
		ASSERT_EQ(nexus_change_map(origin, both, 2, set_flag, &changed), 0);
		EVENTUALLY(world, changed);
	}
	world_nexus_end(world, origin);
	world_nexus_end(world, owner);
}

/* In a rolling upgrade: each of them is the later one once. */
TEST(gateways_of_two_versions_forward_to_each_other)
{
	for (unsigned later = 0; later < 2; later++) {
		struct peer_info info;
		TEST_ROW("gw%u speaks a later version, too", later);
		world_version_max[later] = 2;
		AUTO(world) struct world *world = world_new(2);
		struct nexus *origin = world_nexus(world, 0, 0, 1);
		struct nexus *owner = world_nexus(world, 1, 0, 1);
		ASSERT_EQ(world_peer(world, 0, 1, &info), PEER_UP);
		ASSERT_EQ(info.version, 1);
		write_start(&a, origin, 100, 8, 0x5a);
		command_wait(world, &a);
		assert_good(&a);
		assert_read(world, origin, 100, 8, 0x5a);
		assert_read(world, owner, 100, 8, 0x5a);
		world_nexus_end(world, origin);
		world_nexus_end(world, owner);
		world_version_max[later] = 0;
	}
}

TEST(the_end_of_a_nexus_ends_its_proxy)
{
	AUTO(world) struct world *world = world_new(2);
	struct nexus *nexus = world_nexus(world, 0, 0, 1);
	struct lun_counters counters;
	lun_get_counters(world->gateways[1].lun, &counters);
	ASSERT_EQ(counters.nexuses, 1);
	world_nexus_end(world, nexus);
	EVENTUALLY(world,
	           (lun_get_counters(world->gateways[1].lun, &counters), counters.nexuses == 0));
	/* Its handle is used again. */
	nexus = world_nexus(world, 0, 0, 2);
	write_start(&a, nexus, 8, 1, 1);
	command_wait(world, &a);
	assert_good(&a);
	world_nexus_end(world, nexus);
}

TEST(many_commands_at_once_wait_for_the_window_and_all_end)
{
	static struct command commands[400];
	AUTO(world) struct world *world = world_new(2);
	struct nexus *nexus = world_nexus(world, 0, 0, 1);
	struct disk *disk = &world->gateways[1].disk;
	unsigned done = 0;
	disk->hold = true;
	for (unsigned i = 0; i < ARRAY_LEN(commands); i++)
		write_start(&commands[i], nexus, 10 * i, 1, 1);
	EVENTUALLY(world, disk->held_count == 128); /* half of it is for other LUNs */
	world_pass(world, 20);
	ASSERT_EQ(disk->held_count, 128);
	disk_release(disk);
	EVENTUALLY(world, commands[399].done);
	for (unsigned i = 0; i < ARRAY_LEN(commands); i++) {
		command_wait(world, &commands[i]);
		assert_good(&commands[i]);
		done += disk->writes[10 * i] == 1;
	}
	ASSERT_EQ(done, 400);
	world_nexus_end(world, nexus);
}

TEST(a_lun_that_hangs_at_the_owner_leaves_room_for_others)
{
	static struct command commands[300], others[200];
	AUTO(world) struct world *world = world_new(2);
	world_add_lun(world);
	struct nexus *nexus = world_nexus(world, 0, 0, 1);
	struct gateway *owner = &world->gateways[1];
	owner->disk.hold = true;
	for (unsigned i = 0; i < ARRAY_LEN(commands); i++)
		write_start(&commands[i], nexus, 10 * (i % 150), 1, (uint8_t)i);
	EVENTUALLY(world, owner->disk.held_count == 128);
	world_lun = 4;
	for (unsigned i = 0; i < ARRAY_LEN(others); i++)
		write_start(&others[i], nexus, 10 * i, 1, 1);
	world_lun = 3;
	for (unsigned i = 0; i < ARRAY_LEN(others); i++) {
		command_wait(world, &others[i]);
		assert_good(&others[i]);
		ASSERT_EQ(owner->second_disk.writes[10 * i], 1);
	}
	ASSERT_EQ(owner->disk.held_count, 128);
	disk_release(&owner->disk);
	for (unsigned i = 0; i < ARRAY_LEN(commands); i++) {
		command_wait(world, &commands[i]);
		assert_good(&commands[i]);
	}
	for (unsigned i = 0; i < 150; i++) { /* in order: the later one of two is there */
		ASSERT_EQ(owner->disk.writes[10 * i], 2);
		ASSERT_EQ(owner->disk.memory[10 * i * WORLD_BLOCK + 8], (uint8_t)(150 + i));
	}
	world_nexus_end(world, nexus);
}

TEST(what_the_owner_does_not_serve_is_not_executed_and_waits)
{
	AUTO(world) struct world *world = world_new(2);
	struct nexus *nexus = world_nexus(world, 0, 0, 1);
	struct lun_route route;
	lun_get_route(world->gateways[0].lun, &route);
	route.epoch = 6; /* the owner is in epoch 7 */
	lun_forward(world->gateways[0].lun, &route);
	write_start(&a, nexus, 8, 1, 1);
	world_pass(world, 20);
	ASSERT_EQ(a.done, 0);
	route.epoch = 7;
	lun_forward(world->gateways[0].lun, &route);
	command_wait(world, &a);
	assert_good(&a);
	ASSERT_EQ(world->gateways[1].disk.writes[8], 1);
	world_nexus_end(world, nexus);
}

TEST(a_lun_that_the_owner_makes_anew_is_found_again)
{
	AUTO(world) struct world *world = world_new(2);
	struct nexus *nexus = world_nexus(world, 0, 0, 1);
	struct gateway *owner = &world->gateways[1];
	bool quiet = false;
	struct lun *old = owner->lun;
	struct lun_config config = { .name = "rbd/disk_1",
		                     .wwn = "ee982d1a-a657-4cf2-996c-a3d03a6f25a9",
		                     .vendor_id = "x",
		                     .block_size = WORLD_BLOCK,
		                     .max_sectors = 1024 };
	lun_quiesce(old, LUN_FAILED, set_flag, &quiet);
	EVENTUALLY(world, quiet);
	ASSERT_EQ(lun_new(&config, &owner->lun), 0);
	lun_put(old);
	struct lun_route route;
	lun_get_route(world->gateways[0].lun, &route);
	write_start(&a, nexus, 8, 1, 1);
	world_pass(world, 20);
	ASSERT_EQ(a.done, 0);
	lun_set_epoch(owner->lun, 8);
	lun_serve(owner->lun, &owner->disk.backend);
	route.epoch = 8;
	lun_forward(world->gateways[0].lun, &route);
	command_wait(world, &a);
	assert_good(&a);
	world_nexus_end(world, nexus);
}

TEST(a_new_session_waits_for_what_the_old_one_has_at_the_owner)
{
	AUTO(world) struct world *world = world_new(2);
	struct nexus *old = world_nexus(world, 0, 0, 1);
	struct gateway *owner = &world->gateways[1];
	bool ended = false;
	owner->disk.hold = true;
	write_start(&a, old, 8, 1, 0x11);
	EVENTUALLY(world, owner->disk.held_count == 1);
	nexus_stop(old, set_flag, &ended);
	struct nexus *new = world_nexus(world, 0, 1, 1); /* by another channel */
	write_start(&b, new, 8, 1, 0x22);
	world_pass(world, 50);
	ASSERT_EQ(owner->disk.held_count, 1);
	ASSERT_EQ(b.done, 0);
	ASSERT_FALSE(ended);
	/* Not even a broken connection, on which nothing is heard of it, lets it pass. */
	cutter_cut(&owner->cutter);
	world_pass(world, 200);
	ASSERT_EQ(owner->disk.held_count, 1);
	ASSERT_EQ(b.done, 0);

	disk_release(&owner->disk);
	command_wait(world, &b);
	assert_good(&b);
	ASSERT_TRUE(ended);
	ASSERT_TRUE(a.task.aborted);
	ASSERT_EQ(owner->disk.writes[8], 2);
	ASSERT_EQ(owner->disk.memory[8 * WORLD_BLOCK + 4], 0x22);
	nexus_free(old);
	world_nexus_end(world, new);
}

TEST(who_stops_does_not_wait_for_an_owner_that_does_not_answer)
{
	AUTO(world) struct world *world = world_new(2);
	struct nexus *nexus = world_nexus(world, 0, 0, 1), *local = world_nexus(world, 1, 0, 2);
	struct gateway *origin = &world->gateways[0], *owner = &world->gateways[1];
	struct task_management reset = { .lun = { 0, 3 }, .done = count_done };
	static struct command reader;
	bool ended = false;
	owner->disk.hold = true;
	write_start(&a, nexus, 8, 1, 0x11);
	read_start(&reader, nexus, 16, 4);
	EVENTUALLY(world, owner->disk.held_count == 2);
	nexus_stop(nexus, set_flag, &ended);
	world_pass(world, 5000);
	ASSERT_FALSE(ended);
	interconnect_end_relaying(origin->interconnect);
	EVENTUALLY(world, ended);
	ASSERT_TRUE(a.task.aborted);
	ASSERT_TRUE(reader.task.aborted);
	nexus_free(nexus);
	world_stop(world, 0);
	/* The owner goes on to know of them: a reset is not answered before they have ended. */
	manage_done = false;
	reset.function = TMF_LUN_RESET;
	nexus_manage(local, &reset);
	world_pass(world, 100);
	ASSERT_FALSE(manage_done);
	disk_release(&owner->disk);
	EVENTUALLY(world, manage_done);
	ASSERT_EQ(owner->disk.writes[8], 1);
	world_nexus_end(world, local);
}
