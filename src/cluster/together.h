/* One question that many threads ask at once: those that come while it is being asked share the
 * next time. So each gets an answer to a question that was asked after it had come, or later than
 * it wants. */
#pragma once

#include "base/auto.h"

#include <pthread.h>
#include <stdint.h>

struct together {
	pthread_mutex_t lock; /* of the rest */
	pthread_cond_t answered;
	uint64_t begun, ended; /* times that it was asked; different while it is */
	int result;            /* the last one */
	uint64_t begun_ms;     /* clock_monotonic_ms() */
	uint64_t good_ms;      /* when the last one began whose answer was 0 */
};

void together_init(struct together *together);
/* Nobody may ask any more. */
void together_done(struct together *together);
/* Blocks, for two times at most. ask() is called by one thread at a time. */
int together_ask(struct together *together, int (*ask)(void *argument), void *argument) MUST_CHECK;
/* The same; 0 at once if a question that began later than since_ms was answered with 0. */
int together_ask_since(struct together *together, uint64_t since_ms, int (*ask)(void *argument),
                       void *argument) MUST_CHECK;
