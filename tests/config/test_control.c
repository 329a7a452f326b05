#include "config/option.h"
#include "test.h"

#include <errno.h>

static const struct {
	enum option_section section;
	const char *name, *value, *expected;
} rows[] = {
	{ OPTION_TARGET, "cmdsn_depth", "64", "64" },
	{ OPTION_TARGET, "cmdsn_depth", "\"64\"", "64" },
	{ OPTION_TARGET, "cmdsn_depth", "1.9", "1" },
	{ OPTION_TARGET, "cmdsn_depth", "true", "1" },
	{ OPTION_TARGET, "cmdsn_depth", "[]", "expected integer for cmdsn_depth" },
	{ OPTION_TARGET, "cmdsn_depth", "1e300", "expected integer for cmdsn_depth" },
	{ OPTION_TARGET, "cmdsn_depth", "513", "expected integer <= 512 for cmdsn_depth" },
	{ OPTION_TARGET, "immediate_data", "\"Yes\"", "true" },
	{ OPTION_TARGET, "immediate_data", "false", "false" },
	{ OPTION_TARGET, "immediate_data", "0", "false" },
	{ OPTION_TARGET, "immediate_data", "1.0", "expected yes or no for immediate_data" },
	{ OPTION_TARGET, "immediate_data", "2", "expected yes or no for immediate_data" },
	{ OPTION_DISK, "qfull_timeout", "-1", "expected integer >= 0 for qfull_timeout" },
};

TEST(controls_are_normalized_as_upstream_does)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO_JSON json_t *value = json_loads(rows[i].value, JSON_DECODE_ANY, NULL);
		AUTO_JSON json_t *normal = NULL;
		struct error err = { 0 };
		TEST_ROW("%s %s", rows[i].name, rows[i].value);
		const struct option *option = option_find(rows[i].section, rows[i].name);
		if (control_normalize(option, value, &normal, &err) < 0) {
			ASSERT_STR_EQ(err.text, rows[i].expected);
			continue;
		}
		AUTO_FREE char *text = json_format(normal, &json_style_plain);
		ASSERT_STR_EQ(text, rows[i].expected);
	}
}

TEST(overrides_lie_over_the_settings)
{
	struct settings *settings = NULL;
	ASSERT_EQ(settings_parse("[target]\nnopin_timeout = 7\nqfull_timeout = 6\n", "f", NULL,
	                         NULL, &settings, NULL),
	          0);
	AUTO_JSON json_t *controls = json_loads(
	        "{\"cmdsn_depth\": \"32\", \"immediate_data\": false, \"nonsense\": 1, "
	        "\"initial_r2t\": \"maybe\", \"hw_max_sectors\": 128, \"qfull_timeout\": 9999}",
	        0, NULL);
	struct target_controls target;
	struct disk_controls disk;
	controls_of_target(settings, controls, &target);
	controls_of_disk(settings, controls, &disk);
	ASSERT_EQ(target.nopin_timeout, 7);
	ASSERT_EQ(target.cmdsn_depth, 32);
	ASSERT_FALSE(target.immediate_data);
	ASSERT_TRUE(target.initial_r2t);
	ASSERT_EQ(disk.hw_max_sectors, 128);
	ASSERT_EQ(disk.qfull_timeout, 6);
	controls_of_disk(settings, NULL, &disk);
	ASSERT_EQ(disk.hw_max_sectors, 1024);
	settings_free(settings);
}
