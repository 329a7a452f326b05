/* Small PDUs: Reject, Async Message, NOP-In; the rest is built by who answers. */
#include "iscsi/control.h"

#include "iscsi/session.h"
#include "iscsi/worker.h"

#include <errno.h>
#include <stdlib.h>

static bool emit_control(struct outgoing *outgoing, struct tx_slot *slot)
{
	struct control *control = container_of(outgoing, struct control, outgoing);

	memcpy(slot->header, control->bhs, BHS_BYTES);
	session_put_sn(control->session, slot->header, control->advances_stat_sn);
	if (control->data_len)
		slot_set_data(slot, control->data, control->data_len);
	slot->ended_with = outgoing;
	return true;
}

static uint32_t control_bytes(const struct control *control)
{
	return (uint32_t)sizeof(*control) + control->data_len;
}

static void control_left(struct outgoing *outgoing)
{
	struct control *control = container_of(outgoing, struct control, outgoing);

	control->connection->queued_bytes -= control_bytes(control);
	free(control);
}

struct control *control_new(struct session *session, enum pdu_opcode opcode, uint32_t itt,
                            uint32_t data_len)
{
	struct control *control = malloc(sizeof(*control) + data_len);
	if (!control)
		return NULL;
	*control = (struct control){
		.outgoing = { .emit = emit_control, .ended = control_left },
		.session = session,
		.connection = session->connection,
		.advances_stat_sn = true,
		.data_len = data_len,
	};
	list_init(&control->outgoing.link);
	pdu_start(control->bhs, opcode, FLAG_FINAL, itt);
	return control;
}

void control_send(struct control *control)
{
	struct connection *connection = control->session->connection;
	bool last = control->ends_connection;

	if (!connection || connection->state != CONNECTION_FULL_FEATURE) {
		free(control);
		return;
	}
	connection->queued_bytes += control_bytes(control);
	connection_send(connection, &control->outgoing);
	if (last)
		connection_finish(connection);
}

int reject_send(struct session *session, const uint8_t *bhs, enum reject_reason reason)
{
	uint32_t len = BHS_BYTES + pdu_ahs_len(bhs);
	struct control *control = control_new(session, PDU_REJECT, TAG_NONE, len);

	if (!control)
		return -ENOMEM;
	control->bhs[BHS_RESPONSE] = (uint8_t)reason;
	memcpy(control->data, bhs, len);
	control_send(control);
	return 0;
}

int reject_and_finish(struct session *session, const uint8_t *bhs, enum reject_reason reason)
{
	int r = reject_send(session, bhs, reason);
	if (r < 0)
		return r;
	connection_finish(session->connection);
	return -ECANCELED;
}

void async_send(struct session *session, enum async_event event, uint16_t parameter1,
                uint16_t parameter2, uint16_t parameter3)
{
	struct control *control = control_new(session, PDU_ASYNC_MESSAGE, TAG_NONE, 0);

	if (!control)
		return; /* a courtesy: what it announces happens all the same */
	control->bhs[BHS_ASYNC_EVENT] = (uint8_t)event;
	put_be16(control->bhs + BHS_ASYNC_PARAMETER1, parameter1);
	put_be16(control->bhs + BHS_ASYNC_PARAMETER2, parameter2);
	put_be16(control->bhs + BHS_ASYNC_PARAMETER3, parameter3);
	control_send(control);
}

void nop_in_send(struct session *session, bool ask)
{
	struct control *control = control_new(session, PDU_NOP_IN, TAG_NONE, 0);
	uint32_t ttt = TAG_NONE;

	if (!control)
		return; /* the next deadline tries again */
	if (ask) {
		ttt = ++session->ping_serial & 0x7fffffff;
		freshness_ping(&session->freshness, ttt, session->worker->boot_ms);
		session->ping_open = true;
		session->ping_sent_ms = reactor_now_ms(session->worker->reactor);
	}
	put_be32(control->bhs + BHS_TTT, ttt);
	control->advances_stat_sn = false; /* [RFC 7143 11.19.3] */
	control_send(control);
}
