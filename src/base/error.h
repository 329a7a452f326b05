/* An error for people: a code and one sentence that says what failed, on what, why, what to do.
 * Filled where the cause is known; callers above only put "while doing X" in front. */
#pragma once

#include "base/auto.h"

#include <stddef.h>

#define ERROR_TEXT_MAX 512

struct error {
	int code; /* negative errno; 0 = no error */
	char text[ERROR_TEXT_MAX];
};

/* *err means something only after a call that failed: a call that succeeded may have filled it on
 * the way (a missing row that may be missing).
 *
 * Fills *err (may be NULL) and returns code, so that `return error_set(err, -ENOENT, ...)` works.
 * code is a negative errno. The text is cut at ERROR_TEXT_MAX. */
int error_set(struct error *err, int code, const char *format, ...) PRINTF_LIKE(3, 4);

/* Puts "PREFIX: " in front of the text of *err (may be NULL). Returns err->code or, without err, 0.
 */
int error_wrap(struct error *err, const char *format, ...) PRINTF_LIKE(2, 3);
