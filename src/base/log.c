/* One line an event, to stderr. Under systemd (JOURNAL_STREAM) a priority stands in front instead
 * of the time, which the journal adds itself. */
#include "base/log.h"

#include "base/reactor.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define LINE_MAX_BYTES 1024

static const struct {
	const char *name;
	int priority; /* of syslog */
} levels[] = {
	[LOG_LEVEL_ERROR] = { "error", 3 },
	[LOG_LEVEL_WARNING] = { "warning", 4 },
	[LOG_LEVEL_INFO] = { "info", 6 },
	[LOG_LEVEL_DEBUG] = { "debug", 7 },
};

static _Atomic int threshold = LOG_LEVEL_INFO;
static const char *line_prefix;
static bool to_journal;

void log_setup(enum log_level level, const char *prefix)
{
	threshold = level;
	line_prefix = prefix && *prefix ? prefix : NULL;
	to_journal = getenv("JOURNAL_STREAM") != NULL;
}

void log_set_level(enum log_level level)
{
	threshold = level;
}

bool log_enabled(enum log_level level)
{
	return (int)level <= atomic_load_explicit(&threshold, memory_order_relaxed);
}

static size_t put_head(char *line, size_t size, enum log_level level, const char *room)
{
	int len;
	if (to_journal) {
		len = snprintf(line, size, "<%d>%s%s%s: ", levels[level].priority,
		               line_prefix ? line_prefix : "", line_prefix ? " " : "", room);
	} else {
		struct timespec now;
		struct tm parts;
		char when[32];
		(void)clock_gettime(CLOCK_REALTIME, &now);
		(void)gmtime_r(&now.tv_sec, &parts);
		(void)strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%S", &parts);
		len = snprintf(line, size, "%s%s%s.%03ldZ %s %s: ", line_prefix ? line_prefix : "",
		               line_prefix ? " " : "", when, now.tv_nsec / 1000000,
		               levels[level].name, room);
	}
	return len < 0 ? 0 : (size_t)len < size ? (size_t)len : size - 1;
}

void log_write(enum log_level level, const char *room, const char *format, ...)
{
	if (!log_enabled(level))
		return;

	char line[LINE_MAX_BYTES];
	size_t len = put_head(line, sizeof line - 1, level, room);

	va_list arguments;
	va_start(arguments, format);
	int text_len = vsnprintf(line + len, sizeof line - 1 - len, format, arguments);
	va_end(arguments);
	if (text_len < 0)
		return;
	size_t text_end = len + (size_t)text_len;
	if (text_end > sizeof line - 2)
		text_end = sizeof line - 2;
	/* Names come from initiators: they must not forge lines or move a terminal's cursor. */
	for (; len < text_end; len++) {
		if ((unsigned char)line[len] < 0x20 || line[len] == 0x7f)
			line[len] = '?';
	}
	line[len++] = '\n';
	(void)!write(STDERR_FILENO, line, len); /* nowhere left to say that it failed */
}

bool log_limit_pass(struct log_limit *limit, unsigned interval_ms, unsigned *ret_suppressed)
{
	unsigned long long now_ms = clock_monotonic_ms();
	unsigned long long next_ms = __atomic_load_n(&limit->next_ms, __ATOMIC_RELAXED);
	if (now_ms < next_ms ||
	    !__atomic_compare_exchange_n(&limit->next_ms, &next_ms, now_ms + interval_ms, false,
	                                 __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
		__atomic_add_fetch(&limit->suppressed, 1, __ATOMIC_RELAXED);
		return false;
	}
	*ret_suppressed = __atomic_exchange_n(&limit->suppressed, 0, __ATOMIC_RELAXED);
	return true;
}
