/* Do the I/O reactors of this gateway turn? One that does not for long is said in the log, and to
 * the peers: they ask then, and whoever has a reactor that hangs does not answer. On the manager.
 */
#pragma once

#include "base/reactor.h"

struct watched;

struct watchdog {
	/* Set by the owner of this struct. */
	struct reactor *manager;
	struct reactor *const *reactors;
	unsigned reactor_count;
	/* A reactor has turned after all; none is waited for any more if `waiting` is 0. */
	void (*turned)(struct watchdog *watchdog);

	struct watched *watched;
	unsigned waiting; /* messages that are with reactors */
	uint64_t checked_ms;
};

int watchdog_init(struct watchdog *watchdog) MUST_CHECK;
/* `waiting` must be 0. */
void watchdog_done(struct watchdog *watchdog);
/* Every second or so. For how long a reactor has not turned; 0: all do. */
uint32_t watchdog_check(struct watchdog *watchdog);
