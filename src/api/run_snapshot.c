/* Snapshots of a disk: create, delete. They leave the object alone. */
#include "api/run.h"

#include "store/image.h"

#include <errno.h>
#include <string.h>

/* Checks the name and that the disk is defined. False: answered. */
static bool check(struct request *request)
{
	const char *name = request_argument(request, "name");
	AUTO_JSON json_t *object = NULL;
	AUTO_STRING struct string id = { 0 };
	if (!*name || strpbrk(name, "/@")) {
		answer_message(request, 400, "snapshot name is invalid");
		return false;
	}
	if (!request_load(request, &object))
		return false;
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
	struct error err = { 0 };
	if (!check(request))
		return;
	if (strcmp(mode, "rollback") == 0) {
		answer_message(request, 501,
		               "failed to rollback snapshot: not possible while gateways serve the "
		               "disk; unmap it and use rbd snap rollback");
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
	struct error err = { 0 };
	if (!check(request))
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
