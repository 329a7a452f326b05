/* Tasks that run at the gateway that owns the LUN: to the relay and back. */
#include "scsi/execute.h"
#include "scsi/relay.h"

#define UNIT_ATTENTION_KEY 0x06

bool forward_begin(struct scsi_task *task)
{
	struct lun *lun = task_lun(task);
	struct lun_route route;
	uint64_t situation = lun_route_now(lun, &route);
	if (!situation)
		return false;
	task->state.phase = TASK_RELAYED;
	task->state.sent = situation;
	task->state.sent_epoch = route.epoch;
	task->nexus->relay = lun->relay;
	counter_add(&task->state.itl->counters.forwarded, 1);
	counter_add(&task->state.itl->counters.relayed, 1);
	atomic_store_explicit(&task->state.itl->relayed_epoch, route.epoch, memory_order_relaxed);
	lun->relay->ops->begin(lun->relay, task, &route);
	return true;
}

void forward_cancel(struct scsi_task *task)
{
	if (task->state.cancelled)
		return;
	task->state.cancelled = true;
	struct relay *relay = task_lun(task)->relay;
	relay->ops->cancel(relay, task);
}

static void not_executed(struct scsi_task *task)
{
	struct itl *itl = task->state.itl;
	if (task->state.abort != ABORT_NOT) {
		task_end_status(task, SCSI_TASK_ABORTED);
		return;
	}
	if (hold_too_long(task)) {
		hold_rewind(task);
		task_end_status(task, SCSI_BUSY);
		return;
	}
	task->state.refused = true;
	hold_add(task);
	hold_rewind(task);
	if (lun_situation(itl->lun) != task->state.sent)
		itl_wake(itl);
}

/* Key, ASC and ASCQ, in either format of sense data; SENSE_NONE: the answer has none. */
static enum sense_code told_code(const struct scsi_task *task)
{
	const uint8_t *sense = task->sense;
	if (task->status != SCSI_CHECK_CONDITION || task->sense_len < 8)
		return SENSE_NONE;
	bool descriptor = (sense[0] & 0x7e) == 0x72;
	if (!descriptor && task->sense_len < 14)
		return SENSE_NONE;
	const uint8_t *code = sense + (descriptor ? 2 : 12);
	uint32_t key = sense[descriptor ? 1 : 2] & 0x0fu;
	return (enum sense_code)(key << 16 | code[0] << 8 | code[1]);
}

/* A unit attention that the owner has told, and will not again: if nobody hears the answer, the
 * next command here brings it. */
static void take_attention(struct scsi_task *task)
{
	enum sense_code code = told_code(task);
	if (code >> 16 != UNIT_ATTENTION_KEY)
		return;
	if (code == SENSE_CAPACITY_CHANGED)
		itl_told_size(task->state.itl);
	if (task->state.abort != ABORT_NOT)
		itl_add_attention(task->state.itl, code);
}

void scsi_task_relayed(struct scsi_task *task, enum relay_outcome outcome)
{
	assert(task->state.phase == TASK_RELAYED);
	counter_add(&task->state.itl->counters.relayed, -1);
	switch (outcome) {
	case RELAY_ANSWERED:
		take_attention(task);
		task_end(task);
		return;
	case RELAY_ABORTED:
		/* The owner ends what its nexus has ended without a word. Was it not taken off
		 * here, its initiator waits: a reset reached the owner behind it that had come
		 * before. */
		task_end_status(task, SCSI_TASK_ABORTED);
		return;
	case RELAY_NOT_EXECUTED:
		not_executed(task);
		return;
	case RELAY_UNKNOWN:
		hold_unknown(task, task->state.sent_epoch);
		return;
	}
}
