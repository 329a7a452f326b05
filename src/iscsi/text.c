/* Reads the text of login and text PDUs pair by pair. The spec allows more liberty in values than
 * in keys: keys end up in logs and answers, so their bytes are checked here. [RFC 7143 6.1] */
#include "iscsi/text.h"

#include "base/text.h"

#include <errno.h>
#include <string.h>

static bool is_key_byte(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
	       (c && strchr(".-+@_#", c));
}

static bool key_ok(struct text_slice key)
{
	if (key.len == 0 || key.len > KEY_NAME_MAX)
		return false;
	for (size_t i = 0; i < key.len; i++)
		if (!is_key_byte(key.text[i]))
			return false;
	return true;
}

static bool value_ok(struct text_slice value)
{
	for (size_t i = 0; i < value.len; i++) {
		unsigned char c = (unsigned char)value.text[i];
		if (c < 0x20 || c == 0x7f)
			return false;
	}
	return true;
}

int text_block_next(const struct text_block *block, size_t *offset, struct text_pair *ret_pair)
{
	size_t at = *offset;
	while (at < block->len && block->text[at] == '\0')
		at++;
	*offset = at;
	if (at == block->len)
		return 0;

	const char *start = block->text + at;
	size_t len = strnlen(start, block->len - at);
	const char *equals = memchr(start, '=', len);
	if (!equals)
		return -EINVAL;
	struct text_pair pair = {
		.key = { start, (size_t)(equals - start) },
		.value = { equals + 1, len - (size_t)(equals + 1 - start) },
	};
	if (!key_ok(pair.key) || !value_ok(pair.value))
		return -EINVAL;
	*offset = at + len;
	*ret_pair = pair;
	return 1;
}

int text_block_check(const struct text_block *block)
{
	struct text_pair pair;
	size_t offset = 0;
	int r;
	while ((r = text_block_next(block, &offset, &pair)) > 0)
		;
	return r;
}

bool text_block_find(const struct text_block *block, const char *key, struct text_slice *ret_value)
{
	struct text_pair pair;
	size_t offset = 0;
	while (text_block_next(block, &offset, &pair) > 0) {
		if (text_slice_is(pair.key, key)) {
			*ret_value = pair.value;
			return true;
		}
	}
	return false;
}

bool text_slice_is(struct text_slice slice, const char *text)
{
	return strlen(text) == slice.len && memcmp(slice.text, text, slice.len) == 0;
}

bool text_slice_next_element(struct text_slice *rest, struct text_slice *ret_element)
{
	if (!rest->text)
		return false;
	const char *comma = memchr(rest->text, ',', rest->len);
	if (!comma) {
		*ret_element = *rest;
		*rest = (struct text_slice){ 0 };
		return true;
	}
	size_t len = (size_t)(comma - rest->text);
	*ret_element = (struct text_slice){ rest->text, len };
	*rest = (struct text_slice){ comma + 1, rest->len - len - 1 };
	return true;
}

int text_slice_copy(struct text_slice slice, char *ret_text, size_t size)
{
	if (slice.len >= size)
		return -ENOSPC;
	memcpy(ret_text, slice.text, slice.len);
	ret_text[slice.len] = '\0';
	return 0;
}

static bool has_prefix(struct text_slice slice, char letter)
{
	return slice.len >= 2 && slice.text[0] == '0' && (slice.text[1] | 0x20) == letter;
}

static struct text_slice without_prefix(struct text_slice slice)
{
	return (struct text_slice){ slice.text + 2, slice.len - 2 };
}

int text_slice_number(struct text_slice slice, uint64_t min, uint64_t max, uint64_t *ret_value)
{
	uint64_t value = 0;
	if (has_prefix(slice, 'x')) {
		uint8_t bytes[8];
		size_t len;
		struct text_slice digits = without_prefix(slice);
		int r = text_get_hex(digits.text, digits.len, bytes, sizeof(bytes), &len);
		if (r < 0 || len == 0)
			return r == -ENOSPC ? -ERANGE : -EINVAL;
		for (size_t i = 0; i < len; i++)
			value = value << 8 | bytes[i];
	} else {
		char digits[24];
		if (text_slice_copy(slice, digits, sizeof(digits)) < 0)
			return -ERANGE;
		return text_to_uint(digits, min, max, ret_value);
	}
	if (value < min || value > max)
		return -ERANGE;
	*ret_value = value;
	return 0;
}

int text_slice_binary(struct text_slice slice, uint8_t *ret_data, size_t max_bytes, size_t *ret_len)
{
	struct text_slice digits = { 0 };
	if (has_prefix(slice, 'x')) {
		digits = without_prefix(slice);
		return text_get_hex(digits.text, digits.len, ret_data, max_bytes, ret_len);
	}
	if (has_prefix(slice, 'b')) {
		digits = without_prefix(slice);
		return text_get_base64(digits.text, digits.len, ret_data, max_bytes, ret_len);
	}
	return -EINVAL;
}
