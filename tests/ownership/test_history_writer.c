/* Events that are written behind the work. */
#include "ownership/history_writer.h"

#include "open_store.h"
#include "store/store.h"
#include "test.h"

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

TEST(without_a_writer_nothing_is_noted)
{
	history_write(NULL, "start", "", "nobody hears");
	history_write_at(NULL, 1, "start", "", "nobody hears");
	history_writer_free(NULL);
}
