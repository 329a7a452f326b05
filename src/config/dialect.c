/* configparser's rules, see dialect.h. A line is, in this order: a comment, blank, the continuation
 * of a value (indented deeper than its option), a section header, or an option. */
#include "config/dialect.h"

#include "base/array.h"
#include "base/text.h"

#include <errno.h>
#include <string.h>

#define OPTIONS_MAX       4096
#define VALUE_MAX         (256 * 1024) /* after interpolation, which can multiply */
#define INTERPOLATION_MAX 10           /* levels, as configparser */
#define REFERENCES_MAX    1000         /* in one value, all levels */
#define DEFAULT_SECTION   "DEFAULT"

struct entry {
	char *section, *name;
	struct string value;
	unsigned line;
};

struct dialect {
	char *path;
	char **sections;
	struct entry *entries;
	size_t section_count, entry_count;
};

/* Where the parser stands. */
struct cursor {
	struct dialect *dialect;
	unsigned line;
	const char *section; /* NULL before the first header */
	bool in_option;      /* the last entry may be continued */
	size_t indent;       /* of the last line that was no continuation */
	struct error *err;
};

/* Python's str.strip() takes these of ASCII. */
static bool is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r') || (c >= 0x1c && c <= 0x1f);
}

static void strip(const char **text, size_t *len)
{
	while (*len && is_blank(**text)) {
		(*text)++;
		(*len)--;
	}
	while (*len && is_blank((*text)[*len - 1]))
		(*len)--;
}

static struct entry *find_entry(const struct dialect *dialect, const char *section,
                                const char *name)
{
	for (size_t i = 0; i < dialect->entry_count; i++) {
		struct entry *entry = &dialect->entries[i];
		if (!strcmp(entry->section, section) && !strcmp(entry->name, name))
			return entry;
	}
	return NULL;
}

static const char *known_section(const struct dialect *dialect, const char *section)
{
	for (size_t i = 0; i < dialect->section_count; i++)
		if (!strcmp(dialect->sections[i], section))
			return dialect->sections[i];
	return NULL;
}

bool dialect_has_section(const struct dialect *dialect, const char *section)
{
	return known_section(dialect, section) != NULL;
}

static int wrong(const struct cursor *cursor, const char *reason)
{
	return error_set(cursor->err, -EINVAL, "%s, line %u: %s", cursor->dialect->path,
	                 cursor->line, reason);
}

static int add_section(struct cursor *cursor, const char *name, size_t len)
{
	struct dialect *dialect = cursor->dialect;
	AUTO_FREE char *section = strndup(name, len);
	if (!section)
		return -ENOMEM;
	cursor->in_option = false;
	const char *known = known_section(dialect, section);
	if (known && strcmp(known, DEFAULT_SECTION) != 0)
		return error_set(cursor->err, -EINVAL,
		                 "%s, line %u: section [%s] is there twice, join the two",
		                 dialect->path, cursor->line, section);
	cursor->section = known;
	if (known)
		return 0;
	if (dialect->section_count >= OPTIONS_MAX)
		return error_set(cursor->err, -E2BIG, "%s: too many sections", dialect->path);
	if (!array_grow(&dialect->sections, dialect->section_count))
		return -ENOMEM;
	cursor->section = dialect->sections[dialect->section_count++] = steal(&section);
	return 0;
}

static int add_entry(struct cursor *cursor, const char *name, size_t name_len, const char *value,
                     size_t value_len)
{
	struct dialect *dialect = cursor->dialect;
	AUTO_FREE char *copy = strndup(name, name_len);
	if (!copy)
		return -ENOMEM;
	text_lower(copy);
	if (find_entry(dialect, cursor->section, copy))
		return error_set(cursor->err, -EINVAL,
		                 "%s, line %u: option %s is twice in section [%s], remove one",
		                 dialect->path, cursor->line, copy, cursor->section);
	if (dialect->entry_count >= OPTIONS_MAX)
		return error_set(cursor->err, -E2BIG, "%s: more than %d options", dialect->path,
		                 OPTIONS_MAX);
	if (!array_grow(&dialect->entries, dialect->entry_count))
		return -ENOMEM;
	struct entry *entry = &dialect->entries[dialect->entry_count];
	*entry = (struct entry){ .line = cursor->line };
	entry->section = strdup(cursor->section);
	string_add_bytes(&entry->value, value, value_len);
	entry->name = steal(&copy);
	dialect->entry_count++;
	cursor->in_option = true;
	return entry->section && !entry->value.failed ? 0 : -ENOMEM;
}

static void continue_value(struct cursor *cursor, const char *text, size_t len)
{
	struct entry *entry = &cursor->dialect->entries[cursor->dialect->entry_count - 1];
	string_add_char(&entry->value, '\n');
	string_add_bytes(&entry->value, text, len);
}

static int parse_option(struct cursor *cursor, const char *text, size_t len)
{
	size_t name_len = 0;
	while (name_len < len && text[name_len] != '=' && text[name_len] != ':')
		name_len++;
	if (name_len == len)
		return wrong(cursor, "expected NAME = VALUE, found no '=' or ':'");
	const char *name = text, *value = text + name_len + 1;
	size_t value_len = len - name_len - 1;
	strip(&name, &name_len);
	strip(&value, &value_len);
	if (name_len == 0)
		return wrong(cursor, "expected NAME = VALUE, found no name");
	return add_entry(cursor, name, name_len, value, value_len);
}

/* The header ends at the last ']' of the line, whatever follows. */
static const char *header_end(const char *text, size_t len)
{
	const char *end = text[0] == '[' ? memrchr(text, ']', len) : NULL;
	return end && end > text + 1 ? end : NULL;
}

static int parse_line(struct cursor *cursor, const char *line, size_t len)
{
	const char *text = line;
	strip(&text, &len);
	if (len && (text[0] == '#' || text[0] == ';'))
		return 0;
	if (len == 0) {
		if (cursor->in_option)
			continue_value(cursor, "", 0);
		return 0;
	}
	size_t indent = (size_t)(text - line);
	if (cursor->in_option && indent > cursor->indent) {
		continue_value(cursor, text, len);
		return 0;
	}
	cursor->indent = indent;
	const char *end = header_end(text, len);
	if (end)
		return add_section(cursor, text + 1, (size_t)(end - text) - 1);
	if (!cursor->section)
		return wrong(cursor, "text before the first section, such as [config]");
	return parse_option(cursor, text, len);
}

static int finish_values(struct dialect *dialect)
{
	for (size_t i = 0; i < dialect->entry_count; i++) {
		struct string *value = &dialect->entries[i].value;
		if (value->failed)
			return -ENOMEM;
		while (value->len && is_blank(value->text[value->len - 1]))
			value->text[--value->len] = '\0';
	}
	return 0;
}

int dialect_parse(const char *text, const char *path, struct dialect **ret_dialect,
                  struct error *err)
{
	AUTO(dialect) struct dialect *dialect = calloc(1, sizeof *dialect);
	if (!dialect || !(dialect->path = strdup(path)))
		return error_set(err, -ENOMEM, "%s: out of memory", path);
	struct cursor cursor = { .dialect = dialect, .err = err };
	while (*text) {
		size_t len = strcspn(text, "\r\n");
		cursor.line++;
		int r = parse_line(&cursor, text, len);
		if (r == -ENOMEM)
			return error_set(err, r, "%s: out of memory", path);
		if (r < 0)
			return r;
		text += len;
		text += text[0] == '\r' && text[1] == '\n' ? 2 : text[0] != '\0';
	}
	if (finish_values(dialect) < 0)
		return error_set(err, -ENOMEM, "%s: out of memory", path);
	*ret_dialect = steal(&dialect);
	return 0;
}

void dialect_free(struct dialect *dialect)
{
	if (!dialect)
		return;
	for (size_t i = 0; i < dialect->entry_count; i++) {
		struct entry *entry = &dialect->entries[i];
		if (entry->value.text)
			wipe(entry->value.text, entry->value.len);
		string_clear(&entry->value);
		free(entry->section);
		free(entry->name);
	}
	for (size_t i = 0; i < dialect->section_count; i++)
		free(dialect->sections[i]);
	free(dialect->sections);
	free(dialect->entries);
	free(dialect->path);
	free(dialect);
}

/* What a % in an entry's value refers to. */
struct expansion {
	const struct dialect *dialect;
	const char *section;
	const struct entry *entry; /* of the file: for error texts */
	struct error *err;
	unsigned references;
};

static int bad_percent(const struct expansion *expansion, const char *reason)
{
	return error_set(
	        expansion->err, -EINVAL, "%s, line %u: option %s: %s (write %%%% for a %%)",
	        expansion->dialect->path, expansion->entry->line, expansion->entry->name, reason);
}

static int expand(struct expansion *expansion, const char *text, unsigned level,
                  struct string *out);

/* text stands behind "%(". Returns what follows the reference. */
static int expand_reference(struct expansion *expansion, const char *text, unsigned level,
                            struct string *out, const char **ret_rest)
{
	const char *end = strchr(text, ')');
	if (!end || end == text || end[1] != 's')
		return bad_percent(expansion, "expected %(NAME)s");
	AUTO_FREE char *name = strndup(text, (size_t)(end - text));
	if (!name)
		return -ENOMEM;
	text_lower(name);
	const struct entry *entry = find_entry(expansion->dialect, expansion->section, name);
	if (!entry)
		entry = find_entry(expansion->dialect, DEFAULT_SECTION, name);
	if (!entry)
		return bad_percent(expansion, "%(NAME)s names an option that is not set");
	if (level == INTERPOLATION_MAX || ++expansion->references > REFERENCES_MAX)
		return bad_percent(expansion, "%(NAME)s is nested too deep");
	int r = expand(expansion, entry->value.text ? entry->value.text : "", level + 1, out);
	if (r < 0)
		return r;
	*ret_rest = end + 2;
	return 0;
}

static int expand(struct expansion *expansion, const char *text, unsigned level, struct string *out)
{
	for (;;) {
		size_t plain_len = strcspn(text, "%");
		string_add_bytes(out, text, plain_len);
		text += plain_len;
		if (out->len > VALUE_MAX)
			return bad_percent(expansion, "the value becomes too long");
		if (*text == '\0')
			return out->failed ? -ENOMEM : 0;
		if (text[1] == '%') {
			string_add_char(out, '%');
			text += 2;
		} else if (text[1] == '(') {
			int r = expand_reference(expansion, text + 2, level, out, &text);
			if (r < 0)
				return r;
		} else {
			return bad_percent(expansion, "'%' must be followed by '%' or '('");
		}
	}
}

int dialect_visit(const struct dialect *dialect, const char *section,
                  int (*visit)(void *argument, const struct dialect_option *option), void *argument,
                  struct error *err)
{
	if (!dialect_has_section(dialect, section))
		return 0;
	for (size_t i = 0; i < dialect->entry_count; i++) {
		const struct entry *entry = &dialect->entries[i];
		bool is_default = !strcmp(entry->section, DEFAULT_SECTION);
		bool own = !strcmp(entry->section, section);
		if (!own && (!is_default || find_entry(dialect, section, entry->name)))
			continue;
		struct expansion expansion = { dialect, section, entry, err, 0 };
		AUTO_STRING struct string value = { 0 };
		int r = expand(&expansion, entry->value.text ? entry->value.text : "", 1, &value);
		if (r == -ENOMEM)
			return error_set(err, r, "%s: out of memory", dialect->path);
		if (r < 0)
			return r;
		struct dialect_option option = { entry->section, entry->name,
			                         value.text ? value.text : "", entry->line };
		r = visit(argument, &option);
		if (value.text)
			wipe(value.text, value.len);
		if (r != 0)
			return r;
	}
	return 0;
}
