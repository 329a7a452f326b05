/* The answer to a command: Data-In PDUs straight from the device server's buffer, and status, which
 * rides on the last of them where it can. [RFC 7143 11.4, 11.7] */
#include "iscsi/command.h"

#include "iscsi/session.h"

#include <string.h>

/* Answered: the PDU that is being written opens the window for the next command. */
static void count_answer(struct command *command)
{
	if (!command->numbered)
		return;
	command->numbered = false;
	session_give_back(command->session);
}

static uint8_t residual_flags(const struct scsi_task *task)
{
	switch (task->residual_kind) {
	case SCSI_OVERFLOW:
		return FLAG_OVERFLOW;
	case SCSI_UNDERFLOW:
		return FLAG_UNDERFLOW;
	case SCSI_NO_RESIDUAL:
		break;
	}
	return 0;
}

static void put_residual(const struct scsi_task *task, uint8_t *bhs)
{
	bhs[BHS_FLAGS] |= residual_flags(task);
	if (task->residual_kind != SCSI_NO_RESIDUAL)
		put_be32(bhs + BHS_RESIDUAL, task->residual);
}

static bool emit_status(struct command *command, struct tx_slot *slot)
{
	const struct scsi_task *task = &command->task;
	uint8_t *bhs = slot->header;

	pdu_start(bhs, PDU_SCSI_RESPONSE, FLAG_FINAL, command->itt);
	bhs[BHS_STATUS] = task->status;
	count_answer(command);
	session_put_sn(command->session, bhs, true);
	put_be32(bhs + BHS_EXP_DATA_SN, command->data_in_sn + command->r2t_sn);
	put_residual(task, bhs);
	if (task->sense_len) {
		put_be16(command->sense, task->sense_len);
		memcpy(command->sense + 2, task->sense, task->sense_len);
		slot_set_data(slot, command->sense, 2u + task->sense_len);
	}
	slot->ended_with = &command->outgoing;
	return true;
}

/* Only a status without sense can ride on data. */
static bool status_rides(const struct scsi_task *task)
{
	return task->sense_len == 0 &&
	       (task->status == SCSI_GOOD || task->status == SCSI_CONDITION_MET);
}

static uint32_t segment_len(const struct command *command)
{
	uint32_t len = command->task.data_in_len - command->sent;
	if (len > command->session->send_limit)
		len = command->session->send_limit;
	return len < command->burst_left ? len : command->burst_left;
}

static bool emit_data_in(struct command *command, struct tx_slot *slot)
{
	const struct scsi_task *task = &command->task;
	struct session *session = command->session;
	uint8_t *bhs = slot->header;
	uint32_t len = segment_len(command);
	bool last = command->sent + len == task->data_in_len;
	bool with_status = last && status_rides(task);

	command->burst_left -= len;
	pdu_start(bhs, PDU_DATA_IN, last || !command->burst_left ? FLAG_FINAL : 0, command->itt);
	put_be32(bhs + BHS_TTT, TAG_NONE);
	if (with_status) {
		count_answer(command);
		session_put_sn(session, bhs, true);
		bhs[BHS_FLAGS] |= FLAG_STATUS;
		bhs[BHS_STATUS] = task->status;
		put_residual(task, bhs);
		slot->ended_with = &command->outgoing;
	} else {
		session_put_sn(session, bhs, false);
		put_be32(bhs + BHS_STAT_SN, 0); /* reserved without status */
	}
	put_be32(bhs + BHS_DATA_SN, command->data_in_sn++);
	put_be32(bhs + BHS_BUFFER_OFFSET, command->sent);
	slot_set_data(slot, task->data->data + command->sent, len);
	command->sent += len;
	if (!command->burst_left)
		command->burst_left = session->values.max_burst;
	return with_status;
}

bool response_emit(struct command *command, struct tx_slot *slot)
{
	if (command->sent < command->task.data_in_len)
		return emit_data_in(command, slot);
	return emit_status(command, slot);
}
