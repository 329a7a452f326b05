/* The share of one reactor in the server: its connections, sessions and pools. All of it lives on
 * that reactor; the few fields that others touch say so. */
#pragma once

#include "base/list.h"
#include "base/reactor.h"
#include "iscsi/chap.h"
#include "iscsi/server.h"
#include "iscsi/session_table.h"

#include <pthread.h>
#include <stdatomic.h>

struct command;
struct portal_set;

/* What is received in one go at most. */
#define RECEIVE_BUFFER_BYTES (256u << 10)

struct worker {
	struct iscsi_server *server;
	struct reactor *reactor;
	struct iscsi_config *config; /* own reference; NULL before the first apply */
	struct list connections;     /* all of struct connection */
	struct list logging_in;      /* those before full feature phase, oldest first */
	unsigned logging_in_count;
	struct list sessions;
	uint8_t *receive_buffer;
	struct list free_commands;
	unsigned free_command_count;
	struct list memory_waiters; /* commands that wait for a buffer before their first R2T */
	struct turn_hook memory_hook;
	uint64_t data_bytes, data_bytes_max; /* lent to commands; this reactor's share */
	struct message stop_message;
	struct timer stop_timer;
	bool stopping, stopped;
	uint64_t boot_ms;             /* of limits.boot_clock, when bytes came or left last */
	_Atomic(uint64_t) command_ms; /* any thread: when (boot_ms) I/O came last */
	atomic_uint connection_count; /* any thread: who accepts looks for the least loaded */
};

struct iscsi_server {
	/* Constant. */
	struct iscsi_limits limits;
	unsigned worker_count;
	struct worker *workers;
	struct session_table *sessions;     /* any thread */
	struct chap_challenges *challenges; /* any thread */
	struct portal_set *portals;         /* of workers[0] */
	/* Any thread. */
	atomic_uint stopping_workers;
	/* Set by iscsi_server_stop() before the workers hear of it. */
	unsigned stop_grace_ms;
	void (*stopped)(void *argument);
	void *stopped_argument;
};

/* Data memory of commands: bounded by the reactor's share of max_inflight_bytes, but one command
 * always gets what it needs. */
bool worker_charge(struct worker *worker, uint64_t bytes);
void worker_uncharge(struct worker *worker, uint64_t bytes);
/* How many commands a session may have open now: fewer as memory gets short. */
uint32_t worker_window_depth(const struct worker *worker, uint32_t configured);

/* The last connection or session may have gone: ends a stop. */
void worker_check_stopped(struct worker *worker);
