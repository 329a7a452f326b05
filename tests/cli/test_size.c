/* src/cli/size.c */
#include "cli/size.h"

#include "test.h"

TEST(sizes_are_written_in_the_unit_in_which_they_are_no_multiple_any_more)
{
	static const struct {
		uint64_t bytes;
		const char *text;
	} rows[] = {
		{ 0, "0b" },
		{ 1, "1b" },
		{ 20401094657, "20401094657b" },
		{ 192 << 10, "192K" },
		{ 9664232ull << 10, "9664232K" },
		{ 90ull << 30, "90G" },
		{ 1536ull << 30, "1536G" },
		{ 2ull << 40, "2.0T" },
		{ 3ull << 50, "3.0P" },
		{ 1ull << 60, "1.00E" },
		{ UINT64_MAX, "18446744073709551615b" },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char text[SIZE_TEXT_MAX];
		TEST_ROW("%s", rows[i].text);
		ASSERT_STR_EQ(size_text(rows[i].bytes, text), rows[i].text);
	}
}

TEST(typed_sizes_reach_the_api_in_its_own_units)
{
	static const struct {
		const char *typed, *sent; /* NULL: refused */
	} rows[] = {
		{ "90G", "90G" },     { "1g", "1G" },    { "4GiB", "4G" },
		{ "1000m", "1000M" }, { "2T", "2T" },    { "1P", "1024T" },
		{ "2048K", "2M" },    { "1025K", NULL }, { "10", NULL },
		{ "1.5G", NULL },     { "", NULL },      { "G", NULL },
		{ "banana", NULL },   { "1GB", NULL },   { "-1G", NULL },
		{ "1 G", NULL },      { "1GiBx", NULL }, { "99999999999999999999G", NULL },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char text[SIZE_TEXT_MAX];
		TEST_ROW("%s", rows[i].typed);
		ASSERT_EQ(size_for_api(rows[i].typed, text), rows[i].sent != NULL);
		if (rows[i].sent)
			ASSERT_STR_EQ(text, rows[i].sent);
	}
}
