#include "ownership/own_client.h"

#include "open_store.h"
#include "ownership/registration.h"
#include "store/store.h"
#include "test.h"

#include <errno.h>
#include <string.h>

static bool is_own(struct store *store, const char *address)
{
	bool found = false;
	struct error err = { 0 };
	ASSERT_EQ(own_client_find(store, address, &found, &err), 0);
	return found;
}

TEST(clients_of_gateways_living_or_past_and_the_one_of_an_api_are_ours)
{
	AUTO(store) struct store *store = open_store();
	struct error err = { 0 };
	ASSERT_FALSE(is_own(store, "10.0.0.1:0/1"));
	struct registration *first = NULL;
	ASSERT_EQ(registration_new(store, "gw-1", &first, &err), 0);
	ASSERT_EQ(registration_add(first, "10.0.0.1:0/1", &err), 0);
	registration_free(first);
	AUTO(registration) struct registration *second = NULL;
	ASSERT_EQ(registration_new(store, "gw-1", &second, &err), 0);
	ASSERT_EQ(registration_add(second, "10.0.0.1:0/2", &err), 0);
	ASSERT_TRUE(is_own(store, "10.0.0.1:0/1"));
	ASSERT_TRUE(is_own(store, "10.0.0.1:0/2"));
	ASSERT_FALSE(is_own(store, "10.0.0.1:0/3"));

	ASSERT_EQ(own_client_announce(store, "gw-1", "10.0.0.1:0/3", &err), 0);
	ASSERT_EQ(own_client_announce(store, "gw-2", "10.0.0.2:0/1", &err), 0);
	ASSERT_TRUE(is_own(store, "10.0.0.1:0/3"));
	ASSERT_TRUE(is_own(store, "10.0.0.2:0/1"));
	/* The next life of that API has another one. */
	ASSERT_EQ(own_client_announce(store, "gw-1", "10.0.0.1:0/4", &err), 0);
	ASSERT_FALSE(is_own(store, "10.0.0.1:0/3"));
	ASSERT_TRUE(is_own(store, "10.0.0.1:0/4"));
}

TEST(a_row_that_cannot_be_read_may_name_anybody)
{
	static const struct {
		const char *key, *text;
	} rows[] = {
		{ "gateway/gw-3", "{\"instance\":\"i3\",\"clie" },
		{ "gateway/gw-3", "{}" },
		{ "gateway/gw-3", "{\"instance\":\"i3\",\"clients\":[7]}" },
		{ "gateway/gw-3",
		  "{\"instance\":\"i3\",\"clients\":[],\"past\":\"10.0.0.9:0/1\"}" },
		{ "api/gw-3", "[]" },
		{ "api/gw-3", "{\"clients\":{}}" },
	};
	AUTO(store) struct store *store = open_store();
	struct error err = { 0 };
	ASSERT_EQ(own_client_announce(store, "gw-1", "10.0.0.1:0/1", &err), 0);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		bool found = false;
		TEST_ROW("%s", rows[i].text);
		ASSERT_EQ(store_put_row(store, rows[i].key, NULL, rows[i].text, &err), 0);
		ASSERT_EQ(own_client_find(store, "10.0.0.9:0/1", &found, &err), -EBADMSG);
		ASSERT_NOT_NULL(strstr(err.text, rows[i].key));
		ASSERT_TRUE(is_own(store, "10.0.0.1:0/1")); /* who is found is ours all the same */
		ASSERT_EQ(store_put_row(store, rows[i].key, rows[i].text, NULL, &err), 0);
		ASSERT_FALSE(is_own(store, "10.0.0.9:0/1"));
	}
}
