/* Clients (initiators) of a target and the disks that each of them sees. */
#include "config/change_parts.h"

#include <string.h>

static size_t count_gateways(const json_t *object)
{
	size_t count = 0;
	const char *name;
	json_t *gateway;
	json_object_foreach (json_object_get(object, "gateways"), name, gateway)
		count += json_is_object(gateway);
	return count;
}

/* The target (with a portal here) and, if there is one, the client. */
static int begin(struct change *change, char target_iqn[IQN_MAX], json_t **ret_target,
                 char client_iqn[IQN_MAX], json_t **ret_client)
{
	int r = find_target(change, target_iqn, ret_target);
	if (r == 0)
		r = find_client(change, *ret_target, client_iqn, ret_client);
	return r < 0 ? r : need_local_portal(change, *ret_target);
}

int change_client_put(struct change *change)
{
	char iqn[IQN_MAX], client_iqn[IQN_MAX];
	json_t *target, *client;
	change->doing = "client create/update ";
	int r = begin(change, iqn, &target, client_iqn, &client);
	if (r < 0)
		return r;
	if (client)
		return refuse(change, 400, "A client with the name '%s' is already defined",
		              client_iqn);
	if (*json_text(json_object_get(target, "auth"), "username", ""))
		return refuse(change, 400,
		              "Cannot create client because target CHAP authentication is enabled");
	int minimum = change->context->settings->minimum_gateways;
	if (minimum > 0 && count_gateways(change->object) < (size_t)minimum)
		return refuse(
		        change, 400,
		        "Clients can not be defined until a HA configuration has been defined "
		        "(>%d gateways)",
		        minimum);
	r = put_new(change, object_member(target, "clients"), client_iqn,
	            json_pack("{s:o, s:s, s:{}}", "auth", empty_auth(), "group_name", "", "luns"));
	if (r == 0)
		r = put_new(change, target, "acl_enabled", json_true());
	if (r == 0)
		r = stamp(change, target);
	return r < 0 ? r : succeed(change, "client create/update successful");
}

static bool logged_in(const json_t *sessions, const char *target, const char *client)
{
	size_t i;
	json_t *session;
	json_array_foreach (sessions, i, session)
		if (strcmp(json_text(session, "target", ""), target) == 0 &&
		    strcmp(json_text(session, "initiator", ""), client) == 0)
			return true;
	return false;
}

int change_client_delete(struct change *change)
{
	char iqn[IQN_MAX], client_iqn[IQN_MAX];
	json_t *target, *client;
	change->doing = "client delete ";
	change->takes_away = true;
	int r = begin(change, iqn, &target, client_iqn, &client);
	if (r < 0)
		return r;
	if (!client)
		return refuse(change, 400, "%s is not defined yet - nothing to delete", client_iqn);
	const char *group = json_text(client, "group_name", "");
	if (*group)
		return refuse(change, 400, "Unable to delete '%s' - it belongs to group %s",
		              client_iqn, group);
	if (logged_in(change->context->sessions, iqn, client_iqn))
		return refuse(
		        change, 400,
		        "Client '%s' is logged in to %s- unable to delete until it's logged out",
		        client_iqn, iqn);
	(void)json_object_del(json_object_get(target, "clients"), client_iqn);
	r = stamp(change, target);
	return r < 0 ? r : succeed(change, "client delete successful");
}

/* ---- disks of a client ---- */

/* compat: the target's number if no client of the target uses it for anything, else the lowest that
 * is free for this client; so clients may see one disk under different numbers. */
static json_int_t choose_number(const json_t *target, json_t *luns, const char *id)
{
	json_int_t number =
	        json_number(json_object_get(json_object_get(target, "disks"), id), "lun_id", -1);
	bool used = false;
	const char *name;
	json_t *client;
	json_object_foreach (json_object_get(target, "clients"), name, client)
		used |= lun_number_used(json_object_get(client, "luns"), number);
	if (!used && number >= 0 && number <= LUN_MAX)
		return number;
	for (number = 0; number <= LUN_MAX; number++)
		if (!lun_number_used(luns, number))
			return number;
	return -1;
}

/* As begin(), and the client must be there; its disks are its own unless it is in a group. */
static int begin_lun(struct change *change, json_t **ret_target, json_t **ret_client,
                     const char **ret_disk)
{
	char iqn[IQN_MAX], client_iqn[IQN_MAX];
	int r = begin(change, iqn, ret_target, client_iqn, ret_client);
	if (r < 0)
		return r;
	if (!*ret_client)
		return refuse(change, 404, "Client %s does not exist", client_iqn);
	return need_argument(change, "disk", ret_disk);
}

static int refuse_group_member(struct change *change, const json_t *client)
{
	const char *group = json_text(client, "group_name", "");
	if (!*group)
		return 0;
	return refuse(change, 400, "Unable to manage disks for '%s' - it belongs to group %s",
	              argument(change, "client_iqn"), group);
}

int change_client_lun_put(struct change *change)
{
	json_t *target, *client;
	const char *id;
	change->doing = "client masking update ";
	int r = begin_lun(change, &target, &client, &id);
	if (r == 0)
		r = refuse_group_member(change, client);
	if (r < 0)
		return r;
	if (!json_object_get(json_object_get(change->object, "disks"), id))
		return refuse(
		        change, 400,
		        "Invalid image list - it defines new disks that do not current exist");
	json_t *luns = object_member(client, "luns");
	if (json_object_get(luns, id))
		return refuse(change, 400,
		              "client masking update failed on %s. Invalid client request",
		              change->context->gateway_name);
	if (!json_object_get(json_object_get(target, "disks"), id))
		return refuse(change, 400, "Disk %s is not defined in target %s", id,
		              argument(change, "target_iqn"));
	json_int_t number = choose_number(target, luns, id);
	if (number < 0)
		return refuse(change, 400, "All LUN ids from 0 to %d are in use", LUN_MAX);
	r = put_new(change, luns, id, json_pack("{s:I}", "lun_id", number));
	if (r == 0)
		r = stamp(change, target);
	return r < 0 ? r : succeed(change, "client masking update successful");
}

int change_client_lun_delete(struct change *change)
{
	json_t *target, *client;
	const char *id;
	change->doing = "client masking update ";
	change->takes_away = true;
	int r = begin_lun(change, &target, &client, &id);
	if (r < 0)
		return r;
	json_t *luns = object_member(client, "luns");
	if (!json_object_get(luns, id))
		return refuse(change, 400, "disk not mapped to client");
	r = refuse_group_member(change, client);
	if (r < 0)
		return r;
	(void)json_object_del(luns, id);
	r = stamp(change, target);
	return r < 0 ? r : succeed(change, "client masking update successful");
}
