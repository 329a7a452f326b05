/* The receiving side of the initiator: takes all that the socket has, checks every PDU against what
 * the protocol allows at that moment, and completes requests [RFC 7143 11]. Anything that a target
 * must not do ends the connection with a sentence that names it. */
#include "base/bytes.h"
#include "initiator_internal.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>

/* From that many missing bytes on, data is received straight into the request's buffer. */
#define DIRECT_MIN_BYTES 16384

static const char *const reject_reasons[] = {
	[0x02] = "data digest error",        [0x03] = "SNACK reject",
	[0x04] = "protocol error",           [0x05] = "command not supported",
	[0x06] = "immediate command reject", [0x07] = "task in progress",
	[0x08] = "invalid data ack",         [0x09] = "invalid PDU field",
	[0x0a] = "long operation reject",    [0x0b] = "negotiation reset",
	[0x0c] = "waiting for logout",
};

static int broken(struct initiator *initiator, const char *format, ...) PRINTF_LIKE(2, 3);
static int broken(struct initiator *initiator, const char *format, ...)
{
	char text[256];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	return error_set(&initiator->err, -EPROTO, "%s breaks the protocol: %s",
	                 initiator->config.target_name, text);
}

static struct initiator_request *find_request(const struct initiator *initiator, uint32_t tag)
{
	uint32_t index = tag & 0xffff;
	if (index >= initiator->config.depth)
		return NULL;
	const struct slot *slot = &initiator->slots[index];
	return slot->request && slot->generation == tag >> 16 ? slot->request : NULL;
}

static int take_stat_sn(struct initiator *initiator, const uint8_t *bhs)
{
	uint32_t stat_sn = get_be32(bhs + 24);
	if (stat_sn != initiator->exp_stat_sn)
		return broken(initiator, "StatSN %u in opcode %02x, expected %u", stat_sn, bhs[0],
		              initiator->exp_stat_sn);
	initiator->exp_stat_sn++;
	return 0;
}

/* R2T and unsolicited NOP-In show the next StatSN, without using it up. */
static int check_next_stat_sn(struct initiator *initiator, const uint8_t *bhs)
{
	if (get_be32(bhs + 24) != initiator->exp_stat_sn)
		return broken(initiator, "StatSN %u in opcode %02x, the next one is %u",
		              get_be32(bhs + 24), bhs[0], initiator->exp_stat_sn);
	return 0;
}

static int take_window(struct initiator *initiator, const uint8_t *bhs)
{
	uint32_t exp_cmd_sn = get_be32(bhs + 28), max_cmd_sn = get_be32(bhs + 32);
	if (serial_before(initiator->cmd_sn, exp_cmd_sn))
		return broken(initiator, "ExpCmdSN %u, but the next CmdSN is %u", exp_cmd_sn,
		              initiator->cmd_sn);
	if (serial_before(max_cmd_sn + 1, exp_cmd_sn) ||
	    serial_before(max_cmd_sn, initiator->max_cmd_sn))
		return broken(initiator, "MaxCmdSN %u after %u, with ExpCmdSN %u", max_cmd_sn,
		              initiator->max_cmd_sn, exp_cmd_sn);
	initiator->max_cmd_sn = max_cmd_sn;
	return 0;
}

static void complete(struct initiator *initiator, struct initiator_request *request)
{
	uint32_t index = request->tag & 0xffff;
	initiator->slots[index].request = NULL;
	initiator->slots[index].generation++;
	initiator->free_slots[initiator->free_count++] = (uint16_t)index;
	initiator->in_flight--;
	list_remove(&request->link); /* an abort that was not sent yet */
	request->completed = true;
	request->done(request);
}

/* Residual and amount of data must add up; the request leaves the connection. */
static int finish(struct initiator *initiator, struct initiator_request *request,
                  const uint8_t *bhs)
{
	request->status = bhs[3];
	request->overflow = bhs[1] & RESIDUAL_OVERFLOW;
	request->underflow = bhs[1] & RESIDUAL_UNDERFLOW;
	request->residual = get_be32(bhs + 44);
	if (request->overflow && request->underflow)
		return broken(initiator, "overflow and underflow at once");
	uint32_t missing = request->underflow ? request->residual : 0;
	if (missing > request->len_bytes)
		return broken(initiator, "an underflow of %u in %u bytes", missing,
		              request->len_bytes);
	if (!request->writes && !request->status && !request->response &&
	    request->received != request->len_bytes - missing)
		return broken(initiator, "%u bytes came, of %u with a residual of %u",
		              request->received, request->len_bytes, missing);
	if (request->open_bursts ||
	    (request->writes && request->sent_at > initiator->output.sent_bytes))
		return broken(initiator, "status came before the data that was promised had left");

	complete(initiator, request);
	return 0;
}

static int begin_data_in(struct initiator *initiator, const uint8_t *bhs)
{
	struct initiator_request *request = find_request(initiator, get_be32(bhs + 16));
	uint32_t len = get_be24(bhs + 5), offset = get_be32(bhs + 40);
	bool final = bhs[1] & FLAG_FINAL, status = bhs[1] & DATA_STATUS;
	if (!request || request->writes)
		return broken(initiator, "Data-In for no read: ITT %08x", get_be32(bhs + 16));
	if (get_be32(bhs + 36) != request->data_sn++ || offset != request->received)
		return broken(initiator, "Data-In %u at %u, expected %u at %u", get_be32(bhs + 36),
		              offset, request->data_sn - 1, request->received);
	if (!range_ok(offset, len, request->len_bytes))
		return broken(initiator, "Data-In of %u bytes at %u of %u", len, offset,
		              request->len_bytes);
	if (len > initiator->parameters.max_recv_data_segment_length)
		return broken(initiator, "Data-In of %u bytes, MaxRecvDataSegmentLength is %u", len,
		              initiator->parameters.max_recv_data_segment_length);
	request->burst_bytes += len;
	if (request->burst_bytes > initiator->parameters.max_burst_length)
		return broken(initiator, "a Data-In sequence of %u bytes, MaxBurstLength is %u",
		              request->burst_bytes, initiator->parameters.max_burst_length);
	if (final)
		request->burst_bytes = 0;
	if (bhs[1] & DATA_ACKNOWLEDGE || (status && (!final || bhs[3] == 0x02)))
		return broken(initiator, "Data-In with flags %02x, status %02x", bhs[1], bhs[3]);
	if (request->data)
		initiator->input.data_to = request->data + offset;
	initiator->input.request = request;
	return 0;
}

static int end_data_in(struct initiator *initiator, const uint8_t *bhs)
{
	struct initiator_request *request = initiator->input.request;
	request->received += get_be24(bhs + 5);
	if (!(bhs[1] & DATA_STATUS))
		return 0;
	int r = take_stat_sn(initiator, bhs);
	return r < 0 ? r : finish(initiator, request, bhs);
}

static int end_scsi_response(struct initiator *initiator, const uint8_t *bhs)
{
	struct initiator_request *request = find_request(initiator, get_be32(bhs + 16));
	const uint8_t *segment = initiator->input.segment;
	uint32_t len = get_be24(bhs + 5);
	if (!request)
		return broken(initiator, "SCSI Response for no command: ITT %08x",
		              get_be32(bhs + 16));
	if (!(bhs[1] & FLAG_FINAL) || bhs[1] & 0x61)
		return broken(initiator, "SCSI Response with flags %02x", bhs[1]);
	int r = take_stat_sn(initiator, bhs);
	if (r < 0)
		return r;
	request->response = bhs[2];
	if (len >= 2) {
		uint32_t sense_len = get_be16(segment);
		if (sense_len > len - 2)
			return broken(initiator, "%u bytes of sense in %u", sense_len, len);
		if (sense_len > INITIATOR_SENSE_MAX)
			sense_len = INITIATOR_SENSE_MAX;
		request->sense_len = (uint8_t)sense_len;
		memcpy(request->sense, segment + 2, sense_len);
	}
	return finish(initiator, request, bhs);
}

static int end_r2t(struct initiator *initiator, const uint8_t *bhs)
{
	struct initiator_request *request = find_request(initiator, get_be32(bhs + 16));
	uint32_t transfer_tag = get_be32(bhs + 20);
	uint32_t offset = get_be32(bhs + 40), len = get_be32(bhs + 44);
	int r = check_next_stat_sn(initiator, bhs);
	if (r < 0)
		return r;
	if (!request || !request->writes || transfer_tag == NO_TAG)
		return broken(initiator, "R2T for no write: ITT %08x, TTT %08x", get_be32(bhs + 16),
		              transfer_tag);
	if (get_be32(bhs + 36) != request->r2t_sn++ || offset != request->solicited)
		return broken(initiator, "R2T %u at %u, expected %u at %u", get_be32(bhs + 36),
		              offset, request->r2t_sn - 1, request->solicited);
	if (!len || len > initiator->parameters.max_burst_length ||
	    !range_ok(offset, len, request->len_bytes))
		return broken(initiator, "R2T for %u bytes at %u of %u", len, offset,
		              request->len_bytes);
	if (request->open_bursts >= initiator->parameters.max_outstanding_r2t + 1)
		return broken(initiator, "more than %u R2T at once",
		              initiator->parameters.max_outstanding_r2t);
	initiator_add_burst(initiator, request, transfer_tag, offset + len);
	return 0;
}

static int end_nop_in(struct initiator *initiator, const uint8_t *bhs)
{
	if (get_be32(bhs + 16) != NO_TAG)
		return broken(initiator, "NOP-In for no NOP-Out: ITT %08x", get_be32(bhs + 16));
	if (get_be24(bhs + 5))
		return broken(initiator, "an unsolicited NOP-In with data");
	int r = check_next_stat_sn(initiator, bhs);
	if (r < 0)
		return r;
	initiator->nop_transfer_tag = get_be32(bhs + 20);
	initiator->nop_owed = initiator->nop_transfer_tag != NO_TAG;
	memcpy(initiator->nop_lun, bhs + 8, 8);
	return 0;
}

static int end_abort(struct initiator *initiator, const uint8_t *bhs)
{
	struct initiator_request *request =
	        find_request(initiator, get_be32(bhs + 16) & ~ABORT_TAG);
	int r = take_stat_sn(initiator, bhs);
	if (r < 0 || !request || !request->aborting) /* answered before it was aborted */
		return r;
	if (bhs[2])
		return broken(initiator, "ABORT TASK of an unanswered task answered with %u",
		              bhs[2]);
	if (request->open_bursts)
		return error_set(&initiator->err, -ECONNRESET,
		                 "a task was aborted in the middle of its data");
	request->aborted = true;
	complete(initiator, request);
	return 0;
}

static int end_async_message(struct initiator *initiator, const uint8_t *bhs)
{
	int r = take_stat_sn(initiator, bhs);
	if (r < 0)
		return r;
	if (bhs[36] == 1)
		initiator->must_leave = true;
	if (bhs[36] <= 1) /* a SCSI event, or a logout request: commands are answered as before */
		return 0;
	return error_set(&initiator->err, -ECONNRESET,
	                 "the target ends the session (asynchronous event %u)", bhs[36]);
}

static int end_reject(struct initiator *initiator, const uint8_t *bhs)
{
	const char *reason = bhs[2] < ARRAY_LEN(reject_reasons) ? reject_reasons[bhs[2]] : NULL;
	return error_set(&initiator->err, -EPROTO,
	                 "the target rejects a PDU (opcode %02x): reason %02x, %s",
	                 initiator->input.segment[0], bhs[2], reason ? reason : "unknown");
}

static int end_logout_response(struct initiator *initiator, const uint8_t *bhs)
{
	int r = take_stat_sn(initiator, bhs);
	if (r < 0)
		return r;
	if (bhs[2])
		return broken(initiator, "logout answered with %u", bhs[2]);
	initiator->logged_out = true;
	return 0;
}

/* What may come in the full feature phase. begin is called with the header, end when all of the
 * data segment is there; without begin it lies in input.segment. */
static const struct pdu_kind {
	const char *name;
	int (*begin)(struct initiator *initiator, const uint8_t *bhs);
	int (*end)(struct initiator *initiator, const uint8_t *bhs);
	bool no_data;
} kinds[64] = {
	[DATA_IN] = { "Data-In", begin_data_in, end_data_in },
	[SCSI_RESPONSE] = { "SCSI Response", NULL, end_scsi_response },
	[R2T] = { "R2T", NULL, end_r2t, true },
	[NOP_IN] = { "NOP-In", NULL, end_nop_in },
	[ASYNC_MESSAGE] = { "Async Message", NULL, end_async_message },
	[REJECT] = { "Reject", NULL, end_reject },
	[TASK_MANAGEMENT_RESPONSE] = { "Task Management Response", NULL, end_abort, true },
	[LOGOUT_RESPONSE] = { "Logout Response", NULL, end_logout_response, true },
};

static int begin_pdu(struct initiator *initiator)
{
	struct input *in = &initiator->input;
	const uint8_t *bhs = in->bhs;
	uint32_t len = get_be24(bhs + 5);
	const struct pdu_kind *kind = &kinds[bhs[0] & 0x3f];
	if (!kind->end || bhs[0] & 0xc0)
		return broken(initiator, "opcode byte %02x", bhs[0]);
	if (bhs[4])
		return broken(initiator, "%s with an AHS", kind->name);
	if (!(bhs[1] & FLAG_FINAL) && !kind->begin)
		return broken(initiator, "%s without its final bit", kind->name);
	if (!kind->begin && len > (kind->no_data ? 0 : sizeof(in->segment)))
		return broken(initiator, "%s with %u bytes of data", kind->name, len);
	int r = take_window(initiator, bhs);
	if (r < 0)
		return r;
	in->data_left = len;
	in->crc = ~0u;
	in->state = IN_DATA;
	in->data_to = kind->begin ? NULL : in->segment;
	return kind->begin ? kind->begin(initiator, bhs) : 0;
}

static size_t input_len(const struct input *in)
{
	return in->end - in->start;
}

static int step_header(struct initiator *initiator, bool *ret_more)
{
	struct input *in = &initiator->input;
	bool digest = initiator->parameters.header_digest;
	size_t len = BHS_BYTES + (digest ? 4 : 0);
	*ret_more = input_len(in) >= len;
	if (!*ret_more)
		return 0;
	const uint8_t *bytes = in->buffer + in->start;
	in->start += len;
	memcpy(in->bhs, bytes, BHS_BYTES);
	if (digest && get_le32(bytes + BHS_BYTES) != ~initiator_crc(~0u, bytes, BHS_BYTES))
		return broken(initiator, "a wrong header digest");
	return begin_pdu(initiator);
}

/* Accounts for len bytes of the data segment that lie at `bytes`. */
static void data_came(struct initiator *initiator, const uint8_t *bytes, uint32_t len)
{
	struct input *in = &initiator->input;
	if (initiator->parameters.data_digest)
		in->crc = initiator_crc(in->crc, bytes, len);
	if (in->data_to)
		in->data_to += len;
	in->data_left -= len;
}

static int step_data(struct initiator *initiator, bool *ret_more)
{
	struct input *in = &initiator->input;
	size_t available = input_len(in);
	uint32_t len = available < in->data_left ? (uint32_t)available : in->data_left;
	if (in->data_to && len)
		memcpy(in->data_to, in->buffer + in->start, len);
	data_came(initiator, in->buffer + in->start, len);
	in->start += len;
	*ret_more = in->data_left == 0;
	if (*ret_more)
		in->state = IN_TRAILER;
	return 0;
}

static int step_trailer(struct initiator *initiator, bool *ret_more)
{
	struct input *in = &initiator->input;
	uint32_t data_len = get_be24(in->bhs + 5), padding = pad_bytes(data_len);
	bool digest = initiator->parameters.data_digest && data_len;
	uint32_t len = padding + (digest ? 4 : 0);
	*ret_more = input_len(in) >= len;
	if (!*ret_more)
		return 0;
	const uint8_t *bytes = in->buffer + in->start;
	in->start += len;
	if (digest && get_le32(bytes + padding) != ~initiator_crc(in->crc, bytes, padding))
		return broken(initiator, "a wrong data digest");
	in->state = IN_HEADER;
	return kinds[in->bhs[0] & 0x3f].end(initiator, in->bhs);
}

static int (*const steps[])(struct initiator *initiator, bool *ret_more) = {
	[IN_HEADER] = step_header,
	[IN_DATA] = step_data,
	[IN_TRAILER] = step_trailer,
};

/* Takes what the socket has: into the buffer, or first into the request that waits for it. */
static ssize_t receive_bytes(struct initiator *initiator, bool wait)
{
	struct input *in = &initiator->input;
	struct iovec pieces[2] = { { in->data_to, in->data_left },
		                   { in->buffer + in->end, IN_BYTES - in->end } };
	bool direct = in->state == IN_DATA && in->data_to && in->data_left >= DIRECT_MIN_BYTES;
	struct msghdr message = { .msg_iov = direct ? pieces : pieces + 1,
		                  .msg_iovlen = direct ? 2 : 1 };
	ssize_t n = recvmsg(initiator->fd, &message, wait ? 0 : MSG_DONTWAIT);
	if (n <= 0)
		return n;
	size_t into_buffer = (size_t)n;
	if (direct) {
		uint32_t len = n < in->data_left ? (uint32_t)n : in->data_left;
		data_came(initiator, in->data_to, len);
		into_buffer -= len;
	}
	in->end += into_buffer;
	return n;
}

int initiator_receive(struct initiator *initiator, bool wait)
{
	struct input *in = &initiator->input;
	ssize_t n = receive_bytes(initiator, wait);
	if (n < 0 && errno == EAGAIN && !wait)
		return 0;
	if (n < 0 && errno == EINTR)
		return 0;
	if (n <= 0)
		return error_set(&initiator->err,
		                 n == 0            ? -ECONNRESET
		                 : errno == EAGAIN ? -ETIMEDOUT
		                                   : -errno,
		                 "%s",
		                 n == 0            ? "the target closed the connection"
		                 : errno == EAGAIN ? "the target gives no sign of life"
		                                   : strerror(errno));
	for (bool more = true; more;) {
		int r = steps[in->state](initiator, &more);
		if (r < 0)
			return r;
	}
	/* What is left is less than a header and its digest, or a trailer. */
	memmove(in->buffer, in->buffer + in->start, input_len(in));
	in->end = input_len(in);
	in->start = 0;
	return 0;
}
