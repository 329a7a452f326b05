#include "base/text.h"

#include "test.h"

#include <errno.h>
#include <string.h>

TEST(numbers_are_parsed_strictly)
{
	static const struct {
		const char *text;
		uint64_t min, max;
		int result;
		uint64_t value;
	} rows[] = {
		{ "0", 0, 9, 0, 0 },
		{ "42", 1, 42, 0, 42 },
		{ "43", 1, 42, -ERANGE, 0 },
		{ "0", 1, 42, -ERANGE, 0 },
		{ "18446744073709551615", 0, UINT64_MAX, 0, UINT64_MAX },
		{ "18446744073709551616", 0, UINT64_MAX, -ERANGE, 0 },
		{ "", 0, 9, -EINVAL, 0 },
		{ "-1", 0, 9, -EINVAL, 0 },
		{ "+1", 0, 9, -EINVAL, 0 },
		{ " 1", 0, 9, -EINVAL, 0 },
		{ "1 ", 0, 9, -EINVAL, 0 },
		{ "0x1", 0, 9, -EINVAL, 0 },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		TEST_ROW("'%s'", rows[i].text);
		uint64_t value = 0;
		ASSERT_EQ(text_to_uint(rows[i].text, rows[i].min, rows[i].max, &value),
		          rows[i].result);
		ASSERT_EQ(value, rows[i].value);
	}
}

TEST(hex_goes_both_ways)
{
	static const uint8_t bytes[] = { 0x00, 0x9a, 0xff };
	char text[7];
	text_put_hex(bytes, 3, text);
	ASSERT_STR_EQ(text, "009aff");
	uint8_t back[3];
	size_t len;
	ASSERT_EQ(text_get_hex("009aFF", 6, back, 3, &len), 0);
	ASSERT_EQ(len, 3);
	ASSERT_MEM_EQ(back, bytes, 3);
	ASSERT_EQ(text_get_hex("9aff", 4, back, 1, &len), -ENOSPC);
	ASSERT_EQ(text_get_hex("9g", 2, back, 3, &len), -EINVAL);
	ASSERT_EQ(text_get_hex("abc", 3, back, 3, &len), 0);
	ASSERT_EQ(len, 2);
	ASSERT_EQ(back[0], 0x0a);
	ASSERT_EQ(back[1], 0xbc);
}

TEST(base64_goes_both_ways)
{
	static const struct {
		const char *plain, *text;
	} rows[] = { { "", "" },
		     { "f", "Zg==" },
		     { "fo", "Zm8=" },
		     { "foo", "Zm9v" },
		     { "foob", "Zm9vYg==" },
		     { "fooba", "Zm9vYmE=" },
		     { "foobar", "Zm9vYmFy" } };
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		TEST_ROW("%s", rows[i].plain);
		char text[16];
		text_put_base64((const uint8_t *)rows[i].plain, strlen(rows[i].plain), text);
		ASSERT_STR_EQ(text, rows[i].text);
		uint8_t plain[8];
		size_t len;
		ASSERT_EQ(text_get_base64(text, strlen(text), plain, strlen(rows[i].plain), &len),
		          0);
		ASSERT_EQ(len, strlen(rows[i].plain));
		ASSERT_MEM_EQ(plain, rows[i].plain, len);
		/* Without padding too. */
		ASSERT_EQ(text_get_base64(text, strcspn(text, "="), plain, sizeof plain, &len), 0);
		ASSERT_EQ(len, strlen(rows[i].plain));
	}
}

TEST(bad_base64_is_refused)
{
	uint8_t plain[8];
	size_t len;
	ASSERT_EQ(text_get_base64("Zm9vY", 5, plain, 8, &len), -EINVAL);
	ASSERT_EQ(text_get_base64("Zm9=v", 5, plain, 8, &len), -EINVAL);
	ASSERT_EQ(text_get_base64("Zm 9", 4, plain, 8, &len), -EINVAL);
	ASSERT_EQ(text_get_base64("Zm9v=", 5, plain, 8, &len), -EINVAL);
	ASSERT_EQ(text_get_base64("Zm9vYmFyZm9v", 12, plain, 8, &len), -ENOSPC);
}

TEST(a_string_grows_and_is_taken)
{
	struct string s = { 0 };
	for (int i = 0; i < 100; i++)
		string_format(&s, "%d,", i);
	string_add_char(&s, '.');
	ASSERT_EQ(s.len, 10 * 2 + 90 * 3 + 1);
	AUTO_FREE char *text = string_take(&s);
	ASSERT_NOT_NULL(text);
	ASSERT_EQ(strlen(text), 291);
	AUTO_FREE char *empty = string_take(&s);
	ASSERT_STR_EQ(empty, "");
}

TEST(bytes_become_text_with_all_that_is_among_them)
{
	AUTO_FREE char *empty = text_from_bytes(NULL, 0);
	ASSERT_STR_EQ(empty, "");
	AUTO_FREE char *text = text_from_bytes("ab\0c and more", 4);
	ASSERT_NOT_NULL(text);
	ASSERT_EQ(memcmp(text, "ab\0c", 5), 0); /* and the NUL behind them */
}

TEST(starts_and_ends)
{
	ASSERT_TRUE(text_starts("iqn.2003", "iqn."));
	ASSERT_FALSE(text_starts("iq", "iqn."));
	ASSERT_TRUE(text_ends("a.json", ".json"));
	ASSERT_FALSE(text_ends("json", ".json"));
	char name[] = "IQN.Ab-1";
	text_lower(name);
	ASSERT_STR_EQ(name, "iqn.ab-1");
}
