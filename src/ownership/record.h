/* The owner record of a LUN: the row `owner/POOL/IMAGE`. Bookkeeping for finding the owner, and the
 * serialization point of races; the fence is the truth. Every taking of ownership counts the epoch
 * up by compare-and-set. All calls block. */
#pragma once

#include "base/error.h"
#include "ownership/registration.h"

#include <stdbool.h>
#include <stdint.h>

struct store;
struct store_change;
struct store_version;

#define IMAGE_ID_MAX 64

enum owner_state {
	OWNER_NONE,   /* nobody ever: no row, or a LUN that was never served */
	OWNER_CLEAN,  /* the last owner drained it and gave the lock back: nothing to fence */
	OWNER_ACTIVE, /* owned, or was when its owner died */
};
/* "none"; as it stands in the row: "clean", "active". */
const char *owner_state_name(enum owner_state state);

struct owner_record {
	enum owner_state state;
	uint64_t epoch;
	char gateway[GATEWAY_NAME_MAX], instance[INSTANCE_MAX]; /* of the (last) owner */
	char client[CLIENT_ADDRESS_MAX]; /* ACTIVE: its cluster client; "" without a cluster */
	char image[IMAGE_ID_MAX];        /* id of the image that it took; "": not known */
	char next[GATEWAY_NAME_MAX];     /* CLEAN: handed over to; "" = to nobody in particular */
	char why[64]; /* of the last change: "start", "take-over from gw-1", ... */
	uint64_t at;  /* of the last change, seconds since 1970: for people only */
	char *text; /* what stands in the row, which guards the next change; owner_record_done() */
};
void owner_record_done(struct owner_record *record);

/* Copies; -ENOMEM. */
int owner_record_copy(const struct owner_record *from, struct owner_record *ret_record) MUST_CHECK;
/* Of the text of a row, which the record keeps. -EBADMSG: it is none. */
int owner_record_parse(const char *text, struct owner_record *ret_record) MUST_CHECK;
int owner_record_read(struct store *store, const char *lun, struct owner_record *ret_record,
                      struct error *err) MUST_CHECK;
/* visit gets the LUN's name ("pool/image") and a record that is freed afterwards. */
int owner_record_list(struct store *store,
                      void (*visit)(void *argument, const char *lun,
                                    const struct owner_record *record),
                      void *argument, struct error *err) MUST_CHECK;
/* The epoch of who takes it next: + 1, without a row above those of all that were removed. */
int owner_record_next_epoch(struct store *store, const struct owner_record *record,
                            uint64_t *ret_epoch, struct error *err) MUST_CHECK;
struct owner_claim {
	const char *gateway, *instance, *client, *image, *why;
	uint64_t epoch; /* owner_record_next_epoch() */
	/* Changed at once with the record, or nothing is: what guards it, and what goes with it. */
	const struct store_change *with;
	size_t with_count; /* <= OWNER_CLAIM_WITH */
};
#define OWNER_CLAIM_WITH 4
/* Becomes ACTIVE as claimed, if the row is still as *record, which was seen (any state), and is
 * replaced by the new one. -ECANCELED: somebody was faster, there or in the rows with it. */
int owner_record_take(struct store *store, const char *lun, struct owner_record *record,
                      const struct owner_claim *claim, struct error *err) MUST_CHECK;
/* The same where the record is ours already: it is only compared. */
int owner_record_confirm(struct store *store, const char *lun, const struct owner_record *record,
                         const struct owner_claim *claim, struct error *err) MUST_CHECK;
/* Our ACTIVE record becomes CLEAN (same epoch). -ECANCELED: it is not ours any more. */
int owner_record_release(struct store *store, const char *lun, struct owner_record *record,
                         const char *next, const char *why, struct error *err) MUST_CHECK;
/* The LUN's disk is deleted: nothing is left that a disk of the same name would inherit, its
 * reservations neither. No gateway may have it, by that version of the configuration object.
 * -ECANCELED: the object, or one of the rows, has changed meanwhile; nothing is removed. */
int owner_record_remove(struct store *store, const char *lun, const struct store_version *object,
                        struct error *err) MUST_CHECK;
/* [H24] 0 if `image` (its id) is what the LUN was last owned with, or either is not known. -ESTALE:
 * another image has its name now; err says what to do. */
int owner_record_check_image(const struct owner_record *record, const char *lun, const char *image,
                             struct error *err) MUST_CHECK;
