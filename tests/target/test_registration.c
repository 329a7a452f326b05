#include "target/registration.h"

#include "store/store.h"
#include "test.h"

#include <stdio.h>
#include <string.h>

static struct store *open_store(void)
{
	struct store_config config = { .kind = "dir", .path = test_folder(), .object = "o" };
	struct store *store = NULL;
	struct error err = { 0 };
	ASSERT_EQ(store_open(&config, &store, &err), 0);
	return store;
}

static struct registration *register_as(struct store *store, const char *name)
{
	struct registration *registration = NULL;
	struct error err = { 0 };
	ASSERT_EQ(registration_new(store, name, &registration, &err), 0);
	return registration;
}

TEST(addresses_of_an_instance_that_ended_without_a_word_are_past_for_the_next_one)
{
	AUTO(store) struct store *store = open_store();
	struct error err = { 0 };
	struct registration *first = register_as(store, "gw-a");
	ASSERT_EQ(registration_add(first, "10.0.0.1:0/1", &err), 0);
	ASSERT_EQ(registration_add(first, "10.0.0.1:0/2", &err), 0);
	ASSERT_EQ(registration_remove(first, "10.0.0.1:0/2", &err), 0);
	ASSERT_FALSE(registration_is_past(first, "10.0.0.1:0/1"));
	registration_free(first); /* as a crash: the row stays */

	AUTO(registration) struct registration *second = register_as(store, "gw-a");
	ASSERT_TRUE(registration_is_past(second, "10.0.0.1:0/1"));
	ASSERT_FALSE(registration_is_past(second, "10.0.0.1:0/2"));
	ASSERT_EQ(registration_add(second, "10.0.0.1:0/3", &err), 0);
	ASSERT_FALSE(registration_is_past(second, "10.0.0.1:0/3"));
}

TEST(past_addresses_stay_past_over_several_restarts_and_are_nobody_elses)
{
	AUTO(store) struct store *store = open_store();
	struct error err = { 0 };
	struct registration *registration = register_as(store, "gw-b");
	ASSERT_EQ(registration_add(registration, "10.0.0.2:0/1", &err), 0);
	for (int i = 0; i < 3; i++) {
		registration_free(registration);
		registration = register_as(store, "gw-b");
		ASSERT_TRUE(registration_is_past(registration, "10.0.0.2:0/1"));
	}
	registration_free(registration);
	AUTO(registration) struct registration *other = register_as(store, "gw-c");
	ASSERT_FALSE(registration_is_past(other, "10.0.0.2:0/1"));
}

TEST(a_row_changed_by_another_process_is_not_overwritten)
{
	AUTO(store) struct store *store = open_store();
	struct error err = { 0 };
	AUTO(registration) struct registration *registration = register_as(store, "gw-d");
	AUTO_FREE char *row = NULL;
	ASSERT_EQ(store_get_row(store, "gateway/gw-d", &row, &err), 0);
	ASSERT_EQ(store_put_row(store, "gateway/gw-d", row, "{}", &err), 0);
	ASSERT_TRUE(registration_add(registration, "10.0.0.3:0/1", &err) < 0);
	ASSERT_NOT_NULL(strstr(err.text, "gw-d"));
}

TEST(a_write_that_was_done_without_an_answer_does_not_end_registering)
{
	AUTO(store) struct store *store = open_store();
	struct error err = { 0 };
	AUTO(registration) struct registration *registration = register_as(store, "gw-e");
	AUTO_FREE char *row = NULL, *done = NULL, *after = NULL;
	ASSERT_EQ(store_get_row(store, "gateway/gw-e", &row, &err), 0);
	char *clients = strstr(row, "[]");
	ASSERT_NOT_NULL(clients);
	ASSERT_TRUE(asprintf(&done, "%.*s[\"10.0.0.5:0/1\"]%s", (int)(clients - row), row,
	                     clients + 2) > 0);
	ASSERT_EQ(store_put_row(store, "gateway/gw-e", row, done, &err), 0);
	ASSERT_EQ(registration_add(registration, "10.0.0.5:0/2", &err), 0);
	ASSERT_EQ(store_get_row(store, "gateway/gw-e", &after, &err), 0);
	ASSERT_NOT_NULL(strstr(after, "10.0.0.5:0/2"));
}
