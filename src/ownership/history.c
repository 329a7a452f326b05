/* Rows event/TIME-GATEWAY-COUNTER, TIME in 16 hex digits of milliseconds since 1970, so that the
 * order of keys is that of events. */
#include "ownership/history.h"

#include "base/log.h"
#include "store/store.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define EVENT_ROWS  "event/"
#define PRUNE_EVERY 64 /* own additions: to count is to read all rows */
#define ATTEMPTS    8

static atomic_uint added; /* by this process: makes keys unique, says when to prune */

static uint64_t wall_clock_ms(void)
{
	struct timespec now;
	(void)clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void format_time(uint64_t ms, char ret_text[32])
{
	time_t seconds = (time_t)(ms / 1000);
	struct tm parts;
	char text[24] = "";
	if (gmtime_r(&seconds, &parts))
		(void)strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
	(void)snprintf(ret_text, 32, "%s.%03uZ", text, (unsigned)(ms % 1000));
}

static char *format_event(const struct history_event *event, uint64_t ms)
{
	char time[32];
	format_time(ms, time);
	AUTO_JSON json_t *row =
	        json_pack("{s:s, s:s, s:s, s:s, s:s}", "time", time, "gateway", event->gateway,
	                  "kind", event->kind, "lun", event->lun, "text", event->text);
	return row ? json_format(row, &json_style_compact) : NULL;
}

/* ---- dropping the oldest ---- */

struct counting {
	char *oldest[2 * PRUNE_EVERY]; /* the first keys */
	size_t kept, count;
};

static void count_event(void *argument, const char *key, const char *text)
{
	struct counting *counting = argument;
	counting->count++;
	if (counting->kept < ARRAY_LEN(counting->oldest) &&
	    (counting->oldest[counting->kept] = strdup(key)))
		counting->kept++;
}

static int drop_event(struct store *store, const char *key, struct error *err)
{
	AUTO_FREE char *text = NULL;
	int r = store_get_row(store, key, &text, err);
	if (r == 0)
		r = store_put_row(store, key, text, NULL, err);
	return r == -ENOENT || r == -ECANCELED ? 0 : r; /* another gateway dropped it */
}

static int prune(struct store *store, struct error *err)
{
	struct counting counting = { .count = 0 };
	int r = store_list_rows(store, EVENT_ROWS, count_event, &counting, err);
	for (size_t i = 0; i < counting.kept; i++) {
		if (r == 0 && i + HISTORY_MAX < counting.count)
			r = drop_event(store, counting.oldest[i], err);
		free(counting.oldest[i]);
	}
	return r;
}

int history_add(struct store *store, const struct history_event *event, struct error *err)
{
	uint64_t now_ms = wall_clock_ms();
	AUTO_FREE char *text = format_event(event, now_ms);
	int r = text ? -ECANCELED : -ENOMEM;
	unsigned counter = 0;
	for (int attempt = 0; attempt < ATTEMPTS && r == -ECANCELED; attempt++) {
		AUTO_STRING struct string key = { 0 };
		counter = atomic_fetch_add(&added, 1) + 1;
		string_format(&key, EVENT_ROWS "%016" PRIx64 "-%s-%u", now_ms, event->gateway,
		              counter);
		r = key.failed ? -ENOMEM : store_put_row(store, key.text, NULL, text, err);
	}
	if (r == -ENOMEM)
		return error_set(err, r, "history: out of memory");
	return r == 0 && counter % PRUNE_EVERY == 0 ? prune(store, err) : r;
}

/* ---- reading ---- */

struct listing {
	json_t *events; /* oldest first */
	int result;
};

static void collect_event(void *argument, const char *key, const char *text)
{
	struct listing *listing = argument;
	json_t *event = json_loads(text, 0, NULL);
	if (!json_is_object(event)) {
		log_limited(LOG_LEVEL_WARNING, 60000, "the row %s is damaged, and is passed over",
		            key);
		json_decref(event);
	} else if (json_array_append_new(listing->events, event) < 0) {
		listing->result = -ENOMEM;
	}
}

int history_list(struct store *store, size_t count, json_t **ret_events, struct error *err)
{
	AUTO_JSON json_t *events = json_array(), *newest = json_array();
	struct listing listing = { .events = events };
	if (!events || !newest)
		return error_set(err, -ENOMEM, "history: out of memory");
	int r = store_list_rows(store, EVENT_ROWS, collect_event, &listing, err);
	if (r < 0)
		return r;
	if (count > HISTORY_MAX)
		count = HISTORY_MAX;
	for (size_t i = json_array_size(events); i-- > 0 && json_array_size(newest) < count;)
		if (json_array_append(newest, json_array_get(events, i)) < 0)
			listing.result = -ENOMEM;
	if (listing.result < 0)
		return error_set(err, listing.result, "history: out of memory");
	*ret_events = steal(&newest);
	return 0;
}
