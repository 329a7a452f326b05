/* PERSISTENT RESERVE OUT [SPC-4 6.16]. The state lives in memory: APTPL is refused. */
#include "base/bytes.h"
#include "scsi/execute.h"
#include "scsi/handlers.h"
#include "scsi/persistent.h"
#include "scsi/walk.h"

#define LIST_LEN  24
#define SPEC_I_PT 0x08
#define ALL_TG_PT 0x04
#define APTPL     0x01

static bool type_valid(uint8_t type)
{
	return type == 1 || type == 3 || (type >= 5 && type <= 8);
}

bool persistent_out_check(struct scsi_task *task)
{
	uint8_t action = task->state.opcode->service_action;
	bool registers = action == PERSISTENT_REGISTER || action == PERSISTENT_REGISTER_AND_IGNORE;
	bool typed = !registers && action != PERSISTENT_CLEAR;
	if (typed && (task->cdb[2] >> 4 || !type_valid(task->cdb[2] & 0x0f))) {
		task_end_bad_cdb(task, 2, task->cdb[2] >> 4 ? 7 : 3);
		return false;
	}
	if (get_be32(task->cdb + 5) != LIST_LEN) {
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

static bool abort_holds(const void *argument, const struct scsi_task *task)
{
	return task != argument && task->state.abort != ABORT_NOT;
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
	if (walk_lun(task_lun(task), task->nexus->reactor, &ops, task) < 0)
		task_end_check(task, SENSE_INTERNAL_FAILURE);
}

/* ---- the command ---- */

static void answer(struct scsi_task *task, enum persistent_result result)
{
	switch (result) {
	case PERSISTENT_GOOD:
		if (task->state.opcode->service_action == PERSISTENT_PREEMPT_AND_ABORT)
			abort_preempted(task);
		else
			task_end_good(task);
		return;
	case PERSISTENT_CONFLICT:
		task_end_status(task, SCSI_RESERVATION_CONFLICT);
		return;
	case PERSISTENT_BAD_KEY:
		task_end_bad_list(task, 8, 8);
		return;
	case PERSISTENT_BAD_RELEASE:
		task_end_check(task, SENSE_INVALID_RELEASE);
		return;
	case PERSISTENT_NO_ROOM:
		task_end_check(task, SENSE_NO_REGISTRATION_RESOURCES);
		return;
	}
}

void persistent_out_run(struct scsi_task *task)
{
	const uint8_t *list = task->data->data;
	if (list[20] & (SPEC_I_PT | APTPL)) {
		task_end_bad_list(task, 20, list[20] & SPEC_I_PT ? 3 : 0);
		return;
	}
	struct persistent_order order = {
		.itl = task->state.itl,
		.action = (enum persistent_action)task->state.opcode->service_action,
		.type = (enum reservation_type)(task->cdb[2] & 0x0f),
		.key = get_be64(list),
		.action_key = get_be64(list + 8),
		.all_target_ports = list[20] & ALL_TG_PT,
	};
	struct lun *lun = task_lun(task);
	(void)pthread_mutex_lock(&lun->lock);
	enum persistent_result result = persistent_carry_out(lun, &order);
	(void)pthread_mutex_unlock(&lun->lock);
	answer(task, result);
}
