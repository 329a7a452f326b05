/* A message to each reactor that comes back when it has turned. */
#include "target/watchdog.h"

#include "base/log.h"
#include "target/probe.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#define HANGS_MS 4000
#define PAUSE_MS 2000 /* without a check for so long: this process did not run */

struct watched {
	struct watchdog *watchdog;
	struct reactor *reactor;
	bool waiting, said;
	uint64_t since_ms; /* waiting */
};

static void turned(void *argument, json_t *nothing)
{
	struct watched *watched = argument;
	struct watchdog *watchdog = watched->watchdog;
	if (watched->said)
		log_warning("reactor %s turns again", reactor_name(watched->reactor));
	watched->waiting = watched->said = false;
	watchdog->waiting--;
	watchdog->turned(watchdog);
}

static void start(struct watched *watched, uint64_t now_ms)
{
	struct watchdog *watchdog = watched->watchdog;
	if (probe_start(watchdog->manager, &watched->reactor, 1, turned, watched, NULL) < 0)
		return; /* the next check tries again */
	watched->waiting = true;
	watched->since_ms = now_ms;
	watchdog->waiting++;
}

static uint64_t check(struct watched *watched, uint64_t now_ms, bool pause)
{
	if (!watched->waiting) {
		start(watched, now_ms);
		return 0;
	}
	if (pause && !watched->said)
		watched->since_ms = now_ms;
	uint64_t age_ms = now_ms - watched->since_ms;
	if (age_ms <= HANGS_MS)
		return 0;
	if (!watched->said)
		log_error("reactor %s has not turned for %llu ms: other gateways are told",
		          reactor_name(watched->reactor), (unsigned long long)age_ms);
	watched->said = true;
	return age_ms;
}

uint32_t watchdog_check(struct watchdog *watchdog)
{
	uint64_t now_ms = reactor_now_ms(watchdog->manager), longest_ms = 0;
	bool pause = now_ms >= watchdog->checked_ms + PAUSE_MS;
	watchdog->checked_ms = now_ms;
	for (unsigned i = 0; i < watchdog->reactor_count; i++) {
		uint64_t age_ms = check(&watchdog->watched[i], now_ms, pause);
		longest_ms = age_ms > longest_ms ? age_ms : longest_ms;
	}
	return longest_ms < UINT32_MAX ? (uint32_t)longest_ms : UINT32_MAX;
}

int watchdog_init(struct watchdog *watchdog)
{
	watchdog->watched = calloc(watchdog->reactor_count + 1, sizeof *watchdog->watched);
	if (!watchdog->watched)
		return -ENOMEM;
	for (unsigned i = 0; i < watchdog->reactor_count; i++)
		watchdog->watched[i] =
		        (struct watched){ .watchdog = watchdog, .reactor = watchdog->reactors[i] };
	return 0;
}

void watchdog_done(struct watchdog *watchdog)
{
	assert(!watchdog->waiting);
	free(watchdog->watched);
}
