/* Reading commands: from a person at a terminal (line editing, history, TAB), or from a pipe. */
#pragma once

#include "cli/shell.h"

/* Until `exit` or the end of input. Exit status of the program. */
int console_run(struct shell *shell);
/* One line after another, no prompt, no editing. The status of the first that failed, or 0. */
int console_run_pipe(struct shell *shell, FILE *in);
