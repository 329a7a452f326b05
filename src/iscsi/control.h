/* Small PDUs of the target that are not part of a SCSI command: built at once, sent in order, freed
 * when they have left. */
#pragma once

#include "iscsi/pdu.h"
#include "iscsi/transmit.h"

struct session;

struct control {
	struct outgoing outgoing;
	struct session *session;
	struct connection *connection;
	uint8_t bhs[BHS_BYTES]; /* the numbers are put when it is emitted */
	bool advances_stat_sn;
	bool ends_connection; /* the last PDU: the connection is closed behind it */
	uint32_t data_len;
	uint8_t data[];
};

/* A PDU with room for data_len bytes of data. NULL: no memory. */
struct control *control_new(struct session *session, enum pdu_opcode opcode, uint32_t itt,
                            uint32_t data_len) MUST_CHECK;
/* Takes it over. Without a connection it is just freed. */
void control_send(struct control *control);

/* Reject of the PDU in bhs (AHS behind it). -ENOMEM: close the connection. */
int reject_send(struct session *session, const uint8_t *bhs, enum reject_reason reason) MUST_CHECK;
/* The same as the last word on this connection. Always -EPROTO-like: return it from a rule. */
int reject_and_finish(struct session *session, const uint8_t *bhs, enum reject_reason reason);

void async_send(struct session *session, enum async_event event, uint16_t parameter1,
                uint16_t parameter2, uint16_t parameter3);
/* A NOP-In that asks for an answer, or (ask false) only carries the window. */
void nop_in_send(struct session *session, bool ask);
