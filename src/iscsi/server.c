/* The server: its workers, their memory share, the polite end. */
#include "iscsi/server.h"

#include "iscsi/command.h"
#include "iscsi/connection.h"
#include "iscsi/control.h"
#include "iscsi/portal.h"
#include "iscsi/session.h"
#include "iscsi/worker.h"

#include "base/buffer.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define STOP_READ_MS 2000 /* for initiators to read what is left for them when a stop ends them */

void iscsi_limits_default(struct iscsi_limits *ret_limits)
{
	*ret_limits = (struct iscsi_limits){
		.connections_max = 1024,
		.login_connections_max = 256,
		.login_timeout_s = 15,
		.ready_wait_s = 10,
		.slow_reader_s = 30,
		.command_gap_s = 10,
		.max_inflight_bytes = 1ull << 30,
		.age_max_ms = 2000,
		.boot_clock = clock_boottime_ms,
	};
}

/* ---- memory of commands ---- */

bool worker_charge(struct worker *worker, uint64_t bytes)
{
	if (worker->data_bytes && worker->data_bytes + bytes > worker->data_bytes_max)
		return false;
	worker->data_bytes += bytes;
	return true;
}

void worker_uncharge(struct worker *worker, uint64_t bytes)
{
	worker->data_bytes -= bytes;
	if (bytes && !list_empty(&worker->memory_waiters))
		reactor_at_turn_end(worker->reactor, &worker->memory_hook);
}

static void memory_is_back(struct turn_hook *hook)
{
	data_out_retry(container_of(hook, struct worker, memory_hook));
}

uint32_t worker_window_depth(const struct worker *worker, uint32_t configured)
{
	/* From three quarters on, sessions get an eighth of their window: memory that is promised
	 * to commands on their way stays below the bound. */
	if (worker->data_bytes > worker->data_bytes_max / 4 * 3)
		configured /= 8;
	return configured ? configured : 1;
}

/* ---- life ---- */

static void worker_done(struct worker *worker)
{
	assert(list_empty(&worker->connections) && list_empty(&worker->sessions));
	command_pool_done(worker);
	iscsi_config_put(worker->config);
	free(worker->receive_buffer);
}

static int worker_init(struct worker *worker, struct iscsi_server *server, struct reactor *reactor)
{
	worker->server = server;
	worker->reactor = reactor;
	worker->boot_ms = server->limits.boot_clock();
	atomic_init(&worker->command_ms, worker->boot_ms);
	worker->data_bytes_max = server->limits.max_inflight_bytes / server->worker_count;
	list_init(&worker->connections);
	list_init(&worker->logging_in);
	list_init(&worker->sessions);
	list_init(&worker->free_commands);
	list_init(&worker->memory_waiters);
	list_init(&worker->memory_hook.link);
	worker->memory_hook.run = memory_is_back;
	worker->receive_buffer = aligned_alloc(4096, RECEIVE_BUFFER_BYTES);
	return worker->receive_buffer ? 0 : -ENOMEM;
}

void iscsi_server_free(struct iscsi_server *server)
{
	if (!server)
		return;
	portals_free(server->portals);
	for (unsigned i = 0; server->workers && i < server->worker_count; i++) {
		if (server->workers[i].server)
			worker_done(&server->workers[i]);
	}
	free(server->workers);
	session_table_free(server->sessions);
	chap_challenges_free(server->challenges);
	free(server);
}

static int server_init(struct iscsi_server *server, struct reactor *const *reactors)
{
	server->workers = calloc(server->worker_count, sizeof(*server->workers));
	if (!server->workers)
		return -ENOMEM;
	int r = session_table_new(server->limits.connections_max, &server->sessions);
	if (r == 0) /* room for every reactor's share, rounded up */
		r = chap_challenges_new(server->limits.login_connections_max + server->worker_count,
		                        &server->challenges);
	for (unsigned i = 0; r == 0 && i < server->worker_count; i++)
		r = worker_init(&server->workers[i], server, reactors[i]);
	if (r == 0)
		r = portals_new(server, &server->portals);
	return r;
}

int iscsi_server_new(struct reactor *const *reactors, unsigned reactor_count,
                     const struct iscsi_limits *limits, struct iscsi_server **ret_server)
{
	assert(reactor_count > 0);
	struct iscsi_server *server = calloc(1, sizeof(*server));
	if (!server)
		return -ENOMEM;
	server->limits = *limits;
	server->worker_count = reactor_count;
	int r = server_init(server, reactors);
	if (r < 0) {
		iscsi_server_free(server);
		return r;
	}
	*ret_server = server;
	return 0;
}

uint64_t iscsi_server_idle_ms(const struct iscsi_server *server)
{
	uint64_t now_ms = server->limits.boot_clock(), last_ms = 0;

	for (unsigned i = 0; i < server->worker_count; i++) {
		uint64_t ms =
		        atomic_load_explicit(&server->workers[i].command_ms, memory_order_relaxed);
		if (last_ms < ms)
			last_ms = ms;
	}
	return last_ms < now_ms ? now_ms - last_ms : 0; /* one may come between the two looks */
}

bool iscsi_server_is_used(const struct iscsi_server *server)
{
	return session_table_is_used(server->sessions);
}

/* ---- stop ---- */

void worker_check_stopped(struct worker *worker)
{
	struct iscsi_server *server = worker->server;

	if (!worker->stopping || worker->stopped || !list_empty(&worker->connections) ||
	    !list_empty(&worker->sessions) || atomic_load(&worker->connection_count))
		return;
	worker->stopped = true;
	reactor_disarm(worker->reactor, &worker->stop_timer);
	if (atomic_fetch_sub(&server->stopping_workers, 1) == 1)
		server->stopped(server->stopped_argument);
}

/* An initiator that has not taken its last answers by now reads nothing. A stop waits for it less
 * long than slow_reader_s: who stops us takes that for storage that hangs. */
static void close_all(struct timer *timer)
{
	struct worker *worker = container_of(timer, struct worker, stop_timer);
	struct connection *connection, *following;

	list_for_each_safe (connection, following, &worker->connections, link)
		connection_drop(connection, "the gateway stops and its answers are not read");
}

static void expel_all(struct timer *timer)
{
	struct worker *worker = container_of(timer, struct worker, stop_timer);
	struct session *session, *following;

	list_for_each_safe (session, following, &worker->sessions, link)
		session_expel(session, "the gateway stops");
	worker->stop_timer.expired = close_all;
	reactor_arm(worker->reactor, &worker->stop_timer, STOP_READ_MS);
}

static void stop_on_worker(struct message *message);

/* The first worker stops first: no connection that it has handed over can come behind the order to
 * stop, because messages of one thread stay in order. */
static void stop_accepting(struct iscsi_server *server)
{
	portals_close(server->portals);
	for (unsigned i = 1; i < server->worker_count; i++) {
		struct worker *worker = &server->workers[i];
		worker->stop_message.run = stop_on_worker;
		reactor_post(worker->reactor, &worker->stop_message);
	}
}

static void stop_on_worker(struct message *message)
{
	struct worker *worker = container_of(message, struct worker, stop_message);
	unsigned grace_ms = worker->server->stop_grace_ms;
	struct connection *connection, *following;

	worker->stopping = true;
	if (worker == worker->server->workers)
		stop_accepting(worker->server);
	list_for_each_safe (connection, following, &worker->connections, link) {
		if (connection->state < CONNECTION_FULL_FEATURE)
			connection_close(connection);
		else if (connection->state == CONNECTION_FULL_FEATURE && grace_ms)
			async_send(connection->session, ASYNC_LOGOUT_REQUEST, 0, 0,
			           (uint16_t)((grace_ms + 999) / 1000));
	}
	worker->stop_timer.expired = expel_all;
	if (grace_ms)
		reactor_arm(worker->reactor, &worker->stop_timer, grace_ms);
	else
		expel_all(&worker->stop_timer);
	worker_check_stopped(worker);
}

void iscsi_server_stop(struct iscsi_server *server, unsigned grace_ms,
                       void (*stopped)(void *argument), void *argument)
{
	server->stop_grace_ms = grace_ms;
	server->stopped = stopped;
	server->stopped_argument = argument;
	atomic_store(&server->stopping_workers, server->worker_count);
	server->workers[0].stop_message.run = stop_on_worker;
	reactor_post(server->workers[0].reactor, &server->workers[0].stop_message);
}
