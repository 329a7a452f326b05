/* What to do with a command in each state of its LUN: the one place that decides
 * [SPC-4 5.16.2; docs/availability.md]. */
#include "scsi/execute.h"

static const struct {
	enum alua_verdict verdict;
	uint32_t beside; /* commands with one of these flags run all the same */
	/* ALUA_ENDED: what the others get. */
	enum scsi_status status;
	enum sense_code sense;
} states[LUN_STATE_COUNT] = {
	[LUN_OPENING] = { ALUA_ENDED, 0, SCSI_CHECK_CONDITION, SENSE_BECOMING_READY },
	[LUN_READY] = { .verdict = ALUA_SERVED },
	[LUN_FAILED] = { ALUA_ENDED, OP_UNAVAILABLE, SCSI_CHECK_CONDITION, SENSE_UNAVAILABLE },
	[LUN_STANDBY] = { ALUA_ENDED, OP_STANDBY, SCSI_CHECK_CONDITION, SENSE_STANDBY },
	[LUN_TRANSITIONING] = { ALUA_ENDED, 0, SCSI_CHECK_CONDITION, SENSE_TRANSITIONING },
	[LUN_FORWARDED] = { .verdict = ALUA_FORWARDED },
	[LUN_HELD] = { .verdict = ALUA_HELD },
	[LUN_BUSY] = { ALUA_ENDED, 0, SCSI_BUSY, SENSE_NONE },
	[LUN_ON_DEMAND] = { ALUA_HELD, OP_STANDBY | OP_LOOK, SCSI_BUSY, SENSE_NONE },
	[LUN_OPERATION] = { ALUA_ENDED, 0, SCSI_CHECK_CONDITION, SENSE_OPERATION_IN_PROGRESS },
};

/* A peer's command runs in the epoch that it was meant for, or not at all: its gateway looks for
 * the owner again. */
static enum alua_verdict decide_proxy(struct scsi_task *task, enum lun_state state)
{
	if (state == LUN_READY && task->epoch == lun_get_epoch(task_lun(task)))
		return ALUA_SERVED;
	task_end_not_executed(task);
	return ALUA_ENDED;
}

enum alua_verdict alua_decide(struct scsi_task *task)
{
	uint32_t flags = task->state.opcode->flags;
	if (flags & OP_TRANSITION)
		return ALUA_LOCAL;
	uint64_t situation = lun_situation(task_lun(task));
	if (task->state.unknown) {
		enum alua_verdict verdict = hold_decide(task, situation);
		if (verdict != ALUA_SERVED)
			return verdict;
	}
	enum lun_state state = situation_state(situation);
	if (task->nexus->proxy)
		return decide_proxy(task, state);
	if (flags & states[state].beside)
		return ALUA_BESIDE;
	if (states[state].verdict != ALUA_ENDED)
		return states[state].verdict;
	if (states[state].sense)
		task_end_check(task, states[state].sense);
	else
		task_end_status(task, states[state].status);
	return ALUA_ENDED;
}
