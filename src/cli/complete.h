/* TAB completion: what may stand at the end of a line that is being typed. */
#pragma once

#include "cli/shell.h"

struct completion {
	char **words; /* each is a full replacement of the word at the end of the line */
	size_t count;
	size_t word_start; /* where in the line that word begins */
};

/* text: the line up to the cursor. -ENOMEM. */
int complete(struct shell *shell, const char *text, struct completion *ret_completion) MUST_CHECK;
void completion_done(struct completion *completion);
/* What all words begin with; free() it. */
char *completion_common(const struct completion *completion) MUST_CHECK;
