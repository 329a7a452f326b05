/* src/cli/verb.c */
#include "cli/verb.h"

#include "cli/line.h"
#include "test.h"

#include <errno.h>

static const struct verb resize = { "resize", "image_id size", "", NULL };
static const struct verb create = { "create", "[pool] [image] [size] [count=1]", "", NULL };
static const struct verb leave = { "exit", "", "", NULL };
static const struct verb get = { "get", "[group] [parameter...]", "", NULL };
static const struct verb set = { "set", "[group] [parameter=value...]", "", NULL };

TEST(parameters_are_bound_by_place_and_by_name)
{
	static const struct {
		const struct verb *verb;
		const char *text;
		const char *arg[4];
	} rows[] = {
		{ &resize, "resize rbd/d 3G", { "rbd/d", "3G" } },
		{ &resize, "resize size=3G image_id=rbd/d", { "rbd/d", "3G" } },
		{ &resize, "resize rbd/d size=", { "rbd/d", "" } },
		{ &create, "create", { NULL, NULL, NULL, "1" } },
		{ &create, "create rbd count=3", { "rbd", NULL, NULL, "3" } },
		{ &get, "get global a b c d e f", { "global" } },
		{ &set, "set global color_mode=true", { "global" } },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO_LINE struct line line = { 0 };
		struct signature signature;
		struct call call = { 0 };
		TEST_ROW("%s", rows[i].text);
		ASSERT_EQ(line_parse(rows[i].text, &line, NULL), 0);
		verb_signature(rows[i].verb, &signature);
		ASSERT_EQ(verb_bind(&signature, &line, &call, NULL), 0);
		for (size_t k = 0; k < 4; k++)
			ASSERT_STR_EQ(call.arg[k] ? call.arg[k] : "-",
			              rows[i].arg[k] ? rows[i].arg[k] : "-");
	}
}

TEST(wrong_parameters_are_named_as_configshell_names_them)
{
	static const struct {
		const struct verb *verb;
		const char *text, *words;
	} rows[] = {
		{ &resize, "resize", "Missing required parameters 'image_id', 'size'" },
		{ &resize, "resize rbd/d", "Missing required parameter size" },
		{ &resize, "resize foo=1 bar=2", "Missing required parameters 'image_id', 'size'" },
		{ &resize, "resize a b c", "Got 3 positionnal parameters, expected exactly 2." },
		{ &resize, "resize rbd/d 1G size=2G", "Duplicate parameter size." },
		{ &resize, "resize a b x=1", "Unexpected keyword parameter 'x'." },
		{ &resize, "resize a b y=1 x=2", "Unexpected keyword parameters 'x', 'y'." },
		{ &create, "create 1 2 3 4 5",
		  "Got 5 positionnal parameters, expected at most 4." },
		{ &leave, "exit now", "Got 1 positionnal parameters, expected exactly 0." },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO_LINE struct line line = { 0 };
		struct signature signature;
		struct call call = { 0 };
		struct error err = { 0 };
		TEST_ROW("%s", rows[i].text);
		ASSERT_EQ(line_parse(rows[i].text, &line, NULL), 0);
		verb_signature(rows[i].verb, &signature);
		ASSERT_EQ(verb_bind(&signature, &line, &call, &err), -EINVAL);
		ASSERT_STR_EQ(err.text, rows[i].words);
	}
}
