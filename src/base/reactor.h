/* A reactor: one thread with an epoll loop, timers and an inbox. Every object of the data path
 * lives on one reactor, so its state needs no lock; other threads reach it only by reactor_post().
 *
 * A turn of the loop: wait -> ready watches -> inbox -> expired timers -> deferred messages (until
 * there are none) -> turn hooks. So everything that one turn produced leaves in one batch. */
#pragma once

#include "base/auto.h"
#include "base/list.h"

#include <stdbool.h>
#include <stdint.h>

struct reactor;
struct buffer_pool;

/* A unit of work for a reactor, embedded in the object that it is about. It may be posted again as
 * soon as run() has been entered. */
struct message {
	struct message *next;
	void (*run)(struct message *message);
};

/* A file descriptor that a reactor waits for. */
struct watch {
	int fd;
	uint32_t events; /* EPOLLIN and so on, as last set */
	void (*ready)(struct watch *watch, uint32_t events);
	struct list link;
};

/* A timer; armed at most once at a time. Zeroed memory is a disarmed timer. */
struct timer {
	void (*expired)(struct timer *timer);
	uint64_t deadline_ms;
	unsigned slot; /* place in the reactor's heap + 1; 0 = not armed */
};

/* Runs once at the end of a turn in which it was asked for. */
struct turn_hook {
	void (*run)(struct turn_hook *hook);
	struct list link; /* list_init() before first use */
};

/* Milliseconds of a clock that never goes back; tests hand in their own. */
typedef uint64_t (*clock_fn)(void);
uint64_t clock_monotonic_ms(void);
/* Like it, and goes on while the machine sleeps. */
uint64_t clock_boottime_ms(void);

/* name is copied. clock NULL = clock_monotonic_ms. -ENOMEM, -EMFILE and so on. */
int reactor_new(const char *name, clock_fn clock, struct reactor **ret_reactor) MUST_CHECK;
/* The loop must have ended. Watches and timers still there are dropped, not called; messages still
 * in the inbox are run (they own memory). */
void reactor_free(struct reactor *reactor);
DEFINE_AUTO(reactor);

/* Starts a thread that runs the loop. cpu < 0: wherever the kernel likes. */
int reactor_start(struct reactor *reactor, int cpu) MUST_CHECK;
/* Runs the loop on the calling thread until reactor_stop(). */
void reactor_run(struct reactor *reactor);
/* One turn, waiting at most timeout_ms (-1: no bound). Returns false once reactor_stop() was
 * called. For tests and for programs with a loop of their own. */
bool reactor_turn(struct reactor *reactor, int timeout_ms);
/* Any thread. Asks the loop to end after this turn, and joins the thread of reactor_start(). */
void reactor_stop(struct reactor *reactor);

/* The reactor whose loop runs on the calling thread, or NULL. */
struct reactor *reactor_current(void);
const char *reactor_name(const struct reactor *reactor);
/* The time at which this turn began. On the reactor only. */
uint64_t reactor_now_ms(const struct reactor *reactor);
/* Bounds adaptive spinning before the loop sleeps, microseconds; 0 (default) = sleep at once. */
void reactor_set_busy_poll_us(struct reactor *reactor, unsigned busy_poll_us);
/* This reactor's buffers. On the reactor only. */
struct buffer_pool *reactor_buffers(struct reactor *reactor);

/* Any thread, also the reactor's own. message->run is called on the reactor, never inside the call,
 * in the order of posting of one thread. Wakes the reactor at most once a batch. */
void reactor_post(struct reactor *reactor, struct message *message);
/* On the reactor only: like reactor_post without atomics or wake-up; runs later in the same turn.
 */
void reactor_defer(struct reactor *reactor, struct message *message);
/* Any thread: reactor_defer if it is the reactor's own, else reactor_post. */
void reactor_deliver(struct reactor *reactor, struct message *message);

/* On the reactor only. watch->fd, ->ready and events set by the caller; the fd stays the caller's.
 */
int reactor_watch(struct reactor *reactor, struct watch *watch, uint32_t events) MUST_CHECK;
void reactor_watch_set(struct reactor *reactor, struct watch *watch, uint32_t events);
/* Also from inside ready(), also another watch's: it is not called any more. */
void reactor_unwatch(struct reactor *reactor, struct watch *watch);

/* On the reactor only. Arming an armed timer moves it. */
void reactor_arm(struct reactor *reactor, struct timer *timer, uint64_t delay_ms);
void reactor_disarm(struct reactor *reactor, struct timer *timer);
static inline bool timer_armed(const struct timer *timer)
{
	return timer->slot != 0;
}

/* On the reactor only. Asks for hook->run at the end of this turn (once, however often asked). */
void reactor_at_turn_end(struct reactor *reactor, struct turn_hook *hook);
