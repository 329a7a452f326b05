/* Ownership that moves all the time under load from several threads: here, at a peer, fenced,
 * handed over. The disk, and the peer that owns it in between, are played by the test's own thread.
 * Checked: each command is answered exactly once; no request reaches the backend while the LUN is
 * not served; each client's block is a register: what was acknowledged is read, what was refused
 * never lands, and what was in doubt is decided by the first read. */
#include "fixture.h"
#include "scsi/lun_private.h"
#include "scsi/relay.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REACTORS 3
#define CLIENTS  24
#define ROUNDS   1500
#define BLOCK    512
#define DOUBTS   256
#define VALUES   100000

struct world;

struct client {
	struct world *world;
	unsigned number;
	struct reactor *reactor;
	struct nexus *nexus;
	bool proxy;
	unsigned seed;

	struct scsi_task task;
	struct task_management tmf;
	bool outstanding, managing;
	unsigned rounds, refused, doubtful;

	/* The register. */
	bool writes;
	uint64_t next, value;
	uint64_t doubts[DOUBTS];
	unsigned doubt_count;

	/* At the peer. */
	atomic_bool cancelled;
	enum relay_outcome outcome;
	uint64_t answer;
	struct message begin, back, again;
	struct timer retry;
	atomic_bool ended;
};

/* What the test's thread has to do: a request of the backend, or what came to the relay. */
struct item {
	struct item *next;
	struct io *io;
	struct client *client;
	struct relay_request *request;
	uint64_t epoch;
};

struct world {
	struct relay relay;
	struct backend backend;
	struct reactor *reactors[REACTORS];
	struct lun *lun;
	struct scsi_port port;
	struct client clients[CLIENTS];
	uint64_t blocks[CLIENTS];              /* the medium: the test's thread only */
	atomic_uchar written[CLIENTS][VALUES]; /* how often each value was */
	unsigned seed;
	uint64_t epoch;       /* of the last ownership */
	bool lost;            /* the backend is fenced */
	bool peer_serves;     /* in `epoch` */
	atomic_bool served;   /* the backend may be used */
	atomic_bool quiesced; /* of the last lun_quiesce */

	pthread_mutex_t lock;
	struct item *items; /* newest first */
};

static unsigned chance(unsigned *seed, unsigned n)
{
	*seed = *seed * 1103515245u + 12345u;
	return (*seed >> 16) % n;
}

static void push(struct world *world, struct item item)
{
	struct item *copy = malloc(sizeof *copy);
	assert_non_null(copy);
	*copy = item;
	(void)pthread_mutex_lock(&world->lock);
	copy->next = world->items;
	world->items = copy;
	(void)pthread_mutex_unlock(&world->lock);
}

static struct item *take_all(struct world *world)
{
	(void)pthread_mutex_lock(&world->lock);
	struct item *items = world->items;
	world->items = NULL;
	(void)pthread_mutex_unlock(&world->lock);
	return items;
}

/* ---- the backend ---- */

static void world_submit(struct backend *backend, struct io *io)
{
	struct world *world = container_of(backend, struct world, backend);
	assert_true(world->served);
	push(world, (struct item){ .io = io });
}

static void world_info(const struct backend *backend, struct backend_info *ret_info)
{
	*ret_info = (struct backend_info){ .size_bytes = CLIENTS * BLOCK };
}

static const struct backend_ops backend_ops = {
	.name = "world",
	.submit = { world_submit, world_submit, world_submit, world_submit, world_submit },
	.get_info = world_info,
};

static void medium_write(struct world *world, unsigned number, uint64_t value)
{
	assert_true(value < VALUES);
	world->blocks[number] = value;
	/* Never twice: others may have written in between. */
	assert_int_equal(atomic_fetch_add(&world->written[number][value], 1), 0);
}

static void serve_io(struct world *world, struct io *io)
{
	unsigned number = (unsigned)(io->offset / BLOCK);
	if (io->op == IO_WRITE && !(world->lost && chance(&world->seed, 2)))
		medium_write(world, number, get_be64(io->iov[0].iov_base));
	if (io->op == IO_READ)
		put_be64(io->iov[0].iov_base, world->blocks[number]);
	io_complete(io, world->lost ? -ESHUTDOWN : 0);
}

/* ---- the peer ---- */

static struct client *client_of(struct scsi_task *task)
{
	return container_of(task, struct client, task);
}

static void relay_begin(struct relay *relay, struct scsi_task *task, const struct lun_route *route)
{
	struct world *world = container_of(relay, struct world, relay);
	client_of(task)->cancelled = false;
	push(world, (struct item){ .client = client_of(task), .epoch = route->epoch });
}

static void relay_cancel(struct relay *relay, struct scsi_task *task)
{
	client_of(task)->cancelled = true;
}

static void relay_manage(struct relay *relay, struct relay_request *request,
                         const struct lun_route *route)
{
	struct world *world = container_of(relay, struct world, relay);
	push(world, (struct item){ .request = request, .epoch = route->epoch });
}

static void relay_nexus_ended(struct relay *relay, uint64_t nexus_serial)
{
}

static void relay_row_ended(struct relay *relay, uint64_t nexus_serial, uint16_t number,
                            const struct lun *lun)
{
}

static const struct relay_ops relay_ops = { .begin = relay_begin,
	                                    .cancel = relay_cancel,
	                                    .manage = relay_manage,
	                                    .nexus_ended = relay_nexus_ended,
	                                    .row_ended = relay_row_ended };

/* On the client's reactor. */
static void give_back(struct message *message)
{
	struct client *client = container_of(message, struct client, back);
	struct scsi_task *task = &client->task;
	if (client->outcome == RELAY_ANSWERED) {
		task->status = SCSI_GOOD;
		if (task->wants_read) {
			task->data = buffer_get(reactor_buffers(client->reactor), BLOCK);
			assert_non_null(task->data);
			put_be64(task->data->data, client->answer);
			task->data_in_len = BLOCK;
		}
	}
	scsi_task_relayed(task, client->outcome);
}

static void peer_serves(struct world *world, struct client *client, uint64_t epoch, bool fenced)
{
	bool executes = world->peer_serves && epoch == world->epoch && !client->cancelled;
	if (fenced)
		client->outcome = RELAY_UNKNOWN;
	else if (executes)
		client->outcome = RELAY_ANSWERED;
	else
		client->outcome = client->cancelled ? RELAY_ABORTED : RELAY_NOT_EXECUTED;
	if (fenced && chance(&world->seed, 2))
		executes = false;
	if (executes && client->task.wants_write)
		medium_write(world, client->number, get_be64(client->task.data->data));
	client->answer = world->blocks[client->number];
	reactor_post(client->reactor, &client->back);
}

struct managed {
	struct message message;
	struct relay_request *request;
};

static void managed_back(struct message *message)
{
	struct managed *managed = container_of(message, struct managed, message);
	struct relay_request *request = managed->request;
	free(managed);
	request->done(request);
}

static void peer_manages(struct world *world, struct relay_request *request, uint64_t epoch,
                         bool fenced)
{
	struct managed *managed = calloc(1, sizeof *managed);
	assert_non_null(managed);
	bool serves = world->peer_serves && epoch == world->epoch;
	request->outcome = fenced ? RELAY_UNKNOWN : serves ? RELAY_ANSWERED : RELAY_NOT_EXECUTED;
	request->response = TMF_COMPLETE;
	managed->request = request;
	managed->message.run = managed_back;
	reactor_post(nexus_reactor(request->nexus), &managed->message);
}

/* Does what has come; returns how much. `fenced`: the peer is, with what it has. */
static unsigned work(struct world *world, bool fenced)
{
	unsigned count = 0;
	struct item *item = take_all(world);
	while (item) {
		struct item *next = item->next;
		if (item->io)
			serve_io(world, item->io);
		else if (item->client)
			peer_serves(world, item->client, item->epoch, fenced);
		else
			peer_manages(world, item->request, item->epoch, fenced);
		free(item);
		item = next;
		count++;
	}
	return count;
}

/* ---- clients ---- */

static void client_next(struct client *client);

static void client_ended(void *argument)
{
	struct client *client = argument;
	nexus_free(client->nexus);
	client->ended = true;
}

static void doubt(struct client *client)
{
	client->doubtful++;
	assert_true(client->doubt_count < DOUBTS);
	client->doubts[client->doubt_count++] = client->next;
}

static void decide(struct client *client, uint64_t value)
{
	bool known = value == client->value;
	for (unsigned i = 0; i < client->doubt_count; i++)
		known = known || value == client->doubts[i];
	if (!known)
		print_message("# client %u read %llu, should be %llu\n", client->number,
		              (unsigned long long)value, (unsigned long long)client->value);
	assert_true(known);
	client->value = value;
	client->doubt_count = 0;
}

/* Not executed, for certain: not this status. */
static bool says_not_executed(const struct scsi_task *task)
{
	if (task->not_executed || task->status == SCSI_BUSY)
		return true;
	return task->status == SCSI_CHECK_CONDITION && (task->sense[2] & 15) != 0x0b;
}

/* False: it was refused. */
static bool check_answer(struct client *client)
{
	const struct scsi_task *task = &client->task;
	if (!task->aborted && task->status == SCSI_GOOD && !task->not_executed) {
		if (client->writes) {
			assert_int_equal(client->world->written[client->number][client->next], 1);
			client->value = client->next;
			client->doubt_count = 0;
		} else {
			decide(client, get_be64(task->data->data));
		}
	} else if (client->writes && (task->aborted || !says_not_executed(task))) {
		doubt(client);
	} else {
		client->refused++;
		if (!client->writes)
			return false;
		assert_int_equal(client->world->written[client->number][client->next], 0);
		/* Nor later: as if it had been. */
		client->world->written[client->number][client->next] = 1;
		return false;
	}
	client->rounds++;
	return true;
}

static void run_next(struct message *message)
{
	client_next(container_of(message, struct client, again));
}

/* In another turn: who is refused at once tries for ever. */
static void client_later(struct client *client)
{
	reactor_post(client->reactor, &client->again);
}

static void retry_expired(struct timer *timer)
{
	client_next(container_of(timer, struct client, retry));
}

static void client_done(struct scsi_task *task)
{
	struct client *client = client_of(task);
	assert_true(client->outstanding);
	client->outstanding = false;
	bool refused = !check_answer(client);
	scsi_task_release(task);
	if (client->managing)
		return;
	if (refused)
		reactor_arm(client->reactor, &client->retry, 1);
	else
		client_later(client);
}

static void client_managed(struct task_management *tmf)
{
	struct client *client = container_of(tmf, struct client, tmf);
	assert_true(client->managing);
	client->managing = false;
	assert_true(!client->outstanding || tmf->not_executed || tmf->response != TMF_COMPLETE);
	if (!client->outstanding)
		client_later(client);
}

static void client_manage(struct client *client)
{
	static const enum task_function functions[] = { TMF_ABORT_TASK, TMF_ABORT_TASK_SET,
		                                        TMF_LUN_RESET };
	client->managing = true;
	client->tmf = (struct task_management){
		.function = functions[chance(&client->seed, ARRAY_LEN(functions))],
		.task = &client->task,
		.done = client_managed,
		.epoch = lun_get_epoch(client->world->lun),
	};
	nexus_manage(client->nexus, &client->tmf);
}

static void client_next(struct client *client)
{
	struct scsi_task *task = &client->task;
	if (client->rounds >= ROUNDS) {
		nexus_stop(client->nexus, client_ended, client);
		return;
	}
	client->writes = client->doubt_count < DOUBTS / 2 && chance(&client->seed, 2);
	client->outstanding = true;
	memset(task, 0, sizeof *task);
	task->nexus = client->nexus;
	task->cdb[0] = client->writes ? 0x2a : 0x28;
	task->cdb[5] = (uint8_t)client->number;
	task->cdb[8] = 1;
	task->cdb_len = 16;
	task->attribute = chance(&client->seed, 8) ? SCSI_SIMPLE : SCSI_ORDERED;
	task->wants_write = client->writes;
	task->wants_read = !client->writes;
	task->expected_len = BLOCK;
	task->epoch = client->proxy ? lun_get_epoch(client->world->lun) : 0;
	task->done = client_done;
	if (client->writes)
		client->next++;
	if (scsi_task_begin(task) == SCSI_BEGIN_NEEDS_DATA) {
		task->data = buffer_get(reactor_buffers(client->reactor), BLOCK);
		assert_non_null(task->data);
		memset(task->data->data, 0, BLOCK);
		put_be64(task->data->data, client->next);
		scsi_task_execute(task);
	}
	if (chance(&client->seed, 200) == 0)
		client_manage(client);
}

static void client_begin(struct message *message)
{
	struct client *client = container_of(message, struct client, begin);
	char name[32];
	(void)snprintf(name, sizeof name, "iqn.%u", client->number);
	struct lun_mapping mapping = { .lun = client->world->lun };
	struct nexus_config config = { .initiator_name = name,
		                       .port = &client->world->port,
		                       .reactor = client->reactor,
		                       .mappings = &mapping,
		                       .mapping_count = 1,
		                       .proxy = client->proxy };
	assert_int_equal(nexus_new(&config, &client->nexus), 0);
	client_next(client);
}

/* ---- ownership ---- */

/* Whether nobody is left who can do anything: proxies can only where the LUN is served. */
static bool all_ended(struct world *world, bool served)
{
	for (unsigned i = 0; i < CLIENTS; i++) {
		const struct client *client = &world->clients[i];
		if (!client->ended && (served || !client->proxy))
			return false;
	}
	return true;
}

/* Lets the world turn for a while, by work and not by time. */
static void run_on(struct world *world)
{
	unsigned wanted = chance(&world->seed, 60);
	uint64_t deadline_ms = clock_monotonic_ms() + 60000;
	for (unsigned done = 0; done < wanted && !all_ended(world, world->served);) {
		done += work(world, false);
		(void)sched_yield();
		assert_true(clock_monotonic_ms() < deadline_ms);
	}
}

static void quiesced(void *argument)
{
	struct world *world = argument;
	world->served = false;
	world->quiesced = true;
}

/* From READY to HELD: drained, or fenced with what is in flight. */
static void stop_serving(struct world *world)
{
	uint64_t deadline_ms = clock_monotonic_ms() + 60000;
	world->lost = chance(&world->seed, 2);
	for (unsigned turns = chance(&world->seed, 100); world->lost && turns > 0; turns--) {
		(void)work(world, false); /* before anybody notices */
		(void)sched_yield();
	}
	world->quiesced = false;
	lun_quiesce(world->lun, LUN_HELD, quiesced, world);
	while (!world->quiesced) {
		(void)work(world, false);
		(void)sched_yield();
		assert_true(clock_monotonic_ms() < deadline_ms);
	}
	world->lost = false;
}

/* From FORWARDED to HELD: the peer hands over, or is fenced. */
static void stop_forwarding(struct world *world)
{
	bool fenced = chance(&world->seed, 2);
	bool state_first = chance(&world->seed, 2);
	if (state_first)
		lun_set_state(world->lun, LUN_HELD);
	if (fenced)
		(void)work(world, true);
	world->peer_serves = false;
	(void)work(world, fenced); /* what came since: never executed, whatever is said */
	if (!state_first)
		lun_set_state(world->lun, LUN_HELD);
}

static void flip(struct world *world)
{
	if (chance(&world->seed, 4) == 0)
		lun_set_state(world->lun, LUN_BUSY);
	world->epoch++;
	if (chance(&world->seed, 2)) {
		world->served = true;
		lun_set_epoch(world->lun, world->epoch);
		lun_serve(world->lun, &world->backend);
		run_on(world);
		stop_serving(world);
	} else {
		world->peer_serves = true;
		lun_forward(world->lun, &(struct lun_route){ .peer = 1, .epoch = world->epoch });
		run_on(world);
		stop_forwarding(world);
	}
}

static void world_init(struct world *world)
{
	struct lun_config config = { .name = "world",
		                     .wwn = "ee982d1a-a657-4cf2-996c-a3d03a6f25a9",
		                     .vendor_id = "",
		                     .block_size = BLOCK,
		                     .relay = &world->relay };
	memset(world, 0, sizeof *world);
	(void)pthread_mutex_init(&world->lock, NULL);
	world->seed = 4711;
	world->relay.ops = &relay_ops;
	world->backend.ops = &backend_ops;
	world->port.tag = 1;
	(void)snprintf(world->port.target_name, sizeof world->port.target_name, "iqn.t");
	ASSERT_EQ(lun_new(&config, &world->lun), 0);
	lun_set_state(world->lun, LUN_HELD);
	for (unsigned i = 0; i < REACTORS; i++)
		ASSERT_EQ(reactor_new("client", NULL, &world->reactors[i]), 0);
	for (unsigned i = 0; i < CLIENTS; i++) {
		struct client *client = &world->clients[i];
		client->world = world;
		client->number = i;
		client->seed = i;
		client->reactor = world->reactors[i % REACTORS];
		client->proxy = i % 4 == 3;
		client->begin.run = client_begin;
		client->back.run = give_back;
		client->again.run = run_next;
		client->retry.expired = retry_expired;
		reactor_post(client->reactor, &client->begin);
	}
	for (unsigned i = 0; i < REACTORS; i++)
		ASSERT_EQ(reactor_start(world->reactors[i], -1), 0);
}

TEST(ownership_that_moves_loses_repeats_and_misplaces_nothing)
{
	static struct world world;
	world_init(&world);
	unsigned flips = 0, refused = 0, doubtful = 0;
	for (; !all_ended(&world, true); flips++)
		flip(&world);
	for (unsigned i = 0; i < REACTORS; i++) {
		reactor_stop(world.reactors[i]);
		reactor_free(world.reactors[i]);
	}
	for (unsigned i = 0; i < CLIENTS; i++) {
		decide(&world.clients[i], world.blocks[i]);
		refused += world.clients[i].refused;
		doubtful += world.clients[i].doubtful;
	}
	struct lun_counters counters;
	lun_get_counters(world.lun, &counters);
	print_message("# %u changes, %u refused, %u in doubt, %llu forwarded\n", flips, refused,
	              doubtful, (unsigned long long)counters.forwarded);
	ASSERT_EQ(counters.held, 0);
	ASSERT_EQ(counters.in_flight, 0);
	ASSERT_TRUE(counters.forwarded > 0 && doubtful > 0);
	ASSERT_EQ(work(&world, false), 0);
	lun_put(world.lun);
	(void)pthread_mutex_destroy(&world.lock);
}

/* ---- the door alone ---- */

#define ENTRANTS 2
#define ENTRIES  100000

struct entrants {
	struct lun *lun;
	atomic_bool served, quiesced;
	atomic_uint running;
};

static void *entrant_main(void *argument)
{
	struct entrants *entrants = argument;
	for (unsigned inside = 0; inside < ENTRIES;) {
		if (!lun_enter(entrants->lun))
			continue;
		assert_true(entrants->served && entrants->lun->backend);
		lun_leave(entrants->lun, true, 0);
		inside++;
	}
	entrants->running--;
	return NULL;
}

static void entrants_out(void *argument)
{
	struct entrants *entrants = argument;
	entrants->served = false;
	entrants->quiesced = true;
}

TEST(nobody_is_inside_when_the_lun_is_quiesced)
{
	struct lun_config config = {
		.name = "door", .wwn = "1", .vendor_id = "", .block_size = BLOCK
	};
	struct entrants entrants = { .running = ENTRANTS };
	struct backend backend = { .ops = &backend_ops };
	pthread_t threads[ENTRANTS];
	ASSERT_EQ(lun_new(&config, &entrants.lun), 0);
	for (unsigned i = 0; i < ENTRANTS; i++)
		ASSERT_EQ(pthread_create(&threads[i], NULL, entrant_main, &entrants), 0);
	uint64_t deadline_ms = clock_monotonic_ms() + 60000;
	while (entrants.running) {
		entrants.served = true;
		entrants.quiesced = false;
		lun_serve(entrants.lun, &backend);
		lun_quiesce(entrants.lun, LUN_HELD, entrants_out, &entrants);
		while (!entrants.quiesced)
			ASSERT_TRUE(clock_monotonic_ms() < deadline_ms);
	}
	for (unsigned i = 0; i < ENTRANTS; i++)
		ASSERT_EQ(pthread_join(threads[i], NULL), 0);
	lun_put(entrants.lun);
}
