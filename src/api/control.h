/* Asks the local rbd-target-io over its control socket. */
#pragma once

#include "base/error.h"
#include "base/json.h"

/* One request, one answer, at most 2 s. *ret_status: among others {"serving",
 * "sessions": [{"initiator", "target", "alias", "peer"}], "luns": [{"name", "state", "owner",
 * "preferred_owner", "hung_s"}]}. -ENOENT or -ECONNREFUSED: it does not run; -ETIMEDOUT; -EPROTO:
 * no such answer. */
int control_status(const char *run_dir, const char *gateway, json_t **ret_status,
                   struct error *err) MUST_CHECK;
