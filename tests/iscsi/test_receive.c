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

/* ---- straight into place ---- */

#define LARGE 40000u
#define SMALL 100u

static const uint32_t lengths[] = { SMALL, LARGE, LARGE, LARGE, 0, SMALL, LARGE, 5000 };

static struct {
	uint8_t data[LARGE];
	unsigned completes, wrong;
} large;

static int take_large_header(struct receiver *rx)
{
	rx->data = large.data;
	return 0;
}

static int take_large_pdu(struct receiver *rx, bool data_digest_ok)
{
	uint32_t len = pdu_data_len(rx->header);
	large.wrong += len != lengths[large.completes] || !data_digest_ok;
	for (uint32_t i = 0; i < len; i++)
		large.wrong += large.data[i] != (uint8_t)(i * 7 + large.completes);
	large.completes++;
	return 0;
}

static const struct receiver_ops large_ops = { take_large_header, take_large_pdu };

static size_t build_large(uint8_t *stream)
{
	size_t at = 0;
	for (unsigned i = 0; i < ARRAY_LEN(lengths); i++) {
		pdu_start(stream + at, PDU_NOP_OUT, FLAG_FINAL, i);
		pdu_put_data_len(stream + at, lengths[i]);
		at += BHS_BYTES;
		for (uint32_t j = 0; j < lengths[i]; j++)
			stream[at++] = (uint8_t)(j * 7 + i);
	}
	return at;
}

/* As recvmsg does. Returns how many bytes went into the last piece. */
static size_t scatter(const uint8_t *stream, size_t len, const struct iovec *pieces, unsigned count)
{
	size_t first = count > 1 && len > pieces[0].iov_len ? pieces[0].iov_len
	               : count > 1                          ? len
	                                                    : 0;
	memcpy(pieces[0].iov_base, stream, first);
	memcpy(pieces[count - 1].iov_base, stream + first, len - first);
	return len - first;
}

/* Receives all of the stream, at most `step` bytes at a time. Returns how much was copied twice. */
static size_t receive_large(const uint8_t *stream, size_t len, size_t step, bool expects_bulk)
{
	static uint8_t buffer[128u << 10];
	static struct receiver rx;
	size_t behind = 0;

	memset(&large, 0, sizeof(large));
	receiver_init(&rx, &large_ops);
	for (size_t at = 0, n; at < len; at += n) {
		struct iovec pieces[RECEIVE_PIECES];
		const struct iovec all = { buffer, sizeof(buffer) };
		unsigned count = receiver_pieces(&rx, all, expects_bulk, pieces);
		size_t room = pieces[count - 1].iov_len + (count > 1 ? pieces[0].iov_len : 0);
		n = len - at < step ? len - at : step;
		n = n < room ? n : room;
		behind += scatter(stream + at, n, pieces, count);
		ASSERT_EQ(receiver_take_pieces(&rx, pieces, count, n), 0);
	}
	ASSERT_EQ(large.completes, ARRAY_LEN(lengths));
	ASSERT_EQ(large.wrong, 0);
	return behind;
}

TEST(data_come_straight_into_place_however_the_stream_is_cut)
{
	static uint8_t stream[256u << 10];
	static const size_t steps[] = { 1, 47, 48, 49, 4095, 4096, 4097, 16384, 65536, 1u << 20 };
	size_t len = build_large(stream);

	for (unsigned i = 0; i < ARRAY_LEN(steps); i++) {
		(void)receive_large(stream, len, steps[i], false);
		(void)receive_large(stream, len, steps[i], true);
	}
}

TEST(of_large_data_only_a_little_is_copied_twice)
{
	static uint8_t stream[256u << 10];
	size_t len = build_large(stream);

	size_t unforeseen = receive_large(stream, len, LARGE, false);
	ASSERT_TRUE(unforeseen < 3u * LARGE);
	ASSERT_TRUE(receive_large(stream, len, LARGE, true) < unforeseen / 2);
}

TEST(after_large_data_small_commands_are_read_many_at_once)
{
	static uint8_t buffer[64u << 10];
	static struct receiver rx;
	struct iovec pieces[RECEIVE_PIECES];
	const struct iovec all = { buffer, sizeof(buffer) };
	static uint8_t stream[256u << 10];
	size_t len = build_large(stream);

	memset(&large, 0, sizeof(large));
	receiver_init(&rx, &large_ops);
	ASSERT_EQ(receiver_take(&rx, stream, len - 5000 - BHS_BYTES), 0);
	ASSERT_EQ(receiver_pieces(&rx, all, false, pieces), 1);
	ASSERT_TRUE(pieces[0].iov_len < sizeof(buffer));
	ASSERT_EQ(receiver_take(&rx, stream + len - 5000 - BHS_BYTES, 5000 + BHS_BYTES), 0);
	ASSERT_EQ(receiver_pieces(&rx, all, false, pieces), 1);
	ASSERT_EQ(pieces[0].iov_len, sizeof(buffer));
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
