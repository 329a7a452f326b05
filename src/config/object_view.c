/* Building the picture: one function for each kind of item, each walks one dictionary in order of
 * its keys. */
#include "config/object_view.h"

#include "config/address.h"
#include "config/object.h"
#include "config/option.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

/* What every item is built with. */
struct building {
	struct object_view *view;
	const struct settings *settings;
	const struct secret_keys *keys;
};

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The names of the members that are dictionaries, sorted. free() it; NULL: no memory. */
static const char **sorted_names(const json_t *dictionary, size_t *ret_count)
{
	const char **names = calloc(json_object_size(dictionary) + 1, sizeof *names), *name;
	size_t count = 0;
	json_t *item;
	if (!names)
		return NULL;
	json_object_foreach ((json_t *)dictionary, name, item) {
		if (json_is_object(item))
			names[count++] = name;
	}
	qsort(names, count, sizeof *names, compare_names);
	*ret_count = count;
	return names;
}

/* ---- secrets ---- */

static void free_secret(char *text)
{
	if (text)
		wipe(text, strlen(text));
	free(text);
}

static void clear_auth(struct view_auth *auth)
{
	free_secret(auth->password);
	free_secret(auth->mutual_password);
}

static int build_secret(const struct building *building, const json_t *auth, const char *name,
                        const char *flag, char **ret_text, bool *ret_broken)
{
	const char *text = json_text(auth, name, "");
	int r = 0;
	if (text[0] && json_flag(auth, flag, false))
		r = secret_decrypt(building->keys, text, ret_text, NULL);
	if (r == -ENOMEM)
		return r;
	if (r < 0)
		*ret_broken = true;
	if (!*ret_text)
		*ret_text = strdup(r == 0 ? text : "");
	return *ret_text ? 0 : -ENOMEM;
}

static int build_auth(const struct building *building, const json_t *owner, const char *member,
                      struct view_auth *ret_auth)
{
	const json_t *auth = json_object_get(owner, member);
	ret_auth->username = json_text(auth, "username", "");
	ret_auth->mutual_username = json_text(auth, "mutual_username", "");
	int r = build_secret(building, auth, "password", "password_encryption_enabled",
	                     &ret_auth->password, &ret_auth->broken);
	if (r < 0)
		return r;
	return build_secret(building, auth, "mutual_password", "mutual_password_encryption_enabled",
	                    &ret_auth->mutual_password, &ret_auth->broken);
}

/* ---- gateways and disks ---- */

static int build_gateways(struct building *building)
{
	struct object_view *view = building->view;
	const json_t *gateways = json_object_get(view->object, "gateways");
	size_t count = 0;
	AUTO_FREE const char **names = sorted_names(gateways, &count);
	view->gateways = calloc(count + 1, sizeof *view->gateways);
	if (!names || !view->gateways)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		const json_t *gateway = json_object_get(gateways, names[i]);
		json_int_t active = json_number(gateway, "active_luns", 0);
		view->gateways[view->gateway_count++] = (struct view_gateway){
			.name = names[i],
			.active_luns = active > 0 && active <= INT32_MAX ? (unsigned)active : 0,
		};
	}
	return 0;
}

static int build_disks(struct building *building)
{
	struct object_view *view = building->view;
	const json_t *disks = json_object_get(view->object, "disks");
	size_t count = 0;
	AUTO_FREE const char **keys = sorted_names(disks, &count);
	view->disks = calloc(count + 1, sizeof *view->disks);
	if (!keys || !view->disks)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		const json_t *disk = json_object_get(disks, keys[i]);
		struct view_disk *built = &view->disks[view->disk_count];
		*built = (struct view_disk){
			.key = keys[i],
			.pool = json_text(disk, "pool", ""),
			.image = json_text(disk, "image", ""),
			.wwn = json_text(disk, "wwn", ""),
			.owner = json_text(disk, "owner", ""),
			.allocating_host = json_text(disk, "allocating_host", ""),
			.backstore_object_name = json_text(disk, "backstore_object_name", ""),
		};
		controls_of_disk(building->settings, json_object_get(disk, "controls"),
		                 &built->controls);
		if (built->pool[0] && built->image[0])
			view->disk_count++;
	}
	return 0;
}

/* ---- LUNs ---- */

static int compare_luns(const void *a, const void *b)
{
	const struct view_lun *first = a, *second = b;
	return (first->number > second->number) - (first->number < second->number);
}

/* disks: "pool/image" -> {"lun_id": number}. */
static int build_luns(const struct building *building, const json_t *disks,
                      struct view_lun **ret_luns, size_t *ret_count)
{
	struct view_lun *luns = calloc(json_object_size(disks) + 1, sizeof *luns);
	size_t count = 0;
	const char *key;
	json_t *item;
	if (!luns)
		return -ENOMEM;
	json_object_foreach ((json_t *)disks, key, item) {
		const struct view_disk *disk = view_find_disk(building->view, key);
		json_int_t number = json_number(item, "lun_id", -1);
		if (disk && number >= 0 && number <= VIEW_LUN_MAX)
			luns[count++] = (struct view_lun){ (unsigned)number, disk };
	}
	qsort(luns, count, sizeof *luns, compare_luns);
	*ret_luns = luns;
	*ret_count = count;
	return 0;
}

/* ---- portal groups ---- */

/* The gateway that has the address among its portal's own; NULL: none. */
static const char *gateway_of_address(const json_t *portals, const char *address)
{
	const char *gateway;
	json_t *portal;
	json_object_foreach ((json_t *)portals, gateway, portal) {
		const json_t *own = json_object_get(portal, "portal_ip_addresses");
		for (size_t i = 0; i < json_array_size(own); i++) {
			const char *text = json_string_value(json_array_get(own, i));
			if (text && address_equal(text, address))
				return gateway;
		}
	}
	return NULL;
}

static struct view_portal_group *portal_group(struct view_target *target, const char *gateway)
{
	for (size_t i = 0; i < target->portal_group_count; i++)
		if (!strcmp(target->portal_groups[i].gateway, gateway))
			return &target->portal_groups[i];
	struct view_portal_group *group = &target->portal_groups[target->portal_group_count++];
	group->tag = (unsigned)target->portal_group_count;
	group->gateway = gateway;
	return group;
}

static int build_portal_groups(const json_t *object, struct view_target *target)
{
	const json_t *addresses = json_object_get(object, "ip_list");
	const json_t *portals = json_object_get(object, "portals");
	size_t count = json_array_size(addresses);
	target->portal_groups =
	        calloc(json_object_size(portals) + 1, sizeof *target->portal_groups);
	if (!target->portal_groups)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		const char *address = json_string_value(json_array_get(addresses, i));
		const char *gateway = address ? gateway_of_address(portals, address) : NULL;
		if (!gateway)
			continue;
		struct view_portal_group *group = portal_group(target, gateway);
		if (!group->addresses)
			group->addresses = calloc(count, sizeof *group->addresses);
		if (!group->addresses)
			return -ENOMEM;
		group->addresses[group->address_count++] = address;
	}
	return 0;
}

/* ---- clients and targets ---- */

static int build_clients(const struct building *building, const json_t *clients,
                         struct view_target *target)
{
	size_t count = 0;
	AUTO_FREE const char **names = sorted_names(clients, &count);
	target->clients = calloc(count + 1, sizeof *target->clients);
	if (!names || !target->clients)
		return -ENOMEM;
	int r = 0;
	for (size_t i = 0; r == 0 && i < count; i++) {
		const json_t *object = json_object_get(clients, names[i]);
		struct view_client *client = &target->clients[target->client_count++];
		client->iqn = names[i];
		client->group = json_text(object, "group_name", "");
		r = build_auth(building, object, "auth", &client->auth);
		if (r == 0)
			r = build_luns(building, json_object_get(object, "luns"), &client->luns,
			               &client->lun_count);
	}
	return r;
}

static int build_target(const struct building *building, const json_t *object,
                        struct view_target *target)
{
	target->acl_enabled = json_flag(object, "acl_enabled", true);
	controls_of_target(building->settings, json_object_get(object, "controls"),
	                   &target->controls);
	int r = build_auth(building, object, "auth", &target->auth);
	if (r == 0)
		r = build_portal_groups(object, target);
	if (r == 0)
		r = build_luns(building, json_object_get(object, "disks"), &target->luns,
		               &target->lun_count);
	if (r == 0)
		r = build_clients(building, json_object_get(object, "clients"), target);
	return r;
}

static int build_targets(struct building *building)
{
	struct object_view *view = building->view;
	const json_t *targets = json_object_get(view->object, "targets");
	size_t count = 0;
	AUTO_FREE const char **names = sorted_names(targets, &count);
	view->targets = calloc(count + 1, sizeof *view->targets);
	if (!names || !view->targets)
		return -ENOMEM;
	int r = 0;
	for (size_t i = 0; r == 0 && i < count; i++) {
		struct view_target *target = &view->targets[view->target_count++];
		target->iqn = names[i];
		r = build_target(building, json_object_get(targets, names[i]), target);
	}
	return r;
}

int object_view_new(const json_t *object, const struct settings *settings,
                    const struct secret_keys *keys, struct object_view **ret_view,
                    struct error *err)
{
	AUTO(object_view) struct object_view *view = calloc(1, sizeof *view);
	if (!view || !(view->object = json_deep_copy(object)))
		return error_set(err, -ENOMEM, "out of memory");
	view->epoch = object_epoch(object);
	struct building building = { view, settings, keys };
	int r = build_gateways(&building);
	if (r == 0)
		r = build_auth(&building, view->object, "discovery_auth", &view->discovery_auth);
	if (r == 0)
		r = build_disks(&building);
	if (r == 0)
		r = build_targets(&building);
	if (r < 0)
		return error_set(err, r, "out of memory");
	*ret_view = steal(&view);
	return 0;
}

static void clear_target(struct view_target *target)
{
	for (size_t i = 0; i < target->client_count; i++) {
		clear_auth(&target->clients[i].auth);
		free(target->clients[i].luns);
	}
	for (size_t i = 0; i < target->portal_group_count; i++)
		free(target->portal_groups[i].addresses);
	clear_auth(&target->auth);
	free(target->clients);
	free(target->portal_groups);
	free(target->luns);
}

void object_view_free(struct object_view *view)
{
	if (!view)
		return;
	for (size_t i = 0; i < view->target_count; i++)
		clear_target(&view->targets[i]);
	clear_auth(&view->discovery_auth);
	free(view->targets);
	free(view->disks);
	free(view->gateways);
	json_decref(view->object);
	free(view);
}

/* ---- look-ups: every item begins with its name, arrays are small or sorted ---- */

static const void *find(const void *items, size_t count, size_t item_bytes, const char *name,
                        int (*compare)(const char *, const char *))
{
	for (size_t i = 0; i < count; i++) {
		const char *const *item = (const void *)((const char *)items + i * item_bytes);
		if (compare(*item, name) == 0)
			return item;
	}
	return NULL;
}

const struct view_gateway *view_find_gateway(const struct object_view *view, const char *name)
{
	return find(view->gateways, view->gateway_count, sizeof *view->gateways, name, strcmp);
}

static int compare_disk(const void *key, const void *disk)
{
	return strcmp(key, ((const struct view_disk *)disk)->key);
}

const struct view_disk *view_find_disk(const struct object_view *view, const char *key)
{
	return bsearch(key, view->disks, view->disk_count, sizeof *view->disks, compare_disk);
}

const struct view_target *view_find_target(const struct object_view *view, const char *iqn)
{
	return find(view->targets, view->target_count, sizeof *view->targets, iqn, strcasecmp);
}

const struct view_client *view_find_client(const struct view_target *target, const char *iqn)
{
	return find(target->clients, target->client_count, sizeof *target->clients, iqn,
	            strcasecmp);
}

const struct view_portal_group *view_find_portal_group(const struct view_target *target,
                                                       const char *gateway)
{
	for (size_t i = 0; i < target->portal_group_count; i++)
		if (!strcmp(target->portal_groups[i].gateway, gateway))
			return &target->portal_groups[i];
	return NULL;
}
