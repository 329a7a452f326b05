/* Targets: create, reconfigure, delete. */
#include "config/change_parts.h"

#include <string.h>

static json_t *new_target(const struct change *change)
{
	return json_pack("{s:s, s:b, s:o, s:{}, s:{}, s:{}, s:{}, s:{}}", "created",
	                 change->context->now, "acl_enabled", 1, "auth", empty_auth(), "clients",
	                 "controls", "disks", "groups", "portals");
}

static int create_target(struct change *change, const char *iqn)
{
	json_t *targets = object_member(change->object, "targets");
	(void)succeed(change, "Target defined successfully");
	if (json_object_get(targets, iqn)) {
		/* compat: a repeated create is a success. Unlike upstream it never touches the
		 * entry. */
		change->unchanged = true;
		return 0;
	}
	int r = put_new(change, targets, iqn, new_target(change));
	if (r < 0)
		return r;
	return apply_controls(change, OPTION_TARGET, json_object_get(targets, iqn));
}

static int reconfigure_target(struct change *change, json_t *target)
{
	(void)succeed(change, "Target reconfigured.");
	if (!argument(change, "controls")) {
		change->unchanged = true;
		return 0;
	}
	int r = need_local_portal(change, target);
	return r < 0 ? r : stamp(change, target);
}

int change_target_put(struct change *change)
{
	const char *text;
	char iqn[IQN_MAX];
	int r = need_argument(change, "target_iqn", &text);
	if (r < 0)
		return r;
	if (iqn_normalize(text, iqn) < 0)
		return refuse(change, 500, "Invalid iqn %s - WWN not valid as: iqn", text);
	const char *mode = argument(change, "mode");
	if (mode && strcmp(mode, "reconfigure") != 0)
		return refuse(change, 500, "Unexpected mode provided for %s - %s", iqn, mode);

	/* Controls are looked at before the target is: with a target of its own if there is none.
	 */
	json_t *target = json_object_get(json_object_get(change->object, "targets"), iqn);
	AUTO_JSON json_t *nobody = json_object();
	r = apply_controls(change, OPTION_TARGET, mode && target ? target : nobody);
	if (r < 0)
		return r;
	if (!mode)
		return create_target(change, iqn);
	if (!target)
		return refuse(change, 400, "Target: %s is not defined.", iqn);
	return reconfigure_target(change, target);
}

int change_target_delete(struct change *change)
{
	char iqn[IQN_MAX];
	json_t *target;
	int r = find_target(change, iqn, &target);
	if (r < 0)
		return r;
	size_t clients = json_object_size(json_object_get(target, "clients"));
	size_t disks = json_object_size(json_object_get(target, "disks"));
	if (clients || disks)
		return refuse(change, 400,
		              "Clients(%zu) and disks(%zu) must be removed before the gateways",
		              clients, disks);
	(void)json_object_del(json_object_get(change->object, "targets"), iqn);
	change->takes_away = true;
	r = settle_owners(change);
	return r < 0 ? r : succeed(change, "Target deleted.");
}
