#include "ownership/history.h"

#include "open_store.h"
#include "store/store.h"
#include "test.h"

#include <stdio.h>
#include <string.h>

static void add(struct store *store, const char *text)
{
	struct history_event event = {
		.gateway = "gw-1",
		.kind = "start",
		.lun = "rbd/disk_1",
		.text = text,
		.at_ms = history_now_ms(),
	};
	struct error err = { 0 };
	ASSERT_EQ(history_add(store, &event, 1, &err), 0);
}

static void count_row(void *argument, const char *key, const char *text)
{
	(void)key, (void)text;
	++*(size_t *)argument;
}

TEST(events_are_listed_newest_first_and_the_oldest_are_dropped)
{
	AUTO(store) struct store *store = open_store();
	struct error err = { 0 };
	AUTO_JSON json_t *none = NULL, *events = NULL, *few = NULL;
	ASSERT_EQ(history_list(store, 10, &none, &err), 0);
	ASSERT_EQ(json_array_size(none), 0);

	/* As if of long ago; one is damaged. */
	for (int i = 0; i < HISTORY_MAX + 20; i++) {
		char key[64];
		(void)snprintf(key, sizeof key, "event/%016x-gw-2-1", i + 1);
		ASSERT_EQ(store_put_row(store, key, NULL, i == 500 ? "torn{" : "{\"text\":\"old\"}",
		                        &err),
		          0);
	}
	for (int i = 0; i < 64; i++)
		add(store, i == 62 ? "second" : i == 63 ? "first" : "before");
	ASSERT_EQ(history_prune(store, &err), 0);
	size_t count = 0;
	ASSERT_EQ(store_list_rows(store, "event/", count_row, &count, &err), 0);
	ASSERT_EQ(count, HISTORY_MAX);

	ASSERT_EQ(history_list(store, 2, &few, &err), 0);
	ASSERT_EQ(json_array_size(few), 2);
	const json_t *event = json_array_get(few, 0);
	ASSERT_STR_EQ(json_text(event, "text", ""), "first");
	ASSERT_STR_EQ(json_text(event, "gateway", ""), "gw-1");
	ASSERT_STR_EQ(json_text(event, "kind", ""), "start");
	ASSERT_STR_EQ(json_text(event, "lun", ""), "rbd/disk_1");
	ASSERT_EQ(strlen(json_text(event, "time", "")), strlen("2026-11-21T17:40:12.345Z"));
	ASSERT_STR_EQ(json_text(json_array_get(few, 1), "text", ""), "second");

	ASSERT_EQ(history_list(store, 5000, &events, &err), 0);
	ASSERT_EQ(json_array_size(events), HISTORY_MAX - 1);
}

TEST(events_that_are_added_together_keep_their_order_and_their_times)
{
	AUTO(store) struct store *store = open_store();
	struct history_event many[100];
	char texts[ARRAY_LEN(many)][16];
	struct error err = { 0 };
	json_t *listed = NULL;
	for (size_t i = 0; i < ARRAY_LEN(many); i++) {
		(void)snprintf(texts[i], sizeof texts[i], "%zu", i);
		many[i] = (struct history_event){ .gateway = "gw-1",
			                          .kind = "take-over",
			                          .lun = "rbd/disk_1",
			                          .text = texts[i],
			                          .at_ms = 4000000000000 + i };
	}
	ASSERT_EQ(history_add(store, many, ARRAY_LEN(many), &err), 0);
	ASSERT_EQ(history_list(store, ARRAY_LEN(many), &listed, &err), 0);
	AUTO_JSON json_t *events = listed;
	ASSERT_EQ(json_array_size(events), ARRAY_LEN(many));
	for (size_t i = 0; i < ARRAY_LEN(many); i++) {
		const json_t *event = json_array_get(events, ARRAY_LEN(many) - 1 - i);
		ASSERT_STR_EQ(json_text(event, "text", ""), texts[i]);
	}
	ASSERT_STR_EQ(json_text(json_array_get(events, 0), "time", ""), "2096-10-02T07:06:40.099Z");
}
