/* Reservations of a disk in their row: found again, guarded, and never taken for none. */
#include "disk_means.h"

#include "base/bytes.h"
#include "scsi/nexus.h"
#include "scsi/reservation_keeper.h"
#include "scsi/task.h"
#include "store/image.h"

#include <stdlib.h>
#include <string.h>

#define DEADLINE_MS 60000
#define ROW         "reservation/rbd/kept"

struct world {
	struct disk_host host;
	struct disk *disk;
	struct nexus *nexus;
	bool ended;
};

static void ignore(struct disk_host *host, struct disk *disk)
{
}

static void set_ended(void *argument)
{
	((struct world *)argument)->ended = true;
}

static void wait_ended(struct world *world)
{
	uint64_t deadline_ms = clock_monotonic_ms() + DEADLINE_MS;
	while (!world->ended && clock_monotonic_ms() < deadline_ms)
		(void)reactor_turn(world->host.manager, 50);
	ASSERT_TRUE(world->ended);
	world->ended = false;
}

static const struct disk_order serve = { .role = DISK_SERVE, .why = "start" };

/* A gateway starts, with a disk that it is to serve. */
static void world_init(struct world *world)
{
	struct error err = { 0 };
	*world = (struct world){ 0 };
	means_init(&world->host, 2, ignore, ignore);
	static bool
	        image_made; /* one image for all gateways of this process, one after the other */
	if (!image_made)
		ASSERT_EQ(image_create(world->host.store, "rbd", "kept", 1u << 20, &err), 0);
	image_made = true;
	struct disk_config disk = {
		.pool = "rbd",
		.image = "kept",
		.lun = { .name = "rbd/kept",
		         .wwn = "a1b2c3d4-e5f6-4789-8abc-def012345678",
		         .vendor_id = "rbd/rbd/x;osd_op_timeout=30",
		         .block_size = 512,
		         .max_sectors = 1024 },
	};
	ASSERT_EQ(disk_new(&world->host, &disk, &world->disk), 0);
	disk_give_order(world->disk, &serve);
}

static void world_done(struct world *world)
{
	if (world->nexus) {
		nexus_stop(world->nexus, set_ended, world);
		wait_ended(world);
		nexus_free(world->nexus);
	}
	disk_close(world->disk, set_ended, world);
	wait_ended(world);
	means_done(&world->host);
}

/* Turns until the disk is served; whoever waits for news of the record is told to look again. */
static bool becomes_ready(struct world *world)
{
	uint64_t deadline_ms = clock_monotonic_ms() + DEADLINE_MS;
	while (lun_get_state(disk_lun(world->disk)) != LUN_READY &&
	       clock_monotonic_ms() < deadline_ms) {
		(void)reactor_turn(world->host.manager, 20);
		if (disk_role(world->disk) == DISK_WAIT)
			disk_give_order(world->disk, &serve);
	}
	return lun_get_state(disk_lun(world->disk)) == LUN_READY;
}

static void log_in(struct world *world)
{
	struct scsi_port port = { .target_name = "iqn.2003-01.com.redhat.iscsi-gw:igw", .tag = 1 };
	struct lun_mapping mapping = { .lun = disk_lun(world->disk) };
	struct nexus_config config = {
		.initiator_name = "iqn.1994-05.com.redhat:rh7-client",
		.isid = { 0x00, 0x02, 0x3d, 0, 0, 1 },
		.port = &port,
		.reactor = world->host.manager,
		.mappings = &mapping,
		.mapping_count = 1,
	};
	ASSERT_EQ(nexus_new(&config, &world->nexus), 0);
}

/* A command, and what became of it. */
struct command {
	struct scsi_task task;
	unsigned done;
	uint8_t in[256];
};

static void command_done(struct scsi_task *task)
{
	struct command *command = container_of(task, struct command, task);
	command->done++;
	if (task->data_in_len)
		memcpy(command->in, task->data->data, task->data_in_len);
	scsi_task_release(task);
}

static void start(struct world *world, struct command *command, const uint8_t cdb[10],
                  const uint8_t *out)
{
	memset(command, 0, sizeof *command);
	struct scsi_task *task = &command->task;
	task->nexus = world->nexus;
	memcpy(task->cdb, cdb, 10);
	task->cdb_len = 16;
	task->wants_write = out != NULL;
	task->wants_read = cdb[0] == 0x5e;
	task->expected_len = out ? 24 : task->wants_read ? sizeof command->in : 0;
	task->done = command_done;
	if (scsi_task_begin(task) != SCSI_BEGIN_NEEDS_DATA || !out)
		return;
	task->data = buffer_get(reactor_buffers(world->host.manager), 24);
	memcpy(task->data->data, out, 24);
	scsi_task_execute(task);
}

static void wait_done(struct world *world, struct command *command)
{
	uint64_t deadline_ms = clock_monotonic_ms() + DEADLINE_MS;
	while (!command->done && clock_monotonic_ms() < deadline_ms)
		(void)reactor_turn(world->host.manager, 20);
	ASSERT_EQ(command->done, 1);
}

/* Until it is not a unit attention. */
static void run(struct world *world, struct command *command, const uint8_t cdb[10],
                const uint8_t *out)
{
	do {
		start(world, command, cdb, out);
		wait_done(world, command);
	} while (command->task.status == SCSI_CHECK_CONDITION &&
	         (command->task.sense[2] & 0x0f) == 6);
}

static void order_start(struct world *world, struct command *command, uint8_t action, uint64_t key,
                        uint64_t action_key, bool aptpl)
{
	uint8_t list[24] = { [20] = aptpl };
	put_be64(list, key);
	put_be64(list + 8, action_key);
	start(world, command, (const uint8_t[10]){ 0x5f, action, 1, [8] = 24 }, list);
}

static void take_attentions(struct world *world)
{
	struct command c;
	run(world, &c, (const uint8_t[10]){ 0 }, NULL);
	ASSERT_EQ(c.task.status, SCSI_GOOD);
}

static void order(struct world *world, uint8_t action, uint64_t key, uint64_t action_key,
                  bool aptpl)
{
	struct command c;
	order_start(world, &c, action, key, action_key, aptpl);
	wait_done(world, &c);
	ASSERT_EQ(c.task.status, SCSI_GOOD);
}

/* The key of the reservation's holder; 0: there is none. */
static uint64_t holder(struct world *world)
{
	struct command c;
	run(world, &c, (const uint8_t[10]){ 0x5e, 1, [8] = 64 }, NULL);
	ASSERT_EQ(c.task.status, SCSI_GOOD);
	return get_be32(c.in + 4) ? get_be64(c.in + 8) : 0;
}

static char *row(struct world *world)
{
	char *text = NULL;
	struct error err = { 0 };
	ASSERT_EQ(store_get_row(world->host.store, ROW, &text, &err), 0);
	return text;
}

TEST(what_was_registered_to_last_is_there_after_a_restart_and_the_rest_is_not)
{
	for (unsigned aptpl = 0; aptpl < 2; aptpl++) {
		TEST_ROW("APTPL %u", aptpl);
		struct world world;
		world_init(&world);
		ASSERT_TRUE(becomes_ready(&world));
		log_in(&world);
		take_attentions(&world);
		order(&world, 6, 0, 0x11, aptpl); /* REGISTER AND IGNORE EXISTING KEY */
		order(&world, 1, 0x11, 0, false); /* RESERVE */
		AUTO_FREE char *text = row(&world);
		ASSERT_NOT_NULL(strstr(text, "rh7-client"));
		world_done(&world);

		world_init(&world);
		ASSERT_TRUE(becomes_ready(&world));
		log_in(&world);
		ASSERT_EQ(holder(&world), aptpl ? 0x11 : 0);
		if (aptpl)
			order(&world, 3, 0x11, 0, false); /* CLEAR */
		world_done(&world);
	}
}

TEST(what_the_last_owner_tells_of_the_row_is_believed_only_if_it_stands_there)
{
	static const char *const told[] = { NULL, "", "{\"version\":1,\"ep", "{}" };
	struct world world;
	world_init(&world);
	ASSERT_TRUE(becomes_ready(&world));
	log_in(&world);
	take_attentions(&world);
	order(&world, 6, 0, 0x11, true);
	order(&world, 1, 0x11, 0, false);
	AUTO_FREE char *text = strdup(disk_reservations(world.disk));
	world_done(&world);
	for (size_t i = 0; i <= ARRAY_LEN(told); i++) {
		TEST_ROW("row %zu", i);
		world_init(&world);
		disk_told_reservations(world.disk, i == 0 ? text : told[i - 1]);
		ASSERT_TRUE(becomes_ready(&world));
		AUTO_FREE char *stands = row(&world);
		ASSERT_STR_EQ(disk_reservations(world.disk), stands);
		log_in(&world);
		ASSERT_EQ(holder(&world), 0x11);
		if (i == ARRAY_LEN(told))
			order(&world, 3, 0x11, 0, false);
		world_done(&world);
	}
}

TEST(who_finds_that_the_row_was_changed_takes_the_disk_anew_and_does_not_say_that_it_was_done)
{
	struct world world;
	struct error err = { 0 };
	world_init(&world);
	ASSERT_TRUE(becomes_ready(&world));
	log_in(&world);
	take_attentions(&world);
	order(&world, 6, 0, 0x11, true);
	uint64_t epoch = lun_get_epoch(disk_lun(world.disk));
	AUTO_FREE char *before = row(&world), *taken = NULL;
	ASSERT_EQ(reservation_text_take(before, &(uint64_t){ epoch + 1 },
	                                RESERVATION_LOAD_HANDED_OVER, &taken, &err),
	          0);
	ASSERT_EQ(store_put_row(world.host.store, ROW, before, taken, &err), 0);

	struct command c;
	order_start(&world, &c, 1, 0x11, 0, false);
	wait_done(&world, &c);
	ASSERT_EQ(c.task.status, SCSI_CHECK_CONDITION);
	ASSERT_EQ(c.task.sense[2] & 0x0f, 0x0b);
	ASSERT_EQ(c.task.sense[12], 0x08);
	ASSERT_TRUE(lun_get_epoch(disk_lun(world.disk)) > epoch);
	ASSERT_EQ(holder(&world), 0);
	order(&world, 1, 0x11, 0, false);
	ASSERT_EQ(holder(&world), 0x11);
	order(&world, 3, 0x11, 0, false);
	world_done(&world);
}

TEST(a_row_that_is_torn_keeps_the_disk_out_of_service_until_it_is_mended)
{
	struct world world;
	struct error err = { 0 };
	world_init(&world);
	ASSERT_TRUE(becomes_ready(&world));
	AUTO_FREE char *good = row(&world);
	ASSERT_EQ(store_put_row(world.host.store, ROW, good, "{\"version\":1,\"ep", &err), 0);
	world_done(&world);

	world_init(&world);
	uint64_t deadline_ms = clock_monotonic_ms() + DEADLINE_MS;
	while (!strstr(disk_problem(world.disk), "not JSON") &&
	       clock_monotonic_ms() < deadline_ms) {
		(void)reactor_turn(world.host.manager, 20);
		if (disk_role(world.disk) == DISK_WAIT)
			disk_give_order(world.disk, &serve);
	}
	ASSERT_NOT_NULL(strstr(disk_problem(world.disk), "not JSON"));
	ASSERT_NE(lun_get_state(disk_lun(world.disk)), LUN_READY);
	ASSERT_EQ(store_put_row(world.host.store, ROW, "{\"version\":1,\"ep", good, &err), 0);
	ASSERT_TRUE(becomes_ready(&world));
	world_done(&world);
}

static void take_row_away(struct world *world, const char *key)
{
	AUTO_FREE char *text = NULL;
	struct error err = { 0 };
	ASSERT_EQ(store_get_row(world->host.store, key, &text, &err), 0);
	ASSERT_EQ(store_put_row(world->host.store, key, text, NULL, &err), 0);
}

/* As people are told to do with one that is damaged. Then only the reservations tell of its epochs,
 * and others may have seen the last one. */
TEST(a_disk_whose_owner_row_was_taken_away_is_served_in_a_later_epoch)
{
	struct world world;
	uint64_t epoch = 0;
	for (unsigned life = 0; life < 4; life++) {
		world_init(&world);
		if (life == 3)
			take_row_away(&world, "owner/rbd/kept");
		ASSERT_TRUE(becomes_ready(&world));
		ASSERT_TRUE(lun_get_epoch(disk_lun(world.disk)) > epoch);
		epoch = lun_get_epoch(disk_lun(world.disk));
		world_done(&world);
	}
}
