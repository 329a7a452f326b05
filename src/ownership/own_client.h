/* Which cluster clients are ours: those in the registrations of gateways, and the one of each API,
 * with which it resizes images and makes snapshots: row `api/NAME` = {"clients": [address]}. librbd
 * takes the lock for it if nobody has it. All calls block. */
#pragma once

#include "base/error.h"

#include <stdbool.h>

struct store;

/* The client of that gateway's API, before its first use; in place of the one before. */
int own_client_announce(struct store *store, const char *gateway, const char *address,
                        struct error *err) MUST_CHECK;
/* Is it one of ours? -EBADMSG: it was not found, but a row that may name it cannot be read. */
int own_client_find(struct store *store, const char *address, bool *ret_found,
                    struct error *err) MUST_CHECK;
