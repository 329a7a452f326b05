/* The node /iscsi-targets: all targets, discovery authentication. */
#include "cli/kinds.h"

#include <string.h>

static void expand(struct shell *shell, struct node *node)
{
	const char *iqn;
	json_t *target;
	json_object_foreach (node->data, iqn, target)
		(void)node_add(node, &kind_target, iqn, target);
}

static void summary(struct shell *shell, struct node *node, struct summary *ret_summary)
{
	summary_set(ret_summary, HEALTH_UNKNOWN, "DiscoveryAuth: %s, Targets: %zu",
	            chap_state(model_member(shell->model.config, "discovery_auth")),
	            json_object_size(node->data));
}

static enum outcome run_create(struct shell *shell, struct call *call)
{
	AUTO_FREE char *iqn = parse_iqn(shell, call->arg[0]);
	if (!iqn)
		return OUTCOME_FAILED;
	AUTO_REPLY struct reply reply;
	shell_change(shell, API_PUT, NULL, &reply, "/target/%s", iqn);
	if (reply_ok(&reply)) {
		free(shell->last_target);
		shell->last_target = steal(&iqn);
	}
	return shell_report(shell, &reply, "Failed to create the target on the local node ");
}

static enum outcome run_delete(struct shell *shell, struct call *call)
{
	AUTO_FREE char *iqn = parse_iqn(shell, call->arg[0]);
	if (!iqn)
		return OUTCOME_FAILED;
	if (!json_object_get(model_targets(&shell->model), iqn))
		return shell_refuse(shell, "Failed - Target %s not found", iqn);
	AUTO_REPLY struct reply reply;
	shell_change(shell, API_DELETE, NULL, &reply, "/target/%s", iqn);
	return shell_report(shell, &reply, "Failed - ");
}

static bool may_clear(struct shell *shell)
{
	const char *iqn;
	json_t *target;
	json_object_foreach (model_targets(&shell->model), iqn, target) {
		size_t clients = json_object_size(json_object_get(target, "clients"));
		if (!clients)
			continue;
		say(&shell->output, SAY_ERROR,
		    "%s - Clients(%zu) must be removed first before clearing the gateway "
		    "configuration",
		    iqn, clients);
		return false;
	}
	size_t disks = json_object_size(model_disks(&shell->model));
	if (disks)
		say(&shell->output, SAY_ERROR,
		    "Disks(%zu) must be removed first before clearing the gateway configuration",
		    disks);
	return disks == 0;
}

static enum outcome run_clearconfig(struct shell *shell, struct call *call)
{
	bool confirmed = false;
	if (call->arg[0] && !parse_flag(shell, call->arg[0], &confirmed))
		return OUTCOME_USAGE;
	if (!confirmed)
		return shell_refuse(shell,
		                    "To clear the configuration you must specify confirm=true");
	if (!may_clear(shell))
		return OUTCOME_FAILED;
	enum outcome outcome = OUTCOME_DONE;
	const char *iqn;
	json_t *target;
	json_object_foreach (model_targets(&shell->model), iqn, target) {
		AUTO_REPLY struct reply reply;
		AUTO_STRING struct string prefix = { 0 };
		string_format(&prefix, "Delete of %s failed : ", iqn);
		shell_change(shell, API_DELETE, NULL, &reply, "/target/%s", iqn);
		if (shell_report(shell, &reply, prefix.text ? prefix.text : "") != OUTCOME_DONE)
			outcome = OUTCOME_FAILED;
	}
	json_object_clear(prefs_bookmarks(&shell->prefs));
	prefs_save(&shell->prefs);
	return outcome;
}

static enum outcome run_discovery_auth(struct shell *shell, struct call *call)
{
	struct chap chap;
	if (!chap_from_call(call, &chap))
		return shell_refuse(shell,
		                    "To set or reset discovery authentication, specify either "
		                    "username=<user> password=<password> [mutual_username]=<user> "
		                    "[mutual_password]=<password> or nochap");
	AUTO_REPLY struct reply reply;
	shell_change(shell, API_PUT, chap.fields, &reply, "/discoveryauth");
	wipe(&chap, sizeof chap);
	return shell_report(shell, &reply, "Error: ");
}

static const struct verb verbs[] = {
	{ "create", "target_iqn", "Create a target: iqn.YYYY-MM.domain.name:string.", run_create },
	{ "delete", "target_iqn", "Delete a target that has no hosts and no disks.", run_delete },
	{ "clearconfig", "[confirm]",
	  "Delete all targets with their gateways; hosts and disks must be gone. confirm=true.",
	  run_clearconfig },
	{ "discovery_auth", CHAP_ARGUMENTS, CHAP_ARGUMENTS_HELP, run_discovery_auth,
	  .secret = true },
};

const struct node_kind kind_targets = {
	.intro = "The iSCSI targets.",
	.expand = expand,
	.summary = summary,
	KIND_VERBS(verbs),
};
