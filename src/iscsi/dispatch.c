/* Full feature phase: one table says of each opcode who takes it, whether it is numbered, and what
 * holds in a discovery session; the checks that the table allows are made once, here.
 * [RFC 7143 4.2.2, 11] */
#include "iscsi/barrier.h"
#include "iscsi/control.h"
#include "iscsi/held.h"
#include "iscsi/session.h"
#include "iscsi/worker.h"

#include "base/buffer.h"

#include <errno.h>
#include <string.h>

static const struct pdu_rule rules[PDU_OPCODE_MASK + 1] = {
	[PDU_NOP_OUT] = { .known = true,
	                  .numbered = true,
	                  .in_discovery = true,
	                  .survives_bad_digest = true,
	                  .begin = session_place_data,
	                  .end = nop_out_end },
	[PDU_SCSI_COMMAND] = { .known = true,
	                       .numbered = true,
	                       .begin = command_begin,
	                       .end = command_end_of_pdu },
	[PDU_TASK_MANAGEMENT] = { .known = true, .numbered = true, .end = management_end },
	[PDU_LOGIN] = { .known = true, .in_discovery = true, .end = login_in_full_feature },
	[PDU_TEXT] = { .known = true,
	               .numbered = true,
	               .in_discovery = true,
	               .survives_bad_digest = true,
	               .begin = session_place_data,
	               .end = text_request_end },
	[PDU_DATA_OUT] = { .known = true, .begin = data_out_begin, .end = data_out_end },
	[PDU_LOGOUT] = { .known = true, .numbered = true, .in_discovery = true, .end = logout_end },
	[PDU_SNACK] = { .known = true, .in_discovery = true, .end = snack_end },
};

int session_place_data(struct session *session, uint8_t *bhs)
{
	uint32_t len = pdu_data_len(bhs);

	if (!len)
		return 0;
	session->pdu_data = buffer_get(reactor_buffers(session->worker->reactor), len);
	if (!session->pdu_data)
		return -ENOMEM;
	session->connection->rx.data = session->pdu_data->data;
	return 0;
}

/* 1: take it; 0: it was dropped, held or rejected; -errno. */
static int check_header(struct session *session, const uint8_t *bhs, const struct pdu_rule *rule)
{
	if (!rule->known) {
		if (pdu_opcode(bhs) & PDU_FROM_TARGET)
			return reject_and_finish(session, bhs, REJECT_PROTOCOL_ERROR);
		return reject_send(session, bhs, REJECT_NOT_SUPPORTED);
	}
	if (pdu_ahs_len(bhs) && rule->begin != command_begin)
		return reject_and_finish(session, bhs, REJECT_PROTOCOL_ERROR);
	if (pdu_data_len(bhs) > session->values.target_segment)
		return reject_and_finish(session, bhs, REJECT_PROTOCOL_ERROR);
	if (!session->target && !rule->in_discovery)
		return reject_and_finish(session, bhs, REJECT_PROTOCOL_ERROR);
	if (session->stopping)
		return 0; /* a logout waits for its answer: nothing starts any more */
	return 1;
}

/* 1: its turn; 0: not, or never. */
static int check_number(struct session *session, const uint8_t *bhs)
{
	switch (window_check(&session->window, get_be32(bhs + BHS_CMD_SN))) {
	case WINDOW_TAKE:
		window_take(&session->window);
		return 1;
	case WINDOW_HOLD:
		return held_begin(session, bhs);
	case WINDOW_IGNORE:
		break;
	}
	return 0;
}

static int begin_pdu(struct session *session, uint8_t *bhs)
{
	const struct pdu_rule *rule = &rules[pdu_opcode(bhs)];

	session->rule = NULL;
	int r = check_header(session, bhs, rule);
	if (r == 1 && rule->numbered && !pdu_immediate(bhs))
		r = check_number(session, bhs);
	if (r != 1)
		return r;
	session->rule = rule;
	return rule->begin ? rule->begin(session, bhs) : 0;
}

static int end_pdu(struct session *session, uint8_t *bhs)
{
	const struct pdu_rule *rule = session->rule;
	int r = 0;

	held_end(session);
	if (rule) {
		session->rule = NULL;
		r = rule->end(session, bhs);
		buffer_put(steal(&session->pdu_data));
		/* A command stays open until it is answered; the others are answered now. */
		if (rule->numbered && !pdu_immediate(bhs) && rule->end != command_end_of_pdu)
			session_give_back(session);
	}
	return r;
}

static int bad_digest(struct session *session, uint8_t *bhs)
{
	const struct pdu_rule *rule = session->rule;

	if (rule && !rule->survives_bad_digest)
		return reject_and_finish(session, bhs, REJECT_DATA_DIGEST);
	held_cancel(session);
	if (!rule)
		return 0;
	session->rule = NULL;
	buffer_put(steal(&session->pdu_data));
	if (!pdu_immediate(bhs))
		session_give_back(session);
	return reject_send(session, bhs, REJECT_DATA_DIGEST);
}

/* After connection_finish() what still comes is dropped: not an error of its own. */
static int stop_reading(const struct connection *connection, int r)
{
	if (connection->state != CONNECTION_FULL_FEATURE)
		return -ECANCELED;
	return r;
}

static int session_header(struct receiver *rx)
{
	struct connection *connection = container_of(rx, struct connection, rx);
	barrier_take_header(connection->session, rx->header);
	return stop_reading(connection, begin_pdu(connection->session, rx->header));
}

static int session_pdu(struct receiver *rx, bool data_digest_ok)
{
	struct connection *connection = container_of(rx, struct connection, rx);
	struct session *session = connection->session;

	if (!data_digest_ok)
		return stop_reading(connection, bad_digest(session, rx->header));
	int r = end_pdu(session, rx->header);
	if (r == 0 && session->held_count && connection->state == CONNECTION_FULL_FEATURE)
		r = held_replay(session);
	return stop_reading(connection, r);
}

const struct receiver_ops session_receiver_ops = {
	.header = session_header,
	.complete = session_pdu,
};

int session_replay(struct session *session, uint8_t *header, const uint8_t *data, uint32_t len)
{
	struct receiver *rx = &session->connection->rx;

	rx->data = NULL;
	int r = begin_pdu(session, header);
	if (r < 0)
		return r;
	if (rx->data && len)
		memcpy(rx->data, data, len);
	return end_pdu(session, header);
}
