/* What the gateways say: the configuration object, and what is fetched when a listing needs it.
 *
 * GET /api/overview is rbdgate's own route and answers everything in one go:
 *   {"cluster": {"name", "health", "checks": [text], "version", "mons", "quorum", "osds",
 * "osds_up", "osds_in", "total_bytes", "conf", "client"}, "pools": {POOL: {"type", "desc",
 * "max_bytes", "used_bytes"}}, "disks": {ID: {"size" (null: the image is gone), "features": [NAME],
 *                   "snapshots": [{"name", "size"}], "status": {...}}},
 *    "gateways": {NAME: "UP"|"PARTIAL"|"UNKNOWN"...},
 *    "owners": {"gateways", "luns"}: owners.h,
 *    "clients": {TARGET: {CLIENT: {"state", "alias", "ip_address"}}}}
 * Each member may be missing. Without the route (a ceph-iscsi API) the states come from
 * /api/disk, /api/_ping and /api/clientinfo, and sizes are not known. */
#pragma once

#include "cli/api.h"

#include <stdint.h>

struct model {
	struct api *api;
	const char *gateway_name; /* this host: asked at the local endpoint; borrowed */
	json_t *config;
	/* Kept until the next model_refresh(). */
	json_t *overview; /* {} if the API has no such route */
	json_t *disks;    /* ID -> as in the overview */
	json_t *gateways; /* NAME -> STATE */
	json_t *clients;  /* TARGET -> CLIENT -> clientinfo */
	/* Kept for the session. */
	json_t *settings;
};

void model_done(struct model *model);
/* Reads the configuration. 0 and a new one, or the HTTP status (the old one stays). */
long model_refresh(struct model *model);
/* Forgets what was fetched beside the configuration. */
void model_forget(struct model *model);

/* Members of the configuration; {} if missing. Borrowed. */
json_t *model_targets(const struct model *model);
json_t *model_disks(const struct model *model);
json_t *model_member(const json_t *object, const char *name);

/* Borrowed; {} if nothing is known. */
json_t *model_overview(struct model *model, const char *member);
json_t *model_disk(struct model *model, const char *id);
json_t *model_client(struct model *model, const char *target, const char *client);
json_t *model_settings(struct model *model, const char *member);
/* "UP", "UNAUTHORIZED", "FORBIDDEN", "PARTIAL" or "UNKNOWN". Borrowed. */
const char *model_gateway_state(struct model *model, const char *gateway);

enum disk_size { DISK_SIZE_KNOWN, DISK_SIZE_UNKNOWN, DISK_GONE };
enum disk_size model_disk_size(struct model *model, const char *id, uint64_t *ret_bytes);
/* Sums over the keys of a JSON object. */
uint64_t model_disks_size(struct model *model, const json_t *ids);
