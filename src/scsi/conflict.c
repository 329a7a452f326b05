/* RESERVATION CONFLICT: said by the owner only. It touches no medium, so a fence would not keep an
 * owner of the past from saying it of a reservation that is over, and initiators take it for final
 * [docs/availability.md, Reservations]. */
#include "scsi/execute.h"

#include <stdlib.h>

struct conflict {
	struct reservation_proof proof;
	struct scsi_task *task;
	bool whole; /* it can wait for the next owner, as it is */
};

static void judge(struct scsi_task *task, int result, bool whole)
{
	if (result == 0)
		task_end_status(task, SCSI_RESERVATION_CONFLICT);
	else if (!reservation_means_lost(result))
		reservation_end_failed(task, result);
	else if (whole || task->nexus->proxy || task->state.abort != ABORT_NOT)
		reservation_leave(task);
	else
		task_end_status(task, SCSI_BUSY);
}

static void proven(struct reservation_proof *proof)
{
	struct conflict *conflict = container_of(proof, struct conflict, proof);
	struct scsi_task *task = conflict->task;
	bool whole = conflict->whole;
	int result = proof->result;
	free(conflict);
	judge(task, result, whole);
}

/* Not all that starting it takes is known when it has just come: its data, if it brings any, and
 * how long an answer may be that is given in every state. */
static bool is_whole(const struct scsi_task *task)
{
	const struct scsi_opcode *row = task->state.opcode;
	bool came = task->state.phase == TASK_BEGINNING;
	bool brings = row->data == DATA_OUT && task->wants_write && task->expected_len;
	return !came || (!brings && !(row->flags & OP_TRANSITION));
}

void conflict_end(struct scsi_task *task)
{
	struct conflict *conflict = calloc(1, sizeof *conflict);
	if (!conflict) {
		task_end_full(task);
		return;
	}
	conflict->task = task;
	conflict->whole = is_whole(task);
	conflict->proof.done = proven;
	conflict->proof.reactor = task->nexus->reactor;
	if (!task->state.entered)
		task->state.sent = lun_situation(task_lun(task));
	task->state.phase = TASK_RUNNING;
	if (!reservation_prove(task_lun(task), &conflict->proof))
		proven(&conflict->proof);
}
