/* Rows event/TIME-GATEWAY-COUNTER, TIME in 16 hex digits of milliseconds since 1970 and COUNTER in
 * 8 digits, so that the order of keys is that of events. Keys follow the clock that is the furthest
 * ahead: else a gateway whose clock is slow, or all others after one whose clock was fast, would
 * write events that are the oldest, and are dropped at once. What people see is the own time. */
#include "ownership/history.h"

#include "base/log.h"
#include "store/store.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define EVENT_ROWS   "event/"
#define ADD_AT_ONCE  32
#define DROP_AT_ONCE 128
#define PRUNE_ROUNDS 16
#define ATTEMPTS     8

#define TIME_MAX (UINT64_C(1) << 48) /* of a key: the year 10889 */

static atomic_uint added; /* by this process: makes keys unique */
/* Of keys, before our clock; it never shrinks, so that what is told late stands where it was. */
static _Atomic uint64_t ahead_ms;
static atomic_bool ahead_known;

uint64_t history_now_ms(void)
{
	struct timespec now;
	(void)clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

unsigned history_number(void)
{
	return atomic_fetch_add(&added, 1) + 1;
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

static char *format_event(const struct history_event *event)
{
	char time[32];
	format_time(event->at_ms, time);
	AUTO_JSON json_t *row =
	        json_pack("{s:s, s:s, s:s, s:s, s:s}", "time", time, "gateway", event->gateway,
	                  "kind", event->kind, "lun", event->lun, "text", event->text);
	return row ? json_format(row, &json_style_compact) : NULL;
}

/* ---- the time of keys ---- */

/* 0: it has none. */
static uint64_t time_of_key(const char *key)
{
	char *end;
	uint64_t ms = strtoull(key + strlen(EVENT_ROWS), &end, 16);
	return *end == '-' && ms < TIME_MAX ? ms : 0;
}

static void note_newest(uint64_t newest_ms)
{
	uint64_t now_ms = history_now_ms(), before_ms = atomic_load(&ahead_ms);
	while (newest_ms > now_ms + before_ms &&
	       !atomic_compare_exchange_weak(&ahead_ms, &before_ms, newest_ms - now_ms))
		;
	atomic_store(&ahead_known, true);
}

static void find_newest(void *argument, const char *key, const char *text)
{
	uint64_t *newest_ms = argument, ms = time_of_key(key);
	*newest_ms = ms > *newest_ms ? ms : *newest_ms;
}

/* Once, before the first event: then history_prune() does. Not without it: the same event, added
 * again, has the same key. */
static int learn_ahead(struct store *store, struct error *err)
{
	uint64_t newest_ms = 0;
	if (atomic_load(&ahead_known))
		return 0;
	int r = store_list_rows(store, EVENT_ROWS, find_newest, &newest_ms, err);
	if (r == 0)
		note_newest(newest_ms);
	return r;
}

/* ---- dropping the oldest ---- */

struct oldest {
	struct store_change drops[DROP_AT_ONCE]; /* the first rows; own their texts */
	size_t kept, count;
	uint64_t newest_ms;
};

static void count_event(void *argument, const char *key, const char *text)
{
	struct oldest *oldest = argument;
	find_newest(&oldest->newest_ms, key, text);
	oldest->count++;
	if (oldest->kept == ARRAY_LEN(oldest->drops))
		return;
	struct store_change *drop = &oldest->drops[oldest->kept];
	*drop = (struct store_change){ .key = strdup(key), .expected = strdup(text) };
	if (drop->key && drop->expected) {
		oldest->kept++;
	} else {
		free((char *)drop->key);
		free((char *)drop->expected);
	}
}

/* *ret_left: how many there still are. */
static int drop_oldest(struct store *store, size_t *ret_left, struct error *err)
{
	struct oldest oldest = { .count = 0 };
	int r = store_list_rows(store, EVENT_ROWS, count_event, &oldest, err);
	size_t over = oldest.count > HISTORY_MAX ? oldest.count - HISTORY_MAX : 0;
	size_t drops = over < oldest.kept ? over : oldest.kept;
	if (r == 0) {
		note_newest(oldest.newest_ms);
		store_put_rows(store, oldest.drops, drops); /* another gateway may be faster */
	}
	for (size_t i = 0; i < oldest.kept; i++) {
		free((char *)oldest.drops[i].key);
		free((char *)oldest.drops[i].expected);
	}
	*ret_left = drops ? oldest.count - drops : 0;
	return r;
}

int history_prune(struct store *store, struct error *err)
{
	int r = 0;
	size_t left = SIZE_MAX;
	for (int round = 0; r == 0 && left > HISTORY_MAX && round < PRUNE_ROUNDS; round++)
		r = drop_oldest(store, &left, err);
	return r;
}

/* ---- adding ---- */

static void change_done(struct store_change *change)
{
	free((char *)change->key);
	free((char *)change->text);
}

/* Fails only for want of memory. */
static int prepare(const struct history_event *event, unsigned number,
                   struct store_change *ret_change)
{
	struct string key = { 0 };
	string_format(&key, EVENT_ROWS "%016" PRIx64 "-%s-%08u",
	              event->at_ms + atomic_load(&ahead_ms), event->gateway,
	              number ? number : history_number());
	struct store_change change = { .key = string_take(&key), .text = format_event(event) };
	if (!change.key || !change.text) {
		change_done(&change);
		return -ENOMEM;
	}
	*ret_change = change;
	return 0;
}

static int explain(int r, struct error *err)
{
	return r == -ENOMEM ? error_set(err, r, "history: out of memory")
	                    : error_set(err, r, "history: events not written: %s", strerror(-r));
}

/* It was added before, though nobody said so. */
static bool stands_there(struct store *store, const struct store_change *change)
{
	AUTO_FREE char *text = NULL;
	return store_get_row(store, change->key, &text, NULL) == 0 &&
	       strcmp(text, change->text) == 0;
}

/* Its key was taken, by another process with our name: others are tried. */
static int add_again(struct store *store, const struct history_event *event)
{
	int r = -ECANCELED;
	for (int attempt = 0; attempt < ATTEMPTS && r == -ECANCELED; attempt++) {
		struct store_change change;
		r = prepare(event, 0, &change);
		if (r < 0)
			return r;
		store_put_rows(store, &change, 1);
		r = change.result;
		change_done(&change);
	}
	return r;
}

static int add_some(struct store *store, const struct history_event *events, size_t count)
{
	struct store_change changes[ADD_AT_ONCE];
	size_t ready = 0;
	int r = 0;
	while (ready < count &&
	       (r = prepare(&events[ready], events[ready].number, &changes[ready])) == 0)
		ready++;
	store_put_rows(store, changes, ready);
	for (size_t i = 0; i < ready; i++) {
		int result = changes[i].result;
		if (result == -ECANCELED && stands_there(store, &changes[i]))
			result = 0;
		change_done(&changes[i]);
		if (result == -ECANCELED)
			result = add_again(store, &events[i]);
		r = r == 0 ? result : r;
	}
	return r;
}

int history_add(struct store *store, const struct history_event *events, size_t count,
                struct error *err)
{
	int r = learn_ahead(store, err);
	if (r < 0)
		return r;
	for (size_t at = 0; at < count; at += ADD_AT_ONCE) {
		size_t some = count - at < ADD_AT_ONCE ? count - at : ADD_AT_ONCE;
		int failed = add_some(store, events + at, some);
		r = r == 0 ? failed : r;
	}
	return r == 0 ? 0 : explain(r, err);
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
