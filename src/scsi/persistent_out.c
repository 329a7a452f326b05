/* PERSISTENT RESERVE OUT [SPC-4 6.16]: in its turn, saved before it is in force, and answered last.
 */
#include "base/bytes.h"
#include "scsi/execute.h"
#include "scsi/handlers.h"
#include "scsi/persistent.h"
#include "scsi/persistent_list.h"
#include "scsi/walk.h"

bool persistent_out_check(struct scsi_task *task)
{
	uint8_t action = task->state.opcode->service_action;
	bool registers = action == PERSISTENT_REGISTER || action == PERSISTENT_REGISTER_AND_IGNORE;
	bool moves = action == PERSISTENT_REGISTER_AND_MOVE;
	bool typed = !registers && !moves && action != PERSISTENT_CLEAR;
	bool scoped = task->cdb[2] >> 4;
	if (typed && (scoped || !reservation_type_valid(task->cdb[2] & 0x0f))) {
		task_end_bad_cdb(task, 2, scoped ? 7 : 3);
		return false;
	}
	uint32_t len = get_be32(task->cdb + 5);
	uint32_t least = moves ? PERSISTENT_LIST_MOVE_MIN : PERSISTENT_LIST_LEN;
	uint32_t most = moves || registers ? PERSISTENT_LIST_MAX : PERSISTENT_LIST_LEN;
	if (len < least || len > most) {
		task_end_check(task, SENSE_PARAMETER_LIST_LENGTH);
		return false;
	}
	return true;
}

/* ---- PREEMPT AND ABORT ---- */

/* The tasks of a nexus that lost its registration, but for the order itself. */
static void abort_arrive(void *argument, struct itl *itl)
{
	const struct scsi_task *order = argument;
	if (!atomic_exchange(&itl->preempted, false))
		return;
	struct scsi_task *task;
	list_for_each (task, &itl->tasks, state.link) {
		if (task != order)
			task_abort(task, itl->nexus == order->nexus ? ABORT_SILENT : ABORT_STATUS);
	}
}

/* A settled one may be an order of theirs that waits for this one. */
static bool abort_holds(const void *argument, const struct scsi_task *task)
{
	return task != argument && task->state.abort != ABORT_NOT && !task->state.settled;
}

static void aborted(void *argument)
{
	task_end_good(argument);
}

/* GOOD comes when no task of theirs can write any more: clusters fence by this. */
static void abort_preempted(struct scsi_task *task)
{
	static const struct walk_ops ops = { .arrive = abort_arrive,
		                             .holds = abort_holds,
		                             .finished = aborted };
	/* What it changes is done. Its victims may have to wait for the next ownership, which must
	 * not wait for it. */
	task_leave(task);
	task->state.settled = true;
	if (walk_lun(task_lun(task), task->nexus->reactor, &ops, task) < 0)
		task_end_check(task, SENSE_INTERNAL_FAILURE);
}

/* ---- the command ---- */

/* The change is in force, or nothing was to be changed. */
static void committed(struct scsi_task *task, int result)
{
	if (result < 0)
		reservation_end_failed(task, result);
	else if (task->state.opcode->service_action == PERSISTENT_PREEMPT_AND_ABORT)
		abort_preempted(task);
	else
		task_end_good(task);
}

static void say(struct scsi_task *task)
{
	switch ((enum persistent_result)task->state.verdict) {
	case PERSISTENT_GOOD:
		break; /* is said when it is saved */
	case PERSISTENT_UNCHANGED:
		task_end_good(task);
		return;
	case PERSISTENT_CONFLICT:
		task_end_status(task, SCSI_RESERVATION_CONFLICT);
		return;
	case PERSISTENT_BAD_KEY:
		task_end_bad_list(task, 8, 8);
		return;
	case PERSISTENT_BAD_PORT:
		task_end_bad_list(task, PERSISTENT_LIST_LEN, 8);
		return;
	case PERSISTENT_BAD_RELEASE:
		task_end_check(task, SENSE_INVALID_RELEASE);
		return;
	case PERSISTENT_NO_ROOM:
		task_end_check(task, SENSE_NO_REGISTRATION_RESOURCES);
		return;
	}
}

static void refuse_list(struct scsi_task *task, const struct persistent_fault *fault)
{
	if (fault->code == SENSE_INVALID_FIELD_IN_LIST)
		task_end_bad_list(task, fault->byte, fault->bit);
	else
		task_end_check(task, fault->code);
}

/* With the turn. */
static void carry_out(struct scsi_task *task)
{
	struct lun *lun = task_lun(task);
	struct persistent_order order = { 0 };
	struct persistent_fault fault;
	if (!persistent_list_parse(task, &order, &fault)) {
		reservation_turn_end(lun);
		refuse_list(task, &fault);
		return;
	}
	struct reservation_change *change = reservation_change_new(lun, task->state.itl);
	enum persistent_result result = PERSISTENT_NO_ROOM;
	/* A RESERVE(6) may have had its turn since this was checked. */
	if (change)
		result = change->draft.reserved ? PERSISTENT_CONFLICT
		                                : persistent_carry_out(change, &order);
	free(order.others);
	if (result == PERSISTENT_GOOD) {
		reservation_commit(task, change, committed);
		return;
	}
	reservation_change_free(change);
	task->state.verdict = (uint8_t)result;
	reservation_end_unchanged(task, say);
}

void persistent_out_run(struct scsi_task *task)
{
	reservation_turn_take(task, carry_out);
}
