/* Python's json.dumps for jansson's trees. Jansson's own writer differs in separators, escapes and
 * indentation, and other gateways' users compare these bytes. */
#include "base/json.h"

#include "base/error.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define DEPTH_MAX 64 /* what jansson's parser lets in is deeper; what we write never is */

const struct json_style json_style_object = {
	.indent = 4,
	.item_separator = ",",
	.name_separator = ": ",
	.sorted = true,
};
const struct json_style json_style_plain = {
	.indent = 0,
	.item_separator = ", ",
	.name_separator = ": ",
	.sorted = false,
};
const struct json_style json_style_compact = {
	.indent = 0,
	.item_separator = ",",
	.name_separator = ":",
	.sorted = true,
};

static void put_value(struct string *out, const json_t *value, const struct json_style *style,
                      unsigned depth);

/* Takes one code point from valid UTF-8 (jansson refuses anything else). */
static uint32_t next_code_point(const unsigned char **ret_at)
{
	const unsigned char *at = *ret_at;
	uint32_t point = *at++;
	unsigned more = point >= 0xf0 ? 3 : point >= 0xe0 ? 2 : point >= 0xc0 ? 1 : 0;
	if (more)
		point &= 0x3fu >> more;
	for (; more; more--)
		point = point << 6 | (*at++ & 0x3f);
	*ret_at = at;
	return point;
}

static const char *short_escape(uint32_t point)
{
	switch (point) {
	case '"':
		return "\\\"";
	case '\\':
		return "\\\\";
	case '\n':
		return "\\n";
	case '\r':
		return "\\r";
	case '\t':
		return "\\t";
	case '\f':
		return "\\f";
	case '\b':
		return "\\b";
	default:
		return NULL;
	}
}

static void put_text(struct string *out, const char *text, size_t len)
{
	const unsigned char *at = (const unsigned char *)text, *end = at + len;
	string_add_char(out, '"');
	while (at < end) {
		uint32_t point = next_code_point(&at);
		const char *escape = short_escape(point);
		if (escape) {
			string_add(out, escape);
		} else if (point >= 0x20 && point < 0x7f) {
			string_add_char(out, (char)point);
		} else if (point > 0xffff) {
			point -= 0x10000;
			string_format(out, "\\u%04x\\u%04x", 0xd800 + (point >> 10),
			              0xdc00 + (point & 0x3ff));
		} else {
			string_format(out, "\\u%04x", point);
		}
	}
	string_add_char(out, '"');
}

static void put_line_start(struct string *out, const struct json_style *style, unsigned depth)
{
	if (!style->indent)
		return;
	string_add_char(out, '\n');
	for (unsigned i = 0; i < depth * style->indent; i++)
		string_add_char(out, ' ');
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void put_object(struct string *out, const json_t *object, const struct json_style *style,
                       unsigned depth)
{
	size_t count = json_object_size(object);
	if (!count) {
		string_add(out, "{}");
		return;
	}
	AUTO_FREE const char **names = calloc(count, sizeof *names);
	if (!names) {
		out->failed = true;
		return;
	}
	size_t i = 0;
	const char *name;
	json_t *member;
	json_object_foreach ((json_t *)object, name, member)
		names[i++] = name;
	if (style->sorted)
		qsort(names, count, sizeof *names, compare_names);

	string_add_char(out, '{');
	for (i = 0; i < count; i++) {
		if (i)
			string_add(out, style->item_separator);
		put_line_start(out, style, depth + 1);
		assert(names[i]); /* the size was that of the loop above */
		put_text(out, names[i], strlen(names[i]));
		string_add(out, style->name_separator);
		put_value(out, json_object_get(object, names[i]), style, depth + 1);
	}
	put_line_start(out, style, depth);
	string_add_char(out, '}');
}

static void put_array(struct string *out, const json_t *array, const struct json_style *style,
                      unsigned depth)
{
	size_t count = json_array_size(array);
	if (!count) {
		string_add(out, "[]");
		return;
	}
	string_add_char(out, '[');
	for (size_t i = 0; i < count; i++) {
		if (i)
			string_add(out, style->item_separator);
		put_line_start(out, style, depth + 1);
		put_value(out, json_array_get(array, i), style, depth + 1);
	}
	put_line_start(out, style, depth);
	string_add_char(out, ']');
}

/* The shortest decimal text that reads back as the same number, as Python's repr gives it. */
static void put_real(struct string *out, double value)
{
	char text[32];
	for (int digits = 1; digits <= 17; digits++) {
		(void)snprintf(text, sizeof text, "%.*g", digits, value);
		if (strtod(text, NULL) == value)
			break;
	}
	string_add(out, text);
	if (!strpbrk(text, ".einf"))
		string_add(out, ".0");
}

static void put_value(struct string *out, const json_t *value, const struct json_style *style,
                      unsigned depth)
{
	if (depth > DEPTH_MAX) {
		out->failed = true;
		return;
	}
	switch (json_typeof(value)) {
	case JSON_OBJECT:
		put_object(out, value, style, depth);
		break;
	case JSON_ARRAY:
		put_array(out, value, style, depth);
		break;
	case JSON_STRING:
		put_text(out, json_string_value(value), json_string_length(value));
		break;
	case JSON_INTEGER:
		string_format(out, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
		break;
	case JSON_REAL:
		put_real(out, json_real_value(value));
		break;
	case JSON_TRUE:
		string_add(out, "true");
		break;
	case JSON_FALSE:
		string_add(out, "false");
		break;
	case JSON_NULL:
		string_add(out, "null");
		break;
	}
}

char *json_format(const json_t *value, const struct json_style *style)
{
	struct string out = { 0 };
	put_value(&out, value, style, 0);
	return string_take(&out);
}

const char *json_text(const json_t *object, const char *name, const char *fallback)
{
	const json_t *value = json_object_get(object, name);
	return json_is_string(value) ? json_string_value(value) : fallback;
}

json_int_t json_number(const json_t *object, const char *name, json_int_t fallback)
{
	const json_t *value = json_object_get(object, name);
	return json_is_integer(value) ? json_integer_value(value) : fallback;
}

bool json_flag(const json_t *object, const char *name, bool fallback)
{
	const json_t *value = json_object_get(object, name);
	return json_is_boolean(value) ? json_is_true(value) : fallback;
}
