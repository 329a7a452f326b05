/* One message that visits all reactors. */
#include "target/probe.h"

#include <errno.h>

struct probe {
	struct message message;
	struct reactor *manager;
	struct reactor *const *reactors;
	unsigned count, at;
	void (*done)(void *argument, json_t *question);
	void *argument;
	json_t *question;
};

static void hop(struct message *message)
{
	struct probe *probe = container_of(message, struct probe, message);
	if (probe->at < probe->count) {
		reactor_post(probe->reactors[probe->at++], &probe->message);
	} else if (probe->at == probe->count) {
		probe->at++;
		reactor_post(probe->manager, &probe->message);
	} else {
		probe->done(probe->argument, probe->question);
		free(probe);
	}
}

int probe_start(struct reactor *manager, struct reactor *const *reactors, unsigned reactor_count,
                void (*done)(void *argument, json_t *question), void *argument, json_t *question)
{
	struct probe *probe = malloc(sizeof *probe);
	if (!probe) {
		json_decref(question);
		return -ENOMEM;
	}
	*probe = (struct probe){ .message = { .run = hop },
		                 .manager = manager,
		                 .reactors = reactors,
		                 .count = reactor_count,
		                 .done = done,
		                 .argument = argument,
		                 .question = question };
	hop(&probe->message);
	return 0;
}
