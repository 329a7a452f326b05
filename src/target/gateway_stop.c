/* The end of a gateway, by stages. If others can take its LUNs, initiators do not notice: the LUNs
 * go first, then the initiators, which are told by access states, and only then the sessions. What
 * hangs is not waited for: then the process ends as if it had been killed, and whoever takes a LUN
 * that is left fences it first [H1]. */
#include "target/gateway_private.h"

#include "base/log.h"
#include "base/notify.h"
#include "cluster/client.h"
#include "iscsi/server.h"
#include "ownership/registration.h"
#include "target/data_clients.h"
#include "target/owners.h"
#include "target/peers.h"

#include <assert.h>
#include <unistd.h>

#define GRACE_MS      2000  /* for commands, when sessions are closed */
#define QUIET_MS      1000  /* no I/O for so long: initiators have gone */
#define QUIET_MAX_MS  10000 /* they were told; who has not gone by then has no other path */
#define QUIET_LOOK_MS 100
#define OWNERS_MS     (GRACE_MS + 3000) /* for commands of closed sessions, at other gateways */
#define HUNG_MS       10000 /* neither a stage nor a LUN has ended for so long: the rest hangs */

/* ---- stages ---- */

/* NULL: it ends by itself. */
static const char *const what_hangs[] = {
	[STOP_BEGIN] = "the cluster does not answer",
	[STOP_ANNOUNCE] = "the cluster does not answer",
	[STOP_GIVE] = NULL,
	[STOP_QUIET] = NULL,
	[STOP_SERVER] = "the storage does not answer commands",
	[STOP_DISKS] = "images cannot be closed",
	[STOP_OWNERS] = "the cluster does not answer",
	[STOP_LEAVE] = "the cluster does not answer",
	[STOP_PEERS] = "connections to other gateways do not end",
	[STOP_END] = "the cluster does not answer",
};

/* The lock of what is left stays with a client that writes no more: the next owner fences it. */
static void bound_expired(struct timer *timer)
{
	struct gateway *gateway = container_of(timer, struct gateway, stop.bound);
	AUTO_STRING struct string names = { 0 };
	bool left = disk_set_add_ours(&gateway->disks, &names) > 0;
	log_error("%s: ends without a clean stop, %s for %u s; LUNs left behind: %s", gateway->name,
	          what_hangs[gateway->stop.stage], HUNG_MS / 1000,
	          left && names.text ? names.text : "none");
	_exit(1);
}

void gateway_stop_moves(struct gateway *gateway)
{
	if (what_hangs[gateway->stop.stage])
		reactor_arm(gateway->manager, &gateway->stop.bound, HUNG_MS);
	else
		reactor_disarm(gateway->manager, &gateway->stop.bound);
}

static void enter(struct gateway *gateway, enum stop_stage stage)
{
	gateway->stop.stage = stage;
	gateway_stop_moves(gateway);
}

static void next_stage(struct gateway *gateway, enum stop_stage stage)
{
	enter(gateway, stage);
	gateway_step_later(gateway);
}

/* ---- LUNs and initiators go ---- */

static void announce_work(struct job *job)
{
	struct gateway *gateway = container_of(job, struct gateway, job);
	gateway_set_job_result(gateway,
	                       registration_set_state(gateway->connection.registration,
	                                              GATEWAY_LEAVING, &gateway->job_error));
}

static void announce_done(struct job *job)
{
	struct gateway *gateway = container_of(job, struct gateway, job);
	gateway->job_busy = false;
	if (gateway->job_error.code) {
		log_warning("%s: leaving without a word: %s", gateway->name,
		            gateway->job_error.text);
		next_stage(gateway, STOP_SERVER);
		return;
	}
	next_stage(gateway, STOP_GIVE);
	owners_leave(gateway->owners);
}

void gateway_left(void *argument)
{
	struct gateway *gateway = argument;
	AUTO_STRING struct string names = { 0 };
	if (gateway->stop.stage != STOP_GIVE)
		return;
	if (disk_set_add_ours(&gateway->disks, &names) > 0)
		log_warning("%s: not given to others: %s", gateway->name, names.text);
	else
		log_info("%s: all LUNs are with others", gateway->name);
	next_stage(gateway, STOP_QUIET);
}

/* Path checkers ask for ever, of gateways that are going too: only I/O counts. */
static void step_quiet(struct gateway *gateway)
{
	struct stopping *stop = &gateway->stop;
	uint64_t now_ms = reactor_now_ms(gateway->manager);
	if (!stop->told_ms)
		stop->told_ms = now_ms;
	uint64_t waited_ms = now_ms - stop->told_ms;
	bool quiet = !iscsi_server_is_used(gateway->server) ||
	             (waited_ms >= QUIET_MS && iscsi_server_idle_ms(gateway->server) >= QUIET_MS);
	if (!quiet && waited_ms < QUIET_MAX_MS) {
		reactor_arm(gateway->manager, &stop->look, QUIET_LOOK_MS);
		return;
	}
	if (quiet)
		log_info("%s: no I/O comes any more", gateway->name);
	else
		log_warning("%s: I/O still comes after %u s", gateway->name, QUIET_MAX_MS / 1000);
	next_stage(gateway, STOP_SERVER);
}

static void look_expired(struct timer *timer)
{
	gateway_step(container_of(timer, struct gateway, stop.look));
}

/* ---- the rest ends ---- */

static void server_stopped(void *argument)
{
	struct gateway *gateway = argument;
	reactor_post(gateway->manager, &gateway->stop.server_message);
}

/* An owner whose storage hangs may never answer. It knows what is not to be executed any more, and
 * whom that kept waiting: a new session of the same initiator waits for it there (H9). */
static void step_server(struct gateway *gateway)
{
	struct stopping *stop = &gateway->stop;
	uint64_t now_ms = reactor_now_ms(gateway->manager);
	if (!stop->server_ms) {
		stop->server_ms = now_ms;
		reactor_arm(gateway->manager, &stop->look, OWNERS_MS);
		iscsi_server_stop(gateway->server, GRACE_MS, server_stopped, gateway);
	} else if (!stop->relaying_ended && now_ms >= stop->server_ms + OWNERS_MS) {
		stop->relaying_ended = true;
		log_warning("%s: commands of its sessions do not end; those that are at other "
		            "gateways are left there",
		            gateway->name);
		peers_end_relaying(gateway->peers);
	}
}

static void server_message(struct message *message)
{
	struct gateway *gateway = container_of(message, struct gateway, stop.server_message);
	reactor_disarm(gateway->manager, &gateway->stop.look);
	gateway->host.ending = true;
	disk_set_close_all(&gateway->disks);
	next_stage(gateway, STOP_DISKS);
}

static void owners_stopped(void *argument)
{
	struct gateway *gateway = argument;
	gateway->stop.owners_stopped = true;
	gateway_step_later(gateway);
}

/* Cluster clients first: what stands in the row then is what was left behind. */
static void leave_work(struct job *job)
{
	struct gateway *gateway = container_of(job, struct gateway, job);
	struct connection *connection = &gateway->connection;
	struct error err = { 0 };
	data_clients_free(steal(&connection->clients));
	if (connection->control &&
	    registration_remove(connection->registration,
	                        cluster_client_address(connection->control), &err) < 0)
		log_warning("%s", err.text);
	if (registration_set_state(connection->registration, GATEWAY_STOPPED, &err) < 0)
		log_warning("%s: not marked as stopped: %s", gateway->name, err.text);
}

static void leave_done(struct job *job)
{
	struct gateway *gateway = container_of(job, struct gateway, job);
	gateway->job_busy = false;
	next_stage(gateway, STOP_PEERS);
}

static void peers_stopped(void *argument)
{
	struct gateway *gateway = argument;
	gateway->stop.peers_stopped = true;
	gateway_step_later(gateway);
}

static void disconnect_work(struct job *job)
{
	struct gateway *gateway = container_of(job, struct gateway, job);
	connection_end(&gateway->connection);
}

static void disconnect_done(struct job *job)
{
	struct gateway *gateway = container_of(job, struct gateway, job);
	gateway->job_busy = false;
	gateway->connected = false;
	gateway_step(gateway);
}

static void step_owners(struct gateway *gateway)
{
	if (!gateway->stop.owners_stopped)
		return;
	if (gateway->connected) {
		enter(gateway, STOP_LEAVE);
		gateway_start_job(gateway, leave_work, leave_done);
	} else {
		next_stage(gateway, STOP_PEERS);
	}
}

static void step_end(struct gateway *gateway)
{
	if (!gateway->stop.peers_stopped)
		return;
	if (gateway->connected) {
		gateway_start_job(gateway, disconnect_work, disconnect_done);
		return;
	}
	reactor_disarm(gateway->manager, &gateway->stop.bound);
	void (*stopped)(void *) = steal(&gateway->stop.stopped);
	if (stopped)
		stopped(gateway->stop.argument);
}

void gateway_step_stopping(struct gateway *gateway)
{
	struct stopping *stop = &gateway->stop;
	if (gateway->job_busy)
		return;
	switch (stop->stage) {
	case STOP_BEGIN:
		if (gateway->connected && owners_have_heir(gateway->owners)) {
			enter(gateway, STOP_ANNOUNCE);
			gateway_start_job(gateway, announce_work, announce_done);
		} else {
			next_stage(gateway, STOP_SERVER);
		}
		return;
	case STOP_ANNOUNCE:
	case STOP_GIVE:
	case STOP_LEAVE:
		return; /* told when it is over */
	case STOP_QUIET:
		step_quiet(gateway);
		return;
	case STOP_SERVER:
		step_server(gateway);
		return;
	case STOP_DISKS:
		if (gateway->applies || disk_set_closing(&gateway->disks))
			return;
		enter(gateway, STOP_OWNERS);
		owners_stop(gateway->owners, owners_stopped, gateway);
		return;
	case STOP_OWNERS:
		step_owners(gateway);
		return;
	case STOP_PEERS:
		enter(gateway, STOP_END);
		peers_stop(gateway->peers, peers_stopped, gateway);
		return;
	case STOP_END:
		step_end(gateway);
		return;
	}
}

void gateway_init_stop(struct gateway *gateway)
{
	gateway->stop.server_message.run = server_message;
	gateway->stop.look.expired = look_expired;
	gateway->stop.bound.expired = bound_expired;
}

void gateway_stop(struct gateway *gateway, void (*stopped)(void *argument), void *argument)
{
	assert(!gateway->stopping);
	log_info("%s: stopping", gateway->name);
	notify_service_manager("STOPPING=1");
	gateway->stopping = true;
	gateway->stop.stopped = stopped;
	gateway->stop.argument = argument;
	reactor_disarm(gateway->manager, &gateway->retry);
	reactor_disarm(gateway->manager, &gateway->settle);
	reactor_disarm(gateway->manager, &gateway->patience);
	next_stage(gateway, STOP_BEGIN);
}
