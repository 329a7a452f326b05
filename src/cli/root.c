/* The node /: how this shell reaches the gateways, and the configuration as a whole. */
#include "cli/kinds.h"
#include "cli/owners.h"

#include <string.h>

static void expand(struct shell *shell, struct node *node)
{
	(void)node_add(node, &kind_clusters, "cluster", NULL);
	(void)node_add(node, &kind_disks, "disks", model_disks(&shell->model));
	(void)node_add(node, &kind_targets, "iscsi-targets", model_targets(&shell->model));
}

static enum outcome run_info(struct shell *shell, struct call *call)
{
	const struct shell_options *options = &shell->options;
	AUTO_STRING struct string trusted = { 0 };
	for (char *const *ip = options->trusted_ip_list; ip && *ip; ip++)
		string_format(&trusted, "%s%s", trusted.len ? "," : "", *ip);
	fprintf(shell->output.out,
	        "HTTP mode          : %s\nRest API port      : %u\nLocal endpoint     : %s\n"
	        "Local Ceph Cluster : %s\n2ndary API IP's    : %s\n",
	        options->api.secure ? "https" : "http", options->api.port,
	        api_endpoint(shell->model.api), options->cluster_name,
	        trusted.len ? trusted.text : "None");
	return OUTCOME_DONE;
}

/* Every password below value becomes ***. */
static void redact(json_t *value)
{
	const char *name;
	json_t *member;
	size_t i;
	json_array_foreach (value, i, member)
		redact(member);
	json_object_foreach (value, name, member) {
		bool secret = strcmp(name, "password") == 0 || strcmp(name, "mutual_password") == 0;
		if (secret && *json_text(value, name, ""))
			(void)json_string_set(member, "***");
		else
			redact(member);
	}
}

static enum outcome run_export(struct shell *shell, struct call *call)
{
	bool redacted = strcmp(call->arg[0], "redacted") == 0;
	if (!redacted && strcmp(call->arg[0], "copy") != 0)
		return shell_refuse(shell,
		                    "Invalid export mode requested - supported modes are: copy");
	AUTO_REPLY struct reply reply;
	api_call(shell->model.api, &(struct request){ API_GET, .path = "/config" }, &reply);
	if (!reply_ok(&reply)) {
		say(&shell->output, SAY_ERROR, "REST API failure, code : %ld", reply.status);
		return shell_refuse(shell, "Unable to refresh local config.");
	}
	if (redacted)
		redact(reply.body);
	AUTO_FREE char *text = json_format(reply.body, &json_style_object);
	fprintf(shell->output.out, "%s\n", text ? text : "");
	return OUTCOME_DONE;
}

static enum outcome run_refresh(struct shell *shell, struct call *call)
{
	AUTO_REPLY struct reply reply;
	api_call(shell->model.api, &(struct request){ API_GET, .path = "/config" }, &reply);
	if (!reply_ok(&reply))
		return shell_refuse(shell, "REST API failure, code : %ld", reply.status);
	shell->changed = true; /* everything is read again when the command is over */
	say(&shell->output, SAY_OK, "ok");
	return OUTCOME_DONE;
}

static const struct verb verbs[] = {
	{ "info", "", "Show how this shell reaches the gateways.", run_info },
	{ "export", "[mode=copy]",
	  "Print the configuration as JSON: mode=copy with passwords, mode=redacted without.",
	  run_export },
	{ "refresh", "", "Read everything again.", run_refresh },
	HISTORY_VERB,
	OWNERS_VERB,
};

const struct node_kind kind_root = {
	.intro = "This shell manages iSCSI gateways to a Ceph cluster. `ls` shows the tree, `cd "
	         "PATH`\n"
	         "goes to a place in it, `PATH COMMAND` runs a command there, `help COMMAND`\n"
	         "explains it. TAB completes.",
	.expand = expand,
	KIND_VERBS(verbs),
};
