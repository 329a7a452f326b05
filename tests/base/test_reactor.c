#include "base/reactor.h"

#include "base/buffer.h"
#include "test.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

static uint64_t fake_now_ms;
static uint64_t fake_clock(void)
{
	return fake_now_ms;
}

static char story[64];
static void tell(char c)
{
	story[strlen(story)] = c;
}

static void message_a(struct message *message)
{
	tell('a');
}
static void message_b(struct message *message)
{
	tell('b');
}
static void hook_h(struct turn_hook *hook)
{
	tell('h');
}
static void timer_t_expired(struct timer *timer)
{
	tell('t');
}

TEST(a_turn_runs_inbox_timers_deferred_and_hooks_in_this_order)
{
	memset(story, 0, sizeof story);
	AUTO(reactor) struct reactor *reactor = NULL;
	fake_now_ms = 1000;
	ASSERT_EQ(reactor_new("test", fake_clock, &reactor), 0);
	struct message a = { .run = message_a }, b = { .run = message_b };
	struct turn_hook hook = { .run = hook_h };
	list_init(&hook.link);
	struct timer timer = { .expired = timer_t_expired };

	reactor_at_turn_end(reactor, &hook);
	reactor_at_turn_end(reactor, &hook);
	reactor_defer(reactor, &b);
	reactor_post(reactor, &a);
	reactor_arm(reactor, &timer, 5);
	fake_now_ms += 5;
	ASSERT_TRUE(reactor_turn(reactor, 0));
	ASSERT_STR_EQ(story, "atbh");
	ASSERT_TRUE(reactor_turn(reactor, 0));
	ASSERT_STR_EQ(story, "atbh");
}

TEST(timers_expire_when_the_clock_says_so_and_not_when_disarmed)
{
	memset(story, 0, sizeof story);
	AUTO(reactor) struct reactor *reactor = NULL;
	fake_now_ms = 0;
	ASSERT_EQ(reactor_new("test", fake_clock, &reactor), 0);
	struct timer timer = { .expired = timer_t_expired }, other = timer;
	reactor_arm(reactor, &timer, 100);
	reactor_arm(reactor, &other, 50);
	reactor_disarm(reactor, &other);
	fake_now_ms = 99;
	(void)reactor_turn(reactor, 0);
	ASSERT_STR_EQ(story, "");
	ASSERT_TRUE(timer_armed(&timer));
	fake_now_ms = 100;
	(void)reactor_turn(reactor, 0);
	ASSERT_STR_EQ(story, "t");
	ASSERT_FALSE(timer_armed(&timer));
}

struct pair {
	struct watch watch;
	struct pair *other;
	struct reactor *reactor;
	int calls;
};
static void pair_ready(struct watch *watch, uint32_t events)
{
	struct pair *pair = container_of(watch, struct pair, watch);
	pair->calls++;
	if (pair->other) {
		reactor_unwatch(pair->reactor, &pair->other->watch);
		pair->other->other = NULL;
	}
}

TEST(a_watch_removed_by_another_one_in_the_same_turn_is_not_called)
{
	AUTO(reactor) struct reactor *reactor = NULL;
	ASSERT_EQ(reactor_new("test", NULL, &reactor), 0);
	struct pair pairs[2] = { 0 };
	for (int i = 0; i < 2; i++) {
		pairs[i].watch.fd = eventfd(1, EFD_NONBLOCK);
		pairs[i].watch.ready = pair_ready;
		pairs[i].other = &pairs[1 - i];
		pairs[i].reactor = reactor;
		ASSERT_EQ(reactor_watch(reactor, &pairs[i].watch, EPOLLIN), 0);
	}
	(void)reactor_turn(reactor, 0);
	ASSERT_EQ(pairs[0].calls + pairs[1].calls, 1);
	struct pair *left = pairs[0].calls ? &pairs[0] : &pairs[1];
	left->other = NULL;
	reactor_unwatch(reactor, &left->watch);
	for (int i = 0; i < 2; i++)
		close(pairs[i].watch.fd);
}

#define POSTERS          4
#define POSTS_PER_POSTER 20000

struct numbered {
	struct message message;
	unsigned poster, number;
};
struct poster {
	struct reactor *reactor;
	struct numbered *posts;
};
static unsigned next_of_poster[POSTERS];
static _Atomic unsigned arrived;

static void numbered_arrived(struct message *message)
{
	struct numbered *n = container_of(message, struct numbered, message);
	if (n->number == next_of_poster[n->poster])
		next_of_poster[n->poster]++;
	arrived++;
}

static void *poster_main(void *argument)
{
	struct poster *poster = argument;
	for (unsigned i = 0; i < POSTS_PER_POSTER; i++)
		reactor_post(poster->reactor, &poster->posts[i].message);
	return NULL;
}

TEST(posts_of_many_threads_all_arrive_in_the_order_of_each_thread)
{
	AUTO(reactor) struct reactor *reactor = NULL;
	ASSERT_EQ(reactor_new("test", NULL, &reactor), 0);
	ASSERT_EQ(reactor_start(reactor, -1), 0);
	pthread_t threads[POSTERS];
	struct poster posters[POSTERS];
	for (unsigned p = 0; p < POSTERS; p++) {
		posters[p].reactor = reactor;
		posters[p].posts = calloc(POSTS_PER_POSTER, sizeof(struct numbered));
		ASSERT_NOT_NULL(posters[p].posts);
		for (unsigned i = 0; i < POSTS_PER_POSTER; i++)
			posters[p].posts[i] = (struct numbered){ .message.run = numbered_arrived,
				                                 .poster = p,
				                                 .number = i };
		ASSERT_EQ(pthread_create(&threads[p], NULL, poster_main, &posters[p]), 0);
	}
	for (unsigned p = 0; p < POSTERS; p++)
		(void)pthread_join(threads[p], NULL);
	uint64_t deadline_ms = clock_monotonic_ms() + 30000;
	while (arrived < POSTERS * POSTS_PER_POSTER && clock_monotonic_ms() < deadline_ms)
		sched_yield();
	reactor_stop(reactor);
	ASSERT_EQ(arrived, POSTERS * POSTS_PER_POSTER);
	for (unsigned p = 0; p < POSTERS; p++) {
		ASSERT_EQ(next_of_poster[p], POSTS_PER_POSTER);
		free(posters[p].posts);
	}
}

static void deliver_another(struct message *message)
{
	static struct message second = { .run = message_b };
	tell('1');
	reactor_deliver(reactor_current(), &second);
	tell('2');
}

TEST(delivery_on_the_own_reactor_never_runs_inside_the_call)
{
	memset(story, 0, sizeof story);
	AUTO(reactor) struct reactor *reactor = NULL;
	ASSERT_EQ(reactor_new("test", NULL, &reactor), 0);
	struct message first = { .run = deliver_another };
	reactor_post(reactor, &first);
	(void)reactor_turn(reactor, 0);
	ASSERT_STR_EQ(story, "12b");
}

TEST(messages_still_there_at_the_end_are_run)
{
	memset(story, 0, sizeof story);
	struct reactor *reactor = NULL;
	ASSERT_EQ(reactor_new("test", NULL, &reactor), 0);
	struct message a = { .run = message_a };
	reactor_post(reactor, &a);
	reactor_free(reactor);
	ASSERT_STR_EQ(story, "a");
}
