/* A logical unit: identity, limits, state, and what several nexuses share (unit attentions, range
 * locks, reservations). Reference counted; created and driven by the target room, used by nexuses
 * on every reactor. */
#pragma once

#include "base/auto.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct backend;
struct lun;
struct relay;
struct reservation_keeper;

/* What becomes of a command that needs the medium or the shared state of the LUN. Commands about
 * identity and access states run in every state. */
enum lun_state {
	LUN_OPENING,       /* 02/04/01; becomes READY with 06/2A/09 */
	LUN_READY,         /* this gateway owns it and serves */
	LUN_FAILED,        /* 02/04/0C: could not be opened, or its owner cannot be reached */
	LUN_STANDBY,       /* 02/04/0B: a gateway that we do not forward to owns it */
	LUN_TRANSITIONING, /* 02/04/0A: ownership has been changing for long */
	LUN_FORWARDED,     /* another gateway owns it: goes there by the relay */
	LUN_HELD,          /* ownership is changing: waits for the next state */
	LUN_BUSY,          /* the same, for longer than commands are held: BUSY */
	LUN_ON_DEMAND,     /* whose it is is not ours to say: a command that needs it waits and asks
	                    * for it, what hosts do to look at a path runs */
	LUN_OPERATION,     /* 02/04/07: its image is being changed as a whole, nobody serves it */
	LUN_STATE_COUNT,
};

/* Where commands of a FORWARDED LUN go. */
struct lun_route {
	uint32_t peer;  /* as the relay numbers them */
	uint64_t epoch; /* of the ownership: the owner refuses any other */
};

/* Identity and limits. Strings are copied. */
struct lun_config {
	const char *name;      /* "rbd/disk_1", for messages */
	const char *wwn;       /* unit serial: VPD 80h, source of the NAA designator */
	const char *vendor_id; /* VPD 83h descriptor 3: "rbd/POOL/IMAGE;osd_op_timeout=30..." */
	uint32_t block_size;   /* bytes: 512 or 4096 */
	uint32_t max_sectors;  /* hw_max_sectors: announced maximum transfer, 512-byte units */
	uint64_t max_inflight_bytes; /* max_data_area_mb; 0 = no bound */
	bool read_only;
	struct relay *relay; /* borrowed for life; NULL: this LUN is never forwarded */
	/* Borrowed for life (reservation_keeper.h); NULL: reservations live in memory, APTPL is
	 * refused. */
	struct reservation_keeper *reservation_keeper;
	/* May be NULL. A command waits while the LUN is ON_DEMAND. Any thread, under a lock of the
	 * LUN: not after the call that ended that state has returned. */
	void (*wanted)(void *argument);
	void *wanted_argument;
};

/* One line of REPORT TARGET PORT GROUPS. */
enum alua_state {
	ALUA_OPTIMIZED = 0,
	ALUA_NON_OPTIMIZED = 1,
	ALUA_STANDBY = 2,
	ALUA_UNAVAILABLE = 3,
	ALUA_TRANSITIONING = 15,
};
struct port_group {
	uint16_t tag; /* group id = relative target port = portal group tag */
	enum alua_state state;
	bool leaves; /* unavailable to those who have another path: lun_set_other_paths() */
};

int lun_new(const struct lun_config *config, struct lun **ret_lun) MUST_CHECK;
struct lun *lun_get(struct lun *lun);
/* The last put frees it; it must be without backend then. NULL is fine. Any thread. */
void lun_put(struct lun *lun);

const char *lun_name(const struct lun *lun);
const char *lun_wwn(const struct lun *lun);
enum lun_state lun_get_state(const struct lun *lun);

/* The calls below change a LUN while nexuses use it. Any thread but not two at once for one LUN. */

/* Puts a backend under the LUN (borrowed until lun_quiesce's callback) and makes it READY;
 * establishes 06/2A/09 on every nexus that saw it opening. */
void lun_serve(struct lun *lun, struct backend *backend);
/* The epoch of this gateway's ownership, before lun_serve(). Commands from other gateways name it.
 */
void lun_set_epoch(struct lun *lun, uint64_t epoch);
/* Changes the state; from READY only by lun_quiesce(), to FORWARDED only by lun_forward(). Commands
 * that are held go on, or end, as the new state says. */
void lun_set_state(struct lun *lun, enum lun_state state);
/* While FAILED: its owner lives, but cannot be reached, and may have commands in execution. Before
 * the state is set. */
void lun_set_unreachable(struct lun *lun, bool unreachable);
/* Another gateway owns it. From any state but READY; also from FORWARDED, with another route. */
void lun_forward(struct lun *lun, const struct lun_route *route);
void lun_get_route(const struct lun *lun, struct lun_route *ret_route);
uint64_t lun_get_epoch(const struct lun *lun);
/* The ownership of that epoch is over for certain, as a later one serves the LUN, here or at
 * another gateway. Any thread. */
bool lun_is_past(struct lun *lun, uint64_t epoch);
/* What is known of the medium while it is not served here (the image is open, but not ours):
 * INQUIRY tells it. Not while READY. */
struct backend_info;
void lun_describe(struct lun *lun, const struct backend_info *info);
/* Stops handing requests to the backend: new commands are answered as `state` says, those in flight
 * are waited for. quiesced() is called on any thread when none is left; the backend is the caller's
 * again then. */
void lun_quiesce(struct lun *lun, enum lun_state state, void (*quiesced)(void *argument),
                 void *argument);
/* The backend's size has changed (backend_refresh was called): 06/2A/09 on every nexus. */
void lun_resized(struct lun *lun);
/* New read_only or limits; identity never changes. */
int lun_change(struct lun *lun, const struct lun_config *config) MUST_CHECK;
/* The port groups as all gateways agree on; 06/2A/06 on every nexus that is told another state. */
int lun_set_port_groups(struct lun *lun, const struct port_group *groups, size_t count) MUST_CHECK;
/* Who has a path through another gateway; likewise. A reference is taken. */
struct other_paths;
void lun_set_other_paths(struct lun *lun, struct other_paths *paths);
/* Who is logged in at this gateway and has this LUN. Under a lock of it. */
void lun_visit_ports(struct lun *lun,
                     void (*visit)(void *argument, const char *initiator, const char *target),
                     void *argument);

struct lun_counters {
	uint64_t reads, writes, read_bytes, write_bytes, others, errors;
	uint32_t nexuses, in_flight;
	uint32_t held;           /* commands that wait for the end of a change of ownership */
	uint32_t relayed;        /* that are with the owner now, and not answered */
	uint64_t forwarded;      /* commands that went to the owner */
	uint64_t last_own_io_ms; /* clock_monotonic_ms() of the last medium command from a session
	                          * of this gateway (not from peers); 0: never */
};
void lun_get_counters(const struct lun *lun, struct lun_counters *ret_counters);

/* A request that the backend has not answered yet. */
struct lun_request {
	uint64_t since_ms;       /* clock_monotonic_ms(); 0: there is none */
	uint64_t offset, length; /* bytes */
};
/* Any thread, cheap. False: there is none for certain. */
bool lun_has_requests(const struct lun *lun);
/* On `origin`, where found() comes, never inside: the oldest of those that have a range. -ENOMEM.
 */
struct reactor;
int lun_find_oldest(struct lun *lun, struct reactor *origin,
                    void (*found)(void *argument, const struct lun_request *oldest),
                    void *argument) MUST_CHECK;
