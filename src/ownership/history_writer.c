/* A queue of events and the thread that empties it. What happens within a moment travels together,
 * and after it; the oldest are dropped when nothing has happened for a while: both share an object
 * with what the LUNs that move wait for, and to find the oldest all are read. */
#include "ownership/history_writer.h"

#include "base/cond.h"
#include "base/list.h"
#include "base/log.h"
#include "base/reactor.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WAITING_MAX 1024
#define LAST_MS     2000 /* for what waits at the end */
#define TOGETHER    32
#define MOMENT_MS   250
#define AGAIN_MS    1000 /* each try may take half a minute */
#define QUIET_MS    2000
#define PRUNE_AFTER 64   /* own events, once it is quiet */
#define PRUNE_AT    2048 /* also if it never is */

struct waiting_event {
	struct list link;
	uint64_t at_ms;
	unsigned number;
	char kind[32], lun[512];
	char *text;
};

static void event_free(struct waiting_event *event)
{
	if (event)
		free(event->text);
	free(event);
}

struct history_writer {
	struct store *store;
	const char *gateway;
	pthread_t thread;
	pthread_mutex_t lock; /* of everything below */
	pthread_cond_t wanted;
	struct list waiting;
	unsigned waiting_count, dropped;
	uint64_t first_ms; /* when the first came after there was none */
	bool stopping;
	uint64_t stop_deadline_ms;
};

static int add(struct history_writer *writer, struct waiting_event *const *waiting, size_t count)
{
	struct history_event events[TOGETHER];
	for (size_t i = 0; i < count; i++)
		events[i] = (struct history_event){
			.gateway = writer->gateway,
			.kind = waiting[i]->kind,
			.lun = waiting[i]->lun,
			.text = waiting[i]->text,
			.at_ms = waiting[i]->at_ms,
			.number = waiting[i]->number,
		};
	struct error err = { 0 };
	int r = history_add(writer->store, events, count, &err);
	if (r < 0)
		log_limited(LOG_LEVEL_WARNING, 60000, "%s", err.text);
	return r;
}

/* False: it is over. */
static bool pause_writer(struct history_writer *writer)
{
	const uint64_t until_ms = clock_monotonic_ms() + AGAIN_MS;
	bool in_time = true;
	(void)pthread_mutex_lock(&writer->lock);
	while (!writer->stopping && in_time)
		in_time = cond_wait_until(&writer->wanted, &writer->lock, until_ms);
	bool go_on = !writer->stopping;
	(void)pthread_mutex_unlock(&writer->lock);
	return go_on;
}

/* What is told of a storage that does not answer waits until it does. */
static void add_at_last(struct history_writer *writer, struct waiting_event *const *waiting,
                        size_t count)
{
	while (add(writer, waiting, count) == -ETIMEDOUT && pause_writer(writer))
		;
}

static void prune(struct history_writer *writer)
{
	struct error err = { 0 };
	if (history_prune(writer->store, &err) < 0)
		log_limited(LOG_LEVEL_WARNING, 60000, "history: %s", err.text);
}

static void await_first(struct history_writer *writer, bool until_quiet, bool *ret_quiet)
{
	const uint64_t until_ms = clock_monotonic_ms() + QUIET_MS;
	*ret_quiet = false;
	while (list_empty(&writer->waiting) && !writer->stopping && !*ret_quiet) {
		if (!until_quiet)
			(void)pthread_cond_wait(&writer->wanted, &writer->lock);
		else
			*ret_quiet = !cond_wait_until(&writer->wanted, &writer->lock, until_ms);
	}
}

static void await_moment(struct history_writer *writer)
{
	const uint64_t until_ms = writer->first_ms + MOMENT_MS;
	bool over = list_empty(&writer->waiting);
	while (!over && !writer->stopping && writer->waiting_count < TOGETHER)
		over = !cond_wait_until(&writer->wanted, &writer->lock, until_ms);
}

/* The next ones, waited for; 0: it is over, or, if that is asked for, it is *ret_quiet. */
static size_t take_next(struct history_writer *writer, struct waiting_event *ret_events[TOGETHER],
                        bool until_quiet, bool *ret_quiet)
{
	size_t count = 0;
	(void)pthread_mutex_lock(&writer->lock);
	await_first(writer, until_quiet, ret_quiet);
	await_moment(writer);
	bool over = writer->stopping && clock_monotonic_ms() >= writer->stop_deadline_ms;
	while (!over && count < TOGETHER && !list_empty(&writer->waiting))
		ret_events[count++] =
		        list_entry(list_take_first(&writer->waiting), struct waiting_event, link);
	writer->waiting_count -= (unsigned)count;
	(void)pthread_mutex_unlock(&writer->lock);
	return count;
}

static void *writer_main(void *argument)
{
	struct history_writer *writer = argument;
	struct waiting_event *events[TOGETHER];
	size_t count, added = PRUNE_AFTER; /* lives that end before they have told so much */
	bool quiet;
	(void)pthread_setname_np(pthread_self(), "history"); /* only for people's eyes */
	while ((count = take_next(writer, events, added >= PRUNE_AFTER, &quiet)) > 0 || quiet) {
		add_at_last(writer, events, count);
		added += count;
		while (count > 0)
			event_free(events[--count]);
		if (quiet || added >= PRUNE_AT) {
			prune(writer);
			added = 0;
		}
	}
	return NULL;
}

int history_writer_new(struct store *store, const char *gateway, struct history_writer **ret_writer)
{
	struct history_writer *writer = calloc(1, sizeof *writer);
	if (!writer)
		return -ENOMEM;
	writer->store = store;
	writer->gateway = gateway;
	list_init(&writer->waiting);
	(void)pthread_mutex_init(&writer->lock, NULL); /* cannot fail with default attributes */
	cond_init_monotonic(&writer->wanted);
	int r = pthread_create(&writer->thread, NULL, writer_main, writer);
	if (r != 0) {
		(void)pthread_mutex_destroy(&writer->lock);
		(void)pthread_cond_destroy(&writer->wanted);
		free(writer);
		return -r;
	}
	*ret_writer = writer;
	return 0;
}

void history_writer_free(struct history_writer *writer)
{
	struct list *link;
	if (!writer)
		return;
	(void)pthread_mutex_lock(&writer->lock);
	writer->stopping = true;
	writer->stop_deadline_ms = clock_monotonic_ms() + LAST_MS;
	(void)pthread_cond_signal(&writer->wanted);
	(void)pthread_mutex_unlock(&writer->lock);
	(void)pthread_join(writer->thread, NULL);
	unsigned lost = writer->dropped;
	while ((link = list_take_first(&writer->waiting)) != NULL) {
		event_free(list_entry(link, struct waiting_event, link));
		lost++;
	}
	if (lost)
		log_warning("history: %u events were not written", lost);
	(void)pthread_mutex_destroy(&writer->lock);
	(void)pthread_cond_destroy(&writer->wanted);
	free(writer);
}

static void enqueue(struct history_writer *writer, struct waiting_event *event)
{
	(void)pthread_mutex_lock(&writer->lock);
	bool room = event && writer->waiting_count < WAITING_MAX;
	if (room) {
		if (list_empty(&writer->waiting))
			writer->first_ms = clock_monotonic_ms();
		list_append(&writer->waiting, &event->link);
		writer->waiting_count++;
		(void)pthread_cond_signal(&writer->wanted);
	} else {
		writer->dropped++;
	}
	(void)pthread_mutex_unlock(&writer->lock);
	if (!room)
		event_free(event);
}

/* NULL: no memory. */
static struct waiting_event *event_new(uint64_t at_ms, const char *kind, const char *lun,
                                       const char *format, va_list values)
{
	struct waiting_event *event = calloc(1, sizeof *event);
	if (!event)
		return NULL;
	event->at_ms = at_ms;
	event->number = history_number();
	(void)snprintf(event->kind, sizeof event->kind, "%s", kind);
	(void)snprintf(event->lun, sizeof event->lun, "%s", lun);
	if (vasprintf(&event->text, format, values) < 0) {
		free(event); /* the text is undefined */
		return NULL;
	}
	return event;
}

void history_write(struct history_writer *writer, const char *kind, const char *lun,
                   const char *format, ...)
{
	va_list values;
	if (!writer)
		return;
	va_start(values, format);
	enqueue(writer, event_new(history_now_ms(), kind, lun, format, values));
	va_end(values);
}

void history_write_at(struct history_writer *writer, uint64_t at_ms, const char *kind,
                      const char *lun, const char *format, ...)
{
	va_list values;
	if (!writer)
		return;
	va_start(values, format);
	enqueue(writer, event_new(at_ms, kind, lun, format, values));
	va_end(values);
}
