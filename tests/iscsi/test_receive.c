/* Framing: the same PDUs come out however the stream is cut. */
#include "iscsi/receive.h"

#include "iscsi/digest.h"
#include "test.h"

#include <errno.h>
#include <string.h>

#define PDU_COUNT 4

static struct seen {
	unsigned headers, completes, bad_digests;
	uint32_t sum;
	uint8_t data[256];
	bool drop;
} seen;

static int take_header(struct receiver *rx)
{
	seen.headers++;
	rx->data = seen.drop ? NULL : seen.data;
	return pdu_opcode(rx->header) == PDU_LOGOUT ? -ECANCELED : 0;
}

static int take_pdu(struct receiver *rx, bool data_digest_ok)
{
	seen.completes++;
	seen.bad_digests += !data_digest_ok;
	for (uint32_t i = 0; !seen.drop && i < pdu_data_len(rx->header); i++)
		seen.sum += seen.data[i];
	return 0;
}

static const struct receiver_ops ops = { .header = take_header, .complete = take_pdu };

/* Four PDUs: without data, with AHS, with padding, with none. */
static size_t build(uint8_t *stream, bool digests)
{
	static const struct {
		uint8_t ahs, len;
	} rows[PDU_COUNT] = { { 0, 0 }, { 2, 8 }, { 0, 201 }, { 1, 64 } };
	size_t at = 0;

	for (unsigned i = 0; i < PDU_COUNT; i++) {
		uint8_t *bhs = stream + at;
		uint32_t header_len = BHS_BYTES + rows[i].ahs * 4u;
		memset(bhs, 0, 512);
		pdu_start(bhs, PDU_NOP_OUT, FLAG_FINAL, i);
		bhs[BHS_AHS_LENGTH] = rows[i].ahs;
		pdu_put_data_len(bhs, rows[i].len);
		at += header_len;
		if (digests) {
			put_le32(stream + at, digest_crc32c(bhs, header_len));
			at += DIGEST_BYTES;
		}
		if (!rows[i].len)
			continue;
		uint32_t padded = rows[i].len + pdu_pad(rows[i].len);
		memset(stream + at, 1, rows[i].len);
		if (digests)
			put_le32(stream + at + padded, digest_crc32c(stream + at, padded));
		at += padded + (digests ? DIGEST_BYTES : 0);
	}
	return at;
}

static void start(struct receiver *rx, bool digests)
{
	memset(&seen, 0, sizeof(seen));
	receiver_init(rx, &ops);
	rx->header_digest = rx->data_digest = digests;
}

TEST(pieces_of_every_size_give_the_same_pdus)
{
	static uint8_t stream[2048];
	static struct receiver rx;

	for (unsigned digests = 0; digests < 2; digests++) {
		size_t len = build(stream, digests);
		for (size_t piece = 1; piece <= len; piece++) {
			start(&rx, digests);
			for (size_t at = 0; at < len; at += piece) {
				size_t n = len - at < piece ? len - at : piece;
				ASSERT_EQ(receiver_take(&rx, stream + at, n), 0);
			}
			ASSERT_EQ(seen.headers, PDU_COUNT);
			ASSERT_EQ(seen.completes, PDU_COUNT);
			ASSERT_EQ(seen.bad_digests, 0);
			ASSERT_EQ(seen.sum, 8 + 201 + 64);
		}
	}
}

TEST(data_may_be_put_into_its_place_directly)
{
	static uint8_t stream[2048];
	static struct receiver rx;
	size_t len = build(stream, true), at = 0;

	start(&rx, true);
	while (at < len) {
		struct iovec place = receiver_place(&rx);
		size_t n = receiver_wants(&rx);
		if (place.iov_len) {
			n = place.iov_len > 7 ? 7 : place.iov_len;
			memcpy(place.iov_base, stream + at, n);
			ASSERT_EQ(receiver_placed(&rx, n), 0);
		} else {
			ASSERT_EQ(receiver_take(&rx, stream + at, n), 0);
		}
		at += n;
	}
	ASSERT_EQ(seen.completes, PDU_COUNT);
	ASSERT_EQ(seen.bad_digests, 0);
	ASSERT_EQ(seen.sum, 8 + 201 + 64);
}

TEST(a_flipped_bit_is_found_where_it_is)
{
	static uint8_t stream[2048];
	static struct receiver rx;
	size_t len = build(stream, true);
	size_t first = BHS_BYTES + DIGEST_BYTES; /* the second PDU begins here */

	for (size_t at = 0; at < len; at++) {
		start(&rx, true);
		stream[at] ^= 0x10;
		/* Lengths lie as well: then the stream ends in the middle of a PDU. */
		int r = receiver_take(&rx, stream, len);
		stream[at] ^= 0x10;
		ASSERT_TRUE(r == -EBADMSG || seen.bad_digests == 1 || seen.completes < PDU_COUNT);
		if (at < first && at != BHS_AHS_LENGTH)
			ASSERT_EQ(r, -EBADMSG);
	}
}

TEST(data_without_a_place_is_dropped_but_still_checked)
{
	static uint8_t stream[2048];
	static struct receiver rx;
	size_t len = build(stream, true);

	start(&rx, true);
	seen.drop = true;
	stream[len - 10] ^= 1;
	ASSERT_EQ(receiver_take(&rx, stream, len), 0);
	ASSERT_EQ(seen.completes, PDU_COUNT);
	ASSERT_EQ(seen.bad_digests, 1);
}

TEST(what_the_owner_refuses_stops_the_stream)
{
	static uint8_t bhs[BHS_BYTES * 2];
	static struct receiver rx;

	start(&rx, false);
	pdu_start(bhs, PDU_LOGOUT, FLAG_FINAL, 1);
	ASSERT_EQ(receiver_take(&rx, bhs, sizeof(bhs)), -ECANCELED);
	ASSERT_EQ(seen.headers, 1);
}
