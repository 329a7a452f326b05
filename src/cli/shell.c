/* One session: where we are, and how a line is run. See shell.h. */
#include "cli/shell.h"

#include "cli/course.h"
#include "cli/kinds.h"
#include "cli/render.h"
#include "cli/verb.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

/* --- the tree and the place in it --- */

static int set_place(struct shell *shell, struct node *node)
{
	AUTO_STRING struct string path = { 0 };
	node_path(node, &path);
	char *text = string_take(&path);
	if (!text)
		return -ENOMEM;
	free(shell->path);
	shell->path = text;
	shell->at = node;
	return 0;
}

/* Back to where we were, or to the nearest place above it that is still there. */
static void find_place(struct shell *shell)
{
	AUTO_FREE char *path = steal(&shell->path);
	AUTO_FREE char *gone = NULL;
	shell->at = shell->root;
	while (path && node_find(shell, shell->root, shell->root, path, &shell->at, NULL) < 0) {
		char *slash = strrchr(path, '/');
		if (!gone)
			gone = strdup(path);
		shell->at = shell->root;
		if (!slash || slash == path)
			break;
		*slash = '\0';
	}
	(void)set_place(shell, shell->at); /* no memory: the prompt is empty, nothing else */
	if (gone && shell->output.interactive)
		say(&shell->output, SAY_WARNING, "%s is gone, you are now in %s", gone,
		    shell->path);
}

static void make_tree(struct shell *shell)
{
	struct node *root = node_add(NULL, &kind_root, "/", shell->model.config);
	if (!root)
		return;
	node_free(shell->root);
	json_decref(shell->tree_config);
	shell->root = root;
	shell->tree_config = json_incref(shell->model.config);
	find_place(shell);
}

void shell_reload(struct shell *shell)
{
	/* If the API does not answer, what we know stays on show. */
	(void)model_refresh(&shell->model);
	make_tree(shell);
	shell->fresh = true;
}

static int first_read(struct shell *shell, struct error *err)
{
	long status = model_refresh(&shell->model);
	if (status == 500 && api_use_fallback(shell->model.api)) {
		long second = model_refresh(&shell->model);
		status = second ? status : 0;
	}
	if (status == 0)
		return 0;
	if (shell->options.interactive) {
		say(&shell->output, SAY_ERROR, "REST API failure, code : %ld", status);
		say(&shell->output, SAY_ERROR, "Unable to access the configuration object");
	}
	return error_set(err, -ECONNREFUSED, "Unable to contact the local API endpoint (%s)",
	                 api_endpoint(shell->model.api));
}

/* An interactive session starts where the last one ended. */
static void restore_place(struct shell *shell)
{
	size_t index = prefs_history_index(&shell->prefs);
	const char *path = json_string_value(json_array_get(prefs_history(&shell->prefs), index));
	struct node *node = shell->root;
	if (index && path && shell->options.interactive &&
	    node_find(shell, shell->root, shell->root, path, &node, NULL) < 0)
		node = shell->root;
	(void)set_place(shell, node);
}

int shell_new(const struct shell_options *options, struct shell **ret_shell, struct error *err)
{
	AUTO(shell) struct shell *shell = calloc(1, sizeof *shell);
	if (!shell)
		return error_set(err, -ENOMEM, "Out of memory");
	shell->options = *options;
	shell->model.gateway_name = options->gateway_name;
	output_init(&shell->output, options->interactive);
	shell->output.silent = options->silent;
	int r = api_new(&options->api, &shell->model.api);
	if (r == 0)
		r = prefs_load(&shell->prefs, options->folder);
	if (r < 0)
		return error_set(err, r, "Out of memory");
	shell->output.colour = shell->output.colour && prefs_flag(&shell->prefs, "color_mode");
	r = first_read(shell, err);
	if (r < 0)
		return r;
	make_tree(shell);
	if (!shell->root)
		return error_set(err, -ENOMEM, "Out of memory");
	shell->fresh = true;
	restore_place(shell);
	*ret_shell = steal(&shell);
	return 0;
}

void shell_free(struct shell *shell)
{
	if (!shell)
		return;
	node_free(shell->root);
	json_decref(shell->tree_config);
	model_done(&shell->model);
	api_free(shell->model.api);
	prefs_done(&shell->prefs);
	free(shell->path);
	free(shell->last_target);
	free(shell->go_to);
	free(shell);
}

char *shell_prompt(struct shell *shell)
{
	AUTO_STRING struct string prompt = { 0 };
	size_t len = strlen(shell->path), max = prefs_number(&shell->prefs, "prompt_length");
	if (max && len > max) {
		size_t half = max > 3 ? (max - 3) / 2 : 0;
		string_add_bytes(&prompt, shell->path, half);
		string_format(&prompt, "...%s", shell->path + len - half);
	} else {
		string_add(&prompt, shell->path);
	}
	string_add(&prompt, "> ");
	return string_take(&prompt);
}

void shell_watch_gateways(struct shell *shell)
{
	int down = 0;
	const char *name;
	json_t *gateway;
	json_object_foreach (model_member(shell->model.config, "gateways"), name, gateway) {
		if (json_is_object(gateway))
			down += strcmp(model_gateway_state(&shell->model, name), "UP") != 0;
	}
	if (down == shell->gateways_down)
		return;
	shell->gateways_down = down;
	if (!down)
		say(&shell->output, SAY_OK, "All gateways accessible");
	else
		say(&shell->output, SAY_WARNING,
		    down == 1 ? "%d gateway is inaccessible - updates will be disabled"
		              : "%d gateways are inaccessible - updates will be disabled",
		    down);
}

/* --- moving --- */

void shell_go_to(struct shell *shell, const char *format, ...)
{
	va_list values;
	va_start(values, format);
	free(shell->go_to);
	if (vasprintf(&shell->go_to, format, values) < 0)
		shell->go_to = NULL;
	va_end(values);
}

void shell_move(struct shell *shell, struct node *node)
{
	if (set_place(shell, node) < 0 || !shell->options.interactive)
		return;
	json_t *history = prefs_history(&shell->prefs);
	size_t index = prefs_history_index(&shell->prefs);
	const char *here = json_string_value(json_array_get(history, index));
	if (here && strcmp(here, shell->path) == 0)
		return;
	while (json_array_size(history) > index + 1)
		json_array_remove(history, json_array_size(history) - 1);
	if (json_array_size(history) >= 200)
		json_array_remove(history, 0);
	json_array_append_new(history, json_string(shell->path));
	prefs_set_history_index(&shell->prefs, json_array_size(history) - 1);
	prefs_save(&shell->prefs);
}

json_t *shell_bookmarks(struct shell *shell)
{
	static const char *const automatic[] = { "gateways", "hosts", "host-groups" };
	json_t *all = json_object();
	const char *name, *target = NULL;
	json_t *value;
	json_object_foreach (model_targets(&shell->model), name, value) {
		target = name;
		if (shell->last_target && strcmp(name, shell->last_target) == 0)
			break;
	}
	for (size_t i = 0; target && i < ARRAY_LEN(automatic); i++) {
		AUTO_STRING struct string path = { 0 };
		string_format(&path, "/iscsi-targets/%s/%s", target, automatic[i]);
		json_object_set_new(all, automatic[i], json_string(path.text));
	}
	json_object_foreach (prefs_bookmarks(&shell->prefs), name, value)
		json_object_set(all, name, value);
	return all;
}

char *shell_bookmark(struct shell *shell, const char *name)
{
	AUTO_JSON json_t *all = shell_bookmarks(shell);
	const char *path = json_text(all, name, NULL);
	return path ? strdup(path) : NULL;
}

int shell_find(struct shell *shell, struct node *at, const char *path, struct node **ret_node,
               struct error *err)
{
	if (*path != '@')
		return node_find(shell, shell->root, at, path, ret_node, err);
	AUTO_FREE char *of_bookmark = shell_bookmark(shell, path + 1);
	if (!of_bookmark)
		return error_set(err, -ENOENT, "No such bookmark %s", path + 1);
	return node_find(shell, shell->root, shell->root, of_bookmark, ret_node, err);
}

/* --- running a line --- */

const struct verb *shell_verb(const struct node *node, const char *name)
{
	const struct verb *verb = node_verb(node, name);
	for (size_t i = 0; !verb && i < builtin_verb_count; i++) {
		if (strcmp(builtin_verbs[i].name, name) == 0)
			verb = &builtin_verbs[i];
	}
	return verb;
}

static enum outcome usage(struct shell *shell, const struct error *err)
{
	say_shell_error(&shell->output, "%s", err->text);
	return OUTCOME_USAGE;
}

static enum outcome run_verb(struct shell *shell, struct node *at, const struct line *line,
                             const char *command)
{
	struct error err = { 0 };
	const struct verb *verb = shell_verb(at, command);
	if (!verb) {
		error_set(&err, -ENOENT, "Command not found %s", command);
		return usage(shell, &err);
	}
	struct signature signature;
	struct call call = { .at = at, .line = line };
	verb_signature(verb, &signature);
	if (shell->output.json && !verb->json) {
		error_set(&err, -EINVAL, "%s has no form for --json", command);
		return usage(shell, &err);
	}
	if (verb_bind(&signature, line, &call, &err) < 0)
		return usage(shell, &err);
	enum outcome outcome = verb->run(shell, &call);
	return shell->options.silent && outcome == OUTCOME_FAILED ? OUTCOME_DONE : outcome;
}

static enum outcome run_each(struct shell *shell, struct node *at, const struct line *line)
{
	size_t count;
	enum outcome worst = OUTCOME_DONE;
	struct node **children = node_children(shell, at, &count);
	for (size_t i = 0; i < count; i++) {
		AUTO_STRING struct string path = { 0 };
		node_path(children[i], &path);
		fprintf(shell->output.out, "[%s]\n", path.text ? path.text : "");
		enum outcome outcome =
		        run_verb(shell, children[i], line, line->command ? line->command : "ls");
		worst = outcome > worst ? outcome : worst;
	}
	return worst;
}

static enum outcome run_line(struct shell *shell, const struct line *line)
{
	struct error err = { 0 };
	struct node *at = shell->at;
	if (line->path && shell_find(shell, at, line->path, &at, &err) < 0)
		return usage(shell, &err);
	if (line->each && shell->output.json) {
		error_set(&err, -EINVAL, "A path that ends with * does not go with --json");
		return usage(shell, &err);
	}
	if (line->each)
		return run_each(shell, at, line);
	if (line->command)
		return run_verb(shell, at, line, line->command);
	shell_move(shell, at);
	return OUTCOME_DONE;
}

/* What a command left to do: new state, a new place. */
static void settle(struct shell *shell)
{
	shell->fresh = false;
	if (shell->changed)
		shell_reload(shell);
	shell->changed = false;
	AUTO_FREE char *path = steal(&shell->go_to);
	struct node *node;
	if (path && node_find(shell, shell->root, shell->root, path, &node, NULL) == 0)
		shell_move(shell, node);
	shell->fresh = false;
}

enum outcome shell_run(struct shell *shell, const char *text)
{
	struct error err = { 0 };
	AUTO_LINE struct line line = { 0 };
	if (line_parse(text, &line, &err) < 0)
		return usage(shell, &err);
	if (!line.path && !line.command && !line.each)
		return OUTCOME_DONE;
	if (!shell->fresh)
		shell_reload(shell);
	enum outcome outcome;
	shell->output.json = line_take_word(&line, "--json");
	if (!course_run(shell, &line, &outcome))
		outcome = run_line(shell, &line);
	shell->output.json = false;
	settle(shell);
	fflush(shell->output.out);
	return outcome;
}

bool shell_line_is_secret(struct shell *shell, const char *text)
{
	AUTO_LINE struct line line = { 0 };
	struct node *at = shell->at;
	if (strstr(text, "password") || strstr(text, "chap"))
		return true;
	if (line_parse(text, &line, NULL) < 0 || !line.command || line.count < 2)
		return false;
	if (line.path && shell_find(shell, at, line.path, &at, NULL) < 0)
		return false;
	const struct verb *verb = shell_verb(at, line.command);
	return verb && verb->secret;
}

/* --- for verbs --- */

void shell_change(struct shell *shell, enum api_method method, const struct field *fields,
                  struct reply *ret_reply, const char *path, ...)
{
	AUTO_FREE char *text = NULL;
	va_list values;
	va_start(values, path);
	if (vasprintf(&text, path, values) < 0)
		text = NULL;
	va_end(values);
	bool is_long = method == API_DELETE || (text && text_starts(text, "/disksnap/"));
	struct request request = { method, .fields = fields, .path = text ? text : "/" };
	request.timeout_s = is_long ? API_LONG_TIMEOUT_S : API_TIMEOUT_S;
	api_call(shell->model.api, &request, ret_reply);
	shell->changed = true;
}

enum outcome shell_report(struct shell *shell, const struct reply *reply, const char *prefix)
{
	if (shell->output.json)
		render_json(shell->output.out, reply->body);
	else if (reply_ok(reply))
		say(&shell->output, SAY_OK, "ok");
	if (reply_ok(reply))
		return OUTCOME_DONE;
	return shell_refuse(shell, "%s%s", prefix, reply->message);
}

enum outcome shell_refuse(struct shell *shell, const char *format, ...)
{
	AUTO_FREE char *text = NULL;
	va_list values;
	va_start(values, format);
	if (vasprintf(&text, format, values) < 0)
		text = NULL;
	va_end(values);
	say(&shell->output, SAY_ERROR, "%s", text ? text : "Out of memory");
	return OUTCOME_FAILED;
}
