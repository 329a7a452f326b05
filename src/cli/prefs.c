/* The shell's memory. See prefs.h. */
#include "cli/prefs.h"

#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_number(const char *value)
{
	uint64_t number;
	return text_to_uint(value, 0, 100000, &number) == 0;
}

static bool is_any(const char *value)
{
	return *value != '\0';
}

static const struct pref_type type_bool = { "bool", "true|false", NULL };
static const struct pref_type type_number = { "number", "a number", is_number };
static const struct pref_type type_string = { "string", "a text", is_any };
static const struct pref_type type_level = { "loglevel",
	                                     "critical|error|warning|info|verbose|debug", NULL };
static const struct pref_type type_colour = { "color",
	                                      "black|red|green|yellow|blue|magenta|cyan|white",
	                                      NULL };
static const struct pref_type type_colour_default = {
	"colordefault", "black|red|green|yellow|blue|magenta|cyan|white|default|none", NULL
};

const struct pref prefs_table[] = {
	{ "color_command", &type_colour, "cyan", "Colour of commands in completions." },
	{ "color_default", &type_colour_default, "none", "Colour of ordinary text." },
	{ "color_keyword", &type_colour, "cyan", "Colour of keywords in completions." },
	{ "color_mode", &type_bool, "true", "Whether the console uses colours." },
	{ "color_parameter", &type_colour, "magenta", "Colour of parameters in completions." },
	{ "color_path", &type_colour, "magenta", "Colour of paths in completions." },
	{ "logfile", &type_string, "~/.gwcli/log.txt", "File for the shell's log." },
	{ "loglevel_console", &type_level, "info", "Lowest level shown on the console." },
	{ "loglevel_file", &type_level, "debug", "Lowest level written to the file." },
	{ "prompt_length", &type_number, "30", "Longest path in the prompt, 0 = no limit." },
	{ "tree_max_depth", &type_number, "0", "Levels that ls shows, 0 = all." },
	{ "tree_round_nodes", &type_bool, "true", "Nodes are drawn as o- instead of +-." },
	{ "tree_show_root", &type_bool, "true", "ls shows the listed node itself." },
	{ "tree_status_mode", &type_bool, "true", "ls shows the summaries." },
};
const size_t prefs_count = ARRAY_LEN(prefs_table);

static json_t *member(const struct prefs *prefs, const char *name, json_type type)
{
	json_t *value = json_object_get(prefs->root, name);
	if (value && json_typeof(value) == type)
		return value;
	json_object_set_new(prefs->root, name, type == JSON_ARRAY ? json_array() : json_object());
	return json_object_get(prefs->root, name);
}

int prefs_load(struct prefs *prefs, const char *folder)
{
	*prefs = (struct prefs){ 0 };
	if (folder && asprintf(&prefs->file, "%s/prefs.json", folder) < 0)
		return -ENOMEM;
	prefs->root = prefs->file ? json_load_file(prefs->file, 0, NULL) : NULL;
	if (!json_is_object(prefs->root)) {
		json_decref(prefs->root);
		prefs->root = json_object();
	}
	if (!prefs->root)
		return -ENOMEM;
	if (json_array_size(prefs_history(prefs)) == 0) {
		json_array_append_new(prefs_history(prefs), json_string("/"));
		prefs_set_history_index(prefs, 0);
	}
	return 0;
}

void prefs_done(struct prefs *prefs)
{
	json_decref(prefs->root);
	free(prefs->file);
	*prefs = (struct prefs){ 0 };
}

void prefs_save(const struct prefs *prefs)
{
	if (!prefs->file)
		return;
	AUTO_FREE char *folder = strdup(prefs->file);
	AUTO_FREE char *fresh = NULL;
	if (!folder || asprintf(&fresh, "%s.new", prefs->file) < 0)
		return;
	*strrchr(folder, '/') = '\0';
	(void)mkdir(folder, 0700); /* there already, most often */
	AUTO_FREE char *text = json_dumps(prefs->root, JSON_INDENT(1) | JSON_SORT_KEYS);
	AUTO_CLOSE int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || !text)
		return;
	size_t len = strlen(text);
	if (write(fd, text, len) == (ssize_t)len)
		(void)rename(fresh, prefs->file);
}

static const struct pref *find(const char *name)
{
	for (size_t i = 0; i < prefs_count; i++) {
		if (strcmp(prefs_table[i].name, name) == 0)
			return &prefs_table[i];
	}
	return NULL;
}

const char *prefs_text(const struct prefs *prefs, const char *name)
{
	const struct pref *pref = find(name);
	return json_text(member(prefs, "global", JSON_OBJECT), name, pref ? pref->fallback : "");
}

bool prefs_flag(const struct prefs *prefs, const char *name)
{
	return strcmp(prefs_text(prefs, name), "true") == 0;
}

unsigned prefs_number(const struct prefs *prefs, const char *name)
{
	uint64_t number = 0;
	if (text_to_uint(prefs_text(prefs, name), 0, 100000, &number) < 0)
		return 0;
	return (unsigned)number;
}

/* value is one of "a|b|c". */
static bool is_choice(const char *choice, const char *value)
{
	size_t len = strlen(value);
	while (*choice) {
		size_t word = strcspn(choice, "|");
		if (word == len && memcmp(choice, value, len) == 0)
			return true;
		choice += word + (choice[word] == '|');
	}
	return false;
}

int prefs_set(struct prefs *prefs, const char *name, const char *value, struct error *err)
{
	const struct pref *pref = find(name);
	if (!pref)
		return error_set(err, -ENOENT, "Unknown parameter %s in group 'global'.", name);
	const struct pref_type *type = pref->type;
	bool good = type->check ? type->check(value) : is_choice(type->choice, value);
	if (!good)
		/* compat: the list of levels ends without a dot */
		return error_set(err, -EINVAL, "Not setting %s! Syntax error, '%s' is not %s%s",
		                 name, value, type->choice, type == &type_level ? "" : ".");
	json_object_set_new(member(prefs, "global", JSON_OBJECT), name, json_string(value));
	return 0;
}

json_t *prefs_bookmarks(const struct prefs *prefs)
{
	return member(prefs, "bookmarks", JSON_OBJECT);
}

json_t *prefs_history(const struct prefs *prefs)
{
	return member(prefs, "path_history", JSON_ARRAY);
}

size_t prefs_history_index(const struct prefs *prefs)
{
	size_t size = json_array_size(prefs_history(prefs));
	json_int_t index = json_number(prefs->root, "path_history_index", 0);
	return index >= 0 && (size_t)index < size ? (size_t)index : 0;
}

void prefs_set_history_index(struct prefs *prefs, size_t index)
{
	json_object_set_new(prefs->root, "path_history_index", json_integer((json_int_t)index));
}
