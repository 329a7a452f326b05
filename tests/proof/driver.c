/* proof-driver: see driver.h. Lines on its standard input: `mark TEXT` puts a mark into the
 * history, `reset` starts the gauge anew, `status` prints it as a line of JSON, `quit` ends the
 * run; so does the end of the input. Exit code 0: the run and its last reads were completed. */
#include "driver.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <string.h>

#define RECHECK_NS \
	4000000000ul /* paths that do not work are looked at, as a multipath driver does */
#define FINAL_NS 90000000000ul /* the last reads must be done within */

uint64_t driver_random(struct driver *driver, uint64_t below)
{
	driver->random = driver->random * 6364136223846793005u + 1442695040888963407u;
	return (driver->random >> 33) % below;
}

struct path *driver_path(struct driver *driver, unsigned initiator, unsigned portal)
{
	return &driver->paths[initiator * driver->options.portal_count + portal];
}

static bool prefers(const struct options *options, unsigned initiator)
{
	return options->policy == POLICY_PREFERRED ||
	       (options->policy == POLICY_MIXED && initiator % 2);
}

/* Round robin over what works; or the best path, as a multipath driver would choose; if nothing
 * works, what is there at all. */
struct path *driver_choose(struct driver *driver, unsigned initiator, uint16_t lun, unsigned last)
{
	const struct options *options = &driver->options;
	bool preferred = prefers(options, initiator);
	struct path *best = NULL;
	for (unsigned i = preferred ? 0 : 1; i < options->portal_count + (preferred ? 0 : 1); i++) {
		unsigned portal = (last + i) % options->portal_count;
		struct path *path = driver_path(driver, initiator, portal);
		if (!path_takes_commands(path))
			continue;
		uint8_t state = path->group_states[lun];
		/* A unit attention tells of a change, but only to who uses the path. */
		if (state > GROUP_NON_OPTIMIZED)
			path_ask_states(path, lun, RECHECK_NS);
		else if (preferred && !path->asked_at[lun])
			path_ask_states(path, lun, 0);
		if (!preferred && path_usable(path, lun))
			return path;
		if (!best || state < best->group_states[lun])
			best = path;
	}
	return best;
}

static void tell_path(const struct path *path, const char *text)
{
	struct driver *driver = container_of(path->events, struct driver, events);
	char line[ERROR_TEXT_MAX + 64];
	snprintf(line, sizeof(line), "path %u of initiator %u %s", path->portal, path->initiator,
	         text);
	history_write_mark(driver->history, now_ns(), line);
	if (driver->options.verbose)
		fprintf(stderr, "%.3f %s\n", (double)(now_ns() - driver->started) / 1e9, line);
}

static int open_paths(struct driver *driver, struct error *err)
{
	const struct options *options = &driver->options;
	driver->paths =
	        calloc((size_t)options->initiators * options->portal_count, sizeof(*driver->paths));
	if (!driver->paths || path_events_open(&driver->events) < 0)
		return error_set(err, -ENOMEM, "out of memory");
	driver->events.tell = tell_path;
	for (unsigned i = 0; i < options->initiators; i++) {
		struct initiator_config config;
		initiator_config_default(&config);
		config.timeout_ms = 3000;
		config.depth = 1024;
		config.isid[5] = (uint8_t)i;
		snprintf(config.target_name, sizeof(config.target_name), "%s", options->target);
		snprintf(config.initiator_name, sizeof(config.initiator_name), "%s-%u",
		         options->name, i);
		for (unsigned portal = 0; portal < options->portal_count; portal++) {
			snprintf(config.host, sizeof(config.host), "%s",
			         options->portals[portal].host);
			snprintf(config.port, sizeof(config.port), "%s",
			         options->portals[portal].port);
			path_init(driver_path(driver, i, portal), &config, i, portal,
			          &driver->events);
			/* Some initiators abort what takes long, some just go. */
			driver_path(driver, i, portal)->aborts = i % 3 == 1;
		}
	}
	return 0;
}

/* ---- commands of who drives the driver ---- */

struct input {
	char text[1024];
	size_t len;
	bool ended;
};

/* With whatever is in flight on it; the next login follows at once. */
static void drop_path(struct driver *driver)
{
	unsigned all = driver->options.initiators * driver->options.portal_count;
	struct path *path = &driver->paths[driver_random(driver, all)];
	if (path->session) {
		path->backoff_ns = 0;
		path_fail(path, "is dropped");
	}
}

static void take_line(struct driver *driver, struct input *input, char *line)
{
	uint64_t now = now_ns();
	if (strncmp(line, "mark ", 5) == 0)
		history_write_mark(driver->history, now, line + 5);
	else if (strcmp(line, "reset") == 0)
		gauge_reset(driver, now);
	else if (strcmp(line, "status") == 0)
		gauge_print(driver, now);
	else if (strcmp(line, "drop") == 0)
		drop_path(driver);
	else if (strcmp(line, "quit") == 0)
		input->ended = true;
	else
		fprintf(stderr, "proof-driver: not understood: %s\n", line);
}

static void take_input(struct driver *driver, struct input *input)
{
	ssize_t n = read(STDIN_FILENO, input->text + input->len, sizeof(input->text) - input->len);
	if (n <= 0 || (input->len += (size_t)n) == sizeof(input->text)) {
		input->ended = true;
		return;
	}
	char *newline;
	while ((newline = memchr(input->text, '\n', input->len))) {
		size_t len = (size_t)(newline - input->text) + 1;
		*newline = '\0';
		take_line(driver, input, input->text);
		input->len -= len;
		memmove(input->text, input->text + len, input->len);
	}
}

/* ---- the loop ---- */

static void turn(struct driver *driver, struct input *input, uint64_t until)
{
	struct pollfd fds[2 + INITIATORS_MAX * PORTALS_MAX];
	struct path *paths[INITIATORS_MAX * PORTALS_MAX];
	unsigned all = driver->options.initiators * driver->options.portal_count, count = 0;
	fds[0] = (struct pollfd){ input->ended ? -1 : STDIN_FILENO, POLLIN, 0 };
	fds[1] = (struct pollfd){ driver->events.pipe[0], POLLIN, 0 };
	for (unsigned i = 0; i < all; i++) {
		struct path *path = &driver->paths[i];
		if (path->session && path->dirty)
			path_turn(path);
		if (!path->session)
			continue;
		paths[count] = path;
		fds[2 + count++] = (struct pollfd){
			initiator_fd(path->session),
			(short)(POLLIN | (initiator_wants_write(path->session) ? POLLOUT : 0)), 0
		};
	}
	uint64_t now = now_ns();
	struct timespec wait = { 0, 0 };
	if (until > now)
		wait.tv_nsec = until - now < 10000000 ? (long)(until - now) : 10000000;
	if (ppoll(fds, 2 + count, &wait, NULL) <= 0)
		return;
	if (fds[0].revents)
		take_input(driver, input);
	if (fds[1].revents)
		path_take_logins(&driver->events, now_ns());
	for (unsigned i = 0; i < count; i++)
		if (fds[2 + i].revents && paths[i]->session)
			path_turn(paths[i]);
}

static void loop(struct driver *driver)
{
	struct input input = { .len = 0 };
	unsigned all = driver->options.initiators * driver->options.portal_count;
	uint64_t end = driver->started + driver->options.seconds * 1000000000ul, final = 0;
	while (!final || now_ns() < final) {
		uint64_t now = now_ns();
		for (unsigned i = 0; i < all; i++)
			path_tick(&driver->paths[i], now);
		uint64_t next = work_tick(driver, now);
		duel_tick(driver, now);
		turn(driver, &input, next);
		if (!final && (input.ended || now >= end)) {
			work_finish(driver);
			final = now + FINAL_NS;
		}
		if (final && work_finished(driver) && duel_idle(driver))
			return;
	}
}

/* What is still without an answer goes into the history as such. */
static void end_paths(struct driver *driver)
{
	unsigned all = driver->options.initiators * driver->options.portal_count;
	path_events_close(&driver->events);
	for (unsigned i = 0; i < all; i++) {
		if (driver->paths[i].session)
			path_fail(&driver->paths[i], "is closed at the end");
		path_done(&driver->paths[i]);
	}
	free(driver->paths);
}

static int run(struct driver *driver, struct error *err)
{
	driver->random = driver->options.seed * 2654435761u + 1;
	driver->started = now_ns();
	driver->history = fopen(driver->options.history, "w");
	if (!driver->history)
		return error_set(err, -errno, "%s: %s", driver->options.history, strerror(errno));
	gauge_reset(driver, driver->started);
	int r = open_paths(driver, err);
	if (r == 0)
		r = work_start(driver, err);
	if (r == 0)
		r = duel_start(driver);
	if (r < 0)
		return r;
	loop(driver);
	bool complete = work_finished(driver);
	gauge_print(driver, now_ns());
	end_paths(driver);
	work_end(driver);
	duel_end(driver);
	if (fclose(driver->history) != 0)
		return error_set(err, -errno, "%s: %s", driver->options.history, strerror(errno));
	return complete ? 0 : error_set(err, -ETIMEDOUT, "not everything could be read at the end");
}

int main(int argc, char **argv)
{
	static struct driver driver;
	struct error err = { 0 };
	signal(SIGPIPE, SIG_IGN);
	if (!options_parse(argc, argv, &driver.options))
		return 2;
	if (run(&driver, &err) < 0) {
		fprintf(stderr, "proof-driver: %s\n", err.text);
		return 1;
	}
	return 0;
}
