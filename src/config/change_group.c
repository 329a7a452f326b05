/* Host groups: clients that see the same disks. Members that leave keep their disks, as upstream
 * leaves them: its clients take them away themselves. */
#include "config/change_parts.h"

#include <string.h>
#include <strings.h>

#define ITEM_MAX 512

/* compat: every reason is shown as this. */
static int refuse_group(struct change *change)
{
	return refuse(change, 400,
	              "hostgroup create/update failed on %s. Group request failed validation",
	              change->context->gateway_name);
}

static bool array_find(const json_t *array, const char *text, size_t *ret_index)
{
	size_t i;
	json_t *item;
	json_array_foreach (array, i, item) {
		if (json_is_string(item) && strcmp(json_string_value(item), text) == 0) {
			*ret_index = i;
			return true;
		}
	}
	return false;
}

static int add_disk(struct change *change, const json_t *target, json_t *group, const char *id)
{
	json_t *disks = object_member(group, "disks");
	const json_t *mapped = json_object_get(json_object_get(target, "disks"), id);
	if (json_object_get(disks, id))
		return 0;
	if (!mapped)
		return refuse_group(change);
	json_int_t number = json_number(mapped, "lun_id", 0);
	if (number < 0 || number > LUN_MAX || lun_number_used(disks, number))
		for (number = 0; number <= LUN_MAX && lun_number_used(disks, number);)
			number++;
	if (number > LUN_MAX)
		return refuse_group(change);
	return put_new(change, disks, id, json_pack("{s:I}", "lun_id", number));
}

static int remove_disk(struct change *change, const json_t *target, json_t *group, const char *id)
{
	/* compat: one that is not there is no error. */
	(void)json_object_del(object_member(group, "disks"), id);
	return 0;
}

static int add_member(struct change *change, const json_t *target, json_t *group, const char *name)
{
	json_t *members = json_object_get(group, "members");
	size_t index;
	char iqn[IQN_MAX];
	if (iqn_normalize(name, iqn) < 0)
		return refuse_group(change);
	if (array_find(members, iqn, &index))
		return 0;
	const json_t *client = json_object_get(json_object_get(target, "clients"), iqn);
	if (!client || json_object_size(json_object_get(client, "luns")) ||
	    *json_text(client, "group_name", ""))
		return refuse_group(change);
	if (json_array_append_new(members, json_string(iqn)) < 0)
		return refuse(change, 500, "Out of memory");
	return 0;
}

static int remove_member(struct change *change, const json_t *target, json_t *group,
                         const char *name)
{
	json_t *members = json_object_get(group, "members");
	size_t index;
	char iqn[IQN_MAX];
	if (iqn_normalize(name, iqn) < 0 || !array_find(members, iqn, &index))
		return 0;
	(void)json_array_remove(members, index);
	json_t *client = json_object_get(json_object_get(target, "clients"), iqn);
	return client ? put_new(change, client, "group_name", json_string("")) : 0;
}

typedef int (*group_edit)(struct change *change, const json_t *target, json_t *group,
                          const char *item);

static int edit_list(struct change *change, const char *name, group_edit edit, const json_t *target,
                     json_t *group)
{
	const char *list = argument(change, name);
	char item[ITEM_MAX];
	while (next_item(&list, item, sizeof item)) {
		if (!*item)
			continue;
		int r = edit(change, target, group, item);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Members see exactly the disks of the group. */
static int spread_disks(struct change *change, const char *name, const json_t *target,
                        const json_t *group)
{
	size_t i;
	json_t *member;
	json_array_foreach (json_object_get(group, "members"), i, member) {
		json_t *client = json_object_get(json_object_get(target, "clients"),
		                                 json_string_value(member));
		if (!client)
			continue;
		int r = put_new(change, client, "group_name", json_string(name));
		if (r == 0)
			r = put_new(change, client, "luns",
			            json_deep_copy(json_object_get(group, "disks")));
		if (r < 0)
			return r;
	}
	return 0;
}

static int begin(struct change *change, json_t **ret_target, const char **ret_name)
{
	char iqn[IQN_MAX];
	int r = find_target(change, iqn, ret_target);
	if (r == 0)
		r = need_argument(change, "group_name", ret_name);
	return r < 0 ? r : need_local_portal(change, *ret_target);
}

int change_group_put(struct change *change)
{
	static const struct {
		const char *name;
		group_edit member, disk;
		bool takes_away;
	} actions[] = {
		{ "add", add_member, add_disk, false },
		{ "remove", remove_member, remove_disk, true },
	};

	json_t *target;
	const char *name;
	change->doing = "hostgroup create/update ";
	int r = begin(change, &target, &name);
	if (r < 0)
		return r;
	const char *action = json_text(change->arguments, "action", "add");
	size_t i = 0;
	while (i < ARRAY_LEN(actions) && strcasecmp(action, actions[i].name) != 0)
		i++;
	if (i == ARRAY_LEN(actions))
		return refuse(change, 405, "Invalid hostgroup action specified");
	change->takes_away = actions[i].takes_away;

	json_t *groups = object_member(target, "groups");
	if (!json_object_get(groups, name))
		r = put_new(change, groups, name, json_pack("{s:[], s:{}}", "members", "disks"));
	json_t *group = json_object_get(groups, name);
	if (r == 0)
		r = edit_list(change, "members", actions[i].member, target, group);
	if (r == 0)
		r = edit_list(change, "disks", actions[i].disk, target, group);
	if (r == 0)
		r = spread_disks(change, name, target, group);
	if (r == 0)
		r = stamp(change, target);
	return r < 0 ? r : succeed(change, "hostgroup create/update successful");
}

int change_group_delete(struct change *change)
{
	json_t *target, *client;
	const char *name, *iqn;
	change->doing = "hostgroup delete ";
	int r = begin(change, &target, &name);
	if (r < 0)
		return r;
	json_t *groups = object_member(target, "groups");
	if (!json_object_get(groups, name))
		return refuse(change, 404, "Group name '%s' not found", name);
	json_object_foreach (json_object_get(target, "clients"), iqn, client)
		if (strcmp(json_text(client, "group_name", ""), name) == 0)
			(void)json_object_set_new(client, "group_name", json_string(""));
	/* The name is a piece of the request, not of the object: it outlives the entry. */
	(void)json_object_del(groups, name);
	r = stamp(change, target);
	return r < 0 ? r : succeed(change, "Group definition '%s' deleted", name);
}
