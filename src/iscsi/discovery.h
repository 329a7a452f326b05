/* What a Text Request asks in full feature phase, and the answer: SendTargets, a new
 * MaxRecvDataSegmentLength, aliases; the rest is rejected key by key. [RFC 7143 4.3, 6.3, App. C]
 */
#pragma once

#include "iscsi/keys.h"
#include "iscsi/text.h"

#include "base/text.h"
#include "iscsi/server.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The text of one exchange at most, over all its PDUs: more is a protocol error for the caller. */
#define TEXT_REQUEST_MAX 65536

/* Who asks. All borrowed. */
struct text_asker {
	const struct iscsi_config *config;
	const char *initiator_name;        /* lower case */
	const struct iscsi_target *target; /* NULL: a discovery session */
	const char *local_address;         /* of the connection, as in TargetAddress */
};

/* What the answer changes, beside the text. */
struct text_changes {
	uint32_t initiator_segment; /* new MaxRecvDataSegmentLength of the initiator; 0: not
	                               declared */
	bool alias_declared;
	char initiator_alias[TEXT_VALUE_MAX + 1];
};

/* The answer to the accumulated text of a request. *ret_changes holds from when the answer is sent.
 * -EINVAL: the text is malformed, or a key comes twice: Reject with REJECT_PROTOCOL_ERROR;
 * -ENOMEM. ret_answers is a zeroed string, the caller clears it. */
int text_request_answer(const struct text_asker *asker, const struct text_block *request,
                        struct string *ret_answers, struct text_changes *ret_changes) MUST_CHECK;

/* The next piece of an answer for a PDU of at most max_bytes (the initiator's segment, or less);
 * *offset starts at 0 and moves. Returns its length; *ret_last: nothing is left behind it. A pair
 * may be split. */
uint32_t text_answer_piece(const struct string *answer, size_t *offset, uint32_t max_bytes,
                           const char **ret_piece, bool *ret_last);

/* SendTargets alone: the rows that `which` ("All", a name, "" = the session's own target) gives. */
void discovery_add_targets(const struct text_asker *asker, struct text_slice which,
                           struct string *ret_answers);
