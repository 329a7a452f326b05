/* Of many disks that are to be taken, those that commands wait for come first. */

#include "disk_means.h"

#include "scsi/nexus.h"
#include "scsi/task.h"
#include "store/image.h"

#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>

#define DISKS       4
#define WANTED      2 /* the disk that a command waits for */
#define DEADLINE_MS 60000

struct world {
	struct disk_host host;
	struct disk *disks[DISKS];
	struct disk *taken[DISKS]; /* in this order */
	unsigned taken_count, closed;
};

static void changed(struct disk_host *host, struct disk *disk)
{
}

static void moved(struct disk_host *host, struct disk *disk)
{
	struct world *world = container_of(host, struct world, host);
	if (disk_is_owner(disk) && world->taken_count < DISKS)
		world->taken[world->taken_count++] = disk;
}

#define WAIT_FOR(world, condition)                                      \
	do {                                                            \
		uint64_t until_ms = clock_monotonic_ms() + DEADLINE_MS; \
		while (!(condition) && clock_monotonic_ms() < until_ms) \
			(void)reactor_turn((world)->host.manager, 20);  \
		ASSERT_TRUE(condition);                                 \
	} while (0)

static const struct disk_order serve = { .role = DISK_SERVE, .why = "start" };
static const struct disk_order give = { .role = DISK_GIVE, .next = "gw-2", .why = "drain" };

/* Each was ours, and was given back: the image is open, and commands are held. */
static void make_disk(struct world *world, unsigned i)
{
	char image[16], name[24];
	struct error err = { 0 };
	static const struct port_group groups[] = { { 1, ALUA_OPTIMIZED } };
	(void)snprintf(image, sizeof image, "disk_%u", i);
	(void)snprintf(name, sizeof name, "rbd/%s", image);
	const struct disk_config config = {
		.pool = "rbd",
		.image = image,
		.groups = groups,
		.group_count = ARRAY_LEN(groups),
		.lun = { .name = name,
		         .wwn = "a1b2c3d4-e5f6-4789-8abc-def012345678",
		         .vendor_id = name,
		         .block_size = 512,
		         .max_sectors = 1024 },
	};
	ASSERT_EQ(image_create(world->host.store, "rbd", image, 1u << 20, &err), 0);
	ASSERT_EQ(disk_new(&world->host, &config, &world->disks[i]), 0);
	disk_give_order(world->disks[i], &serve);
	WAIT_FOR(world, disk_state(world->disks[i]) == LUN_READY);
	disk_give_order(world->disks[i], &give);
	WAIT_FOR(world, disk_record(world->disks[i])->state == OWNER_CLEAN &&
	                        !disk_is_moving(world->disks[i]));
	ASSERT_EQ(disk_state(world->disks[i]), LUN_HELD);
}

static void world_init(struct world *world)
{
	*world = (struct world){ 0 };
	means_init(&world->host, 1, changed, moved);
	for (unsigned i = 0; i < DISKS; i++)
		make_disk(world, i);
	world->taken_count = 0;
}

static void disk_closed(void *argument)
{
	((struct world *)argument)->closed++;
}

static void world_done(struct world *world)
{
	for (unsigned i = 0; i < DISKS; i++)
		disk_close(world->disks[i], disk_closed, world);
	WAIT_FOR(world, world->closed == DISKS);
	means_done(&world->host);
}

/* ---- a command that waits, and a worker that is busy ---- */

struct command {
	struct scsi_task task;
	bool done;
};

static void command_done(struct scsi_task *task)
{
	container_of(task, struct command, task)->done = true;
	scsi_task_release(task);
}

static void test_unit_ready(struct command *command, struct nexus *nexus)
{
	*command = (struct command){ .task = { .nexus = nexus,
		                               .cdb_len = 16,
		                               .attribute = SCSI_SIMPLE,
		                               .tag = 1,
		                               .done = command_done } };
	ASSERT_TRUE(scsi_task_begin(&command->task) != SCSI_BEGIN_NEEDS_DATA);
}

static void nexus_ended(void *argument)
{
	*(bool *)argument = true;
}

static atomic_bool hangs, released;

static void hang(struct job *job)
{
	hangs = true;
	while (!released)
		(void)poll(NULL, 0, 1);
}

static void hang_done(struct job *job)
{
}

TEST(the_disk_that_a_command_waits_for_is_taken_before_those_that_nobody_needs)
{
	struct world world;
	struct command command;
	struct nexus *nexus = NULL;
	bool ended = false;
	world_init(&world);
	const struct scsi_port port = { .tag = 1 };
	const struct lun_mapping mapping = { .number = 0, .lun = disk_lun(world.disks[WANTED]) };
	const struct nexus_config config = { .initiator_name = "iqn.1994-05.test:one",
		                             .port = &port,
		                             .reactor = world.host.manager,
		                             .mappings = &mapping,
		                             .mapping_count = 1 };
	ASSERT_EQ(nexus_new(&config, &nexus), 0);
	unsigned tries = 0;
	do { /* until no unit attention is told instead */
		test_unit_ready(&command, nexus);
		for (unsigned turn = 0; turn < 4; turn++)
			(void)reactor_turn(world.host.manager, 0);
	} while (command.done && ++tries < 5);
	ASSERT_FALSE(command.done);

	struct job busy = { .work = hang, .done = hang_done, .reactor = world.host.manager };
	job_queue_submit(job_queues_get(world.host.jobs, "rbd"), &busy);
	WAIT_FOR(&world, hangs);
	for (unsigned i = 0; i < DISKS; i++)
		disk_give_order(world.disks[i], &serve);
	released = true;
	WAIT_FOR(&world, world.taken_count == DISKS && command.done);
	ASSERT_EQ(command.task.status, SCSI_GOOD);
	static const unsigned order[DISKS] = { WANTED, 0, 1, 3 };
	for (unsigned i = 0; i < DISKS; i++) {
		TEST_ROW("number %u", i);
		ASSERT_TRUE(world.taken[i] == world.disks[order[i]]);
	}
	nexus_stop(nexus, nexus_ended, &ended);
	WAIT_FOR(&world, ended);
	nexus_free(nexus);
	world_done(&world);
}
