/* What the owner sends: Data-In straight into the task's buffer, answers, heartbeats. Answers come
 * in the order of StatSN without a gap, across connections. */
#include "interconnect/channel.h"
#include "interconnect/fate.h"

#include <errno.h>
#include <string.h>

/* So many answers, or bytes of them, are confirmed without waiting for a command or heartbeat. Not
 * fewer than a batch of commands may be: the next batch confirms them anyway. */
#define CONFIRM_ANSWERS CHANNEL_WINDOW
#define CONFIRM_BYTES   (4u << 20)

static struct buffer_pool *buffers_of(const struct channel *channel)
{
	return reactor_buffers(channel->hub->reactor);
}

/* ---- headers ---- */

static int place_data(struct channel *channel, struct relayed *relayed, uint32_t total)
{
	struct scsi_task *task = relayed->task;

	if (relayed->have == 0) {
		relayed->total = total;
		/* A buffer may be there: of an answer that was torn. */
		if (task->data && task->data->size < total)
			buffer_put(steal(&task->data));
		if (!task->data)
			task->data = buffer_get(buffers_of(channel), total);
		relayed->no_memory = !task->data;
	}
	if (relayed->total != total)
		return -EPROTO;
	channel->wire.rx.data = relayed->no_memory ? NULL : task->data->data + relayed->have;
	return 0;
}

static int data_in_header(struct channel *channel, const uint8_t *bhs)
{
	struct relayed *relayed = channel_find(channel, pdu_itt(bhs));
	uint32_t len = pdu_data_len(bhs), total = pdu_ttt(bhs);

	if (relayed && relayed_is_orphan(relayed)) {
		channel->wire.rx.data = NULL;
		return relayed->kind == RELAYED_COMMAND ? 0 : -EPROTO;
	}
	if (!relayed || relayed->kind != RELAYED_COMMAND || relayed->emitting ||
	    !relayed->task->wants_read || relayed->task->data_out_len)
		return -EPROTO;
	if (len == 0 || total > relayed->task->expected_len ||
	    get_be32(bhs + BHS_BUFFER_OFFSET) != relayed->have ||
	    !range_ok(relayed->have, len, total))
		return -EPROTO;
	return place_data(channel, relayed, total);
}

static int response_header(struct channel *channel, const uint8_t *bhs)
{
	if (pdu_data_len(bhs) > sizeof(channel->small))
		return -EPROTO;
	channel->wire.rx.data = channel->small;
	return 0;
}

static int bare_header(struct channel *channel, const uint8_t *bhs)
{
	(void)channel;
	return pdu_data_len(bhs) == 0 ? 0 : -EPROTO;
}

/* ---- whole PDUs ---- */

/* The next answer; all that the owner says to have received is taken off. */
static int take_numbers(struct channel *channel, const uint8_t *bhs)
{
	if (get_be32(bhs + BHS_STAT_SN) != channel->exp_stat_sn)
		return -EPROTO;
	int r = channel_acknowledge(channel, get_be32(bhs + BHS_EXP_CMD_SN));
	if (r < 0)
		return r;
	channel->exp_stat_sn++;
	return 0;
}

static void confirm_soon(struct channel *channel, uint32_t bytes)
{
	channel->unconfirmed++;
	channel->unconfirmed_bytes += bytes;
	if (channel->unconfirmed >= CONFIRM_ANSWERS || channel->unconfirmed_bytes >= CONFIRM_BYTES)
		channel_beat(channel);
}

static int take_sense(const struct channel *channel, const uint8_t *bhs, struct scsi_task *task)
{
	uint32_t len = pdu_data_len(bhs);
	task->sense_len = 0;
	if (len == 0)
		return 0;
	uint32_t sense_len = len < 2 ? 0 : get_be16(channel->small);
	if (len < 2 || sense_len > len - 2 || sense_len > SCSI_SENSE_MAX)
		return -EPROTO;
	memcpy(task->sense, channel->small + 2, sense_len);
	task->sense_len = (uint8_t)sense_len;
	return 0;
}

static void take_residual(const uint8_t *bhs, struct scsi_task *task)
{
	uint8_t flags = bhs[BHS_FLAGS];
	task->residual_kind = flags & FLAG_OVERFLOW    ? SCSI_OVERFLOW
	                      : flags & FLAG_UNDERFLOW ? SCSI_UNDERFLOW
	                                               : SCSI_NO_RESIDUAL;
	task->residual = get_be32(bhs + BHS_RESIDUAL);
}

static void give_task(struct channel *channel, struct relayed *relayed, enum relay_outcome outcome)
{
	struct scsi_task *task = relayed->task;
	uint32_t bytes = relayed->have;

	task->data_in_len = bytes;
	if (relayed->no_memory)
		relayed_put_busy(task);
	relayed_detach(channel, relayed);
	relayed_put(channel->hub, relayed);
	atomic_fetch_sub(&channel->hub->relayed_now, 1);
	confirm_soon(channel, bytes);
	scsi_task_relayed(task, outcome);
	channel_pump(channel);
}

/* Nobody waits for the answer any more. */
static int drop_answer(struct channel *channel, struct relayed *orphan, const uint8_t *bhs)
{
	int r = take_numbers(channel, bhs);
	if (r < 0)
		return r;
	relayed_detach(channel, orphan);
	relayed_put(channel->hub, orphan);
	confirm_soon(channel, 0);
	channel_pump(channel);
	return 0;
}

static int data_in_complete(struct channel *channel, const uint8_t *bhs)
{
	struct relayed *relayed = channel_find(channel, pdu_itt(bhs));

	relayed->have += pdu_data_len(bhs);
	if (!(bhs[BHS_FLAGS] & FLAG_STATUS))
		return 0;
	if (relayed_is_orphan(relayed))
		return drop_answer(channel, relayed, bhs);
	if (relayed->have != pdu_ttt(bhs))
		return -EPROTO;
	int r = take_numbers(channel, bhs);
	if (r < 0)
		return r;
	relayed->task->status = bhs[BHS_STATUS];
	relayed->task->sense_len = 0;
	take_residual(bhs, relayed->task);
	give_task(channel, relayed, RELAY_ANSWERED);
	return 0;
}

static int outcome_of(uint8_t response, enum relay_outcome *ret_outcome)
{
	switch (response) {
	case MESSAGE_DONE:
		*ret_outcome = RELAY_ANSWERED;
		return 0;
	case MESSAGE_NOT_EXECUTED:
		*ret_outcome = RELAY_NOT_EXECUTED;
		return 0;
	case MESSAGE_ABORTED:
		*ret_outcome = RELAY_ABORTED;
		return 0;
	default:
		return -EPROTO;
	}
}

static int response_complete(struct channel *channel, const uint8_t *bhs)
{
	struct relayed *relayed = channel_find(channel, pdu_itt(bhs));
	enum relay_outcome outcome = RELAY_ANSWERED;

	if (!relayed || relayed->kind != RELAYED_COMMAND || relayed->emitting)
		return -EPROTO;
	if (relayed_is_orphan(relayed))
		return drop_answer(channel, relayed, bhs);
	if (relayed->have && relayed->have != relayed->total)
		return -EPROTO; /* data is missing: no status may cover that up */
	int r = outcome_of(bhs[BHS_RESPONSE], &outcome);
	if (r == 0)
		r = take_sense(channel, bhs, relayed->task);
	if (r == 0)
		r = take_numbers(channel, bhs);
	if (r < 0)
		return r;
	relayed->task->status = bhs[BHS_STATUS];
	take_residual(bhs, relayed->task);
	give_task(channel, relayed, outcome);
	return 0;
}

static int management_complete(struct channel *channel, const uint8_t *bhs)
{
	struct relayed *relayed = channel_find(channel, pdu_itt(bhs));

	if (!relayed || relayed->kind != RELAYED_MANAGE || relayed->emitting)
		return -EPROTO;
	if (relayed_is_orphan(relayed))
		return drop_answer(channel, relayed, bhs);
	int r = take_numbers(channel, bhs);
	if (r < 0)
		return r;
	struct relay_request *request = relayed->request;
	bool not_executed = bhs[BHS_RESPONSE] == MESSAGE_NOT_EXECUTED;
	request->outcome = not_executed ? RELAY_NOT_EXECUTED : RELAY_ANSWERED;
	request->response = (enum task_function_response)bhs[BHS_RESPONSE];
	relayed_detach(channel, relayed);
	relayed_put(channel->hub, relayed);
	confirm_soon(channel, 0);
	request->done(request);
	channel_pump(channel);
	return 0;
}

static int heartbeat_complete(struct channel *channel, const uint8_t *bhs)
{
	struct message_heartbeat heartbeat;
	int r = message_take_heartbeat(bhs, &heartbeat);
	if (r == 0)
		r = channel_acknowledge(channel, get_be32(bhs + BHS_EXP_CMD_SN));
	if (r < 0)
		return r;
	channel->stamp = heartbeat.stamp;
	part_report_stalled(channel->part, heartbeat.stalled_ms);
	return 0;
}

/* ---- by opcode ---- */

static const struct {
	int (*header)(struct channel *channel, const uint8_t *bhs);
	int (*complete)(struct channel *channel, const uint8_t *bhs);
} rows[PDU_OPCODE_MASK + 1] = {
	[PDU_DATA_IN] = { data_in_header, data_in_complete },
	[PDU_SCSI_RESPONSE] = { response_header, response_complete },
	[PDU_TASK_MANAGEMENT_RESPONSE] = { bare_header, management_complete },
	[PDU_NOP_IN] = { bare_header, heartbeat_complete },
};

int answer_header(struct channel *channel)
{
	const uint8_t *bhs = channel->wire.rx.header;
	uint8_t opcode = pdu_opcode(bhs);
	return rows[opcode].header ? rows[opcode].header(channel, bhs) : -EPROTO;
}

int answer_complete(struct channel *channel)
{
	const uint8_t *bhs = channel->wire.rx.header;
	return rows[pdu_opcode(bhs)].complete(channel, bhs);
}

int answer_take_fate(struct channel *channel, const uint8_t *bhs, const uint8_t *data)
{
	uint8_t opcode = pdu_opcode(bhs);
	uint32_t len = pdu_data_len(bhs);

	if ((opcode != PDU_SCSI_RESPONSE && opcode != PDU_TASK_MANAGEMENT_RESPONSE) ||
	    len > sizeof(channel->small))
		return -EPROTO;
	memcpy(channel->small, data, len);
	return rows[opcode].complete(channel, bhs);
}
