/* Nodes and paths. See node.h. */
#include "cli/node.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void summary_set(struct summary *summary, enum health health, const char *format, ...)
{
	summary->health = health;
	va_list values;
	va_start(values, format);
	vsnprintf(summary->text, sizeof summary->text, format, values);
	va_end(values);
}

struct node *node_add(struct node *parent, const struct node_kind *kind, const char *name,
                      json_t *data)
{
	AUTO(node) struct node *node = calloc(1, sizeof *node);
	if (!node)
		return NULL;
	node->kind = kind;
	node->data = data;
	node->name = strdup(name);
	if (!node->name)
		return NULL;
	if (parent) {
		struct node **grown =
		        reallocarray(parent->children, parent->count + 1, sizeof *parent->children);
		if (!grown)
			return NULL;
		parent->children = grown;
		parent->children[parent->count++] = node;
		node->parent = parent;
	}
	return steal(&node);
}

void node_free(struct node *node)
{
	if (!node)
		return;
	for (size_t i = 0; i < node->count; i++)
		node_free(node->children[i]);
	free(node->children);
	free(node->name);
	free(node);
}

/* The number at the end of a name, and where it begins. */
static unsigned long long trailing_number(const char *name, size_t *ret_stem_len)
{
	size_t len = strlen(name);
	size_t stem = len;
	while (stem > 0 && isdigit((unsigned char)name[stem - 1]))
		stem--;
	*ret_stem_len = stem;
	return stem < len ? strtoull(name + stem, NULL, 10) : 0;
}

static int compare_names(const void *a, const void *b)
{
	const char *left = (*(struct node *const *)a)->name;
	const char *right = (*(struct node *const *)b)->name;
	size_t left_len, right_len;
	unsigned long long left_number = trailing_number(left, &left_len);
	unsigned long long right_number = trailing_number(right, &right_len);
	size_t common = left_len < right_len ? left_len : right_len;
	int order = memcmp(left, right, common);
	if (order)
		return order;
	if (left_len != right_len)
		return left_len < right_len ? -1 : 1;
	if (left_number != right_number)
		return left_number < right_number ? -1 : 1;
	return strcmp(left, right);
}

struct node **node_children(struct shell *shell, struct node *node, size_t *ret_count)
{
	if (!node->expanded) {
		node->expanded = true;
		if (node->kind->expand)
			node->kind->expand(shell, node);
		if (node->count > 1)
			qsort(node->children, node->count, sizeof *node->children, compare_names);
	}
	*ret_count = node->count;
	return node->children;
}

/* "lun 0" may be typed as lun0 or lun_0; old names of top-level nodes still work. */
static bool name_matches(const struct node *node, const char *typed, size_t len)
{
	static const struct {
		const char *typed, *name;
	} old_names[] = {
		{ "iscsi-target", "iscsi-targets" },
		{ "clusters", "cluster" },
		{ "ceph", "cluster" },
	};
	if (strlen(node->name) == len && memcmp(node->name, typed, len) == 0)
		return true;
	if (node->parent && !node->parent->parent) {
		for (size_t i = 0; i < ARRAY_LEN(old_names); i++) {
			if (strlen(old_names[i].typed) == len &&
			    memcmp(old_names[i].typed, typed, len) == 0)
				return strcmp(old_names[i].name, node->name) == 0;
		}
	}
	if (!text_starts(node->name, "lun ") || len < 4 || memcmp(typed, "lun", 3) != 0)
		return false;
	size_t from = typed[3] == '_' ? 4 : 3;
	return strlen(node->name + 4) == len - from &&
	       memcmp(node->name + 4, typed + from, len - from) == 0;
}

struct node *node_child(struct shell *shell, struct node *node, const char *name)
{
	size_t count;
	struct node **children = node_children(shell, node, &count);
	for (size_t i = 0; i < count; i++) {
		if (name_matches(children[i], name, strlen(name)))
			return children[i];
	}
	return NULL;
}

void node_path(const struct node *node, struct string *ret_path)
{
	if (!node->parent) {
		string_add(ret_path, "/");
		return;
	}
	if (node->parent->parent)
		node_path(node->parent, ret_path);
	string_add(ret_path, "/");
	string_add(ret_path, node->name);
}

struct node *node_ancestor(struct node *node, const struct node_kind *kind)
{
	while (node && node->kind != kind)
		node = node->parent;
	return node;
}

/* Tries the longest piece of path (up to a slash or the end) that names a child. */
static struct node *step(struct shell *shell, struct node *at, const char *path, size_t *ret_len)
{
	size_t count;
	struct node **children = node_children(shell, at, &count);
	for (size_t len = strlen(path); len > 0; len--) {
		if (path[len] && path[len] != '/')
			continue;
		for (size_t i = 0; i < count; i++) {
			if (!name_matches(children[i], path, len))
				continue;
			*ret_len = len;
			return children[i];
		}
	}
	return NULL;
}

static int no_such_path(struct error *err, const struct node *at, const char *path)
{
	AUTO_STRING struct string parent = { 0 };
	node_path(at, &parent);
	return error_set(err, -ENOENT, "No such path %s%s%.*s", parent.text ? parent.text : "",
	                 at->parent ? "/" : "", (int)strcspn(path, "/"), path);
}

int node_find(struct shell *shell, struct node *root, struct node *at, const char *path,
              struct node **ret_node, struct error *err)
{
	if (*path == '/')
		at = root;
	for (;;) {
		while (*path == '/')
			path++;
		size_t len = strcspn(path, "/");
		if (len == 0)
			break;
		if (len == 1 && path[0] == '.') {
			path++;
			continue;
		}
		if (len == 2 && memcmp(path, "..", 2) == 0) {
			at = at->parent ? at->parent : at;
			path += 2;
			continue;
		}
		/* A slash at the end is not part of a name. */
		struct node *next = step(shell, at, path, &len);
		if (!next)
			return no_such_path(err, at, path);
		at = next;
		path += len;
	}
	*ret_node = at;
	return 0;
}

const struct verb *node_verb(const struct node *node, const char *name)
{
	for (size_t i = 0; i < node->kind->verb_count; i++) {
		if (strcmp(node->kind->verbs[i].name, name) == 0)
			return &node->kind->verbs[i];
	}
	return NULL;
}
