/* The shell: one session with the tree, the place in it, and what runs a line. A program fills
 * shell_options from its settings file; tests from wherever they like. */
#pragma once

#include "cli/api.h"
#include "cli/line.h"
#include "cli/model.h"
#include "cli/node.h"
#include "cli/output.h"
#include "cli/prefs.h"

struct shell_options {
	struct api_options api;
	const char *gateway_name; /* this host, as it stands in the configuration */
	const char *cluster_name, *ceph_conf, *client_name;
	char *const *trusted_ip_list; /* NULL terminated, or NULL */
	const char *folder;           /* for preferences; NULL: keep nothing */
	bool interactive;
	bool silent; /* no words, always exit status 0 for verbs */
};

struct shell {
	struct shell_options options; /* texts are the caller's */
	struct output output;
	struct model model;
	struct prefs prefs;
	struct node *root;
	struct node *at;     /* where we are, in the tree of root */
	char *path;          /* the same as text; outlives the tree */
	json_t *tree_config; /* the nodes' data live in it */
	char *last_target; /* created last in this session: the bookmarks `hosts`... point there */
	char *go_to;       /* where to go when the command is over */
	bool fresh;        /* the tree was read just now */
	bool changed;      /* this command changed something */
	int gateways_down; /* as last told */
};

/* Reads the configuration. -ECONNREFUSED: no API, said why; else -ENOMEM. */
int shell_new(const struct shell_options *options, struct shell **ret_shell,
              struct error *err) MUST_CHECK;
void shell_free(struct shell *shell);
DEFINE_AUTO(shell);

/* Runs one line and prints what comes of it. */
enum outcome shell_run(struct shell *shell, const char *text);
/* "/iscsi-target...-igw/gateways> ". free() it. */
char *shell_prompt(struct shell *shell) MUST_CHECK;
/* Tells, when it changed, how many gateways are not up. Before a prompt. */
void shell_watch_gateways(struct shell *shell);
/* True if the line may hold a password. */
bool shell_line_is_secret(struct shell *shell, const char *text);

/* --- for verbs --- */

/* Reads the configuration again and makes the tree anew; nodes held so far are gone. */
void shell_reload(struct shell *shell);
/* After the command, go to this path. */
void shell_go_to(struct shell *shell, const char *format, ...) PRINTF_LIKE(2, 3);
/* Moves; remembers it in the path history. */
void shell_move(struct shell *shell, struct node *node);
/* Absolute, relative, or @bookmark. -ENOENT. */
int shell_find(struct shell *shell, struct node *at, const char *path, struct node **ret_node,
               struct error *err) MUST_CHECK;
/* The path of a bookmark, or NULL. free() it. */
char *shell_bookmark(struct shell *shell, const char *name) MUST_CHECK;
/* name -> path of all bookmarks, in the order in which they are shown. json_decref() it. */
json_t *shell_bookmarks(struct shell *shell) MUST_CHECK;
/* The verb of a node, or one that every node has. */
const struct verb *shell_verb(const struct node *node, const char *name);

/* A change through the API; path below /api. */
void shell_change(struct shell *shell, enum api_method method, const struct field *fields,
                  struct reply *ret_reply, const char *path, ...) PRINTF_LIKE(5, 6);
/* Says "ok", or `prefix` and the reply's message. With --json the reply's body is printed, too. */
enum outcome shell_report(struct shell *shell, const struct reply *reply, const char *prefix);
/* Says the words as a refusal. */
enum outcome shell_refuse(struct shell *shell, const char *format, ...) PRINTF_LIKE(2, 3);
