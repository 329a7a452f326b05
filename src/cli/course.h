/* The commands `target ...` and `lun ...`, taught in courses: other words for what the tree does.
 */
#pragma once

#include "cli/shell.h"

/* False if the line is none of them. */
bool course_run(struct shell *shell, const struct line *line, enum outcome *ret_outcome);
