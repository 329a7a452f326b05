/* See cond.h. */
#include "base/cond.h"

#include <errno.h>
#include <time.h>

void cond_init_monotonic(pthread_cond_t *cond)
{
	pthread_condattr_t monotonic;
	/* None of these can fail: they take no memory, and every Linux has this clock. */
	(void)pthread_condattr_init(&monotonic);
	(void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	(void)pthread_cond_init(cond, &monotonic);
	(void)pthread_condattr_destroy(&monotonic);
}

bool cond_wait_until(pthread_cond_t *cond, pthread_mutex_t *mutex, uint64_t deadline_ms)
{
	const struct timespec until = { .tv_sec = (time_t)(deadline_ms / 1000),
		                        .tv_nsec = (long)(deadline_ms % 1000) * 1000000 };
	return pthread_cond_timedwait(cond, mutex, &until) != ETIMEDOUT;
}
