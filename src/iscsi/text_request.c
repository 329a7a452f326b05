/* Text exchanges; what the keys mean is the business of discovery.c. [RFC 7143 11.10, 11.11] */
#include "iscsi/text_request.h"

#include "iscsi/control.h"
#include "iscsi/discovery.h"
#include "iscsi/session.h"

#include "base/buffer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct text_exchange {
	uint32_t itt, ttt;
	struct string request, answer;
	size_t given; /* bytes of the answer that were sent */
	bool answering;
};

void text_exchange_done(struct session *session)
{
	struct text_exchange *exchange = steal(&session->text);
	if (!exchange)
		return;
	string_clear(&exchange->request);
	string_clear(&exchange->answer);
	free(exchange);
}

static int exchange_new(struct session *session, uint32_t itt)
{
	text_exchange_done(session); /* a new one ends an old one that was left open */
	session->text = calloc(1, sizeof(*session->text));
	if (!session->text)
		return -ENOMEM;
	session->text->itt = itt;
	session->text->ttt = ++session->ping_serial & 0x7fffffff;
	return 0;
}

/* The next piece of the answer; an empty one asks for the rest of the request. */
static int respond(struct session *session)
{
	struct text_exchange *exchange = session->text;
	const char *piece = NULL;
	uint32_t len = 0;
	bool last = false;

	if (exchange->answering)
		len = text_answer_piece(&exchange->answer, &exchange->given, session->send_limit,
		                        &piece, &last);
	struct control *control = control_new(session, PDU_TEXT_RESPONSE, exchange->itt, len);
	if (!control)
		return -ENOMEM;
	if (len)
		memcpy(control->data, piece, len);
	if (last) {
		put_be32(control->bhs + BHS_TTT, TAG_NONE);
		text_exchange_done(session);
	} else {
		put_be32(control->bhs + BHS_TTT, exchange->ttt);
		control->bhs[BHS_FLAGS] = exchange->answering ? FLAG_CONTINUE : 0;
	}
	control_send(control);
	return 0;
}

static void apply_changes(struct session *session, const struct text_changes *changes)
{
	if (changes->initiator_segment) {
		session->values.initiator_segment = changes->initiator_segment;
		session->send_limit = keys_send_limit(&session->values,
		                                      session->target ? &session->target->controls
		                                                      : keys_discovery_controls());
	}
	if (changes->alias_declared)
		strcpy(session->initiator_alias, changes->initiator_alias);
}

static int answer(struct session *session, const uint8_t *bhs)
{
	struct text_exchange *exchange = session->text;
	struct text_block block = { exchange->request.text, exchange->request.len };
	struct text_asker asker = {
		.config = session->config,
		.initiator_name = session->entry.initiator_name,
		.target = session->target,
		.local_address = session->connection->local_address,
	};
	struct text_changes changes = { 0 };

	int r = text_request_answer(&asker, &block, &exchange->answer, &changes);
	if (r == -EINVAL) {
		text_exchange_done(session);
		return reject_send(session, bhs, REJECT_PROTOCOL_ERROR);
	}
	if (r < 0)
		return r;
	exchange->answering = true;
	apply_changes(session, &changes);
	return respond(session);
}

/* The bytes of this PDU join the request. 0, or a reason to reject it. */
static enum reject_reason collect(struct session *session, const uint8_t *bhs)
{
	struct text_exchange *exchange = session->text;
	uint32_t len = pdu_data_len(bhs);

	if (exchange->answering)
		return len ? REJECT_PROTOCOL_ERROR : 0;
	if (exchange->request.len + len > TEXT_REQUEST_MAX)
		return REJECT_LONG_OPERATION;
	if (len)
		string_add_bytes(&exchange->request, session->pdu_data->data, len);
	return exchange->request.failed ? REJECT_LONG_OPERATION : 0;
}

int text_request_end(struct session *session, uint8_t *bhs)
{
	uint8_t flags = bhs[BHS_FLAGS];
	uint32_t ttt = pdu_ttt(bhs);
	int r = 0;
	bool final = flags & FLAG_FINAL, goes_on = flags & FLAG_CONTINUE;

	if (pdu_itt(bhs) == TAG_NONE || final == goes_on)
		return reject_send(session, bhs, REJECT_INVALID_FIELD);
	if (ttt == TAG_NONE)
		r = exchange_new(session, pdu_itt(bhs));
	else if (!session->text || session->text->ttt != ttt || session->text->itt != pdu_itt(bhs))
		return reject_send(session, bhs, REJECT_PROTOCOL_ERROR);
	if (r < 0)
		return r;
	enum reject_reason reason = collect(session, bhs);
	if (reason) {
		text_exchange_done(session);
		return reject_send(session, bhs, reason);
	}
	if (session->text->answering || goes_on)
		return respond(session);
	return answer(session, bhs);
}
