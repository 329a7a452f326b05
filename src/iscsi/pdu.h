/* iSCSI protocol data units on the wire: opcodes, where each field lies, flags, reasons, and small
 * readers and writers. Pure: no state, no I/O. [RFC 7143 11] */
#pragma once

#include "base/auto.h"
#include "base/bytes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BHS_BYTES       48
#define AHS_MAX_BYTES   (255 * 4)
#define DIGEST_BYTES    4
#define TAG_NONE        0xffffffffu /* reserved initiator task tag or target transfer tag */
#define PDU_DATA_MAX    0xffffffu
#define LOGIN_DATA_MAX  8192 /* of one login PDU, both directions [RFC 7143 13.12] */
#define PDU_IMMEDIATE   0x40 /* byte 0: not counted by CmdSN */
#define PDU_OPCODE_MASK 0x3f
#define PDU_FROM_TARGET 0x20 /* this bit of the opcode: only targets send it */

enum pdu_opcode {
	PDU_NOP_OUT = 0x00,
	PDU_SCSI_COMMAND = 0x01,
	PDU_TASK_MANAGEMENT = 0x02,
	PDU_LOGIN = 0x03,
	PDU_TEXT = 0x04,
	PDU_DATA_OUT = 0x05,
	PDU_LOGOUT = 0x06,
	PDU_SNACK = 0x10,
	PDU_NOP_IN = 0x20,
	PDU_SCSI_RESPONSE = 0x21,
	PDU_TASK_MANAGEMENT_RESPONSE = 0x22,
	PDU_LOGIN_RESPONSE = 0x23,
	PDU_TEXT_RESPONSE = 0x24,
	PDU_DATA_IN = 0x25,
	PDU_LOGOUT_RESPONSE = 0x26,
	PDU_R2T = 0x31,
	PDU_ASYNC_MESSAGE = 0x32,
	PDU_REJECT = 0x3f,
};

/* Offsets of fields from the start of the basic header segment. */
enum bhs_offset {
	/* all */
	BHS_OPCODE = 0,
	BHS_FLAGS = 1,
	BHS_AHS_LENGTH = 4,   /* 4-byte words */
	BHS_DATA_LENGTH = 5,  /* 24 bit */
	BHS_LUN = 8,          /* 8 bytes */
	BHS_ITT = 16,         /* initiator task tag */
	BHS_TTT = 20,         /* target transfer tag */
	BHS_CMD_SN = 24,      /* requests */
	BHS_EXP_STAT_SN = 28, /* requests */
	BHS_STAT_SN = 24,     /* responses */
	BHS_EXP_CMD_SN = 28,  /* responses */
	BHS_MAX_CMD_SN = 32,  /* responses */
	/* SCSI Command */
	BHS_EXPECTED_LENGTH = 20,
	BHS_CDB = 32,
	/* SCSI Response, Data-In with status */
	BHS_RESPONSE = 2, /* also of task management and logout responses, reason of a Reject */
	BHS_STATUS = 3,
	BHS_EXP_DATA_SN = 36,
	BHS_RESIDUAL = 44,
	/* Data-Out, Data-In, R2T */
	BHS_DATA_SN = 36, /* R2TSN in an R2T */
	BHS_BUFFER_OFFSET = 40,
	BHS_DESIRED_LENGTH = 44,
	/* Task Management Request */
	BHS_REFERENCED_TAG = 20,
	BHS_REF_CMD_SN = 32,
	/* Login */
	BHS_VERSION_MAX = 2,
	BHS_VERSION_MIN = 3, /* Version-active in a response */
	BHS_ISID = 8,        /* 6 bytes */
	BHS_TSIH = 14,
	BHS_CID = 20, /* also Logout Request */
	BHS_STATUS_CLASS = 36,
	BHS_STATUS_DETAIL = 37,
	/* Logout Response */
	BHS_TIME2WAIT = 40,
	BHS_TIME2RETAIN = 42,
	/* Async Message */
	BHS_ASYNC_EVENT = 36,
	BHS_ASYNC_PARAMETER1 = 38,
	BHS_ASYNC_PARAMETER2 = 40,
	BHS_ASYNC_PARAMETER3 = 42,
};

/* Byte 1. */
#define FLAG_FINAL            0x80
#define FLAG_READ             0x40 /* SCSI Command */
#define FLAG_WRITE            0x20 /* SCSI Command */
#define FLAG_ATTRIBUTE_MASK   0x07 /* SCSI Command: enum scsi_attribute */
#define FLAG_OVERFLOW         0x04 /* SCSI Response, Data-In */
#define FLAG_UNDERFLOW        0x02 /* SCSI Response, Data-In */
#define FLAG_STATUS           0x01 /* Data-In */
#define FLAG_TRANSIT          0x80 /* Login */
#define FLAG_CONTINUE         0x40 /* Login, Text */
#define FLAG_CSG(flags)       ((flags) >> 2 & 3)
#define FLAG_NSG(flags)       ((flags)&3)
#define FLAG_STAGES(csg, nsg) ((uint8_t)((csg) << 2 | (nsg)))
#define FLAG_FUNCTION_MASK    0x7f /* task management function, logout reason */

/* CSG and NSG. */
enum login_stage {
	STAGE_SECURITY = 0,
	STAGE_OPERATIONAL = 1,
	STAGE_FULL_FEATURE = 3,
};

/* Status-Class << 8 | Status-Detail [RFC 7143 11.13.5]. */
enum login_status {
	LOGIN_SUCCESS = 0x0000,
	LOGIN_MOVED_TEMPORARILY = 0x0101,
	LOGIN_MOVED_PERMANENTLY = 0x0102,
	LOGIN_INITIATOR_ERROR = 0x0200,
	LOGIN_AUTHENTICATION_FAILED = 0x0201,
	LOGIN_NOT_AUTHORIZED = 0x0202,
	LOGIN_NOT_FOUND = 0x0203,
	LOGIN_TARGET_REMOVED = 0x0204,
	LOGIN_UNSUPPORTED_VERSION = 0x0205,
	LOGIN_TOO_MANY_CONNECTIONS = 0x0206,
	LOGIN_MISSING_PARAMETER = 0x0207,
	LOGIN_CANNOT_INCLUDE = 0x0208,
	LOGIN_SESSION_TYPE_UNSUPPORTED = 0x0209,
	LOGIN_NO_SESSION = 0x020a,
	LOGIN_INVALID_REQUEST = 0x020b,
	LOGIN_TARGET_ERROR = 0x0300,
	LOGIN_SERVICE_UNAVAILABLE = 0x0301,
	LOGIN_OUT_OF_RESOURCES = 0x0302,
};

enum reject_reason {
	REJECT_DATA_DIGEST = 0x02,
	REJECT_SNACK = 0x03,
	REJECT_PROTOCOL_ERROR = 0x04,
	REJECT_NOT_SUPPORTED = 0x05,
	REJECT_TOO_MANY_IMMEDIATE = 0x06,
	REJECT_TASK_IN_PROGRESS = 0x07,
	REJECT_INVALID_FIELD = 0x09,
	REJECT_LONG_OPERATION = 0x0a,
	REJECT_NEGOTIATION_RESET = 0x0b,
	REJECT_WAITING_FOR_LOGOUT = 0x0c,
};

enum async_event {
	ASYNC_SCSI = 0,
	ASYNC_LOGOUT_REQUEST = 1,
	ASYNC_DROP_CONNECTION = 2,
	ASYNC_DROP_SESSION = 3,
	ASYNC_NEGOTIATE = 4,
};

enum logout_reason {
	LOGOUT_CLOSE_SESSION = 0,
	LOGOUT_CLOSE_CONNECTION = 1,
	LOGOUT_RECOVERY = 2,
};

enum logout_response {
	LOGOUT_DONE = 0,
	LOGOUT_NO_CID = 1,
	LOGOUT_NO_RECOVERY = 2,
	LOGOUT_CLEANUP_FAILED = 3,
};

static inline uint8_t pdu_opcode(const uint8_t *bhs)
{
	return bhs[BHS_OPCODE] & PDU_OPCODE_MASK;
}
static inline bool pdu_immediate(const uint8_t *bhs)
{
	return bhs[BHS_OPCODE] & PDU_IMMEDIATE;
}
static inline uint32_t pdu_ahs_len(const uint8_t *bhs)
{
	return bhs[BHS_AHS_LENGTH] * 4u;
}
static inline uint32_t pdu_data_len(const uint8_t *bhs)
{
	return get_be24(bhs + BHS_DATA_LENGTH);
}
static inline uint32_t pdu_itt(const uint8_t *bhs)
{
	return get_be32(bhs + BHS_ITT);
}
static inline uint32_t pdu_ttt(const uint8_t *bhs)
{
	return get_be32(bhs + BHS_TTT);
}
/* Bytes of padding behind len bytes of data. */
static inline uint32_t pdu_pad(uint32_t len)
{
	return -len & 3;
}

/* Serial numbers wrap [RFC 1982, RFC 7143 4.2.2.1]. */
static inline bool serial_lt(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}
static inline bool serial_le(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) <= 0;
}

/* Clears the header and puts opcode, flags (byte 1) and initiator task tag. */
void pdu_start(uint8_t *ret_bhs, enum pdu_opcode opcode, uint8_t flags, uint32_t itt);
/* The sequence numbers that every response carries. */
void pdu_put_sn(uint8_t *bhs, uint32_t stat_sn, uint32_t exp_cmd_sn, uint32_t max_cmd_sn);
static inline void pdu_put_data_len(uint8_t *bhs, uint32_t len_bytes)
{
	put_be24(bhs + BHS_DATA_LENGTH, len_bytes);
}

/* What the additional header segments of a SCSI Command say. */
struct pdu_ahs {
	const uint8_t *cdb_rest; /* CDB bytes from 16 on; NULL: none */
	uint8_t cdb_rest_len;
	bool bidirectional; /* a read length came as well */
	uint32_t read_len;
};
/* 0; -EINVAL: torn, or twice the same; -EOPNOTSUPP: unknown type. Points into ahs. */
int pdu_parse_ahs(const uint8_t *ahs, size_t len, struct pdu_ahs *ret_ahs) MUST_CHECK;

/* "SCSI Command", or "unknown opcode". */
const char *pdu_name(uint8_t opcode);
/* May an initiator send it? */
bool pdu_from_initiator(uint8_t opcode);
