/* A message that goes from reactor to reactor. */
#include "base/round.h"

#include "base/list.h"

static void go_on(struct round *round)
{
	reactor_post(round->at < round->count ? round->reactors[round->at] : round->home,
	             &round->message);
}

static void arrive(struct message *message)
{
	struct round *round = container_of(message, struct round, message);
	if (round->at == round->count) {
		round->ended(round);
		return;
	}
	if (round->visit)
		round->visit(round, round->at);
	round->at++;
	go_on(round);
}

void round_start(struct round *round)
{
	round->at = 0;
	round->message.run = arrive;
	go_on(round);
}
