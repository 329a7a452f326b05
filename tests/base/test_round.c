#include "base/round.h"

#include "test.h"

#define REACTORS 3

static struct reactor *home, *reactors[REACTORS];
static unsigned visited[REACTORS], ends;

static void visit(struct round *round, unsigned number)
{
	ASSERT_TRUE(reactor_current() == reactors[number]);
	ASSERT_EQ(ends, 0);
	for (unsigned i = 0; i < REACTORS; i++)
		ASSERT_EQ(visited[i], i < number);
	visited[number]++;
}

static void ended(struct round *round)
{
	ASSERT_TRUE(reactor_current() == home);
	ends++;
}

TEST(it_visits_each_reactor_once_and_comes_back)
{
	struct round round = {
		.reactors = reactors, .count = REACTORS, .visit = visit, .ended = ended
	};
	ASSERT_EQ(reactor_new("home", NULL, &home), 0);
	for (unsigned i = 0; i < REACTORS; i++)
		ASSERT_EQ(reactor_new("other", NULL, &reactors[i]), 0);
	round.home = home;
	round_start(&round);
	ASSERT_EQ(visited[0] + ends, 0);
	for (unsigned turn = 0; turn < 2; turn++) {
		for (unsigned i = 0; i < REACTORS; i++)
			(void)reactor_turn(reactors[i], 0);
		(void)reactor_turn(home, 0);
	}
	for (unsigned i = 0; i < REACTORS; i++)
		ASSERT_EQ(visited[i], 1);
	ASSERT_EQ(ends, 1);
	round.count = 0; /* and nothing to visit */
	round_start(&round);
	ASSERT_EQ(ends, 1);
	(void)reactor_turn(home, 0);
	ASSERT_EQ(ends, 2);
	for (unsigned i = 0; i < REACTORS; i++)
		reactor_free(reactors[i]);
	reactor_free(home);
}
