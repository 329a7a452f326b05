/* The other gateways, as far as ownership goes: which instances there are, and how each is doing
 * (docs/availability.md, "When a gateway is gone"). An instance that is lost is asked for through
 * the store; one that does not answer is condemned and fenced. On the manager. */
#pragma once

#include "base/list.h"
#include "base/reactor.h"
#include "ownership/decide.h"
#include "ownership/registration.h"

struct fence;
struct history_writer;
struct interconnect;
struct job_queue;
struct look;
struct owner_record;
struct store;

/* One that says that its storage makes no progress for longer is asked. */
#define MEMBER_STALLED_MS 4000

struct member {
	struct list link;
	char gateway[GATEWAY_NAME_MAX], instance[INSTANCE_MAX];
	/* Its gateway's row names it. Else it is one of the past, which will not answer any more,
	 * but may have left commands on their way: it is fenced. */
	bool current;
	enum gateway_state state;
	bool condemned, maintenance;
	bool stalled;  /* it said last that its storage makes no progress */
	bool cautious; /* it said last that it takes only what nobody else can take */
	bool has_peer;
	uint32_t peer; /* as the interconnect numbers them */
	enum member_health health;
	uint64_t since_ms;    /* health */
	uint64_t up_since_ms; /* UP, and not cautious */

	uint64_t ask_number; /* of the question under way; 0: none */
	uint64_t asked_ms;   /* when it was sent */
	uint64_t heard_ms;   /* when we heard it ourselves; 0: not yet */
	uint64_t proven_ms;  /* later than this its storage has made progress: it answered */
	uint64_t ask_before; /* the one before, which may be answered yet; 0: none */
	unsigned unanswered; /* questions in a row */
	size_t ask_from;     /* the LUN of the plan that the next one names first */
	uint64_t fates_ms;   /* when it was asked last what became of our commands */

	struct fencing *fencing; /* under way */
	bool told_condemned;     /* to log and history */
	uint64_t fence_again_ms; /* not before that, after a failure */
	char **clients;          /* of the past: what must be fenced */
	size_t client_count;
};

struct members {
	/* Set by the owner of this struct. */
	struct reactor *manager;
	struct job_queue *jobs;
	struct store *store;
	struct fence *fence;
	struct history_writer *history;
	const char *gateway;               /* of this process */
	char instance[INSTANCE_MAX];       /* likewise; "": not known yet */
	struct interconnect *interconnect; /* NULL: not yet, or none */
	/* The health of somebody has changed. */
	void (*changed)(struct members *members);
	/* What is known of the rows is too old. */
	void (*look)(struct members *members);
	/* Asks that member for the LUNs which initiators wait for here, through the store. */
	void (*ask)(struct members *members, struct member *member);
	/* Initiators wait for LUNs of that member. */
	bool (*wanted)(struct members *members, const struct member *member);
	/* That member is being fenced: its LUNs will be taken over. May be NULL. */
	void (*fences)(struct members *members, const struct member *member);

	struct list list;
	bool known;       /* a look has come */
	bool company;     /* another gateway lived while this process did */
	bool maintenance; /* of this gateway */
	bool stalled;     /* this gateway does not reach the cluster itself; set by the owner */
	unsigned fencings;
	uint64_t reviewed_ms; /* the last time */
};

void members_init(struct members *members);
/* No fencing may be under way. */
void members_done(struct members *members);

void members_update(struct members *members, const struct look *look);
/* A record names an owner that is no member: one of the past. */
void members_add_past(struct members *members, const struct owner_record *record);
/* Looks at the health of all. As often as every 100 ms while members_unsettled(). */
void members_review(struct members *members);
bool members_unsettled(const struct members *members);
/* When the next question has waited long enough for its answer: members_review() then. 0: none. */
uint64_t members_due_ms(const struct members *members);
/* A question of ours was heard by ourselves, or answered by its member. */
void members_heard(struct members *members, uint64_t number);
void members_answered(struct members *members, uint64_t number);

/* The present instance of that gateway, or NULL. */
struct member *members_find(const struct members *members, const char *gateway);
/* It has been seen to take part in this, now or earlier, and is not forgotten; so has this gateway
 * itself. */
bool members_know(const struct members *members, const char *gateway);
/* NULL: no such instance. */
struct member *members_find_instance(const struct members *members, const char *gateway,
                                     const char *instance);
const char *member_health_name(enum member_health health);

/* ---- between members.c and members_health.c ---- */

void member_free(struct member *member);
/* What is on the way to it will not be answered by it. */
void member_forget_peer(struct members *members, struct member *member);
void member_set_health(struct members *members, struct member *member, enum member_health health);
/* What is answered after this says nothing any more. */
void member_end_questions(struct member *member);

/* ---- fencing.c ---- */

/* Condemns and fences it (current), or fences it (of the past), on a worker. */
void member_fence(struct members *members, struct member *member, const char *why);
/* Its end, on the manager. */
void member_fenced(struct members *members, struct member *member, int result);
