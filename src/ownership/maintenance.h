/* Gateways in maintenance: the row `maintenance/NAME` is there as long as the gateway shall own
 * nothing. Written by the API; each gateway reads the rows when it starts, when it is told
 * MAINTENANCE_WAKE, and from time to time. All calls block. */
#pragma once

#include "base/error.h"

#include <stdbool.h>

struct store;

/* What store_tell() says after a change of these rows. */
#define MAINTENANCE_WAKE "{\"wake\":\"maintenance\"}"

/* by: the gateway where somebody asked for it. Setting what is set already is fine: *ret_changed
 * (which may be NULL) says whether it was not. */
int maintenance_set(struct store *store, const char *gateway, bool on, const char *by,
                    bool *ret_changed, struct error *err) MUST_CHECK;
/* Any text in the row counts. */
int maintenance_list(struct store *store, void (*visit)(void *argument, const char *gateway),
                     void *argument, struct error *err) MUST_CHECK;
