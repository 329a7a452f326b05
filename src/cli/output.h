/* What the shell prints: data, and words about how a command went. In the interactive shell all
 * words go to the terminal; otherwise (one command, or commands from a pipe) failures go to stderr,
 * so that a script reads data and "ok" only. */
#pragma once

#include "base/auto.h"

#include <stdbool.h>
#include <stdio.h>

enum say_level { SAY_OK, SAY_WARNING, SAY_ERROR };

struct output {
	FILE *out, *err;
	bool interactive; /* a person at a terminal reads along */
	bool colour;      /* out is a terminal, NO_COLOR is not set */
	bool silent;      /* --legacy-exit: no words, as ceph-iscsi in one-shot mode */
	bool json;        /* this command's data are wanted as JSON */
	int columns;      /* of the terminal; 132 if there is none */
};

/* A verb's words, one line each. */
void say(struct output *output, enum say_level level, const char *format, ...) PRINTF_LIKE(3, 4);
/* The shell's own words. */
void say_shell_error(struct output *output, const char *format, ...) PRINTF_LIKE(2, 3);
void say_shell_info(struct output *output, const char *format, ...) PRINTF_LIKE(2, 3);
/* Looks at stdout: terminal, width, NO_COLOR. */
void output_init(struct output *output, bool interactive);
