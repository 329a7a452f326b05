/* Text of login and text PDUs: `key=value` pairs, each ended by a NUL. Strict, bounded, without
 * copies; a slice points into the block. [RFC 7143 6.1] */
#pragma once

#include "base/auto.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KEY_NAME_MAX   63
#define TEXT_VALUE_MAX 255 /* of a simple value */

/* A piece of text, not NUL terminated. */
struct text_slice {
	const char *text;
	size_t len;
};

struct text_pair {
	struct text_slice key, value;
};

/* A whole text: what all PDUs of one C-bit chain carried. */
struct text_block {
	const char *text;
	size_t len;
};

/* The pair at *offset, which moves behind it. 1: *ret_pair is set; 0: the end; -EINVAL: malformed
 * (no '=', a key that is empty, too long or has a strange byte, a control byte in a value). Several
 * NULs between pairs and a missing last NUL are fine, as initiators send both. */
int text_block_next(const struct text_block *block, size_t *offset,
                    struct text_pair *ret_pair) MUST_CHECK;
/* 0: every pair is well-formed. */
int text_block_check(const struct text_block *block) MUST_CHECK;
/* The first pair with that key; false: none. The block must be well-formed. */
bool text_block_find(const struct text_block *block, const char *key, struct text_slice *ret_value);

bool text_slice_is(struct text_slice slice, const char *text);
/* Next element of a comma separated list; false at the end. *rest is eaten from the front. An
 * empty list has one empty element. */
bool text_slice_next_element(struct text_slice *rest, struct text_slice *ret_element);
/* NUL terminated copy; -ENOSPC. */
int text_slice_copy(struct text_slice slice, char *ret_text, size_t size) MUST_CHECK;
/* Decimal, or hex with 0x. -EINVAL; -ERANGE: outside min..max. */
int text_slice_number(struct text_slice slice, uint64_t min, uint64_t max,
                      uint64_t *ret_value) MUST_CHECK;
/* Binary value: 0x.. hex or 0b.. base64. -EINVAL, -ENOSPC. */
int text_slice_binary(struct text_slice slice, uint8_t *ret_data, size_t max_bytes,
                      size_t *ret_len) MUST_CHECK;
