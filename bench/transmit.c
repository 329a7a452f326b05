/* The sending side of the initiator: requests become PDUs in one gathered output, which leaves in
 * one sendmsg(). Sequences of Data-Out go before new commands: unsolicited data must come in the
 * order of its commands [RFC 7143 4.2.4.2]. */
#include "base/bytes.h"
#include "initiator_internal.h"

#include <assert.h>
#include <errno.h>
#include <isa-l/crc.h>
#include <sys/socket.h>

#define PDU_PIECES 3                   /* header, data, trailer */
#define PDU_BYTES  (BHS_BYTES + 4 + 8) /* without data: header and digest, padding and digest */

uint32_t initiator_crc(uint32_t crc, const uint8_t *data, size_t len)
{
	/* ISA-L does not write to it, but takes no const. */
	return crc32_iscsi((unsigned char *)(uintptr_t)data, (int)len, crc);
}

static bool output_empty(const struct output *out)
{
	return out->first == out->count;
}

static bool output_has_room(const struct output *out)
{
	return out->count + PDU_PIECES <= OUT_PIECES && out->used + PDU_BYTES <= OUT_BYTES;
}

/* Room for len bytes that leave next. Neighbours share a piece: many commands are one. */
static uint8_t *output_bytes(struct output *out, size_t len)
{
	uint8_t *bytes = out->bytes + out->used;
	struct iovec *last = out->count > out->first ? &out->pieces[out->count - 1] : NULL;
	out->used += len;
	if (last && (uint8_t *)last->iov_base + last->iov_len == bytes)
		last->iov_len += len;
	else
		out->pieces[out->count++] = (struct iovec){ bytes, len };
	out->added_bytes += len;
	return bytes;
}

/* Adds a PDU: its header, which must be complete, and its data segment, which is borrowed. */
static void add_pdu(struct initiator *initiator, uint8_t *bhs, uint8_t *data, uint32_t len)
{
	struct output *out = &initiator->output;
	bool header_digest = initiator->parameters.header_digest;
	bool data_digest = initiator->parameters.data_digest && len;
	put_be24(bhs + 5, len);
	put_be32(bhs + 28, initiator->exp_stat_sn);
	uint8_t *header = output_bytes(out, BHS_BYTES + (header_digest ? 4 : 0));
	memcpy(header, bhs, BHS_BYTES);
	if (header_digest)
		put_le32(header + BHS_BYTES, ~initiator_crc(~0u, bhs, BHS_BYTES));
	if (!len)
		return;
	out->pieces[out->count++] = (struct iovec){ data, len };
	out->added_bytes += len;
	uint32_t padding = pad_bytes(len);
	if (!padding && !data_digest)
		return;
	uint8_t *trailer = output_bytes(out, padding + (data_digest ? 4 : 0));
	memset(trailer, 0, padding);
	if (data_digest) {
		uint32_t crc = initiator_crc(~0u, data, len);
		put_le32(trailer + padding, ~initiator_crc(crc, trailer, padding));
	}
}

static uint32_t smaller(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

void initiator_add_burst(struct initiator *initiator, struct initiator_request *request,
                         uint32_t transfer_tag, uint32_t end)
{
	struct initiator_burst *burst =
	        &request->bursts[request->burst_count++ % INITIATOR_R2T_MAX];
	request->open_bursts++;
	*burst = (struct initiator_burst){ .request = request,
		                           .transfer_tag = transfer_tag,
		                           .offset = request->solicited,
		                           .end = end };
	request->solicited = end;
	list_append(&initiator->bursts, &burst->link);
}

static void add_command(struct initiator *initiator, struct initiator_request *request)
{
	const struct parameters *parameters = &initiator->parameters;
	uint32_t first_burst = smaller(request->len_bytes, parameters->first_burst_length);
	uint32_t immediate = 0;
	if (request->writes && parameters->immediate_data)
		immediate = smaller(first_burst, parameters->max_send_data_segment_length);
	bool unsolicited = request->writes && !parameters->initial_r2t && immediate < first_burst;

	uint8_t bhs[BHS_BYTES] = { SCSI_COMMAND, COMMAND_SIMPLE };
	bhs[1] |= unsolicited ? 0 : FLAG_FINAL;
	if (request->len_bytes)
		bhs[1] |= request->writes ? COMMAND_WRITE : COMMAND_READ;
	memcpy(bhs + 8, request->lun ? request->lun : initiator->lun, 8);
	put_be32(bhs + 16, request->tag);
	put_be32(bhs + 20, request->len_bytes);
	request->cmd_sn = initiator->cmd_sn++;
	put_be32(bhs + 24, request->cmd_sn);
	memcpy(bhs + 32, request->cdb, 16);
	add_pdu(initiator, bhs, request->data, immediate);
	request->sent_at = initiator->output.added_bytes;
	request->solicited = immediate;
	if (unsolicited)
		initiator_add_burst(initiator, request, NO_TAG, first_burst);
}

/* The next Data-Out of a sequence. */
static void add_data_out(struct initiator *initiator, struct initiator_burst *burst)
{
	struct initiator_request *request = burst->request;
	uint32_t len = smaller(burst->end - burst->offset,
	                       initiator->parameters.max_send_data_segment_length);
	bool last = burst->offset + len == burst->end;
	uint8_t bhs[BHS_BYTES] = { DATA_OUT, last ? FLAG_FINAL : 0 };
	if (burst->transfer_tag != NO_TAG)
		memcpy(bhs + 8, request->lun ? request->lun : initiator->lun, 8);
	put_be32(bhs + 16, request->tag);
	put_be32(bhs + 20, burst->transfer_tag);
	put_be32(bhs + 36, burst->data_sn++);
	put_be32(bhs + 40, burst->offset);
	add_pdu(initiator, bhs, request->data + burst->offset, len);
	request->sent_at = initiator->output.added_bytes;
	burst->offset += len;
	if (last) {
		list_remove(&burst->link);
		request->open_bursts--;
	}
}

static void add_abort(struct initiator *initiator, const struct initiator_request *request)
{
	uint8_t bhs[BHS_BYTES] = { TASK_MANAGEMENT_REQUEST | OPCODE_IMMEDIATE,
		                   FLAG_FINAL | 1 /* ABORT TASK */ };
	memcpy(bhs + 8, request->lun ? request->lun : initiator->lun, 8);
	put_be32(bhs + 16, request->tag | ABORT_TAG);
	put_be32(bhs + 20, request->tag);
	put_be32(bhs + 24, initiator->cmd_sn);
	put_be32(bhs + 32, request->cmd_sn);
	add_pdu(initiator, bhs, NULL, 0);
}

static void add_nop_out(struct initiator *initiator)
{
	uint8_t bhs[BHS_BYTES] = { NOP_OUT | OPCODE_IMMEDIATE, FLAG_FINAL };
	memcpy(bhs + 8, initiator->nop_lun, 8);
	put_be32(bhs + 16, NO_TAG);
	put_be32(bhs + 20, initiator->nop_transfer_tag);
	put_be32(bhs + 24, initiator->cmd_sn);
	add_pdu(initiator, bhs, NULL, 0);
	initiator->nop_owed = false;
}

static void add_logout(struct initiator *initiator)
{
	uint8_t bhs[BHS_BYTES] = { LOGOUT_REQUEST | OPCODE_IMMEDIATE, FLAG_FINAL };
	put_be32(bhs + 24, initiator->cmd_sn);
	add_pdu(initiator, bhs, NULL, 0);
	initiator->logout_owed = false;
}

/* Makes PDUs of what waits, in the order that the protocol wants, while there is room. */
static void fill_output(struct initiator *initiator)
{
	while (output_has_room(&initiator->output)) {
		if (initiator->nop_owed) {
			add_nop_out(initiator);
		} else if (!list_empty(&initiator->aborts)) {
			struct list *link = list_take_first(&initiator->aborts);
			add_abort(initiator, list_entry(link, struct initiator_request, link));
		} else if (!list_empty(&initiator->bursts)) {
			add_data_out(initiator,
			             list_first(&initiator->bursts, struct initiator_burst, link));
		} else if (!list_empty(&initiator->pending) &&
		           !serial_before(initiator->max_cmd_sn, initiator->cmd_sn)) {
			struct list *link = list_take_first(&initiator->pending);
			add_command(initiator, list_entry(link, struct initiator_request, link));
		} else if (initiator->logout_owed) {
			add_logout(initiator);
		} else {
			return;
		}
	}
}

static void output_sent(struct output *out, size_t len)
{
	out->sent_bytes += len;
	while (len) {
		struct iovec *piece = &out->pieces[out->first];
		if (len < piece->iov_len) {
			piece->iov_base = (uint8_t *)piece->iov_base + len;
			piece->iov_len -= len;
			return;
		}
		len -= piece->iov_len;
		out->first++;
	}
	if (output_empty(out))
		out->first = out->count = out->used = 0;
}

int initiator_flush(struct initiator *initiator)
{
	struct output *out = &initiator->output;
	for (;;) {
		if (output_empty(out))
			fill_output(initiator);
		if (output_empty(out))
			return 0;
		struct msghdr message = { .msg_iov = out->pieces + out->first,
			                  .msg_iovlen = out->count - out->first };
		ssize_t n = sendmsg(initiator->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EAGAIN)
			return 0;
		if (n < 0)
			return error_set(&initiator->err, -errno, "sending to %s: %s",
			                 initiator->config.host, strerror(errno));
		output_sent(out, (size_t)n);
	}
}
