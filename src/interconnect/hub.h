/* The insides of the interconnect: the object itself (on the manager), and a hub on each reactor,
 * which has the channels to peers (commands that we relay) and those from peers (commands that run
 * here). Nothing of a hub is touched by another thread, but for what says so. */
#pragma once

#include "base/list.h"
#include "base/reactor.h"
#include "interconnect/interconnect.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>

#define PEERS_MAX 16384 /* instances of gateways in one life of this process */

struct acceptor;
struct channel;
struct hub;
struct peer;

/* How a channel to a peer is, as the manager is told. */
enum part_status {
	PART_NEW, /* not up yet, nothing has failed */
	PART_UP,
	PART_TRYING, /* broke just now; the first attempt to make it anew is not over */
	PART_RESET,  /* and was reset or refused */
	PART_SILENT, /* and nothing came */
};

/* What a hub has of a peer. */
struct part {
	struct hub *hub;
	struct peer *peer;
	struct channel *channel; /* NULL: forgotten. The hub's, but set before the peer is known */
	struct message start, forget, hasten;
	/* Any thread. */
	_Atomic uint8_t status, version;
	_Atomic uint32_t stalled_ms;
	atomic_bool missed;   /* not up for long */
	atomic_bool reported; /* `report` is on its way */
	atomic_bool hastened; /* `hasten` is */
	atomic_bool unproven; /* it has proved another secret; not told yet */
	struct message report;
};

/* An instance of another gateway. Stays, also when it is forgotten, so that it is refused. */
struct peer {
	/* Constant. */
	struct interconnect *interconnect;
	uint32_t id;
	char gateway[INTERCONNECT_NAME_MAX], instance[INTERCONNECT_INSTANCE_MAX];
	/* The manager's. */
	struct peer_info info;
	bool superseded; /* a later instance of that gateway is known */
	/* Any thread. */
	atomic_bool lost; /* as the listener was told */
	pthread_mutex_t lock;
	struct sockaddr_storage address; /* under the lock */
	socklen_t address_len;
	struct part parts[]; /* by number of the hub */
};

struct hub {
	/* Constant. */
	struct interconnect *interconnect;
	struct reactor *reactor;
	unsigned number;
	uint8_t *buffer; /* of all wires */

	struct list channels; /* struct channel */
	struct list inbounds; /* struct inbound */
	struct list free_relayed, free_executed;
	unsigned free_relayed_count, free_executed_count;
	struct list returning; /* struct relayed that go back to their callers in this turn */
	struct message return_message;
	struct timer tick;
	unsigned ticks;
	uint64_t turned_ms; /* by the interconnect's clock: the last tick */
	bool stopping, stopped;
	uint64_t stop_ms;
	struct message start_message, relaying_message, stop_message, stopped_message;

	/* Any thread. */
	_Atomic uint64_t relayed, executed;
	_Atomic uint32_t relayed_now, executing_now;
};

struct interconnect {
	struct relay relay;
	/* Constant. */
	struct interconnect_listener *listener;
	struct reactor *manager;
	clock_fn clock;
	char gateway[INTERCONNECT_NAME_MAX], instance[INTERCONNECT_INSTANCE_MAX];
	unsigned heartbeat_ms, silence_ms, age_max_ms;
	uint8_t version_max;
	struct reactor *const *reactors; /* of the hubs */
	unsigned hub_count;
	struct hub *hubs;
	/* Any thread. */
	pthread_mutex_t secret_lock;
	uint8_t secret[INTERCONNECT_SECRET_BYTES]; /* under it; interconnect_copy_secret() */
	_Atomic uint32_t stalled_ms;
	_Atomic(struct peer *) peers[PEERS_MAX];
	_Atomic uint32_t peer_count;
	/* The manager's. */
	struct acceptor *acceptor;
	bool relaying_ended, stopping;
	unsigned stopping_hubs;
	unsigned inquiries; /* fate.c: under way */
	void (*stopped)(void *argument);
	void *stopped_argument;
};

static inline void hub_count_up(_Atomic uint64_t *counter)
{
	/* Only its reactor writes it. */
	uint64_t was = atomic_load_explicit(counter, memory_order_relaxed);
	atomic_store_explicit(counter, was + 1, memory_order_relaxed);
}

/* ---- interconnect.c ---- */

/* Any thread. wipe() the copy. */
void interconnect_copy_secret(struct interconnect *interconnect, uint8_t *ret_secret);
/* On the manager: something that a stop waits for has ended. */
void interconnect_check_stopped(struct interconnect *interconnect);

/* ---- hub.c ---- */

int hub_init(struct hub *hub, struct interconnect *interconnect, struct reactor *reactor,
             unsigned number) MUST_CHECK;
void hub_done(struct hub *hub);
/* The hub of that reactor, which must be one of the interconnect's. */
struct hub *hub_of(struct interconnect *interconnect, const struct reactor *reactor);
/* Something has ended: goes on with a stop that waits for it. */
void hub_check_stopped(struct hub *hub);

/* ---- peer.c ---- */

/* Any thread; NULL: no such peer. */
struct peer *peer_by_id(const struct interconnect *interconnect, uint32_t id);
/* On the manager. */
struct peer *peer_find(const struct interconnect *interconnect, const char *gateway,
                       const char *instance);
/* On its hub: tells the manager, if it is news. */
void part_report(struct part *part, enum part_status status);
void part_report_stalled(struct part *part, uint32_t stalled_ms);
void part_report_missed(struct part *part, bool missed);
void part_report_unproven(struct part *part);
/* After all hubs have stopped. */
void peers_done(struct interconnect *interconnect);
