/* Whom of a list somebody means. */
#include "config/gateway_match.h"

#include <string.h>

struct matching {
	const char *wanted;
	bool whole;        /* the name itself is in the list */
	unsigned count;    /* of names whose first label is the wanted one */
	const char *match; /* the last of them, or the name itself */
};

static void look_at(struct matching *matching, const char *name)
{
	size_t len = strcspn(name, ".");
	if (matching->whole)
		return;
	matching->whole = strcmp(name, matching->wanted) == 0;
	bool label = strlen(matching->wanted) == len && !strncmp(matching->wanted, name, len);
	matching->count += label;
	if (matching->whole || label)
		matching->match = name;
}

const char *gateway_match(const json_t *names, const char *wanted)
{
	struct matching matching = { .wanted = wanted };
	const char *key;
	size_t i;
	json_t *item;
	json_array_foreach (names, i, item)
		look_at(&matching, json_string_value(item));
	json_object_foreach ((json_t *)names, key, item)
		look_at(&matching, key);
	return matching.whole || matching.count == 1 ? matching.match : NULL;
}
