/* Commands of peers: they run here with a proxy as their nexus, and their answers are kept until
 * the peer has them. */
#include "interconnect/inbound.h"

#include "interconnect/channel.h"
#include "interconnect/fate.h"

#include <errno.h>
#include <string.h>

#define POOL_MAX    1024
#define DATA_IN_MAX 0xfffffcu /* in one PDU */
#define FLAT_SPACE  0x40      /* addressing method of a LUN [SAM-5 4.7.7.3] */
#define SLACK_BYTES 4096u     /* counted for the command itself */

/* ---- the pool ---- */

static bool emit(struct outgoing *outgoing, struct tx_slot *slot);

static void left(struct outgoing *outgoing)
{
	struct executed *executed = container_of(outgoing, struct executed, outgoing);
	executed->emitting = false;
}

struct executed *executed_new(struct inbound *inbound)
{
	struct hub *hub = inbound->hub;
	if (inbound->count >= INBOUND_COMMANDS_MAX)
		return NULL;
	struct list *link = list_take_first(&hub->free_executed);
	struct executed *executed =
	        link ? list_entry(link, struct executed, link) : malloc(sizeof(*executed));
	if (!executed)
		return NULL;
	hub->free_executed_count -= link != NULL;
	memset(executed, 0, offsetof(struct executed, sense));
	executed->inbound = inbound;
	executed->outgoing.emit = emit;
	executed->outgoing.ended = left;
	list_init(&executed->outgoing.link);
	list_append(&inbound->running, &executed->link);
	inbound->running_count++;
	inbound->count++;
	return executed;
}

void executed_free(struct executed *executed)
{
	struct inbound *inbound = executed->inbound;
	struct hub *hub = inbound->hub;

	list_remove(&executed->link);
	inbound->running_count -= executed->state != EXECUTED_ANSWERED;
	inbound->count--;
	inbound->bytes -= executed->charged;
	buffer_put(executed->data);
	if (hub->free_executed_count >= POOL_MAX) {
		free(executed);
		return;
	}
	hub->free_executed_count++;
	list_prepend(&hub->free_executed, &executed->link);
}

/* ---- answers ---- */

static void put_numbers(const struct executed *executed, uint8_t *bhs)
{
	pdu_put_sn(bhs, executed->stat_sn, executed->inbound->exp_cmd_sn, 0);
}

static uint8_t residual_flags(const struct scsi_task *task)
{
	return task->residual_kind == SCSI_OVERFLOW    ? FLAG_OVERFLOW
	       : task->residual_kind == SCSI_UNDERFLOW ? FLAG_UNDERFLOW
	                                               : 0;
}

static void put_status(const struct executed *executed, struct tx_slot *slot)
{
	const struct scsi_task *task = &executed->task;
	slot->header[BHS_FLAGS] |= FLAG_FINAL | residual_flags(task);
	slot->header[BHS_STATUS] = task->status;
	put_be32(slot->header + BHS_RESIDUAL, task->residual);
	put_numbers(executed, slot->header);
}

/* Returns true if it carries the status: it has no sense then. */
static bool emit_data_in(struct executed *executed, struct tx_slot *slot)
{
	const struct scsi_task *task = &executed->task;
	uint32_t rest = task->data_in_len - executed->emitted;
	uint32_t len = rest < DATA_IN_MAX ? rest : DATA_IN_MAX;

	pdu_start(slot->header, PDU_DATA_IN, 0, executed->itt);
	put_be32(slot->header + BHS_TTT, task->data_in_len);
	put_be32(slot->header + BHS_BUFFER_OFFSET, executed->emitted);
	slot_set_data(slot, executed->data->data + executed->emitted, len);
	executed->emitted += len;
	if (len < rest || task->sense_len)
		return false;
	slot->header[BHS_FLAGS] |= FLAG_STATUS;
	put_status(executed, slot);
	return true;
}

static void emit_response(const struct executed *executed, uint8_t response, struct tx_slot *slot)
{
	pdu_start(slot->header, PDU_SCSI_RESPONSE, 0, executed->itt);
	slot->header[BHS_RESPONSE] = response;
	put_status(executed, slot);
	if (response == MESSAGE_DONE && executed->task.sense_len)
		slot_set_data(slot, executed->sense, 2u + executed->task.sense_len);
}

static void emit_management(const struct executed *executed, struct tx_slot *slot)
{
	pdu_start(slot->header, PDU_TASK_MANAGEMENT_RESPONSE, FLAG_FINAL, executed->itt);
	slot->header[BHS_RESPONSE] = executed->response;
	put_numbers(executed, slot->header);
}

static bool emit(struct outgoing *outgoing, struct tx_slot *slot)
{
	struct executed *executed = container_of(outgoing, struct executed, outgoing);

	if (executed->is_management)
		emit_management(executed, slot);
	else if (executed->response != MESSAGE_DONE ||
	         executed->emitted == executed->task.data_in_len)
		emit_response(executed, executed->response, slot);
	else if (!emit_data_in(executed, slot))
		return false;
	slot->ended_with = outgoing;
	return true;
}

/* Its data are left out: to who has not got them it is as if nothing had been executed, for what
 * gives data changes nothing (opcode.c). */
void executed_put_fate(const struct executed *executed, struct tx_slot *slot)
{
	if (executed->is_management)
		emit_management(executed, slot);
	else
		emit_response(executed,
		              executed->task.data_in_len ? MESSAGE_NOT_EXECUTED
		                                         : executed->response,
		              slot);
}

static void put_on_wire(struct executed *executed)
{
	executed->emitting = true;
	executed->emitted = 0;
	wire_send(&executed->inbound->wire, &executed->outgoing);
}

/* It needs no answer any more. */
static void answer_over(struct executed *executed)
{
	executed->over = true;
	list_remove(&executed->link);
	if (!executed->aborting)
		executed_free(executed);
}

static void answer(struct executed *executed, uint8_t response)
{
	struct inbound *inbound = executed->inbound;

	executed->response = response;
	executed->state = EXECUTED_ANSWERED;
	executed->stat_sn = inbound->stat_sn++;
	inbound->running_count--;
	list_remove(&executed->link);
	if (inbound->dropped) {
		answer_over(executed);
	} else {
		list_append(&inbound->answers, &executed->link);
		if (inbound->wire.open)
			put_on_wire(executed);
	}
	inbound_check_end(inbound);
}

int executed_confirm(struct inbound *inbound, uint32_t exp_stat_sn)
{
	struct executed *executed, *following;

	if (serial_lt(inbound->stat_sn, exp_stat_sn))
		return -EPROTO;
	list_for_each_safe (executed, following, &inbound->answers, link) {
		if (serial_le(exp_stat_sn, executed->stat_sn))
			break;
		if (executed->emitting)
			return -EPROTO;
		answer_over(executed);
	}
	return 0;
}

void executed_resend(struct inbound *inbound)
{
	struct executed *executed;
	list_for_each (executed, &inbound->answers, link)
		put_on_wire(executed);
}

void executed_drop_answers(struct inbound *inbound)
{
	struct executed *executed, *following;
	list_for_each_safe (executed, following, &inbound->answers, link)
		answer_over(executed);
}

/* ---- running ---- */

static void task_done(struct scsi_task *task)
{
	struct executed *executed = container_of(task, struct executed, task);
	struct inbound *inbound = executed->inbound;
	uint8_t response = task->aborted        ? MESSAGE_ABORTED
	                   : task->not_executed ? MESSAGE_NOT_EXECUTED
	                                        : MESSAGE_DONE;

	executed->begun = false;
	atomic_fetch_sub(&inbound->hub->executing_now, 1);
	if (task->sense_len) {
		put_be16(executed->sense, task->sense_len);
		memcpy(executed->sense + 2, task->sense, task->sense_len);
	}
	buffer_put(steal(&executed->data));
	inbound->bytes -= executed->charged;
	executed->charged = SLACK_BYTES;
	if (task->data_in_len) {
		executed->data = steal(&task->data);
		executed->charged += task->data_in_len;
	}
	inbound->bytes += executed->charged;
	scsi_task_release(task);
	if (executed->refused) {
		response = MESSAGE_DONE;
		relayed_put_busy(task);
	}
	if (response == MESSAGE_NOT_EXECUTED && executed->row)
		proxy_row_mistrust(executed->row);
	answer(executed, response);
}

/* H35: what was sent long ago, by the proof of our own heartbeats, may not be wanted any more. The
 * initiator is told BUSY, if it still listens. */
static bool too_old(const struct executed *executed)
{
	const struct interconnect *interconnect = executed->inbound->hub->interconnect;
	uint64_t stamp = executed->message.stamp, now = interconnect->clock();
	return stamp > now || now - stamp > interconnect->age_max_ms;
}

/* The nexus and the row's number, if this may run here. */
static bool admit(struct executed *executed, struct nexus **ret_nexus, uint16_t *ret_number)
{
	struct inbound *inbound = executed->inbound;

	if (inbound->hub->stopping || inbound->dropped)
		return false;
	executed->row = proxy_row_get(inbound, executed->message.row);
	return executed->row && proxy_row_resolve(executed->row, ret_nexus, ret_number) == 0;
}

static void put_lun(uint8_t *ret_lun, uint16_t number)
{
	memset(ret_lun, 0, 8);
	put_be16(ret_lun, number);
	ret_lun[0] |= FLAT_SPACE;
}

static void begin(struct executed *executed, struct nexus *nexus, uint16_t number)
{
	struct scsi_task *task = &executed->task;
	struct hub *hub = executed->inbound->hub;

	task->nexus = nexus;
	task->tag = executed->message.tag;
	task->epoch = executed->message.epoch;
	task->done = task_done;
	put_lun(task->lun, number);
	executed->begun = true;
	hub_count_up(&hub->executed);
	atomic_fetch_add(&hub->executing_now, 1);
	if (scsi_task_begin(task) != SCSI_BEGIN_NEEDS_DATA)
		return;
	if (task->data_out_len > executed->have) {
		executed->refused = true; /* the two gateways see different LUNs */
		scsi_task_cancel(task);
		return;
	}
	task->data = steal(&executed->data);
	scsi_task_execute(task);
}

void executed_run(struct executed *executed)
{
	struct nexus *nexus = NULL;
	uint16_t number = 0;

	executed->state = EXECUTED_RUNNING;
	if (too_old(executed) || (executed->message.length && !executed->data)) {
		relayed_put_busy(&executed->task);
		answer(executed, MESSAGE_DONE);
	} else if (!admit(executed, &nexus, &number)) {
		answer(executed, MESSAGE_NOT_EXECUTED);
	} else {
		begin(executed, nexus, number);
	}
}

/* ---- task management ---- */

static void managed(struct task_management *request)
{
	struct executed *executed = container_of(request, struct executed, management);
	proxy_release(executed->proxy);
	answer(executed, request->not_executed ? MESSAGE_NOT_EXECUTED : (uint8_t)request->response);
}

void executed_manage(struct executed *executed)
{
	struct task_management *request = &executed->management;
	struct nexus *nexus = NULL;
	uint16_t number = 0;

	executed->state = EXECUTED_RUNNING;
	if (too_old(executed)) {
		answer(executed, TMF_REJECTED);
		return;
	}
	if (!admit(executed, &nexus, &number)) {
		answer(executed, MESSAGE_NOT_EXECUTED);
		return;
	}
	request->function = executed->function;
	request->epoch = executed->message.epoch;
	request->done = managed;
	executed->proxy = proxy_hold(executed->row);
	put_lun(request->lun, number);
	nexus_manage(nexus, request);
}

static void aborted(struct task_management *request)
{
	struct executed *executed = container_of(request, struct executed, management);
	struct inbound *inbound = executed->inbound;

	executed->aborting = false;
	proxy_release(executed->proxy);
	if (!executed->over)
		return;
	executed_free(executed);
	inbound_check_end(inbound);
}

void executed_abort(struct inbound *inbound, uint32_t itt, uint32_t cmd_sn)
{
	struct executed *executed;
	list_for_each (executed, &inbound->running, link) {
		if (executed->itt != itt || executed->cmd_sn != cmd_sn)
			continue;
		if (!executed->begun || executed->aborting || !executed->row)
			return;
		struct task_management *request = &executed->management;
		executed->aborting = true;
		executed->proxy = proxy_hold(executed->row);
		request->function = TMF_ABORT_TASK;
		request->task = &executed->task;
		request->epoch = executed->message.epoch;
		request->done = aborted;
		memcpy(request->lun, executed->task.lun, sizeof(request->lun));
		nexus_manage(executed->task.nexus, request);
		return;
	}
}
