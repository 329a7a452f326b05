/* Preloaded into the gateways of the proof: their time of day, and nothing else, is as far from the
 * true one as a file says, which a fault writes. As with a real jump, every call tells the new time
 * at once, and a wait until a time of day is measured by it. RBDGATE_PROOF_CLOCK names the file:
 * one int64_t, seconds. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define EXPORT     __attribute__((visibility("default")))
#define WALL_MIN_S 500000000L /* who waits until less than that goes by another clock */
#define SLICE_NS   200000000L /* a wait looks at the time of day as often */
#define SECOND_NS  1000000000L

static const _Atomic int64_t no_jump;
static const _Atomic int64_t *jump_s = &no_jump;

static void __attribute__((constructor)) map_file(void)
{
	const char *path = getenv("RBDGATE_PROOF_CLOCK");
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	if (fd < 0)
		return;
	void *at = mmap(NULL, sizeof *jump_s, PROT_READ, MAP_SHARED, fd, 0);
	if (at != MAP_FAILED)
		jump_s = at;
	(void)close(fd);
}

EXPORT int clock_gettime(clockid_t clock, struct timespec *ret_now)
{
	int r = (int)syscall(SYS_clock_gettime, clock, ret_now);
	if (r == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
		ret_now->tv_sec += atomic_load(jump_s);
	return r;
}

EXPORT int gettimeofday(struct timeval *restrict ret_now, void *restrict zone)
{
	struct timespec now;
	int r = clock_gettime(CLOCK_REALTIME, &now);
	ret_now->tv_sec = now.tv_sec;
	ret_now->tv_usec = now.tv_nsec / 1000;
	return r;
}

EXPORT time_t time(time_t *ret_now)
{
	struct timespec now;
	(void)clock_gettime(CLOCK_REALTIME, &now);
	if (ret_now)
		*ret_now = now.tv_sec;
	return now.tv_sec;
}

/* From now until then, at most a slice. */
static int64_t slice_until(const struct timespec *until)
{
	struct timespec now;
	(void)clock_gettime(CLOCK_REALTIME, &now);
	int64_t seconds = until->tv_sec - now.tv_sec;
	if (seconds < 0)
		return 0;
	int64_t left_ns =
	        seconds > 1 ? SLICE_NS : seconds * SECOND_NS + until->tv_nsec - now.tv_nsec;
	return left_ns < 0 ? 0 : left_ns < SLICE_NS ? left_ns : SLICE_NS;
}

/* The kernel waits by the true time. A slice that ends too early is a wake-up without a reason,
 * which every caller must bear: to wait on here could miss the one that comes in between. */
EXPORT int pthread_cond_timedwait(pthread_cond_t *restrict cond, pthread_mutex_t *restrict mutex,
                                  const struct timespec *restrict until)
{
	if (until->tv_sec < WALL_MIN_S)
		return pthread_cond_clockwait(cond, mutex, CLOCK_MONOTONIC, until);
	int64_t slice_ns = slice_until(until);
	struct timespec end;
	(void)clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_nsec += slice_ns;
	end.tv_sec += end.tv_nsec / SECOND_NS;
	end.tv_nsec %= SECOND_NS;
	int r = pthread_cond_clockwait(cond, mutex, CLOCK_MONOTONIC, &end);
	return r == ETIMEDOUT && slice_ns == SLICE_NS ? 0 : r;
}
