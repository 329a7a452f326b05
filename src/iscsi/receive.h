/* What comes in on a connection: bytes become whole PDUs. The header is collected first; then the
 * owner says where the data goes, so large data is received straight into its place. */
#pragma once

#include "iscsi/pdu.h"

#include <sys/types.h>
#include <sys/uio.h>

struct receiver;

/* What the owner does with PDUs. Both return 0, or -errno to stop receiving (broken, or closing).
 */
struct receiver_ops {
	/* The header (and AHS) is there and its digest right: sets rx->data (NULL: the data is
	 * dropped) for pdu_data_len() bytes, or refuses the PDU. */
	int (*header)(struct receiver *rx);
	/* The whole PDU is there. */
	int (*complete)(struct receiver *rx, bool data_digest_ok);
};

enum receive_step { RECEIVE_HEADER, RECEIVE_DATA, RECEIVE_TAIL };

struct receiver {
	const struct receiver_ops *ops;
	bool header_digest, data_digest; /* from the next header on */
	uint8_t *data;                   /* where the data goes; set by ops->header */

	/* The header of the PDU that is coming in: BHS, AHS. */
	uint8_t header[BHS_BYTES + AHS_MAX_BYTES + DIGEST_BYTES];

	/* The receiver's own. */
	enum receive_step step;
	uint32_t have, need; /* bytes of this step */
	uint32_t crc;
	uint8_t tail[3 + DIGEST_BYTES];
};

void receiver_init(struct receiver *rx, const struct receiver_ops *ops);
/* Takes bytes that came. 0, -EBADMSG: header digest, else what an op returned. */
int receiver_take(struct receiver *rx, const uint8_t *bytes, size_t len) MUST_CHECK;
/* Bytes needed until the next decision; never reads over the end of this PDU. */
size_t receiver_wants(const struct receiver *rx);
/* Where data that is still missing may be received directly; len 0: nowhere. */
struct iovec receiver_place(const struct receiver *rx);
/* len bytes were put at receiver_place(). */
int receiver_placed(struct receiver *rx, size_t len) MUST_CHECK;
