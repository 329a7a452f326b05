/* Rows of maintenance, and that a change of them is told. */
#include "ownership/maintenance.h"

#include "base/text.h"
#include "open_store.h"
#include "store/store.h"
#include "test.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

struct listener {
	struct store_listener listener;
	atomic_uint wakes;
};

static void ignore_change(struct store_listener *listener)
{
}

static void hear(struct store_listener *listener, const char *text)
{
	if (strcmp(text, MAINTENANCE_WAKE) == 0)
		container_of(listener, struct listener, listener)->wakes++;
}

static void note(void *argument, const char *gateway)
{
	string_format(argument, "%s ", gateway);
}

static void expect_list(struct store *store, const char *names)
{
	AUTO_STRING struct string found = { 0 };
	ASSERT_EQ(maintenance_list(store, note, &found, NULL), 0);
	ASSERT_STR_EQ(found.text ? found.text : "", names);
}

TEST(a_gateway_is_in_maintenance_until_it_is_taken_out)
{
	AUTO(store) struct store *store = open_store();
	bool changed;
	expect_list(store, "");
	ASSERT_EQ(maintenance_set(store, "gw-2", true, "gw-1", NULL, NULL), 0);
	ASSERT_EQ(maintenance_set(store, "gw-1", true, "gw-1", NULL, NULL), 0);
	ASSERT_EQ(maintenance_set(store, "gw-2", true, "gw-3", &changed, NULL), 0); /* as before */
	ASSERT_FALSE(changed);
	expect_list(store, "gw-1 gw-2 ");
	ASSERT_EQ(maintenance_set(store, "gw-2", false, "gw-1", NULL, NULL), 0);
	ASSERT_EQ(maintenance_set(store, "gw-2", false, "gw-1", NULL, NULL), 0);
	expect_list(store, "gw-1 ");
	ASSERT_EQ(maintenance_set(store, "gw-1", false, "gw-1", &changed, NULL), 0);
	ASSERT_TRUE(changed);
	expect_list(store, "");
}

/* They look once a second. */
TEST(it_is_in_force_also_if_gateways_cannot_be_told)
{
	AUTO(store) struct store *store = open_store();
	char ears[256], elsewhere[256];
	bool changed;
	(void)snprintf(ears, sizeof ears, "%s/ears", test_folder());
	(void)snprintf(elsewhere, sizeof elsewhere, "%s/elsewhere", test_folder());
	ASSERT_EQ(rename(ears, elsewhere), 0);
	ASSERT_NE(store_tell(store, MAINTENANCE_WAKE, NULL), 0);
	ASSERT_EQ(maintenance_set(store, "gw-2", true, "gw-1", &changed, NULL), 0);
	ASSERT_TRUE(changed);
	expect_list(store, "gw-2 ");
	ASSERT_EQ(maintenance_set(store, "gw-2", false, "gw-1", &changed, NULL), 0);
	ASSERT_TRUE(changed);
	expect_list(store, "");
	ASSERT_EQ(rename(elsewhere, ears), 0);
}

TEST(gateways_are_told_of_it)
{
	struct listener listener = { .listener = { .changed = ignore_change, .told = hear } };
	AUTO(store) struct store *member = open_store();
	AUTO(store) struct store *store = open_store();
	ASSERT_EQ(store_join(member, "gw-1", &listener.listener, NULL), 0);
	ASSERT_EQ(maintenance_set(store, "gw-1", true, "gw-2", NULL, NULL), 0);
	static const struct timespec pause = { .tv_nsec = 1000000 };
	for (int i = 0; i < 10000 && !listener.wakes; i++)
		(void)nanosleep(&pause, NULL);
	ASSERT_TRUE(listener.wakes > 0);
	store_leave(member);
}
