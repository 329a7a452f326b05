#include "base/json.h"

#include "test.h"

TEST(values_are_written_as_python_writes_them)
{
	static const struct {
		const char *in;
		const struct json_style *style;
		const char *out;
	} rows[] = {
		{ "{}", &json_style_object, "{}" },
		{ "[]", &json_style_object, "[]" },
		{ "{\"b\": [1, true], \"a\": {\"x\": null}}", &json_style_object,
		  "{\n    \"a\": {\n        \"x\": null\n    },\n    \"b\": [\n        1,\n        "
		  "true\n    ]\n}" },
		{ "{\"b\": [1, false], \"a\": {}}", &json_style_plain,
		  "{\"b\": [1, false], \"a\": {}}" },
		{ "{\"b\": [1, 2], \"a\": -5}", &json_style_compact, "{\"a\":-5,\"b\":[1,2]}" },
		{ "[9.5, 2.0, 1e100]", &json_style_compact, "[9.5,2.0,1e+100]" },
		{ "[\"\\u00e9\\u20ac\\ud83d\\ude00\\u007f\\u0001\\\"\\\\/\\t\\n\\r\\f\\b\"]",
		  &json_style_compact,
		  "[\"\\u00e9\\u20ac\\ud83d\\ude00\\u007f\\u0001\\\"\\\\/\\t\\n\\r\\f\\b\"]" },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		TEST_ROW("%s", rows[i].in);
		AUTO_JSON json_t *value = json_loads(rows[i].in, JSON_DECODE_ANY, NULL);
		ASSERT_NOT_NULL(value);
		AUTO_FREE char *text = json_format(value, rows[i].style);
		ASSERT_NOT_NULL(text);
		ASSERT_STR_EQ(text, rows[i].out);
	}
}

TEST(a_tree_that_is_too_deep_is_not_written)
{
	AUTO_JSON json_t *value = json_array();
	for (int i = 0; i < 100; i++)
		value = json_pack("[o]", value);
	ASSERT_NULL(json_format(value, &json_style_compact));
}

TEST(lookups_fall_back_for_absent_and_wrong_members)
{
	AUTO_JSON json_t *object = json_pack("{s:s, s:i, s:b}", "t", "x", "n", 7, "f", 1);
	ASSERT_STR_EQ(json_text(object, "t", "no"), "x");
	ASSERT_STR_EQ(json_text(object, "n", "no"), "no");
	ASSERT_EQ(json_number(object, "n", -1), 7);
	ASSERT_EQ(json_number(object, "gone", -1), -1);
	ASSERT_TRUE(json_flag(object, "f", false));
	ASSERT_FALSE(json_flag(object, "t", false));
}
