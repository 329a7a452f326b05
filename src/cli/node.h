/* The tree that the shell shows: nodes made from the configuration object, each of a kind that
 * knows its children, its summary and its verbs. A node's children are made when somebody looks. */
#pragma once

#include "base/error.h"
#include "base/json.h"
#include "base/text.h"

#include <stdbool.h>
#include <stddef.h>

struct shell;
struct node;
struct line;

#define VERB_ARGUMENTS_MAX 8
#define SUMMARY_TEXT_MAX   512

enum health { HEALTH_UNKNOWN, HEALTH_GOOD, HEALTH_BAD };

struct summary {
	enum health health;
	char text[SUMMARY_TEXT_MAX]; /* empty: "OK", "ERROR" or "..." by health */
};
void summary_set(struct summary *summary, enum health health, const char *format, ...)
        PRINTF_LIKE(3, 4);

/* How a command ended; the exit status of one-shot mode. */
enum outcome {
	OUTCOME_DONE = 0,
	OUTCOME_FAILED = 1,  /* the operation failed or was refused; said already */
	OUTCOME_OPTIONS = 2, /* wrong use of `target ...` and `lun ...` */
	OUTCOME_USAGE = 255, /* unknown command, path or parameter */
	OUTCOME_EXIT = -1,   /* leave the shell */
};

struct call {
	struct node *at;
	/* In the order of the verb's `arguments`; NULL if not given and without default. */
	const char *arg[VERB_ARGUMENTS_MAX];
	const struct line *line;
};

struct verb {
	const char *name;
	/* "image_id size [count=1] [parameter...]": required, optional with default, any number. */
	const char *arguments;
	const char *help;
	enum outcome (*run)(struct shell *shell, struct call *call);
	bool secret; /* the line may hold a password: keep it out of the history */
	bool json;   /* has a form for scripts, --json; it looks at shell->output.json */
};

struct node_kind {
	const char *intro; /* what this place is for, for help */
	void (*expand)(struct shell *shell, struct node *node);
	void (*summary)(struct shell *shell, struct node *node, struct summary *ret_summary);
	const struct verb *verbs;
	size_t verb_count;
};

struct node {
	const struct node_kind *kind;
	char *name;
	struct node *parent;
	struct node **children; /* through node_children() */
	size_t count;
	bool expanded;
	json_t *data; /* borrowed from the configuration */
};

/* A child that is added outside expand() is lost. NULL: no memory (the listing is then short). */
struct node *node_add(struct node *parent, const struct node_kind *kind, const char *name,
                      json_t *data);
void node_free(struct node *node);
DEFINE_AUTO(node);

/* Sorted by name, numbers at the end of a name by value. */
struct node **node_children(struct shell *shell, struct node *node, size_t *ret_count);
struct node *node_child(struct shell *shell, struct node *node, const char *name);
void node_path(const struct node *node, struct string *ret_path);
/* The name of the ancestor whose parent is of this kind, e.g. the target that a host is of. */
struct node *node_ancestor(struct node *node, const struct node_kind *kind);
/* Follows path from `at`; a child's name may hold slashes (the longest name that fits wins).
 * -ENOENT with "No such path ...". */
int node_find(struct shell *shell, struct node *root, struct node *at, const char *path,
              struct node **ret_node, struct error *err) MUST_CHECK;

const struct verb *node_verb(const struct node *node, const char *name);
