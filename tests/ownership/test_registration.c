#include "ownership/registration.h"

#include "open_store.h"
#include "store/store.h"
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

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

static struct registration_row read_row(struct store *store, const char *gateway)
{
	struct registration_row row;
	struct error err = { 0 };
	ASSERT_EQ(registration_read(store, gateway, &row, &err), 0);
	return row;
}

TEST(a_row_tells_what_the_instance_said)
{
	AUTO(store) struct store *store = open_store();
	struct error err = { 0 };
	AUTO(registration) struct registration *registration = register_as(store, "gw-f");
	struct registration_row row = read_row(store, "gw-f");
	ASSERT_STR_EQ(row.gateway, "gw-f");
	ASSERT_STR_EQ(row.instance, registration_instance(registration));
	ASSERT_EQ(strlen(row.instance), INSTANCE_MAX - 1);
	ASSERT_STR_EQ(row.interconnect, "");
	ASSERT_EQ(row.state, GATEWAY_UP);
	ASSERT_FALSE(row.condemned);
	ASSERT_EQ(row.client_count, 0);
	registration_row_done(&row);

	ASSERT_EQ(registration_add(registration, "10.0.0.6:0/1", &err), 0);
	ASSERT_EQ(registration_set_interconnect(registration, "[::1]:5002", 1, 3, &err), 0);
	ASSERT_EQ(registration_set_state(registration, GATEWAY_LEAVING, &err), 0);
	row = read_row(store, "gw-f");
	ASSERT_STR_EQ(row.interconnect, "[::1]:5002");
	ASSERT_EQ(row.version_min, 1);
	ASSERT_EQ(row.version_max, 3);
	ASSERT_EQ(row.state, GATEWAY_LEAVING);
	ASSERT_EQ(row.client_count, 1);
	ASSERT_STR_EQ(row.clients[0], "10.0.0.6:0/1");
	registration_row_done(&row);
	ASSERT_EQ(registration_read(store, "gw-nobody", &row, &err), -ENOENT);
}

TEST(what_it_guards_changes_until_the_instance_is_condemned)
{
	AUTO(store) struct store *store = open_store();
	AUTO(registration) struct registration *own = register_as(store, "gw-i");
	struct error err = { 0 };
	struct store_change changes[2] = { { .key = "a", .text = "1" } };
	AUTO_FREE char *first = NULL, *second = NULL, *third = NULL;
	ASSERT_EQ(registration_guard(own, &changes[1], &first, &err), 0);
	ASSERT_EQ(store_put_rows_at_once(store, changes, 2, &err), 0);

	ASSERT_EQ(registration_add(own, "10.0.0.8:0/1", &err), 0);
	changes[0] = (struct store_change){ .key = "a", .expected = "1", .text = "2" };
	ASSERT_EQ(store_put_rows_at_once(store, changes, 2, &err), -ECANCELED);
	ASSERT_EQ(registration_guard(own, &changes[1], &second, &err), 0);
	ASSERT_EQ(store_put_rows_at_once(store, changes, 2, &err), 0);

	ASSERT_EQ(registration_condemn(store, "gw-i", registration_instance(own), "gw-h", "silent",
	                               &err),
	          0);
	changes[0] = (struct store_change){ .key = "a", .expected = "2", .text = "3" };
	ASSERT_EQ(store_put_rows_at_once(store, changes, 2, &err), -ECANCELED);
	ASSERT_EQ(registration_check(own, &err), -EOWNERDEAD);
	/* It has seen the condemned row now: a guard by that would let everything through. */
	ASSERT_EQ(registration_guard(own, &changes[1], &third, &err), -EOWNERDEAD);
}

TEST(a_condemned_instance_changes_its_row_no_more_and_its_successor_does)
{
	AUTO(store) struct store *store = open_store();
	struct error err = { 0 };
	struct registration *first = register_as(store, "gw-g");
	ASSERT_EQ(registration_add(first, "10.0.0.7:0/1", &err), 0);
	ASSERT_EQ(registration_check(first, &err), 0);
	const char *instance = registration_instance(first);
	for (int again = 0; again < 2; again++)
		ASSERT_EQ(registration_condemn(store, "gw-g", instance, "gw-h", "silent", &err), 0);
	ASSERT_EQ(registration_add(first, "10.0.0.7:0/2", &err), -EOWNERDEAD);
	ASSERT_EQ(registration_remove(first, "10.0.0.7:0/1", &err), -EOWNERDEAD);
	ASSERT_EQ(registration_set_state(first, GATEWAY_STOPPED, &err), -EOWNERDEAD);
	ASSERT_EQ(registration_set_interconnect(first, "x", 1, 1, &err), -EOWNERDEAD);
	ASSERT_EQ(registration_drop_past(first, &err), -EOWNERDEAD);
	ASSERT_EQ(registration_check(first, &err), -EOWNERDEAD);
	ASSERT_NOT_NULL(strstr(err.text, "gw-h"));
	ASSERT_EQ(registration_mark_fenced(store, "gw-g", instance, &err), 0);

	struct registration_row row = read_row(store, "gw-g");
	ASSERT_TRUE(row.condemned && row.fenced);
	ASSERT_STR_EQ(row.condemned_by, "gw-h");
	ASSERT_STR_EQ(row.why, "silent");
	ASSERT_EQ(row.client_count, 1);
	registration_row_done(&row);

	AUTO(registration) struct registration *second = register_as(store, "gw-g");
	row = read_row(store, "gw-g");
	ASSERT_FALSE(row.condemned || row.fenced);
	ASSERT_EQ(row.client_count, 1); /* past */
	registration_row_done(&row);
	ASSERT_EQ(registration_condemn(store, "gw-g", instance, "gw-h", "late", &err), -ESTALE);
	ASSERT_EQ(registration_mark_fenced(store, "gw-g", instance, &err), -ESTALE);
	ASSERT_EQ(registration_add(first, "10.0.0.7:0/3", &err), -EOWNERDEAD);
	ASSERT_EQ(registration_drop_past(second, &err), 0);
	ASSERT_TRUE(registration_is_past(second, "10.0.0.7:0/1")); /* a fact that stays one */
	row = read_row(store, "gw-g");
	ASSERT_EQ(row.client_count, 0);
	registration_row_done(&row);
	registration_free(first);
}

TEST(one_that_stopped_or_never_was_is_not_condemned)
{
	AUTO(store) struct store *store = open_store();
	struct error err = { 0 };
	AUTO(registration) struct registration *registration = register_as(store, "gw-i");
	ASSERT_EQ(registration_set_state(registration, GATEWAY_STOPPED, &err), 0);
	ASSERT_EQ(registration_condemn(store, "gw-i", registration_instance(registration), "gw-j",
	                               "gone", &err),
	          -ESTALE);
	ASSERT_EQ(registration_condemn(store, "gw-nobody", "x", "gw-j", "gone", &err), -ESTALE);
}

TEST(what_others_put_into_the_row_stays_there)
{
	AUTO(store) struct store *store = open_store();
	struct error err = { 0 };
	AUTO(registration) struct registration *registration = register_as(store, "gw-k");
	AUTO_FREE char *row = NULL, *more = NULL, *after = NULL;
	ASSERT_EQ(store_get_row(store, "gateway/gw-k", &row, &err), 0);
	ASSERT_TRUE(asprintf(&more, "{\"colour\":\"red\",%s", row + 1) > 0);
	ASSERT_EQ(store_put_row(store, "gateway/gw-k", row, more, &err), 0);
	ASSERT_EQ(registration_add(registration, "10.0.0.8:0/1", &err), 0);
	ASSERT_EQ(registration_condemn(store, "gw-k", registration_instance(registration), "gw-l",
	                               "silent", &err),
	          0);
	ASSERT_EQ(store_get_row(store, "gateway/gw-k", &after, &err), 0);
	ASSERT_NOT_NULL(strstr(after, "\"colour\":\"red\""));
	ASSERT_NOT_NULL(strstr(after, "10.0.0.8:0/1"));
}

TEST(a_row_that_was_removed_is_the_end_of_the_instance)
{
	AUTO(store) struct store *store = open_store();
	struct error err = { 0 };
	AUTO(registration) struct registration *registration = register_as(store, "gw-m");
	AUTO_FREE char *row = NULL;
	ASSERT_EQ(store_get_row(store, "gateway/gw-m", &row, &err), 0);
	ASSERT_EQ(store_put_row(store, "gateway/gw-m", row, NULL, &err), 0);
	ASSERT_EQ(registration_add(registration, "10.0.0.9:0/1", &err), -EOWNERDEAD);
	ASSERT_EQ(registration_check(registration, &err), -EOWNERDEAD);
}

static void count_own(void *argument, const struct registration_row *row)
{
	if (strcmp(row->gateway, "gw-n") == 0 || strcmp(row->gateway, "gw-torn") == 0)
		++*(int *)argument;
}

TEST(torn_rows_are_passed_over)
{
	AUTO(store) struct store *store = open_store();
	struct error err = { 0 };
	int count = 0;
	AUTO(registration) struct registration *registration = register_as(store, "gw-n");
	ASSERT_EQ(store_put_row(store, "gateway/gw-torn", NULL, "torn{", &err), 0);
	ASSERT_EQ(registration_list(store, count_own, &count, &err), 0);
	ASSERT_EQ(count, 1);
	struct registration_row row;
	ASSERT_EQ(registration_read(store, "gw-torn", &row, &err), -EBADMSG);
}
