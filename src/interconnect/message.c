/* Encoding and checked decoding of what gateways say to each other. */
#include "interconnect/message.h"

#include "base/text.h"
#include "iscsi/text.h"

#include <errno.h>
#include <stdio.h>

#define COMMAND_BYTES   28
#define HEARTBEAT_BYTES 20
#define CDB_REST_BYTES  16
#define CDB_AHS_TYPE    1 /* extended CDB [RFC 7143 11.2.2.3] */

/* ---- additional header segments ---- */

/* The type is followed by one reserved byte; AHSLength counts from there. */
static uint8_t *put_segment(uint8_t *header, uint8_t type, uint16_t bytes)
{
	uint8_t *segment = header + BHS_BYTES + pdu_ahs_len(header);
	put_be16(segment, (uint16_t)(bytes + 1));
	segment[2] = type;
	segment[3] = 0;
	header[BHS_AHS_LENGTH] += (uint8_t)((4 + bytes) / 4);
	return segment + 4;
}

/* The segment at *at, which moves behind it; NULL: not such a one. */
static const uint8_t *take_segment(const uint8_t *header, uint32_t *at, uint8_t type,
                                   uint16_t bytes)
{
	const uint8_t *segment = header + BHS_BYTES + *at;
	if (!range_ok(*at, 4u + bytes, pdu_ahs_len(header)) || get_be16(segment) != bytes + 1 ||
	    segment[2] != type)
		return NULL;
	*at += 4u + bytes;
	return segment + 4;
}

void message_put_command(uint8_t *header, const struct message_command *command,
                         const uint8_t *cdb_rest)
{
	uint8_t *p = put_segment(header, MESSAGE_AHS_TYPE, COMMAND_BYTES);
	put_be32(p, command->row);
	put_be32(p + 4, command->length);
	put_be64(p + 8, command->epoch);
	put_be64(p + 16, command->stamp);
	put_be32(p + 24, command->tag);
	if (cdb_rest)
		memcpy(put_segment(header, CDB_AHS_TYPE, CDB_REST_BYTES), cdb_rest, CDB_REST_BYTES);
}

int message_take_command(const uint8_t *header, struct message_command *ret_command,
                         const uint8_t **ret_cdb_rest)
{
	uint32_t at = 0;
	const uint8_t *p = take_segment(header, &at, MESSAGE_AHS_TYPE, COMMAND_BYTES);
	if (!p)
		return -EINVAL;
	const uint8_t *cdb_rest = NULL;
	if (at < pdu_ahs_len(header)) {
		cdb_rest = take_segment(header, &at, CDB_AHS_TYPE, CDB_REST_BYTES);
		if (!cdb_rest || at != pdu_ahs_len(header))
			return -EINVAL;
	}
	*ret_command = (struct message_command){
		.row = get_be32(p),
		.length = get_be32(p + 4),
		.epoch = get_be64(p + 8),
		.stamp = get_be64(p + 16),
		.tag = get_be32(p + 24),
	};
	*ret_cdb_rest = cdb_rest;
	return 0;
}

void message_put_heartbeat(uint8_t *header, const struct message_heartbeat *heartbeat)
{
	uint8_t *p = put_segment(header, MESSAGE_AHS_TYPE, HEARTBEAT_BYTES);
	put_be64(p, heartbeat->stamp);
	put_be64(p + 8, heartbeat->seen);
	put_be32(p + 16, heartbeat->stalled_ms);
}

int message_take_heartbeat(const uint8_t *header, struct message_heartbeat *ret_heartbeat)
{
	uint32_t at = 0;
	const uint8_t *p = take_segment(header, &at, MESSAGE_AHS_TYPE, HEARTBEAT_BYTES);
	if (!p || at != pdu_ahs_len(header))
		return -EINVAL;
	*ret_heartbeat = (struct message_heartbeat){
		.stamp = get_be64(p),
		.seen = get_be64(p + 8),
		.stalled_ms = get_be32(p + 16),
	};
	return 0;
}

/* ---- texts ---- */

static int finish(int len)
{
	return len < 0 || len >= MESSAGE_TEXT_MAX ? -EINVAL : len;
}

/* One format for a whole text: each %c is given NUL, which ends a pair. */
int message_put_nexus(const struct message_nexus *nexus, char *ret_text)
{
	char isid[2 * sizeof(nexus->isid) + 1];
	text_put_hex(nexus->isid, sizeof(nexus->isid), isid);
	return finish(snprintf(ret_text, MESSAGE_TEXT_MAX,
	                       "Nexus=%u%cInitiator=%s%cISID=0x%s%cTarget=%s%cTag=%u%c",
	                       nexus->handle, 0, nexus->initiator, 0, isid, 0, nexus->target, 0,
	                       nexus->tag, 0));
}

int message_put_row(const struct message_row *row, char *ret_text)
{
	return finish(snprintf(ret_text, MESSAGE_TEXT_MAX,
	                       "Row=%u%cNexus=%u%cName=%s%cWWN=%s%cReadOnly=%s%c", row->handle, 0,
	                       row->nexus, 0, row->name, 0, row->wwn, 0,
	                       row->read_only ? "Yes" : "No", 0));
}

static int take_number(const struct text_block *block, const char *key, uint64_t max,
                       uint64_t *ret_number)
{
	struct text_slice value;
	if (!text_block_find(block, key, &value))
		return -EINVAL;
	return text_slice_number(value, 0, max, ret_number) < 0 ? -EINVAL : 0;
}

static int take_text(const struct text_block *block, const char *key, char *ret_text, size_t size)
{
	struct text_slice value;
	if (!text_block_find(block, key, &value))
		return -EINVAL;
	return text_slice_copy(value, ret_text, size) < 0 ? -EINVAL : 0;
}

int message_take_nexus(const char *text, uint32_t len, struct message_nexus *ret_nexus)
{
	struct text_block block = { text, len };
	struct message_nexus nexus = { 0 };
	struct text_slice isid;
	uint64_t handle = 0, tag = 0;
	size_t isid_len = 0;
	int r = text_block_check(&block);

	if (r == 0)
		r = take_number(&block, "Nexus", UINT32_MAX, &handle);
	if (r == 0)
		r = take_number(&block, "Tag", UINT16_MAX, &tag);
	if (r == 0)
		r = take_text(&block, "Initiator", nexus.initiator, sizeof(nexus.initiator));
	if (r == 0)
		r = take_text(&block, "Target", nexus.target, sizeof(nexus.target));
	if (r == 0 && (!text_block_find(&block, "ISID", &isid) ||
	               text_slice_binary(isid, nexus.isid, sizeof(nexus.isid), &isid_len) < 0 ||
	               isid_len != sizeof(nexus.isid)))
		r = -EINVAL;
	if (r < 0)
		return r;
	nexus.handle = (uint32_t)handle;
	nexus.tag = (uint16_t)tag;
	*ret_nexus = nexus;
	return 0;
}

int message_take_row(const char *text, uint32_t len, struct message_row *ret_row)
{
	struct text_block block = { text, len };
	struct message_row row = { 0 };
	struct text_slice read_only;
	uint64_t handle = 0, nexus = 0;
	int r = text_block_check(&block);

	if (r == 0)
		r = take_number(&block, "Row", UINT32_MAX, &handle);
	if (r == 0)
		r = take_number(&block, "Nexus", UINT32_MAX, &nexus);
	if (r == 0)
		r = take_text(&block, "Name", row.name, sizeof(row.name));
	if (r == 0)
		r = take_text(&block, "WWN", row.wwn, sizeof(row.wwn));
	if (r == 0 && !text_block_find(&block, "ReadOnly", &read_only))
		r = -EINVAL;
	if (r < 0)
		return r;
	row.handle = (uint32_t)handle;
	row.nexus = (uint32_t)nexus;
	row.read_only = text_slice_is(read_only, "Yes");
	*ret_row = row;
	return 0;
}
