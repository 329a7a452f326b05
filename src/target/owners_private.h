/* Between owners.c (the course of things), owners_decide.c (orders), owners_groups.c (access
 * states) and talk.c (messages). */
#pragma once

#include "target/ahead.h"
#include "target/debt.h"
#include "target/hung.h"
#include "target/job.h"
#include "target/members.h"
#include "target/owners.h"
#include "target/watchdog.h"

struct owners {
	struct owners_config config;
	struct members members;
	struct job_queue *jobs;
	struct store *store; /* NULL: not begun */
	struct registration *registration;
	uint64_t start_ms, return_after_ms;

	/* Looks at the rows. */
	struct job look_job;
	struct look *look; /* the result; NULL: nothing new, or look_error */
	struct look *seen; /* the last good one */
	struct error look_error;
	bool look_busy, look_wanted;
	uint64_t look_started_ms; /* of the one under way */
	uint64_t known_since_ms;  /* what is known was looked up after that */
	uint64_t looked_ms;       /* the last good one ended */

	struct debt_renewal debt;
	struct ahead ahead;
	struct hung hung;
	struct timer tick;
	uint64_t tick_ms; /* when it comes */
	struct watchdog watchdog;
	struct message decide_message;
	bool decide_posted;
	bool all_wanted;    /* about all disks, not only those that are marked */
	uint64_t all_ms;    /* when that was done last */
	uint64_t again_ms;  /* a decision depends on time: not later than that */
	bool undecided;     /* some disk waits */
	unsigned moving;    /* on their way to another gateway */
	uint64_t turn_ms;   /* when the last one went */
	uint64_t rested_ms; /* the next one goes not before that */

	/* Messages. */
	uint64_t ask_number;
	unsigned letters; /* on their way */
	bool waking;      /* one of them wakes all */
	bool wake_wanted; /* another one is due after it */
	unsigned probes;  /* likewise */
	unsigned rounds;  /* of fates.c, over the reactors */

	bool leaving, left, condemned, stopping;
	uint64_t leave_ms;
	struct other_paths *paths; /* while leaving: who has one through another gateway */
	uint64_t paths_ms;         /* when they were asked for last */
	void (*stopped)(void *argument);
	void *stopped_argument;
};

/* owners.c */
void owners_check_stopped(struct owners *owners);
/* This instance must not go on. */
void owners_condemned(struct owners *owners, const char *why);

/* owners_decide.c */
/* Who would take that LUN for those who wait here, if its owner, which cannot be reached, gave it
 * back. False: nobody would. */
bool owners_find_taker(const struct owners *owners, const struct plan_disk *wanted,
                       char ret_gateway[GATEWAY_NAME_MAX]);
void owners_decide(struct owners *owners);

/* owners_groups.c */
/* Beside upstream gateways: one that never registered is named for the target. */
bool owners_on_demand(const struct owners *owners, const struct plan_disk *wanted);

/* talk.c */
void talk_ask(struct owners *owners, struct member *member);
/* To all peers that are up. */
void talk_record(struct owners *owners, const struct disk *disk);
/* Everybody looks at the rows. */
void talk_wake(struct owners *owners);
void talk_heard(struct owners *owners, const json_t *message);
/* Through the store, to all. Takes the message. */
void talk_send(struct owners *owners, json_t *message);

/* paths.c */
/* From the tick. */
void paths_review(struct owners *owners);
/* Messages of members: {"leaves": ...} and {"paths": ...}. */
void paths_heard_leaves(struct owners *owners, const json_t *message);
void paths_heard(struct owners *owners, const json_t *message);

/* fates.c */
/* From the tick. */
void fates_review(struct owners *owners);
/* Messages of members: {"unanswered": ...} and {"fates": ...}. */
void fates_heard_unanswered(struct owners *owners, const json_t *message);
void fates_heard(struct owners *owners, const json_t *message);
