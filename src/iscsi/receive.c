/* The framing of PDUs on the stream: BHS, AHS, header digest, data, padding, data digest.
 * [RFC 7143 11.1] */
#include "iscsi/receive.h"

#include "iscsi/digest.h"

#include <errno.h>

#define DIRECT_MIN_BYTES 4096u       /* less is copied: cheaper than a second piece */
#define BULK_BYTES       (16u << 10) /* data from here on is followed by more of its kind */
#define BEHIND_BYTES     4096u       /* read beside a place while large data comes */

static void expect_header(struct receiver *rx)
{
	rx->step = RECEIVE_HEADER;
	rx->have = 0;
	rx->need = BHS_BYTES;
}

void receiver_init(struct receiver *rx, const struct receiver_ops *ops)
{
	rx->ops = ops;
	rx->header_digest = rx->data_digest = false;
	rx->data = NULL;
	rx->bulk = false;
	expect_header(rx);
}

static int complete(struct receiver *rx, bool data_digest_ok)
{
	expect_header(rx);
	return rx->ops->complete(rx, data_digest_ok);
}

static int end_of_header(struct receiver *rx)
{
	uint32_t len = BHS_BYTES + pdu_ahs_len(rx->header);
	uint32_t with_digest = len + (rx->header_digest ? DIGEST_BYTES : 0);

	if (rx->need < with_digest) {
		rx->need = with_digest;
		return 0;
	}
	if (rx->header_digest && get_le32(rx->header + len) != digest_crc32c(rx->header, len))
		return -EBADMSG;
	rx->data = NULL;
	int r = rx->ops->header(rx);
	if (r < 0)
		return r;
	uint32_t data_len = pdu_data_len(rx->header);
	rx->bulk = rx->data && data_len >= BULK_BYTES;
	if (data_len == 0)
		return complete(rx, true);
	rx->step = RECEIVE_DATA;
	rx->have = 0;
	rx->need = data_len;
	rx->crc = DIGEST_BEGIN;
	return 0;
}

static int end_of_tail(struct receiver *rx)
{
	if (!rx->data_digest)
		return complete(rx, true);
	uint32_t pad = rx->need - DIGEST_BYTES;
	uint32_t crc = digest_end(digest_add(rx->crc, rx->tail, pad));
	return complete(rx, crc == get_le32(rx->tail + pad));
}

static int end_of_data(struct receiver *rx)
{
	rx->step = RECEIVE_TAIL;
	rx->need = pdu_pad(rx->need) + (rx->data_digest ? DIGEST_BYTES : 0);
	rx->have = 0;
	return rx->need ? 0 : complete(rx, true);
}

static int end_of_step(struct receiver *rx)
{
	switch (rx->step) {
	case RECEIVE_HEADER:
		return end_of_header(rx);
	case RECEIVE_DATA:
		return end_of_data(rx);
	case RECEIVE_TAIL:
		return end_of_tail(rx);
	}
	__builtin_unreachable();
}

static uint8_t *place_of_step(struct receiver *rx)
{
	switch (rx->step) {
	case RECEIVE_HEADER:
		return rx->header + rx->have;
	case RECEIVE_DATA:
		return rx->data ? rx->data + rx->have : NULL;
	case RECEIVE_TAIL:
		return rx->tail + rx->have;
	}
	__builtin_unreachable();
}

int receiver_take(struct receiver *rx, const uint8_t *bytes, size_t len)
{
	while (len) {
		uint32_t left = rx->need - rx->have;
		uint32_t piece = len < left ? (uint32_t)len : left;
		uint8_t *place = place_of_step(rx);
		if (place)
			memcpy(place, bytes, piece);
		if (rx->step == RECEIVE_DATA && rx->data_digest)
			rx->crc = digest_add(rx->crc, bytes, piece);
		rx->have += piece;
		bytes += piece;
		len -= piece;
		if (rx->have < rx->need)
			return 0;
		int r = end_of_step(rx);
		if (r < 0)
			return r;
	}
	return 0;
}

size_t receiver_wants(const struct receiver *rx)
{
	return rx->need - rx->have;
}

unsigned receiver_pieces(const struct receiver *rx, struct iovec buffer, bool expects_bulk,
                         struct iovec *ret_pieces)
{
	unsigned count = 0;

	if (rx->step == RECEIVE_DATA && rx->data && rx->need - rx->have >= DIRECT_MIN_BYTES)
		ret_pieces[count++] = (struct iovec){ rx->data + rx->have, rx->need - rx->have };
	if ((rx->bulk || expects_bulk) && buffer.iov_len > BEHIND_BYTES)
		buffer.iov_len = BEHIND_BYTES;
	ret_pieces[count++] = buffer;
	return count;
}

static int placed(struct receiver *rx, size_t len)
{
	if (rx->data_digest)
		rx->crc = digest_add(rx->crc, rx->data + rx->have, len);
	rx->have += (uint32_t)len;
	return rx->have < rx->need ? 0 : end_of_step(rx);
}

int receiver_take_pieces(struct receiver *rx, const struct iovec *pieces, unsigned count,
                         size_t len)
{
	if (count == RECEIVE_PIECES) {
		size_t direct = len < pieces[0].iov_len ? len : pieces[0].iov_len;
		int r = placed(rx, direct);
		if (r < 0)
			return r;
		len -= direct;
	}
	return receiver_take(rx, pieces[count - 1].iov_base, len);
}
