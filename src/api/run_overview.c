/* What a shell shows of all disks at once: size, features and state, so that a listing costs one
 * request. Our own route: ceph-iscsi's shell opened every image itself. */
#include "api/owners.h"
#include "api/run.h"

#include "base/log.h"
#include "cluster/status.h"
#include "store/image.h"

#include <errno.h>

/* librbd's feature bits, by the names that ceph-iscsi showed. */
static const char *const feature_names[] = {
	"RBD_FEATURE_LAYERING",   "RBD_FEATURE_STRIPINGV2", "RBD_FEATURE_EXCLUSIVE_LOCK",
	"RBD_FEATURE_OBJECT_MAP", "RBD_FEATURE_FAST_DIFF",  "RBD_FEATURE_DEEP_FLATTEN",
	"RBD_FEATURE_JOURNALING", "RBD_FEATURE_DATA_POOL",  "RBD_FEATURE_OPERATIONS",
	"RBD_FEATURE_MIGRATING",
};

static json_t *features(uint64_t bits)
{
	json_t *names = json_array();
	for (size_t i = 0; i < ARRAY_LEN(feature_names); i++) {
		if (bits >> i & 1)
			(void)json_array_append_new(names, json_string(feature_names[i]));
	}
	return names;
}

/* What all disks are looked up in. */
struct overview {
	const struct rest_config *config;
	json_t *status; /* of rbd-target-io here; NULL if it does not serve */
	json_t *owners; /* owners.h; NULL if they are not known */
};

/* size: null if the image is gone; absent if it could not be looked at. */
static json_t *disk_overview(const struct overview *overview, const char *id, const json_t *disk)
{
	const struct rest_config *config = overview->config;
	const json_t *lun = json_object_get(json_object_get(overview->owners, "luns"), id);
	struct image_info info;
	json_t *shown = json_object();
	(void)json_object_set_new(shown, "status",
	                          disk_status(overview->status, config->gateway_name, id, lun));
	int r = image_stat(config->store, json_text(disk, "pool", ""), json_text(disk, "image", ""),
	                   &info, NULL);
	if (r == -ENOENT)
		(void)json_object_set_new(shown, "size", json_null());
	if (r == 0) {
		(void)json_object_set_new(shown, "size", json_integer((json_int_t)info.size_bytes));
		(void)json_object_set_new(shown, "features", features(info.features));
	}
	return shown;
}

/* Nothing without a cluster, or if its monitors do not tell. */
static void add_cluster(struct cluster_client *client, json_t *body)
{
	json_t *cluster = NULL, *pools = NULL;
	struct error err = { 0 };
	if (!client)
		return;
	if (cluster_status(client, &cluster, &pools, &err) < 0) {
		log_warning("overview without the cluster: %s", err.text);
		return;
	}
	(void)json_object_set_new(body, "cluster", cluster);
	(void)json_object_set_new(body, "pools", pools);
}

void run_overview(struct request *request)
{
	AUTO_JSON json_t *object = NULL;
	if (!request_load(request, &object))
		return;
	AUTO_JSON json_t *status = local_status(request);
	AUTO_JSON json_t *owners = NULL;
	struct error err = { 0 };
	if (owners_read(request->api, object, &owners, &err) < 0)
		log_warning("overview without owners: %s", err.text);
	else
		owners_add_view(owners, status);
	const struct overview overview = { &request->api->config, status, owners };
	json_t *disks = json_object(), *disk;
	json_t *body = json_pack("{s:o}", "disks", disks);
	const char *id;
	json_object_foreach (json_object_get(object, "disks"), id, disk)
		(void)json_object_set_new(disks, id, disk_overview(&overview, id, disk));
	if (owners)
		(void)json_object_set(body, "owners", owners);
	add_cluster(request->api->config.cluster, body);
	answer(request, 200, body);
}
