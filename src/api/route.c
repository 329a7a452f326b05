/* Finds the route of a request, and lists the routes for GET /api. The table is in routes.c. */
#include "api/route.h"

#include <errno.h>
#include <string.h>

#define PIECE_MAX 512

const char *const method_names[METHOD_COUNT] = {
	[METHOD_GET] = "GET",
	[METHOD_PUT] = "PUT",
	[METHOD_DELETE] = "DELETE",
};

static int hex_digit(char c)
{
	uint8_t value;
	char pair[2] = { '0', c };
	size_t len;
	return text_get_hex(pair, sizeof pair, &value, 1, &len) < 0 ? -1 : value;
}

/* Decodes %XX of one piece. False: malformed, too long, or a byte 0. */
static bool decode_piece(const char *piece, size_t len, char ret_text[PIECE_MAX])
{
	size_t out = 0;
	for (size_t i = 0; i < len; i++) {
		char c = piece[i];
		if (c == '%') {
			int high = i + 2 < len ? hex_digit(piece[i + 1]) : -1;
			int low = high >= 0 ? hex_digit(piece[i + 2]) : -1;
			if (low < 0)
				return false;
			c = (char)(high << 4 | low);
			i += 2;
		}
		if (c == '\0' || out + 1 >= PIECE_MAX)
			return false;
		ret_text[out++] = c;
	}
	ret_text[out] = '\0';
	return true;
}

/* Takes the next piece of a path that starts with '/'. */
static size_t piece_len(const char *at)
{
	return strcspn(at, "/");
}

/* True if path fits pattern; the pieces that <names> stand for go into arguments (may be NULL). */
static bool path_fits(const char *pattern, const char *path, json_t *arguments)
{
	while (*pattern == '/' && *path == '/') {
		pattern++;
		path++;
		size_t pattern_len = piece_len(pattern), len = piece_len(path);
		char text[PIECE_MAX], name[PIECE_MAX];
		if (!decode_piece(path, len, text))
			return false;
		if (*pattern == '<') {
			if (!*text)
				return false;
			memcpy(name, pattern + 1, pattern_len - 2);
			name[pattern_len - 2] = '\0';
			if (arguments &&
			    json_object_set_new(arguments, name, json_string(text)) < 0)
				return false;
		} else if (strlen(text) != pattern_len || memcmp(text, pattern, pattern_len) != 0) {
			return false;
		}
		pattern += pattern_len;
		path += len;
	}
	return !*pattern && !*path;
}

int route_find(const char *path, const char *method, json_t *arguments,
               const struct route **ret_route, unsigned *ret_allowed)
{
	const struct route *found = NULL;
	*ret_allowed = 0;
	if (strcmp(method, "HEAD") == 0)
		method = "GET";
	for (size_t i = 0; i < route_count; i++) {
		if (!path_fits(routes[i].path, path, NULL))
			continue;
		*ret_allowed |= 1u << routes[i].method;
		if (strcmp(method_names[routes[i].method], method) == 0)
			found = &routes[i];
	}
	if (!*ret_allowed)
		return -ENOENT;
	if (!found)
		return -EOPNOTSUPP;
	if (!path_fits(found->path, path, arguments))
		return -ENOMEM;
	*ret_route = found;
	return 0;
}

bool word_in(const char *words, const char *name)
{
	size_t len = strlen(name);
	for (const char *at = words; at && *at;) {
		size_t word_len = strcspn(at, " ");
		if (word_len == len && memcmp(at, name, len) == 0)
			return true;
		at += word_len;
		at += strspn(at, " ");
	}
	return false;
}

/* ---- GET /api ---- */

static json_t *describe_fields(const char *words, json_t *lines)
{
	for (const char *at = words; at && *at;) {
		size_t len = strcspn(at, " ");
		(void)json_array_append_new(lines, json_sprintf(":param %.*s:", (int)len, at));
		at += len;
		at += strspn(at, " ");
	}
	return lines;
}

static void describe_path(const char *path, json_t *list)
{
	static const char *const access_words[] = {
		[ACCESS_OPEN] = "**UNRESTRICTED**",
		[ACCESS_PASSWORD] = "**PASSWORD**",
		[ACCESS_FULL] = "**RESTRICTED**",
	};
	AUTO_STRING struct string methods = { 0 };
	const char *help = NULL;
	json_t *lines = json_array();
	for (size_t i = 0; i < route_count; i++) {
		if (strcmp(routes[i].path, path) != 0)
			continue;
		string_format(&methods, "%s%s", methods.len ? "," : "",
		              method_names[routes[i].method]);
		if (!help) {
			help = routes[i].help;
			(void)json_array_append_new(lines,
			                            json_string(access_words[routes[i].access]));
		}
		describe_fields(routes[i].form, lines);
	}
	(void)json_array_append_new(
	        list,
	        json_pack("[o, o, o]", json_sprintf("%s : %s", path, help),
	                  json_sprintf("Methods: %s", methods.text ? methods.text : ""), lines));
}

static int compare_paths(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

void run_list_routes(struct request *request)
{
	const char *paths[256];
	size_t count = 0;
	for (size_t i = 0; i < route_count && count < ARRAY_LEN(paths); i++)
		if (!strstr(routes[i].path, "/_"))
			paths[count++] = routes[i].path;
	qsort(paths, count, sizeof paths[0], compare_paths);
	json_t *list = json_array();
	for (size_t i = 0; i < count; i++)
		if (i == 0 || strcmp(paths[i], paths[i - 1]) != 0)
			describe_path(paths[i], list);
	answer(request, 200, json_pack("{s:o}", "api", list));
}
