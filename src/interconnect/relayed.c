/* What is relayed: from the queue to the wire, in order, within the window; and back to its caller.
 * It comes from relay.c; the answers are the business of answer.c. */
#include "interconnect/channel.h"

#include <errno.h>
#include <string.h>

#define POOL_MAX 1024

/* ---- the pool ---- */

static bool emit(struct outgoing *outgoing, struct tx_slot *slot);

static void ended(struct outgoing *outgoing)
{
	struct relayed *relayed = container_of(outgoing, struct relayed, outgoing);
	relayed->emitting = false;
}

struct relayed *relayed_get(struct hub *hub, enum relayed_kind kind)
{
	struct list *link = list_take_first(&hub->free_relayed);
	struct relayed *relayed =
	        link ? list_entry(link, struct relayed, link) : malloc(sizeof(*relayed));
	if (!relayed)
		return NULL;
	hub->free_relayed_count -= link != NULL;
	*relayed = (struct relayed){ .kind = kind };
	relayed->outgoing.emit = emit;
	relayed->outgoing.ended = ended;
	list_init(&relayed->outgoing.link);
	list_init(&relayed->link);
	return relayed;
}

void relayed_put(struct hub *hub, struct relayed *relayed)
{
	free(relayed->text);
	list_remove(&relayed->link);
	if (hub->free_relayed_count >= POOL_MAX) {
		free(relayed);
		return;
	}
	hub->free_relayed_count++;
	list_prepend(&hub->free_relayed, &relayed->link);
}

/* ---- emitting ---- */

static void put_numbers(struct channel *channel, const struct relayed *relayed, uint8_t *bhs)
{
	put_be32(bhs + BHS_CMD_SN, relayed->cmd_sn);
	put_be32(bhs + BHS_EXP_STAT_SN, channel->exp_stat_sn);
	channel->unconfirmed = channel->unconfirmed_bytes = 0;
}

static bool put_data(struct relayed *relayed, struct tx_slot *slot)
{
	const struct scsi_task *task = relayed->task;
	uint32_t left = task->data_out_len - relayed->emitted;
	uint32_t len = left < CHANNEL_DATA_MAX ? left : CHANNEL_DATA_MAX;

	if (len)
		slot_set_data(slot, task->data->data + relayed->emitted, len);
	relayed->emitted += len;
	if (len < left)
		return false;
	slot->header[BHS_FLAGS] |= FLAG_FINAL;
	slot->ended_with = &relayed->outgoing;
	return true;
}

static bool emit_command(struct relayed *relayed, struct tx_slot *slot)
{
	const struct scsi_task *task = relayed->task;
	const struct message_command message = {
		.row = relayed->row,
		.length = task->data_out_len,
		.epoch = relayed->epoch,
		.stamp = relayed->stamp,
		.tag = task->tag,
	};
	uint8_t *bhs = slot->header;
	uint8_t flags = task->attribute & FLAG_ATTRIBUTE_MASK;

	flags |= task->wants_read ? FLAG_READ : 0;
	flags |= task->wants_write ? FLAG_WRITE : 0;
	pdu_start(bhs, PDU_SCSI_COMMAND, flags, relayed->itt);
	memcpy(bhs + BHS_LUN, task->lun, 8);
	put_be32(bhs + BHS_EXPECTED_LENGTH, task->expected_len);
	put_numbers(relayed->channel, relayed, bhs);
	memcpy(bhs + BHS_CDB, task->cdb, 16);
	message_put_command(bhs, &message, task->cdb_len > 16 ? task->cdb + 16 : NULL);
	return put_data(relayed, slot);
}

static bool emit_data_out(struct relayed *relayed, struct tx_slot *slot)
{
	pdu_start(slot->header, PDU_DATA_OUT, 0, relayed->itt);
	put_be32(slot->header + BHS_TTT, TAG_NONE);
	put_be32(slot->header + BHS_EXP_STAT_SN, relayed->channel->exp_stat_sn);
	put_be32(slot->header + BHS_BUFFER_OFFSET, relayed->emitted);
	return put_data(relayed, slot);
}

static void emit_management(struct relayed *relayed, struct tx_slot *slot)
{
	bool aborts = relayed->kind == RELAYED_ABORT;
	uint8_t function = aborts ? TMF_ABORT_TASK : (uint8_t)relayed->request->function;
	const struct message_command message = {
		.row = relayed->row,
		.epoch = relayed->epoch,
		.stamp = relayed->stamp,
	};
	pdu_start(slot->header, PDU_TASK_MANAGEMENT, FLAG_FINAL | function, relayed->itt);
	put_be32(slot->header + BHS_REFERENCED_TAG, relayed->referenced_itt);
	put_be32(slot->header + BHS_REF_CMD_SN, relayed->referenced_cmd_sn);
	put_numbers(relayed->channel, relayed, slot->header);
	message_put_command(slot->header, &message, NULL);
}

static void emit_text(struct relayed *relayed, struct tx_slot *slot)
{
	static const uint8_t kinds[] = {
		[RELAYED_NEXUS] = MESSAGE_NEXUS,
		[RELAYED_ROW] = MESSAGE_ROW,
		[RELAYED_NO_NEXUS] = MESSAGE_NO_NEXUS,
		[RELAYED_NO_ROW] = MESSAGE_NO_ROW,
	};
	pdu_start(slot->header, PDU_TEXT, FLAG_FINAL, TAG_NONE);
	slot->header[2] = kinds[relayed->kind];
	put_be32(slot->header + BHS_TTT, relayed->handle);
	put_numbers(relayed->channel, relayed, slot->header);
	if (relayed->text_len)
		slot_set_data(slot, (uint8_t *)relayed->text, relayed->text_len);
}

static bool emit(struct outgoing *outgoing, struct tx_slot *slot)
{
	struct relayed *relayed = container_of(outgoing, struct relayed, outgoing);

	switch (relayed->kind) {
	case RELAYED_COMMAND:
		return relayed->emitted ? emit_data_out(relayed, slot)
		                        : emit_command(relayed, slot);
	case RELAYED_MANAGE:
	case RELAYED_ABORT:
		emit_management(relayed, slot);
		break;
	default:
		emit_text(relayed, slot);
		break;
	}
	slot->ended_with = outgoing;
	return true;
}

static void put_on_wire(struct relayed *relayed)
{
	relayed->emitting = true;
	relayed->emitted = 0;
	relayed->have = 0;
	wire_send(&relayed->channel->wire, &relayed->outgoing);
}

void relayed_send(struct channel *channel, struct relayed *relayed)
{
	relayed->channel = channel;
	relayed->cmd_sn = channel->cmd_sn++;
	list_remove(&relayed->link);
	list_append(&channel->sent, &relayed->link);
	if (channel->state == CHANNEL_UP)
		put_on_wire(relayed);
}

int channel_resend(struct channel *channel, uint32_t exp_cmd_sn)
{
	struct relayed *relayed;
	int r = channel_acknowledge(channel, exp_cmd_sn);
	if (r < 0)
		return r;
	list_for_each (relayed, &channel->sent, link) {
		relayed->have = 0;
		if (serial_lt(relayed->cmd_sn, exp_cmd_sn))
			continue;
		if (relayed_is_orphan(relayed))
			orphan_becomes_abort(channel, relayed);
		put_on_wire(relayed);
	}
	return 0;
}

int channel_acknowledge(struct channel *channel, uint32_t exp_cmd_sn)
{
	struct relayed *relayed, *following;

	if (exp_cmd_sn == channel->acknowledged)
		return 0; /* all answers of a batch say the same */
	if (serial_lt(channel->cmd_sn, exp_cmd_sn))
		return -EPROTO;
	list_for_each_safe (relayed, following, &channel->sent, link) {
		if (serial_le(exp_cmd_sn, relayed->cmd_sn))
			break;
		if (relayed->emitting)
			return -EPROTO;
		if (!relayed_is_answered(relayed))
			relayed_put(channel->hub, relayed);
	}
	channel->acknowledged = exp_cmd_sn;
	return 0;
}

/* ---- slots and window ---- */

struct relayed *channel_find(const struct channel *channel, uint32_t itt)
{
	uint32_t slot = itt & 0xffff;
	if (slot >= CHANNEL_SLOTS)
		return NULL;
	struct relayed *relayed = channel->slots[slot];
	return relayed && relayed->itt == itt ? relayed : NULL;
}

static void take_slot(struct channel *channel, struct relayed *relayed)
{
	uint16_t slot = channel->free_slots[--channel->free_slot_count];
	/* The serial tells an answer to an earlier command apart. */
	relayed->itt = (uint32_t)(channel->serial++ & 0x7fff) << 16 | slot;
	channel->slots[slot] = relayed;
	if (relayed->kind != RELAYED_COMMAND)
		return;
	channel->window++;
	channel->window_bytes += relayed->bytes;
	channel->shares[relayed->share].window++;
	channel->shares[relayed->share].bytes += relayed->bytes;
}

void relayed_free_slot(struct channel *channel, const struct relayed *relayed)
{
	uint16_t slot = relayed->itt & 0xffff;

	if (channel_find(channel, relayed->itt) != relayed)
		return; /* it never had a slot */
	channel->slots[slot] = NULL;
	channel->free_slots[channel->free_slot_count++] = slot;
	if (relayed->kind != RELAYED_COMMAND)
		return;
	channel->window--;
	channel->window_bytes -= relayed->bytes;
	channel->shares[relayed->share].window--;
	channel->shares[relayed->share].bytes -= relayed->bytes;
}

/* Its link is the caller's business. */
static void leave_queue(struct channel *channel, struct relayed *relayed)
{
	if (!relayed->queued)
		return;
	relayed->queued = false;
	channel->queued--;
	channel->shares[relayed->share].waiting--;
}

void relayed_detach(struct channel *channel, struct relayed *relayed)
{
	list_remove(&relayed->link);
	leave_queue(channel, relayed);
	relayed_free_slot(channel, relayed);
}

static bool may_go(const struct channel *channel, const struct relayed *relayed)
{
	if (channel->free_slot_count == 0)
		return false;
	if (relayed->kind != RELAYED_COMMAND || channel->window == 0)
		return true;
	return channel->window < CHANNEL_WINDOW &&
	       channel->window_bytes + relayed->bytes <= CHANNEL_WINDOW_BYTES;
}

/* A LUN has no more of the window than it leaves to others, so that those that hang at the owner
 * do not take all of it: N of them leave one part of N + 1. */
static bool share_has_room(const struct channel *channel, const struct relayed *relayed)
{
	const struct channel_share *share = &channel->shares[relayed->share];
	if (share->window == 0)
		return true;
	return share->window + channel->window + 2 <= CHANNEL_WINDOW &&
	       share->bytes + channel->window_bytes + 2 * (uint64_t)relayed->bytes <=
	               CHANNEL_WINDOW_BYTES;
}

static int declare(struct channel *channel, struct relayed *relayed)
{
	struct relay_row row;
	const struct relay_request *request = relayed->request;

	if (relayed->kind == RELAYED_COMMAND) {
		relay_row_of_task(relayed->task, &row);
		return rows_declare(channel, relayed->task->nexus, &row, false, &relayed->row);
	}
	row = (struct relay_row){ .lun = request->lun, .number = request->number };
	return rows_declare(channel, request->nexus, &row, true, &relayed->row);
}

/* It came while the connection was being made, and is as old as if it had come with the first
 * heartbeat of it, but for the time that it has waited, of which this process may have slept. */
static void stamp_back(const struct channel *channel, struct relayed *relayed)
{
	uint64_t waited_ms = channel->hub->interconnect->clock() - relayed->begun_ms;
	relayed->stamp = channel->stamp > waited_ms ? channel->stamp - waited_ms : 1;
}

static void number(struct channel *channel, struct relayed *relayed)
{
	if (declare(channel, relayed) < 0) {
		relayed_return(channel, relayed, RELAY_NOT_EXECUTED);
		return;
	}
	leave_queue(channel, relayed);
	take_slot(channel, relayed);
	if (!relayed->stamp)
		stamp_back(channel, relayed);
	relayed_send(channel, relayed);
}

/* The commands of a LUN stay in order: behind one that has no room in its share, none of that share
 * goes, and when all that follow are such, nothing is looked at any more. */
void channel_pump(struct channel *channel)
{
	bool closed[CHANNEL_SHARES] = { false };
	unsigned open = channel->queued; /* of those that follow */
	struct relayed *relayed, *following;

	list_for_each_safe (relayed, following, &channel->queue, link) {
		bool command = relayed->kind == RELAYED_COMMAND;
		if (channel->state != CHANNEL_UP || (command && open == 0))
			return;
		if (command && closed[relayed->share])
			continue;
		if (!may_go(channel, relayed))
			return;
		if (command && !share_has_room(channel, relayed)) {
			closed[relayed->share] = true;
			open -= channel->shares[relayed->share].waiting;
			continue;
		}
		open -= command;
		number(channel, relayed);
	}
}

void channel_enqueue(struct channel *channel, struct relayed *relayed)
{
	relayed->begun_ms = channel->hub->interconnect->clock();
	relayed->channel = channel;
	relayed->stamp = channel->state == CHANNEL_UP ? channel->stamp : 0;
	/* Task management goes before commands that wait for the window: it may be full of what
	 * hangs, and those that it reaches were taken off. */
	if (relayed->kind == RELAYED_MANAGE) {
		list_prepend(&channel->queue, &relayed->link);
	} else {
		list_append(&channel->queue, &relayed->link);
		relayed->queued = true;
		channel->queued++;
		channel->shares[relayed->share].waiting++;
	}
	channel_pump(channel);
}

/* ---- back to the caller ---- */

/* Not executed, and not to be: the initiator may try again, if it still wants to. */
static void put_expired(struct relayed *relayed)
{
	if (relayed->kind == RELAYED_COMMAND)
		relayed_put_busy(relayed->task);
	else
		relayed->request->response = TMF_REJECTED;
}

void relayed_put_busy(struct scsi_task *task)
{
	task->status = SCSI_BUSY;
	task->sense_len = 0;
	task->data_in_len = 0;
	task->residual_kind = task->expected_len ? SCSI_UNDERFLOW : SCSI_NO_RESIDUAL;
	task->residual = task->expected_len;
}

static void return_one(struct hub *hub, struct relayed *relayed)
{
	struct scsi_task *task = relayed->task;
	struct relay_request *request = relayed->request;
	enum relay_outcome outcome = relayed->outcome;
	enum relayed_kind kind = relayed->kind;

	relayed_put(hub, relayed);
	if (kind == RELAYED_COMMAND) {
		atomic_fetch_sub(&hub->relayed_now, 1);
		scsi_task_relayed(task, outcome);
	} else if (kind == RELAYED_MANAGE) {
		request->outcome = outcome;
		request->done(request);
	}
}

static void return_all(struct message *message)
{
	struct hub *hub = container_of(message, struct hub, return_message);
	struct list returning = LIST_INIT(returning);

	list_splice(&returning, &hub->returning);
	for (struct list *link; (link = list_take_first(&returning));)
		return_one(hub, list_entry(link, struct relayed, link));
	hub_check_stopped(hub);
}

void relayed_give(struct hub *hub, struct relayed *relayed, enum relay_outcome outcome)
{
	if (list_empty(&hub->returning)) {
		hub->return_message.run = return_all;
		reactor_defer(hub->reactor, &hub->return_message);
	}
	relayed->outcome = outcome;
	list_append(&hub->returning, &relayed->link);
}

void relayed_return(struct channel *channel, struct relayed *relayed, enum relay_outcome outcome)
{
	relayed_detach(channel, relayed);
	if (relayed_is_orphan(relayed))
		relayed_put(channel->hub, relayed);
	else
		relayed_give(channel->hub, relayed, outcome);
}

void channel_give_back(struct channel *channel)
{
	const struct interconnect *interconnect = channel->hub->interconnect;
	bool lost = atomic_load(&channel->part->peer->lost) && channel->state != CHANNEL_UP;
	uint64_t now = interconnect->clock();
	struct relayed *relayed, *following;

	list_for_each_safe (relayed, following, &channel->queue, link) {
		if (lost) {
			relayed_return(channel, relayed, RELAY_NOT_EXECUTED);
		} else if (now - relayed->begun_ms > interconnect->age_max_ms) {
			put_expired(relayed);
			relayed_return(channel, relayed, RELAY_ANSWERED);
		}
	}
}
