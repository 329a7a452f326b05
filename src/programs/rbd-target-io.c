/* rbd-target-io: the data path. Reads the settings, follows the configuration object, serves disks
 * to initiators. Survives restarts of every other program. */
#include "base/log.h"
#include "base/reactor.h"
#include "config/settings.h"
#include "target/control.h"
#include "target/gateway.h"

#include "daemon.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
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
	int r = daemon_block_signals(&signals);
	if (r < 0)
		return r;
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
	struct program program = { 0 };
	int code = daemon_begin(argc, argv, "rbd-target-io", usage, &program.config_path);
	if (code >= 0)
		return code;
	return run(&program) < 0 ? 1 : 0;
}
