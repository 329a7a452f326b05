/* Disks of a target: add with a LUN number and an owner, remove. */
#include "config/change_parts.h"

#include <errno.h>
#include <string.h>

static int choose_number(struct change *change, json_t *disks, json_int_t *ret_number)
{
	const char *wish = argument(change, "lun_id");
	if (wish && *wish) {
		uint64_t number;
		int r = text_to_uint(wish, 0, LUN_MAX, &number);
		if (r == -ERANGE)
			return refuse(change, 400, "Lun id must be a number from 0 to %d", LUN_MAX);
		if (r < 0)
			return refuse(change, 400, "Lun id must be a number");
		if (lun_number_used(disks, (json_int_t)number))
			return refuse(change, 400, "Lun id %s already in use", wish);
		*ret_number = (json_int_t)number;
		return 0;
	}
	for (json_int_t number = 0; number <= LUN_MAX; number++) {
		if (!lun_number_used(disks, number)) {
			*ret_number = number;
			return 0;
		}
	}
	return refuse(change, 400, "All LUN ids from 0 to %d are in use", LUN_MAX);
}

/* What adding and removing have in common. */
static int begin(struct change *change, char iqn[IQN_MAX], json_t **ret_target,
                 const char **ret_disk)
{
	int minimum = change->context->settings->minimum_gateways;
	int r = find_target(change, iqn, ret_target);
	if (r < 0)
		return r;
	size_t portals = json_object_size(json_object_get(*ret_target, "portals"));
	if (minimum > 0 && portals < (size_t)minimum)
		return refuse(change, 400,
		              "at least %d gateways must exist before disk mapping operations are "
		              "permitted",
		              minimum);
	r = need_local_portal(change, *ret_target);
	if (r == 0)
		r = need_argument(change, "disk", ret_disk);
	if (r < 0)
		return r;
	if (!json_object_get(json_object_get(change->object, "disks"), *ret_disk))
		return refuse(change, 400, "Disk %s is not defined in the configuration",
		              *ret_disk);
	return 0;
}

static int check_image(struct change *change, const char *id)
{
	const struct change_context *context = change->context;
	const json_t *disk = json_object_get(json_object_get(change->object, "disks"), id);
	struct change_image image;
	struct error err = { 0 };
	int r = context->find_image(context->argument, json_text(disk, "pool", ""),
	                            json_text(disk, "image", ""), &image, &err);
	if (r == -ENOENT || r == -ENODEV)
		return refuse(change, 400, "Image %s not found", id);
	if (r < 0)
		return refuse(change, 500, "Add target LUN mapping failed - %s", err.text);
	return 0;
}

int change_target_lun_put(struct change *change)
{
	char iqn[IQN_MAX];
	json_t *target;
	const char *id;
	change->doing = "Add target LUN mapping failed - ";
	int r = begin(change, iqn, &target, &id);
	if (r < 0)
		return r;
	const char *holder = target_of_disk(change->object, id);
	if (holder)
		return refuse(change, 400,
		              "Disk %s cannot be used because it is already mapped on target %s",
		              id, holder);
	json_int_t number = 0;
	json_t *disks = object_member(target, "disks");
	r = check_image(change, id);
	if (r == 0)
		r = choose_number(change, disks, &number);
	if (r == 0)
		r = put_new(change, disks, id, json_pack("{s:I}", "lun_id", number));
	if (r == 0)
		r = stamp(change, target);
	if (r == 0)
		r = settle_owners(change);
	return r < 0 ? r : succeed(change, "Target LUN mapping updated successfully");
}

static const char *group_of_disk(const json_t *target, const char *id)
{
	const char *name;
	json_t *group;
	json_object_foreach (json_object_get(target, "groups"), name, group)
		if (json_object_get(json_object_get(group, "disks"), id))
			return name;
	return NULL;
}

int change_target_lun_delete(struct change *change)
{
	char iqn[IQN_MAX];
	json_t *target;
	const char *id;
	change->doing = "Delete target LUN mapping failed - ";
	change->takes_away = true;
	int r = begin(change, iqn, &target, &id);
	if (r < 0)
		return r;
	json_t *disks = object_member(target, "disks");
	if (!json_object_get(disks, id))
		return refuse(change, 400, "Disk %s is not defined in target %s", id, iqn);
	const char *group = group_of_disk(target, id);
	if (group)
		return refuse(change, 400, "Disk %s belongs to group %s", id, group);
	const char *client = client_of_disk(target, id);
	if (client)
		return refuse(
		        change, 400,
		        "Delete target LUN mapping failed - failed on %s. Failed to remove the "
		        "LUN - Unable to delete %s - allocated to %s",
		        change->context->gateway_name, id, client);
	(void)json_object_del(disks, id);
	r = stamp(change, target);
	if (r == 0)
		r = settle_owners(change);
	return r < 0 ? r : succeed(change, "Target LUN mapping updated successfully");
}
