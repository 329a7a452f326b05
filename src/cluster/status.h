/* The cluster as people look at it: health, daemons, pools with their sizes. */
#pragma once

#include "cluster/client.h"

#include "base/json.h"

/* Asks the monitors; blocks, at most as long as their answers may take (30 s each).
 * cluster: {"health", "checks": [text], "version", "mons", "quorum", "osds", "osds_up", "osds_in",
 *           "total_bytes", "client"}
 * pools: {NAME: {"type": "replicated" or "erasure", "desc": "x3" or "2+1", "max_bytes",
 *         "used_bytes"}}. -EACCES: this user may not ask. */
int cluster_status(struct cluster_client *client, json_t **ret_cluster, json_t **ret_pools,
                   struct error *err) MUST_CHECK;

/* ---- the parts that only read answers of the monitors ---- */

/* Of `status` and `version`. */
json_t *cluster_describe(const json_t *status, const json_t *version) MUST_CHECK;
/* Of `df` and `osd dump`; profiles: NAME -> {"k", "m"}. */
json_t *cluster_describe_pools(const json_t *df, const json_t *dump,
                               const json_t *profiles) MUST_CHECK;
