/* Brings a snapshot to every reactor: portals on the first, sessions and waiting logins on all. */
#include "iscsi/apply.h"

#include "iscsi/connection.h"
#include "iscsi/portal.h"
#include "iscsi/session.h"
#include "iscsi/worker.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

struct apply_share {
	struct message message;
	struct apply *apply;
	struct worker *worker;
};

struct apply {
	struct iscsi_server *server;
	struct iscsi_config *config;
	void (*applied)(void *argument, const struct error *err);
	void *argument;
	atomic_uint references;
	struct error err; /* of the portals: written by the first reactor before it puts */
	struct apply_share shares[];
};

void apply_get(struct apply *apply)
{
	atomic_fetch_add(&apply->references, 1);
}

void apply_put(struct apply *apply)
{
	if (atomic_fetch_sub(&apply->references, 1) != 1)
		return;
	apply->applied(apply->argument, &apply->err);
	iscsi_config_put(apply->config);
	free(apply);
}

void apply_problem(struct apply *apply, const struct error *err)
{
	if (!apply->err.code)
		apply->err = *err;
}

static void apply_on_worker(struct message *message)
{
	struct apply_share *share = container_of(message, struct apply_share, message);
	struct worker *worker = share->worker;
	struct apply *apply = share->apply;
	struct session *session, *next_session;
	struct connection *connection, *next_connection;

	struct iscsi_config *old = worker->config;
	worker->config = iscsi_config_get(apply->config);
	list_for_each_safe (session, next_session, &worker->sessions, link)
		session_follow(session, apply->config, apply);
	list_for_each_safe (connection, next_connection, &worker->connections, link)
		connection_config_changed(connection);
	if (worker == worker->server->workers && !worker->stopping)
		portals_follow(worker->server->portals, apply->config, apply);
	iscsi_config_put(old);
	apply_put(apply);
}

void iscsi_server_apply(struct iscsi_server *server, struct iscsi_config *config,
                        void (*applied)(void *argument, const struct error *err), void *argument)
{
	size_t shares = sizeof(struct apply_share) * server->worker_count;
	struct apply *apply = calloc(1, sizeof(*apply) + shares);

	if (!apply) {
		struct error err;
		(void)error_set(&err, -ENOMEM, "no memory to apply the configuration");
		iscsi_config_put(config);
		applied(argument, &err);
		return;
	}
	apply->server = server;
	apply->config = config;
	apply->applied = applied;
	apply->argument = argument;
	atomic_store(&apply->references, server->worker_count);
	for (unsigned i = 0; i < server->worker_count; i++) {
		struct apply_share *share = &apply->shares[i];
		share->apply = apply;
		share->worker = &server->workers[i];
		share->message.run = apply_on_worker;
		reactor_post(share->worker->reactor, &share->message);
	}
}
