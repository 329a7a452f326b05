/* Routes about what runs now: asked of the local rbd-target-io, and of the other gateways. */
#include "api/control.h"
#include "api/host.h"
#include "api/owners.h"
#include "api/peer.h"
#include "api/run.h"

#include "base/log.h"

#include <string.h>

json_t *local_status(const struct request *request)
{
	const struct rest_config *config = &request->api->config;
	json_t *status = NULL;
	int r = control_status(config->settings->run_dir, config->gateway_name, &status, NULL);
	return r < 0 ? NULL : status;
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

/* compat: upstream's member, and one of ours beside it. */
static void answer_gateway(struct request *request, const json_t *object)
{
	const json_t *targets = json_object_get(object, "targets");
	json_t *info = json_pack("{s:I}", "num_sessions", count_sessions(request, NULL, targets));
	json_t *owners = NULL;
	struct error err = { 0 };
	AUTO_JSON json_t *status = local_status(request);
	if (owners_read(request->api, object, &owners, &err) < 0) {
		log_warning("gatewayinfo without owners: %s", err.text);
	} else {
		owners_add_view(owners, status);
		(void)json_object_set_new(info, "rbdgate", owners);
	}
	answer(request, 200, info);
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
		answer_gateway(request, object);
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

/* States of LUNs in upstream's words. A LUN that another gateway owns is well; one whose storage
 * does not answer is not. */
static const char *state_word(const json_t *here)
{
	const char *state = json_text(here, "state", "");
	static const struct {
		const char *state, *word;
	} words[] = {
		{ "hung", "Degraded - cluster access failure" },
		{ "ready", "Online" },
		{ "standby", "Online" },
		{ "forwarded", "Online" },
		{ "on demand", "Online" },
		{ "operation", "Online" },
		{ "held", "Online" },
		{ "busy", "Online" },
		{ "transitioning", "Degraded - cluster access failure" },
		{ "failed", "Degraded - cluster access failure" },
	};
	if (json_number(here, "hung_s", 0) > 0)
		state = "hung";
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (strcmp(words[i].state, state) == 0)
			return words[i].word;
	return "Unknown";
}

/* By the record; without one (an upstream gateway's LUN) by what runs here. */
static const char *lock_owner(const json_t *here, const char *gateway, const json_t *lun)
{
	if (lun && strcmp(json_text(lun, "state", "none"), "none") != 0)
		return json_text(lun, "owner", "");
	return json_flag(here, "owner", false) ? gateway : json_text(here, "preferred_owner", "");
}

json_t *disk_status(const json_t *status, const char *gateway, const char *id, const json_t *lun)
{
	size_t i;
	json_t *here;
	json_array_foreach (json_object_get(status, "luns"), i, here) {
		if (strcmp(json_text(here, "name", ""), id) != 0)
			continue;
		return json_pack("{s:s, s:s, s:{s:{s:i, s:i, s:i}}}", "state", state_word(here),
		                 "lock_owner", lock_owner(here, gateway, lun), "gateways", gateway,
		                 "lock_lost_cnt", 0, "conn_lost_cnt", 0, "cmd_timed_out_cnt", 0);
	}
	return json_pack("{s:s}", "state", "Unknown");
}

/* NULL: not known. */
static json_t *read_lun(const struct request *request, const char *id)
{
	json_t *lun = NULL;
	struct error err = { 0 };
	if (owners_read_lun(request->api, id, json_text(request->body, "owner", ""), &lun, &err) <
	    0)
		log_warning("%s: the owner is not known: %s", id, err.text);
	return lun;
}

void run_disk(struct request *request)
{
	AUTO_STRING struct string id = { 0 };
	string_format(&id, "%s/%s", request_argument(request, "pool"),
	              request_argument(request, "image"));
	run_stored_disk(request);
	if (request->status == 200 && id.text) {
		AUTO_JSON json_t *status = local_status(request);
		AUTO_JSON json_t *lun = read_lun(request, id.text);
		const char *gateway = request->api->config.gateway_name;
		json_t *disk = json_copy(request->body);
		(void)json_object_set_new(disk, "status",
		                          disk_status(status, gateway, id.text, lun));
		answer(request, 200, disk);
	}
}
