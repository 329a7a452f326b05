/* Reading the settings file: form by dialect.h, meaning by the table of option.h. What upstream
 * dies of without need (an option in the wrong section) is a warning here. */
#include "config/settings.h"

#include "config/dialect.h"
#include "config/option.h"
#include "config/settings_raw.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define FILE_MAX (1024 * 1024)

/* The sections in the order in which they are read, and what may stand there. */
static const struct file_section {
	const char *name;
	enum option_section kinds[2];
} file_sections[] = {
	{ "config", { OPTION_CONFIG, OPTION_CONFIG } },
	{ "device_status", { OPTION_DEVICE_STATUS, OPTION_DEVICE_STATUS } },
	{ "target", { OPTION_TARGET, OPTION_DISK } },
	{ "rbdgate", { OPTION_RBDGATE, OPTION_RBDGATE } },
};

/* One reading of a file. */
struct reading {
	struct settings *settings;
	const char *path;
	const struct file_section *section;
	settings_warning_fn warn;
	void *argument;
	struct error *err;
	bool cephadm;   /* '' means unset */
	bool misplaced; /* this round takes the options of wrong sections */
	bool seen[128];
};

const struct settings_raw *settings_raw_find(const struct settings *settings,
                                             const struct option *option)
{
	const struct settings_raw *raw = settings->raws;
	while (raw && raw->option != option)
		raw = raw->next;
	return raw;
}

static int keep_raw(struct settings *settings, const struct option *option, const char *text)
{
	size_t len = strlen(text);
	struct settings_raw *raw = malloc(sizeof *raw + len + 1);
	if (!raw)
		return -ENOMEM;
	raw->option = option;
	memcpy(raw->text, text, len + 1);
	raw->next = settings->raws;
	settings->raws = raw;
	return 0;
}

static PRINTF_LIKE(3, 4) void warn(const struct reading *reading, unsigned line, const char *format,
                                   ...)
{
	char reason[ERROR_TEXT_MAX], text[2 * ERROR_TEXT_MAX];
	va_list arguments;
	va_start(arguments, format);
	(void)vsnprintf(reason, sizeof reason, format, arguments);
	va_end(arguments);
	(void)snprintf(text, sizeof text, "%s, line %u: %s", reading->path, line, reason);
	if (reading->warn)
		reading->warn(reading->argument, text);
}

static bool is_unset(const struct reading *reading, const char *value)
{
	return reading->cephadm && (!strcmp(value, "''") || !strcmp(value, "\"\""));
}

static int set_option(struct reading *reading, const struct option *option,
                      const struct dialect_option *found)
{
	if (text_starts(found->value, SETTINGS_REFERENCE) || is_unset(reading, found->value))
		return keep_raw(reading->settings, option, found->value);
	union option_value value;
	struct error err;
	int r = option_parse(option, found->value, &value, &err);
	if (r == -ENOMEM)
		return r;
	if (r < 0)
		warn(reading, found->line, "%s; the default (%s) is used", err.text,
		     option->fallback);
	else
		option_put(reading->settings, option, value);
	return 0;
}

static const struct option *find_anywhere(const char *name)
{
	for (size_t i = 0; i < settings_option_count; i++)
		if (!strcmp(settings_options[i].name, name))
			return &settings_options[i];
	return NULL;
}

/* Upstream ignores options that it does not know; only in our own section it is worth a word. */
static int take_misplaced(struct reading *reading, const struct dialect_option *found)
{
	const struct option *option = find_anywhere(found->name);
	bool ours = reading->section->kinds[0] == OPTION_RBDGATE;
	if (!option || (option->section == OPTION_RBDGATE && !ours)) {
		if (ours)
			warn(reading, found->line, "[rbdgate] has no option %s; it is ignored",
			     found->name);
		return 0;
	}
	if (strcmp(found->section, reading->section->name) != 0)
		return 0; /* of [DEFAULT]: read with its own section */
	const char *right = option_section_name(option->section);
	bool *seen = &reading->seen[option - settings_options];
	warn(reading, found->line, "%s belongs into section [%s]%s", found->name, right,
	     *seen ? ", where it also stands; this one is ignored" : "");
	if (*seen)
		return 0;
	*seen = true;
	return set_option(reading, option, found);
}

static int take_option(void *argument, const struct dialect_option *found)
{
	struct reading *reading = argument;
	const struct option *option = option_find(reading->section->kinds[0], found->name);
	if (!option)
		option = option_find(reading->section->kinds[1], found->name);
	int r = 0;
	if (reading->misplaced)
		r = option ? 0 : take_misplaced(reading, found);
	else if (option) {
		reading->seen[option - settings_options] = true;
		r = set_option(reading, option, found);
	}
	return r == -ENOMEM ? error_set(reading->err, r, "out of memory") : r;
}

static int read_options(struct reading *reading, const struct dialect *dialect)
{
	for (int round = 0; round < 2; round++) {
		reading->misplaced = round == 1;
		for (size_t i = 0; i < ARRAY_LEN(file_sections); i++) {
			reading->section = &file_sections[i];
			int r = dialect_visit(dialect, file_sections[i].name, take_option, reading,
			                      reading->err);
			if (r < 0)
				return r;
		}
	}
	return 0;
}

static int set_defaults(struct settings *settings, struct error *err)
{
	for (size_t i = 0; i < settings_option_count; i++) {
		union option_value value;
		int r = option_parse(&settings_options[i], settings_options[i].fallback, &value,
		                     err);
		if (r < 0)
			return r;
		option_put(settings, &settings_options[i], value);
	}
	return 0;
}

/* compat: so upstream; peers with the same file must come to the same hash. */
static void settle(struct settings *settings)
{
	if (settings->api_secure)
		settings->api_ssl_verify = false;
}

/* cephadm writes '' for what its specification leaves open. */
static bool is_of_cephadm(const char *text)
{
	text += strspn(text, " \t\r\n");
	size_t len = strcspn(text, "\r\n");
	static const char sign[] = "generated by cephadm";
	return *text == '#' && memmem(text, len, sign, sizeof sign - 1) != NULL;
}

int settings_parse(const char *text, const char *path, settings_warning_fn warn_fn, void *argument,
                   struct settings **ret_settings, struct error *err)
{
	AUTO(settings) struct settings *settings = calloc(1, sizeof *settings);
	if (!settings)
		return error_set(err, -ENOMEM, "out of memory");
	int r = set_defaults(settings, err);
	if (r < 0)
		return r;
	AUTO(dialect) struct dialect *dialect = NULL;
	r = dialect_parse(text, path, &dialect, err);
	if (r < 0)
		return r;
	struct reading reading = { .settings = settings,
		                   .path = path,
		                   .warn = warn_fn,
		                   .argument = argument,
		                   .err = err,
		                   .cephadm = is_of_cephadm(text) };
	assert(settings_option_count <= ARRAY_LEN(reading.seen));
	r = read_options(&reading, dialect);
	if (r < 0)
		return r;
	settle(settings);
	*ret_settings = steal(&settings);
	return 0;
}

static int read_text(int fd, const char *path, char **ret_text, struct error *err)
{
	AUTO_FREE char *text = malloc(FILE_MAX + 1);
	if (!text)
		return error_set(err, -ENOMEM, "%s: out of memory", path);
	size_t len = 0;
	for (;;) {
		ssize_t n = read(fd, text + len, FILE_MAX + 1 - len);
		if (n < 0 && errno != EINTR)
			return error_set(err, -errno, "cannot read %s: %s", path, strerror(errno));
		if (n == 0)
			break;
		len += n > 0 ? (size_t)n : 0;
		if (len > FILE_MAX)
			return error_set(err, -EFBIG, "%s is larger than %d bytes", path, FILE_MAX);
	}
	text[len] = '\0';
	if (strlen(text) != len)
		return error_set(err, -EINVAL, "%s contains a NUL byte", path);
	*ret_text = steal(&text);
	return 0;
}

int settings_load(const char *path, settings_warning_fn warn_fn, void *argument,
                  struct settings **ret_settings, struct error *err)
{
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		char text[ERROR_TEXT_MAX];
		(void)snprintf(text, sizeof text, "cannot open %s (%s); all defaults are used",
		               path, strerror(errno));
		if (errno != ENOENT && warn_fn)
			warn_fn(argument, text);
		return settings_parse("", path, warn_fn, argument, ret_settings, err);
	}
	char *text = NULL;
	int r = read_text(fd, path, &text, err);
	if (r < 0)
		return r;
	r = settings_parse(text, path, warn_fn, argument, ret_settings, err);
	wipe(text, strlen(text));
	free(text);
	return r;
}

void settings_free(struct settings *settings)
{
	if (!settings)
		return;
	for (size_t i = 0; i < settings_option_count; i++)
		option_clear(settings, &settings_options[i]);
	while (settings->raws) {
		struct settings_raw *raw = settings->raws;
		settings->raws = raw->next;
		free(raw);
	}
	free(settings);
}

/* A value that is not valid leaves the default, as in the file. */
static void put_fetched(struct settings *settings, const struct option *option, const char *text)
{
	union option_value value;
	if (option_parse(option, text, &value, NULL) == 0)
		option_put(settings, option, value);
}

void settings_resolve(struct settings *settings, char *(*fetch)(void *argument, const char *key),
                      void *argument)
{
	for (struct settings_raw **at = &settings->raws; *at;) {
		struct settings_raw *raw = *at;
		if (!text_starts(raw->text, SETTINGS_REFERENCE)) {
			at = &raw->next;
			continue;
		}
		char *text = fetch(argument, raw->text + strlen(SETTINGS_REFERENCE));
		put_fetched(settings, raw->option, text ? text : "");
		if (text)
			wipe(text, strlen(text));
		free(text);
		*at = raw->next;
		free(raw);
	}
	settle(settings);
}

int settings_store(const struct settings *settings, const char **ret_folder, struct error *err)
{
	static const char prefix[] = "dir:";
	const char *store = settings->store;
	bool is_folder = text_starts(store, prefix) && store[sizeof prefix - 1];
	if (!is_folder && strcmp(store, "rados") != 0)
		return error_set(err, -EINVAL,
		                 "setting store = %s: only `rados` and `dir:PATH` are known",
		                 store);
	*ret_folder = is_folder ? store + sizeof prefix - 1 : NULL;
	return 0;
}

char *settings_ceph_conf(const struct settings *settings)
{
	char *path;
	int len = asprintf(&path, "%s/%s.conf", settings->ceph_config_dir, settings->cluster_name);
	return len < 0 ? NULL : path;
}
