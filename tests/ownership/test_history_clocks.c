/* The history of gateways whose clocks are far apart. */
#include "ownership/history.h"

#include "open_store.h"
#include "store/store.h"
#include "test.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define YEARS(count) ((count)*UINT64_C(365) * 24 * 3600 * 1000)
#define MINUTE_MS    60000

/* As another gateway writes them, by its own clock. */
static void write_full_history(struct store *store, uint64_t first_ms)
{
	struct error err = { 0 };
	for (unsigned i = 0; i < HISTORY_MAX; i++) {
		char key[64];
		(void)snprintf(key, sizeof key, "event/%016" PRIx64 "-gw-2-%08u",
		               first_ms + (uint64_t)i * MINUTE_MS, i);
		ASSERT_EQ(store_put_row(store, key, NULL, "{\"text\":\"other\"}", &err), 0);
	}
}

static void add(struct store *store, const char *text)
{
	struct history_event event = { "gw-1", "start", "", text, history_now_ms() };
	struct error err = { 0 };
	ASSERT_EQ(history_add(store, &event, 1, &err), 0);
	ASSERT_EQ(history_prune(store, &err), 0);
}

/* Its place from the newest, 0; SIZE_MAX: it was dropped. */
static size_t place_of(struct store *store, const char *text)
{
	json_t *listed = NULL, *event;
	size_t i, place = SIZE_MAX;
	ASSERT_EQ(history_list(store, HISTORY_MAX + 1, &listed, NULL), 0);
	AUTO_JSON json_t *events = listed;
	ASSERT_EQ(json_array_size(events), HISTORY_MAX);
	json_array_foreach (events, i, event) {
		if (strcmp(json_text(event, "text", ""), text) == 0)
			place = i;
	}
	return place;
}

static void expect_own_time(struct store *store, time_t seconds)
{
	json_t *listed = NULL;
	char year[8] = "";
	struct tm parts;
	ASSERT_NOT_NULL(gmtime_r(&seconds, &parts));
	(void)strftime(year, sizeof year, "%Y-", &parts);
	ASSERT_EQ(history_list(store, 1, &listed, NULL), 0);
	AUTO_JSON json_t *events = listed;
	ASSERT_TRUE(strncmp(json_text(json_array_get(events, 0), "time", ""), year, 5) == 0);
}

/* In this order: the process learns how far keys are ahead. */
TEST(events_beside_those_of_a_clock_that_is_ahead_are_the_newest_all_the_same)
{
	AUTO(store) struct store *store = open_store();
	uint64_t now_ms = history_now_ms();
	struct error err = { 0 };
	write_full_history(store, now_ms + YEARS(1));
	add(store, "first");
	ASSERT_TRUE(place_of(store, "first") <= 1); /* it is told a moment later than it happens */
	add(store, "second");
	ASSERT_EQ(place_of(store, "second"), 0);
	ASSERT_TRUE(place_of(store, "first") <= 2);

	/* One whose clock is further ahead comes later. */
	write_full_history(store, now_ms + YEARS(2));
	ASSERT_EQ(history_prune(store, &err), 0);
	add(store, "third");
	ASSERT_EQ(place_of(store, "third"), 0);
	expect_own_time(store, (time_t)(now_ms / 1000));
}

TEST(a_key_with_a_time_that_cannot_be_moves_nothing)
{
	static const char *const keys[] = { "event/ffffffffffffffff-gw-2-00000001", "event/x",
		                            "event/" };
	AUTO(store) struct store *store = open_store();
	struct error err = { 0 };
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		ASSERT_EQ(store_put_row(store, keys[i], NULL, "{\"text\":\"strange\"}", &err), 0);
	add(store, "own");
	ASSERT_EQ(place_of(store, "own"), 2); /* the first two of them are before it for ever */
}
