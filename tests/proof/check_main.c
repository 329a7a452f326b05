/* proof-check HISTORY...: judges histories, tells violations for people. Exit code 0: all possible;
 * 1: a violation; 2: unreadable. */
#include "checker.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define AGE_MS 5000 /* no initiator gives up and goes on elsewhere sooner */

static int open_and_read(const char *name, struct history *ret_history, struct error *err)
{
	FILE *file = fopen(name, "r");
	if (!file)
		return error_set(err, -ENOENT, "not opened");
	int r = history_read(file, ret_history, err);
	fclose(file);
	return r;
}

static void print_counts(const char *name, const struct history *history,
                         const struct verdict *verdict)
{
	size_t counts[3][5] = { 0 };
	for (size_t i = 0; i < history->op_count; i++)
		counts[history->ops[i].kind][history->ops[i].outcome]++;
	printf("%s: %zu operations on %zu blocks (%zu counters), %zu fences\n", name,
	       history->op_count, verdict->blocks, verdict->counters, history->fence_count);
	for (uint8_t kind = 0; kind < ARRAY_LEN(counts); kind++) {
		printf("  %-5s", op_kind_name(kind));
		for (uint8_t outcome = 0; outcome < ARRAY_LEN(counts[kind]); outcome++)
			printf(" %8zu %s", counts[kind][outcome], op_outcome_name(outcome));
		printf("\n");
	}
}

static void print_violations(const struct verdict *verdict)
{
	for (size_t i = 0; i < verdict->violation_count && i < VIOLATIONS_MAX; i++) {
		const struct violation *violation = &verdict->violations[i];
		printf("VIOLATION, LUN %u block %" PRIu64 ": %s: %s\n", violation->lun,
		       violation->lba, violation->kind, violation->text);
	}
	printf("%zu violations\n", verdict->violation_count);
}

static int check_file(const char *name)
{
	AUTO_HISTORY struct history history = { 0 };
	struct verdict verdict;
	struct error err;
	if (open_and_read(name, &history, &err) < 0 ||
	    check_history(&history, AGE_MS * 1000000ul, &verdict, &err) < 0) {
		fprintf(stderr, "proof-check: %s: %s\n", name, err.text);
		return 2;
	}
	print_counts(name, &history, &verdict);
	print_violations(&verdict);
	return verdict.violation_count ? 1 : 0;
}

int main(int argc, char **argv)
{
	int worst = 0;
	for (int i = 1; i < argc; i++) {
		int code = check_file(argv[i]);
		worst = code > worst ? code : worst;
	}
	if (argc < 2)
		fprintf(stderr, "usage: proof-check HISTORY...\n");
	return argc < 2 ? 2 : worst;
}
