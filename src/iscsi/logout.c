/* Logout: what runs in the backend ends first, then the response goes out as the last PDU; and the
 * requests that are always refused. [RFC 7143 11.14, 11.15] */
#include "iscsi/control.h"
#include "iscsi/session.h"

#include <errno.h>

static struct control *response_new(struct session *session, const uint8_t *bhs,
                                    enum logout_response response)
{
	struct control *control = control_new(session, PDU_LOGOUT_RESPONSE, pdu_itt(bhs), 0);
	if (!control)
		return NULL;
	control->bhs[BHS_RESPONSE] = (uint8_t)response;
	put_be16(control->bhs + BHS_TIME2WAIT, (uint16_t)session->values.time2wait);
	return control;
}

int logout_end(struct session *session, uint8_t *bhs)
{
	enum logout_response response = LOGOUT_DONE;

	switch (bhs[BHS_FLAGS] & FLAG_FUNCTION_MASK) {
	case LOGOUT_CLOSE_SESSION:
		break;
	case LOGOUT_CLOSE_CONNECTION:
		if (get_be16(bhs + BHS_CID) != session->entry.cid)
			response = LOGOUT_NO_CID;
		break;
	case LOGOUT_RECOVERY:
		response = LOGOUT_NO_RECOVERY;
		break;
	default:
		return reject_send(session, bhs, REJECT_INVALID_FIELD);
	}
	struct control *control = response_new(session, bhs, response);
	if (!control)
		return -ENOMEM;
	if (response != LOGOUT_DONE) {
		control_send(control);
		return 0;
	}
	control->ends_connection = true;
	session->logout_response = control;
	session_stop(session);
	return 0;
}

/* Nothing is ever sent again at ErrorRecoveryLevel 0. */
int snack_end(struct session *session, uint8_t *bhs)
{
	return reject_send(session, bhs, REJECT_SNACK);
}

int login_in_full_feature(struct session *session, uint8_t *bhs)
{
	return reject_and_finish(session, bhs, REJECT_PROTOCOL_ERROR);
}
