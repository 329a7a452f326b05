/* The nodes /iscsi-targets/IQN/gateways and below: the portals of a target. */
#include "cli/kinds.h"
#include "cli/owners.h"
#include "cli/render.h"

#include <string.h>
#include <strings.h>

static size_t count_up(struct shell *shell, const json_t *portals)
{
	const char *name;
	json_t *portal;
	size_t up = 0;
	json_object_foreach ((json_t *)portals, name, portal)
		up += strcmp(model_gateway_state(&shell->model, name), "UP") == 0;
	return up;
}

static void expand(struct shell *shell, struct node *node)
{
	const char *name;
	json_t *portal;
	json_object_foreach (node->data, name, portal)
		(void)node_add(node, &kind_gateway, name, portal);
}

static void summary(struct shell *shell, struct node *node, struct summary *ret_summary)
{
	size_t count = json_object_size(node->data), up = count_up(shell, node->data);
	summary_set(ret_summary, up == count ? HEALTH_GOOD : HEALTH_BAD,
	            "Up: %zu/%zu, Portals: %zu", up, count, count);
}

/* "[fd00::1],10.0.0.1" without brackets and blanks; free() it. */
static char *plain_addresses(const char *addresses)
{
	AUTO_STRING struct string text = { 0 };
	for (; *addresses; addresses++) {
		if (!strchr("[] ", *addresses))
			string_add_char(&text, *addresses);
	}
	return string_take(&text);
}

/* Asks the new gateway for its name: it must be there, with the same way of talking. At the first
 * of its addresses, if its name leads nowhere. */
static bool gateway_answers(struct shell *shell, const char *name, const char *addresses)
{
	AUTO_REPLY struct reply reply;
	AUTO_FREE char *address = strndup(addresses, strcspn(addresses, ","));
	struct request request = { API_GET, .host = name, .path = "/sysinfo/hostname" };
	if (strcmp(name, shell->options.gateway_name) == 0)
		request.host = NULL;
	api_call(shell->model.api, &request, &reply);
	if (reply.nobody && request.host) {
		request.address = address;
		reply_done(&reply);
		api_call(shell->model.api, &request, &reply);
	}
	if (reply_ok(&reply))
		return true;
	say(&shell->output, SAY_ERROR,
	    "Get gateway hostname failed : %s\nPlease check api_host setting and make sure host %s "
	    "IP is listening on port %u",
	    reply.message, name, shell->options.api.port);
	return false;
}

enum outcome gateway_create(struct shell *shell, const char *target, const char *name,
                            const char *addresses, bool nosync, bool skipchecks)
{
	const json_t *entry = model_member(model_targets(&shell->model), target);
	const json_t *portals = model_member(entry, "portals");
	if (json_object_size(portals) == 0 && strcmp(name, shell->options.gateway_name) != 0)
		return shell_refuse(shell, "The first gateway defined must be the local machine");
	AUTO_FREE char *ip_address = plain_addresses(addresses);
	if (!ip_address)
		return shell_refuse(shell, "Out of memory");
	AUTO_REPLY struct reply config;
	api_call(shell->model.api, &(struct request){ API_GET, .path = "/config" }, &config);
	if (!reply_ok(&config)) {
		say(&shell->output, SAY_ERROR, "REST API failure, code : %ld", config.status);
		return shell_refuse(
		        shell,
		        "Unable to refresh local config over API - sync aborted, restart "
		        "rbd-target-api on %s to sync",
		        name);
	}
	if (skipchecks)
		say(&shell->output, SAY_WARNING, "OS version/package checks have been bypassed");
	else if (!json_object_get(portals, name) && !gateway_answers(shell, name, ip_address))
		return OUTCOME_FAILED;
	if (nosync)
		say(&shell->output, SAY_OK, "Adding gateway, sync skipped");
	else
		say(&shell->output, SAY_OK,
		    "Adding gateway, sync'ing %zu disk(s) and %zu client(s)",
		    json_object_size(model_member(entry, "disks")),
		    json_object_size(model_member(entry, "clients")));
	const struct field fields[] = {
		{ "nosync", nosync ? "True" : "False" },
		{ "skipchecks", skipchecks ? "true" : "false" },
		{ "ip_address", ip_address },
		{ NULL },
	};
	AUTO_REPLY struct reply reply;
	shell_change(shell, API_PUT, fields, &reply, "/gateway/%s/%s", target, name);
	return shell_report(shell, &reply, "Failed : ");
}

static enum outcome run_create(struct shell *shell, struct call *call)
{
	bool nosync, skipchecks = strcasecmp(call->arg[3], "true") == 0;
	if (!skipchecks && strcasecmp(call->arg[3], "false") != 0)
		return shell_refuse(shell, "skipchecks must be either true or false");
	if (!parse_flag(shell, call->arg[2], &nosync))
		return OUTCOME_USAGE;
	return gateway_create(shell, call->at->parent->name, call->arg[0], call->arg[1], nosync,
	                      skipchecks);
}

static enum outcome refuse_delete(struct shell *shell, const struct reply *reply, const char *name)
{
	AUTO_STRING struct string away = { 0 };
	string_format(&away, "unavailable:%s", name);
	if (away.text && strstr(reply->message, away.text))
		return shell_refuse(
		        shell,
		        "Could not contact %s. If the gateway is permanently down. Use "
		        "confirm=true to force removal. WARNING: Forcing removal of a "
		        "gateway that can still be reached by an initiator may result in "
		        "data corruption.",
		        name);
	return shell_refuse(shell, "Failed : %s", reply->message);
}

static enum outcome run_delete(struct shell *shell, struct call *call)
{
	const char *name = call->arg[0];
	bool confirmed = false;
	size_t count = json_object_size(call->at->data);
	say(&shell->output, SAY_OK, "Deleting gateway, %s", name);
	if (call->arg[1] && !parse_flag(shell, call->arg[1], &confirmed))
		return OUTCOME_USAGE;
	if (count == 0)
		return shell_refuse(shell, "Target is not mapped to any gateways.");
	if (count == 1 && !confirmed)
		return shell_refuse(shell,
		                    "Deleting the last gateway will remove all objects on this "
		                    "target. Use confirm=true");
	const struct field fields[] = { { "force", confirmed ? "true" : "false" }, { NULL } };
	AUTO_REPLY struct reply reply;
	shell_change(shell, API_DELETE, fields, &reply, "/gateway/%s/%s", call->at->parent->name,
	             name);
	return reply_ok(&reply) ? shell_report(shell, &reply, "")
	                        : refuse_delete(shell, &reply, name);
}

static enum outcome run_refresh(struct shell *shell, struct call *call)
{
	if (call->at->kind == &kind_gateways && json_object_size(call->at->data) == 0)
		return shell_refuse(shell, "No gateways to refresh");
	model_forget(&shell->model);
	return OUTCOME_DONE;
}

static enum outcome run_info(struct shell *shell, struct call *call)
{
	size_t count;
	struct node **children = node_children(shell, call->at, &count);
	AUTO_JSON json_t *names = json_array();
	for (size_t i = 0; i < count; i++) {
		(void)json_array_append_new(names, json_string(children[i]->name));
		if (!shell->output.json)
			fprintf(shell->output.out, "%s\n", children[i]->name);
	}
	if (shell->output.json)
		render_json(shell->output.out, names);
	return OUTCOME_DONE;
}

static enum outcome run_drain(struct shell *shell, struct call *call)
{
	bool force;
	if (!parse_flag(shell, call->arg[1], &force))
		return OUTCOME_USAGE;
	return owners_drain(shell, call->arg[0], force);
}

static enum outcome run_undrain(struct shell *shell, struct call *call)
{
	return owners_undrain(shell, call->arg[0]);
}

static enum outcome run_balance(struct shell *shell, struct call *call)
{
	return owners_balance(shell, call->at->parent->name);
}

#define BALANCE_HELP                                                                             \
	"Give each gateway its share of the preferred owners, with the fewest changes: after a " \
	"gateway was\nadded, which by itself owns no disk that was there before."
#define DRAIN_HELP                                                                                \
	"Before maintenance: hand all LUNs over to other gateways, and take none until "          \
	"`undrain`.\nIf no other gateway could take them now, that needs confirm=true: it keeps " \
	"them until one can."
#define UNDRAIN_HELP "Maintenance is over: LUNs that prefer the gateway return to it."

static const struct verb verbs[] = {
	{ "create", "gateway_name ip_addresses [nosync=false] [skipchecks=false]",
	  "Add a gateway: its host name and its address (several with commas). The first must be "
	  "this "
	  "host.",
	  run_create },
	{ "delete", "gateway_name [confirm]",
	  "Take a gateway away; confirm=true for the last one, or one that cannot be reached.",
	  run_delete },
	{ "refresh", "", "Ask for the state of the gateways again.", run_refresh },
	{ "info", "", "List the gateways.", run_info, .json = true },
	{ "balance", "", BALANCE_HELP, run_balance, .json = true },
	{ "drain", "gateway_name [confirm=false]", DRAIN_HELP, run_drain, .json = true },
	{ "undrain", "gateway_name", UNDRAIN_HELP, run_undrain, .json = true },
	HISTORY_VERB,
};

const struct node_kind kind_gateways = {
	.intro = "The gateways through which hosts reach this target.",
	.expand = expand,
	.summary = summary,
	KIND_VERBS(verbs),
};

/* --- one gateway --- */

static void gateway_summary(struct shell *shell, struct node *node, struct summary *ret_summary)
{
	const char *state = model_gateway_state(&shell->model, node->name);
	AUTO_STRING struct string addresses = { 0 };
	size_t i;
	json_t *address;
	json_array_foreach (json_object_get(node->data, "portal_ip_addresses"), i, address)
		string_format(&addresses, "%s%s", i ? "," : "", json_string_value(address));
	summary_set(ret_summary, strcmp(state, "UP") ? HEALTH_BAD : HEALTH_GOOD, "%s (%s)",
	            addresses.text ? addresses.text : "", state);
	owners_add_gateway(shell, node->name, ret_summary);
}

/* What a ping's answer says of the two services. */
static json_t *service_state(const char *state)
{
	static const struct {
		const char *state, *iscsi, *api;
	} rows[] = {
		{ "UP", "UP", "UP" },
		{ "UNAUTHORIZED", "UNKNOWN", "UP" },
		{ "FORBIDDEN", "UNKNOWN", "UP" },
		{ "PARTIAL", "DOWN", "UP" },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (strcmp(rows[i].state, state) == 0)
			return json_pack("{ss ss}", "api", rows[i].api, "iscsi", rows[i].iscsi);
	}
	return json_pack("{ss ss}", "api", "UNKNOWN", "iscsi", "UNKNOWN");
}

static json_t *list_of(const json_t *data, const char *name)
{
	json_t *list = json_object_get(data, name);
	return list ? json_incref(list) : json_array();
}

static enum outcome gateway_info(struct shell *shell, struct call *call)
{
	const json_t *data = call->at->data;
	AUTO_JSON json_t *fields = json_pack(
	        "{ss so so so sI so}", "Name", call->at->name, "Gateway Ip List",
	        list_of(data, "gateway_ip_list"), "Portal Ip Addresses",
	        list_of(data, "portal_ip_addresses"), "Inactive Portal Ips",
	        list_of(data, "inactive_portal_ips"), "Tpgs", json_number(data, "tpgs", 0),
	        "Service State", service_state(model_gateway_state(&shell->model, call->at->name)));
	owners_add_gateway_fields(shell, call->at->name, fields);
	render_fields(&shell->output, fields);
	return OUTCOME_DONE;
}

static enum outcome gateway_drain(struct shell *shell, struct call *call)
{
	bool force;
	if (!parse_flag(shell, call->arg[0], &force))
		return OUTCOME_USAGE;
	return owners_drain(shell, call->at->name, force);
}

static enum outcome gateway_undrain(struct shell *shell, struct call *call)
{
	return owners_undrain(shell, call->at->name);
}

static const struct verb gateway_verbs[] = {
	{ "refresh", "", "Ask for the state of the gateway again.", run_refresh },
	{ "info", "", "Show addresses and state of the gateway.", gateway_info, .json = true },
	{ "drain", "[confirm=false]", DRAIN_HELP, gateway_drain, .json = true },
	{ "undrain", "", UNDRAIN_HELP, gateway_undrain, .json = true },
};

const struct node_kind kind_gateway = {
	.intro = "A gateway of this target.",
	.summary = gateway_summary,
	KIND_VERBS(gateway_verbs),
};
