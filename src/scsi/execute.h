/* What the handlers of commands call: how a task moves data and how it ends. A task ends exactly
 * once: by one of the task_* functions that say so. On the task's reactor. */
#pragma once

#include "backend/backend.h"
#include "scsi/lun_private.h"
#include "scsi/nexus_private.h"
#include "scsi/opcode.h"
#include "scsi/sense.h"
#include "scsi/task.h"

#include <assert.h>

enum task_phase {
	TASK_BEGINNING,
	TASK_COLLECTING, /* the transport brings its data */
	TASK_QUEUED,  /* waits for older tasks [SAM-5 8], or those of a predecessor: succession.h */
	TASK_LOCKING, /* waits for its range */
	TASK_HELD,    /* waits for the next state of the LUN: hold.c */
	TASK_RELAYED, /* is with the relay: forward.c */
	TASK_RUNNING,
	TASK_ENDED, /* done() will come in this turn */
	TASK_DONE,
};

enum task_abort {
	ABORT_NOT,
	ABORT_SILENT, /* by its own nexus: no status */
	ABORT_STATUS, /* by another nexus: TASK ABORTED (TAS=1) */
};

static inline struct lun *task_lun(const struct scsi_task *task)
{
	assert(task->state.itl); /* handlers run on LUNs only */
	return task->state.itl->lun;
}

/* ---- ends ---- */

/* With the result as it stands in the task. */
void task_end(struct scsi_task *task);
/* A peer's command that cannot be served here. */
void task_end_not_executed(struct scsi_task *task);
void task_end_good(struct scsi_task *task);
/* A status without sense data. */
void task_end_status(struct scsi_task *task, enum scsi_status status);
void task_end_check(struct scsi_task *task, enum sense_code code);
void task_end_detail(struct scsi_task *task, enum sense_code code,
                     const struct sense_detail *detail);
/* With INFORMATION: an LBA or an offset. */
void task_end_information(struct scsi_task *task, enum sense_code code, uint64_t information);
/* INVALID FIELD IN CDB, or in the parameter list; bit 8: the whole byte. */
void task_end_bad_cdb(struct scsi_task *task, uint16_t byte, uint8_t bit);
void task_end_bad_list(struct scsi_task *task, uint16_t byte, uint8_t bit);
/* Resources are short: TASK SET FULL if the nexus has other commands here, else BUSY. */
void task_end_full(struct scsi_task *task);
/* A backend error. */
void task_end_failed(struct scsi_task *task, int result);
/* Takes the task off: marks it, and ends it unless the backend has it. Never calls done(). */
void task_abort(struct scsi_task *task, enum task_abort how);

/* ---- data-in ---- */

/* A zeroed buffer of max_len bytes for the answer; NULL: no memory, the task has been ended. */
uint8_t *task_reply_start(struct scsi_task *task, size_t max_len);
/* The answer is len bytes long: cut to allocation length and EDTL. Ends with GOOD. */
void task_reply_end(struct scsi_task *task, uint64_t len);

/* ---- the backend ---- */

/* A buffer that lives as long as the task (one a task); NULL: no memory, the task has been ended.
 */
uint8_t *task_scratch(struct scsi_task *task, size_t len);
/* One request at a time. then() comes with 0 or a negative errno, not if the task was aborted. */
void task_io(struct scsi_task *task, enum io_op op, unsigned flags, uint64_t offset,
             uint64_t length, void *data, void (*then)(struct scsi_task *task, int result));
/* The same from two pieces of memory. */
void task_io2(struct scsi_task *task, enum io_op op, unsigned flags, uint64_t offset,
              struct iovec first, struct iovec second,
              void (*then)(struct scsi_task *task, int result));
/* Writes the data of a task to its LBA: read_write.c. */
void write_then(struct scsi_task *task, void (*written)(struct scsi_task *task, int result));
/* IO_FUA if the CDB asks for it. */
unsigned task_fua(const struct scsi_task *task);

/* ---- between the files of the room ---- */

/* All checks before data move; false: the task has been ended. */
bool task_admit(struct scsi_task *task);
/* The checks that hold at the moment a task is started, with the LUN entered; false: ended. */
bool task_readmit(struct scsi_task *task);
/* Starts a task, or lets it wait, as the state of the LUN says. On its way again: the same. */
void task_enable(struct scsi_task *task);
/* Gives back what a task has of the LUN: its range, its place among those in the backend. */
void task_leave(struct scsi_task *task);
/* Starts the tasks that waited for older ones of this itl. */
void task_start_queued(struct itl *itl);

/* What becomes of a command now: alua.c. */
enum alua_verdict {
	ALUA_ENDED,     /* it has been ended */
	ALUA_LOCAL,     /* about identity or access states: runs in every state */
	ALUA_SERVED,    /* the LUN is served here */
	ALUA_BESIDE,    /* it is not, but this command runs all the same [SPC-4 5.16.2] */
	ALUA_HELD,      /* waits for the next state */
	ALUA_FORWARDED, /* goes to the owner */
};
enum alua_verdict alua_decide(struct scsi_task *task);

/* ---- hold.c: tasks that wait for the next state of their LUN ---- */

void hold_add(struct scsi_task *task);
/* The task goes on, or ends. */
void hold_remove(struct scsi_task *task);
/* It has waited so long that it must end: BUSY. */
bool hold_too_long(const struct scsi_task *task);
/* Ends it with BUSY; it stays among the tasks of its itl until this call of the reactor is over. */
void hold_tell_busy(struct scsi_task *task);
/* The same of a request that came at started_ms. */
bool hold_is_over(const struct reactor *reactor, uint64_t started_ms);
/* It was handed to an owner (a backend, a peer) that is gone: executed or not, nobody can tell. It
 * gives back what it has of the LUN, and waits until it is certain that it will not execute any
 * more. `epoch`: of that owner. */
void hold_unknown(struct scsi_task *task, uint64_t epoch);
/* Nothing of a former try is left in it. */
void hold_rewind(struct scsi_task *task);
/* Of a task of unknown fate: SERVED when it may go on as if it had just come, HELD, or ENDED. */
enum alua_verdict hold_decide(struct scsi_task *task, uint64_t situation);
/* Whether an aborted task may end: its fate is known, or nobody is left to be told. */
bool hold_may_abort(const struct scsi_task *task);

/* ---- forward.c: tasks that run at the owner ---- */

/* False: the LUN is not FORWARDED any more. */
bool forward_begin(struct scsi_task *task);
/* An aborted task: asks the owner to take it off. */
void forward_cancel(struct scsi_task *task);

/* ---- conflict.c ---- */

/* A reservation forbids it: ends with RESERVATION CONFLICT, if this gateway is the owner still. */
void conflict_end(struct scsi_task *task);

/* ---- task_management.c ---- */

/* The state of the LUN has changed, or the itl is leaving: its requests that waited go on. */
void management_wake(struct itl *itl);
