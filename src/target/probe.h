/* Goes through every I/O reactor once and comes back to the manager: whoever sees it come back
 * knows that all of them turn. */
#pragma once

#include "base/json.h"
#include "base/reactor.h"

/* `question` is handed on to done(), which comes on the manager, never inside. -ENOMEM: the
 * question is freed. */
int probe_start(struct reactor *manager, struct reactor *const *reactors, unsigned reactor_count,
                void (*done)(void *argument, json_t *question), void *argument,
                json_t *question) MUST_CHECK;
