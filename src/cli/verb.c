/* Parameters of verbs. See verb.h. */
#include "cli/verb.h"

#include "base/text.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static void add_parameter(struct signature *signature, const char *word, size_t len)
{
	bool optional = word[0] == '[';
	if (optional) {
		word++;
		len -= 2;
	}
	if (len > 3 && memcmp(word + len - 3, "...", 3) == 0) {
		signature->keywords = memchr(word, '=', len) != NULL;
		signature->varargs = !signature->keywords;
		return;
	}
	assert(signature->count < VERB_ARGUMENTS_MAX && len < PARAMETER_NAME_MAX);
	size_t at = signature->count++;
	const char *equals = memchr(word, '=', len);
	size_t name_len = equals ? (size_t)(equals - word) : len;
	memcpy(signature->parameter[at].name, word, name_len);
	if (equals)
		memcpy(signature->parameter[at].fallback, equals + 1, len - name_len - 1);
	signature->parameter[at].optional = optional;
	if (!optional)
		signature->required++;
}

void verb_signature(const struct verb *verb, struct signature *ret_signature)
{
	*ret_signature = (struct signature){ 0 };
	const char *p = verb->arguments ? verb->arguments : "";
	while (*p) {
		size_t len = strcspn(p, " ");
		if (len)
			add_parameter(ret_signature, p, len);
		p += len + (p[len] == ' ');
	}
}

static size_t find_parameter(const struct signature *signature, const char *name)
{
	size_t i = 0;
	while (i < signature->count && strcmp(signature->parameter[i].name, name) != 0)
		i++;
	return i;
}

static int compare_texts(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* "WORD NAME" for one, "WORDs 'a', 'b'" for more. */
static int complain(struct error *err, const char *what, const char **names, size_t count,
                    bool quote_one, const char *end)
{
	AUTO_STRING struct string text = { 0 };
	qsort(names, count, sizeof *names, compare_texts);
	string_format(&text, "%s%s ", what, count > 1 ? "s" : "");
	bool quote = quote_one || count > 1;
	for (size_t i = 0; i < count; i++)
		string_format(&text, "%s%s%s%s", i ? ", " : "", quote ? "'" : "", names[i],
		              quote ? "'" : "");
	return error_set(err, -EINVAL, "%s%s", text.text ? text.text : "", end);
}

static int check_missing(const struct signature *signature, const struct line *line,
                         size_t positional, struct error *err)
{
	const char *missing[VERB_ARGUMENTS_MAX];
	size_t count = 0;
	for (size_t i = positional; i < signature->count; i++) {
		bool given = signature->parameter[i].optional;
		for (size_t k = 0; k < line->count; k++) {
			const char *name = line->parameters[k].name;
			given = given || (name && strcmp(name, signature->parameter[i].name) == 0);
		}
		if (!given)
			missing[count++] = signature->parameter[i].name;
	}
	if (!count)
		return 0;
	return complain(err, "Missing required parameter", missing, count, false, "");
}

static int check_unexpected(const struct signature *signature, const struct line *line,
                            struct error *err)
{
	const char *unexpected[VERB_ARGUMENTS_MAX];
	size_t count = 0;
	for (size_t i = 0; i < line->count && count < VERB_ARGUMENTS_MAX; i++) {
		const char *name = line->parameters[i].name;
		if (name && find_parameter(signature, name) == signature->count)
			unexpected[count++] = name;
	}
	if (!count || signature->keywords)
		return 0;
	return complain(err, "Unexpected keyword parameter", unexpected, count, true, ".");
}

static int check_count(const struct signature *signature, size_t given, struct error *err)
{
	if (signature->varargs)
		return 0;
	if (signature->required == signature->count && given != signature->required)
		return error_set(err, -EINVAL,
		                 "Got %zu positionnal parameters, expected exactly %zu.", given,
		                 signature->count);
	if (given > signature->count)
		return error_set(err, -EINVAL,
		                 "Got %zu positionnal parameters, expected at most %zu.", given,
		                 signature->count);
	return 0;
}

int verb_bind(const struct signature *signature, const struct line *line, struct call *call,
              struct error *err)
{
	size_t positional = 0, known = 0;
	for (size_t i = 0; i < line->count; i++)
		positional += !line->parameters[i].name;
	int r = check_missing(signature, line, positional, err);
	if (r == 0)
		r = check_unexpected(signature, line, err);
	if (r < 0)
		return r;

	size_t next = 0;
	for (size_t i = 0; i < line->count; i++) {
		const struct parameter *given = &line->parameters[i];
		size_t at = given->name ? find_parameter(signature, given->name) : next++;
		known += !given->name || at < signature->count;
		if (at < signature->count && call->arg[at])
			return error_set(err, -EINVAL, "Duplicate parameter %s.",
			                 signature->parameter[at].name);
		if (at < signature->count)
			call->arg[at] = given->value;
	}
	r = check_count(signature, known, err);
	for (size_t i = 0; i < signature->count && r == 0; i++) {
		if (!call->arg[i] && signature->parameter[i].fallback[0])
			call->arg[i] = signature->parameter[i].fallback;
	}
	return r;
}
