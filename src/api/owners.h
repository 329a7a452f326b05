/* Who owns what, as the API tells it: the rows of gateways, owners and maintenance, put together
 * with the configuration object. */
#pragma once

#include "api/request.h"

/* {"gateways": {NAME: {"state", "maintenance", "luns", "interconnect"?, "instance"?,
 *                      "condemned_by"?, "why"?, "unreachable_from"?}},
 *  "luns": {ID: {"owner", "preferred_owner", "state", "epoch", "changed"?, "why"?, "next"?,
 *                 "on_demand"?}}}
 * state of a gateway: up, leaving, stopped, condemned, fenced, maintenance (up, but owns nothing),
 * unregistered (no rbd-target-io of ours was ever there); of a LUN: none, clean, active. on_demand:
 * which unregistered gateways the LUN's target has, for people. Gateways and LUNs are those of the
 * object. Blocks. */
int owners_read(const struct rest *api, const json_t *object, json_t **ret_owners,
                struct error *err) MUST_CHECK;
/* One LUN of it. */
int owners_read_lun(const struct rest *api, const char *id, const char *preferred, json_t **ret_lun,
                    struct error *err) MUST_CHECK;
/* Adds to it what rbd-target-io here sees of other gateways (its status; NULL: it does not serve):
 * a gateway that lives, and whose interconnect it does not reach, gets a member "unreachable_from".
 */
void owners_add_view(json_t *owners, const json_t *status);
/* A target of this gateway whose LUNs no other one of it could take now; NULL: there is none.
 * Borrowed from the object. */
const char *owners_find_heirless(const json_t *owners, const json_t *object, const char *gateway);
