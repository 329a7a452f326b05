/* This gateway's registration: the row `gateway/NAME` beside the object. It names every cluster
 * client of the running instance, each from before its first use, and those of instances that ended
 * without closing their images, so that a successor may fence and replace them (never anyone
 * else's).
 *
 * Who holds the store's membership for NAME is the only live process of that name; so addresses
 * found in the row at start belong to a dead instance. */
#pragma once

#include "base/error.h"

#include <stdbool.h>

struct store;
struct registration;

/* Reads the row of the instance before, writes the one of this. Blocks. After store_join(). */
int registration_new(struct store *store, const char *gateway,
                     struct registration **ret_registration, struct error *err) MUST_CHECK;
/* NULL is fine. Leaves the row as it is. */
void registration_free(struct registration *registration);
DEFINE_AUTO(registration);

/* Any thread but a reactor's; blocks. The address of a client that is about to open images. */
int registration_add(struct registration *registration, const char *address,
                     struct error *err) MUST_CHECK;
/* The client has closed all its images and is gone. */
int registration_remove(struct registration *registration, const char *address,
                        struct error *err) MUST_CHECK;

/* Any thread. Is this the address of a dead instance of this gateway? */
bool registration_is_past(struct registration *registration, const char *address);
