/* Draws the tree of `ls`, the fields of `info`, and lists in columns. */
#pragma once

#include "cli/node.h"
#include "cli/output.h"

struct tree_style {
	bool round;     /* "o- " else "+- " */
	bool summaries; /* dots and [summary] */
	bool root;      /* the line of the listed node itself */
	unsigned depth; /* levels below the listed node; 0 = all */
};
void render_tree(struct shell *shell, struct output *output, const struct tree_style *style,
                 struct node *node);

/* fields: label -> text, number, list of texts, or object; in order of insertion. As JSON their
 * names are the labels in small letters with '_' for each blank. */
void render_fields(struct output *output, const json_t *fields);

/* --json: one value, sorted and indented, with a newline. */
void render_json(FILE *out, const json_t *value);
/* The listed node as {"name", "text" (what `ls` shows behind it), "health", "children"}. */
void render_tree_json(struct shell *shell, struct output *output, unsigned depth,
                      struct node *node);

/* As many columns as fit, filled row by row, sorted as given. */
void render_columns(FILE *out, int width, char *const *words, size_t count);
