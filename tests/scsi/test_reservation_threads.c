/* Orders from two reactors in threads of their own, kept by a third thread, with writes, resets and
 * RESERVE(6) among them. What is checked does not depend on who runs when. */
#include "fixture.h"
#include "scsi/reservation_keeper.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROUNDS 4000
#define BLOCK  512

/* Keeps one text, in a thread of its own. */
struct slow_keeper {
	struct reservation_keeper keeper;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool ends;
	const char *wanted; /* NULL: nothing to do */
	bool failed;        /* the last save */
	void (*done)(void *argument, int result);
	void *argument;
	char *row;
	unsigned saves, overlaps;
};

static void *keeper_main(void *argument)
{
	struct slow_keeper *keeper = argument;
	(void)pthread_mutex_lock(&keeper->lock);
	while (!keeper->ends) {
		if (!keeper->done) {
			(void)pthread_cond_wait(&keeper->changed, &keeper->lock);
			continue;
		}
		int result = 0;
		if (keeper->wanted) {
			keeper->failed = ++keeper->saves % 7 == 0;
			result = keeper->failed ? -EIO : 0;
		}
		if (keeper->wanted && !keeper->failed) {
			free(keeper->row);
			keeper->row = strdup(keeper->wanted);
		}
		void (*done)(void *argument, int result) = keeper->done;
		void *of = keeper->argument;
		keeper->done = NULL;
		(void)pthread_mutex_unlock(&keeper->lock);
		done(of, result);
		(void)pthread_mutex_lock(&keeper->lock);
	}
	(void)pthread_mutex_unlock(&keeper->lock);
	return NULL;
}

static void keeper_ask(struct slow_keeper *keeper, const char *text,
                       void (*done)(void *argument, int result), void *argument)
{
	(void)pthread_mutex_lock(&keeper->lock);
	keeper->overlaps += keeper->done != NULL;
	keeper->wanted = text;
	keeper->done = done;
	keeper->argument = argument;
	(void)pthread_cond_signal(&keeper->changed);
	(void)pthread_mutex_unlock(&keeper->lock);
}

static void keeper_save(struct reservation_keeper *base, struct lun *lun, const char *text,
                        void (*saved)(void *argument, int result), void *argument)
{
	keeper_ask(container_of(base, struct slow_keeper, keeper), text, saved, argument);
}

static void keeper_confirm(struct reservation_keeper *base, struct lun *lun,
                           void (*confirmed)(void *argument, int result), void *argument)
{
	keeper_ask(container_of(base, struct slow_keeper, keeper), NULL, confirmed, argument);
}

/* One initiator: a random command after the other. */
struct actor {
	struct reactor *reactor;
	struct nexus *nexus;
	struct lun *lun;
	struct scsi_port port;
	struct message start;
	struct scsi_task task;
	struct task_management reset;
	const char *name;
	uint64_t seed, key;
	unsigned rounds, good, conflicts, failed, others;
	atomic_bool ended;
};

static unsigned draw(struct actor *actor, unsigned below)
{
	actor->seed = actor->seed * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(actor->seed >> 33) % below;
}

static void actor_next(struct actor *actor);

static void reset_done(struct task_management *request)
{
	assert_int_equal(request->response, TMF_COMPLETE);
	actor_next(container_of(request, struct actor, reset));
}

static void task_done(struct scsi_task *task)
{
	struct actor *actor = container_of(task, struct actor, task);
	if (task->status == SCSI_GOOD)
		actor->good++;
	else if (task->status == SCSI_RESERVATION_CONFLICT)
		actor->conflicts++;
	else if (task->status == SCSI_CHECK_CONDITION && (task->sense[2] & 15) == 4)
		actor->failed++;
	else
		actor->others++; /* aborted, unit attentions */
	scsi_task_release(task);
	actor_next(actor);
}

static void nexus_ended(void *argument)
{
	struct actor *actor = argument;
	nexus_free(actor->nexus);
	actor->nexus = NULL;
	if (actor->rounds == ROUNDS)
		actor->ended = true;
	else
		reactor_post(actor->reactor, &actor->start);
}

static void fill_order(struct actor *actor)
{
	static const uint8_t types[] = { 1, 3, 5, 6, 7, 8 };
	struct scsi_task *task = &actor->task;
	task->cdb[0] = 0x5f;
	task->cdb[1] = (uint8_t)draw(actor, 7);
	task->cdb[2] = types[draw(actor, 6)];
	task->cdb[8] = 24;
	task->wants_write = true;
	task->expected_len = 24;
}

static void fill(struct actor *actor)
{
	struct scsi_task *task = &actor->task;
	memset(task, 0, sizeof *task);
	task->nexus = actor->nexus;
	task->cdb_len = 16;
	task->done = task_done;
	switch (draw(actor, 8)) {
	case 0:
	case 1:
	case 2:
	case 3:
		fill_order(actor);
		break;
	case 4:
		task->cdb[0] = 0x5e;
		task->cdb[1] = (uint8_t)draw(actor, 4);
		task->cdb[7] = 1;
		task->wants_read = true;
		task->expected_len = 256;
		break;
	case 5:
		task->cdb[0] = 0x2a;
		task->cdb[8] = 1;
		task->wants_write = true;
		task->expected_len = BLOCK;
		break;
	case 6:
		task->cdb[0] = draw(actor, 2) ? 0x16 : 0x17;
		break;
	default: /* TEST UNIT READY takes unit attentions */
		break;
	}
}

static void actor_next(struct actor *actor)
{
	struct scsi_task *task = &actor->task;
	if (++actor->rounds == ROUNDS || draw(actor, 50) == 0) {
		nexus_stop(actor->nexus, nexus_ended, actor);
		return;
	}
	if (draw(actor, 50) == 0) {
		actor->reset =
		        (struct task_management){ .function = TMF_LUN_RESET, .done = reset_done };
		nexus_manage(actor->nexus, &actor->reset);
		return;
	}
	fill(actor);
	if (scsi_task_begin(task) != SCSI_BEGIN_NEEDS_DATA)
		return;
	task->data = buffer_get(reactor_buffers(actor->reactor), task->data_out_len);
	assert_non_null(task->data);
	memset(task->data->data, 0, task->data_out_len);
	if (task->cdb[0] == 0x5f) {
		put_be64(task->data->data, draw(actor, 4) ? actor->key : 0);
		put_be64(task->data->data + 8, draw(actor, 3));
	}
	scsi_task_execute(task);
}

static void actor_start(struct message *message)
{
	struct actor *actor = container_of(message, struct actor, start);
	struct lun_mapping mapping = { .number = 0, .lun = actor->lun };
	struct nexus_config config = { .initiator_name = actor->name,
		                       .port = &actor->port,
		                       .reactor = actor->reactor,
		                       .mappings = &mapping,
		                       .mapping_count = 1 };
	assert_int_equal(nexus_new(&config, &actor->nexus), 0);
	actor_next(actor);
}

static void actors_run(struct lun *lun, struct actor *actors)
{
	for (unsigned i = 0; i < 2; i++) {
		struct actor *actor = &actors[i];
		actor->lun = lun;
		actor->name = i ? "iqn.a" : "iqn.b";
		actor->seed = i + 1;
		actor->key = i + 1;
		(void)snprintf(actor->port.target_name, sizeof actor->port.target_name, "iqn.t");
		actor->port.tag = (uint16_t)(i + 1);
		ASSERT_EQ(reactor_new("actor", NULL, &actor->reactor), 0);
		actor->start.run = actor_start;
		reactor_post(actor->reactor, &actor->start);
	}
	for (unsigned i = 0; i < 2; i++)
		ASSERT_EQ(reactor_start(actors[i].reactor, -1), 0);
	uint64_t deadline_ms = clock_monotonic_ms() + 60000;
	while (!(actors[0].ended && actors[1].ended) && clock_monotonic_ms() < deadline_ms)
		(void)sched_yield();
	ASSERT_TRUE(actors[0].ended && actors[1].ended);
	for (unsigned i = 0; i < 2; i++) {
		reactor_stop(actors[i].reactor);
		reactor_free(actors[i].reactor);
	}
}

static void set_quiesced(void *argument)
{
	*(atomic_bool *)argument = true;
}

TEST(orders_from_two_threads_leave_what_is_kept_and_what_is_known_the_same)
{
	struct slow_keeper keeper = { .keeper = { .save = keeper_save, .confirm = keeper_confirm },
		                      .lock = PTHREAD_MUTEX_INITIALIZER,
		                      .changed = PTHREAD_COND_INITIALIZER };
	struct lun_config lun_config = { .name = "memory",
		                         .wwn = "ee982d1a-a657-4cf2-996c-a3d03a6f25a9",
		                         .vendor_id = "memory",
		                         .block_size = BLOCK,
		                         .max_sectors = 1024,
		                         .reservation_keeper = &keeper.keeper };
	struct backend_config backend_config = { .kind = "memory",
		                                 .name = "memory",
		                                 .size_bytes = 1u << 20 };
	struct backend *backend;
	struct lun *lun;
	struct actor actors[2];
	memset(actors, 0, sizeof actors);
	ASSERT_EQ(pthread_create(&keeper.thread, NULL, keeper_main, &keeper), 0);
	ASSERT_EQ(backend_open(&backend_config, &backend, NULL), 0);
	ASSERT_EQ(lun_new(&lun_config, &lun), 0);
	lun_serve(lun, backend);
	actors_run(lun, actors);

	struct lun_counters counters;
	do { /* the last save of what no command waits for */
		lun_get_counters(lun, &counters);
		(void)sched_yield();
	} while (counters.in_flight);
	atomic_bool quiesced = false;
	lun_quiesce(lun, LUN_FAILED, set_quiesced, &quiesced);
	ASSERT_TRUE(quiesced);
	for (unsigned i = 0; i < 2; i++)
		print_message("# %u good, %u conflicts, %u not saved, %u others\n", actors[i].good,
		              actors[i].conflicts, actors[i].failed, actors[i].others);
	(void)pthread_mutex_lock(&keeper.lock);
	keeper.ends = true;
	(void)pthread_cond_signal(&keeper.changed);
	(void)pthread_mutex_unlock(&keeper.lock);
	(void)pthread_join(keeper.thread, NULL);
	ASSERT_EQ(keeper.overlaps, 0);
	ASSERT_TRUE(keeper.saves > 100);

	struct error err;
	AUTO_FREE char *known = lun_format_reservations(lun);
	if (!keeper.failed)
		ASSERT_STR_EQ(keeper.row, known);
	ASSERT_EQ(lun_load_reservations(lun, keeper.row, RESERVATION_LOAD_TAKEN_OVER, &err), 0);
	free(keeper.row);
	lun_put(lun);
	backend_free(backend);
}
