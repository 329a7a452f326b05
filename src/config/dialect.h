/* The dialect of the settings file: that of Python's configparser with all its defaults. Form only;
 * what an option means is in option.h. */
#pragma once

#include "base/error.h"

#include <stdbool.h>

struct dialect;

/* path is for error texts. -EINVAL with path and line: what configparser raises for (an option or
 * section twice, text before the first section, a line without = or :). -E2BIG: over 4096 options.
 */
int dialect_parse(const char *text, const char *path, struct dialect **ret_dialect,
                  struct error *err) MUST_CHECK;
void dialect_free(struct dialect *dialect); /* wipes the values */
DEFINE_AUTO(dialect);

/* The option as it stands in the file, names in lower case. */
struct dialect_option {
	const char *section, *name, *value;
	unsigned line;
};
bool dialect_has_section(const struct dialect *dialect, const char *section);
/* The options of a section and those of [DEFAULT] that it does not set itself, in order of the
 * file, %% and %(name)s replaced. A section that is not there has none. Bad use of %: -EINVAL.
 * Stops when visit returns not 0, and returns that. */
int dialect_visit(const struct dialect *dialect, const char *section,
                  int (*visit)(void *argument, const struct dialect_option *option), void *argument,
                  struct error *err) MUST_CHECK;
