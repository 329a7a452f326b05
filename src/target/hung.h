/* An owner whose storage hangs, while its monitors and rows do not (docs/availability.md, "When the
 * storage hangs for its owner alone"): it gives its LUNs up if a peer proves that it does better.
 * In struct owners. On the manager. */
#pragma once

#include "target/job.h"

#include "base/json.h"

#include <stdbool.h>
#include <stdint.h>

struct disk;
struct owners;

/* A place on a LUN. */
struct hung_place {
	char *lun;
	uint64_t offset, length;
};

struct hung {
	uint64_t looked_ms;

	/* The question, from the moment at which this gateway reads the place itself until that is
	 * answered. */
	bool reading;
	struct hung_place place;
	uint64_t since_ms;         /* of the own read */
	uint64_t command_ms;       /* since when the oldest command waits */
	uint64_t number, asked_ms; /* of the last question to the peers */
	uint64_t answered;         /* the last one that a peer has answered */
	unsigned answers;          /* of questions in a row */
	uint64_t told_ms;          /* in the log; 0: not yet */

	/* Giving up. */
	struct job job;
	bool busy;
	int result;
	char why[128];

	/* The life before has given up for this place, and it was not read since: what this gateway
	 * is given would hang again. */
	bool cautious;
	struct hung_place doubted;
};

void hung_begin(struct owners *owners);
void hung_done(struct owners *owners);
/* From the tick. */
void hung_review(struct owners *owners);
/* Messages of peers: {"try": ...} and {"tried": ...}. */
void hung_heard_try(struct owners *owners, const json_t *message);
void hung_heard_tried(struct owners *owners, const json_t *message);
/* For how long commands for the LUN have waited for its storage; 0: not for long. */
uint64_t hung_for_ms(const struct owners *owners, const struct disk *disk);
