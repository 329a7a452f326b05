/* The opcode table: one row a command. It drives dispatch, every check that can be read off a CDB,
 * and REPORT SUPPORTED OPERATION CODES, so that these never disagree. */
#pragma once

#include "base/auto.h"
#include "scsi/task.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum scsi_data { DATA_NONE, DATA_IN, DATA_OUT };

/* What the CDB says about the number of bytes that move. */
enum scsi_length {
	LENGTH_NONE,
	LENGTH_ALLOCATION, /* field `length`: at most so many are returned */
	LENGTH_LIST,       /* field `length`: parameter list */
	LENGTH_BLOCKS,     /* field `blocks` times the block size */
	LENGTH_TWICE,      /* compare data and write data */
	LENGTH_ONE_BLOCK,  /* WRITE SAME: one block, none with NDOB */
	LENGTH_BYTCHK,     /* VERIFY: none, all or one, as BYTCHK says */
};

/* How persistent reservations restrict the command [SPC-4 table 66, SBC-3 table 13]. */
enum scsi_reservation {
	RESERVATION_FREE,       /* always allowed */
	RESERVATION_READ,       /* conflicts with exclusive access */
	RESERVATION_WRITE,      /* conflicts with every type */
	RESERVATION_START_STOP, /* START is free, the rest writes */
	RESERVATION_PREVENT,    /* ALLOW is free, PREVENT writes */
	RESERVATION_OWN,        /* the handler decides */
};

#define OP_ANY_LUN     (1u << 0)  /* answered for LUNs that are not mapped, too */
#define OP_NO_UA       (1u << 1)  /* a pending unit attention stays */
#define OP_STANDBY     (1u << 2)  /* executed in this ALUA state */
#define OP_UNAVAILABLE (1u << 3)  /* executed in this one, and while failed */
#define OP_TRANSITION  (1u << 4)  /* executed in this one, and while opening */
#define OP_BESIDE      (1u << 5)  /* allowed beside the RESERVE(6) of another nexus */
#define OP_MEDIUM      (1u << 6)  /* goes to the backend */
#define OP_WRITES      (1u << 7)  /* refused when write protected */
#define OP_EXCLUSIVE   (1u << 8)  /* nothing may overlap it */
#define OP_EXACT       (1u << 9)  /* Expected Data Transfer Length must be what the CDB says */
#define OP_LIMITED     (1u << 10) /* TRANSFER_MAX_BYTES holds */
#define OP_HEAD        (1u << 11) /* head of queue whatever its task attribute */
#define OP_SIX         (1u << 12) /* 21-bit LBA; 0 blocks means 256 */
#define OP_THIN        (1u << 13) /* only where blocks can be unmapped */
#define OP_FUA         (1u << 14) /* byte 1 has DPO and FUA */
#define OP_RESERVE     (1u << 15) /* fenced off by any RESERVE(6), the own one too */
#define OP_LOOK        (1u << 16) /* hosts look at paths and disks with it: runs while ON_DEMAND */

#define SA_NONE 0xff

struct cdb_field {
	uint8_t at, len; /* len 0: there is none */
};

struct scsi_opcode {
	uint8_t op;
	uint8_t service_action; /* SA_NONE: the opcode has none */
	const char *name;
	uint8_t cdb_len;
	uint8_t usage[16]; /* the bits that are looked at; byte 0: the opcode */
	uint8_t refuse;    /* bits of byte 1 that must be 0 */
	uint8_t data;      /* enum scsi_data */
	uint8_t length_of; /* enum scsi_length */
	struct cdb_field length, lba, blocks;
	uint8_t reservation; /* enum scsi_reservation */
	uint16_t timeout_s;  /* recommended; 0: says nothing */
	uint32_t flags;
	/* May be NULL. Further checks of the CDB; false: the task has been ended. */
	bool (*check)(struct scsi_task *task);
	/* May be NULL. Looks at the data before the range is locked; false: the task has been
	 * ended. */
	bool (*prepare)(struct scsi_task *task);
	/* Runs with all data there, and ends the task now or later. */
	void (*run)(struct scsi_task *task);
};

size_t opcode_count(void);
const struct scsi_opcode *opcode_at(size_t i);

/* The row, or NULL. *ret_known says whether the opcode exists with another service action. */
const struct scsi_opcode *opcode_find(uint8_t op, uint8_t service_action, bool *ret_known);

/* Whether the command may change the medium, or state that nexuses share. */
bool opcode_changes(const struct scsi_opcode *row);

/* A big endian field of a CDB of 1 to 8 bytes. */
uint64_t cdb_get(const uint8_t *cdb, struct cdb_field field);
