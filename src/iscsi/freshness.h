/* How late can what comes in on a connection be? Proof that its initiator was there at a given
 * time, drawn from what it acknowledges; nobody's clock but our own is asked. Pure arithmetic.
 * (docs/availability.md "Commands that come late"; hazards H3, H35)
 *
 * Times are of a clock that goes on while the process is stopped and while the machine sleeps, read
 * after the bytes have come: a reactor that was frozen finds every proof from before too old. */
#pragma once

#include "iscsi/pdu.h"

/* The ring holds marks of age_max_ms / FRESHNESS_STEPS distance: it is full only of old ones. */
#define FRESHNESS_STEPS 20
#define FRESHNESS_MARKS 32 /* a power of two */

/* At that time stat_sn had not been sent yet. */
struct freshness_mark {
	uint64_t at_ms;
	uint32_t stat_sn;
};

struct freshness {
	uint32_t age_max_ms;  /* 0: everything is young */
	uint64_t alive_ms;    /* whatever comes was sent later than this */
	unsigned first, next; /* free running: marks in use are [first, next), oldest first */
	struct freshness_mark marks[FRESHNESS_MARKS];
	/* The last ping: nothing else has its tag. */
	uint32_t ping_tag;
	uint64_t ping_ms;
};

/* now_ms: before the final login response left, so before anything was sent on this session. */
void freshness_init(struct freshness *freshness, uint32_t age_max_ms, uint64_t now_ms);
/* Something may be sent now, and stat_sn is the next to be used. */
void freshness_mark(struct freshness *freshness, uint32_t stat_sn, uint64_t now_ms);
/* A PDU acknowledges all before exp_stat_sn. True: alive_ms has grown. */
bool freshness_acknowledge(struct freshness *freshness, uint32_t exp_stat_sn);
/* A ping will be sent. */
void freshness_ping(struct freshness *freshness, uint32_t tag, uint64_t now_ms);
/* Something was answered that was sent after at_ms. True: alive_ms has grown. */
bool freshness_answered(struct freshness *freshness, uint64_t at_ms);
/* Is what was sent after alive_ms younger than age_max_ms? */
bool freshness_young(const struct freshness *freshness, uint64_t alive_ms, uint64_t now_ms);
