/* Errors for people: code plus text, wrapped on the way up. */
#include "base/error.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int error_set(struct error *err, int code, const char *format, ...)
{
	assert(code < 0);
	if (!err)
		return code;

	va_list arguments;
	va_start(arguments, format);
	err->code = code;
	(void)vsnprintf(err->text, sizeof err->text, format, arguments); /* cut is fine */
	va_end(arguments);
	return code;
}

int error_wrap(struct error *err, const char *format, ...)
{
	if (!err)
		return 0;

	char prefix[ERROR_TEXT_MAX];
	va_list arguments;
	va_start(arguments, format);
	(void)vsnprintf(prefix, sizeof prefix, format, arguments); /* cut is fine */
	va_end(arguments);

	size_t prefix_len = strlen(prefix);
	size_t room = sizeof err->text - 1;
	if (prefix_len + 2 > room)
		return err->code;

	size_t text_len = strlen(err->text);
	if (text_len > room - prefix_len - 2)
		text_len = room - prefix_len - 2;
	memmove(err->text + prefix_len + 2, err->text, text_len);
	memcpy(err->text, prefix, prefix_len);
	memcpy(err->text + prefix_len, ": ", 2);
	err->text[prefix_len + 2 + text_len] = '\0';
	return err->code;
}
