#include "config/object.h"
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static struct object_context context(const char *gateway, bool encryption)
{
	return (struct object_context){ gateway, "2026/11/21 12:00:00", encryption };
}

static json_t *golden(const char *name)
{
	char path[128];
	(void)snprintf(path, sizeof path, "golden/config/%s.json", name);
	AUTO_FREE char *text = test_read_file(path, NULL);
	json_t *object = NULL;
	ASSERT_EQ(object_parse(text, &object, NULL), 0);
	return object;
}

/* The expected bytes, with the disk that upstream misnames under its right name. */
static char *expected_text(const char *name)
{
	char path[128];
	(void)snprintf(path, sizeof path, "golden/config/%s.json", name);
	char *text = test_read_file(path, NULL);
	for (char *at = text; (at = strstr(at, "rbd/disk/2"));)
		at[8] = '.';
	return text;
}

static const struct {
	const char *before, *after, *gateway;
} pairs[] = {
	{ "v2.before", "v2.after", "gw1.example.com" },
	{ "v3.before", "v3.after", "gw1.example.com" },
	{ "v3-empty.before", "v3-empty.after", "gw1.example.com" },
	{ "v4.before", "v4.after", "gw1.example.com" },
	{ "v5.before", "v5.after", "gw1.example.com" },
	{ "v6.before", "v6.after", "gw1.example.com" },
	{ "v7.before", "v7.after", "gw1.example.com" },
	{ "v8.before", "v8.after", "gw1.example.com" },
	{ "v9.before", "v9.after", "gw1.example.com" },
	{ "v9.after", "v9.after.gw2", "gw2.example.com" },
	{ "v10.before", "v10.after", "gw1.example.com" },
};

TEST(every_version_upgrades_to_upstreams_bytes)
{
	for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
		TEST_ROW("%s", pairs[i].before);
		AUTO_JSON json_t *object = golden(pairs[i].before);
		struct object_context here = context(pairs[i].gateway, true);
		struct error err = { 0 };
		bool changed = false;
		ASSERT_EQ(object_upgrade(object, &here, &changed, &err), 0);
		ASSERT_TRUE(changed);
		(void)object_touch(object, here.now);
		AUTO_FREE char *text = object_format(object);
		AUTO_FREE char *expected = expected_text(pairs[i].after);
		ASSERT_STR_EQ(text, expected);
		ASSERT_EQ(object_upgrade(object, &here, &changed, &err), 0);
		ASSERT_FALSE(changed);
	}
}

TEST(the_version_between_nine_and_ten_is_brought_to_the_end)
{
	AUTO_JSON json_t *object = golden("v10-mid.before");
	struct object_context gw1 = context("gw1.example.com", true);
	struct object_context gw2 = context("gw2.example.com", true);
	bool changed = false;
	ASSERT_EQ(object_upgrade(object, &gw1, &changed, NULL), 0);
	ASSERT_TRUE(changed);
	ASSERT_EQ(json_number(object, "version", 0), 11);
	ASSERT_NOT_NULL(json_object_get(object, "gateways_upgraded"));
	ASSERT_EQ(object_upgrade(object, &gw2, &changed, NULL), 0);
	ASSERT_TRUE(changed);
	ASSERT_NULL(json_object_get(object, "gateways_upgraded"));
	AUTO_JSON json_t *expected = golden("v10.after");
	ASSERT_TRUE(json_equal(json_object_get(object, "gateways"),
	                       json_object_get(expected, "gateways")));
}

TEST(a_current_object_is_not_touched)
{
	AUTO_JSON json_t *object = golden("v11-rich");
	AUTO_JSON json_t *before = json_deep_copy(object);
	struct object_context here = context("gw1.example.com", true);
	bool changed = true;
	ASSERT_EQ(object_upgrade(object, &here, &changed, NULL), 0);
	ASSERT_FALSE(changed);
	ASSERT_TRUE(json_equal(object, before));
}

TEST(a_newer_object_is_known_as_such_and_not_touched)
{
	AUTO_JSON json_t *object = json_loads("{\"version\": 12, \"x\": 1}", 0, NULL);
	struct object_context here = context("gw1.example.com", true);
	bool changed = true;
	ASSERT_TRUE(object_is_newer(object));
	ASSERT_EQ(object_upgrade(object, &here, &changed, NULL), 0);
	ASSERT_FALSE(changed);
}

TEST(encrypted_passwords_without_key_files_stop_the_upgrade)
{
	static const char *const names[] = { "v3.before", "v7.before" };
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		AUTO_JSON json_t *object = golden(names[i]);
		AUTO_JSON json_t *before = json_deep_copy(object);
		struct object_context here = context("gw1.example.com", false);
		struct error err = { 0 };
		bool changed = false;
		ASSERT_EQ(object_upgrade(object, &here, &changed, &err), -ENOKEY);
		ASSERT_TRUE(strstr(err.text, "iqn.1994-05.com.redhat:enc-client") != NULL);
		ASSERT_TRUE(json_equal(object, before));
	}
}

TEST(what_upstreams_upgrade_misnamed_is_mended)
{
	AUTO_JSON json_t *object = golden("v10.after");
	struct object_context here = context("gw1.example.com", true);
	bool changed = false;
	ASSERT_EQ(object_upgrade(object, &here, &changed, NULL), 0);
	ASSERT_TRUE(changed);
	AUTO_FREE char *text = object_format(object);
	AUTO_FREE char *expected = expected_text("v10.after");
	ASSERT_STR_EQ(text, expected);
}

TEST(old_objects_that_lack_dictionaries_are_upgraded_too)
{
	static const char *const texts[] = {
		"{\"version\": 1, \"epoch\": 1, \"gateways\": {\"iqn\": \"iqn.2003-01.a:b\"}}",
		"{\"version\": 3, \"gateways\": {}}",
		"{\"version\": 7, \"targets\": {\"iqn.2003-01.a:b\": {\"clients\": {}}}}",
		"{\"version\": 10, \"targets\": {\"iqn.2003-01.a:b\": {}}}",
		"{\"version\": 9.5}",
	};
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		AUTO_JSON json_t *object = json_loads(texts[i], 0, NULL);
		struct object_context here = context("gw1.example.com", true);
		bool changed = false;
		TEST_ROW("%zu", i);
		ASSERT_EQ(object_upgrade(object, &here, &changed, NULL), 0);
		ASSERT_EQ(json_number(object, "version", 0), 11);
	}
}

TEST(items_that_are_no_dictionaries_stop_the_upgrade)
{
	AUTO_JSON json_t *object =
	        json_loads("{\"version\": 4, \"disks\": {\"rbd.a\": 7}}", 0, NULL);
	struct object_context here = context("gw1.example.com", true);
	struct error err = { 0 };
	bool changed = false;
	ASSERT_EQ(object_upgrade(object, &here, &changed, &err), -EINVAL);
	ASSERT_EQ(json_number(object, "version", 0), 4);
}
