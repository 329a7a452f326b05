/* Pairs, lists, numbers and binary values of iSCSI text. */
#include "iscsi/text.h"

#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* A row's text is written with '|' for NUL; what is read comes back as "key=value;". */
static const struct {
	const char *text, *pairs;
	int end;
} blocks[] = {
	{ "", "", 0 },
	{ "|", "", 0 },
	{ "||||", "", 0 },
	{ "A=b|", "A=b;", 0 },
	{ "A=b", "A=b;", 0 },
	{ "|A=b||C=d|", "A=b;C=d;", 0 },
	{ "A=|", "A=;", 0 },
	{ "A=b=c|", "A=b=c;", 0 },
	{ "X-com.example.key=1|X#a=2|iSCSIProtocolLevel=1|",
	  "X-com.example.key=1;X#a=2;"
	  "iSCSIProtocolLevel=1;",
	  0 },
	{ "A=b|C|", "A=b;", -EINVAL },
	{ "=b|", "", -EINVAL },
	{ "A b=c|", "", -EINVAL },
	{ "A\x01=c|", "", -EINVAL },
	{ "A,=c|", "", -EINVAL },
	{ "A=b\x7f|", "", -EINVAL },
	{ "A=b\nc|", "", -EINVAL },
	{ "A=\xc3\xa4 ok|", "A=\xc3\xa4 ok;", 0 },
	{ "Aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa=1|", "", -EINVAL },
};

TEST(pairs_are_read_one_by_one)
{
	for (size_t i = 0; i < ARRAY_LEN(blocks); i++) {
		char got[256] = "";
		struct text_pair pair;
		size_t len = strlen(blocks[i].text), offset = 0;
		TEST_ROW("%zu", i);
		/* Exact size on the heap: the sanitizer sees a read behind it. */
		AUTO_FREE char *text = malloc(len ? len : 1);
		for (size_t j = 0; j < len; j++)
			text[j] = blocks[i].text[j] == '|' ? '\0' : blocks[i].text[j];
		const struct text_block block = { text, len };
		int r;
		while ((r = text_block_next(&block, &offset, &pair)) > 0)
			sprintf(got + strlen(got), "%.*s=%.*s;", (int)pair.key.len, pair.key.text,
			        (int)pair.value.len, pair.value.text);
		ASSERT_EQ(r, blocks[i].end);
		ASSERT_STR_EQ(got, blocks[i].pairs);
		ASSERT_EQ(text_block_check(&block), blocks[i].end);
	}
}

TEST(a_key_is_found_by_its_whole_name)
{
	static const char text[] = "CHAP_N=x\0CHAP_NN=y\0chap_c=z";
	const struct text_block block = { text, sizeof(text) };
	struct text_slice value;
	ASSERT_TRUE(text_block_find(&block, "CHAP_NN", &value));
	ASSERT_TRUE(text_slice_is(value, "y"));
	ASSERT_FALSE(text_block_find(&block, "CHAP_", &value));
	ASSERT_FALSE(text_block_find(&block, "CHAP_C", &value));
}

TEST(a_list_is_eaten_from_the_front)
{
	static const struct {
		const char *list, *elements;
	} rows[] = {
		{ "a,b", "a;b;" }, { "a", "a;" }, { "", ";" }, { ",", ";;" }, { "a,,b", "a;;b;" }
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char got[64] = "";
		struct text_slice rest = { rows[i].list, strlen(rows[i].list) }, element;
		while (text_slice_next_element(&rest, &element))
			sprintf(got + strlen(got), "%.*s;", (int)element.len, element.text);
		ASSERT_STR_EQ(got, rows[i].elements);
	}
}

TEST(numbers_are_decimal_or_hex_and_in_range)
{
	static const struct {
		const char *text;
		int result;
		uint64_t value;
	} rows[] = {
		{ "512", 0, 512 },
		{ "0x200", 0, 512 },
		{ "0X1fF", -ERANGE, 0 },
		{ "0x201", 0, 513 },
		{ "511", -ERANGE, 0 },
		{ "16777216", -ERANGE, 0 },
		{ "18446744073709551616", -ERANGE, 0 },
		{ "000000000000000000000000000512", -ERANGE, 0 },
		{ "0x00000000000000200", -ERANGE, 0 },
		{ "0x", -EINVAL, 0 },
		{ "", -EINVAL, 0 },
		{ "-1", -EINVAL, 0 },
		{ "+512", -EINVAL, 0 },
		{ " 512", -EINVAL, 0 },
		{ "512 ", -EINVAL, 0 },
		{ "0b512", -EINVAL, 0 },
		{ "abc", -EINVAL, 0 },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		uint64_t value = 0;
		TEST_ROW("%s", rows[i].text);
		ASSERT_EQ(
		        text_slice_number((struct text_slice){ rows[i].text, strlen(rows[i].text) },
		                          512, 16777215, &value),
		        rows[i].result);
		ASSERT_EQ(value, rows[i].value);
	}
}

TEST(binary_values_are_hex_or_base64)
{
	static const struct {
		const char *text;
		int result;
		size_t len;
	} rows[] = {
		{ "0x01020304", 0, 4 },
		{ "0XaBcD", 0, 2 },
		{ "0bAQIDBA==", 0, 4 },
		{ "0BAQIDBA", 0, 4 },
		{ "0x", 0, 0 },
		{ "0b", 0, 0 },
		{ "01020304", -EINVAL, 0 },
		{ "", -EINVAL, 0 },
		{ "0", -EINVAL, 0 },
		{ "0xzz", -EINVAL, 0 },
		{ "0b!!!!", -EINVAL, 0 },
		{ "0x0102030405", -ENOSPC, 0 },
		{ "0bAQIDBAU=", -ENOSPC, 0 },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		uint8_t data[4];
		size_t len = 0;
		TEST_ROW("%s", rows[i].text);
		ASSERT_EQ(
		        text_slice_binary((struct text_slice){ rows[i].text, strlen(rows[i].text) },
		                          data, sizeof(data), &len),
		        rows[i].result);
		ASSERT_EQ(len, rows[i].len);
	}
}

TEST(a_copy_must_fit)
{
	char copy[4];
	ASSERT_EQ(text_slice_copy((struct text_slice){ "abcdef", 3 }, copy, sizeof(copy)), 0);
	ASSERT_STR_EQ(copy, "abc");
	ASSERT_EQ(text_slice_copy((struct text_slice){ "abcdef", 4 }, copy, sizeof(copy)), -ENOSPC);
}
