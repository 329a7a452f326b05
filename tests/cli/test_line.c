/* src/cli/line.c */
#include "cli/line.h"

#include "test.h"

#include <errno.h>

TEST(a_line_is_a_path_a_command_and_parameters)
{
	static const struct {
		const char *text, *path, *command;
		bool each;
		size_t count;
	} rows[] = {
		{ "", NULL, NULL, false, 0 },
		{ "   ", NULL, NULL, false, 0 },
		{ "ls", NULL, "ls", false, 0 },
		{ "ls / 1", NULL, "ls", false, 2 },
		{ "/disks", "/disks", NULL, false, 0 },
		{ "disks/ create rbd/img1 2T", "disks/", "create", false, 2 },
		{ "..", "..", NULL, false, 0 },
		{ ". ls", ".", "ls", false, 0 },
		{ "@hosts ls", "@hosts", "ls", false, 0 },
		{ "* ls", NULL, "ls", true, 0 },
		{ "/cluster/* ls", "/cluster/", "ls", true, 0 },
		{ "hosts", NULL, "hosts", false, 0 },
		{ "  create pool=rbd  image=disk_1\tsize=90G ", NULL, "create", false, 3 },
		{ "\"hosts/x/lun 0\" info", "hosts/x/lun 0", "info", false, 0 },
		{ "hosts/x/lun\\ 0 info", "hosts/x/lun 0", "info", false, 0 },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO_LINE struct line line = { 0 };
		TEST_ROW("%s", rows[i].text);
		ASSERT_EQ(line_parse(rows[i].text, &line, NULL), 0);
		ASSERT_STR_EQ(line.path ? line.path : "-", rows[i].path ? rows[i].path : "-");
		ASSERT_STR_EQ(line.command ? line.command : "-",
		              rows[i].command ? rows[i].command : "-");
		ASSERT_EQ(line.each, rows[i].each);
		ASSERT_EQ(line.count, rows[i].count);
	}
}

TEST(parameters_have_names_only_before_an_equals_sign)
{
	static const struct {
		const char *text, *name, *value;
	} rows[] = {
		{ "x a", NULL, "a" },
		{ "x rbd/disk_1", NULL, "rbd/disk_1" },
		{ "x a=b", "a", "b" },
		{ "x a=", "a", "" },
		{ "x a=b=c", "a", "b=c" },
		{ "x a/b=c", NULL, "a/b=c" },
		{ "x password=\"two words\"", "password", "two words" },
		{ "x 'a=b'", NULL, "a=b" },
		{ "x \"\"", NULL, "" },
		{ "x --user=u", "--user", "u" },
		{ "x confirm=true", "confirm", "true" },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO_LINE struct line line = { 0 };
		TEST_ROW("%s", rows[i].text);
		ASSERT_EQ(line_parse(rows[i].text, &line, NULL), 0);
		ASSERT_EQ(line.count, 1);
		ASSERT_STR_EQ(line.parameters[0].name ? line.parameters[0].name : "-",
		              rows[i].name ? rows[i].name : "-");
		ASSERT_STR_EQ(line.parameters[0].value, rows[i].value);
	}
}

TEST(what_cannot_be_read_is_an_error_and_never_dropped)
{
	static const struct {
		const char *text, *words;
	} rows[] = {
		{ "info rbd/disk_1 | cat", "Syntax error near: | cat" },
		{ "create \"x", "Syntax error near: \"x" },
		{ "info {x}", "Syntax error near: {x}" },
		{ "a^b", "Syntax error near: a^b" },
		{ "ls \xc3\xa4", "Syntax error near: \xc3\xa4" },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct line line = { 0 };
		struct error err = { 0 };
		TEST_ROW("%s", rows[i].text);
		ASSERT_EQ(line_parse(rows[i].text, &line, &err), -EINVAL);
		ASSERT_STR_EQ(err.text, rows[i].words);
		ASSERT_NULL(line.command);
	}
}

TEST(a_word_is_taken_out_of_the_line_wherever_it_stands)
{
	static const struct {
		const char *text;
		bool found;
		const char *first;
	} rows[] = {
		{ "ls", false, "-" },
		{ "ls --json", true, "-" },
		{ "ls --json / 1", true, "/" },
		{ "ls / --json 1 --json", true, "/" },
		{ "ls a --json=1", false, "a" },
		{ "ls --jso --jsonx", false, "--jso" },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO_LINE struct line line = { 0 };
		TEST_ROW("%s", rows[i].text);
		ASSERT_EQ(line_parse(rows[i].text, &line, NULL), 0);
		ASSERT_EQ(line_take_word(&line, "--json"), rows[i].found);
		const char *first = line_positional(&line, 0);
		ASSERT_STR_EQ(first ? first : "-", rows[i].first);
		ASSERT_EQ(line_take_word(&line, "--json"), false);
	}
}
