/* Binds what was typed to a verb's parameters, with the checks and words of configshell. */
#pragma once

#include "cli/line.h"
#include "cli/node.h"

#define PARAMETER_NAME_MAX 32

struct signature {
	struct {
		char name[PARAMETER_NAME_MAX];
		char fallback[PARAMETER_NAME_MAX]; /* "" = none */
		bool optional;
	} parameter[VERB_ARGUMENTS_MAX];
	size_t count, required;
	bool varargs;  /* "[name...]": any number of positional ones follow */
	bool keywords; /* "[name=value...]": any keyword is taken */
};
void verb_signature(const struct verb *verb, struct signature *ret_signature);
/* call->arg points into line and signature. -EINVAL with the words. */
int verb_bind(const struct signature *signature, const struct line *line, struct call *call,
              struct error *err) MUST_CHECK;
