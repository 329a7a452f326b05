/* The command line of a daemon, and its signals. */
#include "daemon.h"

#include "base/log.h"
#include "config/settings.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <sys/prctl.h>

static const struct option options[] = {
	{ "config", required_argument, NULL, 'c' },
	{ "debug", no_argument, NULL, 'd' },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ 0 },
};

int daemon_begin(int argc, char **argv, const char *name, const char *usage,
                 const char **ret_config_path)
{
	const char *path = SETTINGS_DEFAULT_PATH;
	enum log_level level = LOG_LEVEL_INFO;
	for (int option; (option = getopt_long(argc, argv, "c:dhV", options, NULL)) != -1;) {
		switch (option) {
		case 'c':
			path = optarg;
			break;
		case 'd':
			level = LOG_LEVEL_DEBUG;
			break;
		case 'h':
			(void)fputs(usage, stdout);
			return 0;
		case 'V':
			(void)printf("%s " RBDGATE_VERSION "\n", name);
			return 0;
		default:
			(void)fprintf(stderr, "%s: try --help\n", name);
			return 2;
		}
	}
	if (optind < argc) {
		(void)fprintf(stderr, "%s: unexpected argument %s; try --help\n", name,
		              argv[optind]);
		return 2;
	}
#ifndef __SANITIZE_ADDRESS__ /* the leak checker traces its own process */
	/* Secrets are in memory: no core dump, no ptrace by others of the same user. */
	(void)prctl(PR_SET_DUMPABLE, 0);
#endif
	log_setup(level, NULL);
	*ret_config_path = path;
	return -1;
}

int daemon_block_signals(sigset_t *ret_signals)
{
	(void)sigemptyset(ret_signals);
	(void)sigaddset(ret_signals, SIGTERM);
	(void)sigaddset(ret_signals, SIGINT);
	(void)sigaddset(ret_signals, SIGHUP);
	if (sigprocmask(SIG_BLOCK, ret_signals, NULL) < 0)
		return -errno;
	(void)signal(SIGPIPE, SIG_IGN);
	return 0;
}
