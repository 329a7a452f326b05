/* The configuration object (gateway.conf, version 11): parse, upgrade, validate, format. It stays a
 * JSON tree, so that keys that we do not know survive; typed views read what the data path needs.
 */
#pragma once

#include "base/error.h"
#include "base/json.h"

#include <stdint.h>

#define OBJECT_VERSION 11

/* What an upgrade or a change needs to know of the world; handed in, so that all of it is pure. */
struct object_context {
	const char *gateway_name; /* FQDN of this gateway, as in `gateways` */
	const char *now;          /* "2026/11/21 12:00:00", UTC */
	bool encryption;          /* both key files exist */
};

/* The seed of an empty pool. */
json_t *object_seed(const struct object_context *context) MUST_CHECK;
/* text must be a JSON dictionary with an integer version (or 9.5); else -EINVAL and it is foreign:
 * never overwrite it. -ENOMEM. */
int object_parse(const char *text, json_t **ret_object, struct error *err) MUST_CHECK;
/* Runs every upgrade step in place, and mends keys that old upgrades broke. *ret_changed: commit
 * it. Version > 11: untouched, object_is_newer(). */
int object_upgrade(json_t *object, const struct object_context *context, bool *ret_changed,
                   struct error *err) MUST_CHECK;
bool object_is_newer(const json_t *object);
/* Exactly the bytes that upstream would write. free() it. */
char *object_format(const json_t *object) MUST_CHECK;
uint64_t object_epoch(const json_t *object);
/* Every commit: epoch + 1, updated = now. Returns the new epoch. */
uint64_t object_touch(json_t *object, const char *now);
