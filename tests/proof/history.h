/* The history of a run: what each initiator asked for, when, and what it was answered. The driver
 * writes it as text, one line an operation; the checker reads it. Times are nanoseconds of one
 * monotonic clock, taken before the command was queued and after its answer was read.
 *
 *   op ID INITIATOR PATH LUN KIND LBA BLOCKS START END OUTCOME [EXPECTED] [VALUES]
 *   fence LUN VICTIM TIME      from here on no write of that initiator may take effect,
 *   unfence LUN VICTIM TIME    until here
 *   mark TIME TEXT             what happened around it, for people
 *
 * Each write and each swap has a value of its own, which is its ID. VALUES are what a read found in
 * each block, or in all if only one is given: an ID, 0 (never written), `torn` or `alien`. */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define OP_BLOCKS_MAX 8

#define VALUE_INITIAL 0ul
#define VALUE_TORN    UINT64_MAX       /* the parts of one block disagree */
#define VALUE_ALIEN   (UINT64_MAX - 1) /* nothing that this run wrote there */

enum op_kind {
	OP_WRITE,
	OP_READ,
	OP_SWAP, /* COMPARE AND WRITE: `expected` becomes ID */
};

enum op_outcome {
	OUTCOME_OK,
	OUTCOME_NEVER,   /* answered: it was not executed */
	OUTCOME_DIFFERS, /* a swap that was answered MISCOMPARE */
	OUTCOME_MAYBE,   /* answered: executed or not, but not after the answer */
	OUTCOME_LOST,    /* not answered; the initiator dropped the connection at `end` */
};

struct op {
	uint64_t id;
	uint64_t lba;
	uint64_t start, end;
	uint64_t expected;
	uint64_t values[OP_BLOCKS_MAX]; /* of a read that is OK */
	uint32_t initiator;
	uint16_t path, lun;
	uint8_t kind, outcome, blocks;
};

/* No write of `victim` takes effect in (start, end). */
struct fence {
	uint32_t victim;
	uint16_t lun;
	uint64_t start, end;
};

struct mark {
	uint64_t time;
	char *text;
};

struct history {
	struct op *ops;
	struct fence *fences;
	struct mark *marks;
	size_t op_count, fence_count, mark_count;
	size_t op_room, fence_room, mark_room;
};

/* Writers: one line each. */
void history_write_op(FILE *file, const struct op *op);
void history_write_fence(FILE *file, uint16_t lun, uint32_t victim, bool fenced, uint64_t time);
void history_write_mark(FILE *file, uint64_t time, const char *text);

/* Zeroed memory is an empty history. -ENOMEM. */
int history_add(struct history *history, const struct op *op) MUST_CHECK;
int history_add_fence(struct history *history, const struct fence *fence) MUST_CHECK;
/* -EINVAL names the line that cannot be read. */
int history_read(FILE *file, struct history *ret_history, struct error *err) MUST_CHECK;
void history_clear(struct history *history);
#define AUTO_HISTORY __attribute__((cleanup(history_clear)))

const char *op_kind_name(uint8_t kind);
const char *op_outcome_name(uint8_t outcome);
