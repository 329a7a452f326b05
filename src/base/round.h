/* A message that visits reactors, one after the other, and comes back to the one that sent it. */
#pragma once

#include "base/reactor.h"

struct round {
	/* Set by the caller; all of it stays until ended(). */
	struct reactor *home;
	struct reactor *const *reactors;
	unsigned count;
	void (*visit)(struct round *round, unsigned number); /* on that reactor; NULL: turns only */
	void (*ended)(struct round *round);                  /* on `home`; may free it */
	/* Its own. */
	struct message message;
	unsigned at;
};

/* On `home`. ended() is not called inside. */
void round_start(struct round *round);
