/* PDUs of the origin: commands with their data, task management, declarations, heartbeats. What is
 * numbered comes in the order of CmdSN without a gap, across connections; it counts as received
 * when all of it is here. */
#include "interconnect/inbound.h"

#include "interconnect/channel.h"

#include <errno.h>
#include <string.h>

/* ---- commands ---- */

static int check_number(const struct inbound *inbound, const uint8_t *bhs)
{
	bool next = get_be32(bhs + BHS_CMD_SN) == inbound->exp_cmd_sn;
	return next && !inbound->incoming ? 0 : -EPROTO;
}

static void fill_task(const uint8_t *bhs, const uint8_t *cdb_rest, struct scsi_task *task)
{
	memcpy(task->cdb, bhs + BHS_CDB, 16);
	task->cdb_len = 16;
	if (cdb_rest) {
		memcpy(task->cdb + 16, cdb_rest, 16);
		task->cdb_len = 32;
	}
	task->attribute = bhs[BHS_FLAGS] & FLAG_ATTRIBUTE_MASK;
	task->wants_read = bhs[BHS_FLAGS] & FLAG_READ;
	task->wants_write = bhs[BHS_FLAGS] & FLAG_WRITE;
	task->expected_len = get_be32(bhs + BHS_EXPECTED_LENGTH);
}

static int take_buffer(struct executed *executed)
{
	struct inbound *inbound = executed->inbound;
	uint32_t length = executed->message.length;

	if (length > BUFFER_MAX_BYTES || length > executed->task.expected_len ||
	    (inbound->count > 1 && inbound->bytes + length > INBOUND_BYTES_MAX))
		return -EPROTO;
	executed->charged = length;
	inbound->bytes += length;
	if (length) /* without memory the data are dropped and the answer is BUSY */
		executed->data = buffer_get(reactor_buffers(inbound->hub->reactor), length);
	return 0;
}

static int place_data(struct inbound *inbound, const uint8_t *bhs)
{
	struct executed *executed = inbound->incoming;
	uint32_t len = pdu_data_len(bhs);
	bool last = bhs[BHS_FLAGS] & FLAG_FINAL;

	if (!range_ok(executed->have, len, executed->message.length) ||
	    last != (executed->have + len == executed->message.length))
		return -EPROTO;
	inbound->wire.rx.data = executed->data ? executed->data->data + executed->have : NULL;
	return 0;
}

static int new_executed(struct inbound *inbound, const uint8_t *bhs, const uint8_t **ret_cdb_rest)
{
	struct message_command message;
	int r = check_number(inbound, bhs);
	if (r == 0)
		r = message_take_command(bhs, &message, ret_cdb_rest);
	if (r < 0)
		return r;
	struct executed *executed = executed_new(inbound);
	if (!executed)
		return -ENOMEM;
	executed->message = message;
	executed->itt = pdu_itt(bhs);
	executed->cmd_sn = inbound->exp_cmd_sn;
	inbound->incoming = executed;
	return 0;
}

static int command_header(struct inbound *inbound, const uint8_t *bhs)
{
	const uint8_t *cdb_rest = NULL;
	int r = new_executed(inbound, bhs, &cdb_rest);
	if (r < 0)
		return r;
	fill_task(bhs, cdb_rest, &inbound->incoming->task);
	r = take_buffer(inbound->incoming);
	return r < 0 ? r : place_data(inbound, bhs);
}

static int data_out_header(struct inbound *inbound, const uint8_t *bhs)
{
	const struct executed *executed = inbound->incoming;
	if (!executed || executed->itt != pdu_itt(bhs) || pdu_data_len(bhs) == 0 ||
	    get_be32(bhs + BHS_BUFFER_OFFSET) != executed->have)
		return -EPROTO;
	return place_data(inbound, bhs);
}

static int command_complete(struct inbound *inbound, const uint8_t *bhs)
{
	struct executed *executed = inbound->incoming;

	executed->have += pdu_data_len(bhs);
	if (!(bhs[BHS_FLAGS] & FLAG_FINAL))
		return 0;
	inbound->incoming = NULL;
	inbound->exp_cmd_sn++;
	executed_run(executed);
	return 0;
}

/* ---- task management ---- */

static int management_header(struct inbound *inbound, const uint8_t *bhs)
{
	const uint8_t *cdb_rest = NULL;
	if (pdu_data_len(bhs))
		return -EPROTO;
	int r = new_executed(inbound, bhs, &cdb_rest);
	if (r < 0)
		return r;
	inbound->incoming->is_management = true;
	inbound->incoming->function = bhs[BHS_FLAGS] & FLAG_FUNCTION_MASK;
	return 0;
}

static int management_complete(struct inbound *inbound, const uint8_t *bhs)
{
	struct executed *executed = inbound->incoming;

	inbound->incoming = NULL;
	inbound->exp_cmd_sn++;
	if (executed->function != TMF_ABORT_TASK) {
		executed_manage(executed);
		return 0;
	}
	executed_free(executed); /* it has no answer of its own */
	executed_abort(inbound, get_be32(bhs + BHS_REFERENCED_TAG), get_be32(bhs + BHS_REF_CMD_SN));
	return 0;
}

/* ---- texts ---- */

struct told {
	struct message message;
	struct interconnect *interconnect;
	char gateway[INTERCONNECT_NAME_MAX], instance[INTERCONNECT_INSTANCE_MAX];
	char text[];
};

static void tell_manager(struct message *message)
{
	struct told *told = container_of(message, struct told, message);
	struct interconnect *interconnect = told->interconnect;
	const struct peer *peer = peer_find(interconnect, told->gateway, told->instance);

	/* Of an unknown gateway (its registration is not read yet) it is as if lost on the way. */
	if (peer && peer->info.state != PEER_FORGOTTEN && !interconnect->stopping)
		interconnect->listener->told(interconnect->listener, &peer->info, told->text);
	free(told);
}

static int tell_complete(struct inbound *inbound, const uint8_t *bhs)
{
	uint32_t len = pdu_data_len(bhs);
	struct told *told = malloc(sizeof(*told) + len + 1);
	if (!told)
		return -ENOMEM;
	told->interconnect = inbound->hub->interconnect;
	strcpy(told->gateway, inbound->gateway);
	strcpy(told->instance, inbound->instance);
	if (len)
		memcpy(told->text, inbound->text->data, len);
	told->text[len] = '\0';
	told->message.run = tell_manager;
	reactor_deliver(told->interconnect->manager, &told->message);
	return 0;
}

static int nexus_complete(struct inbound *inbound, const uint8_t *bhs)
{
	struct message_nexus nexus;
	int r = message_take_nexus((char *)inbound->text->data, pdu_data_len(bhs), &nexus);
	return r < 0 ? r : proxy_declare(inbound, &nexus);
}

static int row_complete(struct inbound *inbound, const uint8_t *bhs)
{
	struct message_row row;
	int r = message_take_row((char *)inbound->text->data, pdu_data_len(bhs), &row);
	return r < 0 ? r : proxy_declare_row(inbound, &row);
}

static int no_nexus_complete(struct inbound *inbound, const uint8_t *bhs)
{
	proxy_end(inbound, pdu_ttt(bhs));
	return 0;
}

static int no_row_complete(struct inbound *inbound, const uint8_t *bhs)
{
	proxy_row_end(inbound, pdu_ttt(bhs));
	return 0;
}

static const struct {
	bool numbered;
	uint32_t text_max;
	int (*complete)(struct inbound *inbound, const uint8_t *bhs);
} texts[] = {
	[MESSAGE_NEXUS] = { true, MESSAGE_TEXT_MAX, nexus_complete },
	[MESSAGE_ROW] = { true, MESSAGE_TEXT_MAX, row_complete },
	[MESSAGE_NO_NEXUS] = { true, 0, no_nexus_complete },
	[MESSAGE_NO_ROW] = { true, 0, no_row_complete },
	[MESSAGE_TELL] = { false, INTERCONNECT_TELL_MAX, tell_complete },
};

static int text_header(struct inbound *inbound, const uint8_t *bhs)
{
	uint8_t kind = bhs[2];
	uint32_t len = pdu_data_len(bhs);

	if (kind >= ARRAY_LEN(texts) || !texts[kind].complete || len > texts[kind].text_max)
		return -EPROTO;
	if (texts[kind].numbered && check_number(inbound, bhs) < 0)
		return -EPROTO;
	inbound->text = buffer_get(reactor_buffers(inbound->hub->reactor), len);
	if (!inbound->text)
		return -ENOMEM;
	inbound->wire.rx.data = inbound->text->data;
	return 0;
}

static int text_complete(struct inbound *inbound, const uint8_t *bhs)
{
	uint8_t kind = bhs[2];
	int r = texts[kind].complete(inbound, bhs);
	buffer_put(steal(&inbound->text));
	if (r == 0 && texts[kind].numbered)
		inbound->exp_cmd_sn++;
	return r;
}

/* ---- heartbeats ---- */

static int heartbeat_header(struct inbound *inbound, const uint8_t *bhs)
{
	(void)inbound;
	return pdu_data_len(bhs) == 0 ? 0 : -EPROTO;
}

static int heartbeat_complete(struct inbound *inbound, const uint8_t *bhs)
{
	struct message_heartbeat heartbeat;
	int r = message_take_heartbeat(bhs, &heartbeat);
	if (r == 0)
		inbound->stamp = heartbeat.stamp;
	return r;
}

/* ---- by opcode ---- */

static const struct {
	int (*header)(struct inbound *inbound, const uint8_t *bhs);
	int (*complete)(struct inbound *inbound, const uint8_t *bhs);
} rows[PDU_OPCODE_MASK + 1] = {
	[PDU_SCSI_COMMAND] = { command_header, command_complete },
	[PDU_DATA_OUT] = { data_out_header, command_complete },
	[PDU_TASK_MANAGEMENT] = { management_header, management_complete },
	[PDU_TEXT] = { text_header, text_complete },
	[PDU_NOP_OUT] = { heartbeat_header, heartbeat_complete },
};

int request_header(struct inbound *inbound)
{
	const uint8_t *bhs = inbound->wire.rx.header;
	uint8_t opcode = pdu_opcode(bhs);
	/* Data come right behind their command. */
	if (!rows[opcode].header || (inbound->incoming && opcode != PDU_DATA_OUT))
		return -EPROTO;
	return rows[opcode].header(inbound, bhs);
}

int request_complete(struct inbound *inbound)
{
	const uint8_t *bhs = inbound->wire.rx.header;
	int r = executed_confirm(inbound, get_be32(bhs + BHS_EXP_STAT_SN));
	return r < 0 ? r : rows[pdu_opcode(bhs)].complete(inbound, bhs);
}
