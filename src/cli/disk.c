/* The node /disks/POOL/IMAGE: one disk and its snapshots. */
#include "cli/kinds.h"
#include "cli/owners.h"
#include "cli/size.h"

#include <string.h>

static void disk_id(const struct node *node, char *ret_id, size_t room)
{
	snprintf(ret_id, room, "%s/%s", node->parent->name, node->name);
}

static void summary(struct shell *shell, struct node *node, struct summary *ret_summary)
{
	char id[512], size[SIZE_TEXT_MAX] = "size unknown";
	uint64_t bytes;
	disk_id(node, id, sizeof id);
	enum disk_size known = model_disk_size(&shell->model, id, &bytes);
	if (known == DISK_GONE) {
		summary_set(ret_summary, HEALTH_BAD, "NOT FOUND");
		return;
	}
	if (known == DISK_SIZE_KNOWN)
		size_text(bytes, size);
	const json_t *status = model_member(model_disk(&shell->model, id), "status");
	const char *state = json_text(status, "state", "State unknown");
	bool good = strcmp(state, "Online") == 0 || strcmp(state, "State unknown") == 0;
	summary_set(ret_summary, good ? HEALTH_GOOD : HEALTH_BAD, "%s (%s, %s)", id, state, size);
	owners_add_disk(shell, id, ret_summary);
}

static enum outcome run_info(struct shell *shell, struct call *call)
{
	char id[512];
	disk_id(call->at, id, sizeof id);
	disk_info(shell, id);
	return OUTCOME_DONE;
}

static enum outcome run_resize(struct shell *shell, struct call *call)
{
	char id[512];
	disk_id(call->at, id, sizeof id);
	return disk_resize(shell, id, call->arg[0]);
}

static enum outcome run_reconfigure(struct shell *shell, struct call *call)
{
	char id[512];
	disk_id(call->at, id, sizeof id);
	return disk_reconfigure(shell, id, call->arg[0], call->arg[1]);
}

static enum outcome run_owner(struct shell *shell, struct call *call)
{
	char id[512];
	disk_id(call->at, id, sizeof id);
	return owners_move(shell, id, call->arg[0]);
}

/* --- snapshots --- */

static bool snapshot_exists(const json_t *snapshots, const char *name)
{
	size_t i;
	json_t *snapshot;
	json_array_foreach (snapshots, i, snapshot) {
		if (strcmp(json_text(snapshot, "name", ""), name) == 0)
			return true;
	}
	return false;
}

static enum outcome list_snapshots(struct shell *shell, const json_t *snapshots)
{
	size_t i;
	json_t *snapshot;
	char size[SIZE_TEXT_MAX];
	json_array_foreach (snapshots, i, snapshot)
		fprintf(shell->output.out, "%s (%s)\n", json_text(snapshot, "name", ""),
		        size_text((uint64_t)json_number(snapshot, "size", 0), size));
	return OUTCOME_DONE;
}

static const struct snapshot_action {
	const char *name;
	enum api_method method;
	bool creates;
	const char *warning;
} snapshot_actions[] = {
	{ "create", API_PUT, true, NULL },
	{ "delete", API_DELETE, false, NULL },
	{ "rollback", API_PUT, false, "Please be patient, rollback might take time" },
};

static const struct snapshot_action *find_action(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(snapshot_actions); i++) {
		if (strcmp(snapshot_actions[i].name, name) == 0)
			return &snapshot_actions[i];
	}
	return NULL;
}

/* What can be seen before the gateway is asked. */
static bool snapshot_is_possible(struct shell *shell, const struct snapshot_action *action,
                                 const json_t *snapshots, const char *name)
{
	if (action->creates && strpbrk(name, "/@")) {
		say(&shell->output, SAY_ERROR, "Snapshot %s contains invalid characters", name);
		return false;
	}
	if (!snapshots || snapshot_exists(snapshots, name) != action->creates)
		return true;
	say(&shell->output, SAY_ERROR,
	    action->creates ? "Snapshot %s already exists" : "Snapshot %s does not exist", name);
	return false;
}

static enum outcome run_snapshot(struct shell *shell, struct call *call)
{
	const char *name = call->arg[1];
	char id[512], prefix[64];
	disk_id(call->at, id, sizeof id);
	const json_t *snapshots = json_object_get(model_disk(&shell->model, id), "snapshots");
	if (strcmp(call->arg[0], "list") == 0)
		return list_snapshots(shell, snapshots);
	const struct snapshot_action *action = find_action(call->arg[0]);
	if (!name) {
		say_shell_error(&shell->output, "Missing required parameter name");
		return OUTCOME_USAGE;
	}
	if (!action)
		return shell_refuse(shell,
		                    "you can only create, delete, or rollback - %s is invalid ",
		                    call->arg[0]);
	if (!snapshot_is_possible(shell, action, snapshots, name))
		return OUTCOME_FAILED;
	if (action->warning)
		say(&shell->output, SAY_WARNING, "%s", action->warning);
	const struct field fields[] = {
		{ "mode", action->method == API_PUT ? action->name : NULL },
		{ NULL },
	};
	AUTO_REPLY struct reply reply;
	shell_change(shell, action->method, fields, &reply, "/disksnap/%s/%s", id, name);
	snprintf(prefix, sizeof prefix, "Failed to %s snapshot: ", action->name);
	return shell_report(shell, &reply, prefix);
}

static const struct verb verbs[] = {
	{ "info", "", "Show the disk.", run_info, .json = true },
	{ "resize", "size", "Grow the disk to the new size.", run_resize },
	{ "reconfigure", "attribute value",
	  "Change max_data_area_mb, qfull_timeout, osd_op_timeout or hw_max_sectors; an empty "
	  "value= "
	  "takes the default.",
	  run_reconfigure },
	{ "owner", "gateway_name",
	  "Make a gateway the preferred owner of the disk's LUN, and move it there.", run_owner,
	  .json = true },
	{ "snapshot", "action [name]",
	  "snapshot create|delete|rollback NAME, or snapshot list. Rollback is refused while a "
	  "host that has the disk is logged in.",
	  run_snapshot },
};

const struct node_kind kind_disk = {
	.intro = "A disk: an RBD image that targets may export.",
	.summary = summary,
	KIND_VERBS(verbs),
};
