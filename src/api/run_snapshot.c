/* Snapshots of a disk: create, delete, roll back. They leave the object alone. */
#include "api/run.h"

#include "store/image.h"

#include <errno.h>
#include <string.h>

/* Checks the name and that the disk is defined. False: answered. */
static bool check(struct request *request, json_t **ret_object)
{
	const char *name = request_argument(request, "name");
	json_t *object;
	AUTO_STRING struct string id = { 0 };
	if (!*name || strpbrk(name, "/@")) {
		answer_message(request, 400, "snapshot name is invalid");
		return false;
	}
	if (!request_load(request, ret_object))
		return false;
	object = *ret_object;
	string_format(&id, "%s/%s", request_argument(request, "pool"),
	              request_argument(request, "image"));
	if (json_object_get(json_object_get(object, "disks"), id.text))
		return true;
	answer_message(request, 404, "rbd image %s not found", id.text);
	return false;
}

void run_snapshot_put(struct request *request)
{
	const char *name = request_argument(request, "name");
	const char *mode = request_argument(request, "mode");
	AUTO_JSON json_t *object = NULL;
	struct error err = { 0 };
	if (!check(request, &object))
		return;
	if (strcmp(mode, "rollback") == 0) {
		run_rollback(request, object);
		return;
	}
	if (strcmp(mode, "create") != 0) {
		answer_message(request, 400, "mode is invalid");
		return;
	}
	int r = image_snapshot_create(request->api->config.store, request_argument(request, "pool"),
	                              request_argument(request, "image"), name, &err);
	if (r == -EEXIST)
		answer_message(request, 400, "snapshot %s already exists", name);
	else if (r < 0)
		answer_message(request, 400, "failed to create snapshot: %s", err.text);
	else
		answer_message(request, 200, "disk snapshot snapshot created");
}

void run_snapshot_delete(struct request *request)
{
	const char *name = request_argument(request, "name");
	AUTO_JSON json_t *object = NULL;
	struct error err = { 0 };
	if (!check(request, &object))
		return;
	int r = image_snapshot_remove(request->api->config.store, request_argument(request, "pool"),
	                              request_argument(request, "image"), name, &err);
	if (r == -ENOENT)
		answer_message(request, 404, "snapshot %s does not exist", name);
	else if (r < 0)
		answer_message(request, 400, "failed to delete snapshot: %s", err.text);
	else
		answer_message(request, 200, "disk snapshot snapshot deleted");
}
