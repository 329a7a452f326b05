/* The nodes /iscsi-targets/IQN and its disks. */
#include "cli/kinds.h"
#include "cli/owners.h"
#include "cli/render.h"

#include <string.h>

static const char *target_of(const struct node *node)
{
	return node_ancestor((struct node *)node, &kind_target)->name;
}

/* --- /iscsi-targets/IQN --- */

static void expand(struct shell *shell, struct node *node)
{
	(void)node_add(node, &kind_target_disks, "disks", model_member(node->data, "disks"));
	(void)node_add(node, &kind_gateways, "gateways", model_member(node->data, "portals"));
	(void)node_add(node, &kind_groups, "host-groups", model_member(node->data, "groups"));
	(void)node_add(node, &kind_hosts, "hosts", model_member(node->data, "clients"));
}

static void summary(struct shell *shell, struct node *node, struct summary *ret_summary)
{
	const char *auth = chap_state(model_member(node->data, "auth"));
	summary_set(ret_summary, strcmp(auth, "None") ? HEALTH_GOOD : HEALTH_UNKNOWN,
	            "Auth: %s, Gateways: %zu", auth,
	            json_object_size(json_object_get(node->data, "portals")));
}

static enum outcome run_info(struct shell *shell, struct call *call)
{
	bool show_secrets;
	if (!parse_flag(shell, call->arg[0], &show_secrets))
		return OUTCOME_USAGE;
	const struct node *node = call->at;
	AUTO_JSON json_t *fields = json_pack(
	        "{ss so so}", "Target Iqn", node->name, "Auth",
	        chap_shown(model_member(node->data, "auth"), show_secrets), "Control Values",
	        controls_shown(shell, "target_default_controls", NULL,
	                       model_member(node->data, "controls"), true));
	render_fields(&shell->output, fields);
	return OUTCOME_DONE;
}

static enum outcome run_auth(struct shell *shell, struct call *call)
{
	struct chap chap;
	if (!chap_from_call(call, &chap))
		return shell_refuse(shell, CHAP_MISSING);
	AUTO_REPLY struct reply reply;
	shell_change(shell, API_PUT, chap.fields, &reply, "/targetauth/%s", call->at->name);
	wipe(&chap, sizeof chap);
	return shell_report(shell, &reply, "Failed to update target auth: ");
}

#define TARGET_CONTROLS                                                              \
	"cmdsn_depth,dataout_timeout,first_burst_length,immediate_data,initial_r2t," \
	"max_burst_length,max_outstanding_r2t,max_recv_data_segment_length,"         \
	"max_xmit_data_segment_length,nopin_response_timeout,nopin_timeout"

static bool is_target_control(const char *name)
{
	size_t len = strlen(name);
	const char *p = TARGET_CONTROLS;
	while (*p) {
		size_t word = strcspn(p, ",");
		if (word == len && memcmp(p, name, len) == 0)
			return true;
		p += word + (p[word] == ',');
	}
	return false;
}

static enum outcome run_reconfigure(struct shell *shell, struct call *call)
{
	if (!is_target_control(call->arg[0]))
		return shell_refuse(shell, "supported attributes: %s", TARGET_CONTROLS);
	AUTO_FREE char *controls = controls_json(call->arg[0], call->arg[1]);
	const struct field fields[] = { { "mode", "reconfigure" },
		                        { "controls", controls },
		                        { NULL } };
	AUTO_REPLY struct reply reply;
	shell_change(shell, API_PUT, fields, &reply, "/target/%s", call->at->name);
	return shell_report(shell, &reply, "Failed to reconfigure : ");
}

static const struct verb verbs[] = {
	{ "info", "[show_secrets=false]",
	  "Show authentication and controls; show_secrets=true with passwords.", run_info,
	  .json = true },
	{ "auth", CHAP_ARGUMENTS, CHAP_ARGUMENTS_HELP, run_auth, .secret = true },
	{ "reconfigure", "attribute value",
	  "Change a control: " TARGET_CONTROLS "; an empty value= takes the default.",
	  run_reconfigure },
};

const struct node_kind kind_target = {
	.intro = "An iSCSI target: its gateways, the disks that it exports, the hosts that may use "
	         "them.",
	.expand = expand,
	.summary = summary,
	KIND_VERBS(verbs),
};

/* --- its disks --- */

bool target_ensure_disk(struct shell *shell, const char *target, const char *disk)
{
	json_t *entry = model_member(model_targets(&shell->model), target);
	if (json_object_get(model_member(entry, "disks"), disk))
		return true;
	const struct field fields[] = { { "disk", disk }, { NULL } };
	AUTO_REPLY struct reply reply;
	shell_change(shell, API_PUT, fields, &reply, "/targetlun/%s", target);
	if (reply_ok(&reply))
		return true;
	say(&shell->output, SAY_ERROR, "Failed - %s", reply.message);
	say(&shell->output, SAY_ERROR,
	    "disk auto-map failed(1), try using the /iscsi-targets/<iqn>/disks add command");
	return false;
}

static void expand_disks(struct shell *shell, struct node *node)
{
	const char *id;
	json_t *disk;
	json_object_foreach (node->data, id, disk)
		(void)node_add(node, &kind_target_disk, id, disk);
}

static void disks_summary(struct shell *shell, struct node *node, struct summary *ret_summary)
{
	summary_set(ret_summary, HEALTH_UNKNOWN, "Disks: %zu", json_object_size(node->data));
}

static enum outcome run_add(struct shell *shell, struct call *call)
{
	AUTO_FREE char *id = parse_disk_id(shell, call->arg[0]);
	const struct field fields[] = { { "disk", id }, { "lun_id", call->arg[1] }, { NULL } };
	AUTO_REPLY struct reply reply;
	shell_change(shell, API_PUT, fields, &reply, "/targetlun/%s", target_of(call->at));
	return shell_report(shell, &reply, "Failed - ");
}

static enum outcome run_delete(struct shell *shell, struct call *call)
{
	AUTO_FREE char *id = parse_disk_id(shell, call->arg[0]);
	const struct field fields[] = { { "disk", id }, { NULL } };
	AUTO_REPLY struct reply reply;
	shell_change(shell, API_DELETE, fields, &reply, "/targetlun/%s", target_of(call->at));
	return shell_report(shell, &reply, "Failed - ");
}

static const struct verb disks_verbs[] = {
	{ "add", "disk [lun_id]",
	  "Put a disk (pool/image) on this target, at a LUN of your choice or the next that is "
	  "free.",
	  run_add },
	{ "delete", "disk", "Take a disk off this target; no host may have it.", run_delete },
};

const struct node_kind kind_target_disks = {
	.intro = "The disks that this target exports.",
	.expand = expand_disks,
	.summary = disks_summary,
	KIND_VERBS(disks_verbs),
};

static const char *owner_of(struct shell *shell, const char *id)
{
	return json_text(json_object_get(model_disks(&shell->model), id), "owner", "");
}

static void disk_summary(struct shell *shell, struct node *node, struct summary *ret_summary)
{
	summary_set(ret_summary, HEALTH_GOOD, "Owner: %s, Lun: %lld", owner_of(shell, node->name),
	            json_number(node->data, "lun_id", -1));
	owners_add_target_disk(shell, node->name, ret_summary);
}

static enum outcome disk_run_info(struct shell *shell, struct call *call)
{
	AUTO_JSON json_t *fields = json_pack("{ss ss}", "Name", call->at->name, "Owner",
	                                     owner_of(shell, call->at->name));
	owners_add_disk_fields(shell, call->at->name, fields);
	render_fields(&shell->output, fields);
	return OUTCOME_DONE;
}

static const struct verb disk_verbs[] = {
	{ "info", "", "Show name and owner.", disk_run_info, .json = true },
};

const struct node_kind kind_target_disk = {
	.intro = "A disk on this target.",
	.summary = disk_summary,
	KIND_VERBS(disk_verbs),
};
