/* Changes of a LUN's reservations, one after the other: a command gets the turn, changes a draft,
 * the draft is saved, and only then it is in force. Commands about reservations wait for their turn
 * in order; what was not saved has never been seen by anybody. */
#pragma once

#include "base/auto.h"
#include "base/list.h"
#include "base/reactor.h"
#include "scsi/reservation.h"

#include <stdbool.h>

struct itl;
struct lun;
struct reservation_keeper;
struct scsi_task;

/* Whom a change concerns. */
struct reservation_effect {
	struct list link;
	struct registration registration; /* its nexuses; a copy */
	uint32_t code;                    /* unit attention: enum sense_code */
	bool abort;                       /* their tasks are to be aborted: itl->preempted */
};

/* A change under way; on the heap. */
struct reservation_change {
	struct reservations draft;
	struct list effects;
	struct list notices;      /* unit attentions that will be raised, by nexus */
	const struct itl *sender; /* is told nothing */
	struct scsi_task *task;
	char *text; /* being saved */
	bool was_dirty;
};

/* Somebody has something to say that an owner of the past must not: it waits until what changed
 * without a command is kept, or, if nothing did, until it is certain that nobody else was the owner
 * when it began to wait. */
struct reservation_proof {
	void (*done)(struct reservation_proof *proof);
	struct reactor *reactor;
	/* 0; -ECANCELED, -ESHUTDOWN: the next owner does it; other: not kept, and not to be. */
	int result;
	struct message message;
	struct list link;
};

/* Of each LUN. Guarded by lun->lock. */
struct reservation_queue {
	struct reservation_keeper *keeper; /* constant; may be NULL */
	struct list waiting;               /* scsi_task.state.turn */
	bool busy;                         /* somebody has the turn */
	bool dirty;                        /* changed without a save: to be saved soon */
	bool unsaved;                      /* likewise, and that failed: with the next save */
	bool asked;                        /* the keeper, by who has the turn, without a command */
	bool lost;                         /* there is another owner: the state is void */
	struct reservation_change *change; /* being saved */
	char *text;                        /* being saved without a command */
	struct list proofs, proving;       /* struct reservation_proof: waiting; under way */
	struct list notices;               /* struct reservation_notice: not reported yet */
	size_t notice_count;
};

void reservation_queue_init(struct reservation_queue *queue, struct reservation_keeper *keeper);
void reservation_queue_done(struct reservation_queue *queue);

/* step() runs with the turn, on the task's reactor, maybe inside; or the task is ended (aborted
 * meanwhile) or held (ownership lost). */
void reservation_turn_take(struct scsi_task *task, void (*step)(struct scsi_task *task));
/* Of what the keeper says: there is another owner, perhaps. */
bool reservation_means_lost(int result);
/* Passes the turn on. */
void reservation_turn_end(struct lun *lun);
/* With the turn: a draft of what is in force now; NULL: no memory. */
struct reservation_change *reservation_change_new(struct lun *lun, const struct itl *sender);
void reservation_change_free(struct reservation_change *change);
DEFINE_AUTO(reservation_change);
/* Remembers what the nexuses of a registration meet when the change is in force. -ENOMEM. */
int reservation_change_tell(struct reservation_change *change,
                            const struct registration *registration, uint32_t code,
                            bool abort) MUST_CHECK;
/* With the turn, which ends here: saves the change (taken) and puts it in force. then() comes on
 * the task's reactor, maybe inside, with 0 or as reservation_keeper.save says. */
void reservation_commit(struct scsi_task *task, struct reservation_change *change,
                        void (*then)(struct scsi_task *task, int result));
/* With the turn, which stays: what is in force is the truth. then() as above. */
void reservation_confirm(struct scsi_task *task, void (*then)(struct scsi_task *task, int result));
/* With the turn, which ends here: nothing is to be changed. say() ends the task, if what is in
 * force is the truth (a fence would not keep an owner of the past from saying it); else the next
 * owner does it. */
void reservation_end_unchanged(struct scsi_task *task, void (*say)(struct scsi_task *task));
/* It was not executed, for sure: the next owner does it. */
void reservation_leave(struct scsi_task *task);
/* Ends a task whose change was not saved. */
void reservation_end_failed(struct scsi_task *task, int result);

/* ---- what happens without a command; with lun->lock held ---- */

/* A nexus is lost (it is off the LUN's list): its RESERVE(6) ends. */
void reservation_detached(struct lun *lun, const struct itl *itl);
/* Logical unit reset: any RESERVE(6) ends. */
void reservation_reset(struct lun *lun);

/* Without the lock, after each of these and of reservation_notice.h's: saves what they changed, if
 * nobody has the turn. */
void reservation_save_soon(struct lun *lun);
/* Without the lock: true if it is still to be found out; proof->done comes then, on proof->reactor,
 * never inside. Else proof->result is there. */
bool reservation_prove(struct lun *lun, struct reservation_proof *proof) MUST_CHECK;
