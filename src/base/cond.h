/* Condition variables that are waited for until a moment of clock_monotonic_ms(): nobody who sets
 * the clock of the wall makes a wait longer or shorter. */
#pragma once

#include "base/auto.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* pthread_cond_destroy() it. */
void cond_init_monotonic(pthread_cond_t *cond);
/* Of one that cond_init_monotonic() made; with the mutex held. False: the time is over. True also
 * for no reason, as pthread_cond_wait(). */
bool cond_wait_until(pthread_cond_t *cond, pthread_mutex_t *mutex, uint64_t deadline_ms) MUST_CHECK;
