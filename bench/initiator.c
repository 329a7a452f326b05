/* The initiator's outside: configuration, connecting, submitting, turns, and the few commands that
 * every user needs. The PDUs are made in transmit.c and checked in receive.c. */
#include "initiator.h"
#include "base/bytes.h"
#include "base/text.h"
#include "initiator_internal.h"

#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>

void initiator_config_default(struct initiator_config *ret_config)
{
	*ret_config = (struct initiator_config){
		.port = "3260",
		.initiator_name = "iqn.2026-01.org.rbdgate:bench",
		.isid = { 0x80, 0x52, 0x42, 0x44, 0, 0 },
		.chap_algorithms = "5",
		.immediate_data = true,
		.max_recv_data_segment_length = 262144,
		.first_burst_length = 262144,
		.max_burst_length = 1048576,
		.max_outstanding_r2t = 4,
		.depth = 128,
		.timeout_ms = 10000,
	};
}

/* Copies [from, end) into a field of `room` bytes. */
static int take_part(char *ret_field, size_t room, const char *from, const char *end)
{
	size_t len = (size_t)(end - from);
	if (len == 0 || len >= room)
		return -EINVAL;
	memcpy(ret_field, from, len);
	ret_field[len] = '\0';
	return 0;
}
#define TAKE_PART(field, from, end) take_part(field, sizeof(field), from, end)

static int take_address(struct initiator_config *config, const char *at, const char *end)
{
	const char *host_end = end, *colon = memchr(at, ':', (size_t)(end - at));
	if (*at == '[') {
		host_end = memchr(at, ']', (size_t)(end - at));
		if (!host_end)
			return -EINVAL;
		at++;
		colon = host_end[1] == ':' ? host_end + 1 : NULL;
	} else if (colon) {
		host_end = colon;
	}
	if (colon && TAKE_PART(config->port, colon + 1, end) < 0)
		return -EINVAL;
	return TAKE_PART(config->host, at, host_end);
}

static int take_url(struct initiator_config *config, const char *url)
{
	if (!text_starts(url, "iscsi://"))
		return -EINVAL;
	const char *at = url + strlen("iscsi://"), *slash = strchr(at, '/');
	const char *last = strrchr(at, '/');
	if (!slash || last == slash)
		return -EINVAL;
	const char *sign = memrchr(at, '@', (size_t)(slash - at));
	if (sign) {
		const char *percent = memchr(at, '%', (size_t)(sign - at));
		if (!percent || TAKE_PART(config->user_name, at, percent) < 0 ||
		    TAKE_PART(config->secret, percent + 1, sign) < 0)
			return -EINVAL;
		at = sign + 1;
	}
	uint64_t lun;
	if (take_address(config, at, slash) < 0 ||
	    TAKE_PART(config->target_name, slash + 1, last) < 0 ||
	    text_to_uint(last + 1, 0, 16383, &lun) < 0)
		return -EINVAL;
	config->lun = (uint16_t)lun;
	return 0;
}

int initiator_config_parse(struct initiator_config *config, const char *url, struct error *err)
{
	if (take_url(config, url) < 0)
		return error_set(err, -EINVAL,
		                 "%s: expected iscsi://[USER%%SECRET@]HOST[:PORT]/TARGET/LUN", url);
	return 0;
}

/* ---- connecting ---- */

static int open_socket(const struct initiator_config *config, int *ret_fd, struct error *err)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *addresses;
	int r = getaddrinfo(config->host, config->port, &hints, &addresses);
	if (r != 0)
		return error_set(err, -ENOENT, "%s: %s", config->host, gai_strerror(r));
	AUTO_CLOSE int fd = socket(addresses->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct timeval timeout = { config->timeout_ms / 1000, config->timeout_ms % 1000 * 1000 };
	int one = 1;
	if (fd < 0 || setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)) < 0 ||
	    connect(fd, addresses->ai_addr, addresses->ai_addrlen) < 0)
		r = error_set(err, -errno, "connecting to %s port %s: %s", config->host,
		              config->port, strerror(errno));
	freeaddrinfo(addresses);
	if (r < 0)
		return r;
	*ret_fd = fd;
	fd = -1;
	return 0;
}

void initiator_lun(uint16_t lun, uint8_t ret_bytes[8])
{
	memset(ret_bytes, 0, 8);
	put_be16(ret_bytes, lun > 255 ? 0x4000 | lun : lun); /* flat [SAM-5 4.7.7.3] */
}

static struct initiator *initiator_new(const struct initiator_config *config)
{
	struct initiator *initiator = calloc(1, sizeof(*initiator));
	if (!initiator)
		return NULL;
	unsigned depth = config->depth;
	initiator->config = *config;
	initiator->fd = -1;
	initiator->cmd_sn = 1;
	list_init(&initiator->pending);
	list_init(&initiator->bursts);
	list_init(&initiator->aborts);
	initiator->parameters = (struct parameters){
		.header_digest = config->header_digest,
		.data_digest = config->data_digest,
		.initial_r2t = config->initial_r2t,
		.immediate_data = config->immediate_data,
		.first_burst_length = config->first_burst_length,
		.max_burst_length = config->max_burst_length,
		.max_outstanding_r2t = config->max_outstanding_r2t,
		.max_recv_data_segment_length = config->max_recv_data_segment_length,
		.max_send_data_segment_length = 8192, /* the default [RFC 7143 13.12] */
		.max_connections = 1,
		.time2wait = 2,
		.data_pdu_in_order = 1,
		.data_sequence_in_order = 1,
	};
	initiator_lun(config->lun, initiator->lun);
	initiator->slots = calloc(depth, sizeof(*initiator->slots));
	initiator->free_slots = calloc(depth, sizeof(*initiator->free_slots));
	initiator->input.buffer = malloc(IN_BYTES);
	if (!initiator->slots || !initiator->free_slots || !initiator->input.buffer) {
		initiator_free(initiator);
		return NULL;
	}
	for (unsigned i = 0; i < depth; i++)
		initiator->free_slots[i] = (uint16_t)(depth - 1 - i);
	initiator->free_count = depth;
	return initiator;
}

void initiator_free(struct initiator *initiator)
{
	if (!initiator)
		return;
	if (initiator->fd >= 0)
		close(initiator->fd);
	wipe(initiator->config.secret, sizeof(initiator->config.secret));
	wipe(initiator->config.mutual_secret, sizeof(initiator->config.mutual_secret));
	free(initiator->slots);
	free(initiator->free_slots);
	free(initiator->input.buffer);
	free(initiator);
}

int initiator_connect(const struct initiator_config *config, struct initiator **ret_initiator,
                      struct error *err)
{
	assert(config->depth > 0 && config->depth <= INITIATOR_DEPTH_MAX);
	assert(config->max_outstanding_r2t > 0 && config->max_outstanding_r2t < INITIATOR_R2T_MAX);
	AUTO(initiator) struct initiator *initiator = initiator_new(config);
	if (!initiator)
		return error_set(err, -ENOMEM, "out of memory");
	int r = open_socket(config, &initiator->fd, err);
	if (r < 0)
		return r;
	r = initiator_login(initiator);
	if (r < 0)
		return error_set(err, r, "%s", initiator->err.text);
	*ret_initiator = steal(&initiator);
	return 0;
}

int initiator_logout(struct initiator *initiator, struct error *err)
{
	assert(initiator->in_flight == 0);
	initiator->logout_owed = true;
	while (!initiator->logged_out) {
		int r = initiator_turn(initiator, true);
		if (r < 0)
			return error_set(err, r, "logout: %s", initiator->err.text);
	}
	return 0;
}

/* ---- requests ---- */

void initiator_request_transfer(struct initiator_request *request, bool writes, uint64_t lba,
                                uint32_t blocks, uint32_t block_size)
{
	memset(request->cdb, 0, sizeof(request->cdb));
	request->cdb[0] = writes ? 0x8a : 0x88; /* WRITE(16), READ(16) */
	put_be64(request->cdb + 2, lba);
	put_be32(request->cdb + 10, blocks);
	request->writes = writes;
	request->len_bytes = blocks * block_size;
}

static const char *const statuses[256] = {
	[0x00] = "GOOD",       [0x02] = "CHECK CONDITION",      [0x04] = "CONDITION MET",
	[0x08] = "BUSY",       [0x18] = "RESERVATION CONFLICT", [0x28] = "TASK SET FULL",
	[0x30] = "ACA ACTIVE", [0x40] = "TASK ABORTED",
};

void initiator_request_describe(const struct initiator_request *request, char *ret_text,
                                size_t room)
{
	const char *status = statuses[request->status];
	const uint8_t *sense = request->sense;
	bool descriptors = request->sense_len && (sense[0] & 0x7e) == 0x72; /* [SPC-4 4.5] */
	if (request->response)
		snprintf(ret_text, room, "iSCSI response %02x", request->response);
	else if (descriptors && request->sense_len >= 4)
		snprintf(ret_text, room, "%s %02x/%02x/%02x", status, sense[1] & 15, sense[2],
		         sense[3]);
	else if (request->sense_len >= 14)
		snprintf(ret_text, room, "%s %02x/%02x/%02x", status ? status : "?", sense[2] & 15,
		         sense[12], sense[13]);
	else
		snprintf(ret_text, room, "%s (%02x)", status ? status : "unknown status",
		         request->status);
}

void initiator_submit(struct initiator *initiator, struct initiator_request *request)
{
	assert(initiator->free_count > 0);
	uint16_t index = initiator->free_slots[--initiator->free_count];
	struct slot *slot = &initiator->slots[index];
	slot->request = request;
	request->tag = (uint32_t)slot->generation << 16 | index;
	request->response = request->status = request->sense_len = 0;
	request->underflow = request->overflow = request->completed = false;
	request->aborted = request->aborting = false;
	request->sent_at = UINT64_MAX;
	request->residual = request->received = 0;
	request->data_sn = request->r2t_sn = request->burst_bytes = request->solicited = 0;
	request->open_bursts = request->burst_count = 0;
	initiator->in_flight++;
	list_append(&initiator->pending, &request->link);
}

void initiator_abort(struct initiator *initiator, struct initiator_request *request)
{
	if (request->aborting || request->open_bursts ||
	    request->sent_at > initiator->output.sent_bytes)
		return;
	request->aborting = true;
	list_append(&initiator->aborts, &request->link);
}

static int turn_waiting(struct initiator *initiator)
{
	int r = initiator_flush(initiator);
	if (r < 0)
		return r;
	if (!initiator_wants_write(initiator))
		return initiator_receive(initiator, true);
	struct pollfd poll_fd = { initiator->fd, POLLIN | POLLOUT, 0 };
	if (poll(&poll_fd, 1, (int)initiator->config.timeout_ms) == 0)
		return error_set(&initiator->err, -ETIMEDOUT, "the target takes no data");
	return initiator_receive(initiator, false);
}

int initiator_turn(struct initiator *initiator, bool wait)
{
	if (wait)
		return turn_waiting(initiator);
	int r = initiator_receive(initiator, false);
	return r < 0 ? r : initiator_flush(initiator);
}

static void ignore_done(struct initiator_request *request)
{
}

int initiator_execute(struct initiator *initiator, struct initiator_request *request)
{
	int r = 0;
	request->done = ignore_done;
	initiator_submit(initiator, request);
	while (r == 0 && !request->completed)
		r = initiator_turn(initiator, true);
	return r;
}

const struct error *initiator_error(const struct initiator *initiator)
{
	return &initiator->err;
}

int initiator_fd(const struct initiator *initiator)
{
	return initiator->fd;
}

bool initiator_wants_write(const struct initiator *initiator)
{
	return initiator->output.first < initiator->output.count;
}

unsigned initiator_in_flight(const struct initiator *initiator)
{
	return initiator->in_flight;
}

bool initiator_must_leave(const struct initiator *initiator)
{
	return initiator->must_leave;
}

uint16_t initiator_portal_group_tag(const struct initiator *initiator)
{
	return (uint16_t)initiator->parameters.portal_group_tag;
}

static bool is_unit_attention(const struct initiator_request *request)
{
	return request->status == 0x02 && request->sense_len >= 3 && (request->sense[2] & 15) == 6;
}

int initiator_read_capacity(struct initiator *initiator, uint64_t *ret_blocks,
                            uint32_t *ret_block_size, struct error *err)
{
	uint8_t data[32] = { 0 };
	char text[80];
	struct initiator_request request = { .len_bytes = sizeof(data), .data = data };
	request.cdb[0] = 0x9e; /* SERVICE ACTION IN(16), READ CAPACITY(16) */
	request.cdb[1] = 0x10;
	request.cdb[13] = sizeof(data);
	/* A new nexus may have several unit attentions to tell. */
	for (int attempts = 0; attempts < 8; attempts++) {
		int r = initiator_execute(initiator, &request);
		if (r < 0)
			return error_set(err, r, "READ CAPACITY(16): %s", initiator->err.text);
		if (!is_unit_attention(&request))
			break;
	}
	initiator_request_describe(&request, text, sizeof(text));
	if (request.status || request.response || request.received < 12)
		return error_set(err, -EIO, "READ CAPACITY(16): %s", text);
	*ret_blocks = get_be64(data) + 1;
	*ret_block_size = get_be32(data + 8);
	if (!*ret_block_size || *ret_block_size & (*ret_block_size - 1))
		return error_set(err, -EIO, "a block size of %u bytes", *ret_block_size);
	return 0;
}
