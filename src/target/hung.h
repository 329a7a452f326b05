/* An owner whose storage hangs, while its monitors and rows do not (docs/availability.md, "When the
 * storage hangs for its owner alone"): it gives its LUNs up if a peer proves that it does better.
 * In struct owners. On the manager. */
#pragma once

#include "target/job.h"

#include "base/json.h"
#include "base/list.h"

#include <stdbool.h>
#include <stdint.h>

struct disk;
struct owners;
struct string;

/* A place on a LUN. */
struct hung_place {
	char *lun;
	uint64_t offset, length;
};

struct hung {
	uint64_t looked_ms;
	struct list questions; /* one for each LUN whose storage hangs; hung.c */
	uint64_t number;       /* of the last question to the peers, about any LUN */

	/* Giving up. */
	struct job job;
	bool busy;
	int result;
	char why[128];

	/* The life before has given up, and these places were not read since: what this gateway is
	 * given would hang again. */
	struct list doubts; /* hung_doubt.c */
	bool cautious;      /* there are any */
};

void hung_init(struct owners *owners);
void hung_done(struct owners *owners);
/* From the tick. */
void hung_review(struct owners *owners);
/* Messages of peers: {"try": ...} and {"tried": ...}. */
void hung_heard_try(struct owners *owners, const json_t *message);
void hung_heard_tried(struct owners *owners, const json_t *message);
/* For how long commands for the LUN have waited for its storage; 0: not for long. */
uint64_t hung_for_ms(const struct owners *owners, const struct disk *disk);
/* A read of a doubted place has ended, which a question may hang on as well. */
void hung_doubt_read(struct owners *owners, const char *lun);

/* ---- hung_doubt.c ---- */

/* Reads what the life before has noted. */
void hung_begin(struct owners *owners);
void hung_review_doubts(struct owners *owners);
/* A place on the LUN that is being read since it is doubted; NULL: none. */
const struct hung_place *hung_being_read(const struct owners *owners, const char *lun);
void hung_doubts_done(struct owners *owners);
/* Places for the note of the next life: one, and all that are still in doubt. */
void hung_note_place(struct string *note, const struct hung_place *place);
void hung_note_doubts(const struct owners *owners, struct string *note);
