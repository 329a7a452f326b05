/* The command line's grammar: [PATH] [COMMAND] [PARAMETER ...]. Quotes and a backslash before a
 * blank keep blanks in a word. */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

struct parameter {
	char *name; /* NULL: positional */
	char *value;
};

struct line {
	char *path;    /* NULL: here */
	char *command; /* NULL: cd (or ls, behind a '*') */
	bool each;     /* the path ended in '*': run on every child */
	struct parameter *parameters;
	size_t count;
};

/* -EINVAL with "Syntax error near: REST"; -ENOMEM. */
int line_parse(const char *text, struct line *ret_line, struct error *err) MUST_CHECK;
void line_done(struct line *line);
#define AUTO_LINE __attribute__((cleanup(line_done)))

/* The positional parameter number i, or NULL. */
const char *line_positional(const struct line *line, size_t i);
/* Takes the positional parameters that are this word out of the line; true if there was one. */
bool line_take_word(struct line *line, const char *word);
