/* Owners of disks and the gateways' entries: worked out anew after each change that may move them,
 * so that counts cannot drift and no disk is left with an owner that cannot serve it. */
#include "config/change_parts.h"
#include "config/gateway_match.h"

#include <stdio.h>
#include <string.h>

#define OWNED_ID_MAX 512

json_int_t owned_disks(const json_t *object, const char *gateway)
{
	json_int_t count = 0;
	const char *name;
	json_t *disk;
	json_object_foreach (json_object_get(object, "disks"), name, disk)
		count += strcmp(json_text(disk, "owner", ""), gateway) == 0;
	return count;
}

const char *choose_owner(const json_t *object, const json_t *target)
{
	const char *best = NULL, *gateway;
	json_int_t best_count = 0;
	json_t *portal;
	json_object_foreach (json_object_get(target, "portals"), gateway, portal) {
		json_int_t count = owned_disks(object, gateway);
		if (!best || count < best_count ||
		    (count == best_count && strcmp(gateway, best) < 0)) {
			best = gateway;
			best_count = count;
		}
	}
	return best;
}

static int settle_disk(struct change *change, const char *name, json_t *disk)
{
	const char *iqn = target_of_disk(change->object, name);
	const json_t *target =
	        iqn ? json_object_get(json_object_get(change->object, "targets"), iqn) : NULL;
	const json_t *portals = json_object_get(target, "portals");
	const char *owner = json_text(disk, "owner", NULL);
	if (owner && json_object_get(portals, owner))
		return 0;
	if (owner)
		(void)json_object_del(disk, "owner");
	const char *chosen = target ? choose_owner(change->object, target) : NULL;
	if (!owner && !chosen)
		return 0;
	int r = chosen ? put_new(change, disk, "owner", json_string(chosen)) : 0;
	return r < 0 ? r : stamp(change, disk);
}

static bool serves_any_target(const json_t *object, const char *gateway)
{
	const char *iqn;
	json_t *target;
	json_object_foreach (json_object_get(object, "targets"), iqn, target)
		if (json_object_get(json_object_get(target, "portals"), gateway))
			return true;
	return false;
}

static int settle_gateway(struct change *change, const char *name, json_t *gateway)
{
	json_int_t count = owned_disks(change->object, name);
	if (json_number(gateway, "active_luns", -1) == count)
		return 0;
	int r = put_new(change, gateway, "active_luns", json_integer(count));
	return r < 0 ? r : stamp(change, gateway);
}

int settle_owners(struct change *change)
{
	const char *name;
	json_t *item;
	void *next;
	json_object_foreach (json_object_get(change->object, "disks"), name, item) {
		int r = settle_disk(change, name, item);
		if (r < 0)
			return r;
	}
	json_t *gateways = object_member(change->object, "gateways");
	json_object_foreach_safe (gateways, next, name, item) {
		if (!json_is_object(item))
			continue; /* old versions kept other things here */
		if (!serves_any_target(change->object, name)) {
			(void)json_object_del(gateways, name);
			continue;
		}
		int r = settle_gateway(change, name, item);
		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- a preferred owner by hand ---- */

static int refuse_owner(struct change *change, const char *wanted, const char *iqn,
                        const json_t *portals)
{
	AUTO_STRING struct string names = { 0 };
	const char *name;
	json_t *portal;
	json_object_foreach ((json_t *)portals, name, portal)
		string_format(&names, "%s%s", names.len ? ", " : "", name);
	return refuse(change, 400, "Gateway '%s' has no portal in target %s (its gateways: %s)",
	              wanted, iqn, names.text ? names.text : "none");
}

int change_disk_owner(struct change *change)
{
	const char *pool, *image, *wanted;
	char id[OWNED_ID_MAX];
	change->doing = "disk owner ";
	int r = need_argument(change, "pool", &pool);
	if (r == 0)
		r = need_argument(change, "image", &image);
	if (r == 0)
		r = need_argument(change, "owner", &wanted);
	if (r < 0)
		return r;
	int len = snprintf(id, sizeof id, "%s/%s", pool, image);
	json_t *disk = json_object_get(json_object_get(change->object, "disks"), id);
	if (!disk || len < 0 || (size_t)len >= sizeof id)
		return refuse(change, 404, "rbd image %s/%s not found", pool, image);
	const char *iqn = target_of_disk(change->object, id);
	if (!iqn)
		return refuse(change, 400, "Disk %s must be assigned to a target", id);
	const json_t *target = json_object_get(json_object_get(change->object, "targets"), iqn);
	const json_t *portals = json_object_get(target, "portals");
	const char *owner = gateway_match(portals, wanted);
	if (!owner)
		return refuse_owner(change, wanted, iqn, portals);
	change->unchanged = strcmp(json_text(disk, "owner", ""), owner) == 0;
	r = change->unchanged ? 0 : put_new(change, disk, "owner", json_string(owner));
	if (r == 0 && !change->unchanged)
		r = stamp(change, disk);
	if (r == 0 && !change->unchanged)
		r = settle_owners(change);
	return r < 0 ? r : succeed(change, "Preferred owner of %s is %s", id, owner);
}
