/* What the daemons' mains share: the command line, and how signals arrive. */
#pragma once

#include "base/auto.h"

#include <signal.h>

/* Reads -c, -d, -h and -V, sets the log up, and keeps secrets out of core dumps. -1: go on, with
 * the settings' path in *ret_config_path (borrowed); else what the program exits with. */
int daemon_begin(int argc, char **argv, const char *name, const char *usage,
                 const char **ret_config_path) MUST_CHECK;

/* Blocks SIGTERM, SIGINT and SIGHUP, which the caller waits for, and ignores SIGPIPE. Before any
 * thread exists, so that every thread inherits it. 0 or -errno. */
int daemon_block_signals(sigset_t *ret_signals) MUST_CHECK;
