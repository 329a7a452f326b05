/* Tasks that wait for the next state of their LUN, in order of arrival, and those whose fate nobody
 * knows: docs/availability.md. */
#include "base/log.h"
#include "scsi/execute.h"
#include "scsi/walk.h"

#define HOLD_MAX_MS 3000 /* initiators give a path up after 5 s at the earliest */

void hold_add(struct scsi_task *task)
{
	assert(task->state.phase < TASK_ENDED && task->state.phase != TASK_HELD);
	task->state.phase = TASK_HELD;
	task->state.checked = 0;
	counter_add(&task->state.itl->counters.held, 1);
}

void hold_remove(struct scsi_task *task)
{
	assert(task->state.phase == TASK_HELD);
	task->state.phase = TASK_RUNNING;
	counter_add(&task->state.itl->counters.held, -1);
}

/* Its initiator may soon turn to another path, and repeat it there: it must not come after that
 * (H35). */
bool hold_is_over(const struct reactor *reactor, uint64_t started_ms)
{
	return reactor_now_ms(reactor) - started_ms >= HOLD_MAX_MS;
}

/* The LUN says BUSY earlier, unless its state changes again and again. */
bool hold_too_long(const struct scsi_task *task)
{
	return !task->state.unknown && hold_is_over(task->nexus->reactor, task->state.started_ms);
}

void hold_tell_busy(struct scsi_task *task)
{
	task->state.inside = true;
	task_end_status(task, SCSI_BUSY);
	task->state.inside = false;
}

/* ---- unknown fate ---- */

/* What it did, if it was executed, is still there. */
static bool has_effect(const struct scsi_task *task)
{
	return opcode_changes(task->state.opcode);
}

/* Whether the owner that had it is over for certain: another ownership has begun, or it was our
 * own, which is drained before the LUN is ON_DEMAND. */
static bool is_settled(const struct scsi_task *task, uint64_t situation)
{
	struct lun_route route;
	switch (situation_state(situation)) {
	case LUN_READY:
		return situation != task->state.sent;
	case LUN_FORWARDED:
		return lun_route_now(task_lun(task), &route) &&
		       route.epoch > task->state.sent_epoch;
	case LUN_ON_DEMAND:
		return task->state.sent_epoch == lun_get_epoch(task_lun(task));
	default:
		return false;
	}
}

enum alua_verdict hold_decide(struct scsi_task *task, uint64_t situation)
{
	if (!is_settled(task, situation))
		return ALUA_HELD;
	if (task->state.abort != ABORT_NOT) {
		task_end_status(task, SCSI_TASK_ABORTED);
		return ALUA_ENDED;
	}
	/* It is not repeated: since it was executed, perhaps, others may have written. */
	if (has_effect(task)) {
		task_end_check(task, SENSE_COMMUNICATION_FAILURE);
		return ALUA_ENDED;
	}
	task->state.unknown = false;
	/* Its initiator may have gone to the gateway that took the LUN: it says whether it has not.
	 */
	if (situation_state(situation) == LUN_ON_DEMAND && !task->nexus->proxy) {
		task_end_status(task, SCSI_BUSY);
		return ALUA_ENDED;
	}
	return ALUA_SERVED;
}

/* When the initiator is gone nothing is said, so nothing can be said too early. */
bool hold_may_abort(const struct scsi_task *task)
{
	return !task->state.unknown || !has_effect(task) || itl_ending(task->state.itl);
}

static void tell_unknown(const struct scsi_task *task)
{
	log_limited(
	        LOG_LEVEL_WARNING, 10000,
	        "%s: %s of %s may have been executed: not answered before another owner is known",
	        task_lun(task)->name, task->state.opcode->name, task->nexus->initiator_name);
}

void hold_unknown(struct scsi_task *task, uint64_t epoch)
{
	struct itl *itl = task->state.itl;
	if (has_effect(task))
		tell_unknown(task);
	task->state.unknown = true;
	task->state.sent_epoch = epoch;
	if (task->state.abort != ABORT_NOT && hold_may_abort(task)) {
		task_end_status(task, SCSI_TASK_ABORTED);
		return;
	}
	task_leave(task);
	hold_add(task);
	hold_rewind(task);
	walk_task_gone(itl); /* who waited for it to leave the backend */
	if (lun_situation(itl->lun) != task->state.sent)
		itl_wake(itl);
}

void hold_rewind(struct scsi_task *task)
{
	if (task->state.scratch)
		buffer_put(steal(&task->state.scratch));
	if (task->state.opcode->data == DATA_IN)
		buffer_put(steal(&task->data));
	task->state.position = 0;
	task->status = SCSI_GOOD;
	task->sense_len = 0;
	task->data_in_len = 0;
	task->residual_kind = SCSI_NO_RESIDUAL;
	task->residual = 0;
}

/* ---- waking ---- */

/* What the owner did not execute waits for another one, or for news of this one. */
static bool is_due(const struct scsi_task *task)
{
	return !task->state.refused || lun_situation(task_lun(task)) != task->state.sent;
}

/* Whoever serves the LUN by now: this reactor may have hung, or been frozen, since it was to wait.
 */
static void go_on(struct scsi_task *task)
{
	hold_remove(task);
	if (hold_too_long(task))
		hold_tell_busy(task);
	else
		task_enable(task);
}

static void run_wake(struct message *message)
{
	struct itl *itl = container_of(message, struct itl, wake);
	/* What changes from now on posts the message again. */
	(void)atomic_exchange(&itl->wake_posted, false);
	/* The commands that it concerns were taken off when it came. The others are later ones: at
	 * the owner they must come behind it, or it would end them. */
	management_wake(itl);
	struct scsi_task *task;
	list_for_each (task, &itl->tasks, state.link) {
		if (task->state.phase != TASK_HELD || !is_due(task))
			continue;
		task->state.refused = false;
		go_on(task);
	}
	task_start_queued(itl); /* the predecessors of its nexus may have ended */
	itl_put(itl);
}

void itl_wake(struct itl *itl)
{
	if (atomic_exchange(&itl->wake_posted, true))
		return;
	(void)itl_get(itl);
	itl->wake.run = run_wake;
	reactor_post(itl->reactor, &itl->wake);
}
