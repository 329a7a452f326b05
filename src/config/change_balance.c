/* Preferred owners of a target's disks, spread anew over its gateways, on request only: adding a
 * gateway changes no owner, as with ceph-iscsi. */
#include "config/change_parts.h"

#include <string.h>

#define NAMED_DISKS_MAX 10

struct balance {
	struct change *change;
	const json_t *portals, *disks; /* of the target */
	unsigned moves;
	struct string moved; /* "rbd/a to gw-3, ..." */
};

/* A disk of the target that prefers that gateway; NULL: none. */
static const char *disk_of(const struct balance *balance, const char *gateway)
{
	const json_t *disks = json_object_get(balance->change->object, "disks");
	const char *id;
	json_t *lun;
	json_object_foreach ((json_t *)balance->disks, id, lun)
		if (strcmp(json_text(json_object_get(disks, id), "owner", ""), gateway) == 0)
			return id;
	return NULL;
}

/* The fullest gateway that can give a disk, and that disk. NULL: none can. */
static const char *disk_to_move(const struct balance *balance, json_int_t *ret_count)
{
	const char *disk = NULL, *gateway;
	json_t *portal;
	*ret_count = 0;
	json_object_foreach ((json_t *)balance->portals, gateway, portal) {
		json_int_t count = owned_disks(balance->change->object, gateway);
		const char *found = count > *ret_count ? disk_of(balance, gateway) : NULL;
		if (!found)
			continue;
		disk = found;
		*ret_count = count;
	}
	return disk;
}

/* 1: a disk has moved. 0: no gateway has two more than another, so none has less than its share. */
static int move_one(struct balance *balance, const json_t *target)
{
	struct change *change = balance->change;
	json_int_t most;
	const char *id = disk_to_move(balance, &most);
	const char *to = choose_owner(change->object, target);
	if (!id || !to || most - owned_disks(change->object, to) < 2)
		return 0;
	json_t *disk = json_object_get(json_object_get(change->object, "disks"), id);
	int r = put_new(change, disk, "owner", json_string(to));
	if (r == 0)
		r = stamp(change, disk);
	if (r < 0)
		return r;
	if (balance->moves++ < NAMED_DISKS_MAX)
		string_format(&balance->moved, "%s%s to %s", balance->moved.len ? ", " : "", id,
		              to);
	return 1;
}

int change_target_balance(struct change *change)
{
	char iqn[IQN_MAX];
	json_t *target;
	change->doing = "Target balance ";
	int r = find_target(change, iqn, &target);
	if (r < 0)
		return r;
	struct balance balance = { .change = change,
		                   .portals = json_object_get(target, "portals"),
		                   .disks = json_object_get(target, "disks") };
	do
		r = move_one(&balance, target);
	while (r > 0);
	AUTO_STRING struct string moved = balance.moved;
	change->unchanged = balance.moves == 0;
	if (r == 0 && balance.moves)
		r = settle_owners(change);
	if (r < 0)
		return r;
	if (!balance.moves)
		return succeed(change, "The gateways of %s have their shares already", iqn);
	return succeed(change, "%u preferred owner(s) changed: %s%s", balance.moves,
	               moved.text ? moved.text : "",
	               balance.moves > NAMED_DISKS_MAX ? ", ..." : "");
}
