/* Owners of disks and the gateways' entries: worked out anew after each change that may move them,
 * so that counts cannot drift and no disk is left with an owner that cannot serve it. */
#include "config/change_parts.h"

#include <string.h>

static json_int_t owned_disks(const json_t *object, const char *gateway)
{
	json_int_t count = 0;
	const char *name;
	json_t *disk;
	json_object_foreach (json_object_get(object, "disks"), name, disk)
		count += strcmp(json_text(disk, "owner", ""), gateway) == 0;
	return count;
}

/* The portal with the fewest disks; the first by name of those. */
static const char *choose_owner(const json_t *object, const json_t *target)
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
