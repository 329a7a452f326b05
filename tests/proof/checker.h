/* Is a history possible on a disk that does what it says? Each block alone is judged:
 *
 * - a register (WRITE, READ) must be linearizable: every operation takes effect at one moment
 * between its invocation and its answer;
 * - a counter (COMPARE AND WRITE, READ) must be one chain of swaps, in which every acknowledged
 * swap is exactly one step, and linearizable too;
 * - a block that is read has one value, whole;
 * - between `fence` and `unfence` no write of the victim takes effect.
 *
 * An operation that was answered "not executed" has no effect; one that was answered "maybe" has it
 * before the answer or never. One without an answer may have it later, but not after an answer to a
 * command that was sent `age_ns` after it, when its connection had been given up: a gateway does
 * not execute what it cannot prove to be young, and what it had begun is ordered before what came
 * next. */
#pragma once

#include "history.h"

#define VIOLATIONS_MAX 20

struct violation {
	uint16_t lun;
	uint64_t lba;
	const char *kind; /* from violation_kinds */
	char text[1024];  /* for people: which operations, with times */
};

struct verdict {
	size_t blocks, counters;
	size_t violation_count; /* all; the first VIOLATIONS_MAX are kept */
	struct violation violations[VIOLATIONS_MAX];
};

extern const char violation_unknown_value[], violation_torn[], violation_phantom[],
        violation_future[], violation_order[], violation_lost_step[], violation_two_steps[],
        violation_miscompare[], violation_fenced[];

/* -ENOMEM; -EINVAL: two operations share an id, or a block is both register and counter. */
int check_history(const struct history *history, uint64_t age_ns, struct verdict *ret_verdict,
                  struct error *err) MUST_CHECK;
