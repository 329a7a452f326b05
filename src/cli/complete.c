/* TAB completion. See complete.h. */
#include "cli/complete.h"

#include "cli/kinds.h"
#include "cli/verb.h"

#include <errno.h>
#include <string.h>

struct completer {
	struct shell *shell;
	struct completion *result;
	const char *word; /* what was typed of it */
	bool failed;
};

static void offer(struct completer *completer, const char *prefix, const char *word,
                  const char *suffix)
{
	struct completion *result = completer->result;
	AUTO_STRING struct string full = { 0 };
	string_format(&full, "%s%s%s", prefix, word, suffix);
	if (!full.text || !text_starts(full.text, completer->word))
		return;
	char **grown = reallocarray(result->words, result->count + 1, sizeof *grown);
	if (grown) {
		result->words = grown;
		grown[result->count] = steal(&full.text);
		result->count++;
	}
	completer->failed = completer->failed || !grown;
}

/* --- paths --- */

static void offer_bookmarks(struct completer *completer)
{
	AUTO_JSON json_t *all = shell_bookmarks(completer->shell);
	const char *name;
	json_t *path;
	json_object_foreach (all, name, path)
		offer(completer, "@", name, "");
}

static void offer_children(struct completer *completer, struct node *node, const char *prefix)
{
	size_t count, below;
	struct node **children = node_children(completer->shell, node, &count);
	for (size_t i = 0; i < count; i++) {
		node_children(completer->shell, children[i], &below);
		offer(completer, prefix, children[i]->name, below ? "/" : " ");
	}
}

/* Children of the node that the typed part of a path leads to. */
static void offer_paths(struct completer *completer, struct node *at)
{
	struct node *node = at;
	const char *slash = strrchr(completer->word, '/');
	size_t len = slash ? (size_t)(slash - completer->word) + 1 : 0;
	AUTO_FREE char *typed = strndup(completer->word, len);
	if (!typed || (len && shell_find(completer->shell, at, typed, &node, NULL) < 0))
		return;
	offer_children(completer, node, typed);
}

/* --- values of parameters --- */

static void offer_keys(struct completer *completer, const json_t *object, const char *prefix)
{
	const char *name;
	json_t *value;
	json_object_foreach ((json_t *)object, name, value)
		offer(completer, prefix, name, " ");
}

static void values_disks(struct completer *completer, struct node *at, const char *prefix)
{
	offer_keys(completer, model_disks(&completer->shell->model), prefix);
}

static void values_pools(struct completer *completer, struct node *at, const char *prefix)
{
	offer_keys(completer, model_overview(&completer->shell->model, "pools"), prefix);
}

static void values_targets(struct completer *completer, struct node *at, const char *prefix)
{
	offer_keys(completer, model_targets(&completer->shell->model), prefix);
}

static void values_gateways(struct completer *completer, struct node *at, const char *prefix)
{
	offer_keys(completer, model_member(completer->shell->model.config, "gateways"), prefix);
}

static void values_clients(struct completer *completer, struct node *at, const char *prefix)
{
	struct node *target = node_ancestor(at, &kind_target);
	if (target)
		offer_keys(completer, model_member(target->data, "clients"), prefix);
}

static void values_groups(struct completer *completer, struct node *at, const char *prefix)
{
	struct node *target = node_ancestor(at, &kind_target);
	if (target)
		offer_keys(completer, model_member(target->data, "groups"), prefix);
}

static void values_controls(struct completer *completer, struct node *at, const char *prefix)
{
	struct model *model = &completer->shell->model;
	bool is_target = at->kind == &kind_target;
	const json_t *controls = model_settings(model, is_target ? "target_default_controls"
	                                                         : "disk_default_controls");
	offer_keys(completer, is_target ? controls : model_member(controls, "user:rbd"), prefix);
}

static void values_actions(struct completer *completer, struct node *at, const char *prefix)
{
	static const struct {
		const struct node_kind *kind;
		const char *words[5];
	} rows[] = {
		{ &kind_disk, { "create", "delete", "list", "rollback" } },
		{ &kind_hosts, { "disable_acl", "enable_acl", "nochap" } },
		{ &kind_host, { "add", "remove" } },
		{ &kind_group, { "add", "remove" } },
		{ NULL, { "add", "del", "go", "show" } },
	};
	size_t row = 0;
	while (rows[row].kind && rows[row].kind != at->kind)
		row++;
	for (size_t i = 0; i < ARRAY_LEN(rows[0].words) && rows[row].words[i]; i++)
		offer(completer, prefix, rows[row].words[i], " ");
}

static void values_snapshots(struct completer *completer, struct node *at, const char *prefix)
{
	size_t i;
	json_t *snapshot;
	AUTO_STRING struct string id = { 0 };
	if (at->kind != &kind_disk)
		return;
	string_format(&id, "%s/%s", at->parent->name, at->name);
	const json_t *disk = model_disk(&completer->shell->model, id.text ? id.text : "");
	json_array_foreach (json_object_get(disk, "snapshots"), i, snapshot)
		offer(completer, prefix, json_text(snapshot, "name", ""), " ");
}

static void values_flags(struct completer *completer, struct node *at, const char *prefix)
{
	offer(completer, prefix, "false", " ");
	offer(completer, prefix, "true", " ");
}

static void values_depths(struct completer *completer, struct node *at, const char *prefix)
{
	static const char digits[][2] = { "0", "1", "2", "3", "4", "5", "6", "7", "8", "9" };
	for (size_t i = 0; i < ARRAY_LEN(digits); i++)
		offer(completer, prefix, digits[i], " ");
}

static void values_paths(struct completer *completer, struct node *at, const char *prefix)
{
	if (*prefix)
		return;
	offer_bookmarks(completer);
	offer_paths(completer, at);
}

static void values_bookmarks(struct completer *completer, struct node *at, const char *prefix)
{
	AUTO_JSON json_t *all = shell_bookmarks(completer->shell);
	offer_keys(completer, all, prefix);
}

static void values_group_name(struct completer *completer, struct node *at, const char *prefix)
{
	if (at->kind == &kind_groups)
		values_groups(completer, at, prefix);
}

static void values_settings_group(struct completer *completer, struct node *at, const char *prefix)
{
	offer(completer, prefix, "global", " ");
}

static void values_topics(struct completer *completer, struct node *at, const char *prefix)
{
	for (size_t i = 0; i < at->kind->verb_count; i++)
		offer(completer, prefix, at->kind->verbs[i].name, " ");
	for (size_t i = 0; i < builtin_verb_count; i++)
		offer(completer, prefix, builtin_verbs[i].name, " ");
}

static const struct value_source {
	const char *parameter;
	void (*offer)(struct completer *completer, struct node *at, const char *prefix);
} value_sources[] = {
	{ "action", values_actions },
	{ "attribute", values_controls },
	{ "bookmark", values_bookmarks },
	{ "client_iqn", values_clients },
	{ "confirm", values_flags },
	{ "depth", values_depths },
	{ "disk", values_disks },
	{ "disk_name", values_disks },
	{ "gateway_name", values_gateways },
	{ "group", values_settings_group },
	{ "group_name", values_group_name },
	{ "image_id", values_disks },
	{ "name", values_snapshots },
	{ "nosync", values_flags },
	{ "path", values_paths },
	{ "pool", values_pools },
	{ "shortcut", values_bookmarks },
	{ "show_secrets", values_flags },
	{ "skipchecks", values_flags },
	{ "target_iqn", values_targets },
	{ "topic", values_topics },
};

static void offer_values(struct completer *completer, struct node *at, const char *parameter,
                         const char *prefix)
{
	for (size_t i = 0; i < ARRAY_LEN(value_sources); i++) {
		if (strcmp(value_sources[i].parameter, parameter) == 0)
			value_sources[i].offer(completer, at, prefix);
	}
}

static void offer_settings(struct completer *completer)
{
	const char *equals = strchr(completer->word, '=');
	for (size_t i = 0; i < prefs_count; i++) {
		if (!equals)
			offer(completer, "", prefs_table[i].name, "=");
	}
	AUTO_FREE char *prefix =
	        strndup(completer->word, equals ? (size_t)(equals - completer->word) + 1 : 0);
	if (equals && prefix)
		values_flags(completer, completer->shell->root, prefix);
}

static bool is_given(const struct line *line, const char *name, size_t place)
{
	size_t positional = 0;
	for (size_t i = 0; i < line->count; i++) {
		const char *given = line->parameters[i].name;
		if (given && strcmp(given, name) == 0)
			return true;
		positional += !given;
	}
	return place < positional;
}

static void offer_parameters(struct completer *completer, struct node *at, const struct verb *verb,
                             const struct line *line)
{
	struct signature signature;
	verb_signature(verb, &signature);
	const char *equals = strchr(completer->word, '=');
	bool first = true;
	for (size_t i = 0; i < signature.count; i++) {
		const char *name = signature.parameter[i].name;
		AUTO_STRING struct string keyword = { 0 };
		string_format(&keyword, "%s=", name);
		if (is_given(line, name, i))
			continue;
		if (equals && keyword.text && text_starts(completer->word, keyword.text))
			offer_values(completer, at, name, keyword.text);
		if (!equals && first)
			offer_values(completer, at, name, "");
		if (!equals)
			offer(completer, "", name, "=");
		first = false;
	}
	if ((signature.keywords || signature.varargs) && line->count)
		offer_settings(completer);
}

/* --- the line --- */

static void offer_commands(struct completer *completer, struct node *at)
{
	values_topics(completer, at, "");
}

static void offer_line(struct completer *completer, const struct line *line)
{
	struct node *at = completer->shell->at;
	bool first = !line->path && !line->command && !line->each;
	if (line->path && shell_find(completer->shell, at, line->path, &at, NULL) < 0)
		return;
	if (line->command) {
		const struct verb *verb = shell_verb(at, line->command);
		if (verb)
			offer_parameters(completer, at, verb, line);
		return;
	}
	if (first) {
		offer(completer, "", "*", " ");
		offer(completer, "", "/", "");
		offer_bookmarks(completer);
		offer_paths(completer, at);
	}
	offer_commands(completer, at);
}

static int compare_words(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int complete(struct shell *shell, const char *text, struct completion *ret_completion)
{
	const char *word = strrchr(text, ' ');
	word = word ? word + 1 : text;
	AUTO_FREE char *before = strndup(text, (size_t)(word - text));
	AUTO_LINE struct line line = { 0 };
	struct completion result = { .word_start = (size_t)(word - text) };
	struct completer completer = { shell, &result, word, false };
	if (!before)
		return -ENOMEM;
	if (line_parse(before, &line, NULL) == 0)
		offer_line(&completer, &line);
	if (completer.failed) {
		completion_done(&result);
		return -ENOMEM;
	}
	if (result.count > 1)
		qsort(result.words, result.count, sizeof *result.words, compare_words);
	*ret_completion = result;
	return 0;
}

void completion_done(struct completion *completion)
{
	for (size_t i = 0; i < completion->count; i++)
		free(completion->words[i]);
	free(completion->words);
	*completion = (struct completion){ 0 };
}

char *completion_common(const struct completion *completion)
{
	if (completion->count == 0)
		return strdup("");
	size_t len = strlen(completion->words[0]);
	for (size_t i = 1; i < completion->count; i++) {
		size_t same = 0;
		while (same < len && completion->words[i][same] == completion->words[0][same])
			same++;
		len = same;
	}
	return strndup(completion->words[0], len);
}
