/* Real threads: commands on two reactors of one gateway while connections break and a LUN moves.
 */
#include "world.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS  8
#define ROUNDS 128 /* of 64 blocks each fill the disk */
#define DEPTH  (WORLD_REACTORS * SLOTS)

static struct world *world;

/* One command at a time, again and again, on its reactor. */
struct runner {
	struct command command;
	struct message message;
	struct nexus *nexus;
	uint32_t lba;
	unsigned round;
	bool reads, failed;
	atomic_bool over;
};

static struct runner runners[DEPTH];

static void run_next(struct message *message);

static void runner_done(struct scsi_task *task)
{
	struct runner *runner = container_of(task, struct runner, command.task);
	runner->failed |= task->status != SCSI_GOOD; /* only the test's own thread may assert */
	scsi_task_release(task);
	if (++runner->round == ROUNDS) {
		atomic_store(&runner->over, true);
		return;
	}
	runner->message.run = run_next;
	reactor_defer(nexus_reactor(runner->nexus), &runner->message);
}

static void run_next(struct message *message)
{
	struct runner *runner = container_of(message, struct runner, message);
	static _Thread_local uint8_t data[64 * WORLD_BLOCK];
	struct scsi_task *task = &runner->command.task;
	uint32_t blocks = 1 + runner->round % 64;

	memset(task, 0, sizeof *task);
	task->nexus = runner->nexus;
	task->cdb[0] = runner->reads ? 0x88 : 0x8a;
	put_be64(task->cdb + 2, runner->lba + 64 * runner->round);
	put_be32(task->cdb + 10, blocks);
	task->cdb_len = 16;
	task->lun[1] = 3;
	task->attribute = SCSI_SIMPLE;
	task->wants_read = runner->reads;
	task->wants_write = !runner->reads;
	task->expected_len = blocks * WORLD_BLOCK;
	task->done = runner_done;
	if (scsi_task_begin(task) != SCSI_BEGIN_NEEDS_DATA)
		return;
	task->data = buffer_get(reactor_buffers(nexus_reactor(runner->nexus)), task->data_out_len);
	memset(data, (int)runner->round, sizeof data);
	memcpy(task->data->data, data, task->data_out_len);
	scsi_task_execute(task);
}

static void start_threads(void)
{
	for (unsigned i = 0; i < world->count; i++) {
		for (unsigned k = 0; k < WORLD_REACTORS; k++)
			assert_int_equal(reactor_start(world->gateways[i].reactors[k], -1), 0);
	}
	world->threaded = true;
}

static void stop_threads(void)
{
	for (unsigned i = 0; i < world->count; i++) {
		for (unsigned k = 0; k < WORLD_REACTORS; k++)
			reactor_stop(world->gateways[i].reactors[k]);
	}
	world->threaded = false;
}

static unsigned running(void)
{
	unsigned count = 0;
	for (unsigned i = 0; i < DEPTH; i++)
		count += !atomic_load(&runners[i].over);
	return count;
}

TEST(threads_and_cuts_neither_lose_nor_repeat_a_write)
{
	world_real_time = true;
	world_age_max_ms = 600000; /* threads wait for each other as long as the machine likes */
	world = world_new(2);
	struct nexus *nexuses[] = { world_nexus(world, 0, 0, 1), world_nexus(world, 0, 1, 2) };
	struct gateway *owner = &world->gateways[1];
	start_threads();
	for (unsigned i = 0; i < DEPTH; i++) {
		runners[i].nexus = nexuses[i % WORLD_REACTORS];
		runners[i].lba = i * 64 * (WORLD_BLOCKS / 64 / DEPTH);
		runners[i].reads = i % 4 == 3;
		runners[i].message.run = run_next;
		reactor_post(nexus_reactor(runners[i].nexus), &runners[i].message);
	}
	uint64_t until = clock_monotonic_ms() + 240000; /* 15 s with sanitizers, at rest */
	srand(5);
	while (running() && clock_monotonic_ms() < until) {
		world_turn(world);
		sched_yield();
		if (!owner->cutter.armed[0] && !owner->cutter.armed[1] && owner->cutter.cuts < 20)
			cutter_arm(&owner->cutter, rand() & 1, (size_t)(1 + rand() % 600000));
	}
	assert_int_equal(running(), 0);
	stop_threads();
	print_message("# %u cuts\n", owner->cutter.cuts);
	owner->cutter.armed[0] = owner->cutter.armed[1] = false;
	for (unsigned i = 0; i < DEPTH; i++) {
		assert_false(runners[i].failed);
		for (unsigned round = 0; !runners[i].reads && round < ROUNDS; round++) {
			uint32_t lba = runners[i].lba + 64 * round;
			assert_int_equal(owner->disk.writes[lba], 1);
			assert_int_equal(owner->disk.memory[(size_t)lba * WORLD_BLOCK],
			                 round & 0xff);
		}
	}
	world_nexus_end(world, nexuses[0]);
	world_nexus_end(world, nexuses[1]);
	world_free(world);
	world_real_time = false;
}
