/* Encoding and decoding of headers. [RFC 7143 11.1, 11.2] */
#include "iscsi/pdu.h"

#include <errno.h>

#define AHS_EXTENDED_CDB     1
#define AHS_BIDI_READ_LENGTH 2
#define AHS_HEADER_BYTES     3 /* length and type: not part of AHSLength */
#define AHS_CDB_MAX          244

static const struct {
	const char *name;
	bool from_initiator;
} opcodes[PDU_OPCODE_MASK + 1] = {
	[PDU_NOP_OUT] = { "NOP-Out", true },
	[PDU_SCSI_COMMAND] = { "SCSI Command", true },
	[PDU_TASK_MANAGEMENT] = { "Task Management Request", true },
	[PDU_LOGIN] = { "Login Request", true },
	[PDU_TEXT] = { "Text Request", true },
	[PDU_DATA_OUT] = { "SCSI Data-Out", true },
	[PDU_LOGOUT] = { "Logout Request", true },
	[PDU_SNACK] = { "SNACK Request", true },
	[PDU_NOP_IN] = { "NOP-In", false },
	[PDU_SCSI_RESPONSE] = { "SCSI Response", false },
	[PDU_TASK_MANAGEMENT_RESPONSE] = { "Task Management Response", false },
	[PDU_LOGIN_RESPONSE] = { "Login Response", false },
	[PDU_TEXT_RESPONSE] = { "Text Response", false },
	[PDU_DATA_IN] = { "SCSI Data-In", false },
	[PDU_LOGOUT_RESPONSE] = { "Logout Response", false },
	[PDU_R2T] = { "Ready To Transfer", false },
	[PDU_ASYNC_MESSAGE] = { "Async Message", false },
	[PDU_REJECT] = { "Reject", false },
};

const char *pdu_name(uint8_t opcode)
{
	const char *name = opcodes[opcode & PDU_OPCODE_MASK].name;
	return name ? name : "unknown opcode";
}

bool pdu_from_initiator(uint8_t opcode)
{
	return opcodes[opcode & PDU_OPCODE_MASK].from_initiator;
}

void pdu_start(uint8_t *ret_bhs, enum pdu_opcode opcode, uint8_t flags, uint32_t itt)
{
	memset(ret_bhs, 0, BHS_BYTES);
	ret_bhs[BHS_OPCODE] = (uint8_t)opcode;
	ret_bhs[BHS_FLAGS] = flags;
	put_be32(ret_bhs + BHS_ITT, itt);
}

void pdu_put_sn(uint8_t *bhs, uint32_t stat_sn, uint32_t exp_cmd_sn, uint32_t max_cmd_sn)
{
	put_be32(bhs + BHS_STAT_SN, stat_sn);
	put_be32(bhs + BHS_EXP_CMD_SN, exp_cmd_sn);
	put_be32(bhs + BHS_MAX_CMD_SN, max_cmd_sn);
}

static int take_segment(const uint8_t *segment, uint16_t len, struct pdu_ahs *ahs)
{
	switch (segment[2] & 0x3f) {
	case AHS_EXTENDED_CDB:
		if (ahs->cdb_rest || len < 2 || len - 1 > AHS_CDB_MAX)
			return -EINVAL;
		ahs->cdb_rest = segment + 4;
		ahs->cdb_rest_len = (uint8_t)(len - 1);
		return 0;
	case AHS_BIDI_READ_LENGTH:
		if (ahs->bidirectional || len != 5)
			return -EINVAL;
		ahs->bidirectional = true;
		ahs->read_len = get_be32(segment + 4);
		return 0;
	default:
		return -EOPNOTSUPP;
	}
}

int pdu_parse_ahs(const uint8_t *ahs, size_t len, struct pdu_ahs *ret_ahs)
{
	struct pdu_ahs found = { 0 };
	size_t at = 0;

	while (at < len) {
		if (len - at < 4)
			return -EINVAL;
		uint16_t segment_len = get_be16(ahs + at);
		size_t padded = (AHS_HEADER_BYTES + (size_t)segment_len + 3) & ~(size_t)3;
		if (!segment_len || padded > len - at)
			return -EINVAL;
		int r = take_segment(ahs + at, segment_len, &found);
		if (r < 0)
			return r;
		at += padded;
	}
	*ret_ahs = found;
	return 0;
}
