/* The history of ownership: rows `event/...` beside the object, the last 1,000 of all gateways. */
#pragma once

#include "base/error.h"
#include "base/json.h"

struct store;

#define HISTORY_MAX 1000

/* What happened. Texts are borrowed. */
struct history_event {
	const char *gateway; /* who tells it */
	/* Of a LUN: "start", "restart", "take-over", "hand-over", "asked for", "demand", "lost",
	 * "hung"; of a gateway: "condemn", "fence"; asked for by people: "owner", "balance",
	 * "drain". */
	const char *kind;
	const char *lun;  /* or "" */
	const char *text; /* one sentence for people */
	uint64_t at_ms;   /* history_now_ms() when it happened */
	/* history_number(), so that what is added again, since nobody knows whether it was, stands
	 * there once. 0: it is added once only. */
	unsigned number;
};
/* Any thread. Another one each time. */
unsigned history_number(void);
/* The wall clock's: for people only. */
uint64_t history_now_ms(void);
/* Blocks. In order; of several that were not written, the error of the first. */
int history_add(struct store *store, const struct history_event *events, size_t count,
                struct error *err) MUST_CHECK;
/* Blocks. Drops the oldest beyond HISTORY_MAX; reads all rows, so not after each event. */
int history_prune(struct store *store, struct error *err) MUST_CHECK;
/* Blocks. An array, newest first: {"time": "2026-11-21T17:40:12.345Z", "gateway", "kind", "lun",
 * "text"}, at most `count`. */
int history_list(struct store *store, size_t count, json_t **ret_events,
                 struct error *err) MUST_CHECK;
