/* The reactor: an epoll loop with timers, an inbox that any thread may post to, and turn hooks.
 *
 * The inbox is a stack that posters push to with one compare-and-swap and that the reactor takes as
 * a whole, then reverses. Only who finds it empty wakes the loop, so a batch costs one wake-up. */
#include "base/reactor.h"

#include "base/buffer.h"
#include "base/error.h"
#include "base/log.h"
#include "base/timer_heap.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>

#define EVENTS_PER_TURN          128
#define BUFFERS_CACHED_MAX_BYTES (64u << 20)

struct reactor {
	/* Any thread. On a line of its own: posters write it, the loop reads what follows. */
	_Alignas(64) _Atomic(struct message *) inbox;
	atomic_bool stopping;

	/* The reactor's own from here on. */
	_Alignas(64) int epoll_fd;
	int wake_fd;
	clock_fn clock;
	uint64_t now_ms;
	unsigned busy_poll_us;
	struct timer_heap timers;
	struct message *deferred_first, **deferred_last;
	struct list hooks;
	struct list watches;
	struct buffer_pool *buffers;

	/* Events of this turn that were not handled yet: reactor_unwatch() strikes them out. */
	struct epoll_event events[EVENTS_PER_TURN];
	int event_count, event_next;

	pthread_t thread;
	bool started;
	char name[16]; /* as the kernel shows it: 15 characters */
};

static _Thread_local struct reactor *current;

static uint64_t read_clock_ms(clockid_t clock)
{
	struct timespec now;
	(void)clock_gettime(clock, &now); /* cannot fail for these clocks */
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

uint64_t clock_monotonic_ms(void)
{
	return read_clock_ms(CLOCK_MONOTONIC);
}

uint64_t clock_boottime_ms(void)
{
	return read_clock_ms(CLOCK_BOOTTIME);
}

struct reactor *reactor_current(void)
{
	return current;
}

const char *reactor_name(const struct reactor *reactor)
{
	return reactor->name;
}

uint64_t reactor_now_ms(const struct reactor *reactor)
{
	return reactor->now_ms;
}

void reactor_set_busy_poll_us(struct reactor *reactor, unsigned busy_poll_us)
{
	reactor->busy_poll_us = busy_poll_us;
}

struct buffer_pool *reactor_buffers(struct reactor *reactor)
{
	return reactor->buffers;
}

int reactor_new(const char *name, clock_fn clock, struct reactor **ret_reactor)
{
	struct reactor *reactor = aligned_alloc(64, (sizeof *reactor + 63) / 64 * 64);
	if (!reactor)
		return -ENOMEM;
	memset(reactor, 0, sizeof *reactor);
	reactor->epoll_fd = reactor->wake_fd = -1;
	reactor->clock = clock ? clock : clock_monotonic_ms;
	reactor->now_ms = reactor->clock();
	reactor->deferred_last = &reactor->deferred_first;
	list_init(&reactor->hooks);
	list_init(&reactor->watches);
	(void)snprintf(reactor->name, sizeof reactor->name, "%s", name); /* cut is fine */

	int r = buffer_pool_new(BUFFERS_CACHED_MAX_BYTES, &reactor->buffers);
	if (r < 0)
		goto failed;
	reactor->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	reactor->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (reactor->epoll_fd < 0 || reactor->wake_fd < 0) {
		r = -errno;
		goto failed;
	}
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = NULL };
	if (epoll_ctl(reactor->epoll_fd, EPOLL_CTL_ADD, reactor->wake_fd, &event) < 0) {
		r = -errno;
		goto failed;
	}
	*ret_reactor = reactor;
	return 0;
failed:
	reactor_free(reactor);
	return r;
}

static void wake(struct reactor *reactor)
{
	uint64_t one = 1;
	ssize_t n = write(reactor->wake_fd, &one, sizeof one);
	assert(n == sizeof one || errno == EAGAIN); /* a full counter wakes as well */
	(void)n;
}

void reactor_post(struct reactor *reactor, struct message *message)
{
	struct message *head = atomic_load_explicit(&reactor->inbox, memory_order_relaxed);
	bool was_empty;
	do {
		/* Once the message is visible it may be run and freed: nothing after touches it. */
		message->next = head;
		was_empty = head == NULL;
	} while (!atomic_compare_exchange_weak_explicit(
	        &reactor->inbox, &head, message, memory_order_release, memory_order_relaxed));
	if (was_empty)
		wake(reactor);
}

void reactor_defer(struct reactor *reactor, struct message *message)
{
	message->next = NULL;
	*reactor->deferred_last = message;
	reactor->deferred_last = &message->next;
}

void reactor_deliver(struct reactor *reactor, struct message *message)
{
	if (reactor == current)
		reactor_defer(reactor, message);
	else
		reactor_post(reactor, message);
}

int reactor_watch(struct reactor *reactor, struct watch *watch, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.ptr = watch };
	if (epoll_ctl(reactor->epoll_fd, EPOLL_CTL_ADD, watch->fd, &event) < 0)
		return -errno;
	watch->events = events;
	list_append(&reactor->watches, &watch->link);
	return 0;
}

void reactor_watch_set(struct reactor *reactor, struct watch *watch, uint32_t events)
{
	if (watch->events == events)
		return;
	struct epoll_event event = { .events = events, .data.ptr = watch };
	int r = epoll_ctl(reactor->epoll_fd, EPOLL_CTL_MOD, watch->fd, &event);
	assert(r == 0); /* only fails for a descriptor that is not watched */
	(void)r;
	watch->events = events;
}

void reactor_unwatch(struct reactor *reactor, struct watch *watch)
{
	int r = epoll_ctl(reactor->epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL);
	assert(r == 0);
	(void)r;
	list_remove(&watch->link);
	for (int i = reactor->event_next; i < reactor->event_count; i++) {
		if (reactor->events[i].data.ptr == watch)
			reactor->events[i].events = 0;
	}
}

void reactor_arm(struct reactor *reactor, struct timer *timer, uint64_t delay_ms)
{
	timer_heap_remove(&reactor->timers, timer);
	timer->deadline_ms = reactor->now_ms + delay_ms;
	timer_heap_put(&reactor->timers, timer);
}

void reactor_disarm(struct reactor *reactor, struct timer *timer)
{
	timer_heap_remove(&reactor->timers, timer);
}

void reactor_at_turn_end(struct reactor *reactor, struct turn_hook *hook)
{
	if (list_empty(&hook->link))
		list_append(&reactor->hooks, &hook->link);
}

static void run_messages(struct message *message)
{
	while (message) {
		struct message *next = message->next;
		message->run(message);
		message = next;
	}
}

static void run_inbox(struct reactor *reactor)
{
	/* Looked at first: an empty inbox then costs no write to a line that posters share. */
	if (!atomic_load_explicit(&reactor->inbox, memory_order_relaxed))
		return;
	struct message *newest =
	        atomic_exchange_explicit(&reactor->inbox, NULL, memory_order_acquire);
	struct message *oldest = NULL;
	while (newest) {
		struct message *next = newest->next;
		newest->next = oldest;
		oldest = newest;
		newest = next;
	}
	run_messages(oldest);
}

static void run_deferred(struct reactor *reactor)
{
	while (reactor->deferred_first) {
		struct message *first = reactor->deferred_first;
		reactor->deferred_first = NULL;
		reactor->deferred_last = &reactor->deferred_first;
		run_messages(first);
	}
}

static void run_timers(struct reactor *reactor)
{
	for (;;) {
		struct timer *timer = timer_heap_first(&reactor->timers);
		if (!timer || timer->deadline_ms > reactor->now_ms)
			return;
		timer_heap_remove(&reactor->timers, timer);
		timer->expired(timer);
	}
}

static void run_hooks(struct reactor *reactor)
{
	/* Hooks asked for by a hook run in the next turn, which then does not wait. */
	struct list hooks = LIST_INIT(hooks);
	list_splice(&hooks, &reactor->hooks);
	for (struct list *link; (link = list_take_first(&hooks));) {
		struct turn_hook *hook = list_entry(link, struct turn_hook, link);
		hook->run(hook);
	}
}

static void run_events(struct reactor *reactor)
{
	for (reactor->event_next = 0; reactor->event_next < reactor->event_count;) {
		struct epoll_event *event = &reactor->events[reactor->event_next++];
		struct watch *watch = event->data.ptr;
		if (!watch) {
			uint64_t count;
			(void)!read(reactor->wake_fd, &count, sizeof count); /* EAGAIN is fine */
		} else if (event->events) {
			watch->ready(watch, event->events);
		}
	}
	reactor->event_count = 0;
}

static int bounded_timeout_ms(const struct reactor *reactor, int timeout_ms)
{
	if (reactor->deferred_first || !list_empty(&reactor->hooks))
		return 0;
	const struct timer *timer = timer_heap_first(&reactor->timers);
	if (!timer)
		return timeout_ms;
	uint64_t now_ms = reactor->clock();
	if (timer->deadline_ms <= now_ms)
		return 0;
	uint64_t left_ms = timer->deadline_ms - now_ms;
	if (timeout_ms >= 0 && (uint64_t)timeout_ms < left_ms)
		return timeout_ms;
	return left_ms > INT32_MAX ? INT32_MAX : (int)left_ms;
}

static uint64_t monotonic_us(void)
{
	struct timespec now;
	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static int wait_for_events(struct reactor *reactor, int timeout_ms)
{
	if (reactor->busy_poll_us && timeout_ms != 0) {
		uint64_t until_us = monotonic_us() + reactor->busy_poll_us;
		do {
			int n = epoll_wait(reactor->epoll_fd, reactor->events, EVENTS_PER_TURN, 0);
			if (n != 0)
				return n;
		} while (monotonic_us() < until_us);
	}
	return epoll_wait(reactor->epoll_fd, reactor->events, EVENTS_PER_TURN, timeout_ms);
}

bool reactor_turn(struct reactor *reactor, int timeout_ms)
{
	struct reactor *outer = current;
	current = reactor;

	int n = wait_for_events(reactor, bounded_timeout_ms(reactor, timeout_ms));
	assert(n >= 0 || errno == EINTR);
	reactor->event_count = n < 0 ? 0 : n;
	reactor->now_ms = reactor->clock();

	run_events(reactor);
	run_inbox(reactor);
	run_timers(reactor);
	run_deferred(reactor);
	run_hooks(reactor);

	current = outer;
	return !atomic_load_explicit(&reactor->stopping, memory_order_relaxed);
}

void reactor_run(struct reactor *reactor)
{
	while (reactor_turn(reactor, -1))
		;
}

static void *thread_main(void *argument)
{
	struct reactor *reactor = argument;
	(void)pthread_setname_np(pthread_self(), reactor->name); /* only for people's eyes */
	reactor_run(reactor);
	return NULL;
}

int reactor_start(struct reactor *reactor, int cpu)
{
	pthread_attr_t attributes;
	int r = pthread_attr_init(&attributes);
	if (r != 0)
		return -r;
	if (cpu >= 0) {
		cpu_set_t cpus;
		CPU_ZERO(&cpus);
		CPU_SET((size_t)cpu, &cpus);
		r = pthread_attr_setaffinity_np(&attributes, sizeof cpus, &cpus);
	}
	if (r == 0)
		r = pthread_create(&reactor->thread, &attributes, thread_main, reactor);
	(void)pthread_attr_destroy(&attributes);
	reactor->started = r == 0;
	return -r;
}

void reactor_stop(struct reactor *reactor)
{
	atomic_store(&reactor->stopping, true);
	wake(reactor);
	if (!reactor->started || current == reactor)
		return;
	(void)pthread_join(reactor->thread, NULL);
	reactor->started = false;
}

void reactor_free(struct reactor *reactor)
{
	if (!reactor)
		return;
	assert(!reactor->started);
	struct reactor *outer = current;
	current = reactor;
	do {
		run_inbox(reactor);
		run_deferred(reactor);
	} while (atomic_load(&reactor->inbox) || reactor->deferred_first);
	current = outer;

	timer_heap_done(&reactor->timers);
	buffer_pool_free(reactor->buffers);
	if (reactor->wake_fd >= 0)
		close(reactor->wake_fd);
	if (reactor->epoll_fd >= 0)
		close(reactor->epoll_fd);
	free(reactor);
}
