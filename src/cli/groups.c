/* The nodes /iscsi-targets/IQN/host-groups and below: hosts that see the same LUNs. */
#include "cli/kinds.h"

#include <ctype.h>
#include <string.h>

/* --- /host-groups --- */

static void expand_groups(struct shell *shell, struct node *node)
{
	const char *name;
	json_t *group;
	json_object_foreach (node->data, name, group)
		(void)node_add(node, &kind_group, name, group);
}

static void groups_summary(struct shell *shell, struct node *node, struct summary *ret_summary)
{
	summary_set(ret_summary, HEALTH_UNKNOWN, "Groups : %zu", json_object_size(node->data));
}

static bool name_is_valid(const char *name)
{
	size_t len = strlen(name);
	for (const char *p = name; *p; p++) {
		if (!isalnum((unsigned char)*p) && !strchr("_@-", *p))
			return false;
	}
	return len > 0 && len <= 32;
}

static enum outcome run_create(struct shell *shell, struct call *call)
{
	const char *name = call->arg[0], *target = call->at->parent->name;
	if (json_object_get(call->at->data, name))
		return shell_refuse(shell, "Group %s already defined", name);
	if (!name_is_valid(name))
		return shell_refuse(shell,
		                    "Invalid group name - max of 32 chars of alphanumeric and "
		                    "-,_,@ characters");
	AUTO_REPLY struct reply reply;
	shell_change(shell, API_PUT, NULL, &reply, "/hostgroup/%s/%s", target, name);
	if (reply_ok(&reply))
		shell_go_to(shell, "/iscsi-targets/%s/host-groups/%s", target, name);
	return shell_report(shell, &reply, "Failed : ");
}

static enum outcome run_delete(struct shell *shell, struct call *call)
{
	const char *name = call->arg[0];
	if (!json_object_get(call->at->data, name))
		return shell_refuse(shell, "Group '%s' does not exist", name);
	AUTO_REPLY struct reply reply;
	shell_change(shell, API_DELETE, NULL, &reply, "/hostgroup/%s/%s", call->at->parent->name,
	             name);
	if (!reply_ok(&reply))
		return shell_refuse(shell, "failed to delete group '%s': %s", name, reply.message);
	return shell_report(shell, &reply, "");
}

static const struct verb groups_verbs[] = {
	{ "create", "group_name", "Create a group of hosts.", run_create },
	{ "delete", "group_name", "Delete a group; its hosts keep their LUNs.", run_delete },
};

const struct node_kind kind_groups = {
	.intro = "Groups of hosts that see the same LUNs.",
	.expand = expand_groups,
	.summary = groups_summary,
	KIND_VERBS(groups_verbs),
};

/* --- one group --- */

static json_t *members_of(const struct node *group)
{
	return json_object_get(group->data, "members");
}

static bool is_member(const json_t *members, const char *iqn)
{
	size_t i;
	json_t *member;
	json_array_foreach (members, i, member) {
		if (json_is_string(member) && strcmp(json_string_value(member), iqn) == 0)
			return true;
	}
	return false;
}

static void expand_group(struct shell *shell, struct node *node)
{
	size_t i;
	json_t *member, *disk;
	const char *id;
	json_array_foreach (members_of(node), i, member) {
		if (json_is_string(member))
			(void)node_add(node, &kind_group_member, json_string_value(member), NULL);
	}
	json_object_foreach (model_member(node->data, "disks"), id, disk)
		(void)node_add(node, &kind_group_member, id, disk);
}

static void group_summary(struct shell *shell, struct node *node, struct summary *ret_summary)
{
	summary_set(ret_summary, HEALTH_UNKNOWN, "Hosts: %zu, Disks: %zu",
	            json_array_size(members_of(node)),
	            json_object_size(json_object_get(node->data, "disks")));
}

static enum outcome update(struct shell *shell, const struct node *group, const char *action,
                           const char *list, const char *item, const char *prefix)
{
	const struct field fields[] = { { "action", action }, { list, item }, { NULL } };
	AUTO_REPLY struct reply reply;
	shell_change(shell, API_PUT, fields, &reply, "/hostgroup/%s/%s",
	             group->parent->parent->name, group->name);
	return shell_report(shell, &reply, prefix);
}

static bool parse_action(const char *action, bool *ret_adds)
{
	*ret_adds = strcmp(action, "add") == 0;
	return *ret_adds || strcmp(action, "remove") == 0;
}

static enum outcome run_host(struct shell *shell, struct call *call)
{
	const char *iqn = call->arg[1];
	bool adds;
	if (!parse_action(call->arg[0], &adds))
		return shell_refuse(shell,
		                    "Invalid request - must be host add|remove <client_iqn>");
	const json_t *target = call->at->parent->parent->data;
	const json_t *client = json_object_get(model_member(target, "clients"), iqn);
	const char *group = json_text(client, "group_name", "");
	if (!client)
		return shell_refuse(shell, "Host '%s' does not exist", iqn);
	if (adds && *group)
		return shell_refuse(shell, "'%s' already belongs to '%s'", iqn, group);
	if (!adds && !is_member(members_of(call->at), iqn))
		return shell_refuse(shell, "'%s' does not belong to this group", iqn);
	return update(shell, call->at, call->arg[0], "members", iqn, "Failed :");
}

static enum outcome run_disk(struct shell *shell, struct call *call)
{
	bool adds;
	if (!parse_action(call->arg[0], &adds))
		return shell_refuse(shell,
		                    "Invalid request - must be disk add|remove <disk_image>");
	AUTO_FREE char *id = parse_disk_id(shell, call->arg[1]);
	if (!id || !json_object_get(model_disks(&shell->model), id))
		return shell_refuse(shell, "Disk '%s' is not defined within the configuration",
		                    call->arg[1]);
	bool has = json_object_get(model_member(call->at->data, "disks"), id) != NULL;
	if (adds && has)
		return shell_refuse(shell, "'%s' is already defined to this host-group", id);
	if (!adds && !has)
		return shell_refuse(shell, "'%s' is not a member of this group", id);
	if (adds && !target_ensure_disk(shell, call->at->parent->parent->name, id))
		return OUTCOME_FAILED;
	return update(shell, call->at, call->arg[0], "disks", id, "Failed: ");
}

static const struct verb group_verbs[] = {
	{ "host", "action client_iqn", "host add IQN, or host remove IQN.", run_host },
	{ "disk", "action disk_name", "disk add pool/image, or disk remove pool/image.", run_disk },
};

const struct node_kind kind_group = {
	.intro = "A group: its hosts see all of its disks.",
	.expand = expand_group,
	.summary = group_summary,
	KIND_VERBS(group_verbs),
};

/* --- what is in a group --- */

static void member_summary(struct shell *shell, struct node *node, struct summary *ret_summary)
{
	summary_set(ret_summary, HEALTH_GOOD, node->data ? "disk" : "host");
}

const struct node_kind kind_group_member = {
	.intro = "A host or a disk of this group.",
	.summary = member_summary,
};
