/* Paths: logins with back-off, answers and what they promise, target port group states. */
#include "path.h"
#include "base/bytes.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <time.h>

#define BACKOFF_MIN_NS 50000000ul
#define BACKOFF_MAX_NS 1000000000ul

static const char *const answer_names[ANSWER_COUNT] = {
	[ANSWER_GOOD] = "good",           [ANSWER_BUSY] = "busy",
	[ANSWER_ATTENTION] = "attention", [ANSWER_CONFLICT] = "conflict",
	[ANSWER_MISCOMPARE] = "differs",  [ANSWER_MAYBE] = "maybe",
	[ANSWER_ERROR] = "error",         [ANSWER_NONE] = "none",
	[ANSWER_ABORTED] = "aborted",
};

const char *answer_name(enum answer answer)
{
	return answer_names[answer];
}

uint64_t now_ns(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static void tell(const struct path *path, const char *text)
{
	if (path->events->tell)
		path->events->tell(path, text);
}

/* ---- logins ---- */

struct login {
	struct path *path;
	struct initiator_config config;
	int report_fd;
	struct initiator *session;
	struct error err;
};

static void *run_login(void *argument)
{
	struct login *login = argument;
	if (initiator_connect(&login->config, &login->session, &login->err) < 0)
		login->session = NULL;
	ssize_t n = write(login->report_fd, &login, sizeof(struct login *));
	assert(n == sizeof(login)); /* a pipe takes a pointer whole */
	return NULL;
}

static void start_login(struct path *path)
{
	struct login *login = calloc(1, sizeof(*login));
	pthread_t thread;
	assert(login);
	login->path = path;
	login->config = path->config;
	login->report_fd = path->events->pipe[1];
	if (pthread_create(&thread, NULL, run_login, login) != 0) {
		free(login);
		path->retry_at = now_ns() + BACKOFF_MAX_NS;
		return;
	}
	pthread_detach(thread);
	path->events->connecting++;
	path->state = PATH_CONNECTING;
}

static void end_login(struct login *login, uint64_t now)
{
	struct path *path = login->path;
	path->events->connecting--;
	if (login->session) {
		path->session = steal(&login->session);
		path->state = PATH_UP;
		path->backoff_ns = BACKOFF_MIN_NS;
		path->events->logins++;
		memset(path->group_states, 0, sizeof(path->group_states));
		memset(path->asked_at, 0, sizeof(path->asked_at));
		tell(path, "is logged in");
	} else {
		path->state = PATH_DOWN;
		path->retry_at = now + path->backoff_ns;
		path->backoff_ns = 2 * path->backoff_ns + BACKOFF_MIN_NS;
		if (path->backoff_ns > BACKOFF_MAX_NS)
			path->backoff_ns = BACKOFF_MAX_NS;
	}
	free(login);
}

int path_events_open(struct path_events *events)
{
	return pipe(events->pipe) < 0 ? -errno : 0;
}

void path_take_logins(struct path_events *events, uint64_t now)
{
	struct pollfd poll_fd = { events->pipe[0], POLLIN, 0 };
	struct login *login;
	while (poll(&poll_fd, 1, 0) == 1 &&
	       read(events->pipe[0], &login, sizeof(struct login *)) == sizeof(login))
		end_login(login, now);
}

void path_events_close(struct path_events *events)
{
	struct pollfd poll_fd = { events->pipe[0], POLLIN, 0 };
	while (events->connecting && poll(&poll_fd, 1, -1) == 1)
		path_take_logins(events, now_ns());
	close(events->pipe[0]);
	close(events->pipe[1]);
}

/* ---- answers ---- */

static const struct {
	uint8_t status;
	enum answer answer;
} statuses[] = {
	{ 0x00, ANSWER_GOOD },     { 0x08, ANSWER_BUSY },  { 0x28, ANSWER_BUSY },
	{ 0x18, ANSWER_CONFLICT }, { 0x40, ANSWER_MAYBE },
};

/* CHECK CONDITION by sense key, additional sense code (0xff: any). */
static const struct {
	uint8_t key, code;
	enum answer answer;
} senses[] = {
	{ 0x02, 0x04, ANSWER_BUSY },  { 0x06, 0xff, ANSWER_ATTENTION },
	{ 0x07, 0x27, ANSWER_MAYBE }, /* no space: part of it may have been written */
	{ 0x0b, 0xff, ANSWER_MAYBE }, { 0x0e, 0xff, ANSWER_MISCOMPARE },
};

static enum answer classify(const struct initiator_request *request)
{
	if (request->aborted)
		return ANSWER_ABORTED;
	if (request->response)
		return ANSWER_ERROR;
	for (size_t i = 0; i < ARRAY_LEN(statuses); i++)
		if (statuses[i].status == request->status)
			return statuses[i].answer;
	bool descriptors = request->sense_len && (request->sense[0] & 0x7e) == 0x72;
	if (request->status != 0x02 || request->sense_len < (descriptors ? 4 : 14))
		return ANSWER_ERROR;
	uint8_t key = request->sense[descriptors ? 1 : 2] & 15;
	uint8_t code = request->sense[descriptors ? 2 : 12];
	for (size_t i = 0; i < ARRAY_LEN(senses); i++)
		if (senses[i].key == key && (senses[i].code == 0xff || senses[i].code == code))
			return senses[i].answer;
	return ANSWER_ERROR;
}

static void answered(struct initiator_request *request)
{
	struct command *command = container_of(request, struct command, request);
	struct path *path = command->path;
	enum answer answer = classify(request);
	command->end = now_ns();
	list_remove(&command->link);
	if (answer == ANSWER_ABORTED)
		snprintf(command->text, sizeof(command->text), "aborted");
	else
		initiator_request_describe(request, command->text, sizeof(command->text));
	/* A path whose group changed is looked at, and one that cannot serve is not used for now.
	 */
	if (answer == ANSWER_ATTENTION)
		path->asked_at[command->lun] = 0;
	command->done(command, answer);
}

void path_fail(struct path *path, const char *why)
{
	struct list lost = LIST_INIT(lost), *link;
	uint64_t now = now_ns();
	tell(path, why);
	initiator_free(steal(&path->session));
	path->state = PATH_DOWN;
	path->retry_at = now + path->backoff_ns;
	path->events->lost++;
	list_splice(&lost, &path->commands);
	while ((link = list_take_first(&lost))) {
		struct command *command = list_entry(link, struct command, link);
		command->end = now_ns();
		snprintf(command->text, sizeof(command->text), "no answer");
		command->done(command, ANSWER_NONE);
	}
}

/* ---- states of the group ---- */

#define STATES_BYTES 1024u
struct question {
	struct command command;
	uint8_t data[STATES_BYTES];
};

/* [SPC-4 6.37]: descriptors of groups, each with its ports. */
static void take_states(struct path *path, uint16_t lun, const uint8_t *data, uint32_t len)
{
	uint32_t end = len < 4 ? 0 : get_be32(data) + 4, at = 4;
	uint16_t tag = initiator_portal_group_tag(path->session);
	if (end > len)
		end = len;
	while (at + 8 <= end) {
		uint32_t ports = data[at + 7];
		for (uint32_t i = 0; i < ports && at + 8 + 4 * (i + 1) <= end; i++)
			if (get_be16(data + at + 8 + 4 * i + 2) == tag)
				path->group_states[lun] = data[at] & 15;
		at += 8 + 4 * ports;
	}
}

static void states_came(struct command *command, enum answer answer)
{
	struct question *question = container_of(command, struct question, command);
	if (answer == ANSWER_GOOD)
		take_states(command->path, command->lun, question->data, command->request.received);
	free(question);
}

void path_ask_states(struct path *path, uint16_t lun, uint64_t age_ns)
{
	uint64_t now = now_ns();
	if (path->state != PATH_UP || (path->asked_at[lun] && now < path->asked_at[lun] + age_ns) ||
	    initiator_in_flight(path->session) + 8 > path->config.depth)
		return;
	struct question *question = calloc(1, sizeof(*question));
	assert(question);
	path->asked_at[lun] = now;
	question->command.lun = lun;
	question->command.done = states_came;
	struct initiator_request *request = &question->command.request;
	request->cdb[0] = 0xa3; /* MAINTENANCE IN, REPORT TARGET PORT GROUPS */
	request->cdb[1] = 0x0a;
	put_be32(request->cdb + 6, STATES_BYTES);
	request->len_bytes = STATES_BYTES;
	request->data = question->data;
	path_submit(path, &question->command);
}

/* ---- the path ---- */

void path_init(struct path *path, const struct initiator_config *config, unsigned initiator,
               unsigned portal, struct path_events *events)
{
	memset(path, 0, sizeof(*path));
	path->config = *config;
	path->initiator = initiator;
	path->portal = portal;
	path->events = events;
	path->backoff_ns = BACKOFF_MIN_NS;
	list_init(&path->commands);
}

void path_done(struct path *path)
{
	assert(list_empty(&path->commands));
	initiator_free(steal(&path->session));
}

static void leave_if_quiet(struct path *path)
{
	if (initiator_must_leave(path->session) && path->state == PATH_UP) {
		tell(path, "is asked to log out");
		path->state = PATH_LEAVING;
	}
	if (path->state != PATH_LEAVING || !list_empty(&path->commands))
		return;
	initiator_free(steal(&path->session));
	path->state = PATH_DOWN;
	path->retry_at = now_ns() + BACKOFF_MAX_NS;
}

static void abort_old(struct path *path, uint64_t now)
{
	struct command *command;
	list_for_each (command, &path->commands, link) {
		if (now < command->start + ABORT_AFTER_NS)
			return;
		if (!command->request.aborting) {
			initiator_abort(path->session, &command->request);
			path->dirty = true;
		}
	}
}

void path_tick(struct path *path, uint64_t now)
{
	if (path->state == PATH_DOWN && now >= path->retry_at)
		start_login(path);
	if (!path->session)
		return;
	if (!list_empty(&path->commands)) {
		struct command *oldest = list_first(&path->commands, struct command, link);
		if (now > oldest->start + (path->aborts ? ABORT_TIMEOUT_NS : ANSWER_TIMEOUT_NS)) {
			path_fail(path, "is given up: a command was not answered");
			return;
		}
	}
	if (path->aborts)
		abort_old(path, now);
	leave_if_quiet(path);
}

void path_turn(struct path *path)
{
	path->dirty = false;
	if (path->session && initiator_turn(path->session, false) < 0) {
		char why[ERROR_TEXT_MAX + 16];
		snprintf(why, sizeof(why), "is lost: %s", initiator_error(path->session)->text);
		path_fail(path, why);
	}
}

bool path_takes_commands(const struct path *path)
{
	/* Some room is kept for questions about states. */
	return path->state == PATH_UP &&
	       initiator_in_flight(path->session) + 16 < path->config.depth;
}

bool path_usable(const struct path *path, uint16_t lun)
{
	return path_takes_commands(path) && path->group_states[lun] <= GROUP_NON_OPTIMIZED;
}

void path_submit(struct path *path, struct command *command)
{
	assert(path->session && command->request.len_bytes <= COMMAND_DATA_MAX);
	command->path = path;
	command->request.done = answered;
	initiator_lun(command->lun, command->lun_bytes);
	command->request.lun = command->lun_bytes;
	command->start = now_ns();
	path->dirty = true;
	list_append(&path->commands, &command->link);
	initiator_submit(path->session, &command->request);
}
