/* The fence debt: rows debt/ADDRESS = {"gateway", "instance", "at", "until", "process"}: whose
 * client was fenced when, and how long its entry lasts. A row goes only when the process is proven
 * gone. All calls block. */
#pragma once

#include "base/error.h"
#include "base/json.h"

#include <stdint.h>

struct store;

/* {"instance", "process"} of the life whose clients stand in the row under that instance, which is
 * its gateway's present one or the one before. NULL: nothing is known. */
json_t *debt_life_of(struct store *store, const char *gateway, const char *instance) MUST_CHECK;
/* Writes the row, or sets `until` of the one that stands there. process may be NULL. */
int debt_write(struct store *store, const char *address, const char *gateway, const char *instance,
               json_t *process, uint64_t until_s, struct error *err) MUST_CHECK;
/* visit gets the address, and the row as JSON (an empty object if it is damaged). */
int debt_list(struct store *store,
              int (*visit)(void *argument, const char *address, const json_t *debt), void *argument,
              struct error *err) MUST_CHECK;
/* Drops the rows of that instance. */
int debt_settle(struct store *store, const char *instance, struct error *err) MUST_CHECK;
/* Drops the rows of earlier instances of this gateway that are proven gone: their process ran on
 * this host and is no more, or has executed itself anew and is this one (RBDGATE_FORMER_INSTANCE).
 */
int debt_settle_gone(struct store *store, const char *gateway, struct error *err) MUST_CHECK;
