/* A queue of events and the thread that empties it. */
#include "ownership/history_writer.h"

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

struct waiting_event {
	struct list link;
	char kind[32], lun[512], text[512];
};

struct history_writer {
	struct store *store;
	const char *gateway;
	pthread_t thread;
	pthread_mutex_t lock; /* of everything below */
	pthread_cond_t wanted;
	struct list waiting;
	unsigned waiting_count, dropped;
	bool stopping;
	uint64_t stop_deadline_ms;
};

static void add(struct history_writer *writer, const struct waiting_event *waiting)
{
	const struct history_event event = {
		.gateway = writer->gateway,
		.kind = waiting->kind,
		.lun = waiting->lun,
		.text = waiting->text,
	};
	struct error err = { 0 };
	if (history_add(writer->store, &event, &err) < 0)
		log_limited(LOG_LEVEL_WARNING, 60000, "history: %s", err.text);
}

/* The next one, waited for; NULL: it is over. */
static struct waiting_event *take_next(struct history_writer *writer)
{
	(void)pthread_mutex_lock(&writer->lock);
	while (list_empty(&writer->waiting) && !writer->stopping)
		(void)pthread_cond_wait(&writer->wanted, &writer->lock);
	bool over = writer->stopping && clock_monotonic_ms() >= writer->stop_deadline_ms;
	struct list *link = over ? NULL : list_take_first(&writer->waiting);
	writer->waiting_count -= link != NULL;
	(void)pthread_mutex_unlock(&writer->lock);
	return link ? list_entry(link, struct waiting_event, link) : NULL;
}

static void *writer_main(void *argument)
{
	struct history_writer *writer = argument;
	struct waiting_event *event;
	(void)pthread_setname_np(pthread_self(), "history"); /* only for people's eyes */
	while ((event = take_next(writer)) != NULL) {
		add(writer, event);
		free(event);
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
	(void)pthread_cond_init(&writer->wanted, NULL);
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
		free(list_entry(link, struct waiting_event, link));
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
		list_append(&writer->waiting, &event->link);
		writer->waiting_count++;
		(void)pthread_cond_signal(&writer->wanted);
	} else {
		writer->dropped++;
	}
	(void)pthread_mutex_unlock(&writer->lock);
	if (!room)
		free(event);
}

void history_write(struct history_writer *writer, const char *kind, const char *lun,
                   const char *format, ...)
{
	va_list values;
	if (!writer)
		return;
	struct waiting_event *event = calloc(1, sizeof *event);
	if (event) {
		(void)snprintf(event->kind, sizeof event->kind, "%s", kind);
		(void)snprintf(event->lun, sizeof event->lun, "%s", lun);
		va_start(values, format);
		(void)vsnprintf(event->text, sizeof event->text, format, values); /* cut is fine */
		va_end(values);
	}
	enqueue(writer, event);
}
