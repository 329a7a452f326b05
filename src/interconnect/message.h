/* What the PDUs between gateways carry beside their iSCSI fields: the additional header segments of
 * commands and heartbeats, and the texts that declare nexuses and rows. Pure encoding.
 *
 * CmdSN counts what the origin sends and must arrive exactly once, ExpCmdSN what has arrived;
 * StatSN counts answers, ExpStatSN those that have arrived and may be forgotten. Both go on when a
 * connection is made anew. */
#pragma once

#include "interconnect/interconnect.h"
#include "iscsi/pdu.h"

#include <stdbool.h>
#include <stdint.h>

#define MESSAGE_AHS_TYPE 0x3e /* of our own; not used by RFC 7143 */
#define MESSAGE_TEXT_MAX 2048

/* Response field of an answer. */
enum message_response {
	MESSAGE_DONE = 0,
	MESSAGE_NOT_EXECUTED = 0x80,
	MESSAGE_ABORTED = 0x81,
};

/* Byte 2 of a Text Request. */
enum message_text {
	MESSAGE_NEXUS = 1,    /* numbered */
	MESSAGE_ROW = 2,      /* numbered */
	MESSAGE_NO_NEXUS = 3, /* numbered; the handle is in the target transfer tag */
	MESSAGE_TELL = 4,     /* not numbered: raw text for the manager */
	MESSAGE_NO_ROW = 5,   /* as NO_NEXUS */
};

/* Of a SCSI Command or Task Management Request. */
struct message_command {
	uint32_t row;    /* handle */
	uint32_t length; /* of all data-out that comes with it */
	uint64_t epoch;
	uint64_t stamp; /* the owner's last heartbeat that the origin had seen */
	uint32_t tag;   /* the initiator's, for people */
};

/* Of a NOP, and of the last login response. */
struct message_heartbeat {
	uint64_t stamp; /* of the sender's own clock: means something to him only */
	uint64_t seen;  /* the last of the receiver's stamps */
	uint32_t stalled_ms;
};

struct message_nexus {
	uint32_t handle;
	char initiator[224], target[224];
	uint8_t isid[6];
	uint16_t tag;
};

struct message_row {
	uint32_t handle, nexus;
	char name[512], wwn[128];
	bool read_only;
};

/* Puts the segment behind the BHS and its length into it. cdb_rest: 16 bytes of an extended CDB, or
 * NULL. */
void message_put_command(uint8_t *header, const struct message_command *command,
                         const uint8_t *cdb_rest);
/* *ret_cdb_rest points into the header; NULL: none. -EINVAL. */
int message_take_command(const uint8_t *header, struct message_command *ret_command,
                         const uint8_t **ret_cdb_rest) MUST_CHECK;

void message_put_heartbeat(uint8_t *header, const struct message_heartbeat *heartbeat);
int message_take_heartbeat(const uint8_t *header,
                           struct message_heartbeat *ret_heartbeat) MUST_CHECK;

/* Text of at most MESSAGE_TEXT_MAX bytes; return its length, or -EINVAL. */
int message_put_nexus(const struct message_nexus *nexus, char *ret_text) MUST_CHECK;
int message_put_row(const struct message_row *row, char *ret_text) MUST_CHECK;
/* 0 or -EINVAL. */
int message_take_nexus(const char *text, uint32_t len, struct message_nexus *ret_nexus) MUST_CHECK;
int message_take_row(const char *text, uint32_t len, struct message_row *ret_row) MUST_CHECK;
