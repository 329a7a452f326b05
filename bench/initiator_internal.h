/* What the files of the initiator share: the connection's state. */
#pragma once

#include "initiator.h"

#include <string.h>
#include <sys/uio.h>

#define BHS_BYTES      48
#define NO_TAG         0xffffffffu
#define ABORT_TAG      0x8000u /* in the tag of an ABORT TASK, beside that of its task */
#define LOGIN_DATA_MAX 8192

enum opcode {
	NOP_OUT = 0x00,
	SCSI_COMMAND = 0x01,
	TASK_MANAGEMENT_REQUEST = 0x02,
	LOGIN_REQUEST = 0x03,
	DATA_OUT = 0x05,
	LOGOUT_REQUEST = 0x06,
	NOP_IN = 0x20,
	SCSI_RESPONSE = 0x21,
	TASK_MANAGEMENT_RESPONSE = 0x22,
	LOGIN_RESPONSE = 0x23,
	DATA_IN = 0x25,
	LOGOUT_RESPONSE = 0x26,
	R2T = 0x31,
	ASYNC_MESSAGE = 0x32,
	REJECT = 0x3f,
	OPCODE_IMMEDIATE = 0x40,
};

/* Bits of byte 1. */
enum flag {
	FLAG_FINAL = 0x80,
	COMMAND_READ = 0x40,
	COMMAND_WRITE = 0x20,
	COMMAND_SIMPLE = 0x01,
	DATA_ACKNOWLEDGE = 0x40,
	RESIDUAL_OVERFLOW = 0x04,
	RESIDUAL_UNDERFLOW = 0x02,
	DATA_STATUS = 0x01,
};

/* What the login agreed on; booleans are 0 and 1. */
struct parameters {
	uint32_t header_digest, data_digest;
	uint32_t initial_r2t, immediate_data;
	uint32_t first_burst_length, max_burst_length, max_outstanding_r2t;
	uint32_t max_send_data_segment_length; /* declared by the target */
	uint32_t max_recv_data_segment_length; /* declared by us */
	uint32_t max_connections, error_recovery_level, time2wait, time2retain;
	uint32_t data_pdu_in_order, data_sequence_in_order;
	uint32_t portal_group_tag;
};

/* Bytes to send: pieces that point into `bytes` (headers, digests) or into data of requests. Both
 * arrays start again from 0 when all has left. */
#define OUT_PIECES 512
#define OUT_BYTES  32768
struct output {
	struct iovec pieces[OUT_PIECES];
	unsigned first, count;
	size_t used;
	uint64_t added_bytes, sent_bytes; /* since the login */
	uint8_t bytes[OUT_BYTES];
};

enum input_state { IN_HEADER, IN_DATA, IN_TRAILER };
#define IN_BYTES (256u << 10)
struct input {
	uint8_t *buffer;
	size_t start, end;
	enum input_state state;
	uint8_t bhs[BHS_BYTES];
	uint32_t data_left, crc;
	uint8_t *data_to; /* where the rest of the data segment goes; NULL = nowhere */
	struct initiator_request *request;
	uint8_t segment[512]; /* data of PDUs that are not Data-In */
};

struct slot {
	struct initiator_request *request;
	uint16_t generation;
};

struct initiator {
	struct initiator_config config;
	struct parameters parameters;
	int fd;
	uint16_t tsih;
	uint8_t lun[8];
	uint32_t cmd_sn, max_cmd_sn, exp_stat_sn;
	unsigned in_flight;
	struct list pending; /* requests not yet sent */
	struct list bursts;  /* Data-Out sequences to send */
	struct list aborts;  /* requests to abort */
	struct slot *slots;  /* by the low half of the task tag */
	uint16_t *free_slots;
	unsigned free_count;
	bool nop_owed, logout_owed, logged_out, must_leave;
	uint32_t nop_transfer_tag;
	uint8_t nop_lun[8];
	struct error err;
	struct output output;
	struct input input;
};

/* Serial number arithmetic [RFC 1982]. */
static inline bool serial_before(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}
static inline uint32_t pad_bytes(uint32_t len_bytes)
{
	return -len_bytes & 3;
}

/* CRC32C without the final inversion; start with ~0. */
uint32_t initiator_crc(uint32_t crc, const uint8_t *data, size_t len);

/* login.c: runs the login on a connected socket. */
int initiator_login(struct initiator *initiator) MUST_CHECK;

/* chap.c: the response to a challenge; ret_response has room for CHAP_DIGEST_MAX. */
#define CHAP_DIGEST_MAX    32
#define CHAP_CHALLENGE_MAX 1024
int chap_respond(unsigned algorithm, uint8_t identifier, const char *secret,
                 const uint8_t *challenge, size_t challenge_len, uint8_t *ret_response,
                 size_t *ret_len) MUST_CHECK;

/* transmit.c: sends what waits, as far as the socket takes it. */
int initiator_flush(struct initiator *initiator) MUST_CHECK;
/* Queues the Data-Out sequence from request->solicited to end. */
void initiator_add_burst(struct initiator *initiator, struct initiator_request *request,
                         uint32_t transfer_tag, uint32_t end);

/* receive.c: takes what is there; wait = sleeps for it. */
int initiator_receive(struct initiator *initiator, bool wait) MUST_CHECK;
