/* The log: one line an event, `LEVEL room: text`, to stderr (with time) or to the journal (with its
 * priority prefix). A line names its object (target, initiator, LUN) and what to do. Never a
 * secret. */
#pragma once

#include "base/auto.h"

#include <stdbool.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* Call once, before the first thread. prefix goes in front of each line (may be NULL, borrowed). */
void log_setup(enum log_level level, const char *prefix);
void log_set_level(enum log_level level);
bool log_enabled(enum log_level level);

/* Thread safe; cut at 1 KiB; control characters are shown as '?'. */
void log_write(enum log_level level, const char *room, const char *format, ...) PRINTF_LIKE(3, 4);

#ifndef LOG_ROOM
#define LOG_ROOM "program"
#endif

#define log_error(...)   log_write(LOG_LEVEL_ERROR, LOG_ROOM, __VA_ARGS__)
#define log_warning(...) log_write(LOG_LEVEL_WARNING, LOG_ROOM, __VA_ARGS__)
#define log_info(...)    log_write(LOG_LEVEL_INFO, LOG_ROOM, __VA_ARGS__)
#define log_debug(...)                                                     \
	do {                                                               \
		if (log_enabled(LOG_LEVEL_DEBUG))                          \
			log_write(LOG_LEVEL_DEBUG, LOG_ROOM, __VA_ARGS__); \
	} while (0)

/* At most one line each interval_ms for one call site; the line that is let through counts the
 * ones that were not. For events that an outsider can cause at will. */
struct log_limit {
	unsigned long long next_ms;
	unsigned suppressed;
};
bool log_limit_pass(struct log_limit *limit, unsigned interval_ms, unsigned *ret_suppressed);

#define log_limited(level, interval_ms, format, ...)                                            \
	do {                                                                                    \
		static struct log_limit limit_;                                                 \
		unsigned suppressed_;                                                           \
		if (!log_limit_pass(&limit_, (interval_ms), &suppressed_))                      \
			break;                                                                  \
		if (suppressed_)                                                                \
			log_write((level), LOG_ROOM, format " (and %u like it)", ##__VA_ARGS__, \
			          suppressed_);                                                 \
		else                                                                            \
			log_write((level), LOG_ROOM, format, ##__VA_ARGS__);                    \
	} while (0)
