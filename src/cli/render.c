/* Drawing. See render.h. */
#include "cli/render.h"

#include <ctype.h>
#include <inttypes.h>
#include <string.h>

#define BOLD      "\033[1m"
#define UNDERLINE "\033[4m"
#define PLAIN     "\033[0m"

struct drawing {
	struct shell *shell;
	struct output *output;
	const struct tree_style *style;
	struct string text;
};

static void add_colour(struct drawing *drawing, const char *sequence)
{
	if (drawing->output->colour)
		string_add(&drawing->text, sequence);
}

static const char *level_colour(const struct node *node)
{
	static const char *const colours[] = { "", "\033[34m", "\033[35m" };
	AUTO_STRING struct string path = { 0 };
	node_path(node, &path);
	unsigned level = 0;
	for (const char *p = path.text; p && *p; p++)
		level += *p == '/';
	return colours[level % ARRAY_LEN(colours)];
}

static const char *summary_text(const struct summary *summary)
{
	static const char *const words[] = {
		[HEALTH_UNKNOWN] = "...",
		[HEALTH_GOOD] = "OK",
		[HEALTH_BAD] = "ERROR",
	};
	return summary->text[0] ? summary->text : words[summary->health];
}

static void draw_summary(struct drawing *drawing, struct node *node, size_t used)
{
	struct summary summary = { 0 };
	if (node->kind->summary)
		node->kind->summary(drawing->shell, node, &summary);
	const char *text = summary_text(&summary);
	long dots = drawing->output->columns - 1 - ((long)strlen(text) + 3) - (long)used;

	string_add(&drawing->text, " ");
	add_colour(drawing, level_colour(node));
	while (dots-- > 0)
		string_add_char(&drawing->text, '.');
	add_colour(drawing, PLAIN BOLD);
	string_add(&drawing->text, " [");
	add_colour(drawing, PLAIN);
	if (summary.health == HEALTH_GOOD)
		add_colour(drawing, "\033[32m");
	if (summary.health == HEALTH_BAD)
		add_colour(drawing, BOLD "\033[31m");
	string_add(&drawing->text, text);
	if (summary.health != HEALTH_UNKNOWN)
		add_colour(drawing, PLAIN);
	add_colour(drawing, BOLD);
	string_add(&drawing->text, "]");
	add_colour(drawing, PLAIN);
}

static void draw_node(struct drawing *drawing, struct node *node, const char *prefix, bool is_root)
{
	if (drawing->text.len)
		string_add(&drawing->text, "\n");
	string_add(&drawing->text, prefix);
	string_add(&drawing->text, drawing->style->round ? "o- " : "+- ");
	if (is_root)
		add_colour(drawing, UNDERLINE);
	add_colour(drawing, BOLD);
	add_colour(drawing, level_colour(node));
	string_add(&drawing->text, node->name);
	add_colour(drawing, PLAIN);
	if (drawing->style->summaries)
		draw_summary(drawing, node, strlen(prefix) + 3 + strlen(node->name));
}

static void draw_children(struct drawing *drawing, struct node *node, const char *prefix,
                          unsigned level)
{
	if (drawing->style->depth && level >= drawing->style->depth)
		return;
	size_t count;
	struct node **children = node_children(drawing->shell, node, &count);
	for (size_t i = 0; i < count; i++) {
		AUTO_STRING struct string deeper = { 0 };
		string_format(&deeper, "%s%s", prefix, i + 1 < count ? "| " : "  ");
		draw_node(drawing, children[i], prefix, false);
		draw_children(drawing, children[i], deeper.text ? deeper.text : "", level + 1);
	}
}

void render_tree(struct shell *shell, struct output *output, const struct tree_style *style,
                 struct node *node)
{
	struct drawing drawing = { shell, output, style, { 0 } };
	if (style->root)
		draw_node(&drawing, node, "", true);
	draw_children(&drawing, node, style->root ? "  " : "", 0);
	add_colour(&drawing, PLAIN);
	if (drawing.text.len)
		fprintf(output->out, "%s\n", drawing.text.text);
	string_clear(&drawing.text);
}

static json_t *tree_of(struct shell *shell, struct node *node, unsigned depth, unsigned level)
{
	static const char *const healths[] = {
		[HEALTH_UNKNOWN] = "unknown",
		[HEALTH_GOOD] = "good",
		[HEALTH_BAD] = "bad",
	};
	struct summary summary = { 0 };
	if (node->kind->summary)
		node->kind->summary(shell, node, &summary);
	json_t *tree = json_pack("{ss ss ss}", "name", node->name, "text", summary.text, "health",
	                         healths[summary.health]);
	if (depth && level >= depth)
		return tree;
	size_t count;
	struct node **children = node_children(shell, node, &count);
	json_t *list = json_array();
	for (size_t i = 0; i < count; i++)
		(void)json_array_append_new(list, tree_of(shell, children[i], depth, level + 1));
	(void)json_object_set_new(tree, "children", list);
	return tree;
}

void render_tree_json(struct shell *shell, struct output *output, unsigned depth, struct node *node)
{
	AUTO_JSON json_t *tree = tree_of(shell, node, depth, 0);
	render_json(output->out, tree);
}

/* A value as Python's str() shows it. */
static void add_value(struct string *text, const json_t *value)
{
	if (json_is_string(value))
		string_add(text, json_string_value(value));
	else if (json_is_integer(value))
		string_format(text, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
	else if (json_is_boolean(value))
		string_add(text, json_is_true(value) ? "True" : "False");
}

static int compare_keys(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The keys in order; free() the list. */
static const char **sorted_keys(const json_t *object, size_t *ret_longest)
{
	const char **keys = calloc(json_object_size(object) + 1, sizeof *keys);
	const char *key;
	json_t *value;
	size_t count = 0;
	*ret_longest = 0;
	if (!keys)
		return NULL;
	json_object_foreach ((json_t *)object, key, value) {
		keys[count++] = key;
		if (strlen(key) > *ret_longest)
			*ret_longest = strlen(key);
	}
	qsort(keys, count, sizeof *keys, compare_keys);
	return keys;
}

static void add_members(struct string *text, const json_t *object)
{
	size_t longest, inner_longest;
	AUTO_FREE const char **keys = sorted_keys(object, &longest);
	for (size_t i = 0; keys && keys[i]; i++) {
		const json_t *value = json_object_get(object, keys[i]);
		if (!json_is_object(value)) {
			string_format(text, "- %s .. ", keys[i]);
			add_value(text, value);
			string_add(text, "\n");
			continue;
		}
		string_format(text, "- %-*s .. ", (int)longest, keys[i]);
		AUTO_FREE const char **inner = sorted_keys(value, &inner_longest);
		for (size_t k = 0; inner && inner[k]; k++) {
			string_format(text, "%s%s=", k ? ", " : "", inner[k]);
			add_value(text, json_object_get(value, inner[k]));
		}
		string_add(text, "\n");
	}
}

static void add_list(struct string *text, const json_t *list, int indent)
{
	size_t i;
	json_t *item;
	json_array_foreach (list, i, item) {
		if (i)
			string_format(text, "\n%*s", indent, "");
		add_value(text, item);
	}
}

static void add_field(struct string *text, const char *label, const json_t *value, int longest)
{
	if (json_is_object(value) && json_object_size(value)) {
		string_format(text, "%s\n", label);
		add_members(text, value);
		return;
	}
	string_format(text, "%-*s .. ", longest, label);
	if (json_is_object(value))
		string_add(text, "UNDEFINED\n");
	else if (json_is_array(value))
		add_list(text, value, longest + 4);
	else
		add_value(text, value);
	string_add(text, "\n");
}

void render_json(FILE *out, const json_t *value)
{
	AUTO_FREE char *text = json_format(value, &json_style_object);
	fprintf(out, "%s\n", text ? text : "");
}

static void render_fields_json(FILE *out, const json_t *fields)
{
	AUTO_JSON json_t *named = json_object();
	const char *label;
	json_t *value;
	json_object_foreach ((json_t *)fields, label, value) {
		AUTO_FREE char *name = strdup(label);
		for (char *p = name; p && *p; p++)
			*p = *p == ' ' ? '_' : (char)tolower((unsigned char)*p);
		(void)json_object_set(named, name ? name : label, value);
	}
	render_json(out, named);
}

void render_fields(struct output *output, const json_t *fields)
{
	if (output->json) {
		render_fields_json(output->out, fields);
		return;
	}
	AUTO_STRING struct string text = { 0 };
	const char *label;
	json_t *value;
	int longest = 0;
	json_object_foreach ((json_t *)fields, label, value)
		longest = (int)strlen(label) > longest ? (int)strlen(label) : longest;
	json_object_foreach ((json_t *)fields, label, value)
		add_field(&text, label, value, longest);
	bool colour = output->colour && output->interactive;
	fprintf(output->out, "%s%s%s\n", colour ? "\033[32;1m" : "", text.text ? text.text : "",
	        colour ? PLAIN : "");
}

/* Without the blank that a completed word ends with. */
static size_t shown_len(const char *word)
{
	size_t len = strlen(word);
	return len > 1 && word[len - 1] == ' ' ? len - 1 : len;
}

void render_columns(FILE *out, int width, char *const *words, size_t count)
{
	size_t longest = 0;
	for (size_t i = 0; i < count; i++)
		longest = shown_len(words[i]) > longest ? shown_len(words[i]) : longest;
	size_t columns = (size_t)(width > 0 ? width : 80) / (longest + 2);
	if (columns == 0)
		columns = 1;
	for (size_t i = 0; i < count; i++) {
		fprintf(out, "%-*.*s", (int)longest + 2, (int)shown_len(words[i]), words[i]);
		if ((i + 1) % columns == 0 || i + 1 == count)
			fputc('\n', out);
	}
}
