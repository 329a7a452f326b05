/* Rolling a disk back to a snapshot: the row `rollback/POOL/IMAGE`, from the request until its end
 * is told (docs/availability.md). Who takes the LUN changes its record only together with what he
 * knows of this row, so nobody serves beside it. All calls with a store block. */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

struct owner_record;
struct store;
struct store_change;

enum rollback_state {
	ROLLBACK_NONE,    /* no row */
	ROLLBACK_ASKED,   /* nobody is to serve the LUN while the API looks who uses it */
	ROLLBACK_ORDERED, /* whoever takes the LUN carries it out before he serves */
	ROLLBACK_FAILED,  /* over: the row only tells why */
	ROLLBACK_UNKNOWN, /* not to be read, or of a later release: nobody serves */
};

#define ROLLBACK_TOKEN_MAX 33
struct rollback {
	enum rollback_state state;
	char token[ROLLBACK_TOKEN_MAX]; /* tells requests apart */
	char *snapshot;
	char *problem; /* FAILED */
	char *text;    /* what stands in the row, which guards the next change */
};
/* What is left is NONE. */
void rollback_done(struct rollback *rollback);
#define AUTO_ROLLBACK __attribute__((cleanup(rollback_done)))
/* *to is done with and becomes *from, of which NONE is left. */
void rollback_move(struct rollback *to, struct rollback *from);
/* The same text stood in the row, or there was none. */
bool rollback_is_same(const struct rollback *one, const struct rollback *other);

/* What store_tell() says after a change of these rows. */
#define ROLLBACK_WAKE "{\"wake\":\"rollback\"}"

/* Of the text of a row; one that is none gives UNKNOWN. -ENOMEM. */
int rollback_parse(const char *text, struct rollback *ret_rollback) MUST_CHECK;
int rollback_read(struct store *store, const char *lun, struct rollback *ret_rollback,
                  struct error *err) MUST_CHECK;
/* visit gets the LUN's name ("pool/image") and what stands in its row. */
int rollback_list(struct store *store,
                  void (*visit)(void *argument, const char *lun, const char *text), void *argument,
                  struct error *err) MUST_CHECK;

/* The two changes of who asks for it: *rollback, as it was read, is replaced by what stands there
 * now, and gateways are told. -ECANCELED: the row is another. by: the gateway where somebody asked
 * for it. */
int rollback_ask(struct store *store, const char *lun, const char *snapshot, const char *by,
                 struct rollback *rollback, struct error *err) MUST_CHECK;
int rollback_order(struct store *store, const char *lun, struct rollback *rollback,
                   struct error *err) MUST_CHECK;
/* It is over: removes the row, or lets it tell the problem (NULL: there is none), if the LUN's
 * record (NULL: whatever that says) is as it was seen, too. Nobody is told. -ECANCELED: one of them
 * is another. */
int rollback_end(struct store *store, const char *lun, const struct rollback *rollback,
                 const char *problem, const struct owner_record *record,
                 struct error *err) MUST_CHECK;

/* For who takes the LUN, beside the record: that the row is still so; one that was only asked for
 * goes away. *ret_change: free its key; the texts are borrowed of *rollback. -ENOMEM. */
int rollback_guard(const char *lun, const struct rollback *rollback,
                   struct store_change *ret_change) MUST_CHECK;

/* Whether a gateway may do what it would without the row. since_ms: when this text was first seen.
 * A request whose API has died is forgotten in the end, by the one who takes the LUN then. */
#define ROLLBACK_ASKED_MS 15000
bool rollback_allows(const struct rollback *rollback, bool takes, uint64_t since_ms,
                     uint64_t now_ms);
