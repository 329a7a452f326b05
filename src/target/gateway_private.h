/* Between gateway.c (the course of things), gateway_ownership.c (what ties it to the owners of
 * LUNs) and gateway_stop.c (the end). */
#pragma once

#include "store/store.h"
#include "target/connect.h"
#include "target/disk_set.h"
#include "target/gateway.h"
#include "target/job.h"

#include <stdatomic.h>

#define REACTOR_COUNT_MAX 8

enum stop_stage {
	STOP_BEGIN,    /* is there anybody who takes the LUNs? */
	STOP_ANNOUNCE, /* the row is being changed: leaving */
	STOP_GIVE,     /* LUNs go to others */
	STOP_QUIET,    /* initiators go to others */
	STOP_SERVER,   /* sessions are being closed */
	STOP_DISKS,    /* images are being closed */
	STOP_OWNERS,   /* nothing is decided any more */
	STOP_LEAVE,    /* the row is being changed: stopped */
	STOP_PEERS,    /* the interconnect is being closed */
	STOP_END,
};

struct gateway {
	struct reactor *manager;
	struct settings *settings,
	        *next_settings; /* next: taken up when no job reads the old ones */
	char *name;
	struct reactor *reactors[REACTOR_COUNT_MAX];
	unsigned reactor_count;
	struct iscsi_server *server;
	struct job_queue *jobs;
	struct job_queues *disk_jobs;

	bool connected;
	struct connection connection;
	struct disk_host host;
	struct lun_registry *luns;
	struct peers *peers;
	struct owners *owners;

	struct disk_set disks; /* and the plan in force */

	/* Steps: wanted and under way. */
	bool load_wanted, apply_wanted, report_wanted;
	bool job_busy, apply_busy;
	uint64_t apply_number; /* the last one begun */
	unsigned applies;      /* not ended: those that hang too */
	struct timer patience; /* armed while apply_busy */
	uint64_t settle_deadline_ms;
	struct timer retry;    /* armed: no job before it expires */
	struct timer settle;   /* the report waits for disks, until then */
	bool snapshot_unready; /* a target of the last snapshot waits for a disk */
	struct job job;
	struct error job_error;
	struct plan *job_plan;
	char load_problem[ERROR_TEXT_MAX], apply_problem[ERROR_TEXT_MAX];
	char job_report[ERROR_TEXT_MAX];
	uint64_t reported_epoch;
	bool announced_ready;

	/* Events from other threads. */
	struct store_listener listener;
	atomic_bool changed_posted;
	struct message changed_message, step_message;
	bool step_posted;

	bool stopping;
	struct stopping {
		enum stop_stage stage;
		bool relaying_ended, owners_stopped, peers_stopped;
		struct message server_message;
		struct timer look;
		struct timer bound; /* of the stage, while that depends on storage or cluster */
		uint64_t server_ms; /* when its end began; 0: not yet */
		uint64_t told_ms;   /* since when initiators hear that they should go; 0: not yet */
		void (*stopped)(void *argument);
		void *argument;
	} stop;
};

void gateway_step(struct gateway *gateway);
void gateway_step_later(struct gateway *gateway);
/* The gateway's own job; none may be under way. */
void gateway_start_job(struct gateway *gateway, void (*work)(struct job *),
                       void (*done)(struct job *));
/* On the worker. job_error.code says from here on whether the job failed. */
void gateway_set_job_result(struct gateway *gateway, int r);

/* gateway_ownership.c */
int gateway_make_ownership(struct gateway *gateway) MUST_CHECK;
/* The store is connected. */
void gateway_begin_ownership(struct gateway *gateway);
/* A plan or other settings are in force. */
void gateway_tell_ownership(struct gateway *gateway);
/* store_listener.told */
void gateway_store_told(struct store_listener *listener, const char *text);

/* gateway_stop.c */
void gateway_init_stop(struct gateway *gateway);
void gateway_step_stopping(struct gateway *gateway);
/* Part of a stage has ended: the rest has as long again. */
void gateway_stop_moves(struct gateway *gateway);
void gateway_left(void *argument);
