/* Registrations: the row `gateway/NAME` beside the object says who a gateway's running instance is,
 * where its interconnect listens, and every cluster client that it has, each from before its first
 * use, so that a survivor knows whom to fence. Condemning an instance marks its row by
 * compare-and-set; from then on the row cannot be changed by that instance.
 *
 * Who holds the store's membership for NAME is the only live process of that name; addresses that
 * stand in the row at start belong to a dead instance. */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

struct store;
struct store_change;
struct registration;

#define INSTANCE_MAX       17 /* 16 hex digits and NUL */
#define GATEWAY_NAME_MAX   256
#define CLIENT_ADDRESS_MAX 64

enum gateway_state {
	GATEWAY_UP,
	GATEWAY_LEAVING, /* hands its LUNs over and takes none: it is being stopped */
	GATEWAY_STOPPED, /* ended, and left nothing behind */
};
/* As it stands in the row: "up", "leaving", "stopped". */
const char *gateway_state_name(enum gateway_state state);

/* ---- our own ---- */

/* Reads the row of the instance before, writes the one of this (state up, without interconnect).
 * Blocks. After store_join(). */
int registration_new(struct store *store, const char *gateway,
                     struct registration **ret_registration, struct error *err) MUST_CHECK;
/* NULL is fine. Leaves the row as it is. */
void registration_free(struct registration *registration);
DEFINE_AUTO(registration);
/* Borrowed, constant. */
const char *registration_instance(const struct registration *registration);
/* The instance before this one whose clients are past now: not one that ended before it had fenced
 * its own past. "": none. */
const char *registration_former(const struct registration *registration);

/* The calls below block: any thread but a reactor's. -EOWNERDEAD: this instance was condemned; it
 * must not touch any image any more. */

/* The address of a client that is about to open images. */
int registration_add(struct registration *registration, const char *address,
                     struct error *err) MUST_CHECK;
/* The client has closed all its images and is gone. */
int registration_remove(struct registration *registration, const char *address,
                        struct error *err) MUST_CHECK;
int registration_set_interconnect(struct registration *registration, const char *address,
                                  int version_min, int version_max, struct error *err) MUST_CHECK;
int registration_set_state(struct registration *registration, enum gateway_state state,
                           struct error *err) MUST_CHECK;
/* Looks whether the row is still ours. */
int registration_check(struct registration *registration, struct error *err) MUST_CHECK;
/* Does not block long. For rows that are to change only while this instance is not condemned
 * (store_put_rows_at_once()): its row, as it was seen last. free() *ret_text, which the guard
 * points to. If that change is refused (-ECANCELED), registration_check() looks what stands there.
 */
int registration_guard(struct registration *registration, struct store_change *ret_guard,
                       char **ret_text, struct error *err) MUST_CHECK;
/* The clients of earlier instances of this gateway have been fenced: they leave the list `past`
 * (they stay in the fence debt). */
int registration_drop_past(struct registration *registration, struct error *err) MUST_CHECK;

/* Any thread, never blocks. Is this the address of a dead instance of this gateway? */
bool registration_is_past(struct registration *registration, const char *address);

/* ---- everybody's ---- */

struct registration_row {
	char gateway[GATEWAY_NAME_MAX], instance[INSTANCE_MAX];
	char interconnect[CLIENT_ADDRESS_MAX]; /* "" = none */
	int version_min, version_max;
	enum gateway_state state;
	bool condemned; /* by a survivor: `condemned_by`, `why` */
	bool fenced;    /* condemned, and all its clients are fenced since */
	char condemned_by[GATEWAY_NAME_MAX], why[128];
	char **clients; /* live and past ones: all that must be fenced */
	size_t client_count;
};
void registration_row_done(struct registration_row *row);

/* Blocks. visit gets a row that is freed afterwards. Torn rows are skipped, with a warning. */
int registration_list(struct store *store,
                      void (*visit)(void *argument, const struct registration_row *row),
                      void *argument, struct error *err) MUST_CHECK;
/* Blocks. -ENOENT. */
int registration_read(struct store *store, const char *gateway, struct registration_row *ret_row,
                      struct error *err) MUST_CHECK;
/* Marks the row of that instance. 0 also if it was condemned already. -ESTALE: the gateway has
 * another instance by now (which knows the clients of this one as its past), or has stopped. */
int registration_condemn(struct store *store, const char *gateway, const char *instance,
                         const char *by, const char *why, struct error *err) MUST_CHECK;
/* A condemned instance has been fenced. */
int registration_mark_fenced(struct store *store, const char *gateway, const char *instance,
                             struct error *err) MUST_CHECK;
