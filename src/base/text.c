/* Strict parsing of numbers, hex and base64, and the growing string. */
#include "base/text.h"

#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int text_to_uint(const char *text, uint64_t min, uint64_t max, uint64_t *ret_value)
{
	uint64_t value = 0;
	if (!*text)
		return -EINVAL;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return -EINVAL;
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(*text - '0'), &value))
			return -ERANGE;
	}
	if (value < min || value > max)
		return -ERANGE;
	*ret_value = value;
	return 0;
}

char *text_from_bytes(const char *bytes, size_t len)
{
	char *text = malloc(len + 1);
	if (!text)
		return NULL;
	if (len > 0)
		memcpy(text, bytes, len);
	text[len] = '\0';
	return text;
}

void text_put_hex(const uint8_t *data, size_t len, char *ret_text)
{
	static const char digits[] = "0123456789abcdef";
	for (size_t i = 0; i < len; i++) {
		*ret_text++ = digits[data[i] >> 4];
		*ret_text++ = digits[data[i] & 15];
	}
	*ret_text = '\0';
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int text_get_hex(const char *text, size_t text_len, uint8_t *ret_data, size_t max_bytes,
                 size_t *ret_len)
{
	if ((text_len + 1) / 2 > max_bytes)
		return -ENOSPC;
	size_t len = 0;
	bool half = text_len % 2 == 1; /* the first byte has its upper digit left out */
	uint8_t byte = 0;
	for (size_t i = 0; i < text_len; i++) {
		int digit = hex_digit(text[i]);
		if (digit < 0)
			return -EINVAL;
		byte = (uint8_t)(byte << 4 | digit);
		if (half) {
			ret_data[len++] = byte;
			byte = 0;
		}
		half = !half;
	}
	*ret_len = len;
	return 0;
}

static const char base64_digits[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void text_put_base64(const uint8_t *data, size_t len, char *ret_text)
{
	for (; len >= 3; data += 3, len -= 3) {
		*ret_text++ = base64_digits[data[0] >> 2];
		*ret_text++ = base64_digits[(data[0] & 3) << 4 | data[1] >> 4];
		*ret_text++ = base64_digits[(data[1] & 15) << 2 | data[2] >> 6];
		*ret_text++ = base64_digits[data[2] & 63];
	}
	if (len > 0) {
		uint8_t second = len == 2 ? data[1] : 0;
		*ret_text++ = base64_digits[data[0] >> 2];
		*ret_text++ = base64_digits[(data[0] & 3) << 4 | second >> 4];
		*ret_text++ = len == 2 ? base64_digits[(second & 15) << 2] : '=';
		*ret_text++ = '=';
	}
	*ret_text = '\0';
}

static int base64_digit(char c)
{
	const char *at = c ? strchr(base64_digits, c) : NULL;
	return at ? (int)(at - base64_digits) : -1;
}

int text_get_base64(const char *text, size_t text_len, uint8_t *ret_data, size_t max_bytes,
                    size_t *ret_len)
{
	size_t padding = 0;
	while (padding < 2 && text_len > 0 && text[text_len - 1] == '=') {
		text_len--;
		padding++;
	}
	if (text_len % 4 == 1 || (padding && (text_len + padding) % 4 != 0))
		return -EINVAL;
	if (text_len / 4 * 3 + text_len % 4 * 3 / 4 > max_bytes)
		return -ENOSPC;

	size_t len = 0;
	uint32_t bits = 0;
	unsigned bit_count = 0;
	for (size_t i = 0; i < text_len; i++) {
		int digit = base64_digit(text[i]);
		if (digit < 0)
			return -EINVAL;
		bits = bits << 6 | (uint32_t)digit;
		bit_count += 6;
		if (bit_count >= 8) {
			bit_count -= 8;
			ret_data[len++] = (uint8_t)(bits >> bit_count);
		}
	}
	*ret_len = len;
	return 0;
}

void text_lower(char *text)
{
	for (; *text; text++) {
		if (*text >= 'A' && *text <= 'Z')
			*text = (char)(*text - 'A' + 'a');
	}
}

bool text_starts(const char *text, const char *start)
{
	return strncmp(text, start, strlen(start)) == 0;
}

bool text_ends(const char *text, const char *end)
{
	size_t text_len = strlen(text), end_len = strlen(end);
	return text_len >= end_len && strcmp(text + text_len - end_len, end) == 0;
}

/* Makes room for len more bytes and the NUL. */
static bool string_grow(struct string *string, size_t len)
{
	if (string->failed)
		return false;
	if (string->room - string->len > len)
		return true;
	size_t room = string->room ? string->room : 64;
	while (room - string->len <= len) {
		if (__builtin_mul_overflow(room, 2, &room)) {
			string->failed = true;
			return false;
		}
	}
	char *text = realloc(string->text, room);
	if (!text) {
		string->failed = true;
		return false;
	}
	string->text = text;
	string->room = room;
	return true;
}

void string_add_bytes(struct string *string, const void *bytes, size_t len)
{
	if (!string_grow(string, len))
		return;
	if (len)
		memcpy(string->text + string->len, bytes, len);
	string->len += len;
	string->text[string->len] = '\0';
}

void string_add(struct string *string, const char *text)
{
	string_add_bytes(string, text, strlen(text));
}

void string_add_char(struct string *string, char c)
{
	string_add_bytes(string, &c, 1);
}

void string_format(struct string *string, const char *format, ...)
{
	va_list arguments, again;
	va_start(arguments, format);
	va_copy(again, arguments);
	int len = vsnprintf(NULL, 0, format, arguments);
	va_end(arguments);
	if (len < 0) {
		string->failed = true;
	} else if (string_grow(string, (size_t)len)) {
		(void)vsnprintf(string->text + string->len, (size_t)len + 1, format, again);
		string->len += (size_t)len;
	}
	va_end(again);
}

char *string_take(struct string *string)
{
	char *text = NULL;
	if (!string->failed) {
		text = string->text ? steal(&string->text) : strdup("");
	}
	string_clear(string);
	return text;
}

void string_clear(struct string *string)
{
	free(string->text);
	*string = (struct string){ 0 };
}

void wipe(void *memory, size_t len)
{
	explicit_bzero(memory, len);
}
