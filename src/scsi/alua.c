/* What to do with a command for a LUN that is not served here: the one place that decides
 * [SPC-4 5.16.2]. */
#include "scsi/execute.h"

static const struct {
	uint32_t executes; /* commands with one of these flags run all the same */
	enum sense_code sense;
} states[LUN_STATE_COUNT] = {
	[LUN_OPENING] = { OP_TRANSITION, SENSE_BECOMING_READY },
	[LUN_READY] = { UINT32_MAX, SENSE_NONE },
	[LUN_FAILED] = { OP_UNAVAILABLE, SENSE_UNAVAILABLE },
	[LUN_STANDBY] = { OP_STANDBY, SENSE_STANDBY },
	[LUN_TRANSITIONING] = { OP_TRANSITION, SENSE_TRANSITIONING },
};

bool alua_admit(struct scsi_task *task)
{
	enum lun_state state = lun_get_state(task_lun(task));
	if (state == LUN_READY || (task->state.opcode->flags & states[state].executes))
		return true;
	task_end_check(task, states[state].sense);
	return false;
}
