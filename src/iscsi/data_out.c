/* Data of writes: unsolicited and solicited Data-Out, and the R2Ts that ask for it. Data comes in
 * order, so a command needs one offset and no lists. A Data-Out whose tag is unknown is dropped
 * without a word: data of a command that was aborted or answered early may be on its way for long.
 * [RFC 7143 11.7, 11.8] */
#include "iscsi/command.h"

#include "iscsi/barrier.h"
#include "iscsi/control.h"
#include "iscsi/session.h"
#include "iscsi/worker.h"

#include <errno.h>

#define LARGE_BYTES (32u << 10) /* from here on data is received straight into its place */

static uint32_t smaller(uint64_t a, uint64_t b)
{
	return (uint32_t)(a < b ? a : b);
}

static uint32_t target_tag(const struct command *command, uint32_t sequence)
{
	return (uint32_t)command->serial << 16 | (sequence & 0xffff);
}

static bool may_ask(const struct command *command)
{
	return command->r2t_next < command->task.data_out_len &&
	       command->r2t_sn - command->sequences < command->session->values.max_outstanding_r2t;
}

static void start_soliciting(struct command *command)
{
	struct session *session = command->session;

	command->r2t_next = command->have;
	command->sequence_end = smaller((uint64_t)command->have + session->values.max_burst,
	                                command->task.data_out_len);
	command->data_sn = 0;
	command->large = command->task.data_out_len - command->have >= LARGE_BYTES;
	session->large_transfers += command->large;
}

void data_out_ended(struct command *command)
{
	command->session->large_transfers -= command->large;
	command->large = false;
}

void data_out_solicit(struct command *command)
{
	struct session *session = command->session;
	struct worker *worker = session->worker;

	if (!session->connection || session->connection->state != CONNECTION_FULL_FEATURE) {
		list_remove(&command->memory_link);
		return; /* the task will be aborted with its nexus */
	}
	if (!command->task.data) {
		if (!command_take_buffer(command, command->task.data_out_len)) {
			if (list_empty(&command->memory_link))
				list_append(&worker->memory_waiters, &command->memory_link);
			return;
		}
		list_remove(&command->memory_link);
	}
	if (command->r2t_sn == 0 && list_empty(&command->outgoing.link))
		start_soliciting(command);
	if (may_ask(command) && list_empty(&command->outgoing.link))
		connection_send(session->connection, &command->outgoing);
}

void data_out_retry(struct worker *worker)
{
	struct command *command, *following;
	list_for_each_safe (command, following, &worker->memory_waiters, memory_link) {
		data_out_solicit(command);
		if (!list_empty(&command->memory_link))
			break; /* those behind it wait for their turn */
	}
}

bool data_out_emit_r2t(struct command *command, struct tx_slot *slot)
{
	struct session *session = command->session;
	uint8_t *bhs = slot->header;
	uint32_t len =
	        smaller(session->values.max_burst, command->task.data_out_len - command->r2t_next);

	pdu_start(bhs, PDU_R2T, FLAG_FINAL, command->itt);
	memcpy(bhs + BHS_LUN, command->task.lun, 8);
	put_be32(bhs + BHS_TTT, target_tag(command, command->r2t_sn));
	session_put_sn(session, bhs, false);
	put_be32(bhs + BHS_DATA_SN, command->r2t_sn);
	put_be32(bhs + BHS_BUFFER_OFFSET, command->r2t_next);
	put_be32(bhs + BHS_DESIRED_LENGTH, len);
	command->r2t_next += len;
	command->r2t_sn++;
	command->data_ms = reactor_now_ms(session->worker->reactor);
	command->r2t_ms = session->worker->boot_ms;
	return !may_ask(command);
}

/* The end of what may come in this sequence; 0: nothing may. */
static uint32_t sequence_limit(const struct command *command, uint32_t ttt)
{
	if (ttt == TAG_NONE)
		return command->unsolicited ? smaller(command->task.expected_len,
		                                      command->session->values.first_burst)
		                            : 0;
	if (command->state != COMMAND_COLLECTING || command->unsolicited ||
	    command->sequences == command->r2t_sn || ttt != target_tag(command, command->sequences))
		return 0;
	return command->sequence_end;
}

/* Data that is not as agreed ends its command with a status, which is an answer that every
 * initiator understands; a Reject would leave the task open in some, and lets others send it all
 * once more. What still comes for it is dropped, as its tag is unknown then. */
static int refuse_data(struct session *session, struct command *command, uint8_t *bhs,
                       uint16_t asc_ascq)
{
	if (command->state != COMMAND_COLLECTING || command->refused)
		return reject_and_finish(session, bhs, REJECT_PROTOCOL_ERROR);
	command->unsolicited = false;
	/* Unsolicited data against the negotiation: the two sides do not agree on anything. */
	command->ends_connection = asc_ascq != SENSE_DATA_PHASE_ERROR;
	command_refuse(command, SCSI_CHECK_CONDITION, 0x0b, asc_ascq);
	return 0;
}

static bool in_sequence(const struct command *command, const uint8_t *bhs, uint32_t limit)
{
	uint32_t offset = get_be32(bhs + BHS_BUFFER_OFFSET), len = pdu_data_len(bhs);
	bool final = bhs[BHS_FLAGS] & FLAG_FINAL;

	if (get_be32(bhs + BHS_DATA_SN) != command->data_sn || offset != command->have ||
	    !range_ok(offset, len, limit))
		return false;
	/* A solicited sequence is exactly as long as was asked for. */
	return pdu_ttt(bhs) == TAG_NONE || final == (offset + len == limit);
}

int data_out_begin(struct session *session, uint8_t *bhs)
{
	struct command *command = command_find(session, pdu_itt(bhs));
	uint32_t ttt = pdu_ttt(bhs);

	session->receiving = NULL;
	if (!command || (command->refused && !command->unsolicited))
		return 0;
	uint32_t limit = sequence_limit(command, ttt);
	if (ttt == TAG_NONE && !limit)
		return refuse_data(session, command, bhs, SENSE_UNEXPECTED_UNSOLICITED_DATA);
	if (ttt == TAG_NONE &&
	    !range_ok(get_be32(bhs + BHS_BUFFER_OFFSET), pdu_data_len(bhs), limit))
		return refuse_data(session, command, bhs, SENSE_WRONG_UNSOLICITED_DATA);
	if (!limit || !in_sequence(command, bhs, limit))
		return refuse_data(session, command, bhs, SENSE_DATA_PHASE_ERROR);
	session->receiving = command;
	command->receiving = true;
	if (ttt != TAG_NONE && command->sequences + 1 == command->r2t_sn)
		barrier_take_data(command);
	if (command->state == COMMAND_COLLECTING && !command->refused)
		session->connection->rx.data =
		        command->task.data->data + get_be32(bhs + BHS_BUFFER_OFFSET);
	return 0;
}

int data_out_end(struct session *session, uint8_t *bhs)
{
	struct command *command = steal(&session->receiving);

	if (!command)
		return 0;
	command->receiving = false;
	command->have += pdu_data_len(bhs);
	command->data_sn++;
	command->data_ms = reactor_now_ms(session->worker->reactor);
	if (bhs[BHS_FLAGS] & FLAG_FINAL) {
		command->data_sn = 0;
		if (command->unsolicited) {
			command->unsolicited = false;
		} else {
			command->sequences++;
			command->sequence_end =
			        smaller((uint64_t)command->sequence_end + session->values.max_burst,
			                command->task.data_out_len);
		}
		command_progress(command);
	}
	return 0;
}
