/* Every change against what upstream did: its requests one after another, from an empty object, and
 * for each the members of the object that changed. */
#include "change_world.h"

struct operation {
	const char *method, *path; /* pieces in < > are arguments */
	change_fn run;
};
static const struct operation operations[] = {
	{ "PUT", "target/<target_iqn>", change_target_put },
	{ "DELETE", "target/<target_iqn>", change_target_delete },
	{ "PUT", "gateway/<target_iqn>/<gateway_name>", change_gateway_put },
	{ "DELETE", "gateway/<target_iqn>/<gateway_name>", change_gateway_delete },
	{ "PUT", "disk/<pool>/<image>", change_disk_put },
	{ "DELETE", "disk/<pool>/<image>", change_disk_delete },
	{ "PUT", "targetlun/<target_iqn>", change_target_lun_put },
	{ "DELETE", "targetlun/<target_iqn>", change_target_lun_delete },
	{ "PUT", "client/<target_iqn>/<client_iqn>", change_client_put },
	{ "DELETE", "client/<target_iqn>/<client_iqn>", change_client_delete },
	{ "PUT", "clientauth/<target_iqn>/<client_iqn>", change_client_auth },
	{ "PUT", "clientlun/<target_iqn>/<client_iqn>", change_client_lun_put },
	{ "DELETE", "clientlun/<target_iqn>/<client_iqn>", change_client_lun_delete },
	{ "PUT", "targetauth/<target_iqn>", change_target_auth },
	{ "PUT", "discoveryauth", change_discovery_auth },
	{ "PUT", "hostgroup/<target_iqn>/<group_name>", change_group_put },
	{ "DELETE", "hostgroup/<target_iqn>/<group_name>", change_group_delete },
};

/* Splits "a/b" at the slashes. */
static json_t *pieces_of(const char *path)
{
	json_t *pieces = json_array();
	for (;;) {
		size_t len = strcspn(path, "/");
		(void)json_array_append_new(pieces, json_stringn(path, len));
		if (!path[len])
			return pieces;
		path += len + 1;
	}
}

/* Takes the arguments out of a path; false if it is another one's. */
static bool take_arguments(const char *pattern, const char *path, json_t *arguments)
{
	AUTO_JSON json_t *wanted = pieces_of(pattern), *given = pieces_of(path);
	if (json_array_size(wanted) != json_array_size(given))
		return false;
	size_t i;
	json_t *piece;
	json_array_foreach (wanted, i, piece) {
		const char *name = json_string_value(piece);
		const char *text = json_string_value(json_array_get(given, i));
		if (*name != '<' && strcmp(name, text) != 0)
			return false;
	}
	json_array_foreach (wanted, i, piece) {
		const char *name = json_string_value(piece);
		if (*name == '<')
			(void)json_object_setn_new(arguments, name + 1, strlen(name) - 2,
			                           json_incref(json_array_get(given, i)));
	}
	return true;
}

static change_fn find_operation(const json_t *row, json_t *arguments)
{
	const char *path = json_text(row, "path", "") + strlen("/api/");
	(void)json_object_update(arguments, json_object_get(row, "form"));
	for (size_t i = 0; i < ARRAY_LEN(operations); i++)
		if (strcmp(operations[i].method, json_text(row, "method", "")) == 0 &&
		    take_arguments(operations[i].path, path, arguments))
			return operations[i].run;
	return NULL;
}

/* ---- differences: path of a leaf -> its value; dictionaries are leaves only if empty ---- */

static void flatten(const char *prefix, json_t *value, json_t *leaves)
{
	const char *name;
	json_t *member;
	if (!json_is_object(value) || !json_object_size(value)) {
		bool cipher = json_is_string(value) && json_string_length(value) == 344;
		(void)json_object_set_new(leaves, prefix,
		                          cipher ? json_string("<base64 344 characters>")
		                                 : json_incref(value));
		return;
	}
	json_object_foreach (value, name, member) {
		char path[1024];
		if (!strcmp(name, "created") || !strcmp(name, "updated") || !strcmp(name, "epoch"))
			continue;
		(void)snprintf(path, sizeof path, "%s|%s", prefix, name);
		flatten(path, member, leaves);
	}
}

static json_t *difference(json_t *before, json_t *after)
{
	AUTO_JSON json_t *old = json_object(), *new = json_object();
	json_t *changed = json_object();
	const char *path;
	json_t *value;
	flatten("", before, old);
	flatten("", after, new);
	json_object_foreach (old, path, value)
		if (!json_equal(json_object_get(new, path), value))
			(void)json_object_set_new(changed, path, json_null());
	json_object_foreach (new, path, value)
		if (!json_equal(json_object_get(old, path), value))
			(void)json_object_set(changed, path, value);
	return changed;
}

static json_t *expected_difference(const json_t *changes)
{
	json_t *expected = json_object();
	size_t i, j;
	json_t *change, *piece;
	json_array_foreach (changes, i, change) {
		AUTO_STRING struct string path = { 0 };
		json_array_foreach (json_array_get(change, 0), j, piece)
			string_format(&path, "|%s", json_string_value(piece));
		(void)json_object_set(expected, path.text, json_array_get(change, 2));
	}
	return expected;
}

/* Where rbdgate does other than upstream on purpose: operation, path, what it does (NULL: no
 * change). */
static const struct {
	const char *operation, *path, *json;
} deviations[] = {
	/* controls of a create are stored, not dropped */
	{ "disk create controls", "|disks|rbd/disk.2|controls", NULL },
	{ "disk create controls", "|disks|rbd/disk.2|controls|max_data_area_mb", "64" },
	/* tpgs counts addresses */
	{ "T gw2 delete (owner move)",
	  "|targets|iqn.2003-01.com.example.gw:iscsi-igw|portals|gw1.example.com|tpgs", "2" },
	/* owners leave with the portal, not with the gateway's last target */
	{ "T gw2 delete (owner move)", "|disks|a.b/c1|owner", "\"gw1.example.com\"" },
	{ "T gw2 delete (owner move)", "|disks|rbd/disk.2|owner", "\"gw1.example.com\"" },
	{ "T gw2 delete (owner move)", "|gateways|gw1.example.com|active_luns", "5" },
	{ "T gw2 delete (owner move)", "|gateways|gw2.example.com|active_luns", "0" },
	{ "T3 gw2 delete force", "|disks|a.b/c1|owner", NULL },
	{ "T3 gw2 delete force", "|disks|rbd/disk.2|owner", NULL },
	{ "T3 gw2 delete force", "|gateways|gw1.example.com|active_luns", NULL },
};

static void deviate(const char *operation, json_t *expected)
{
	for (size_t i = 0; i < ARRAY_LEN(deviations); i++) {
		if (strcmp(deviations[i].operation, operation) != 0)
			continue;
		if (deviations[i].json)
			(void)json_object_set_new(
			        expected, deviations[i].path,
			        json_loads(deviations[i].json, JSON_DECODE_ANY, NULL));
		else
			(void)json_object_del(expected, deviations[i].path);
	}
}

static void collect_uuids(const json_t *changes, json_t *uuids)
{
	size_t i;
	json_t *change;
	json_array_foreach (changes, i, change) {
		const json_t *path = json_array_get(change, 0);
		const char *last =
		        json_string_value(json_array_get(path, json_array_size(path) - 1));
		if (strcmp(last, "wwn") == 0 && json_is_string(json_array_get(change, 2)))
			(void)json_array_append(uuids, json_array_get(change, 2));
	}
}

static struct secret_keys *test_keys(void)
{
	static const char *const names[] = { "test-only-priv.pem", "test-only-pub.pem" };
	struct secret_keys *keys = NULL;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		char from[128], to[512];
		(void)snprintf(from, sizeof from, "golden/config/%s", names[i]);
		(void)snprintf(to, sizeof to, "%s/%s", test_folder(), names[i]);
		AUTO_FREE char *text = test_read_file(from, NULL);
		FILE *file = fopen(to, "w");
		ASSERT_NOT_NULL(file);
		(void)fputs(text, file);
		(void)fclose(file);
	}
	ASSERT_EQ(secret_keys_load(test_folder(), names[0], names[1], &keys, NULL), 0);
	return keys;
}

static void replay(struct world *world, const json_t *row, json_t **object)
{
	const char *name = json_text(row, "op", "");
	struct change change;
	AUTO_JSON json_t *arguments = json_object();
	TEST_ROW("%s", name);
	change_fn run = find_operation(row, arguments);
	ASSERT_TRUE(run != NULL);
	world->context.gateway_name = json_text(row, "host", "");
	json_array_clear(world->uuids);
	collect_uuids(json_object_get(row, "changes"), world->uuids);

	int r = change_run(run, *object, arguments, &world->context, &change);
	ASSERT_STR_EQ(change.message, json_text(row, "message", ""));
	ASSERT_EQ(change.status, json_number(row, "status", 0));
	ASSERT_EQ(r < 0, change.status != 200);
	if (r == 0) {
		AUTO_JSON json_t *actual = difference(*object, change.object);
		AUTO_JSON json_t *expected = expected_difference(json_object_get(row, "changes"));
		deviate(name, expected);
		AUTO_FREE char *actual_text = json_format(actual, &json_style_object);
		AUTO_FREE char *expected_text = json_format(expected, &json_style_object);
		ASSERT_STR_EQ(actual_text, expected_text);
		world_do_work(world, &change);
		json_decref(*object);
		/* As a gateway would load it: dictionaries in order. */
		AUTO_FREE char *stored = object_format(change.object);
		*object = json_loads(stored, 0, NULL);
	}
	change_done(&change);
}

TEST(every_change_edits_the_object_as_upstream_does)
{
	AUTO_WORLD struct world world;
	world_init(&world);
	AUTO(secret_keys) struct secret_keys *keys = test_keys();
	world.context.keys = keys;
	AUTO_FREE char *text = test_read_file("golden/config/ops.json", NULL);
	AUTO_JSON json_t *rows = json_loads(text, 0, NULL);
	struct object_context seed = { "gw1.example.com", "2026/11/21 12:00:00", true };
	json_t *object = object_seed(&seed);
	size_t i;
	json_t *row;
	ASSERT_TRUE(json_array_size(rows) > 50);
	json_array_foreach (rows, i, row)
		replay(&world, row, &object);
	json_decref(object);
}
