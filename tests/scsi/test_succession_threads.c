/* Initiators that log in again and again, each time at another thread, while their commands are at
 * a disk that answers in any order: at the disk are commands of one session of each only, and none
 * of an older one comes after (H9). */
#include "fixture.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define REACTORS  3
#define CLIENTS   6
#define SESSIONS  300
#define COMMANDS  4 /* the first takes the unit attention */
#define BLOCK     512
#define ITEMS_MAX (CLIENTS * COMMANDS * REACTORS)

struct world;

struct session {
	struct client *client;
	unsigned number;
	struct reactor *reactor;
	struct nexus *nexus;
	struct message begin;
	struct entry {
		struct scsi_task task;
		struct session *session;
	} entries[COMMANDS];
	bool stays; /* until one of its commands has been answered by the disk */
	bool stopped;
};

struct client {
	struct world *world;
	unsigned number;
	struct session sessions[SESSIONS];
	/* world->lock */
	unsigned current, in_flight, served; /* the session whose commands are at the disk */
	unsigned seed;                       /* of the sessions, one after the other */
};

struct world {
	struct backend backend;
	struct reactor *reactors[REACTORS];
	struct lun *lun;
	struct scsi_port port;
	struct client clients[CLIENTS];
	atomic_uint ended;
	unsigned seed;
	pthread_mutex_t lock;
	struct io *items[ITEMS_MAX]; /* at the disk */
	unsigned item_count;
};

static unsigned chance(unsigned *seed, unsigned n)
{
	*seed = *seed * 1103515245u + 12345u;
	return (*seed >> 16) % n;
}

/* ---- the disk: block N is of session N % SESSIONS ---- */

static struct client *client_at(struct world *world, const struct io *io, unsigned *ret_session)
{
	uint64_t block = io->offset / BLOCK;
	*ret_session = (unsigned)(block % SESSIONS);
	return &world->clients[block / SESSIONS];
}

static void world_submit(struct backend *backend, struct io *io)
{
	struct world *world = container_of(backend, struct world, backend);
	unsigned session;
	struct client *client = client_at(world, io, &session);
	(void)pthread_mutex_lock(&world->lock);
	assert_true(world->item_count < ITEMS_MAX);
	assert_true(session >= client->current);
	assert_true(session == client->current || client->in_flight == 0);
	client->served += session != client->current;
	client->current = session;
	client->in_flight++;
	world->items[world->item_count++] = io;
	(void)pthread_mutex_unlock(&world->lock);
}

/* One of those that are there. */
static void answer_one(struct world *world)
{
	unsigned session;
	struct io *io = NULL;
	(void)pthread_mutex_lock(&world->lock);
	if (world->item_count) {
		unsigned i = chance(&world->seed, world->item_count);
		io = world->items[i];
		world->items[i] = world->items[--world->item_count];
		client_at(world, io, &session)->in_flight--;
	}
	(void)pthread_mutex_unlock(&world->lock);
	if (io)
		io_complete(io, 0);
}

static void world_info(const struct backend *backend, struct backend_info *ret_info)
{
	*ret_info = (struct backend_info){ .size_bytes = CLIENTS * SESSIONS * BLOCK };
}

static const struct backend_ops backend_ops = {
	.name = "world",
	.submit = { world_submit, world_submit, world_submit, world_submit, world_submit },
	.get_info = world_info,
};

/* ---- sessions ---- */

static void session_ended(void *argument)
{
	struct session *session = argument;
	nexus_free(session->nexus);
	atomic_fetch_add(&session->client->world->ended, 1);
}

static void session_stop(struct session *session)
{
	if (session->stopped)
		return;
	session->stopped = true;
	nexus_stop(session->nexus, session_ended, session);
	if (session->number + 1 < SESSIONS) {
		struct session *next = session + 1;
		reactor_post(next->reactor, &next->begin);
	}
}

static void task_done(struct scsi_task *task)
{
	struct entry *entry = container_of(task, struct entry, task);
	struct session *session = entry->session;
	bool first = entry == session->entries;
	assert_true(task->aborted || first || task->status == SCSI_GOOD ||
	            task->status == SCSI_BUSY);
	scsi_task_release(task);
	if (!first)
		session_stop(session);
}

static void start(struct session *session, struct entry *entry, bool writes)
{
	struct scsi_task *task = &entry->task;
	entry->session = session;
	task->nexus = session->nexus;
	task->cdb[0] = writes ? 0x2a : 0x28;
	put_be32(task->cdb + 2, session->client->number * SESSIONS + session->number);
	task->cdb[8] = 1;
	task->cdb_len = 16;
	task->attribute = SCSI_SIMPLE;
	task->wants_write = writes;
	task->wants_read = !writes;
	task->expected_len = BLOCK;
	task->done = task_done;
	if (scsi_task_begin(task) != SCSI_BEGIN_NEEDS_DATA)
		return;
	task->data = buffer_get(reactor_buffers(session->reactor), BLOCK);
	assert_non_null(task->data);
	memset(task->data->data, 0, BLOCK);
	scsi_task_execute(task);
}

static void session_begin(struct message *message)
{
	struct session *session = container_of(message, struct session, begin);
	struct client *client = session->client;
	char name[32];
	(void)snprintf(name, sizeof name, "iqn.%u", client->number);
	struct lun_mapping mapping = { .lun = client->world->lun };
	struct nexus_config config = { .initiator_name = name,
		                       .port = &client->world->port,
		                       .reactor = session->reactor,
		                       .mappings = &mapping,
		                       .mapping_count = 1 };
	assert_int_equal(nexus_new(&config, &session->nexus), 0);
	session->stays = chance(&client->seed, 3) == 0 || session->number + 1 == SESSIONS;
	for (unsigned i = 0; i < COMMANDS; i++)
		start(session, &session->entries[i], chance(&client->seed, 2));
	if (!session->stays)
		session_stop(session);
}

static void world_init(struct world *world)
{
	struct lun_config config = {
		.name = "world", .wwn = "1", .vendor_id = "", .block_size = BLOCK
	};
	(void)pthread_mutex_init(&world->lock, NULL);
	world->seed = 4711;
	world->backend.ops = &backend_ops;
	world->port.tag = 1;
	(void)snprintf(world->port.target_name, sizeof world->port.target_name, "iqn.t");
	ASSERT_EQ(lun_new(&config, &world->lun), 0);
	lun_serve(world->lun, &world->backend);
	for (unsigned i = 0; i < REACTORS; i++) {
		ASSERT_EQ(reactor_new("session", NULL, &world->reactors[i]), 0);
		ASSERT_EQ(reactor_start(world->reactors[i], -1), 0);
	}
	for (unsigned i = 0; i < CLIENTS; i++) {
		struct client *client = &world->clients[i];
		client->world = world;
		client->number = client->seed = i;
		for (unsigned j = 0; j < SESSIONS; j++)
			client->sessions[j] = (struct session){
				.client = client,
				.number = j,
				.reactor = world->reactors[(i + j) % REACTORS],
				.begin = { .run = session_begin },
			};
		reactor_post(client->sessions[0].reactor, &client->sessions[0].begin);
	}
}

TEST(no_command_of_a_session_overtakes_those_of_the_one_before)
{
	static struct world world;
	bool quiesced = false;
	unsigned served = 0;
	world_init(&world);
	uint64_t deadline_ms = clock_monotonic_ms() + 60000;
	while (atomic_load(&world.ended) < CLIENTS * SESSIONS) {
		if (chance(&world.seed, 4) == 0)
			answer_one(&world);
		(void)sched_yield();
		ASSERT_TRUE(clock_monotonic_ms() < deadline_ms);
	}
	for (unsigned i = 0; i < REACTORS; i++) {
		reactor_stop(world.reactors[i]);
		reactor_free(world.reactors[i]);
	}
	for (unsigned i = 0; i < CLIENTS; i++)
		served += world.clients[i].served;
	print_message("# %u of %u sessions came to the disk\n", served, CLIENTS * SESSIONS);
	ASSERT_TRUE(served > CLIENTS);
	lun_quiesce(world.lun, LUN_FAILED, set_flag, &quiesced);
	ASSERT_TRUE(quiesced);
	lun_put(world.lun);
	(void)pthread_mutex_destroy(&world.lock);
}
