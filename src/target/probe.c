/* One message that visits all reactors. */
#include "target/probe.h"

#include "base/round.h"

#include <errno.h>

struct probe {
	struct round round;
	void (*done)(void *argument, json_t *question);
	void *argument;
	json_t *question;
};

static void ended(struct round *round)
{
	struct probe *probe = container_of(round, struct probe, round);
	probe->done(probe->argument, probe->question);
	free(probe);
}

int probe_start(struct reactor *manager, struct reactor *const *reactors, unsigned reactor_count,
                void (*done)(void *argument, json_t *question), void *argument, json_t *question)
{
	struct probe *probe = malloc(sizeof *probe);
	if (!probe) {
		json_decref(question);
		return -ENOMEM;
	}
	*probe = (struct probe){ .round = { .home = manager,
		                            .reactors = reactors,
		                            .count = reactor_count,
		                            .ended = ended },
		                 .done = done,
		                 .argument = argument,
		                 .question = question };
	round_start(&probe->round);
	return 0;
}
