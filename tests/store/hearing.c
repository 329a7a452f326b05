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

static void check_row(struct store *store, const char *key, const char *expected)
{
	AUTO_FREE char *text = NULL;
	ASSERT_EQ(store_get_row(store, key, &text, NULL), expected ? 0 : -ENOENT);
	if (expected)
		ASSERT_STR_EQ(text, expected);
}

void check_rows_change_at_once(struct store *store)
{
	struct error err = { 0 };
	const struct store_change made[] = { { "guard", NULL, "g" }, { "a", NULL, "1" } };
	ASSERT_EQ(store_put_rows_at_once(store, made, 2, &err), 0);
	static const struct {
		const char *name;
		struct store_change changes[3];
		int result;
		const char *a, *b;
	} rows[] = {
		{ "all as expected",
		  { { "guard", "g", "g" }, { "a", "1", "2" }, { "b", NULL, "1" } },
		  0,
		  "2",
		  "1" },
		{ "another guard",
		  { { "guard", "f", "f" }, { "a", "2", "3" }, { "b", "1", "2" } },
		  -ECANCELED,
		  "2",
		  "1" },
		{ "no such guard",
		  { { "absent", "f", "f" }, { "a", "2", "3" }, { "b", "1", "2" } },
		  -ECANCELED,
		  "2",
		  "1" },
		{ "one that must be absent",
		  { { "absent", NULL, NULL }, { "a", "2", "3" }, { "b", "1", "2" } },
		  0,
		  "3",
		  "2" },
		{ "one that is there",
		  { { "guard", NULL, NULL }, { "a", "3", "4" }, { "b", "2", "3" } },
		  -ECANCELED,
		  "3",
		  "2" },
		{ "the first is another",
		  { { "a", "9", "4" }, { "b", "2", "3" }, { "guard", "g", "g" } },
		  -ECANCELED,
		  "3",
		  "2" },
		{ "the last is another",
		  { { "guard", "g", "g" }, { "b", "2", "3" }, { "a", "9", "4" } },
		  -ECANCELED,
		  "3",
		  "2" },
		{ "one goes",
		  { { "guard", "g", "g" }, { "b", "2", NULL }, { "a", "3", "4" } },
		  0,
		  "4",
		  NULL },
		{ "a row without text",
		  { { "guard", "g", "g" }, { "b", NULL, "" }, { "a", "4", "5" } },
		  -EINVAL,
		  "4",
		  NULL },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		TEST_ROW("%s", rows[i].name);
		ASSERT_EQ(store_put_rows_at_once(store, rows[i].changes, 3, &err), rows[i].result);
		check_row(store, "guard", "g");
		check_row(store, "absent", NULL);
		check_row(store, "a", rows[i].a);
		check_row(store, "b", rows[i].b);
	}
}
