/* Faults that the proof plants, to see that it finds them. The installed program has none: it links
 * planted_none.c. */
#pragma once

#include <stdbool.h>

/* "no-fence": who is gone is not fenced. "no-drain": a hand-over does not wait for commands in
 * flight. "early-answer": a write is answered before it is done. */
bool planted(const char *fault);
