/* Listeners that hear messages, and what every kind of store owes them. */
#include "hearing.h"

#include "base/reactor.h"
#include "test.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#define DEADLINE_MS 60000

void hear(struct store_listener *listener, const char *text)
{
	struct hearing_listener *hearing =
	        container_of(listener, struct hearing_listener, listener);
	(void)pthread_mutex_lock(&hearing->lock);
	free(hearing->heard);
	hearing->heard = strdup(text);
	hearing->count++;
	(void)pthread_mutex_unlock(&hearing->lock);
}

static bool has_heard(struct hearing_listener *hearing, unsigned count, const char *text)
{
	(void)pthread_mutex_lock(&hearing->lock);
	bool heard = hearing->count >= count && strcmp(hearing->heard, text) == 0;
	(void)pthread_mutex_unlock(&hearing->lock);
	return heard;
}

void wait_to_hear(struct hearing_listener *hearing, unsigned count, const char *text)
{
	uint64_t deadline_ms = clock_monotonic_ms() + DEADLINE_MS;
	while (!has_heard(hearing, count, text)) {
		assert_true(clock_monotonic_ms() < deadline_ms);
		(void)poll(NULL, 0, 1);
	}
}

char *long_text(size_t len)
{
	char *text = malloc(len + 1);
	assert_non_null(text);
	memset(text, 'x', len);
	text[len] = '\0';
	return text;
}

void check_all_are_told(struct store *one, struct store *two, struct store *deaf)
{
	struct hearing_listener first = HEARING, second = HEARING;
	struct store_listener no_ears = { .changed = ignore_change };
	ASSERT_EQ(store_tell(one, "nobody is there", NULL), 0);
	ASSERT_EQ(store_join(one, "gw1", &first.listener, NULL), 0);
	ASSERT_EQ(store_join(two, "gw2", &second.listener, NULL), 0);
	ASSERT_EQ(store_join(deaf, "gw3", &no_ears, NULL), 0);
	ASSERT_EQ(store_tell(one, "hello", NULL), 0);
	wait_to_hear(&first, 1, "hello");
	wait_to_hear(&second, 1, "hello");

	AUTO_FREE char *longest = long_text(64 * 1024), *longer = long_text(64 * 1024 + 1);
	ASSERT_EQ(store_tell(two, longest, NULL), 0);
	wait_to_hear(&first, 2, longest);
	wait_to_hear(&second, 2, longest);
	ASSERT_EQ(store_tell(two, longer, NULL), -EMSGSIZE);

	store_leave(two);
	ASSERT_EQ(store_tell(one, "again", NULL), 0);
	wait_to_hear(&first, 3, "again");
	store_leave(deaf);
	store_leave(one);
	ASSERT_EQ(second.count, 2);
	free(first.heard);
	free(second.heard);
}
