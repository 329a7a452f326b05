/* Fetching and keeping what the gateways say. See model.h. */
#include "cli/model.h"

#include <string.h>

static void forget(json_t **value)
{
	json_decref(*value);
	*value = NULL;
}

void model_forget(struct model *model)
{
	forget(&model->overview);
	forget(&model->disks);
	forget(&model->gateways);
	forget(&model->clients);
}

void model_done(struct model *model)
{
	model_forget(model);
	forget(&model->config);
	forget(&model->settings);
}

long model_refresh(struct model *model)
{
	AUTO_REPLY struct reply reply;
	api_call(model->api, &(struct request){ API_GET, .path = "/config" }, &reply);
	model_forget(model);
	if (!reply_ok(&reply) || !json_is_object(reply.body))
		return reply_ok(&reply) ? 500 : reply.status;
	json_decref(model->config);
	model->config = json_incref(reply.body);
	return 0;
}

static json_t *nothing(void)
{
	static json_t *empty;
	if (!empty)
		empty = json_object();
	return empty;
}

json_t *model_member(const json_t *object, const char *name)
{
	json_t *member = json_object_get(object, name);
	return json_is_object(member) ? member : nothing();
}

json_t *model_targets(const struct model *model)
{
	return model_member(model->config, "targets");
}

json_t *model_disks(const struct model *model)
{
	return model_member(model->config, "disks");
}

json_t *model_overview(struct model *model, const char *member)
{
	if (!model->overview) {
		AUTO_REPLY struct reply reply;
		api_call(model->api, &(struct request){ API_GET, .path = "/overview" }, &reply);
		bool known = reply_ok(&reply) && json_is_object(reply.body);
		model->overview = known ? json_incref(reply.body) : json_object();
	}
	return model_member(model->overview, member);
}

json_t *model_settings(struct model *model, const char *member)
{
	if (!model->settings) {
		AUTO_REPLY struct reply reply;
		api_call(model->api, &(struct request){ API_GET, .path = "/settings" }, &reply);
		if (!reply_ok(&reply))
			return nothing();
		model->settings = json_incref(reply.body);
	}
	return model_member(model->settings, member);
}

/* One GET for each path; ret_replies as long as the list. */
static struct reply *get_paths(struct model *model, struct string *paths, size_t count)
{
	struct request *requests = calloc(count + 1, sizeof *requests);
	struct reply *replies = calloc(count + 1, sizeof *replies);
	if (requests && replies) {
		for (size_t i = 0; i < count; i++) {
			requests[i] = (struct request){ API_GET };
			requests[i].path = paths[i].text ? paths[i].text : "/";
		}
		api_get_many(model->api, requests, count, replies);
	}
	free(requests);
	return replies;
}

static void fetch_disks(struct model *model)
{
	const char *id;
	json_t *disk;
	size_t count = json_object_size(model_disks(model)), i = 0;
	struct string *paths = calloc(count + 1, sizeof *paths);
	if (!paths)
		return;
	json_object_foreach (model_disks(model), id, disk)
		string_format(&paths[i++], "/disk/%s", id);
	struct reply *replies = get_paths(model, paths, count);
	i = 0;
	json_object_foreach (model_disks(model), id, disk) {
		if (replies && reply_ok(&replies[i]))
			json_object_set(model->disks, id, replies[i].body);
		if (replies)
			reply_done(&replies[i]);
		string_clear(&paths[i++]);
	}
	free(replies);
	free(paths);
}

json_t *model_disk(struct model *model, const char *id)
{
	json_t *known = json_object_get(model_overview(model, "disks"), id);
	if (known)
		return known;
	if (!model->disks) {
		model->disks = json_object();
		fetch_disks(model);
	}
	return model_member(model->disks, id);
}

json_t *model_client(struct model *model, const char *target, const char *client)
{
	json_t *known = json_object_get(model_overview(model, "clients"), target);
	if (known)
		return model_member(known, client);
	if (!model->clients)
		model->clients = json_object();
	json_t *of_target = json_object_get(model->clients, target);
	if (!of_target) {
		of_target = json_object();
		json_object_set_new(model->clients, target, of_target);
	}
	known = json_object_get(of_target, client);
	if (known)
		return known;
	AUTO_STRING struct string path = { 0 };
	string_format(&path, "/clientinfo/%s/%s", target, client);
	AUTO_REPLY struct reply reply;
	api_call(model->api, &(struct request){ API_GET, .path = path.text }, &reply);
	known = reply_ok(&reply) && reply.body ? json_incref(reply.body) : json_object();
	json_object_set_new(of_target, client, known);
	return known;
}

static const char *state_of_ping(const struct reply *reply)
{
	static const struct {
		long status;
		const char *state;
	} states[] = {
		{ 200, "UP" }, { 401, "UNAUTHORIZED" }, { 403, "FORBIDDEN" }, { 503, "PARTIAL" }
	};
	for (size_t i = 0; i < ARRAY_LEN(states); i++) {
		if (reply->status == states[i].status)
			return states[i].state;
	}
	return "UNKNOWN";
}

/* A portal of the gateway, in whatever target; NULL if it has none. Borrowed. */
static const char *portal_of(const struct model *model, const char *gateway)
{
	const char *iqn;
	json_t *target;
	json_object_foreach (model_targets(model), iqn, target) {
		const json_t *portal = model_member(model_member(target, "portals"), gateway);
		const json_t *addresses = json_object_get(portal, "portal_ip_addresses");
		const char *address = json_string_value(json_array_get(addresses, 0));
		if (address)
			return address;
	}
	return NULL;
}

/* Asks those at a portal whose names lead nowhere: names need not resolve. */
static void ping_portals(struct model *model, struct request *requests, struct reply *replies,
                         size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (!replies[i].nobody || !requests[i].host)
			continue;
		requests[i].address = portal_of(model, requests[i].host);
		if (!requests[i].address)
			continue;
		reply_done(&replies[i]);
		api_get_many(model->api, &requests[i], 1, &replies[i]);
	}
}

static void ping_gateways(struct model *model)
{
	const char *name;
	json_t *gateway;
	json_t *gateways = model_member(model->config, "gateways");
	size_t most = json_object_size(gateways), count = 0;
	AUTO_FREE struct request *requests = calloc(most + 1, sizeof *requests);
	AUTO_FREE struct reply *replies = calloc(most + 1, sizeof *replies);
	AUTO_FREE const char **names = calloc(most + 1, sizeof *names);
	if (!requests || !replies || !names)
		return;
	json_object_foreach (gateways, name, gateway) {
		if (!json_is_object(gateway))
			continue;
		/* This host by the way that works already, not by its name. */
		requests[count] = (struct request){
			.host = strcmp(name, model->gateway_name) ? name : NULL,
			.path = "/_ping",
			.timeout_s = API_PING_TIMEOUT_S,
		};
		names[count++] = name;
	}
	api_get_many(model->api, requests, count, replies);
	ping_portals(model, requests, replies, count);
	for (size_t i = 0; i < count; i++) {
		json_object_set_new(model->gateways, names[i],
		                    json_string(state_of_ping(&replies[i])));
		reply_done(&replies[i]);
	}
}

const char *model_gateway_state(struct model *model, const char *gateway)
{
	const char *known = json_text(model_overview(model, "gateways"), gateway, NULL);
	if (known)
		return known;
	if (!model->gateways) {
		model->gateways = json_object();
		ping_gateways(model);
	}
	return json_text(model->gateways, gateway, "UNKNOWN");
}

enum disk_size model_disk_size(struct model *model, const char *id, uint64_t *ret_bytes)
{
	json_t *size = json_object_get(model_disk(model, id), "size");
	if (json_is_null(size))
		return DISK_GONE;
	if (!json_is_integer(size))
		return DISK_SIZE_UNKNOWN;
	*ret_bytes = (uint64_t)json_integer_value(size);
	return DISK_SIZE_KNOWN;
}

uint64_t model_disks_size(struct model *model, const json_t *ids)
{
	const char *id;
	json_t *value;
	uint64_t total = 0, bytes;
	json_object_foreach ((json_t *)ids, id, value) {
		if (model_disk_size(model, id, &bytes) == DISK_SIZE_KNOWN)
			total += bytes;
	}
	return total;
}
