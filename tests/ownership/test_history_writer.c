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

TEST(without_a_writer_nothing_is_noted)
{
	history_write(NULL, "start", "", "nobody hears");
	history_writer_free(NULL);
}
