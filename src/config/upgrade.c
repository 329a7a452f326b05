/* object_upgrade(): the steps that ceph-iscsi took from version to version, as a table, and what
 * later releases left to mend. Where upstream lost or broke something, the better is done. */
#include "config/object.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PLAIN_PASSWORD_MAX 16 /* a longer one must be encrypted: upstream's guess in 7 -> 8 */

/* One run: failures to set a member are collected, so that the steps read as what they do. */
struct upgrade {
	const struct object_context *context;
	json_t *object;
	int failure; /* -ENOMEM, or -EINVAL for an item that is no dictionary */
	struct error *err;
};

static void set(struct upgrade *upgrade, json_t *object, const char *name, json_t *value)
{
	bool is_dictionary = json_is_object(object);
	if (json_object_set_new(object, name, value) < 0)
		upgrade->failure = is_dictionary ? -ENOMEM : -EINVAL;
}

static void set_text(struct upgrade *upgrade, json_t *object, const char *name, const char *text)
{
	set(upgrade, object, name, json_string(text));
}

static void set_updated(struct upgrade *upgrade, json_t *object)
{
	set_text(upgrade, object, "updated", upgrade->context->now);
}

/* The dictionary of that name; made if it is missing. Borrowed; NULL if memory ran out. */
static json_t *dictionary(struct upgrade *upgrade, json_t *object, const char *name)
{
	if (!json_is_object(json_object_get(object, name)))
		set(upgrade, object, name, json_object());
	return json_object_get(object, name);
}

/* Takes the member out of the dictionary; NULL if it is not there. */
static json_t *take(json_t *object, const char *name)
{
	json_t *value = json_incref(json_object_get(object, name));
	(void)json_object_del(object, name);
	return value;
}

static void set_empty_auth(struct upgrade *upgrade, json_t *owner, const char *name)
{
	set(upgrade, owner, name,
	    json_pack("{s:s, s:s, s:b, s:s, s:s, s:b}", "username", "", "password", "",
	              "password_encryption_enabled", 0, "mutual_username", "", "mutual_password",
	              "", "mutual_password_encryption_enabled", 0));
}

/* ---- the steps ---- */

static int add_groups(struct upgrade *upgrade)
{
	set(upgrade, upgrade->object, "groups", json_object());
	return 0;
}

/* Version 3 mixed a gateway and its portal in one entry. */
static void split_gateway(struct upgrade *upgrade, const char *host, json_t *entry,
                          json_t *gateways, json_t *portals)
{
	json_t *gateway = json_object();
	AUTO_JSON json_t *active = take(entry, "active_luns");
	set(upgrade, gateway, "active_luns", active ? json_incref(active) : json_integer(0));
	static const char *const times[] = { "created", "updated" };
	for (size_t i = 0; i < ARRAY_LEN(times); i++) {
		const char *time = json_text(entry, times[i], "");
		if (time[0])
			set_text(upgrade, gateway, times[i], time);
		(void)json_object_del(entry, times[i]);
	}
	(void)json_object_del(entry, "iqn");
	set(upgrade, gateways, host, gateway);
	set(upgrade, portals, host, json_incref(entry));
}

static void drop_times(json_t *items)
{
	const char *name;
	json_t *item;
	json_object_foreach (items, name, item) {
		(void)json_object_del(item, "created");
		(void)json_object_del(item, "updated");
	}
}

static json_t *keys_as_list(const json_t *dictionary)
{
	json_t *list = json_array();
	const char *name;
	json_t *item;
	json_object_foreach ((json_t *)dictionary, name, item) {
		if (json_array_append_new(list, json_string(name)) < 0) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

/* The one target of version 3 is spread over the top level. */
static int add_targets(struct upgrade *upgrade)
{
	json_t *object = upgrade->object;
	AUTO_JSON json_t *old_gateways = take(object, "gateways");
	AUTO_JSON json_t *controls = take(object, "controls");
	AUTO_JSON json_t *clients = take(object, "clients");
	AUTO_JSON json_t *groups = take(object, "groups");
	AUTO_JSON json_t *portals = json_object();
	set(upgrade, object, "targets", json_object());
	set(upgrade, object, "discovery_auth",
	    json_pack("{s:s, s:s}", "chap", "", "chap_mutual", ""));
	json_t *gateways = dictionary(upgrade, object, "gateways");
	const char *iqn = json_text(old_gateways, "iqn", NULL), *name;
	if (!iqn || upgrade->failure)
		return 0;
	json_t *item;
	json_object_foreach (old_gateways, name, item) {
		if (json_is_object(item))
			split_gateway(upgrade, name, item, gateways, portals);
	}
	drop_times(clients);
	drop_times(groups);
	json_object_foreach (clients, name, item)
		set_text(upgrade, dictionary(upgrade, item, "auth"), "chap_mutual", "");
	json_t *addresses = json_object_get(old_gateways, "ip_list");
	json_t *target = json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:s, s:s}", "disks",
	                           keys_as_list(dictionary(upgrade, object, "disks")), "clients",
	                           clients ? json_incref(clients) : json_object(), "portals",
	                           json_incref(portals), "groups",
	                           groups ? json_incref(groups) : json_object(), "controls",
	                           controls ? json_incref(controls) : json_object(), "ip_list",
	                           addresses ? json_incref(addresses) : json_array(), "created",
	                           upgrade->context->now, "updated", upgrade->context->now);
	set(upgrade, json_object_get(object, "targets"), iqn, target);
	return 0;
}

static int add_backstore(struct upgrade *upgrade)
{
	const char *key;
	json_t *disk;
	json_object_foreach (dictionary(upgrade, upgrade->object, "disks"), key, disk) {
		set_text(upgrade, disk, "backstore", "user:rbd");
		set_updated(upgrade, disk);
	}
	return 0;
}

static int add_acl_enabled(struct upgrade *upgrade)
{
	const char *iqn;
	json_t *target;
	json_object_foreach (dictionary(upgrade, upgrade->object, "targets"), iqn, target) {
		set(upgrade, target, "acl_enabled", json_true());
		set_updated(upgrade, target);
	}
	return 0;
}

/* ---- renaming disks, everywhere ---- */

/* names: old key -> new key. Names that it does not hold stay. */
static void rename_keys(struct upgrade *upgrade, json_t *owner, const char *member,
                        const json_t *names)
{
	json_t *old = json_object_get(owner, member);
	if (!json_is_object(old))
		return;
	json_t *renamed = json_object();
	const char *key;
	json_t *value;
	json_object_foreach (old, key, value)
		set(upgrade, renamed, json_text(names, key, key), json_incref(value));
	set(upgrade, owner, member, renamed);
}

static void rename_items(struct upgrade *upgrade, json_t *list, const json_t *names)
{
	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *name = json_string_value(json_array_get(list, i));
		const char *renamed = name ? json_text(names, name, NULL) : NULL;
		if (renamed && json_array_set_new(list, i, json_string(renamed)) < 0)
			upgrade->failure = -ENOMEM;
	}
}

static void rename_references(struct upgrade *upgrade, const json_t *names)
{
	const char *iqn, *name;
	json_t *target, *item;
	json_object_foreach (dictionary(upgrade, upgrade->object, "targets"), iqn, target) {
		rename_items(upgrade, json_object_get(target, "disks"), names);
		rename_keys(upgrade, target, "disks", names);
		json_object_foreach (json_object_get(target, "clients"), name, item)
			rename_keys(upgrade, item, "luns", names);
		json_object_foreach (json_object_get(target, "groups"), name, item)
			rename_keys(upgrade, item, "disks", names);
	}
}

/* "POOL/IMAGE" of the disk's own words; without them the key with '/' for each '.', which is
 * upstream's rule for all and wrong for names with a dot. free() it. */
static char *right_key(const char *key, const json_t *disk)
{
	const char *pool = json_text(disk, "pool", ""), *image = json_text(disk, "image", "");
	AUTO_STRING struct string right = { 0 };
	if (pool[0] && image[0]) {
		string_format(&right, "%s/%s", pool, image);
		return string_take(&right);
	}
	for (; *key; key++)
		string_add_char(&right, *key == '.' ? '/' : *key);
	return string_take(&right);
}

static int rename_disks(struct upgrade *upgrade, bool (*is_wrong)(const char *key))
{
	AUTO_JSON json_t *names = json_object(), *taken = json_object();
	json_t *disks = dictionary(upgrade, upgrade->object, "disks"), *disk;
	const char *key;
	json_object_foreach (disks, key, disk) {
		AUTO_FREE char *right = is_wrong(key) ? right_key(key, disk) : strdup(key);
		if (!right)
			return -ENOMEM;
		if (json_object_get(taken, right))
			return error_set(upgrade->err, -EEXIST,
			                 "the configuration object has two disks for the image %s; "
			                 "remove one of them with the old release first",
			                 right);
		set(upgrade, taken, right, json_true());
		if (strcmp(right, key) != 0)
			set_text(upgrade, names, key, right);
	}
	if (json_object_size(names) == 0)
		return 0;
	rename_keys(upgrade, upgrade->object, "disks", names);
	rename_references(upgrade, names);
	return 0;
}

static bool always(const char *key)
{
	return true;
}

static int name_disks_by_pool(struct upgrade *upgrade)
{
	const char *name;
	json_t *item;
	json_object_foreach (dictionary(upgrade, upgrade->object, "disks"), name, item)
		set_text(upgrade, item, "backstore_object_name", name);
	json_object_foreach (dictionary(upgrade, upgrade->object, "targets"), name, item)
		set_updated(upgrade, item);
	return rename_disks(upgrade, always);
}

/* ---- from "user/password" to a dictionary ---- */

/* Without '/' there is neither. Returns the length of the password. */
static size_t split_chap(struct upgrade *upgrade, json_t *auth, const char *old_name,
                         const char *user_name, const char *password_name)
{
	AUTO_JSON json_t *old = take(auth, old_name);
	const char *text = json_is_string(old) ? json_string_value(old) : "";
	const char *slash = strchr(text, '/');
	const char *password = slash ? slash + 1 : "";
	set(upgrade, auth, user_name, json_stringn(text, slash ? (size_t)(slash - text) : 0));
	set_text(upgrade, auth, password_name, password);
	return strlen(password);
}

static void split_auth(struct upgrade *upgrade, json_t *auth, size_t *ret_len,
                       size_t *ret_mutual_len)
{
	*ret_len = split_chap(upgrade, auth, "chap", "username", "password");
	*ret_mutual_len =
	        split_chap(upgrade, auth, "chap_mutual", "mutual_username", "mutual_password");
	set(upgrade, auth, "password_encryption_enabled",
	    json_boolean(*ret_len > PLAIN_PASSWORD_MAX));
	set(upgrade, auth, "mutual_password_encryption_enabled",
	    json_boolean(*ret_mutual_len > PLAIN_PASSWORD_MAX));
}

static int split_clients(struct upgrade *upgrade, json_t *clients)
{
	const char *iqn;
	json_t *client;
	json_object_foreach (clients, iqn, client) {
		size_t len, mutual_len;
		split_auth(upgrade, dictionary(upgrade, client, "auth"), &len, &mutual_len);
		bool encrypted = len > PLAIN_PASSWORD_MAX || mutual_len > PLAIN_PASSWORD_MAX;
		/* Upstream would take the ciphertext for the password from then on. */
		if (encrypted && !upgrade->context->encryption)
			return error_set(
			        upgrade->err, -ENOKEY,
			        "the configuration object is of an old version and the "
			        "password of %s in it is encrypted, but this gateway lacks "
			        "the key files; copy priv_key and pub_key here first",
			        iqn);
	}
	return 0;
}

static int split_credentials(struct upgrade *upgrade)
{
	size_t len, mutual_len;
	json_t *discovery = dictionary(upgrade, upgrade->object, "discovery_auth"), *target;
	split_auth(upgrade, discovery, &len, &mutual_len);
	set(upgrade, discovery, "password_encryption_enabled", json_false());
	set(upgrade, discovery, "mutual_password_encryption_enabled", json_false());
	const char *iqn;
	json_object_foreach (dictionary(upgrade, upgrade->object, "targets"), iqn, target) {
		int r = split_clients(upgrade, json_object_get(target, "clients"));
		if (r < 0)
			return r;
		set_updated(upgrade, target);
	}
	return 0;
}

static int list_portal_addresses(struct upgrade *upgrade)
{
	const char *iqn, *host;
	json_t *target, *portal;
	json_object_foreach (dictionary(upgrade, upgrade->object, "targets"), iqn, target) {
		json_object_foreach (json_object_get(target, "portals"), host, portal) {
			AUTO_JSON json_t *address = take(portal, "portal_ip_address");
			set(upgrade, portal, "portal_ip_addresses",
			    address ? json_pack("[O]", address) : json_array());
		}
		set_updated(upgrade, target);
	}
	return 0;
}

/* ---- from short host names to full ones: each gateway does its own ---- */

static bool list_holds(const json_t *list, const char *text)
{
	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *item = json_string_value(json_array_get(list, i));
		if (item && !strcmp(item, text))
			return true;
	}
	return false;
}

static bool rename_key(struct upgrade *upgrade, json_t *items, const char *from, const char *to)
{
	json_t *value = strcmp(from, to) != 0 ? take(items, from) : NULL;
	if (value)
		set(upgrade, items, to, value);
	return value != NULL;
}

static void rename_host(struct upgrade *upgrade, const char *from, const char *to)
{
	static const char *const mentions[] = { "allocating_host", "owner" };
	const char *name;
	json_t *item;
	(void)rename_key(upgrade, dictionary(upgrade, upgrade->object, "gateways"), from, to);
	json_object_foreach (dictionary(upgrade, upgrade->object, "targets"), name, item) {
		if (rename_key(upgrade, json_object_get(item, "portals"), from, to))
			set_updated(upgrade, item);
	}
	json_object_foreach (dictionary(upgrade, upgrade->object, "disks"), name, item) {
		for (size_t i = 0; i < ARRAY_LEN(mentions); i++)
			if (!strcmp(json_text(item, mentions[i], ""), from))
				set_text(upgrade, item, mentions[i], to);
		set_updated(upgrade, item);
	}
}

static int use_full_host_name(struct upgrade *upgrade)
{
	const char *full = upgrade->context->gateway_name, *name;
	json_t *list = json_object_get(upgrade->object, "gateways_upgraded"), *gateway;
	if (!json_is_array(list)) {
		set(upgrade, upgrade->object, "gateways_upgraded", json_array());
		list = json_object_get(upgrade->object, "gateways_upgraded");
	}
	if (!list_holds(list, full)) {
		AUTO_FREE char *brief = strndup(full, strcspn(full, "."));
		if (!brief || json_array_append_new(list, json_string(full)) < 0)
			return -ENOMEM;
		rename_host(upgrade, brief, full);
	}
	json_object_foreach (dictionary(upgrade, upgrade->object, "gateways"), name, gateway) {
		if (json_is_object(gateway) && !list_holds(list, name))
			return 0;
	}
	(void)json_object_del(upgrade->object, "gateways_upgraded");
	return 0;
}

static bool host_name_is_pending(const struct upgrade *upgrade)
{
	const json_t *list = json_object_get(upgrade->object, "gateways_upgraded");
	return list && !list_holds(list, upgrade->context->gateway_name);
}

/* ---- LUN numbers of the target ---- */

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int number_disks(struct upgrade *upgrade, json_t *target)
{
	const json_t *list = json_object_get(target, "disks");
	size_t count = 0;
	AUTO_FREE const char **names = calloc(json_array_size(list) + 1, sizeof *names);
	AUTO_JSON json_t *numbered = json_object();
	if (!names || !numbered)
		return -ENOMEM;
	for (size_t i = 0; i < json_array_size(list); i++)
		if (json_is_string(json_array_get(list, i)))
			names[count++] = json_string_value(json_array_get(list, i));
	qsort(names, count, sizeof *names, compare_names);
	for (size_t i = 0; i < count; i++)
		set(upgrade, numbered, names[i], json_pack("{s:i}", "lun_id", (int)i));
	if (!json_is_object(list))
		set(upgrade, target, "disks", json_incref(numbered));
	return 0;
}

static int add_target_auth(struct upgrade *upgrade)
{
	const char *iqn;
	json_t *target;
	json_object_foreach (dictionary(upgrade, upgrade->object, "targets"), iqn, target) {
		set_empty_auth(upgrade, target, "auth");
		if (number_disks(upgrade, target) < 0)
			return -ENOMEM;
		set_updated(upgrade, target);
	}
	return 0;
}

/* What upstream's own step to version 7 left of names with a dot: "rbd/disk/2" for rbd, disk.2. */
static bool has_two_slashes(const char *key)
{
	const char *slash = strchr(key, '/');
	return slash && strchr(slash + 1, '/');
}

static const struct step {
	int from; /* runs on objects of this version and below */
	int (*run)(struct upgrade *upgrade);
} steps[] = {
	{ 2, add_groups },
	{ 3, add_targets },
	{ 4, add_backstore },
	{ 5, add_acl_enabled },
	{ 6, name_disks_by_pool },
	{ 7, split_credentials },
	{ 8, list_portal_addresses },
	{ 9, use_full_host_name },
	{ 10, add_target_auth },
};

static int run_steps(struct upgrade *upgrade)
{
	/* 9.5 of releases 3.1 and 3.2 is 10 with host names to come. */
	json_int_t version = json_number(upgrade->object, "version", 10);
	int r = 0;
	if (version > 9 && host_name_is_pending(upgrade))
		r = use_full_host_name(upgrade);
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(steps); i++)
		if (version <= steps[i].from)
			r = steps[i].run(upgrade);
	if (r == 0)
		r = rename_disks(upgrade, has_two_slashes);
	set(upgrade, upgrade->object, "version", json_integer(OBJECT_VERSION));
	return r == 0 ? upgrade->failure : r;
}

int object_upgrade(json_t *object, const struct object_context *context, bool *ret_changed,
                   struct error *err)
{
	if (object_is_newer(object)) {
		*ret_changed = false;
		return 0;
	}
	AUTO_JSON json_t *copy = json_deep_copy(object);
	struct upgrade upgrade = { .context = context, .object = copy, .err = err };
	int r = copy ? run_steps(&upgrade) : -ENOMEM;
	if (r == -ENOMEM)
		return error_set(err, r, "out of memory");
	if (r == -EINVAL)
		return error_set(
		        err, r,
		        "the configuration object holds a target, disk or client that is no "
		        "dictionary; it is left untouched, restore it from a backup");
	if (r < 0)
		return r;
	bool changed = !json_equal(object, copy);
	if (changed) {
		(void)json_object_clear(object);
		if (json_object_update(object, copy) < 0)
			return error_set(err, -ENOMEM, "out of memory");
	}
	*ret_changed = changed;
	return 0;
}
