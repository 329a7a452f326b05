/* Events that are written behind the work. */
#include "ownership/history_writer.h"

#include "base/reactor.h"
#include "open_store.h"
#include "store/kinds.h"
#include "test.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

TEST(what_was_noted_is_in_the_history_in_order_when_the_writer_has_ended)
{
	AUTO(store) struct store *store = open_store();
	struct history_writer *writer = NULL;
	ASSERT_EQ(history_writer_new(store, "gw-1", &writer), 0);
	for (int i = 0; i < 20; i++)
		history_write(writer, "take-over", "rbd/disk_1", "event %d", i);
	history_writer_free(writer);

	json_t *listed = NULL;
	ASSERT_EQ(history_list(store, 20, &listed, NULL), 0);
	AUTO_JSON json_t *events = listed;
	size_t i;
	json_t *event;
	ASSERT_EQ(json_array_size(events), 20);
	json_array_foreach (events, i, event) {
		char text[32];
		(void)snprintf(text, sizeof text, "event %d", 19 - (int)i);
		ASSERT_STR_EQ(json_text(event, "text", ""), text);
		ASSERT_STR_EQ(json_text(event, "gateway", ""), "gw-1");
		ASSERT_STR_EQ(json_text(event, "kind", ""), "take-over");
		ASSERT_STR_EQ(json_text(event, "lun", ""), "rbd/disk_1");
	}
}

/* As what people asked for: it is written behind the answer, and what gateways do for it meanwhile.
 */
TEST(what_is_written_late_stands_where_it_happened_with_all_of_its_text)
{
	AUTO(store) struct store *store = open_store();
	struct history_writer *writer = NULL;
	const uint64_t asked_ms = 4000000000000;
	const struct history_event move = { "gw-2", "hand-over", "rbd/disk_1", "moved",
		                            asked_ms + 1 };
	char text[2000];
	memset(text, 'x', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	ASSERT_EQ(history_writer_new(store, "gw-1", &writer), 0);
	ASSERT_EQ(history_add(store, &move, 1, NULL), 0);
	history_write_at(writer, asked_ms, "owner", "rbd/disk_1", "%s", text);
	history_writer_free(writer);

	json_t *listed = NULL;
	ASSERT_EQ(history_list(store, 2, &listed, NULL), 0);
	AUTO_JSON json_t *events = listed;
	ASSERT_EQ(json_array_size(events), 2);
	ASSERT_STR_EQ(json_text(json_array_get(events, 0), "kind", ""), "hand-over");
	const json_t *asked = json_array_get(events, 1);
	ASSERT_STR_EQ(json_text(asked, "kind", ""), "owner");
	ASSERT_STR_EQ(json_text(asked, "text", ""), text);
	ASSERT_STR_EQ(json_text(asked, "time", ""), "2096-10-02T07:06:40.000Z");
}

/* ---- a storage that does not answer for a while ---- */

#define DEADLINE_MS 60000

struct slow_store {
	struct store store;
	struct store *under;
	atomic_uint timeouts; /* that are left */
	bool lands;           /* it is written all the same */
};

static struct slow_store *slow_of(struct store *store)
{
	return container_of(store, struct slow_store, store);
}

static int slow_put(struct store *store, const char *key, const char *expected, const char *text,
                    struct error *err)
{
	struct slow_store *slow = slow_of(store);
	bool late = atomic_load(&slow->timeouts) > 0;
	int r = late && !slow->lands ? 0 : store_put_row(slow->under, key, expected, text, err);
	if (late)
		atomic_fetch_sub(&slow->timeouts, 1);
	return late ? -ETIMEDOUT : r;
}

static int slow_get(struct store *store, const char *key, char **ret_text, struct error *err)
{
	return store_get_row(slow_of(store)->under, key, ret_text, err);
}

static int slow_list(struct store *store, const char *prefix,
                     void (*visit)(void *argument, const char *key, const char *text),
                     void *argument, struct error *err)
{
	return store_list_rows(slow_of(store)->under, prefix, visit, argument, err);
}

static unsigned count_told(struct store *store, const char *text)
{
	json_t *listed = NULL, *event;
	size_t i;
	unsigned count = 0;
	ASSERT_EQ(history_list(store, HISTORY_MAX, &listed, NULL), 0);
	AUTO_JSON json_t *events = listed;
	json_array_foreach (events, i, event)
		count += strcmp(json_text(event, "text", ""), text) == 0;
	return count;
}

/* When it hangs is when there is something to tell. */
TEST(what_the_store_did_not_answer_to_is_told_once_when_it_does)
{
	static const struct store_ops ops = { .put_row = slow_put,
		                              .get_row = slow_get,
		                              .list_rows = slow_list };
	AUTO(store) struct store *under = open_store();
	for (unsigned lands = 0; lands <= 1; lands++) {
		struct slow_store slow = { .store = { .ops = &ops },
			                   .under = under,
			                   .lands = lands };
		struct history_writer *writer = NULL;
		char text[32];
		TEST_ROW("lands: %u", lands);
		atomic_store(&slow.timeouts, 1);
		(void)snprintf(text, sizeof text, "it hangs, %u", lands);
		ASSERT_EQ(history_writer_new(&slow.store, "gw-1", &writer), 0);
		history_write(writer, "hung", "rbd/disk_1", "%s", text);
		uint64_t deadline_ms = clock_monotonic_ms() + DEADLINE_MS;
		while (atomic_load(&slow.timeouts) > 0 && clock_monotonic_ms() < deadline_ms)
			(void)poll(NULL, 0, 1);
		while (count_told(under, text) == 0 && clock_monotonic_ms() < deadline_ms)
			(void)poll(NULL, 0, 10);
		history_write(writer, "hung", "rbd/disk_1", "more"); /* behind it */
		while (count_told(under, "more") <= lands && clock_monotonic_ms() < deadline_ms)
			(void)poll(NULL, 0, 10);
		history_writer_free(writer);
		ASSERT_EQ(count_told(under, text), 1);
	}
}

TEST(without_a_writer_nothing_is_noted)
{
	history_write(NULL, "start", "", "nobody hears");
	history_write_at(NULL, 1, "start", "", "nobody hears");
	history_writer_free(NULL);
}
