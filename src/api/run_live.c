/* Routes about what runs now: asked of the local rbd-target-io, and of the other gateways. */
#include "api/control.h"
#include "api/host.h"
#include "api/peer.h"
#include "api/run.h"

#include <string.h>

/* The local daemon's status; NULL if it does not serve. */
json_t *local_status(const struct request *request)
{
	const struct rest_config *config = &request->api->config;
	json_t *status = NULL;
	struct error err;
	if (control_status(config->settings->run_dir, config->gateway_name, &status, &err) < 0)
		return NULL;
	return status;
}

void run_ping(struct request *request)
{
	AUTO_JSON json_t *object = NULL;
	if (!request_load(request, &object))
		return;
	AUTO_JSON json_t *status = NULL;
	bool serves = true; /* compat: a host that is no gateway has nothing that could be down */
	if (json_object_get(json_object_get(object, "gateways"),
	                    request->api->config.gateway_name)) {
		status = local_status(request);
		serves = json_flag(status, "serving", status != NULL);
	}
	answer_message(request, serves ? 200 : 503, "pong");
}

/* ---- counts ---- */

static const json_t *portal_addresses(const json_t *portal)
{
	return json_object_get(portal, "portal_ip_addresses");
}

/* Sessions of one target, or of all that have a portal here. */
static json_int_t count_sessions(const struct request *request, const char *target,
                                 const json_t *targets)
{
	AUTO_JSON json_t *status = local_status(request);
	json_int_t count = 0;
	size_t i;
	json_t *session;
	json_array_foreach (json_object_get(status, "sessions"), i, session) {
		const char *of = json_text(session, "target", "");
		count += target ? strcmp(of, target) == 0 : json_object_get(targets, of) != NULL;
	}
	return count;
}

static void answer_count(struct request *request, json_int_t count)
{
	answer(request, 200, json_pack("{s:I}", "num_sessions", count));
}

void run_gatewayinfo(struct request *request)
{
	AUTO_JSON json_t *object = NULL;
	const char *name = request->api->config.gateway_name;
	if (!request_load(request, &object))
		return;
	if (!json_object_get(json_object_get(object, "gateways"), name))
		answer_message(request, 404, "Gateway %s does not exist in configuration", name);
	else
		answer_count(request,
		             count_sessions(request, NULL, json_object_get(object, "targets")));
}

void run_local_targetinfo(struct request *request)
{
	AUTO_JSON json_t *object = NULL;
	char iqn[IQN_MAX];
	json_t *target;
	if (request_load(request, &object) && request_target(request, object, iqn, &target))
		answer_count(request, count_sessions(request, iqn, NULL));
}

void run_targetinfo(struct request *request)
{
	AUTO_JSON json_t *object = NULL;
	char iqn[IQN_MAX];
	json_t *target, *portal;
	if (!request_load(request, &object) || !request_target(request, object, iqn, &target))
		return;
	json_int_t count = count_sessions(request, iqn, NULL);
	const char *gateway;
	json_object_foreach (json_object_get(target, "portals"), gateway, portal) {
		AUTO_JSON json_t *body = NULL;
		AUTO_STRING struct string path = { 0 };
		string_format(&path, "/api/_targetinfo/%s", iqn);
		if (strcmp(gateway, request->api->config.gateway_name) != 0 && path.text &&
		    peer_get(request->api, gateway, portal_addresses(portal), path.text, &body))
			count += json_number(body, "num_sessions", 0);
	}
	answer_count(request, count);
}

/* ---- one client ---- */

/* Target and client of the request. False: answered. */
static bool request_client(struct request *request, const json_t *object, char target_iqn[IQN_MAX],
                           char client_iqn[IQN_MAX], json_t **ret_target)
{
	if (!request_target(request, object, target_iqn, ret_target))
		return false;
	const char *text = request_argument(request, "client_iqn");
	if (iqn_normalize(text, client_iqn) == 0 &&
	    json_object_get(json_object_get(*ret_target, "clients"), client_iqn))
		return true;
	answer_message(request, 404, "Client %s does not exist", text);
	return false;
}

/* "10.0.0.5:51712" or "[fd00::5]:51712" without the port. */
static json_t *peer_address(const char *peer)
{
	char text[64];
	const char *end = strrchr(peer, ':');
	size_t len = end ? (size_t)(end - peer) : strlen(peer);
	if (len > 1 && peer[0] == '[' && peer[len - 1] == ']') {
		peer++;
		len -= 2;
	}
	if (len >= sizeof text)
		len = sizeof text - 1;
	memcpy(text, peer, len);
	text[len] = '\0';
	return json_string(text);
}

/* {"alias", "ip_address", "state"} of this gateway. */
static json_t *local_client(const struct request *request, const char *target, const char *client)
{
	AUTO_JSON json_t *status = local_status(request);
	json_t *info = json_pack("{s:s, s:[], s:s}", "alias", "", "ip_address", "state", "");
	size_t i;
	json_t *session;
	json_array_foreach (json_object_get(status, "sessions"), i, session) {
		if (strcmp(json_text(session, "target", ""), target) != 0 ||
		    strcmp(json_text(session, "initiator", ""), client) != 0)
			continue;
		(void)json_object_set_new(info, "alias",
		                          json_string(json_text(session, "alias", "")));
		(void)json_object_set_new(info, "state", json_string("LOGGED_IN"));
		(void)json_array_append_new(json_object_get(info, "ip_address"),
		                            peer_address(json_text(session, "peer", "")));
	}
	return info;
}

void run_local_clientinfo(struct request *request)
{
	AUTO_JSON json_t *object = NULL;
	char target_iqn[IQN_MAX], client_iqn[IQN_MAX];
	json_t *target;
	if (request_load(request, &object) &&
	    request_client(request, object, target_iqn, client_iqn, &target))
		answer(request, 200, local_client(request, target_iqn, client_iqn));
}

static void merge_addresses(json_t *all, const json_t *more)
{
	size_t i, j;
	json_t *item, *present;
	json_array_foreach (more, i, item) {
		bool found = false;
		json_array_foreach (all, j, present)
			found |= json_equal(item, present);
		if (!found)
			(void)json_array_append(all, item);
	}
}

static void merge_client(json_t *info, const char *gateway, const json_t *part)
{
	const char *alias = json_text(part, "alias", ""), *state = json_text(part, "state", "");
	json_t *states = json_object_get(info, "state");
	if (*alias)
		(void)json_object_set_new(info, "alias", json_string(alias));
	if (*state && !json_object_get(states, state))
		(void)json_object_set_new(states, state, json_array());
	if (*state)
		(void)json_array_append_new(json_object_get(states, state), json_string(gateway));
	merge_addresses(json_object_get(info, "ip_address"), json_object_get(part, "ip_address"));
}

void run_clientinfo(struct request *request)
{
	AUTO_JSON json_t *object = NULL;
	char target_iqn[IQN_MAX], client_iqn[IQN_MAX];
	json_t *target, *portal;
	if (!request_load(request, &object) ||
	    !request_client(request, object, target_iqn, client_iqn, &target))
		return;
	json_t *info = json_pack("{s:s, s:[], s:{}}", "alias", "", "ip_address", "state");
	const char *gateway;
	json_object_foreach (json_object_get(target, "portals"), gateway, portal) {
		AUTO_JSON json_t *part = NULL;
		AUTO_STRING struct string path = { 0 };
		string_format(&path, "/api/_clientinfo/%s/%s", target_iqn, client_iqn);
		if (strcmp(gateway, request->api->config.gateway_name) == 0)
			part = local_client(request, target_iqn, client_iqn);
		else if (!path.text || !peer_get(request->api, gateway, portal_addresses(portal),
		                                 path.text, &part))
			continue;
		merge_client(info, gateway, part);
	}
	answer(request, 200, info);
}

/* ---- one disk ---- */

/* States of LUNs in upstream's words. A LUN that another gateway owns is well. */
static const char *state_word(const char *state)
{
	static const struct {
		const char *state, *word;
	} words[] = {
		{ "ready", "Online" },
		{ "standby", "Online" },
		{ "transitioning", "Online" },
		{ "failed", "Degraded - cluster access failure" },
	};
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (strcmp(words[i].state, state) == 0)
			return words[i].word;
	return "Unknown";
}

/* {"state", "lock_owner", "gateways"}; only {"state": "Unknown"} if nobody here serves it. */
json_t *disk_status(const json_t *status, const char *gateway, const char *id)
{
	size_t i;
	json_t *lun;
	json_array_foreach (json_object_get(status, "luns"), i, lun) {
		if (strcmp(json_text(lun, "name", ""), id) != 0)
			continue;
		bool owner = json_flag(lun, "owner", false);
		return json_pack("{s:s, s:s, s:{s:{s:i, s:i, s:i}}}", "state",
		                 state_word(json_text(lun, "state", "")), "lock_owner",
		                 owner ? gateway : json_text(lun, "preferred_owner", ""),
		                 "gateways", gateway, "lock_lost_cnt", 0, "conn_lost_cnt", 0,
		                 "cmd_timed_out_cnt", 0);
	}
	return json_pack("{s:s}", "state", "Unknown");
}

void run_disk(struct request *request)
{
	AUTO_STRING struct string id = { 0 };
	string_format(&id, "%s/%s", request_argument(request, "pool"),
	              request_argument(request, "image"));
	run_stored_disk(request);
	if (request->status == 200 && id.text) {
		AUTO_JSON json_t *status = local_status(request);
		const char *gateway = request->api->config.gateway_name;
		json_t *disk = json_copy(request->body);
		(void)json_object_set_new(disk, "status", disk_status(status, gateway, id.text));
		answer(request, 200, disk);
	}
}
