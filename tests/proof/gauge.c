/* The gauge: the longest time without a completed I/O on each LUN, and which path served which LUN.
 */
#include "driver.h"

#include <inttypes.h>
#include <string.h>

void gauge_reset(struct driver *driver, uint64_t now)
{
	memset(&driver->gauge, 0, sizeof(driver->gauge));
	driver->gauge.since = now;
	for (unsigned lun = 0; lun < LUNS_MAX; lun++)
		driver->gauge.luns[lun].last = now;
}

void driver_count(struct driver *driver, const struct command *command, enum answer answer)
{
	struct gauge *gauge = &driver->gauge;
	gauge->answers[answer]++;
	if (answer == ANSWER_ERROR)
		snprintf(driver->last_error, sizeof(driver->last_error), "LUN %u, opcode %02x: %s",
		         command->lun, command->request.cdb[0], command->text);
	if (answer != ANSWER_GOOD && answer != ANSWER_MISCOMPARE)
		return;
	uint64_t *last = &gauge->luns[command->lun].last;
	if (command->end - *last > gauge->luns[command->lun].worst)
		gauge->luns[command->lun].worst = command->end - *last;
	*last = command->end;
	gauge->luns[command->lun].good[command->path->portal]++;
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
	uint64_t worst = 0, silent = 0;
	unsigned worst_lun = 0, luns = 0;
	for (unsigned lun = 0; lun < LUNS_MAX; lun++) {
		if (!is_used(driver, lun))
			continue;
		uint64_t last = gauge->luns[lun].last, gap = gauge->luns[lun].worst;
		if (now > last && now - last > silent)
			silent = now - last;
		if (now > last && now - last > gap)
			gap = now - last;
		if (gap > worst) {
			worst = gap;
			worst_lun = lun;
		}
		luns++;
	}
	printf("{\"time\": %.6f, \"since\": %.6f, \"luns\": %u, \"worst_gap_ms\": %.3f, "
	       "\"worst_lun\": %u, \"silent_ms\": %.3f, \"operations\": %" PRIu64
	       ", \"answers\": {",
	       (double)now / 1e9, (double)gauge->since / 1e9, luns, (double)worst / 1e6, worst_lun,
	       (double)silent / 1e6, driver->operations);
	for (unsigned i = 0; i < ANSWER_COUNT; i++)
		printf("%s\"%s\": %" PRIu64, i ? ", " : "", answer_name(i), gauge->answers[i]);
	printf("}, \"paths\": [");
	print_portals(driver);
	printf("], \"duels\": %u, \"lost_paths\": %" PRIu64 ", \"logins\": %" PRIu64
	       ", \"last_error\": \"%s\"}\n",
	       duel_rounds(driver), driver->events.lost, driver->events.logins, driver->last_error);
	fflush(stdout);
}
