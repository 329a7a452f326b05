/* The command line of proof-driver. */
#include "base/text.h"
#include "driver.h"

#include <string.h>

static const char help[] =
        "usage: proof-driver --history FILE --target NAME --portal HOST:PORT... [OPTION]...\n"
        "Works on registers and counters of a target and records what it was answered.\n"
        "  --initiators N   (4)        --workers N    of each initiator (4)\n"
        "  --luns N         LUN 0 to N-1, of at least 128 MiB, zero (1)\n"
        "  --registers N    of each LUN (8)           --counters N   of each LUN (2)\n"
        "  --duel LUN       two more initiators take that LUN from each other\n"
        "  --rate N         operations a second, of all (300)\n"
        "  --reads N        of 100 operations on registers (40)\n"
        "  --seconds N      (10)                      --seed N       (1)\n"
        "  --policy mixed|round-robin|preferred       which path comes next (mixed)\n"
        "  --bound yes      each worker stays at one LUN, at an even pace\n"
        "  --follow N       bound: LUNs move in order; the N that are next are asked more often\n"
        "  --follow-rate N  operations a second of each of these (80)\n"
        "  --name NAME      of the initiators, without their number\n"
        "  --verbose yes    say what happens to paths\n";

static const char *const policy_names[] = { "mixed", "round-robin", "preferred" };

static bool take_portal(struct options *options, const char *text)
{
	const char *colon = strrchr(text, ':');
	if (!colon || options->portal_count == PORTALS_MAX || (size_t)(colon - text) > 63 ||
	    strlen(colon + 1) > 7)
		return false;
	unsigned i = options->portal_count++;
	memcpy(options->portals[i].host, text, (size_t)(colon - text));
	memcpy(options->portals[i].port, colon + 1, strlen(colon + 1));
	return true;
}

static bool take_policy(struct options *options, const char *text)
{
	for (size_t i = 0; i < ARRAY_LEN(policy_names); i++) {
		if (strcmp(text, policy_names[i]) == 0) {
			options->policy = (enum policy)i;
			return true;
		}
	}
	return false;
}

static bool take_option(struct options *options, const char *name, const char *value)
{
	const struct {
		const char *name;
		uint64_t min, max;
		unsigned *to;
	} numbers[] = {
		{ "--initiators", 1, INITIATORS_MAX - 2, &options->initiators },
		{ "--workers", 1, 1024, &options->workers },
		{ "--luns", 1, LUNS_MAX, &options->luns },
		{ "--registers", 1, 24, &options->registers },
		{ "--counters", 0, 64, &options->counters },
		{ "--rate", 1, 1000000, &options->rate },
		{ "--reads", 0, 100, &options->reads_percent },
		{ "--seconds", 1, 86400, &options->seconds },
		{ "--seed", 0, UINT32_MAX, &options->seed },
		{ "--follow", 1, LUNS_MAX, &options->follow },
		{ "--follow-rate", 1, 10000, &options->follow_rate },
	};
	const struct {
		const char *name;
		const char **to;
	} texts[] = {
		{ "--history", &options->history },
		{ "--target", &options->target },
		{ "--name", &options->name },
	};
	uint64_t number;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		if (strcmp(name, texts[i].name) == 0)
			return (*texts[i].to = value);
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
		if (strcmp(name, numbers[i].name) != 0)
			continue;
		if (text_to_uint(value, numbers[i].min, numbers[i].max, &number) < 0)
			return false;
		*numbers[i].to = (unsigned)number;
		return true;
	}
	if (strcmp(name, "--duel") == 0 && text_to_uint(value, 0, LUNS_MAX - 1, &number) == 0)
		return options->duel_lun = (int)number, true;
	if (strcmp(name, "--portal") == 0)
		return take_portal(options, value);
	if (strcmp(name, "--policy") == 0)
		return take_policy(options, value);
	if (strcmp(name, "--bound") == 0)
		return options->bound = true;
	return strcmp(name, "--verbose") == 0 && (options->verbose = true);
}

bool options_parse(int argc, char **argv, struct options *ret_options)
{
	struct options options = { .name = "iqn.2026-01.org.rbdgate:proof",
		                   .initiators = 4,
		                   .workers = 4,
		                   .luns = 1,
		                   .registers = 8,
		                   .counters = 2,
		                   .rate = 300,
		                   .reads_percent = 40,
		                   .seconds = 10,
		                   .seed = 1,
		                   .follow_rate = 80,
		                   .duel_lun = -1 };
	bool good = argc % 2;
	for (int i = 1; good && i + 1 < argc; i += 2)
		good = take_option(&options, argv[i], argv[i + 1]);
	if (!good || !options.history || !options.target || !options.portal_count) {
		fputs(help, stderr);
		return false;
	}
	if (options.duel_lun >= 0)
		options.initiators += 2;
	*ret_options = options;
	return true;
}
