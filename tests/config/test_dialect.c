#include "config/dialect.h"
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* All options of one section as "name=value;". */
struct collected {
	char text[4096];
};

static int collect(void *argument, const struct dialect_option *option)
{
	struct collected *collected = argument;
	size_t len = strlen(collected->text);
	(void)snprintf(collected->text + len, sizeof collected->text - len, "%s=%s;", option->name,
	               option->value);
	return 0;
}

static const struct {
	const char *file, *section, *expected;
} accepted[] = {
	{ "[a]\nx = 1\ny:2\n", "a", "x=1;y=2;" },
	{ "[a]\r\nx = 1\r\ny = 2", "a", "x=1;y=2;" },
	{ "[a]\nKEY = V = W : Z\n", "a", "key=V = W : Z;" },
	{ "[a]\nx =\ny = \t b c \n", "a", "x=;y=b c;" },
	{ "[A]\nx = 1\n", "a", "" },
	{ "[a] trailing\nx=1\n", "a", "x=1;" },
	{ "[a]b]\nx=1\n", "a]b", "x=1;" },
	{ "# c\n; c\n[a]\n  # c\nx = 1 ; kept\n", "a", "x=1 ; kept;" },
	{ "[a]\nx = 1,\n  2,\n\n\t3\n\n\ny = 4\n", "a", "x=1,\n2,\n\n3;y=4;" },
	{ "[a]\nx = 1\n  # comment\n  2\n", "a", "x=1\n2;" },
	{ "[a]\n  x = 1\n  y = 2\n z = 3\n", "a", "x=1;y=2;z=3;" },
	{ "[a]\nx = 'q'\n", "a", "x='q';" },
	{ "[a]\nx = 100%%\ny = %(X)s!\n", "a", "x=100%;y=100%!;" },
	{ "[DEFAULT]\nx = 1\nz = 9\n[a]\nx = 2\ny = %(z)s\n", "a", "z=9;x=2;y=9;" },
	{ "[DEFAULT]\nx = 1\n", "a", "" },
	{ "[a]\nx=1\n[DEFAULT]\ny=1\n[DEFAULT]\nz=1\n", "a", "x=1;y=1;z=1;" },
	{ "", "a", "" },
};

TEST(what_configparser_accepts_reads_the_same)
{
	for (size_t i = 0; i < ARRAY_LEN(accepted); i++) {
		AUTO(dialect) struct dialect *dialect = NULL;
		struct error err = { 0 };
		struct collected collected = { "" };
		TEST_ROW("%zu", i);
		ASSERT_EQ(dialect_parse(accepted[i].file, "f", &dialect, &err), 0);
		ASSERT_EQ(dialect_visit(dialect, accepted[i].section, collect, &collected, &err),
		          0);
		ASSERT_STR_EQ(collected.text, accepted[i].expected);
	}
}

static const struct {
	const char *file, *reason;
} refused[] = {
	{ "x = 1\n", "f, line 1: text before the first section" },
	{ "\xef\xbb\xbf[a]\n", "f, line 1: text before the first section" },
	{ "[a]\nx\n", "f, line 2: expected NAME = VALUE" },
	{ "[a]\n= 1\n", "f, line 2: expected NAME = VALUE" },
	{ "[]\nx=1\n", "f, line 1: text before the first section" },
	{ "[a]\nx=1\nX=2\n", "f, line 3: option x is twice in section [a]" },
	{ "[a]\n[b]\n[a]\n", "f, line 3: section [a] is there twice" },
	{ "[DEFAULT]\nx=1\n[DEFAULT]\nx=2\n", "f, line 4: option x is twice" },
};

TEST(what_configparser_dies_of_is_an_error_with_file_and_line)
{
	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		struct dialect *dialect = NULL;
		struct error err = { 0 };
		TEST_ROW("%zu", i);
		ASSERT_EQ(dialect_parse(refused[i].file, "f", &dialect, &err), -EINVAL);
		ASSERT_NULL(dialect);
		if (strncmp(err.text, refused[i].reason, strlen(refused[i].reason)) != 0)
			fail_msg("%s, not %s", err.text, refused[i].reason);
	}
}

static const char *const bad_percents[] = {
	"x = 5%",
	"x = %d",
	"x = %(y)d",
	"x = %()s",
	"x = %(none)s",
	"x = %(x)s",
	"x = %(y)s\ny = %(x)s",
};

TEST(a_bad_percent_is_an_error_with_line_and_option)
{
	for (size_t i = 0; i < ARRAY_LEN(bad_percents); i++) {
		AUTO(dialect) struct dialect *dialect = NULL;
		char file[256];
		struct error err = { 0 };
		struct collected collected = { "" };
		(void)snprintf(file, sizeof file, "[a]\n%s\n", bad_percents[i]);
		TEST_ROW("%zu", i);
		ASSERT_EQ(dialect_parse(file, "f", &dialect, &err), 0);
		ASSERT_EQ(dialect_visit(dialect, "a", collect, &collected, &err), -EINVAL);
		ASSERT_EQ(strncmp(err.text, "f, line 2: option x: ", 21), 0);
	}
}

TEST(references_that_multiply_are_bounded)
{
	char file[2048] = "[a]\na0 =\n";
	for (int i = 1; i <= 9; i++) {
		size_t len = strlen(file);
		len += (size_t)snprintf(file + len, sizeof file - len, "a%d = ", i);
		for (int copies = 0; copies < 10; copies++)
			len += (size_t)snprintf(file + len, sizeof file - len, "%%(a%d)s", i - 1);
		(void)snprintf(file + len, sizeof file - len, "\n");
	}
	AUTO(dialect) struct dialect *dialect = NULL;
	struct error err = { 0 };
	struct collected collected = { "" };
	ASSERT_EQ(dialect_parse(file, "f", &dialect, &err), 0);
	ASSERT_EQ(dialect_visit(dialect, "a", collect, &collected, &err), -EINVAL);
}
