/* What the device server itself knows of a logical unit and of the I_T_L nexuses that use it.
 *
 * Lock order: lun->lock, then lun->ranges.lock. Neither is held while a handler, a transport or a
 * backend is called. */
#pragma once

#include "backend/backend.h"
#include "base/list.h"
#include "base/reactor.h"
#include "scsi/lun.h"
#include "scsi/other_paths.h"
#include "scsi/range_lock.h"
#include "scsi/reservation.h"
#include "scsi/reservation_turn.h"
#include "scsi/unit_attention.h"

#include <pthread.h>
#include <stdatomic.h>

struct nexus;
struct scsi_task;

/* A state of a LUN and how many there have been before it, in one word that is read at once: the
 * same state after another one is another situation. Never 0 while READY. */
#define SITUATION_STATE_BITS 8
static inline enum lun_state situation_state(uint64_t situation)
{
	return (enum lun_state)(situation & ((1u << SITUATION_STATE_BITS) - 1));
}

/* Commands in the backend and bytes reserved, in one number, so that one atomic does. */
#define LOAD_COMMAND ((uint64_t)1 << 44)
#define LOAD_BYTES   (LOAD_COMMAND - 1)

#define LUN_MAX_PORT_GROUPS 64

struct lun {
	atomic_uint references;
	char *name, *wwn, *vendor_id;
	uint32_t block_size;
	unsigned block_shift;

	/* Read by every command without a lock; written with `lock` held. */
	_Atomic uint64_t situation; /* `backend` is valid while READY */
	_Atomic uint64_t epoch;     /* of this gateway's ownership */
	_Atomic uint64_t blocks;
	_Atomic uint32_t max_sectors;
	_Atomic uint64_t max_inflight_bytes;
	atomic_bool read_only;   /* of the configuration or the backend */
	atomic_bool unreachable; /* lun_set_unreachable() */
	struct backend *backend;
	struct relay *relay;            /* constant; NULL: never forwarded */
	void (*wanted)(void *argument); /* constant, as the next */
	void *wanted_argument;

	struct range_lock ranges;

	pthread_mutex_t lock; /* guards all that follows, and every itl's attentions */
	struct list itls;     /* itl.lun_link */
	size_t itl_count;
	bool configured_read_only;
	bool was_opening;         /* nexuses may have seen it so: not told yet that it is over */
	struct lun_route route;   /* while FORWARDED */
	struct backend_info info; /* as last seen */
	bool described;           /* it was seen */
	struct port_group groups[LUN_MAX_PORT_GROUPS];
	size_t group_count;
	struct other_paths *other_paths; /* NULL: nobody has any */
	struct reservations reservations;
	struct reservation_queue reservation_queue;
	struct lun_counters retired; /* of nexuses that are gone */
	void (*quiesced)(void *argument);
	void *quiesced_argument;

	_Alignas(64) _Atomic uint64_t load;
	atomic_bool quiescing;
};

/* Counters of one nexus: written by its reactor only, read by anyone. */
struct itl_counters {
	_Atomic uint64_t reads, writes, read_bytes, write_bytes, others, errors, forwarded;
	_Atomic uint64_t held;       /* now */
	_Atomic uint64_t relayed;    /* now */
	_Atomic uint64_t last_io_ms; /* of a medium command; not of proxies */
};
static inline void counter_add(_Atomic uint64_t *counter, int64_t n)
{
	uint64_t was = atomic_load_explicit(counter, memory_order_relaxed);
	atomic_store_explicit(counter, was + (uint64_t)n, memory_order_relaxed);
}

/* An I_T_L nexus: one LUN as one nexus sees it. Lives on the reactor of the nexus but for the
 * fields that say otherwise. */
struct itl {
	atomic_uint references;
	struct nexus *nexus; /* NULL: detached */
	struct reactor *reactor;
	struct lun *lun;
	uint16_t number;
	bool proxy; /* constant: of a proxy nexus */
	bool prevents_removal;
	bool has_queued; /* a task waits for older ones */
	atomic_bool read_only;
	atomic_bool preempted; /* lost its registration: its tasks are to be aborted */
	/* Not in the map of its nexus any more: gone when its last task has ended. Written on the
	 * reactor, with lun->lock held. */
	bool leaving;
	/* Older ones of the same nexus that are leaving: succession.h. Written with lun->lock held.
	 */
	atomic_uint behind;
	struct timer patience; /* of tasks that wait for them */
	unsigned ordered;      /* ORDERED tasks in `tasks` */
	struct list tasks;     /* begun and not done, in order of arrival */
	struct list visits;    /* of walks that wait for tasks */
	struct list shares;    /* of task management that waits for the state of the LUN */
	unsigned relaying;     /* shares of task management that are with the relay or the keeper */
	struct message wake;   /* the state of the LUN has changed; holds a reference */
	atomic_bool wake_posted;
	struct list link; /* in nexus->leaving */
	struct itl_counters counters;

	/* Of the owner that has had a command of it, and so knows it. */
	_Atomic uint64_t relayed_epoch;
	/* lun->lock. 1: a new size was seen at this gateway, and the owner has not told it; -1: the
	 * owner has told one that was not seen here yet. */
	int size_owed;
	bool told_blindly;        /* lun->lock: of the backend, before that was seen */
	struct ua_set attentions; /* lun->lock */
	struct list lun_link;     /* lun->lock */
	/* What reservations of others forbid now (RESERVED_*); written with lun->lock held, read
	 * by every command. */
	_Atomic uint32_t reserved;
	const struct reservation_port *port; /* of the nexus: valid while attached */
};

void itl_put(struct itl *itl);
static inline struct itl *itl_get(struct itl *itl)
{
	(void)atomic_fetch_add(&itl->references, 1);
	return itl;
}

/* Makes an itl known to its LUN: it shares reservations and unit attentions from now on. */
void lun_attach(struct lun *lun, struct itl *itl);
/* On the itl's reactor, without tasks. Ends what does not survive the loss of a nexus. */
void lun_detach(struct itl *itl);

/* Any thread: its held tasks are looked at again, on its reactor, never inside. */
void itl_wake(struct itl *itl);

/* A unit attention for every nexus, with lun->lock held. */
void lun_attention_locked(struct lun *lun, enum sense_code code);
enum sense_code itl_take_attention(struct itl *itl);
void itl_remove_attention(struct itl *itl, enum sense_code code);
void itl_add_attention(struct itl *itl, enum sense_code code);
/* The owner of the LUN has told it of a new size. */
void itl_told_size(struct itl *itl);

/* Back to what a logical unit reset leaves [SAM-5 6.3.3]; to be saved by a reservation_proof. */
void lun_reset(struct lun *lun);
void lun_copy_info(struct lun *lun, struct backend_info *ret_info);
/* The same to tell it: if it is not known yet, this nexus hears 06/3F/03 when it is. */
void itl_copy_info(struct itl *itl, struct backend_info *ret_info);

/* Blocks can be unmapped and read as zero then (LBPME, LBPRZ). */
bool lun_is_thin(struct lun *lun);

/* Counts bytes against max_inflight_bytes; false: too many. One transfer always fits. */
bool lun_reserve(struct lun *lun, uint32_t bytes);
/* Counts a command that is about to use the backend or the shared state: neither goes before it
 * leaves. 0: the LUN is not served; else the situation. */
uint64_t lun_enter(struct lun *lun);
/* The end of both; `entered` and `bytes` as they were counted. */
void lun_leave(struct lun *lun, bool entered, uint32_t bytes);
static inline uint64_t lun_commands(const struct lun *lun)
{
	return atomic_load(&lun->load) / LOAD_COMMAND;
}

static inline uint64_t lun_situation(const struct lun *lun)
{
	return atomic_load_explicit(&lun->situation, memory_order_acquire);
}
/* A command of it waits: says so if it is ON_DEMAND. */
void lun_want(struct lun *lun);
/* It is not served, and commands of any nexus may be in execution at its owner. */
bool lun_is_owned_elsewhere(const struct lun *lun);
/* The route, and the situation in which it holds; 0: the LUN is not FORWARDED. */
uint64_t lun_route_now(struct lun *lun, struct lun_route *ret_route);

static inline uint64_t lun_blocks(const struct lun *lun)
{
	return atomic_load_explicit(&lun->blocks, memory_order_relaxed);
}
static inline uint64_t lun_bytes_of(const struct lun *lun, uint64_t blocks)
{
	return blocks << lun->block_shift;
}
