/* Commands that wait for an earlier one. On one TCP connection this only happens when the target
 * itself has thrown a PDU away, or with a broken initiator; so it is simple and bounded. */
#include "iscsi/held.h"

#include "iscsi/session.h"
#include "iscsi/worker.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define HELD_MAX_BYTES (1u << 20)

struct held_pdu {
	struct list link; /* in session->held */
	uint32_t cmd_sn;
	bool whole;
	bool is_void; /* counts, but does nothing */
	uint32_t data_len;
	uint8_t header[BHS_BYTES + AHS_MAX_BYTES];
	uint8_t data[];
};

static struct held_pdu *find(struct session *session, uint32_t cmd_sn)
{
	struct held_pdu *held;
	list_for_each (held, &session->held, link) {
		if (held->cmd_sn == cmd_sn)
			return held;
	}
	return NULL;
}

static struct held_pdu *add(struct session *session, uint32_t cmd_sn, uint32_t data_len)
{
	uint32_t bytes = (uint32_t)sizeof(struct held_pdu) + data_len;

	if (session->held_bytes + bytes > HELD_MAX_BYTES)
		return NULL;
	struct held_pdu *held = calloc(1, bytes);
	if (!held)
		return NULL;
	held->cmd_sn = cmd_sn;
	held->data_len = data_len;
	session->held_bytes += bytes;
	if (session->held_count++ == 0)
		session->held_since_ms = reactor_now_ms(session->worker->reactor);
	list_append(&session->held, &held->link);
	return held;
}

static void drop(struct session *session, struct held_pdu *held)
{
	session->held_bytes -= (uint32_t)sizeof(*held) + held->data_len;
	session->held_count--;
	list_remove(&held->link);
	free(held);
}

int held_begin(struct session *session, const uint8_t *bhs)
{
	uint32_t cmd_sn = get_be32(bhs + BHS_CMD_SN);

	session->rule = NULL;
	if (find(session, cmd_sn))
		return 0; /* a duplicate */
	/* Unsolicited data behind it would find no command. */
	if (pdu_opcode(bhs) == PDU_SCSI_COMMAND && !(bhs[BHS_FLAGS] & FLAG_FINAL))
		return -EPROTO;
	struct held_pdu *held = add(session, cmd_sn, pdu_data_len(bhs));
	if (!held)
		return -ENOBUFS;
	memcpy(held->header, bhs, BHS_BYTES + pdu_ahs_len(bhs));
	session->connection->rx.data = held->data;
	session->holding = held;
	return 0;
}

void held_end(struct session *session)
{
	if (session->holding)
		steal(&session->holding)->whole = true;
}

void held_cancel(struct session *session)
{
	if (session->holding)
		drop(session, steal(&session->holding));
}

int held_void(struct session *session, uint32_t cmd_sn)
{
	struct held_pdu *held = find(session, cmd_sn);

	if (!held)
		held = add(session, cmd_sn, 0);
	if (!held)
		return -ENOBUFS;
	held->is_void = held->whole = true;
	return 0;
}

int held_replay(struct session *session)
{
	int r = 0;

	while (r == 0 && session->held_count && !session->stopping) {
		struct held_pdu *held = find(session, session->window.exp_cmd_sn);
		if (!held || !held->whole)
			break;
		if (held->is_void) {
			window_take(&session->window);
			session_give_back(session);
		} else {
			r = session_replay(session, held->header, held->data, held->data_len);
		}
		drop(session, held);
		session->held_since_ms = reactor_now_ms(session->worker->reactor);
	}
	return r;
}

void held_drop_all(struct session *session)
{
	session->holding = NULL;
	while (!list_empty(&session->held))
		drop(session, list_first(&session->held, struct held_pdu, link));
}
