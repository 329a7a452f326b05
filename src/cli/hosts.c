/* The node /iscsi-targets/IQN/hosts: the initiators that may log in. */
#include "cli/kinds.h"

#include <string.h>

static void expand(struct shell *shell, struct node *node)
{
	const char *iqn;
	json_t *client;
	json_object_foreach (node->data, iqn, client)
		(void)node_add(node, &kind_host, iqn, client);
}

/* Hosts with and without CHAP side by side: those without cannot log in. */
static bool is_mixed(const json_t *clients)
{
	const char *iqn;
	json_t *client;
	size_t with = 0;
	json_object_foreach ((json_t *)clients, iqn, client)
		with += strcmp(chap_state(model_member(client, "auth")), "None") != 0;
	return with && with < json_object_size(clients);
}

static void summary(struct shell *shell, struct node *node, struct summary *ret_summary)
{
	const json_t *target = node->parent->data;
	bool target_chap = strcmp(chap_state(model_member(target, "auth")), "None") != 0;
	const char *state = "ACL_ENABLED";
	enum health health = HEALTH_GOOD;
	if (!json_flag(target, "acl_enabled", true)) {
		state = "ACL_DISABLED";
		health = target_chap ? HEALTH_UNKNOWN : HEALTH_BAD;
	}
	if (!target_chap && is_mixed(node->data)) {
		state = "MISCONFIG";
		health = HEALTH_BAD;
	}
	summary_set(ret_summary, health, "Auth: %s, Hosts: %zu", state,
	            json_object_size(node->data));
}

static enum outcome run_create(struct shell *shell, struct call *call)
{
	const char *target = call->at->parent->name;
	AUTO_FREE char *iqn = parse_iqn(shell, call->arg[0]);
	if (!iqn)
		return OUTCOME_FAILED;
	AUTO_REPLY struct reply reply;
	shell_change(shell, API_PUT, NULL, &reply, "/client/%s/%s", target, iqn);
	if (reply_ok(&reply))
		shell_go_to(shell, "/iscsi-targets/%s/hosts/%s", target, iqn);
	return shell_report(shell, &reply, "Failed: ");
}

static enum outcome run_delete(struct shell *shell, struct call *call)
{
	AUTO_FREE char *iqn = parse_iqn(shell, call->arg[0]);
	if (!iqn)
		return OUTCOME_FAILED;
	AUTO_REPLY struct reply reply;
	shell_change(shell, API_DELETE, NULL, &reply, "/client/%s/%s", call->at->parent->name, iqn);
	return shell_report(shell, &reply, "");
}

/* Takes CHAP away from every host. */
static enum outcome clear_all(struct shell *shell, const struct node *node)
{
	static const struct field fields[] = {
		{ "username", "" },        { "password", "" }, { "mutual_username", "" },
		{ "mutual_password", "" }, { NULL },
	};
	enum outcome outcome = OUTCOME_DONE;
	const char *iqn;
	json_t *client;
	json_object_foreach (node->data, iqn, client) {
		AUTO_REPLY struct reply reply;
		shell_change(shell, API_PUT, fields, &reply, "/clientauth/%s/%s",
		             node->parent->name, iqn);
		if (shell_report(shell, &reply, "Failed to update the client's auth: ") !=
		    OUTCOME_DONE)
			outcome = OUTCOME_FAILED;
	}
	return outcome;
}

#define AUTH_USE "Use 'auth nochap|disable_acl|enable_acl'"

static enum outcome run_auth(struct shell *shell, struct call *call)
{
	const char *action = call->arg[0];
	if (!action)
		return shell_refuse(shell, "Missing auth argument. " AUTH_USE);
	if (strcmp(action, "nochap") == 0)
		return clear_all(shell, call->at);
	if (strcmp(action, "disable_acl") != 0 && strcmp(action, "enable_acl") != 0)
		return shell_refuse(shell, "Invalid auth argument. " AUTH_USE);
	const struct field fields[] = { { "action", action }, { NULL } };
	char prefix[64];
	AUTO_REPLY struct reply reply;
	shell_change(shell, API_PUT, fields, &reply, "/targetauth/%s", call->at->parent->name);
	snprintf(prefix, sizeof prefix, "Failed to %s: ", action);
	return shell_report(shell, &reply, prefix);
}

static const struct verb verbs[] = {
	{ "create", "client_iqn", "Let a host use this target, by its initiator name.",
	  run_create },
	{ "delete", "client_iqn", "Take a host away; it must be logged out.", run_delete },
	{ "auth", "[action]",
	  "nochap: take CHAP away from all hosts. disable_acl: let any host log in. enable_acl: "
	  "only "
	  "those listed here.",
	  run_auth },
};

const struct node_kind kind_hosts = {
	.intro = "The hosts (initiators) that may use this target.",
	.expand = expand,
	.summary = summary,
	KIND_VERBS(verbs),
};
