/* The gauge: the longest time without a completed I/O on each LUN, and which path served which LUN.
 */
#include "driver.h"

#include <inttypes.h>
#include <string.h>

void gauge_reset(struct driver *driver, uint64_t now)
{
	struct gauge before = driver->gauge;
	memset(&driver->gauge, 0, sizeof(driver->gauge));
	driver->gauge.since = now;
	for (unsigned lun = 0; lun < LUNS_MAX; lun++) {
		driver->gauge.luns[lun].last = now;
		driver->gauge.luns[lun].asking = before.luns[lun].asking;
		driver->gauge.luns[lun].idle = before.luns[lun].idle;
		driver->gauge.luns[lun].asked = before.luns[lun].asked ? now : 0;
	}
}

void driver_ask(struct driver *driver, const struct command *command, uint64_t now)
{
	uint64_t *asked = &driver->gauge.luns[command->lun].asked;
	driver->gauge.luns[command->lun].asking++;
	if (!*asked)
		*asked = now;
}

bool gauge_follows(const struct driver *driver, unsigned lun)
{
	unsigned before = 0;
	if (!driver->options.follow)
		return true;
	for (unsigned i = 0; i < lun; i++)
		before += !driver->gauge.luns[i].moved;
	return !driver->gauge.luns[lun].moved && before < driver->options.follow;
}

void gauge_idle(struct driver *driver, unsigned lun)
{
	driver->gauge.luns[lun].idle = true;
}

void gauge_begin(struct driver *driver, unsigned lun, uint64_t now)
{
	if (driver->gauge.luns[lun].idle)
		driver->gauge.luns[lun].last = now;
	driver->gauge.luns[lun].idle = false;
}

static void note_move(struct driver *driver, unsigned lun)
{
	driver->gauge.seen_moving += driver->options.follow && gauge_follows(driver, lun);
	driver->gauge.luns[lun].moved = true;
}

/* since 0: not begun. */
static void keep_worst(uint64_t *worst, uint64_t since, uint64_t now)
{
	if (since && now > since && now - since > *worst)
		*worst = now - since;
}

void driver_count(struct driver *driver, const struct command *command, enum answer answer)
{
	struct gauge *gauge = &driver->gauge;
	unsigned lun = command->lun;
	gauge->answers[answer]++;
	gauge->luns[lun].asking--;
	if (answer == ANSWER_ATTENTION)
		note_move(driver, lun);
	if (answer == ANSWER_ERROR)
		snprintf(driver->last_error, sizeof(driver->last_error), "LUN %u, opcode %02x: %s",
		         command->lun, command->request.cdb[0], command->text);
	if (answer != ANSWER_GOOD && answer != ANSWER_MISCOMPARE)
		return;
	keep_worst(&gauge->luns[lun].worst, gauge->luns[lun].last, command->end);
	keep_worst(&gauge->luns[lun].waited, gauge->luns[lun].asked, command->end);
	gauge->luns[lun].last = command->end;
	gauge->luns[lun].asked = gauge->luns[lun].asking ? command->end : 0;
	gauge->luns[lun].good[command->path->portal]++;
}

static bool is_used(const struct driver *driver, unsigned lun)
{
	return lun < driver->options.luns || (int)lun == driver->options.duel_lun;
}

static void print_portals(const struct driver *driver)
{
	const struct gauge *gauge = &driver->gauge;
	for (unsigned portal = 0; portal < driver->options.portal_count; portal++) {
		unsigned up = 0, served = 0;
		unsigned initiators = driver->options.initiators;
		for (unsigned i = 0; i < initiators; i++)
			up += driver->paths[i * driver->options.portal_count + portal].state ==
			      PATH_UP;
		for (unsigned lun = 0; lun < LUNS_MAX; lun++)
			served += gauge->luns[lun].good[portal] > 0;
		printf("%s{\"host\": \"%s\", \"up\": %u, \"luns_served\": %u}", portal ? ", " : "",
		       driver->options.portals[portal].host, up, served);
	}
}

void gauge_print(const struct driver *driver, uint64_t now)
{
	const struct gauge *gauge = &driver->gauge;
	uint64_t worst = 0, silent = 0, waited = 0;
	unsigned worst_lun = 0, luns = 0;
	for (unsigned lun = 0; lun < LUNS_MAX; lun++) {
		if (!is_used(driver, lun))
			continue;
		uint64_t last = gauge->luns[lun].last, gap = gauge->luns[lun].worst;
		keep_worst(&silent, last, now);
		if (!gauge->luns[lun].idle)
			keep_worst(&gap, last, now);
		keep_worst(&waited, gauge->luns[lun].asked, now);
		if (gauge->luns[lun].waited > waited)
			waited = gauge->luns[lun].waited;
		if (gap > worst) {
			worst = gap;
			worst_lun = lun;
		}
		luns++;
	}
	printf("{\"time\": %.6f, \"since\": %.6f, \"luns\": %u, \"worst_gap_ms\": %.3f, "
	       "\"worst_wait_ms\": %.3f, \"worst_lun\": %u, \"silent_ms\": %.3f, \"operations\": "
	       "%" PRIu64 ", \"answers\": {",
	       (double)now / 1e9, (double)gauge->since / 1e9, luns, (double)worst / 1e6,
	       (double)waited / 1e6, worst_lun, (double)silent / 1e6, driver->operations);
	for (unsigned i = 0; i < ANSWER_COUNT; i++)
		printf("%s\"%s\": %" PRIu64, i ? ", " : "", answer_name(i), gauge->answers[i]);
	printf("}, \"paths\": [");
	print_portals(driver);
	printf("], \"seen_moving\": %u, \"duels\": %u, \"lost_paths\": %" PRIu64
	       ", \"logins\": %" PRIu64 ", \"last_error\": \"%s\"}\n",
	       gauge->seen_moving, duel_rounds(driver), driver->events.lost, driver->events.logins,
	       driver->last_error);
	fflush(stdout);
}
