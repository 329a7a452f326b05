/* See owners.h. */
#include "cli/owners.h"

#include "cli/render.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define HISTORY_COUNT_MAX 1000

static json_t *lun_of(struct shell *shell, const char *id)
{
	return model_member(model_member(model_overview(&shell->model, "owners"), "luns"), id);
}

static json_t *instance_of(struct shell *shell, const char *gateway)
{
	const json_t *owners = model_overview(&shell->model, "owners");
	return model_member(model_member(owners, "gateways"), gateway);
}

/* --- what listings add --- */

static void add_text(struct summary *summary, const char *format, ...) PRINTF_LIKE(2, 3);
static void add_text(struct summary *summary, const char *format, ...)
{
	size_t len = strlen(summary->text);
	va_list values;
	va_start(values, format);
	(void)vsnprintf(summary->text + len, sizeof summary->text - len, format, values);
	va_end(values);
}

void owners_add_disk(struct shell *shell, const char *id, struct summary *summary)
{
	const json_t *lun = lun_of(shell, id);
	const char *owner = json_text(lun, "owner", ""), *why = json_text(lun, "why", "");
	const char *on_demand = json_text(lun, "on_demand", "");
	bool known = strcmp(json_text(lun, "state", "none"), "none") != 0;
	if (known)
		add_text(summary, ", Owner: %s", *owner ? owner : "none");
	if (known && *why && strcmp(owner, json_text(lun, "preferred_owner", "")) != 0)
		add_text(summary, " (%s)", why);
	if (*on_demand)
		add_text(summary, ", on demand: %s", on_demand);
}

void owners_add_target_disk(struct shell *shell, const char *id, struct summary *summary)
{
	const json_t *lun = lun_of(shell, id);
	const char *owner = json_text(lun, "owner", "");
	if (*owner && strcmp(owner, json_text(lun, "preferred_owner", "")) != 0)
		add_text(summary, ", now at %s (%s)", owner, json_text(lun, "why", ""));
}

void owners_add_gateway(struct shell *shell, const char *gateway, struct summary *summary)
{
	const json_t *instance = instance_of(shell, gateway);
	const char *state = json_text(instance, "state", "unregistered");
	if (strcmp(state, "unregistered") == 0)
		return;
	if (strcmp(state, "up") != 0)
		add_text(summary, ", %s", state);
	add_text(summary, ", LUNs: %" JSON_INTEGER_FORMAT, json_number(instance, "luns", 0));
	if (*json_text(instance, "unreachable_from", ""))
		add_text(summary, ", unreachable from %s",
		         json_text(instance, "unreachable_from", ""));
}

/* Label of a line of `info`, and the member that it shows. */
struct shown {
	const char *label, *member;
};

static void add_fields(json_t *fields, const json_t *from, const struct shown *shown, size_t count)
{
	for (size_t i = 0; i < count && json_object_size(from); i++) {
		json_t *value = json_object_get(from, shown[i].member);
		if (value)
			(void)json_object_set(fields, shown[i].label, value);
	}
}

void owners_add_disk_fields(struct shell *shell, const char *id, json_t *fields)
{
	static const struct shown shown[] = {
		{ "Owner State", "state" },   { "Owner Epoch", "epoch" },
		{ "Owner Since", "changed" }, { "Owner Why", "why" },
		{ "On Demand", "on_demand" },
	};
	add_fields(fields, lun_of(shell, id), shown, ARRAY_LEN(shown));
}

void owners_add_gateway_fields(struct shell *shell, const char *gateway, json_t *fields)
{
	static const struct shown shown[] = {
		{ "State", "state" },       { "Maintenance", "maintenance" },
		{ "Luns Owned", "luns" },   { "Interconnect", "interconnect" },
		{ "Instance", "instance" }, { "Condemned By", "condemned_by" },
		{ "Condemned Why", "why" }, { "Unreachable From", "unreachable_from" },
	};
	add_fields(fields, instance_of(shell, gateway), shown, ARRAY_LEN(shown));
}

/* --- verbs --- */

enum outcome owners_drain(struct shell *shell, const char *gateway, bool force)
{
	const struct field fields[] = { { "force", force ? "true" : "false" }, { NULL } };
	AUTO_REPLY struct reply reply;
	shell_change(shell, API_PUT, fields, &reply, "/rbdgate/maintenance/%s", gateway);
	return shell_report(shell, &reply, "");
}

enum outcome owners_undrain(struct shell *shell, const char *gateway)
{
	AUTO_REPLY struct reply reply;
	shell_change(shell, API_DELETE, NULL, &reply, "/rbdgate/maintenance/%s", gateway);
	return shell_report(shell, &reply, "");
}

enum outcome owners_balance(struct shell *shell, const char *target)
{
	AUTO_REPLY struct reply reply;
	shell_change(shell, API_PUT, NULL, &reply, "/rbdgate/balance/%s", target);
	if (!reply_ok(&reply) || shell->output.json)
		return shell_report(shell, &reply, "");
	say(&shell->output, SAY_OK, "%s", reply.message);
	return OUTCOME_DONE;
}

enum outcome owners_move(struct shell *shell, const char *id, const char *gateway)
{
	const struct field fields[] = { { "owner", gateway }, { NULL } };
	AUTO_REPLY struct reply reply;
	shell_change(shell, API_PUT, fields, &reply, "/rbdgate/owner/%s", id);
	if (!reply_ok(&reply) || shell->output.json || json_flag(reply.body, "moved", true))
		return shell_report(shell, &reply, "");
	say(&shell->output, SAY_WARNING, "%s", reply.message);
	return OUTCOME_DONE;
}

static void print_event(FILE *out, const json_t *event)
{
	const char *lun = json_text(event, "lun", "");
	fprintf(out, "%s %s %s%s%s: %s\n", json_text(event, "time", "?"),
	        json_text(event, "gateway", "?"), json_text(event, "kind", "?"), *lun ? " " : "",
	        lun, json_text(event, "text", ""));
}

enum outcome owners_run_history(struct shell *shell, struct call *call)
{
	const char *count = call->arg[0];
	uint64_t number;
	if (text_to_uint(count, 1, HISTORY_COUNT_MAX, &number) < 0)
		return shell_refuse(shell, "count must be a number from 1 to %d",
		                    HISTORY_COUNT_MAX);
	const struct field fields[] = { { "count", count }, { NULL } };
	const struct request request = { API_GET, .fields = fields, .path = "/rbdgate/history" };
	AUTO_REPLY struct reply reply;
	api_call(shell->model.api, &request, &reply);
	if (!reply_ok(&reply))
		return shell_refuse(shell, "Failed to read the history: %s", reply.message);
	const json_t *newest_first = json_object_get(reply.body, "events");
	AUTO_JSON json_t *events = json_array();
	for (size_t i = json_array_size(newest_first); i-- > 0;)
		(void)json_array_append(events, json_array_get(newest_first, i));
	size_t i;
	json_t *event;
	if (shell->output.json)
		render_json(shell->output.out, events);
	else
		json_array_foreach (events, i, event)
			print_event(shell->output.out, event);
	return OUTCOME_DONE;
}

static void print_owner(FILE *out, const char *id, const json_t *lun)
{
	const char *owner = json_text(lun, "owner", "");
	const char *preferred = json_text(lun, "preferred_owner", "");
	fprintf(out, "%s: %s", id, *owner ? owner : "none");
	if (strcmp(owner, preferred) != 0)
		fprintf(out, ", preferred: %s", *preferred ? preferred : "none");
	if (*json_text(lun, "changed", ""))
		fprintf(out, ", since %s (%s)", json_text(lun, "changed", ""),
		        json_text(lun, "why", ""));
	fputc('\n', out);
}

enum outcome owners_run_owners(struct shell *shell, struct call *call)
{
	const json_t *owners = model_overview(&shell->model, "owners");
	const char *id;
	json_t *lun;
	if (json_object_size(owners) == 0)
		return shell_refuse(shell, "The gateway does not tell who owns the LUNs");
	if (shell->output.json)
		render_json(shell->output.out, owners);
	else
		json_object_foreach (model_member(owners, "luns"), id, lun)
			print_owner(shell->output.out, id, lun);
	return OUTCOME_DONE;
}
