/* The verbs that every node has: ls, cd, pwd, help, bookmarks, get, set, goto, exit. */
#include "cli/kinds.h"
#include "cli/render.h"
#include "cli/verb.h"

#include <string.h>

static enum outcome shell_error(struct shell *shell, const struct error *err)
{
	say_shell_error(&shell->output, "%s", err->text);
	return OUTCOME_USAGE;
}

static enum outcome run_ls(struct shell *shell, struct call *call)
{
	struct error err = { 0 };
	struct node *node = call->at;
	uint64_t depth = prefs_number(&shell->prefs, "tree_max_depth");
	if (call->arg[0] && shell_find(shell, node, call->arg[0], &node, &err) < 0)
		return shell_error(shell, &err);
	if (call->arg[1] && text_to_uint(call->arg[1], 0, 1000, &depth) < 0) {
		say_shell_error(&shell->output, "The tree depth must be a number.");
		return OUTCOME_USAGE;
	}
	if (shell->output.json) {
		render_tree_json(shell, &shell->output, (unsigned)depth, node);
		return OUTCOME_DONE;
	}
	const struct tree_style style = {
		.round = prefs_flag(&shell->prefs, "tree_round_nodes"),
		.summaries = prefs_flag(&shell->prefs, "tree_status_mode"),
		.root = prefs_flag(&shell->prefs, "tree_show_root"),
		.depth = (unsigned)depth,
	};
	render_tree(shell, &shell->output, &style, node);
	return OUTCOME_DONE;
}

/* One step back (-1) or forth (+1) in the path history, past paths that are gone. */
static enum outcome walk_history(struct shell *shell, int step)
{
	json_t *history = prefs_history(&shell->prefs);
	size_t index = prefs_history_index(&shell->prefs), last = json_array_size(history) - 1;
	struct node *node = NULL;
	while (!node) {
		if (step < 0 ? index == 0 : index == last) {
			say_shell_info(&shell->output,
			               step < 0 ? "Reached begining of path history."
			                        : "Reached the end of path history.");
			return OUTCOME_DONE;
		}
		index = step < 0 ? index - 1 : index + 1;
		const char *path = json_string_value(json_array_get(history, index));
		if (!path || node_find(shell, shell->root, shell->root, path, &node, NULL) < 0)
			node = NULL;
	}
	prefs_set_history_index(&shell->prefs, index);
	shell_move(shell, node);
	prefs_save(&shell->prefs);
	say_shell_info(&shell->output, "Taking you back to %s.", shell->path);
	return OUTCOME_DONE;
}

static enum outcome run_cd(struct shell *shell, struct call *call)
{
	struct error err = { 0 };
	const char *path = call->arg[0] ? call->arg[0] : "/";
	struct node *node;
	if (strcmp(path, "<") == 0 || strcmp(path, ">") == 0)
		return walk_history(shell, *path == '<' ? -1 : 1);
	if (shell_find(shell, call->at, path, &node, &err) < 0)
		return shell_error(shell, &err);
	shell_move(shell, node);
	return OUTCOME_DONE;
}

static enum outcome run_pwd(struct shell *shell, struct call *call)
{
	AUTO_STRING struct string path = { 0 };
	node_path(call->at, &path);
	fprintf(shell->output.out, "%s\n", path.text ? path.text : "");
	return OUTCOME_DONE;
}

static enum outcome run_exit(struct shell *shell, struct call *call)
{
	return OUTCOME_EXIT;
}

/* --- help --- */

static int compare_verbs(const void *a, const void *b)
{
	const struct verb *left = *(const struct verb *const *)a;
	const struct verb *right = *(const struct verb *const *)b;
	return strcmp(left->name, right->name);
}

static void add_usage(struct string *text, const struct verb *verb, bool with_defaults)
{
	/* Everything but the defaults stands in the table as it is shown. */
	string_format(text, "%s ", verb->name);
	for (const char *p = verb->arguments ? verb->arguments : ""; *p;) {
		size_t len = strcspn(p, " ");
		const char *equals = memchr(p, '=', len);
		bool fallback = equals && !strstr(equals, "...");
		if (fallback && !with_defaults)
			string_format(text, "%.*s] ", (int)(equals - p), p);
		else
			string_format(text, "%.*s ", (int)len, p);
		p += len + (p[len] == ' ');
	}
}

static void list_verbs(struct shell *shell, const struct node *node)
{
	const struct verb *verbs[64];
	size_t count = 0;
	for (size_t i = 0; i < node->kind->verb_count && count < ARRAY_LEN(verbs); i++)
		verbs[count++] = &node->kind->verbs[i];
	for (size_t i = 0; i < builtin_verb_count && count < ARRAY_LEN(verbs); i++)
		verbs[count++] = &builtin_verbs[i];
	qsort(verbs, count, sizeof *verbs, compare_verbs);
	AUTO_STRING struct string text = { 0 };
	string_format(&text,
	              "\n%s\n\nAVAILABLE COMMANDS\n==================\nThe following commands are "
	              "available in the\ncurrent path:\n\n",
	              node->kind->intro);
	for (size_t i = 0; i < count; i++) {
		string_add(&text, "  - ");
		add_usage(&text, verbs[i], false);
		string_add(&text, "\n");
	}
	fputs(text.text ? text.text : "", shell->output.out);
}

static void describe_verb(struct shell *shell, const struct verb *verb)
{
	struct signature signature;
	verb_signature(verb, &signature);
	AUTO_STRING struct string text = { 0 };
	string_add(&text, "\nSYNTAX\n======\n");
	add_usage(&text, verb, false);
	string_add(&text, "\n\n");
	bool title = false;
	for (size_t i = 0; i < signature.count; i++) {
		if (!signature.parameter[i].fallback[0])
			continue;
		if (!title)
			string_add(&text, "\nDEFAULT VALUES\n==============\n");
		title = true;
		string_format(&text, "%s=%s ", signature.parameter[i].name,
		              signature.parameter[i].fallback);
	}
	string_format(&text, "%s\nDESCRIPTION\n===========\n%s\n%s", title ? "\n\n" : "",
	              verb->help, verb->json ? "With --json: as JSON, for scripts.\n" : "");
	fputs(text.text ? text.text : "", shell->output.out);
}

static enum outcome run_help(struct shell *shell, struct call *call)
{
	if (!call->arg[0]) {
		list_verbs(shell, call->at);
		return OUTCOME_DONE;
	}
	const struct verb *verb = shell_verb(call->at, call->arg[0]);
	if (!verb) {
		say_shell_error(&shell->output, "Cannot find help topic %s.", call->arg[0]);
		return OUTCOME_USAGE;
	}
	describe_verb(shell, verb);
	return OUTCOME_DONE;
}

/* --- bookmarks --- */

static void print_underlined(FILE *out, const char *text, char line)
{
	fprintf(out, "%s\n", text);
	for (size_t i = strlen(text); i > 0; i--)
		fputc(line, out);
	fputc('\n', out);
}

static enum outcome show_bookmarks(struct shell *shell)
{
	AUTO_JSON json_t *all = shell_bookmarks(shell);
	const char *name, *separator = "";
	json_t *path;
	FILE *out = shell->output.out;
	fputc('\n', out);
	print_underlined(out, "BOOKMARKS", '=');
	fputc('\n', out);
	json_object_foreach (all, name, path) {
		fputs(separator, out);
		print_underlined(out, name, '-');
		fprintf(out, "%s\n", json_string_value(path));
		separator = "\n";
	}
	if (!*separator)
		fputs("No bookmarks yet.\n", out);
	return OUTCOME_DONE;
}

static enum outcome add_bookmark(struct shell *shell, const struct call *call, const char *name)
{
	AUTO_FREE char *known = shell_bookmark(shell, name);
	if (known) {
		say_shell_error(&shell->output, "Bookmark %s already exists.", name);
		return OUTCOME_USAGE;
	}
	AUTO_STRING struct string path = { 0 };
	node_path(call->at, &path);
	json_object_set_new(prefs_bookmarks(&shell->prefs), name, json_string(path.text));
	prefs_save(&shell->prefs);
	say_shell_info(&shell->output, "Bookmarked %s as %s.", path.text, name);
	return OUTCOME_DONE;
}

static enum outcome go_bookmark(struct shell *shell, const char *name, const char *end)
{
	struct error err = { 0 };
	AUTO_FREE char *path = shell_bookmark(shell, name);
	struct node *node;
	if (!path) {
		say_shell_error(&shell->output, "No such bookmark %s%s", name, end);
		return OUTCOME_USAGE;
	}
	if (node_find(shell, shell->root, shell->root, path, &node, &err) < 0)
		return shell_error(shell, &err);
	shell_move(shell, node);
	return OUTCOME_DONE;
}

static enum outcome run_bookmarks(struct shell *shell, struct call *call)
{
	const char *action = call->arg[0], *name = call->arg[1];
	if (strcmp(action, "show") == 0 && !name)
		return show_bookmarks(shell);
	if (strcmp(action, "add") == 0 && name)
		return add_bookmark(shell, call, name);
	if (strcmp(action, "go") == 0 && name)
		return go_bookmark(shell, name, ".");
	if (strcmp(action, "del") != 0 || !name) {
		say_shell_error(&shell->output, "Syntax error, see 'help bookmarks'.");
		return OUTCOME_USAGE;
	}
	if (json_object_del(prefs_bookmarks(&shell->prefs), name) < 0) {
		say_shell_error(&shell->output, "No such bookmark %s.", name);
		return OUTCOME_USAGE;
	}
	prefs_save(&shell->prefs);
	say_shell_info(&shell->output, "Deleted bookmark %s.", name);
	return OUTCOME_DONE;
}

static enum outcome run_goto(struct shell *shell, struct call *call)
{
	if (strcmp(call->arg[0], "/") == 0) {
		shell_move(shell, shell->root);
		return OUTCOME_DONE;
	}
	return go_bookmark(shell, call->arg[0], "");
}

/* --- settings of the shell --- */

static bool known_group(struct shell *shell, const char *group)
{
	if (strcmp(group, "global") == 0)
		return true;
	say_shell_error(&shell->output, "Unknown configuration group: %s", group);
	return false;
}

/* The whole group: NAME=VALUE, or NAME=TYPE for `set`. */
static void list_group(struct shell *shell, bool types)
{
	FILE *out = shell->output.out;
	print_underlined(out, "GLOBAL CONFIG GROUP", '=');
	for (size_t i = 0; i < prefs_count; i++) {
		const struct pref *pref = &prefs_table[i];
		AUTO_STRING struct string text = { 0 };
		string_format(&text, "%s=%s", pref->name,
		              types ? pref->type->name : prefs_text(&shell->prefs, pref->name));
		print_underlined(out, text.text ? text.text : "", '-');
		fprintf(out, "%s\n\n", pref->help);
	}
}

static enum outcome run_get(struct shell *shell, struct call *call)
{
	FILE *out = shell->output.out;
	if (!call->arg[0]) {
		fputc('\n', out);
		print_underlined(out, "AVAILABLE CONFIGURATION GROUPS", '=');
		fputs("global\n", out);
		return OUTCOME_DONE;
	}
	if (!known_group(shell, call->arg[0]))
		return OUTCOME_USAGE;
	if (!line_positional(call->line, 1))
		list_group(shell, false);
	const char *name;
	for (size_t i = 1; (name = line_positional(call->line, i)); i++) {
		size_t at = 0;
		while (at < prefs_count && strcmp(prefs_table[at].name, name) != 0)
			at++;
		if (at == prefs_count) {
			say_shell_error(&shell->output, "No parameter '%s' in group 'global'.",
			                name);
			return OUTCOME_USAGE;
		}
		fprintf(out, "%s=%s \n", name, prefs_text(&shell->prefs, name));
	}
	return OUTCOME_DONE;
}

static enum outcome run_set(struct shell *shell, struct call *call)
{
	if (!call->arg[0])
		return run_get(shell, call);
	if (!known_group(shell, call->arg[0]))
		return OUTCOME_USAGE;
	bool any = false;
	for (size_t i = 0; i < call->line->count; i++) {
		const struct parameter *parameter = &call->line->parameters[i];
		struct error err = { 0 };
		if (!parameter->name || strcmp(parameter->name, "group") == 0)
			continue;
		any = true;
		if (prefs_set(&shell->prefs, parameter->name, parameter->value, &err) < 0)
			return shell_error(shell, &err);
		say_shell_info(&shell->output, "Parameter %s is now '%s'.", parameter->name,
		               parameter->value);
	}
	if (any)
		prefs_save(&shell->prefs);
	else
		list_group(shell, true);
	return OUTCOME_DONE;
}

const struct verb builtin_verbs[] = {
	{ "bookmarks", "action [bookmark]",
	  "Names for paths: bookmarks add NAME, del NAME, go NAME, show. @NAME stands for the "
	  "path.",
	  run_bookmarks },
	{ "cd", "[path]",
	  "Go to a path: absolute, relative, .. or @BOOKMARK. `cd <` goes back, `cd >` forth.",
	  run_cd },
	{ "exit", "", "Leave the shell.", run_exit },
	{ "get", "[group] [parameter...]", "Show the shell's own settings.", run_get },
	{ "goto", "[shortcut=/]", "Go to a bookmark.", run_goto },
	{ "help", "[topic]", "What a command does; without a topic: the commands of this place.",
	  run_help },
	{ "ls", "[path] [depth]", "Show the tree below here or below a path, `depth` levels of it.",
	  run_ls, .json = true },
	{ "pwd", "", "Show the path of this place.", run_pwd },
	{ "set", "[group] [parameter=value...]", "Change the shell's own settings.", run_set },
};
const size_t builtin_verb_count = ARRAY_LEN(builtin_verbs);
