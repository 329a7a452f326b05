/* The interconnect: authenticated connections between the gateways of a cluster. It relays SCSI
 * commands to the gateway that owns a LUN (scsi/relay.h), executes those that peers send here, and
 * carries messages between managers. iSCSI PDUs, one connection for each of our reactors to each
 * peer, so that a forwarded command never changes threads. docs/availability.md has the protocol.
 */
#pragma once

#include "base/error.h"
#include "base/json.h"
#include "base/reactor.h"
#include "scsi/relay.h"

#include <stdbool.h>
#include <stdint.h>

struct interconnect;
struct lun;
struct reactor;

#define INTERCONNECT_NAME_MAX     256
#define INTERCONNECT_INSTANCE_MAX 32
#define INTERCONNECT_SECRET_BYTES 32
#define INTERCONNECT_VERSION_MIN  1
#define INTERCONNECT_VERSION_MAX  1

enum peer_state {
	PEER_CONNECTING, /* never up yet */
	PEER_UP,         /* heartbeats in both directions */
	PEER_LOST,      /* was up, or could not be reached: reset, refused or silent. Tried again */
	PEER_FORGOTTEN, /* interconnect_forget() */
};

/* One instance (one life of the process) of another gateway. A snapshot; on the manager. */
struct peer_info {
	uint32_t id; /* never used again for another */
	char gateway[INTERCONNECT_NAME_MAX], instance[INTERCONNECT_INSTANCE_MAX];
	enum peer_state state;
	uint64_t since_ms;   /* reactor_now_ms() at which it came into this state */
	bool silent;         /* LOST: by silence; else by a reset or refusal, which came at once.
	                      * UP: but some of its connections have not been for long */
	uint32_t stalled_ms; /* what it says of itself: see interconnect_set_stalled() */
	int version;         /* spoken with it; 0 before it was up */
};

struct interconnect_listener {
	/* On the manager. The state of a peer has changed, or what it says of itself. */
	void (*peer_changed)(struct interconnect_listener *listener, const struct peer_info *peer);
	/* On the manager: a message of the peer's manager. */
	void (*told)(struct interconnect_listener *listener, const struct peer_info *peer,
	             const char *text);
	/* Any reactor: the LUN of that name and wwn, a reference, or NULL. Must not block. */
	struct lun *(*find_lun)(struct interconnect_listener *listener, const char *name,
	                        const char *wwn);
	/* On the manager: a peer has proved to know another secret than ours. One of them may be
	 * of the past. May be NULL. */
	void (*unproven)(struct interconnect_listener *listener);
};

struct interconnect_config {
	struct reactor *manager;
	struct reactor *const *reactors; /* running; borrowed for life */
	unsigned reactor_count;
	const char *gateway, *instance;            /* of this process; copied */
	const char *address;                       /* to listen on, "10.0.0.1" or "::1" */
	uint16_t port;                             /* 0: any free one */
	uint8_t secret[INTERCONNECT_SECRET_BYTES]; /* of the cluster */
	unsigned heartbeat_ms;                     /* 0: 500 */
	unsigned silence_ms;                       /* 0: 2000: then a peer is LOST */
	unsigned age_max_ms; /* 0: 2000: older commands are not executed (H35) */
	/* 0: INTERCONNECT_VERSION_MAX. The highest that it says it speaks; tests say a later one */
	uint8_t version_max;
	struct interconnect_listener *listener;
	clock_fn clock; /* NULL: CLOCK_BOOTTIME. By it ages of commands are bounded and pauses of
	                 * this process are noticed; tests hand in their own */
};

/* On the manager, as all calls below. Listens at once. -EADDRINUSE, -EADDRNOTAVAIL, ... */
int interconnect_new(const struct interconnect_config *config,
                     struct interconnect **ret_interconnect, struct error *err) MUST_CHECK;
/* Listens there instead, at once; connections that are there stay. If it cannot, nothing changes.
 */
int interconnect_move(struct interconnect *interconnect, const char *address, uint16_t port,
                      struct error *err) MUST_CHECK;
/* For connections to come; those that are there stay. */
void interconnect_set_secret(struct interconnect *interconnect, const uint8_t *secret);
/* "10.0.0.1:3262": what belongs into the registration. Borrowed, until it moves. */
const char *interconnect_address(const struct interconnect *interconnect);
/* What LUNs are made with (lun_config.relay). */
struct relay *interconnect_relay(struct interconnect *interconnect);

/* A peer to keep connections to. The same gateway and instance again: the same id, with the new
 * address. */
int interconnect_add_peer(struct interconnect *interconnect, const char *gateway,
                          const char *instance, const char *address, uint32_t *ret_id) MUST_CHECK;
/* False: no such peer. */
bool interconnect_get_peer(const struct interconnect *interconnect, uint32_t id,
                           struct peer_info *ret_peer);
/* The peer's instance is over: it was fenced and that map is in force here, or it has ended after
 * giving everything back. Commands that it has not answered come back as RELAY_UNKNOWN: it may have
 * executed them all the same, and the answer was lost with a connection. Its connections, both
 * ways, are closed, and refused from now on. */
void interconnect_forget(struct interconnect *interconnect, uint32_t id);

/* A message to the manager of a peer. -ENOTCONN: not up. -EMSGSIZE: longer than that. Delivered in
 * order, at most once. */
#define INTERCONNECT_TELL_MAX (256u << 10)
int interconnect_tell(struct interconnect *interconnect, uint32_t id, const char *text) MUST_CHECK;

/* What became of commands that a peer has not answered which lives and cannot be reached: what one
 * finds is brought to the other by another way. Arrays, one element for each channel; done(), on
 * the manager, borrows them, and is called also at a stop. -ENOTCONN: no such peer.
 * First here: its channels without a connection that have such commands. */
typedef void interconnect_fates_done(void *argument, const json_t *found);
int interconnect_find_unanswered(struct interconnect *interconnect, uint32_t id,
                                 interconnect_fates_done *done, void *argument) MUST_CHECK;
/* Then there: what became of them. Closes what is left of their connections. As text, no more than
 * INTERCONNECT_FATES_MAX: the rest when it is asked again. */
#define INTERCONNECT_FATES_MAX (32u << 10)
int interconnect_find_fates(struct interconnect *interconnect, uint32_t id,
                            const json_t *unanswered, interconnect_fates_done *done,
                            void *argument) MUST_CHECK;
/* And here again: they are answered. */
int interconnect_take_fates(struct interconnect *interconnect, uint32_t id,
                            const json_t *fates) MUST_CHECK;

/* What heartbeats say of this gateway: for how long its storage has made no progress; 0: it does.
 * Cautious: it makes progress, but what this gateway is given may hang; what it has it serves. */
#define INTERCONNECT_CAUTIOUS UINT32_MAX
void interconnect_set_stalled(struct interconnect *interconnect, uint32_t stalled_ms);

/* For a stop that must not wait for owners: no command is relayed any more, and what they have not
 * answered comes back as RELAY_UNKNOWN, as it may be executed yet. Commands of peers run on. */
void interconnect_end_relaying(struct interconnect *interconnect);
/* Stops relaying and listening: what is in flight there comes back as RELAY_UNKNOWN; commands of
 * peers that run here are waited for. stopped() on the manager; then interconnect_free(). */
void interconnect_stop(struct interconnect *interconnect, void (*stopped)(void *argument),
                       void *argument);
void interconnect_free(struct interconnect *interconnect);

/* Commands of peers in execution or to be answered here; relayed ones without an answer. Any
 * thread. */
struct interconnect_counters {
	uint64_t relayed, executed; /* since the start */
	uint32_t relayed_now, executing_now;
};
void interconnect_get_counters(const struct interconnect *interconnect,
                               struct interconnect_counters *ret_counters);
