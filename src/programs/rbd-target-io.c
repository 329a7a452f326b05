/* rbd-target-io: the data path. Reads the settings, follows the configuration object, serves disks
 * to initiators. Survives restarts of every other program. */
#include "base/log.h"
#include "base/reactor.h"
#include "config/settings.h"
#include "target/control.h"
#include "target/gateway.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>

static const char usage[] = "usage: rbd-target-io [-c FILE] [-d]\n"
                            "Serves the disks of the configuration to iSCSI initiators.\n"
                            "\n"
                            "  -c, --config FILE  settings (default " SETTINGS_DEFAULT_PATH ")\n"
                            "  -d, --debug        log debug lines too\n"
                            "  -h, --help         this text\n"
                            "  -V, --version      the version\n"
                            "\n"
                            "SIGTERM and SIGINT stop it cleanly, SIGHUP makes it read settings and "
                            "configuration again.\n";

struct program {
	const char *config_path;
	struct reactor *manager;
	struct gateway *gateway;
	struct control *control;
	struct watch signals;
	bool stopping;
};

static void gateway_stopped(void *argument)
{
	struct program *program = argument;
	reactor_stop(program->manager);
}

static void stop(struct program *program)
{
	if (program->stopping)
		return;
	program->stopping = true;
	gateway_stop(program->gateway, gateway_stopped, program);
}

static void warn(void *argument, const char *text)
{
	log_warning("%s", text);
}

static void reload(struct program *program)
{
	struct settings *settings = NULL;
	struct error err = { 0 };
	log_info("SIGHUP: reading %s and the configuration again", program->config_path);
	if (settings_load(program->config_path, warn, NULL, &settings, &err) < 0)
		log_error("settings not read again, the old ones stay: %s", err.text);
	else
		gateway_reload(program->gateway, settings);
}

static void signal_ready(struct watch *watch, uint32_t events)
{
	struct program *program = container_of(watch, struct program, signals);
	struct signalfd_siginfo info;
	while (read(watch->fd, &info, sizeof info) == sizeof info) {
		if (info.ssi_signo == SIGHUP)
			reload(program);
		else
			stop(program);
	}
}

static int watch_signals(struct program *program)
{
	sigset_t signals;
	(void)sigemptyset(&signals);
	(void)sigaddset(&signals, SIGTERM);
	(void)sigaddset(&signals, SIGINT);
	(void)sigaddset(&signals, SIGHUP);
	/* Before any thread exists, so that every thread inherits it. */
	if (sigprocmask(SIG_BLOCK, &signals, NULL) < 0)
		return -errno;
	(void)signal(SIGPIPE, SIG_IGN);
	int fd = signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	program->signals = (struct watch){ .fd = fd, .ready = signal_ready };
	return reactor_watch(program->manager, &program->signals, EPOLLIN);
}

static int run(struct program *program)
{
	struct settings *settings = NULL;
	struct error err = { 0 };
	int r = settings_load(program->config_path, warn, NULL, &settings, &err);
	if (r == 0) {
		r = reactor_new("manager", NULL, &program->manager);
		if (r == 0)
			r = watch_signals(program);
		if (r < 0)
			(void)error_set(&err, r, "cannot start: %s", strerror(-r));
	}
	if (r == 0)
		r = gateway_new(program->manager, steal(&settings), &program->gateway, &err);
	if (r == 0)
		r = control_open(program->manager, program->gateway,
		                 gateway_run_dir(program->gateway), &program->control, &err);
	if (r < 0) {
		log_error("%s", err.text);
		if (program->gateway)
			stop(program); /* its threads have started */
	}
	if (program->gateway)
		reactor_run(program->manager);
	control_close(program->control); /* its requests are the gateway's jobs */
	gateway_free(program->gateway);
	if (program->signals.fd > 0)
		close(program->signals.fd);
	reactor_free(program->manager);
	settings_free(settings);
	return r;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "debug", no_argument, NULL, 'd' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ 0 },
	};
	const char *config_path = SETTINGS_DEFAULT_PATH;
	enum log_level level = LOG_LEVEL_INFO;
	for (int option; (option = getopt_long(argc, argv, "c:dhV", options, NULL)) != -1;) {
		switch (option) {
		case 'c':
			config_path = optarg;
			break;
		case 'd':
			level = LOG_LEVEL_DEBUG;
			break;
		case 'h':
			(void)fputs(usage, stdout);
			return 0;
		case 'V':
			(void)puts("rbd-target-io " RBDGATE_VERSION);
			return 0;
		default:
			(void)fputs("rbd-target-io: try --help\n", stderr);
			return 2;
		}
	}
	if (optind < argc) {
		(void)fprintf(stderr, "rbd-target-io: unexpected argument %s; try --help\n",
		              argv[optind]);
		return 2;
	}
#ifndef __SANITIZE_ADDRESS__ /* the leak checker traces its own process */
	/* Secrets are in memory: no core dump, no ptrace by others of the same user. */
	(void)prctl(PR_SET_DUMPABLE, 0);
#endif
	log_setup(level, NULL);
	struct program program = { .config_path = config_path };
	return run(&program) < 0 ? 1 : 0;
}
