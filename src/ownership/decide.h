/* What a gateway should do about one LUN: a pure function of what it knows. The target room calls
 * it whenever something changed, and does what it says; there is no other place that decides. */
#pragma once

#include "ownership/record.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Why a LUN is given away, and taken: initiators wait for it at a gateway that cannot reach its
 * owner. */
#define DECIDE_ASKED_FOR "asked for"
/* Because its owner could not serve it, for a trouble of its own. */
#define DECIDE_FAILED "not served there"

/* What is known of a gateway's present instance. */
enum member_health {
	MEMBER_ABSENT,     /* no registration, or stopped, or superseded */
	MEMBER_CONNECTING, /* registered; we had no connection yet */
	MEMBER_UP,
	MEMBER_SUSPECT,     /* lost; being asked through the store, condemned or being fenced */
	MEMBER_UNREACHABLE, /* lost, but alive: it answered through the store and keeps its LUNs */
	MEMBER_FENCED,      /* condemned, fenced, and that map is in force here */
};
struct decide_member {
	char gateway[GATEWAY_NAME_MAX], instance[INSTANCE_MAX];
	enum member_health health;
	bool takes;           /* may own LUNs: up, not leaving, not in maintenance */
	uint64_t up_since_ms; /* healthy without a break since */
	/* `health`, here. Of FENCED the heir gets a head start from then on. */
	uint64_t since_ms;
};

/* When the lock of a LUN that is on demand moved last: taken here, or lost to somebody else. */
#define DEMAND_MOVES 3
struct demand_moves {
	uint64_t at_ms[DEMAND_MOVES]; /* the latest first; 0: none */
};
void demand_note_move(struct demand_moves *moves, uint64_t now_ms);
/* It moves too often: who has it keeps it until then. 0: it may be taken. */
uint64_t demand_keep_until_ms(const struct demand_moves *moves, uint64_t now_ms);

struct decide_input {
	const char *lun; /* "pool/image" */
	const struct owner_record *record;
	const char *preferred;               /* gateway name */
	const struct decide_member *members; /* the first one is this gateway (MEMBER_UP) */
	size_t member_count;
	uint64_t now_ms;
	uint64_t seen_ms;         /* when this state of the record was first seen here */
	uint64_t start_ms;        /* when this process began */
	uint64_t return_after_ms; /* hysteresis: the preferred owner must have been healthy so long
	                           */
	uint64_t fails_since_ms;  /* ours, but cannot be served here since then; 0: it can */
	bool commands_wait;       /* initiators wait for the LUN here */
	bool serves;              /* the record is ours and the LUN is open under it */
	bool requested;           /* people chose another preferred owner while it was ours */
	/* NULL: all gateways of its target are ours. Else some are upstream's, so it is taken only
	 * when initiators wait for it here. */
	const struct demand_moves *on_demand;
};

enum decision {
	DECIDE_SERVE,       /* it is ours: serve it */
	DECIDE_TAKE,        /* take ownership (record, fence in force, lock) */
	DECIDE_FORWARD,     /* to `member` */
	DECIDE_HOLD,        /* wait for others; look again at `again_ms` */
	DECIDE_HAND_OVER,   /* to `member`: drain, release, tell it */
	DECIDE_UNAVAILABLE, /* the owner lives and cannot be reached */
	/* Only on demand: */
	DECIDE_OFFER,    /* no gateway of ours has it: offer it, take it when a command comes */
	DECIDE_KEEP_OFF, /* the same, but it moves too often: refuse commands until `again_ms` */
	DECIDE_STAND_BY, /* this gateway takes nothing: give it back, its paths are not for use */
};
struct decision_result {
	enum decision decision;
	size_t member;     /* FORWARD, HAND_OVER */
	uint64_t again_ms; /* absolute; 0: nothing to wait for but events */
	const char *why;   /* a constant text, for log and record: "take-over", "start", ... */
};
void decide(const struct decide_input *input, struct decision_result *ret_result);

/* Which of those that take would own it if its owner died: by rendezvous hashing of names, so that
 * all survivors agree without talking. SIZE_MAX: none. */
size_t decide_heir(const char *lun, const struct decide_member *members, size_t member_count);
/* Who should have it next if the first one takes nothing: its preferred owner, or the heir. */
size_t decide_next(const char *lun, const char *preferred, const struct decide_member *members,
                   size_t member_count);
