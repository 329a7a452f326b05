/* Listeners that hear messages, and what every kind of store owes them and those who change rows.
 */
#pragma once

#include "base/list.h"
#include "store/store.h"

#include <pthread.h>

struct hearing_listener {
	struct store_listener listener;
	pthread_mutex_t lock; /* of the rest */
	char *heard;          /* the last one; free() it */
	unsigned count;
};

#define HEARING                                                         \
	{                                                               \
		.listener = { .changed = ignore_change, .told = hear }, \
		.lock = PTHREAD_MUTEX_INITIALIZER,                      \
	}
void hear(struct store_listener *listener, const char *text);
static inline void ignore_change(struct store_listener *listener)
{
	(void)listener;
}

/* Until it has heard so many, the last one being `text`. */
void wait_to_hear(struct hearing_listener *hearing, unsigned count, const char *text);
/* free() it. */
char *long_text(size_t len);

/* Three handles of one store that nobody has joined: a message reaches all members, also the one
 * that tells, those that do not listen, and nobody who has left; 64 KiB and no more. */
void check_all_are_told(struct store *one, struct store *two, struct store *deaf);

/* An empty store: rows that change at once do so all or not at all, and what is only compared
 * guards the others. */
void check_rows_change_at_once(struct store *store);
