/* NOP-Out: pings are echoed at once, answers to our own pings are a sign of life. Nothing here ever
 * waits for storage. [RFC 7143 11.18, 11.19] */
#include "iscsi/barrier.h"
#include "iscsi/control.h"
#include "iscsi/session.h"

#include "base/buffer.h"

#include <errno.h>
#include <string.h>

int nop_out_end(struct session *session, uint8_t *bhs)
{
	uint32_t itt = pdu_itt(bhs);
	uint32_t len = pdu_data_len(bhs);

	session->ping_open = false;
	barrier_take_answer(session, pdu_ttt(bhs));
	if (itt == TAG_NONE) /* no answer is wanted */
		return pdu_immediate(bhs) ? 0 : reject_send(session, bhs, REJECT_PROTOCOL_ERROR);
	if (len > session->send_limit)
		len = session->send_limit;
	struct control *control = control_new(session, PDU_NOP_IN, itt, len);
	if (!control)
		return -ENOMEM;
	put_be32(control->bhs + BHS_TTT, TAG_NONE);
	if (len)
		memcpy(control->data, session->pdu_data->data, len);
	control_send(control);
	return 0;
}
