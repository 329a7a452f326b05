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
	bool bulk;                       /* the last data were large: more of the kind follow */

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
/* Where the next bytes may be received: missing data straight into their place, what follows into
 * the buffer; a little of it only while large data are expected, for what lands there is copied
 * once more. ret_pieces: RECEIVE_PIECES of them. Returns how many. */
#define RECEIVE_PIECES 2
unsigned receiver_pieces(const struct receiver *rx, struct iovec buffer, bool expects_bulk,
                         struct iovec *ret_pieces) MUST_CHECK;
/* len bytes were put into those pieces. As receiver_take(). */
int receiver_take_pieces(struct receiver *rx, const struct iovec *pieces, unsigned count,
                         size_t len) MUST_CHECK;
