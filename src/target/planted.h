/* Mistakes that the proof plants, to see that it finds them. The installed program has none: it
 * links planted_none.c. */
#pragma once

#include <stdbool.h>

struct backend;

/* "no-fence": who is gone is not fenced, and his lock is broken all the same.
 * "short-fence": a fence ends after 2 s.
 * "early-answer": a write is answered before it is done.
 * "no-drain": who hands a LUN over says so before what is in flight has ended, and the next owner
 * breaks his lock without a fence, for the record is clean.
 * "slow": no mistake, but a storage whose writes take long; with "no-drain" it brings that to
 * light. "hung": one whose writes take an hour. */
bool planted(const char *fault);
/* What a planted mistake puts above an image. */
void planted_filters(struct backend **stack);
