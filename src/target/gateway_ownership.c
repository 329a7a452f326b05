/* Ties the gateway to the owners of LUNs: messages, disks that move, and the end of an instance
 * that others have condemned. */
#include "target/gateway_private.h"

#include "base/log.h"
#include "config/settings.h"
#include "ownership/history_writer.h"
#include "ownership/registration.h"
#include "target/lun_registry.h"
#include "target/owners.h"
#include "target/peers.h"
#include "target/renew.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* ---- messages ---- */

struct told {
	struct message message;
	struct gateway *gateway;
	char text[];
};

static void told_message(struct message *message)
{
	struct told *told = container_of(message, struct told, message);
	if (told->gateway->owners)
		owners_told(told->gateway->owners, told->text);
	free(told);
}

void gateway_store_told(struct store_listener *listener, const char *text)
{
	struct gateway *gateway = container_of(listener, struct gateway, listener);
	size_t len = strlen(text);
	struct told *told = malloc(sizeof *told + len + 1);
	if (!told)
		return; /* it was a hint only */
	told->message.run = told_message;
	told->gateway = gateway;
	memcpy(told->text, text, len + 1);
	reactor_post(gateway->manager, &told->message);
}

static void peer_told(void *argument, const char *text)
{
	struct gateway *gateway = argument;
	if (gateway->owners)
		owners_told(gateway->owners, text);
}

static void peers_changed(void *argument)
{
	struct gateway *gateway = argument;
	if (gateway->owners)
		owners_changed(gateway->owners);
}

/* ---- disks ---- */

/* A disk has settled or gone bad: targets become ready by a new snapshot. */
static void disk_changed(struct disk_host *host, struct disk *disk)
{
	struct gateway *gateway = container_of(host, struct gateway, host);
	if (gateway->snapshot_unready)
		gateway->apply_wanted = true;
	owners_disk_changed(gateway->owners, disk);
	gateway_step_later(gateway);
}

static void tell_move(struct gateway *gateway, const struct disk *disk)
{
	struct history_writer *history = gateway->connection.history;
	const struct owner_record *record = disk_record(disk);
	char kind[sizeof record->why];
	if (record->state == OWNER_ACTIVE) {
		(void)snprintf(kind, sizeof kind, "%s", record->why);
		char *from = strstr(kind, " from ");
		if (from)
			*from = '\0';
		history_write(history, kind, disk_name(disk), "%s owns it now, epoch %llu (%s)",
		              gateway->name, (unsigned long long)record->epoch, record->why);
	} else if (strcmp(record->why, DISK_LOST) == 0) {
		history_write(history, "lost", disk_name(disk),
		              "%s lost its lock to a client that is no gateway of ours, epoch %llu",
		              gateway->name, (unsigned long long)record->epoch);
	} else {
		history_write(history, "hand-over", disk_name(disk), "%s gave it back%s%s (%s)",
		              gateway->name, *record->next ? " for " : "", record->next,
		              record->why);
	}
}

static void disk_moved(struct disk_host *host, struct disk *disk)
{
	struct gateway *gateway = container_of(host, struct gateway, host);
	tell_move(gateway, disk);
	owners_moved(gateway->owners, disk);
}

/* By an outsider, or as all of this gateway: its row tells. */
static void disk_fenced(struct disk_host *host, struct disk *disk)
{
	struct gateway *gateway = container_of(host, struct gateway, host);
	owners_look(gateway->owners);
}

/* On demand, and a command waits for it. */
static void disk_wanted(struct disk_host *host, struct disk *disk)
{
	owners_disk_changed(container_of(host, struct gateway, host)->owners, disk);
}

/* ---- the end of a condemned instance ---- */

/* Nothing of this life may be left: its commands, its sessions, what its sockets still hold. */
static void condemned(void *argument, const char *why)
{
	struct gateway *gateway = argument;
	log_error("%s: this instance (%s) %s: all connections are dropped without an answer, and "
	          "it starts anew",
	          gateway->name, registration_instance(gateway->connection.registration), why);
	if (gateway->stopping)
		_exit(0); /* a new life would not know that it was told to end */
	renew(registration_instance(gateway->connection.registration));
}

/* ---- begin ---- */

int gateway_make_ownership(struct gateway *gateway)
{
	int r = lun_registry_new(&gateway->luns);
	if (r < 0)
		return r;
	struct peers_config config = {
		.manager = gateway->manager,
		.reactors = gateway->reactors,
		.reactor_count = gateway->reactor_count,
		.luns = gateway->luns,
		.changed = peers_changed,
		.told = peer_told,
		.argument = gateway,
	};
	r = peers_new(&config, &gateway->peers);
	if (r < 0)
		return r;
	struct owners_config owners = {
		.manager = gateway->manager,
		.reactors = gateway->reactors,
		.reactor_count = gateway->reactor_count,
		.disks = &gateway->disks,
		.gateway = gateway->name,
		.peers = gateway->peers,
		.condemned = condemned,
		.left = gateway_left,
		.argument = gateway,
	};
	r = owners_new(&owners, &gateway->owners);
	gateway->disks.owners = gateway->owners;
	return r;
}

void gateway_begin_ownership(struct gateway *gateway)
{
	const struct connection *connection = &gateway->connection;
	if (strcmp(gateway->settings->alua_failover_type, "explicit") == 0)
		log_warning("setting alua_failover_type = explicit: access states are implicit all "
		            "the same, they follow the owner of each LUN");
	gateway->host = (struct disk_host){
		.manager = gateway->manager,
		.jobs = gateway->disk_jobs,
		.store = connection->store,
		.clients = connection->clients,
		.registration = connection->registration,
		.fence = connection->fence,
		.relay = peers_relay(gateway->peers),
		.luns = gateway->luns,
		.gateway = gateway->name,
		.changed = disk_changed,
		.moved = disk_moved,
		.fenced = disk_fenced,
		.wanted = disk_wanted,
	};
	owners_begin(gateway->owners, connection->store, connection->registration,
	             connection->fence, connection->history);
}

void gateway_tell_ownership(struct gateway *gateway)
{
	const struct settings *settings = gateway->settings;
	const struct plan *plan = gateway->disks.plan;
	owners_set_return_after(gateway->owners, (uint64_t)settings->return_after * 1000);
	struct peers_place place = {
		.gateway = gateway->name,
		.address = *settings->interconnect_address ? settings->interconnect_address
		           : plan                          ? plan->portal_address
		                                           : NULL,
		.port = (uint16_t)settings->interconnect_port,
		.store = gateway->connection.store,
		.registration = gateway->connection.registration,
		.jobs = gateway->jobs,
	};
	if (place.address && gateway->connected)
		peers_start(gateway->peers, &place);
}
