/* A path: one session of one initiator with one gateway, for all LUNs. It logs in again by itself
 * when it is lost. A command on it ends exactly once, with what can be said about it. One thread
 * uses all paths; only logins, which block, run in threads of their own. */
#pragma once

#include "initiator.h"

#define LUNS_MAX         1024
#define COMMAND_DATA_MAX 8192u
/* No answer for that long: the connection is given up; later, if the task was aborted first. */
#define ANSWER_TIMEOUT_NS 5000000000ul
#define ABORT_AFTER_NS    2500000000ul
#define ABORT_TIMEOUT_NS  12000000000ul

enum answer {
	ANSWER_GOOD,
	ANSWER_BUSY,       /* not executed, to be tried again: BUSY, TASK SET FULL, 02/04/xx */
	ANSWER_ATTENTION,  /* not executed: a unit attention came instead */
	ANSWER_CONFLICT,   /* not executed: RESERVATION CONFLICT */
	ANSWER_MISCOMPARE, /* not executed */
	ANSWER_MAYBE,      /* executed or not: 0B/xx, TASK ABORTED */
	ANSWER_ABORTED,    /* by ABORT TASK: the same, by the answer to that */
	ANSWER_ERROR,      /* any other: nothing is promised, and it should not happen */
	ANSWER_NONE,       /* the connection was lost, or given up */
	ANSWER_COUNT,
};
const char *answer_name(enum answer answer);

enum path_state { PATH_DOWN, PATH_CONNECTING, PATH_UP, PATH_LEAVING };

/* States of a target port group [SPC-4 6.37]. */
enum group_state { GROUP_OPTIMIZED = 0, GROUP_NON_OPTIMIZED = 1 };

struct path;
struct command {
	struct initiator_request request;
	struct list link; /* in path->commands, oldest first */
	struct path *path;
	uint16_t lun;
	uint8_t lun_bytes[8];
	uint64_t start, end;
	/* What the path said about it last, for people. */
	char text[96];
	/* Never called inside path_submit. */
	void (*done)(struct command *command, enum answer answer);
	void *owner;
};

struct path {
	struct initiator_config config;
	unsigned initiator, portal; /* numbers */
	struct path_events *events;
	enum path_state state;
	struct initiator *session;
	uint64_t retry_at, backoff_ns;
	struct list commands;
	uint8_t group_states[LUNS_MAX];
	uint64_t asked_at[LUNS_MAX]; /* when the states were asked for last; 0: never */
	bool dirty;                  /* something to send */
	bool aborts;                 /* sends ABORT TASK before it gives up */
};

/* What is common to all paths of a driver. */
struct path_events {
	int pipe[2]; /* ended logins arrive here */
	unsigned connecting;
	uint64_t lost, logins;
	/* What happened to a path, for people; may be NULL. */
	void (*tell)(const struct path *path, const char *text);
};

uint64_t now_ns(void);

int path_events_open(struct path_events *events) MUST_CHECK;
/* Waits for the logins that still run. */
void path_events_close(struct path_events *events);
/* Takes what events->pipe[0] announces. */
void path_take_logins(struct path_events *events, uint64_t now);

void path_init(struct path *path, const struct initiator_config *config, unsigned initiator,
               unsigned portal, struct path_events *events);
void path_done(struct path *path);
/* Logs in when it is time, gives up what is not answered. */
void path_tick(struct path *path, uint64_t now);
/* Sends and receives. */
void path_turn(struct path *path);
/* Everything without an answer ends with ANSWER_NONE. */
void path_fail(struct path *path, const char *why);

/* The path takes new commands for this LUN, and its group says that they work. */
bool path_usable(const struct path *path, uint16_t lun);
bool path_takes_commands(const struct path *path);
/* command: cdb, data, len_bytes, writes, lun, done are set. */
void path_submit(struct path *path, struct command *command);
/* REPORT TARGET PORT GROUPS, if it was not asked within the last `age_ns`. */
void path_ask_states(struct path *path, uint16_t lun, uint64_t age_ns);
