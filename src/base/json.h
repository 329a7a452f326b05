/* JSON as Python writes it, so that objects and answers are byte for byte what ceph-iscsi gave. */
#pragma once

#include "base/auto.h"
#include "base/text.h"

#include <jansson.h>

struct json_style {
	unsigned indent;            /* blanks a level; 0 = one line */
	const char *item_separator; /* "," or ", " */
	const char *name_separator; /* ":" or ": " */
	bool sorted;                /* names by code point; else in order of insertion */
};

/* json.dumps(obj, sort_keys=True, indent=4, separators=(',', ': ')): the configuration object. */
extern const struct json_style json_style_object;
/* json.dumps(obj): default separators, insertion order: settings hash. */
extern const struct json_style json_style_plain;
/* Flask's compact sorted answer; the caller adds the newline. */
extern const struct json_style json_style_compact;

/* ASCII only: everything outside 0x20..0x7e as \uXXXX in lower case. NULL: no memory. free() it. */
char *json_format(const json_t *value, const struct json_style *style) MUST_CHECK;

static inline void json_auto_decref(json_t **value)
{
	json_decref(*value);
}
#define AUTO_JSON __attribute__((cleanup(json_auto_decref)))

/* Lookups that never fail: the fallback stands for an absent member or one of another type. */
const char *json_text(const json_t *object, const char *name, const char *fallback);
json_int_t json_number(const json_t *object, const char *name, json_int_t fallback);
bool json_flag(const json_t *object, const char *name, bool fallback);
