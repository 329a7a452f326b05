/* A whole iSCSI server on loopback: two reactor threads, one target with one LUN on a disk in
 * memory whose requests a test can hold, and more LUNs on the same memory if asked for. */
#pragma once

#include "backend/backend.h"
#include "base/reactor.h"
#include "iscsi/server.h"
#include "raw_iscsi.h"
#include "scsi/lun.h"
#include "test.h"

#include <pthread.h>
#include <stdatomic.h>

#define RIG_TARGET    "iqn.2003-01.test:disks"
#define RIG_INITIATOR "iqn.1994-05.test:one"
#define RIG_OTHER     "iqn.1994-05.test:two"
#define RIG_BLOCK     512u
#define RIG_BYTES     (16u << 20)
#define RIG_REACTORS  2
#define RIG_LUNS      9
#define HELD_MAX      256

struct rig {
	struct reactor *reactors[RIG_REACTORS];
	struct iscsi_server *server;
	struct iscsi_limits limits;
	struct lun *lun, *luns[RIG_LUNS]; /* the first of luns is lun */
	char address[PORTAL_TEXT_MAX];    /* to connect to */
	char portal[PORTAL_TEXT_MAX];     /* of the configuration, if it differs */

	/* For the next rig_apply(). */
	struct iscsi_controls controls;
	bool ready, with_lun, with_acl, with_target, loaded;
	unsigned lun_count; /* 1 */
	uint16_t tag;       /* of the portal group; 1 */
	const char *user, *secret;

	/* The disk. */
	struct backend backend, others; /* of the first LUN; of all others */
	bool others_hang;               /* as well, when requests are kept */
	uint8_t *memory;
	pthread_mutex_t lock;
	bool hold; /* under the lock, as what follows */
	struct io *held[HELD_MAX];
	unsigned held_count, writes;
	/* The frozen reactors. */
	struct freeze {
		struct message message;
		struct rig *rig;
	} freezes[RIG_REACTORS];
	atomic_uint frozen;
	atomic_bool thaw;

	atomic_uint applying; /* configurations that are not in force yet */
	atomic_bool stopped;
	bool stopping;
	struct error apply_error;
};

/* Ready to apply; change limits and controls first if need be. */
struct rig *rig_new(void);
/* Starts the server (once) and applies what the fields say; waits for it. */
void rig_apply(struct rig *rig);
/* Like it, without waiting: rig->applying becomes 0. */
void rig_apply_start(struct rig *rig);
/* Begins to stop the server: rig->stopped becomes true. */
void rig_stop_start(struct rig *rig, unsigned grace_ms);
/* Stops the server, which must leave nothing behind. */
void rig_free(struct rig *rig);
DEFINE_AUTO(rig);

/* The clock by which the age of commands is told: it stands still unless it is moved. */
void rig_advance(unsigned ms);
/* No reactor turns, until it may again. */
void rig_freeze(struct rig *rig);
void rig_thaw(struct rig *rig);

/* Requests are kept from now on. */
void rig_hold(struct rig *rig);
/* Requests that are kept right now. */
unsigned rig_held(struct rig *rig);
/* Waits until at least count are kept. */
void rig_wait_held(struct rig *rig, unsigned count);
/* Carries out what is kept and keeps nothing more. */
void rig_release(struct rig *rig);
unsigned rig_writes(struct rig *rig);
/* Logged in sessions. */
size_t rig_sessions(struct rig *rig);
void rig_wait_sessions(struct rig *rig, size_t count);

/* Connects and logs in as RIG_INITIATOR; the unit attention of a new nexus is taken. */
void rig_login(struct rig *rig, struct raw *raw, uint8_t isid, const char *keys);

/* Polls until condition, or fails the test. */
#define EVENTUALLY(condition)                                                \
	do {                                                                 \
		uint64_t until_ = clock_monotonic_ms() + RAW_TIMEOUT_MS;     \
		while (!(condition)) {                                       \
			if (clock_monotonic_ms() > until_)                   \
				fail_msg("never came true: %s", #condition); \
			sched_yield();                                       \
		}                                                            \
	} while (0)
