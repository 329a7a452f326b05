/* A disk on the embedded store: it gets to what is wanted, whatever is missing on the way. */

#include "disk_means.h"

#include "scsi/nexus.h"
#include "scsi/relay.h"
#include "scsi/task.h"
#include "store/image.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define DEADLINE_MS 60000
#define MIB         (1u << 20)

struct world {
	struct disk_host host;
	struct disk *disk;
	int changes, moves;
	bool closed;
};

static void changed(struct disk_host *host, struct disk *disk)
{
	container_of(host, struct world, host)->changes++;
}

static void moved(struct disk_host *host, struct disk *disk)
{
	container_of(host, struct world, host)->moves++;
}

static void world_init(struct world *world)
{
	*world = (struct world){ 0 };
	means_init(&world->host, 2, changed, moved);
}

static bool in_state(struct world *world, enum lun_state state)
{
	return lun_get_state(disk_lun(world->disk)) == state && disk_settled(world->disk);
}

static void wait_state(struct world *world, enum lun_state state)
{
	uint64_t deadline_ms = clock_monotonic_ms() + DEADLINE_MS;
	while (!in_state(world, state) && clock_monotonic_ms() < deadline_ms)
		(void)reactor_turn(world->host.manager, 50);
	ASSERT_EQ(lun_get_state(disk_lun(world->disk)), state);
	ASSERT_TRUE(disk_settled(world->disk));
}

static void wait_clean(struct world *world)
{
	uint64_t deadline_ms = clock_monotonic_ms() + DEADLINE_MS;
	while ((disk_record(world->disk)->state != OWNER_CLEAN || disk_is_moving(world->disk)) &&
	       clock_monotonic_ms() < deadline_ms)
		(void)reactor_turn(world->host.manager, 50);
	ASSERT_EQ(disk_record(world->disk)->state, OWNER_CLEAN);
}

static void wait_role(struct world *world, enum disk_role role)
{
	uint64_t deadline_ms = clock_monotonic_ms() + DEADLINE_MS;
	while (disk_role(world->disk) != role && clock_monotonic_ms() < deadline_ms)
		(void)reactor_turn(world->host.manager, 50);
	ASSERT_EQ(disk_role(world->disk), role);
}

static void disk_closed(void *argument)
{
	((struct world *)argument)->closed = true;
}

static void world_done(struct world *world)
{
	disk_close(world->disk, disk_closed, world);
	ASSERT_FALSE(world->closed); /* never inside the call */
	uint64_t deadline_ms = clock_monotonic_ms() + DEADLINE_MS;
	while (!world->closed && clock_monotonic_ms() < deadline_ms)
		(void)reactor_turn(world->host.manager, 50);
	ASSERT_TRUE(world->closed);
	means_done(&world->host);
}

static struct disk_config config_for(const char *image, const char *name)
{
	static const struct port_group groups[] = { { 1, ALUA_OPTIMIZED }, { 2, ALUA_STANDBY } };
	return (struct disk_config){
		.pool = "rbd",
		.image = image,
		.groups = groups,
		.group_count = ARRAY_LEN(groups),
		.lun = { .name = name,
		         .wwn = "a1b2c3d4-e5f6-4789-8abc-def012345678",
		         .vendor_id = "rbd/rbd/x;osd_op_timeout=30",
		         .block_size = 512,
		         .max_sectors = 1024 },
	};
}

static uint64_t stepped_ms;
static uint64_t stepped_clock(void)
{
	return stepped_ms;
}

struct tried {
	unsigned count;
	int result;
};

static void count_tried(void *argument, int result)
{
	struct tried *tried = argument;
	tried->count++;
	tried->result = result;
}

static void wait_problem(struct world *world)
{
	uint64_t deadline_ms = clock_monotonic_ms() + DEADLINE_MS;
	while (!*disk_problem(world->disk) && clock_monotonic_ms() < deadline_ms)
		(void)reactor_turn(world->host.manager, 50);
	ASSERT_TRUE(*disk_problem(world->disk));
}

static void wait_tried(struct world *world, const struct tried *tried, unsigned count)
{
	uint64_t deadline_ms = clock_monotonic_ms() + DEADLINE_MS;
	while (tried->count < count && clock_monotonic_ms() < deadline_ms)
		(void)reactor_turn(world->host.manager, 50);
	ASSERT_EQ(tried->count, count);
}

static const struct disk_order serve = { .role = DISK_SERVE, .why = "start" };
static const struct disk_order give = { .role = DISK_GIVE, .next = "gw-2", .why = "drain" };
static const struct disk_order offer = { .role = DISK_OFFER, .on_demand = true };
static const struct disk_order demand = { .role = DISK_SERVE, .why = "demand", .on_demand = true };
static const struct disk_order keep_off = { .role = DISK_KEEP_OFF, .on_demand = true };
static const struct disk_order stand_by = { .role = DISK_STANDBY, .on_demand = true };

TEST(commands_go_to_the_owner_before_the_image_is_open_here)
{
	struct world world;
	struct disk_config config = config_for("x", "rbd/x");
	static const struct disk_order forward = { .role = DISK_FORWARD, .route = { 1, 7 } };
	struct lun_route route;
	int relay; /* nothing is sent */
	world_init(&world);
	world.host.relay = (struct relay *)&relay;
	ASSERT_EQ(disk_new(&world.host, &config, &world.disk), 0);
	ASSERT_EQ(lun_get_state(disk_lun(world.disk)), LUN_OPENING);
	disk_give_order(world.disk, &forward); /* the end of the opening comes by the reactor */
	ASSERT_EQ(lun_get_state(disk_lun(world.disk)), LUN_FORWARDED);
	lun_get_route(disk_lun(world.disk), &route);
	ASSERT_EQ(route.epoch, 7);
	wait_state(&world, LUN_FORWARDED);
	world_done(&world);
}

/* It counted as settled, since a change of its configuration had been applied before. */
TEST(logins_wait_no_longer_than_until_the_owner_is_known)
{
	struct world world;
	struct error err = { 0 };
	static const struct disk_order forward = { .role = DISK_FORWARD, .route = { 1, 7 } };
	int relay; /* nothing is sent */
	world_init(&world);
	world.host.relay = (struct relay *)&relay;
	ASSERT_EQ(image_create(world.host.store, "rbd", "known", MIB, &err), 0);
	struct disk_config config = config_for("known", "rbd/known");
	ASSERT_EQ(disk_new(&world.host, &config, &world.disk), 0);
	uint64_t deadline_ms = clock_monotonic_ms() + DEADLINE_MS;
	while (!disk_settled(world.disk) && clock_monotonic_ms() < deadline_ms) {
		ASSERT_EQ(disk_change(world.disk, &config), 0);
		(void)reactor_turn(world.host.manager, 50);
	}
	ASSERT_TRUE(disk_settled(world.disk));
	ASSERT_TRUE(disk_awaited(world.disk));
	int changes = world.changes;
	disk_give_order(world.disk, &forward);
	ASSERT_FALSE(disk_awaited(world.disk));
	ASSERT_EQ(world.changes, changes + 1);
	world_done(&world);
}

/* Else they would go to an owner that is gone, and nothing would end them. */
TEST(commands_do_not_go_to_the_former_owner_while_the_image_is_being_opened)
{
	struct world world;
	struct disk_config config = config_for("x", "rbd/x");
	static const struct disk_order forward = { .role = DISK_FORWARD, .route = { 1, 7 } };
	static const struct disk_order wait = { .role = DISK_WAIT };
	static const struct disk_order unavailable = { .role = DISK_UNAVAILABLE };
	int relay; /* nothing is sent */
	world_init(&world);
	world.host.relay = (struct relay *)&relay;
	ASSERT_EQ(disk_new(&world.host, &config, &world.disk), 0);
	disk_give_order(world.disk, &forward);
	disk_give_order(world.disk, &wait); /* its owner does not answer */
	ASSERT_EQ(lun_get_state(disk_lun(world.disk)), LUN_HELD);
	disk_give_order(world.disk, &forward);
	disk_give_order(world.disk, &serve); /* it was handed to this gateway */
	ASSERT_EQ(lun_get_state(disk_lun(world.disk)), LUN_HELD);
	disk_give_order(world.disk, &forward);
	disk_give_order(world.disk, &unavailable);
	ASSERT_EQ(lun_get_state(disk_lun(world.disk)), LUN_FAILED);
	/* An opening that has failed is tried again: the same while a problem is known. */
	disk_give_order(world.disk, &wait);
	wait_problem(&world);
	disk_give_order(world.disk, &forward);
	disk_give_order(world.disk, &serve);
	ASSERT_EQ(lun_get_state(disk_lun(world.disk)), LUN_HELD);
	world_done(&world);
}

/* A relay to an owner whose record is there, but not its lock. */
struct early {
	struct relay relay;
	struct scsi_task *task;
	unsigned begun;
};

static void early_begin(struct relay *relay, struct scsi_task *task, const struct lun_route *route)
{
	struct early *early = container_of(relay, struct early, relay);
	early->task = task;
	early->begun++;
}

static void early_nexus_ended(struct relay *relay, uint64_t nexus_serial)
{
}

static void release_task(struct scsi_task *task)
{
	task->done = NULL; /* seen */
	scsi_task_release(task);
}

/* Until it is on its way: the first ones hear unit attentions. */
static void send_read(struct world *world, struct early *early, struct nexus *nexus,
                      struct scsi_task *task)
{
	uint64_t deadline_ms = clock_monotonic_ms() + DEADLINE_MS;
	while (early->begun == 0 && clock_monotonic_ms() < deadline_ms) {
		*task = (struct scsi_task){ .nexus = nexus,
			                    .cdb = { 0x28, [8] = 1 },
			                    .cdb_len = 16,
			                    .wants_read = true,
			                    .expected_len = 512,
			                    .done = release_task };
		ASSERT_NE(scsi_task_begin(task), SCSI_BEGIN_NEEDS_DATA);
		while (early->begun == 0 && task->done && clock_monotonic_ms() < deadline_ms)
			(void)reactor_turn(world->host.manager, 5);
	}
	ASSERT_EQ(early->begun, 1);
}

static void set_flag(void *argument)
{
	*(bool *)argument = true;
}

TEST(what_came_too_early_for_its_owner_is_sent_again_when_the_owner_says_that_it_serves)
{
	static const struct relay_ops ops = { .begin = early_begin,
		                              .nexus_ended = early_nexus_ended };
	static const struct disk_order forward = { .role = DISK_FORWARD, .route = { 1, 7 } };
	struct early early = { .relay = { .ops = &ops } };
	struct disk_config config = config_for("x", "rbd/x");
	struct scsi_port port = { .target_name = "iqn.2003-01.com.redhat.iscsi-gw:igw", .tag = 1 };
	struct scsi_task task;
	struct world world;
	bool ended = false;
	world_init(&world);
	world.host.relay = &early.relay;
	ASSERT_EQ(disk_new(&world.host, &config, &world.disk), 0);
	disk_give_order(world.disk, &forward);
	ASSERT_TRUE(disk_forwards_anew(world.disk));
	struct lun_mapping mapping = { .lun = disk_lun(world.disk) };
	struct nexus_config nexus = { .initiator_name = "iqn.1994-05.com.redhat:rh7-client",
		                      .port = &port,
		                      .reactor = world.host.manager,
		                      .mappings = &mapping,
		                      .mapping_count = 1 };
	struct nexus *own;
	ASSERT_EQ(nexus_new(&nexus, &own), 0);
	send_read(&world, &early, own, &task);
	scsi_task_relayed(&task, RELAY_NOT_EXECUTED);
	disk_give_order(world.disk, &forward);
	ASSERT_EQ(early.begun, 1); /* not in a circle */
	disk_heard_owner(world.disk);
	disk_give_order(world.disk, &forward);
	uint64_t deadline_ms = clock_monotonic_ms() + DEADLINE_MS;
	while (early.begun < 2 && clock_monotonic_ms() < deadline_ms)
		(void)reactor_turn(world.host.manager, 50);
	ASSERT_EQ(early.begun, 2);

	task.status = SCSI_GOOD;
	scsi_task_relayed(&task, RELAY_ANSWERED);
	nexus_stop(own, set_flag, &ended);
	while (!ended && clock_monotonic_ms() < deadline_ms)
		(void)reactor_turn(world.host.manager, 50);
	ASSERT_TRUE(ended);
	nexus_free(own);
	world_done(&world);
}

TEST(the_owner_serves_and_gives_the_image_back_when_closed)
{
	struct world world;
	struct error err = { 0 };
	world_init(&world);
	ASSERT_EQ(image_create(world.host.store, "rbd", "plain", 16 * MIB, &err), 0);
	struct disk_config config = config_for("plain", "rbd/plain");
	ASSERT_EQ(disk_new(&world.host, &config, &world.disk), 0);
	disk_give_order(world.disk, &serve);
	ASSERT_FALSE(disk_settled(world.disk));
	wait_state(&world, LUN_READY);
	ASSERT_TRUE(disk_is_owner(world.disk));
	ASSERT_TRUE(world.changes > 0);
	world_done(&world);
	/* Nobody holds it any more: another one can. */
	world_init(&world);
	ASSERT_EQ(disk_new(&world.host, &config, &world.disk), 0);
	disk_give_order(world.disk, &serve);
	wait_role(&world, DISK_WAIT); /* it did not know the record */
	ASSERT_EQ(disk_record(world.disk)->state, OWNER_CLEAN);
	disk_give_order(world.disk, &serve);
	wait_state(&world, LUN_READY);
	ASSERT_EQ(disk_record(world.disk)->epoch, 2);
	world_done(&world);
}

TEST(a_missing_image_is_a_problem_with_a_name_and_is_served_when_it_comes)
{
	struct world world;
	struct error err = { 0 };
	world_init(&world);
	struct disk_config config = config_for("late", "rbd/late");
	ASSERT_EQ(disk_new(&world.host, &config, &world.disk), 0);
	disk_give_order(world.disk, &serve);
	wait_state(&world, LUN_FAILED);
	ASSERT_NOT_NULL(strstr(disk_problem(world.disk), "late"));
	ASSERT_EQ(image_create(world.host.store, "rbd", "late", MIB, &err), 0);
	wait_state(&world, LUN_READY);
	ASSERT_STR_EQ(disk_problem(world.disk), "");
	world_done(&world);
}

TEST(ownership_that_moves_away_and_back_counts_the_epoch_and_leaves_a_clean_record)
{
	struct world world;
	struct error err = { 0 };
	world_init(&world);
	ASSERT_EQ(image_create(world.host.store, "rbd", "moved", MIB, &err), 0);
	struct disk_config config = config_for("moved", "rbd/moved");
	ASSERT_EQ(disk_new(&world.host, &config, &world.disk), 0);
	for (unsigned i = 1; i <= 3; i++) {
		disk_give_order(world.disk, &serve);
		wait_state(&world, LUN_READY);
		ASSERT_EQ(disk_record(world.disk)->epoch, i);
		ASSERT_EQ(lun_get_epoch(disk_lun(world.disk)), i);
		ASSERT_TRUE(disk_record_is_own(world.disk));
		disk_give_order(world.disk, &give);
		wait_clean(&world);
		ASSERT_EQ(lun_get_state(disk_lun(world.disk)), LUN_HELD);
		ASSERT_FALSE(disk_is_owner(world.disk));
		ASSERT_STR_EQ(disk_record(world.disk)->next, "gw-2");
	}
	world_done(&world);
}

TEST(a_record_that_was_changed_by_another_meanwhile_is_not_taken)
{
	struct world world;
	struct error err = { 0 };
	struct owner_record record = { 0 };
	world_init(&world);
	ASSERT_EQ(image_create(world.host.store, "rbd", "raced", MIB, &err), 0);
	struct disk_config config = config_for("raced", "rbd/raced");
	ASSERT_EQ(disk_new(&world.host, &config, &world.disk), 0);
	ASSERT_EQ(owner_record_read(world.host.store, "rbd/raced", &record, &err), 0);
	const struct owner_claim claim = { "gw-2",  "0123456789abcdef",       "", "",
		                           "start", .epoch = record.epoch + 1 };
	ASSERT_EQ(owner_record_take(world.host.store, "rbd/raced", &record, &claim, &err), 0);
	owner_record_done(&record);
	disk_give_order(world.disk, &serve);
	wait_role(&world, DISK_WAIT);
	ASSERT_STR_EQ(disk_record(world.disk)->gateway, "gw-2");
	ASSERT_FALSE(disk_is_owner(world.disk));
	world_done(&world);
}

/* At a start the records come while the images are being opened. */
TEST(an_order_that_is_older_than_the_record_takes_nothing)
{
	struct world world;
	struct error err = { 0 };
	struct owner_record record = { 0 };
	world_init(&world);
	ASSERT_EQ(image_create(world.host.store, "rbd", "older", MIB, &err), 0);
	struct disk_config config = config_for("older", "rbd/older");
	ASSERT_EQ(disk_new(&world.host, &config, &world.disk), 0);
	const struct owner_claim claim = {
		"gw-2", "0123456789abcdef", "", "", "start", .epoch = 1
	};
	ASSERT_EQ(owner_record_take(world.host.store, "rbd/older", &record, &claim, &err), 0);
	disk_give_order(world.disk, &serve); /* nobody had it */
	ASSERT_TRUE(disk_is_moving(world.disk));
	ASSERT_TRUE(disk_saw_record(world.disk, &record));
	while (disk_is_moving(world.disk))
		(void)reactor_turn(world.host.manager, 50);
	ASSERT_STR_EQ(disk_record(world.disk)->gateway, "gw-2");
	ASSERT_FALSE(disk_is_owner(world.disk));
	disk_give_order(world.disk, &serve); /* now by this record: gw-2 is fenced */
	wait_state(&world, LUN_READY);
	ASSERT_EQ(disk_record(world.disk)->epoch, 2);
	owner_record_done(&record);
	world_done(&world);
}

TEST(commands_wait_then_hear_busy_then_that_it_takes_long)
{
	struct world world;
	struct error err = { 0 };
	world_init(&world);
	reactor_free(world.host.manager);
	stepped_ms = 1000;
	ASSERT_EQ(reactor_new("manager", stepped_clock, &world.host.manager), 0);
	ASSERT_EQ(image_create(world.host.store, "rbd", "waits", MIB, &err), 0);
	struct disk_config config = config_for("waits", "rbd/waits");
	ASSERT_EQ(disk_new(&world.host, &config, &world.disk), 0);
	disk_give_order(world.disk, &serve);
	wait_state(&world, LUN_READY);
	disk_give_order(world.disk, &give);
	wait_clean(&world);
	ASSERT_EQ(lun_get_state(disk_lun(world.disk)), LUN_HELD);
	stepped_ms += 1500;
	(void)reactor_turn(world.host.manager, 0);
	ASSERT_EQ(lun_get_state(disk_lun(world.disk)), LUN_BUSY);
	int changes = world.changes;
	stepped_ms += 5000;
	(void)reactor_turn(world.host.manager, 0);
	ASSERT_EQ(lun_get_state(disk_lun(world.disk)), LUN_TRANSITIONING);
	ASSERT_EQ(disk_state(world.disk), LUN_TRANSITIONING);
	ASSERT_EQ(world.changes, changes + 1); /* who tells the port groups looks again */
	world_done(&world);
}

TEST(wishes_that_come_faster_than_they_can_be_met_end_with_the_last_one)
{
	struct world world;
	struct error err = { 0 };
	world_init(&world);
	ASSERT_EQ(image_create(world.host.store, "rbd", "flap", MIB, &err), 0);
	struct disk_config config = config_for("flap", "rbd/flap");
	ASSERT_EQ(disk_new(&world.host, &config, &world.disk), 0);
	for (int i = 0; i < 50; i++) {
		disk_give_order(world.disk, i % 2 ? &serve : &give);
		if (i % 7 == 0)
			(void)reactor_turn(world.host.manager, 0);
	}
	wait_state(&world, LUN_READY);
	world_done(&world);
}

TEST(an_image_held_by_another_process_is_waited_for_without_being_settled)
{
	static const struct disk_order forward = { .role = DISK_FORWARD, .route = { 1, 7 } };
	struct world world;
	struct error err = { 0 };
	int relay; /* nothing is sent */
	world_init(&world);
	world.host.relay = (struct relay *)&relay;
	ASSERT_EQ(image_create(world.host.store, "rbd", "held", MIB, &err), 0);
	struct disk_config config = config_for("held", "rbd/held");
	AUTO_FREE char *path = image_path(world.host.store, "rbd", "held");
	/* A lock of another open file description: for the disk that is another process. */
	AUTO_CLOSE int fd = open(path, O_RDWR | O_CLOEXEC);
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	ASSERT_EQ(fcntl(fd, F_OFD_SETLK, &lock), 0);
	ASSERT_EQ(disk_new(&world.host, &config, &world.disk), 0);
	disk_give_order(world.disk, &serve);
	uint64_t deadline_ms = clock_monotonic_ms() + DEADLINE_MS;
	while (!*disk_problem(world.disk) && clock_monotonic_ms() < deadline_ms)
		(void)reactor_turn(world.host.manager, 50);
	ASSERT_EQ(lun_get_state(disk_lun(world.disk)), LUN_STANDBY);
	ASSERT_FALSE(disk_settled(world.disk));
	/* He is another gateway: it is served, and no trouble of ours any more. */
	disk_give_order(world.disk, &forward);
	wait_state(&world, LUN_FORWARDED);
	ASSERT_STR_EQ(disk_problem(world.disk), "");
	disk_give_order(world.disk, &serve);
	wait_problem(&world);
	close(fd);
	fd = -1;
	wait_state(&world, LUN_READY);
	world_done(&world);
}

/* Keeps the only thread of its queue until it is let go. */
struct blocker {
	struct job job;
	int pipe[2];
	bool ended;
};
static void block(struct job *job)
{
	char c;
	(void)!read(container_of(job, struct blocker, job)->pipe[0], &c, 1);
}
static void unblocked(struct job *job)
{
	container_of(job, struct blocker, job)->ended = true;
}

TEST(a_disk_that_hangs_while_it_is_opened_is_awaited_for_ten_seconds_only)
{
	struct world world;
	struct error err = { 0 };
	struct blocker blocker = { .job = { .work = block, .done = unblocked } };
	world_init(&world);
	reactor_free(world.host.manager);
	job_queues_free(world.host.jobs);
	stepped_ms = 1000;
	ASSERT_EQ(reactor_new("manager", stepped_clock, &world.host.manager), 0);
	ASSERT_EQ(job_queues_new(1, &world.host.jobs), 0);
	ASSERT_EQ(pipe(blocker.pipe), 0);
	blocker.job.reactor = world.host.manager;
	job_queue_submit(job_queues_get(world.host.jobs, "rbd"), &blocker.job);
	ASSERT_EQ(image_create(world.host.store, "rbd", "hung", MIB, &err), 0);

	struct disk_config config = config_for("hung", "rbd/hung");
	ASSERT_EQ(disk_new(&world.host, &config, &world.disk), 0);
	disk_give_order(world.disk, &serve);
	ASSERT_TRUE(disk_awaited(world.disk));
	stepped_ms += 9999;
	(void)reactor_turn(world.host.manager, 0);
	ASSERT_TRUE(disk_awaited(world.disk));
	int changes = world.changes;
	stepped_ms += 1;
	(void)reactor_turn(world.host.manager, 0);
	ASSERT_FALSE(disk_awaited(world.disk));
	ASSERT_EQ(world.changes, changes + 1);
	ASSERT_EQ(lun_get_state(disk_lun(world.disk)), LUN_OPENING);

	ASSERT_EQ(write(blocker.pipe[1], "x", 1), 1);
	wait_state(&world, LUN_READY);
	ASSERT_TRUE(blocker.ended);
	world_done(&world);
	close(blocker.pipe[0]);
	close(blocker.pipe[1]);
}

/* The storage may hang for this gateway alone: its initiators are served by the owner. */
TEST(an_owner_elsewhere_is_seen_and_forwarded_to_while_the_image_hangs)
{
	struct world world;
	struct error err = { 0 };
	struct lun_route route;
	int relay; /* nothing is sent */
	struct owner_record record = { .state = OWNER_ACTIVE, .gateway = "gw-2", .instance = "2" };
	struct disk_order forward = { .role = DISK_FORWARD, .route = { 1, 0 } };
	world_init(&world);
	world.host.relay = (struct relay *)&relay;
	job_queues_free(world.host.jobs);
	ASSERT_EQ(job_queues_new(1, &world.host.jobs), 0);
	ASSERT_EQ(image_create(world.host.store, "rbd", "stuck", MIB, &err), 0);
	struct disk_config config = config_for("stuck", "rbd/stuck");
	for (unsigned time = 0; time < 2; time++) {
		TEST_ROW("while %s", time ? "its size is read" : "it is opened");
		struct blocker blocker = { .job = { .work = block, .done = unblocked } };
		ASSERT_EQ(pipe(blocker.pipe), 0);
		blocker.job.reactor = world.host.manager;
		job_queue_submit(job_queues_get(world.host.jobs, "rbd"), &blocker.job);
		if (time == 0)
			ASSERT_EQ(disk_new(&world.host, &config, &world.disk), 0);
		else
			ASSERT_EQ(disk_change(world.disk, &config), 0);
		ASSERT_TRUE(disk_is_moving(world.disk));
		record.epoch = forward.route.epoch = 7 + time;
		ASSERT_TRUE(disk_saw_record(world.disk, &record));
		ASSERT_EQ(disk_record(world.disk)->epoch, record.epoch);
		disk_give_order(world.disk, &forward);
		ASSERT_EQ(lun_get_state(disk_lun(world.disk)), LUN_FORWARDED);
		lun_get_route(disk_lun(world.disk), &route);
		ASSERT_EQ(route.epoch, record.epoch);
		ASSERT_EQ(write(blocker.pipe[1], "x", 1), 1);
		while (disk_is_moving(world.disk) || !blocker.ended)
			(void)reactor_turn(world.host.manager, 50);
		ASSERT_EQ(lun_get_state(disk_lun(world.disk)), LUN_FORWARDED);
		close(blocker.pipe[0]);
		close(blocker.pipe[1]);
	}
	world_done(&world);
}

/* Nobody would ask about it: its commands do not reach the storage. */
TEST(a_disk_that_hangs_while_it_is_given_back_waits_for_the_storage)
{
	struct world world;
	struct error err = { 0 };
	struct tried tried = { 0 };
	struct blocker blocker = { .job = { .work = block, .done = unblocked } };
	world_init(&world);
	job_queues_free(world.host.jobs);
	ASSERT_EQ(job_queues_new(1, &world.host.jobs), 0);
	ASSERT_EQ(image_create(world.host.store, "rbd", "gives", MIB, &err), 0);
	struct disk_config config = config_for("gives", "rbd/gives");
	ASSERT_EQ(disk_new(&world.host, &config, &world.disk), 0);
	disk_give_order(world.disk, &serve);
	wait_state(&world, LUN_READY);
	ASSERT_EQ(disk_oldest(world.disk).since_ms, 0);
	ASSERT_EQ(pipe(blocker.pipe), 0);
	blocker.job.reactor = world.host.manager;
	job_queue_submit(job_queues_get(world.host.jobs, "rbd"), &blocker.job);
	disk_give_order(world.disk, &give);
	(void)reactor_turn(world.host.manager, 50); /* drained */
	ASSERT_TRUE(disk_oldest(world.disk).since_ms > 0);
	ASSERT_EQ(disk_try(world.disk, DISK_OWN_QUESTION, 0, 0, count_tried, &tried), 0);
	wait_tried(&world, &tried, 1);
	ASSERT_EQ(tried.result, 0);
	ASSERT_EQ(write(blocker.pipe[1], "x", 1), 1);
	wait_clean(&world);
	ASSERT_EQ(disk_oldest(world.disk).since_ms, 0);
	world_done(&world);
	close(blocker.pipe[0]);
	close(blocker.pipe[1]);
}

/* A session may keep the LUN for as long as an earlier command hangs: nobody looks after what it
 * sends by then. */
TEST(what_waits_for_a_disk_that_is_gone_is_told_so)
{
	static const struct {
		enum disk_role role;
		enum lun_state state;
	} rows[] = {
		{ DISK_FORWARD, LUN_FORWARDED },
		{ DISK_UNAVAILABLE, LUN_FAILED },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		TEST_ROW("role %d", rows[i].role);
		struct world world;
		int relay; /* nothing is sent */
		struct disk_order order = { .role = rows[i].role, .route = { 1, 7 } };
		struct disk_config config = config_for("none", "rbd/none");
		world_init(&world);
		world.host.relay = (struct relay *)&relay;
		ASSERT_EQ(disk_new(&world.host, &config, &world.disk), 0);
		wait_problem(&world); /* there is no such image */
		disk_give_order(world.disk, &order);
		struct lun *lun = lun_get(disk_lun(world.disk));
		ASSERT_EQ(lun_get_state(lun), rows[i].state);
		world_done(&world);
		ASSERT_EQ(lun_get_state(lun), LUN_STANDBY);
		lun_put(lun);
	}
}

TEST(a_place_is_read_by_whoever_has_the_image_open)
{
	struct world world;
	struct tried tried = { 0 }, of_peer = { 0 };
	struct error err = { 0 };
	world_init(&world);
	ASSERT_EQ(image_create(world.host.store, "rbd", "tried", 16 * MIB, &err), 0);
	struct disk_config config = config_for("tried", "rbd/tried");
	ASSERT_EQ(disk_new(&world.host, &config, &world.disk), 0);
	ASSERT_EQ(disk_try(world.disk, DISK_OWN_QUESTION, 0, 512, count_tried, &tried),
	          -ENOTCONN); /* being opened */
	disk_give_order(world.disk, &(struct disk_order){ .role = DISK_UNAVAILABLE });
	wait_state(&world, LUN_FAILED);
	/* Open, and not ours. */
	ASSERT_EQ(disk_try(world.disk, DISK_OWN_QUESTION, 512, 4096, count_tried, &tried), 0);
	ASSERT_EQ(tried.count, 0); /* never inside */
	ASSERT_EQ(disk_try(world.disk, DISK_OWN_QUESTION, 512, 4096, count_tried, &tried), -EBUSY);
	/* What has no answer for a peer is not in the way of the own question, nor the reverse. */
	ASSERT_EQ(disk_try(world.disk, DISK_PEER_QUESTION, 512, 4096, count_tried, &of_peer), 0);
	wait_tried(&world, &of_peer, 1);
	wait_tried(&world, &tried, 1);
	ASSERT_EQ(tried.result, 0);
	ASSERT_EQ(disk_try(world.disk, DISK_OWN_QUESTION, 16 * MIB, 512, count_tried, &tried), 0);
	wait_tried(&world, &tried, 2);
	ASSERT_EQ(tried.result, -ERANGE);
	ASSERT_EQ(disk_try(world.disk, DISK_OWN_QUESTION, 0, 0, count_tried, &tried),
	          0); /* what taking it needs */
	wait_tried(&world, &tried, 3);
	ASSERT_EQ(tried.result, 0);
	/* Ours. A long one is cut; and the image is not closed before it is answered. */
	disk_give_order(world.disk, &serve);
	wait_state(&world, LUN_READY);
	disk_look_for_oldest(world.disk);
	ASSERT_EQ(disk_oldest(world.disk).since_ms, 0);
	ASSERT_EQ(disk_try(world.disk, DISK_OWN_QUESTION, 0, 2 * DISK_TRY_BYTES_MAX, count_tried,
	                   &tried),
	          0);
	world_done(&world);
	ASSERT_EQ(tried.count, 4);
	ASSERT_EQ(tried.result, 0);
}

TEST(on_demand_it_is_open_and_nobodys_until_it_is_ordered)
{
	struct world world;
	struct error err = { 0 };
	struct lun_counters counters;
	world_init(&world);
	ASSERT_EQ(image_create(world.host.store, "rbd", "shared", MIB, &err), 0);
	struct disk_config config = config_for("shared", "rbd/shared");
	ASSERT_EQ(disk_new(&world.host, &config, &world.disk), 0);
	disk_give_order(world.disk, &offer);
	wait_state(&world, LUN_ON_DEMAND);
	ASSERT_EQ(disk_record(world.disk)->state, OWNER_NONE);
	ASSERT_FALSE(disk_is_demanded(world.disk));
	lun_get_counters(disk_lun(world.disk), &counters);
	ASSERT_EQ(counters.held, 0);
	disk_give_order(world.disk, &keep_off);
	ASSERT_EQ(lun_get_state(disk_lun(world.disk)), LUN_BUSY);
	disk_give_order(world.disk, &demand);
	wait_state(&world, LUN_READY);
	ASSERT_EQ(disk_record(world.disk)->epoch, 1);
	ASSERT_STR_EQ(disk_record(world.disk)->why, "demand");
	ASSERT_TRUE(disk_moves(world.disk)->at_ms[0] > 0);
	/* In maintenance it is given back, and its paths are not for use. */
	disk_give_order(world.disk, &stand_by);
	wait_state(&world, LUN_STANDBY);
	wait_clean(&world);
	ASSERT_STR_EQ(disk_record(world.disk)->next, "");
	disk_give_order(world.disk, &offer);
	wait_state(&world, LUN_ON_DEMAND);
	world_done(&world);
}

TEST(on_demand_what_another_process_holds_is_busy_and_not_taken_again_without_an_order)
{
	struct world world;
	struct error err = { 0 };
	world_init(&world);
	ASSERT_EQ(image_create(world.host.store, "rbd", "theirs", MIB, &err), 0);
	struct disk_config config = config_for("theirs", "rbd/theirs");
	AUTO_FREE char *path = image_path(world.host.store, "rbd", "theirs");
	AUTO_CLOSE int fd = open(path, O_RDWR | O_CLOEXEC);
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	ASSERT_EQ(fcntl(fd, F_OFD_SETLK, &lock), 0);
	ASSERT_EQ(disk_new(&world.host, &config, &world.disk), 0);
	disk_give_order(world.disk, &demand);
	wait_role(&world, DISK_OFFER);
	ASSERT_TRUE(*disk_problem(world.disk));
	ASSERT_TRUE(disk_moves(world.disk)->at_ms[0] > 0); /* a try counts, too */
	/* The record that was taken without the lock is given back. */
	wait_clean(&world);
	close(fd);
	fd = -1;
	for (int i = 0; i < 20; i++)
		(void)reactor_turn(world.host.manager, 20);
	ASSERT_FALSE(disk_is_owner(world.disk));
	disk_give_order(world.disk, &demand);
	wait_state(&world, LUN_READY);
	ASSERT_STR_EQ(disk_problem(world.disk), "");
	world_done(&world);
}

/* ---- a record that is left when the image is closed ---- */

/* As when its client was fenced, and no image can be opened since: the record is still ours. */
static void leave_record(struct world *world, struct owner_record *ret_record)
{
	struct owner_claim claim = { .gateway = "gw-1",
		                     .instance = registration_instance(world->host.registration),
		                     .client = "",
		                     .image = "",
		                     .why = "start" };
	ASSERT_EQ(owner_record_read(world->host.store, "rbd/x", ret_record, NULL), 0);
	ASSERT_EQ(owner_record_next_epoch(world->host.store, ret_record, &claim.epoch, NULL), 0);
	ASSERT_EQ(owner_record_take(world->host.store, "rbd/x", ret_record, &claim, NULL), 0);
}

static void world_with_left_record(struct world *world)
{
	struct owner_record record = { 0 };
	struct disk_config config = config_for("x", "rbd/x");
	world_init(world);
	leave_record(world, &record);
	ASSERT_EQ(disk_new(&world->host, &config, &world->disk), 0);
	ASSERT_TRUE(disk_saw_record(world->disk, &record));
	owner_record_done(&record);
	disk_give_order(world->disk, &serve);
	wait_problem(world);
	ASSERT_TRUE(disk_record_is_own(world->disk));
}

static enum owner_state stored_state(struct world *world)
{
	struct owner_record record = { 0 };
	ASSERT_EQ(owner_record_read(world->host.store, "rbd/x", &record, NULL), 0);
	owner_record_done(&record);
	return record.state;
}

static void close_disk(struct world *world)
{
	disk_close(world->disk, disk_closed, world);
	uint64_t deadline_ms = clock_monotonic_ms() + DEADLINE_MS;
	while (!world->closed && clock_monotonic_ms() < deadline_ms)
		(void)reactor_turn(world->host.manager, 50);
	ASSERT_TRUE(world->closed);
}

/* Another gateway may be able to. */
TEST(what_cannot_be_opened_here_is_given_back_all_the_same)
{
	struct world world;
	world_with_left_record(&world);
	disk_give_order(world.disk, &give);
	wait_clean(&world);
	ASSERT_STR_EQ(disk_record(world.disk)->next, "gw-2");
	ASSERT_EQ(world.moves, 1);
	world_done(&world);
}

/* Others may be able to, if it is not gone for all. */
TEST(since_when_a_disk_cannot_be_served_here_is_known)
{
	struct world world;
	struct disk_config config = config_for("wrong", "rbd/wrong");
	AUTO_FREE char *path = NULL;
	world_with_left_record(&world);
	ASSERT_EQ(disk_fails_since_ms(world.disk), 0); /* no image */
	close_disk(&world);
	ASSERT_TRUE(asprintf(&path, "%s/images/rbd/wrong", test_folder()) > 0);
	ASSERT_EQ(mkdir(path, 0700), 0);
	world.closed = false;
	ASSERT_EQ(disk_new(&world.host, &config, &world.disk), 0);
	disk_give_order(world.disk, &serve);
	ASSERT_EQ(disk_fails_since_ms(world.disk), 0);
	wait_problem(&world);
	uint64_t since_ms = disk_fails_since_ms(world.disk);
	ASSERT_TRUE(since_ms);
	(void)reactor_turn(world.host.manager, 300); /* and again */
	ASSERT_EQ(disk_fails_since_ms(world.disk), since_ms);
	disk_give_order(world.disk, &give);
	ASSERT_EQ(disk_fails_since_ms(world.disk), 0);
	world_done(&world);
}

/* Else all others forward to a gateway that has no such disk any more, for as long as it lives. */
TEST(a_disk_that_is_gone_leaves_no_record_of_this_gateway)
{
	struct world world;
	world_with_left_record(&world);
	close_disk(&world);
	ASSERT_EQ(stored_state(&world), OWNER_CLEAN);
	ASSERT_EQ(world.moves, 1);
	means_done(&world.host);
}

TEST(who_ends_leaves_what_is_not_given_back_to_those_who_see_its_end)
{
	struct world world;
	world_with_left_record(&world);
	world.host.ending = true;
	close_disk(&world);
	ASSERT_EQ(stored_state(&world), OWNER_ACTIVE);
	means_done(&world.host);
}

/* It was deleted and added again under its name: the record is the new disk's. */
TEST(a_disk_that_is_gone_does_not_give_back_what_its_successor_has_taken)
{
	struct world world;
	struct owner_record record = { 0 };
	world_with_left_record(&world);
	leave_record(&world, &record);
	owner_record_done(&record);
	close_disk(&world);
	ASSERT_EQ(stored_state(&world), OWNER_ACTIVE);
	ASSERT_EQ(world.moves, 0);
	means_done(&world.host);
}
