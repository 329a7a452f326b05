#include "config/object.h"
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct object_context context = { "gw1.example.com", "2026/11/21 12:00:00", true };

TEST(the_seed_is_upstreams)
{
	AUTO_FREE char *expected = test_read_file("golden/config/seed.json", NULL);
	AUTO_JSON json_t *golden = json_loads(expected, 0, NULL);
	struct object_context then = context;
	then.now = json_text(golden, "created", "");
	AUTO_JSON json_t *seed = object_seed(&then);
	AUTO_FREE char *text = object_format(seed);
	ASSERT_STR_EQ(text, expected);
	ASSERT_EQ(object_epoch(seed), 0);
}

TEST(an_object_formats_to_the_bytes_that_were_read)
{
	static const char *const files[] = { "v11-rich", "v11-rich.nokeys", "v9.after",
		                             "v10-mid.before", "v3.before" };
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		char name[64];
		(void)snprintf(name, sizeof name, "golden/config/%s.json", files[i]);
		TEST_ROW("%s", files[i]);
		AUTO_FREE char *expected = test_read_file(name, NULL);
		AUTO_JSON json_t *object = NULL;
		ASSERT_EQ(object_parse(expected, &object, NULL), 0);
		AUTO_FREE char *text = object_format(object);
		ASSERT_STR_EQ(text, expected);
	}
}

TEST(what_is_not_ours_is_refused)
{
	static const char *const texts[] = {
		"",
		"[]",
		"{",
		"{}",
		"{\"version\": \"11\"}",
		"{\"version\": 9.6}",
		"{\"version\": true}",
		"{\"version\": 11} x",
		"null",
	};
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		json_t *object = NULL;
		struct error err = { 0 };
		TEST_ROW("%zu", i);
		ASSERT_EQ(object_parse(texts[i], &object, &err), -EINVAL);
		ASSERT_NULL(object);
		ASSERT_TRUE(err.text[0] != '\0');
	}
}

TEST(a_touch_counts_and_dates)
{
	AUTO_JSON json_t *object = json_loads("{\"version\": 11}", 0, NULL);
	ASSERT_EQ(object_epoch(object), 0);
	ASSERT_EQ(object_touch(object, "2026/11/21 12:00:01"), 1);
	ASSERT_EQ(object_touch(object, "2026/11/21 12:00:02"), 2);
	ASSERT_EQ(object_epoch(object), 2);
	ASSERT_STR_EQ(json_text(object, "updated", ""), "2026/11/21 12:00:02");
	AUTO_JSON json_t *negative = json_loads("{\"version\": 11, \"epoch\": -3}", 0, NULL);
	ASSERT_EQ(object_epoch(negative), 0);
}
