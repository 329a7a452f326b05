/* Who uses a disk, for who would change it under its hosts (docs/availability.md, "Rolling back to
 * a snapshot"): GET /api/_diskuse tells it of this gateway, and the survey asks that of all. */
#include "api/disk_use.h"

#include "api/owners.h"
#include "api/peer.h"
#include "api/run.h"

#include <stdio.h>
#include <string.h>

/* ---- this gateway ---- */

static bool session_sees(const json_t *object, const json_t *session, const char *id)
{
	const json_t *target = json_object_get(json_object_get(object, "targets"),
	                                       json_text(session, "target", ""));
	const json_t *client = json_object_get(json_object_get(target, "clients"),
	                                       json_text(session, "initiator", ""));
	if (!json_object_get(json_object_get(target, "disks"), id))
		return false;
	return !json_flag(target, "acl_enabled", true) ||
	       json_object_get(json_object_get(client, "luns"), id);
}

/* {"state", "in_use"} of this gateway; NULL: its data path does not answer. */
static json_t *local_use(const struct request *request, const json_t *object, const char *id)
{
	AUTO_JSON json_t *status = local_status(request);
	const char *state = "";
	bool in_use = false;
	size_t i;
	json_t *item;
	if (!status)
		return NULL;
	json_array_foreach (json_object_get(status, "luns"), i, item)
		if (strcmp(json_text(item, "name", ""), id) == 0) /* who takes it may serve it */
			state = json_flag(item, "moving", false) ? "moving"
			                                         : json_text(item, "state", "");
	json_array_foreach (json_object_get(status, "sessions"), i, item)
		in_use |= session_sees(object, item, id);
	return json_pack("{s:s, s:b}", "state", state, "in_use", in_use);
}

void run_local_disk_use(struct request *request)
{
	AUTO_JSON json_t *object = NULL;
	AUTO_STRING struct string id = { 0 };
	if (!request_load(request, &object))
		return;
	string_format(&id, "%s/%s", request_argument(request, "pool"),
	              request_argument(request, "image"));
	json_t *use = id.text ? local_use(request, object, id.text) : NULL;
	if (use)
		answer(request, 200, use);
	else
		answer_message(request, 503, "rbd-target-io does not answer");
}

/* ---- all gateways ---- */

struct inquiry {
	const struct request *request;
	const json_t *object;
	const char *id;
	const json_t *gateways; /* as owners_read() tells them */
	struct disk_survey *survey;
};

static json_t *ask_gateway(const struct inquiry *inquiry, const char *gateway, const json_t *portal)
{
	AUTO_STRING struct string path = { 0 };
	json_t *use = NULL;
	if (strcmp(gateway, inquiry->request->api->config.gateway_name) == 0)
		return local_use(inquiry->request, inquiry->object, inquiry->id);
	string_format(&path, "/api/_diskuse/%s", inquiry->id);
	if (path.text)
		(void)peer_get(inquiry->request->api, gateway,
		               json_object_get(portal, "portal_ip_addresses"), path.text, &use);
	return use;
}

static void survey_gateway(const struct inquiry *inquiry, const char *gateway, const json_t *portal)
{
	struct disk_survey *survey = inquiry->survey;
	char *problem = survey->problem;
	const char *registered =
	        json_text(json_object_get(inquiry->gateways, gateway), "state", "");
	if (strcmp(registered, "stopped") == 0 || strcmp(registered, "fenced") == 0 || *problem)
		return;
	if (strcmp(registered, "unregistered") == 0) {
		(void)snprintf(problem, sizeof survey->problem,
		               "failed on %s. It is an upstream gateway, or was never started, and "
		               "knows of no rollback: unmap the disk, and use rbd snap rollback",
		               gateway);
		return;
	}
	AUTO_JSON json_t *use = ask_gateway(inquiry, gateway, portal);
	const char *state = json_text(use, "state", "");
	survey->count++;
	survey->takers += strcmp(registered, "up") == 0;
	if (!use)
		(void)snprintf(problem, sizeof survey->problem,
		               "failed on %s. It does not tell who is logged in: do rbd-target-io "
		               "and rbd-target-api run there, of this release?",
		               gateway);
	else if (json_flag(use, "in_use", true)) /* compat: upstream's words */
		(void)snprintf(problem, sizeof survey->problem,
		               "failed on %s. deactivate failed - LUN %s in-use", gateway,
		               strchr(inquiry->id, '/') + 1);
	else if (*state && strcmp(state, "operation") != 0)
		(void)snprintf(survey->serves, sizeof survey->serves, "%s", gateway);
}

void disk_survey_make(const struct request *request, const json_t *object, const char *id,
                      struct disk_survey *ret_survey)
{
	AUTO_JSON json_t *owners = NULL;
	struct disk_survey *survey = ret_survey;
	struct error err = { 0 };
	const char *iqn, *gateway;
	json_t *target, *portal;
	*survey = (struct disk_survey){ 0 };
	if (owners_read(request->api, object, &owners, &err) < 0) {
		(void)snprintf(survey->problem, sizeof survey->problem, "%s", err.text);
		return;
	}
	const struct inquiry inquiry = { request, object, id, json_object_get(owners, "gateways"),
		                         survey };
	json_object_foreach (json_object_get(object, "targets"), iqn, target) {
		if (!json_object_get(json_object_get(target, "disks"), id))
			continue;
		json_object_foreach (json_object_get(target, "portals"), gateway, portal)
			survey_gateway(&inquiry, gateway, portal);
	}
	if (!*survey->problem && survey->count > 0 && survey->takers == 0)
		(void)snprintf(survey->problem, sizeof survey->problem,
		               "no gateway may own it now: end a maintenance (undrain) first");
}
