/* Between disk.c (what is wanted and what is), disk_action.c (what is done), disk_image.c (opening
 * and closing), disk_take.c (ownership) and disk_keeper.c (reservations). */
#pragma once

#include "scsi/reservation_keeper.h"
#include "target/disk.h"
#include "target/job.h"

#include "backend/backend.h"

#include <stdatomic.h>

#define DISK_AWAIT_MS 10000 /* logins wait for the first opening */

enum phase {
	CLOSED,  /* no image */
	OPEN,    /* the image is open, and not ours */
	SERVED,  /* ours: the LUN has it */
	DRAINED, /* taken from the LUN; the lock and the record may still be ours */
};

struct disk {
	struct disk_host *host;
	char *pool, *image, *path; /* path: file backends */
	struct lun *lun;

	struct disk_order order;
	bool order_is_old;      /* another record has come since: nothing is taken by it */
	uint64_t role_since_ms; /* order.role */
	bool marked;
	char next[GATEWAY_NAME_MAX]; /* order.next */
	bool gone_wanted;
	enum phase phase;
	bool busy;        /* an action is under way */
	bool record_away; /* that takes or gives, and has job_record */
	bool settled;
	bool was_in_service; /* served or forwarded by this process before */
	bool resize_wanted;  /* look at the size when idle */
	bool resized;        /* what the look found */
	struct error problem;
	unsigned retry_ms;
	uint64_t fails_since_ms; /* to serve, as it was ordered to; 0: it does not fail */
	struct timer retry;
	struct timer awaited;  /* armed: logins wait for the first opening */
	struct timer held;     /* HELD -> BUSY -> TRANSITIONING */
	uint64_t forwarded_ms; /* FORWARDED: when commands were sent there (again) */
	uint64_t route_since_ms;

	struct owner_record record; /* as last seen; without text while a job takes or gives */
	uint64_t seen_ms;
	uint64_t errors_known; /* UNAVAILABLE: commands refused, as of the last question */
	struct {
		uint64_t epoch, since_ms; /* the owner said that it serves */
		bool kept;                /* and that it did until it gave the LUN back */
	} told;
	struct rollback rollback;  /* as last seen */
	uint64_t rollback_seen_ms; /* when this text came */
	uint64_t rollback_read_ms; /* looks that began before know less */
	bool rolled_back;          /* since it was taken last */
	struct demand_moves moves;
	bool requested;                   /* see disk_note_request(); since it was taken */
	char asked_for[GATEWAY_NAME_MAX]; /* who is to have it next; see disk_ask_for() */
	uint64_t asked_ms, asked_epoch;

	/* The action under way: set before it starts, read by its end. */
	struct job job;
	struct job_queue *jobs, *rollback_jobs; /* those take long, and keep nothing else waiting */
	struct backend *backend;
	struct cluster_client *client;
	bool own_client; /* of this image alone */
	bool lost_lock;  /* and has not taken it since */
	bool demanded;   /* since it was offered last */
	struct error job_error;
	struct owner_record job_record; /* of the job that takes or gives */
	struct rollback job_rollback;   /* of the job that takes or rolls back */
	bool rollback_changed;          /* by that job, or since it was decided */
	enum reservation_load load_due; /* by a take that failed; else HANDED_OVER */
	bool close_wanted, others_up, on_demand, released;
	bool superseded;            /* what was to be released was another's already */
	bool kept;                  /* released: served until then, and the lock given back well */
	uint64_t job_kept_since_ms; /* the last owner, until it gave it back; 0: unknown */
	uint64_t served_epoch;      /* the last one by which it was served here */
	bool lock_moves; /* the job takes it or gives it back, and the image stays open */
	bool stale;      /* another image has the name, or it is not primary: to be opened anew */
	uint64_t started_ms;
	char job_why[64], job_next[GATEWAY_NAME_MAX];
	struct message quiesced;

	/* Events, from any thread: flags, and one message to look at them. */
	struct backend_listener listener;
	atomic_bool event_resized, event_lost, event_doubted, event_wanted;
	atomic_bool event_posted;
	struct message event_message;
	atomic_bool lost;   /* the image is not ours any more: to be opened anew */
	atomic_bool fenced; /* and nothing more can be done with its client */
	bool doubted;       /* somebody changed what only the owner may change: take it anew */

	/* disk_try.c */
	bool looking;
	struct lun_request oldest;
	struct attempt {
		struct disk *disk; /* NULL: none is under way; else the image must stay open */
		struct io io;
		struct iovec iov;
		void (*done)(void *argument, int result);
		void *argument;
	} attempts[DISK_ASKER_COUNT];

	struct keeper {
		struct reservation_keeper ops;
		char *text; /* what stands in the store; NULL: no row */
		char *told; /* what should stand there, for the next to take the disk; or NULL */
		struct job job;
		const char *new_text; /* to be written; NULL: only to be confirmed */
		int result;
		void (*ended)(void *argument, int result);
		void *argument;
	} keeper;

	void (*closed)(void *argument);
	void *closed_argument;
};

/* disk.c */
void disk_step(struct disk *disk);
void disk_settle(struct disk *disk);
/* Posts the look at the event flags. Any thread. */
void disk_post_events(struct disk *disk);

/* disk_action.c: none is under way; each ends in disk_step(). */
void disk_start_open(struct disk *disk);
void disk_start_take(struct disk *disk);
void disk_start_refresh(struct disk *disk);
void disk_start_drain(struct disk *disk);
void disk_start_release(struct disk *disk, bool and_close);

/* disk_try.c: the image must stay open; the end of that steps on. */
bool disk_is_tried(const struct disk *disk);

/* disk_show.c: what commands meet while nobody serves. */
void disk_show_init(struct disk *disk);
void disk_hold(struct disk *disk);
void disk_show(struct disk *disk, enum lun_state state);
void disk_forward(struct disk *disk);
/* By the order, while the LUN is not served here. */
void disk_show_order(struct disk *disk);

/* disk_facts.c */
/* When the owner that has handed the LUN over had said that it serves (clock_monotonic_ms()), if it
 * has kept the LUN from then on; else 0. */
uint64_t disk_kept_since_ms(const struct disk *disk);

/* disk_demand.c: beside upstream gateways. */
/* A command waits for a LUN that is on demand. Any thread. */
void disk_wanted(void *disk);
/* It moved, or could not. */
void disk_note_move(struct disk *disk);
/* Nothing is taken again, or kept, without a new decision. */
void disk_end_demand(struct disk *disk);
/* It must be on a client of its own, or must not be any more. */
bool disk_on_wrong_client(const struct disk *disk);
/* A record that is still ours is given back while the LUN is not served. */
bool disk_gives_record(const struct disk *disk);
const char *disk_why_released(const struct disk *disk);

/* disk_image.c: workers' parts. On failure nothing stays open and disk->job_error says why. */
void disk_open_image(struct disk *disk);
void disk_close_image(struct disk *disk);
/* -ESTALE: the open image is not the one of the record [H24]. */
int disk_check_image(const struct disk *disk, const struct owner_record *record,
                     struct error *err) MUST_CHECK;

/* disk_take.c: workers' parts. The result is in disk->job_error. */
void disk_take(struct disk *disk);
void disk_release(struct disk *disk);
/* The mistake "no-drain" (target/planted.h), if it is planted. On the manager. */
void disk_plant_no_drain(struct disk *disk);

/* disk_rollback.c */
#define DISK_ROLLBACK_UNKNOWN                                                        \
	"nobody serves it: its row of a rollback is damaged, or of a later release " \
	"(docs/operation.md)"
/* It is to be rolled back before it is served. */
bool disk_is_rolled_back(const struct disk *disk);
/* What the job gets, before it, and what came of it, after it. -ENOMEM. */
int disk_lend_rollback(struct disk *disk) MUST_CHECK;
void disk_return_rollback(struct disk *disk);
/* Worker's part: the image, then the row. The result is in disk->job_error. */
void disk_roll_back(struct disk *disk);

/* disk_keeper.c */
void disk_keeper_init(struct disk *disk);
void disk_keeper_done(struct disk *disk);
/* Workers' parts. How the row changes for who takes the disk: it gets the new epoch, so that nobody
 * before us can change it any more, and loses what does not live on. A row of a later epoch than
 * ours, as after somebody has removed the record, raises ours above it. */
struct keeper_claim {
	char *key;
	char *before, *after; /* before NULL: no row */
};
int disk_keeper_claim(struct disk *disk, uint64_t *epoch, enum reservation_load how,
                      struct keeper_claim *ret_claim, struct error *err) MUST_CHECK;
/* The row is so now. */
void disk_keeper_claimed(struct disk *disk, struct keeper_claim *claim);
void keeper_claim_done(struct keeper_claim *claim);
#define AUTO_KEEPER_CLAIM __attribute__((cleanup(keeper_claim_done)))
/* What it says, into the LUN. */
int disk_keeper_load(struct disk *disk, enum reservation_load how, struct error *err) MUST_CHECK;
