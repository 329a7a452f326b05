#include "base/error.h"

#include "test.h"

#include <errno.h>
#include <string.h>

TEST(set_returns_the_code_and_keeps_the_text)
{
	struct error err = { 0 };
	ASSERT_EQ(error_set(&err, -ENOENT, "image %s: not there", "rbd/a"), -ENOENT);
	ASSERT_EQ(err.code, -ENOENT);
	ASSERT_STR_EQ(err.text, "image rbd/a: not there");
	ASSERT_EQ(error_set(NULL, -EIO, "nobody asked"), -EIO);
}

TEST(wrap_puts_the_outer_words_in_front)
{
	struct error err = { 0 };
	(void)error_set(&err, -EIO, "inner");
	ASSERT_EQ(error_wrap(&err, "while doing %d", 1), -EIO);
	ASSERT_STR_EQ(err.text, "while doing 1: inner");
}

TEST(wrapping_a_full_text_cuts_its_end)
{
	struct error err = { 0 };
	char long_text[ERROR_TEXT_MAX + 50];
	memset(long_text, 'x', sizeof long_text - 1);
	long_text[sizeof long_text - 1] = '\0';
	(void)error_set(&err, -EIO, "%s", long_text);
	ASSERT_EQ(strlen(err.text), ERROR_TEXT_MAX - 1);
	(void)error_wrap(&err, "outer");
	ASSERT_EQ(strlen(err.text), ERROR_TEXT_MAX - 1);
	ASSERT_EQ(strncmp(err.text, "outer: xxx", 10), 0);
}
