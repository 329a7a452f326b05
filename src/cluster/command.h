/* Questions to the monitors. They block; any thread but a reactor's. */
#pragma once

#include "cluster/client.h"

#include "base/json.h"

/* command (taken over) must ask for JSON. What the monitors answer with, or -EPROTO. */
int cluster_ask(struct cluster_client *client, json_t *command, json_t **ret_answer) MUST_CHECK;

/* Do the pool's placement rules ask for devices of class ssd or nvme? */
int cluster_pool_solid_state(struct cluster_client *client, const char *pool, bool *ret_solid_state,
                             struct error *err) MUST_CHECK;
/* Is the monitors' clock known? They tell their time in the answer to a fence. */
bool cluster_knows_time(struct cluster_client *client);
/* All that is fenced now: an object of addresses ("10.0.0.1:0/631147173") and the seconds that are
 * left by the monitors' clock, which must be known. They may be negative: an entry stays in force
 * until the monitors drop it. */
int cluster_list_fences(struct cluster_client *client, json_t **ret_entries,
                        struct error *err) MUST_CHECK;
