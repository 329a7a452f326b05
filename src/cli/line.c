/* Splits a command line. See line.h. */
#include "cli/line.h"

#include "base/text.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#define WORDS_MAX 128

struct word {
	struct string text;
	size_t equals; /* place of the first '=' after a parameter's name; 0 = none */
};

static bool is_plain(char c)
{
	return isalnum((unsigned char)c) || (c && strchr("?;&*$!#,=_\\+/.<>()~@:-%[]", c));
}

static bool is_name(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (!isalnum((unsigned char)text[i]) && text[i] != '_' && text[i] != '-')
			return false;
	}
	return len > 0;
}

/* Reads what stands between quotes; returns the character behind them, or NULL: not closed. */
static const char *read_quoted(const char *p, struct word *word)
{
	char quote = *p++;
	const char *end = strchr(p, quote);
	if (!end)
		return NULL;
	string_add_bytes(&word->text, p, (size_t)(end - p));
	return end + 1;
}

static const char *read_word(const char *p, struct word *word)
{
	string_add(&word->text, "");
	while (*p && !isspace((unsigned char)*p)) {
		if (*p == '"' || *p == '\'') {
			p = read_quoted(p, word);
			if (!p)
				return NULL;
			continue;
		}
		if (*p == '\\' && p[1] == ' ') {
			string_add_char(&word->text, ' ');
			p += 2;
			continue;
		}
		if (!is_plain(*p))
			return NULL;
		if (*p == '=' && !word->equals && word->text.len &&
		    is_name(word->text.text, word->text.len))
			word->equals = word->text.len;
		string_add_char(&word->text, *p++);
	}
	return p;
}

static bool is_path(const char *word)
{
	return *word == '@' || strchr(word, '/') || strcmp(word, ".") == 0 ||
	       strcmp(word, "..") == 0 || strcmp(word, "*") == 0;
}

static int take_path(struct line *line, char *path)
{
	size_t len = strlen(path);
	if (path[len - 1] == '*') {
		line->each = true;
		path[--len] = '\0';
	}
	if (len == 0)
		return 0;
	line->path = strdup(path);
	return line->path ? 0 : -ENOMEM;
}

static int take_parameter(struct line *line, const struct word *word)
{
	struct parameter *grown =
	        reallocarray(line->parameters, line->count + 1, sizeof *line->parameters);
	if (!grown)
		return -ENOMEM;
	line->parameters = grown;
	struct parameter *parameter = &line->parameters[line->count++];
	const char *text = word->text.text ? word->text.text : "";
	*parameter = (struct parameter){ 0 };
	if (word->equals) {
		parameter->name = strndup(text, word->equals);
		if (!parameter->name)
			return -ENOMEM;
		text += word->equals + 1;
	}
	parameter->value = strdup(text);
	return parameter->value ? 0 : -ENOMEM;
}

static int take_word(struct line *line, struct word *word, size_t number)
{
	char *text = word->text.text;
	if (word->text.failed)
		return -ENOMEM;
	if (number == 0 && text && is_path(text) && !word->equals)
		return take_path(line, text);
	if (!line->command && line->count == 0) {
		line->command = strdup(text ? text : "");
		return line->command ? 0 : -ENOMEM;
	}
	return take_parameter(line, word);
}

int line_parse(const char *text, struct line *ret_line, struct error *err)
{
	AUTO_LINE struct line line = { 0 };
	const char *p = text;
	for (size_t number = 0;; number++) {
		while (isspace((unsigned char)*p))
			p++;
		if (!*p)
			break;
		struct word word = { 0 };
		const char *end = number < WORDS_MAX ? read_word(p, &word) : NULL;
		int r = end ? take_word(&line, &word, number) : -EINVAL;
		if (word.text.text)
			wipe(word.text.text, word.text.len);
		string_clear(&word.text);
		if (r == -EINVAL)
			return error_set(err, r, "Syntax error near: %.200s", p);
		if (r < 0)
			return error_set(err, r, "Out of memory");
		p = end;
	}
	*ret_line = line;
	line = (struct line){ 0 };
	return 0;
}

static void parameter_done(struct parameter *parameter)
{
	if (parameter->value)
		wipe(parameter->value, strlen(parameter->value));
	free(parameter->value);
	free(parameter->name);
}

void line_done(struct line *line)
{
	free(line->path);
	free(line->command);
	for (size_t i = 0; i < line->count; i++)
		parameter_done(&line->parameters[i]);
	free(line->parameters);
	*line = (struct line){ 0 };
}

const char *line_positional(const struct line *line, size_t i)
{
	for (size_t at = 0; at < line->count; at++) {
		if (!line->parameters[at].name && i-- == 0)
			return line->parameters[at].value;
	}
	return NULL;
}

bool line_take_word(struct line *line, const char *word)
{
	size_t kept = 0;
	for (size_t i = 0; i < line->count; i++) {
		struct parameter *parameter = &line->parameters[i];
		if (!parameter->name && strcmp(parameter->value, word) == 0)
			parameter_done(parameter);
		else
			line->parameters[kept++] = *parameter;
	}
	bool found = kept < line->count;
	line->count = kept;
	return found;
}
