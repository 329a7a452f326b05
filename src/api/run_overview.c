/* What a shell shows of all disks at once: size, features and state, so that a listing costs one
 * request. Our own route: ceph-iscsi's shell opened every image itself. */
#include "api/run.h"

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

/* size: null if the image is gone; absent if it could not be looked at. */
static json_t *overview_of(const struct rest_config *config, const json_t *status, const char *id,
                           const json_t *disk)
{
	struct image_info info;
	json_t *shown = json_object();
	(void)json_object_set_new(shown, "status", disk_status(status, config->gateway_name, id));
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

void run_overview(struct request *request)
{
	AUTO_JSON json_t *object = NULL;
	if (!request_load(request, &object))
		return;
	AUTO_JSON json_t *status = local_status(request);
	json_t *disks = json_object(), *disk;
	const char *id;
	json_object_foreach (json_object_get(object, "disks"), id, disk)
		(void)json_object_set_new(disks, id,
		                          overview_of(&request->api->config, status, id, disk));
	answer(request, 200, json_pack("{s:o}", "disks", disks));
}
