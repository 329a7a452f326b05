/* Text: numbers, hex, base64, names, and a growing string. All parsing is strict and bounded. */
#pragma once

#include "base/auto.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The whole of text must be decimal digits (no sign, no blank). -EINVAL, -ERANGE (outside
 * min..max). */
int text_to_uint(const char *text, uint64_t min, uint64_t max, uint64_t *ret_value) MUST_CHECK;

/* Lower case; ret_text has room for 2 * len + 1 bytes. */
void text_put_hex(const uint8_t *data, size_t len, char *ret_text);
/* The whole of text (of text_len bytes) must be pairs of hex digits of either case. An odd number
 * of digits reads as if a 0 stood in front. -EINVAL; -ENOSPC if more than max_bytes. */
int text_get_hex(const char *text, size_t text_len, uint8_t *ret_data, size_t max_bytes,
                 size_t *ret_len) MUST_CHECK;
/* Standard base64. Put: with padding, room for 4 * ((len + 2) / 3) + 1 bytes.
 * Get: padding may be missing; -EINVAL, -ENOSPC. */
void text_put_base64(const uint8_t *data, size_t len, char *ret_text);
int text_get_base64(const char *text, size_t text_len, uint8_t *ret_data, size_t max_bytes,
                    size_t *ret_len) MUST_CHECK;

/* A copy of len bytes with a NUL behind them, to be free()d; bytes may be NULL if len is 0. Unlike
 * strndup() it keeps what follows a NUL among them. NULL: no memory. */
char *text_from_bytes(const char *bytes, size_t len) MUST_CHECK;

/* ASCII only, in place. */
void text_lower(char *text);
bool text_starts(const char *text, const char *start);
bool text_ends(const char *text, const char *end);

/* A string that grows. Zeroed memory is an empty one. Running out of memory is remembered: `failed`
 * is set, nothing more is added, and string_take gives NULL. */
struct string {
	char *text; /* NUL terminated; NULL while empty */
	size_t len, room;
	bool failed;
};
void string_add(struct string *string, const char *text);
void string_add_bytes(struct string *string, const void *bytes, size_t len);
void string_add_char(struct string *string, char c);
void string_format(struct string *string, const char *format, ...) PRINTF_LIKE(2, 3);
/* The text is the caller's now (free()); "" if nothing was added; NULL if memory ran out. */
char *string_take(struct string *string) MUST_CHECK;
void string_clear(struct string *string);
#define AUTO_STRING __attribute__((cleanup(string_clear)))

/* Overwrites memory in a way that the compiler keeps. */
void wipe(void *memory, size_t len);
