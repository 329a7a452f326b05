#include "ownership/record.h"

#include "open_store.h"
#include "store/kinds.h"
#include "test.h"

#include <errno.h>
#include <string.h>

#define LUN         "rbd/disk_1"
#define KEY         "owner/rbd/disk_1"
#define RESERVATION "reservation/rbd/disk_1"
#define OUTSIDER    "outsider/rbd/disk_1"
#define EPOCHS      "epochs"

static int try_to_forget(struct store *store, const struct store_version *object)
{
	struct error err = { 0 };
	return owner_record_remove(store, LUN, object, &err);
}

static struct store_version version_of(struct store *store)
{
	struct store_version version;
	struct error err = { 0 };
	AUTO_FREE char *text = NULL;
	ASSERT_EQ(store_load(store, &text, &version, &err), 0);
	return version;
}

static void forget(struct store *store)
{
	struct store_version version = version_of(store);
	ASSERT_EQ(try_to_forget(store, &version), 0);
}

static void forget_epochs(struct store *store)
{
	struct error err = { 0 };
	AUTO_FREE char *text = NULL;
	if (store_get_row(store, EPOCHS, &text, &err) == 0)
		ASSERT_EQ(store_put_row(store, EPOCHS, text, NULL, &err), 0);
}

static struct store *empty_store(void)
{
	struct store *store = open_store();
	forget(store);
	forget_epochs(store);
	return store;
}

static struct owner_record read_record(struct store *store)
{
	struct owner_record record;
	struct error err = { 0 };
	ASSERT_EQ(owner_record_read(store, LUN, &record, &err), 0);
	return record;
}

static int take(struct store *store, const char *lun, struct owner_record *record,
                const char *gateway, const char *instance, const char *client, const char *image,
                const char *why, struct error *err)
{
	struct owner_claim claim = { .gateway = gateway,
		                     .instance = instance,
		                     .client = client,
		                     .image = image,
		                     .why = why };
	int r = owner_record_next_epoch(store, record, &claim.epoch, err);
	return r == 0 ? owner_record_take(store, lun, record, &claim, err) : r;
}

TEST(a_lun_without_a_row_is_nobodys)
{
	AUTO(store) struct store *store = empty_store();
	struct owner_record record = read_record(store);
	ASSERT_EQ(record.state, OWNER_NONE);
	ASSERT_EQ(record.epoch, 0);
	ASSERT_NULL(record.text);
	owner_record_done(&record);
}

TEST(each_taking_counts_the_epoch_up_and_giving_back_does_not)
{
	AUTO(store) struct store *store = empty_store();
	struct error err = { 0 };
	struct owner_record record = read_record(store);
	ASSERT_EQ(take(store, LUN, &record, "gw-1", "i1", "10.0.0.1:0/1", "", "start", &err), 0);
	ASSERT_EQ(record.epoch, 1);
	ASSERT_EQ(record.state, OWNER_ACTIVE);
	ASSERT_EQ(owner_record_release(store, LUN, &record, "gw-2", "drain", &err), 0);

	struct owner_record seen = read_record(store);
	ASSERT_EQ(seen.state, OWNER_CLEAN);
	ASSERT_EQ(seen.epoch, 1);
	ASSERT_STR_EQ(seen.gateway, "gw-1");
	ASSERT_STR_EQ(seen.client, "");
	ASSERT_STR_EQ(seen.next, "gw-2");
	ASSERT_STR_EQ(seen.text, record.text);
	ASSERT_TRUE(seen.at > 0);
	ASSERT_EQ(take(store, LUN, &seen, "gw-2", "i2", "", "", "hand-over", &err), 0);
	ASSERT_EQ(seen.epoch, 2);
	ASSERT_STR_EQ(seen.next, "");
	owner_record_done(&seen);
	owner_record_done(&record);
}

TEST(of_two_that_race_one_wins_and_the_other_keeps_what_it_saw)
{
	AUTO(store) struct store *store = empty_store();
	struct error err = { 0 };
	struct owner_record one = read_record(store), two;
	ASSERT_EQ(take(store, LUN, &one, "gw-1", "i1", "a", "", "start", &err), 0);
	ASSERT_EQ(owner_record_copy(&one, &two), 0);
	ASSERT_EQ(take(store, LUN, &two, "gw-2", "i2", "b", "", "take-over", &err), 0);
	struct owner_record before;
	ASSERT_EQ(owner_record_copy(&one, &before), 0);
	ASSERT_EQ(take(store, LUN, &one, "gw-3", "i3", "c", "", "take-over", &err), -ECANCELED);
	ASSERT_EQ(owner_record_release(store, LUN, &one, "", "stop", &err), -ECANCELED);
	ASSERT_STR_EQ(one.text, before.text);
	ASSERT_STR_EQ(one.gateway, "gw-1");
	ASSERT_EQ(one.epoch, 1);
	owner_record_done(&one);
	owner_record_done(&two);
	owner_record_done(&before);
}

TEST(what_is_not_owned_is_not_given_back)
{
	AUTO(store) struct store *store = empty_store();
	struct error err = { 0 };
	struct owner_record record = read_record(store);
	ASSERT_EQ(owner_record_release(store, LUN, &record, "", "stop", &err), -ECANCELED);
	owner_record_done(&record);
}

TEST(members_of_a_later_release_stay)
{
	AUTO(store) struct store *store = empty_store();
	struct error err = { 0 };
	ASSERT_EQ(store_put_row(store, KEY, NULL,
	                        "{\"epoch\":7,\"state\":\"clean\",\"colour\":\"red\"}", &err),
	          0);
	struct owner_record record = read_record(store);
	ASSERT_EQ(take(store, LUN, &record, "gw-1", "i1", "a", "", "start", &err), 0);
	ASSERT_EQ(record.epoch, 8);
	ASSERT_NOT_NULL(strstr(record.text, "\"colour\":\"red\""));
	owner_record_done(&record);
}

static void count_record(void *argument, const char *lun, const struct owner_record *record)
{
	ASSERT_STR_EQ(lun, LUN);
	ASSERT_EQ(record->epoch, 3);
	++*(int *)argument;
}

TEST(a_damaged_row_is_nobody_s_leave_to_take_the_lun)
{
	static const char *const rows[] = {
		"torn{",
		"[]",
		"{\"epoch\":0,\"state\":\"clean\"}",
		"{\"epoch\":-1,\"state\":\"clean\"}",
		"{\"epoch\":1,\"state\":\"odd\"}",
		"{\"epoch\":1}",
		"{\"epoch\":1,\"state\":\"active\",\"instance\":\"0123456789abcdef0\"}",
	};
	AUTO(store) struct store *store = empty_store();
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct error err = { 0 };
		struct owner_record record;
		int count = 0;
		TEST_ROW("%s", rows[i]);
		ASSERT_EQ(store_put_row(store, KEY, NULL, rows[i], &err), 0);
		ASSERT_EQ(owner_record_read(store, LUN, &record, &err), -EBADMSG);
		ASSERT_NOT_NULL(strstr(err.text, KEY));
		ASSERT_EQ(owner_record_list(store, count_record, &count, &err), 0);
		ASSERT_EQ(count, 0);
		forget(store);
	}
}

TEST(records_are_listed_by_the_name_of_their_lun_and_removed)
{
	AUTO(store) struct store *store = empty_store();
	struct error err = { 0 };
	int count = 0;
	ASSERT_EQ(store_put_row(store, KEY, NULL, "{\"epoch\":3,\"state\":\"active\"}", &err), 0);
	ASSERT_EQ(owner_record_list(store, count_record, &count, &err), 0);
	ASSERT_EQ(count, 1);
	forget(store);
	forget(store);
	ASSERT_EQ(owner_record_list(store, count_record, &count, &err), 0);
	ASSERT_EQ(count, 1);
}

TEST(an_image_that_was_replaced_under_its_name_is_told_and_what_is_not_known_is_not)
{
	AUTO(store) struct store *store = empty_store();
	struct error err = { 0 };
	struct owner_record record = read_record(store);
	ASSERT_EQ(owner_record_check_image(&record, LUN, "10a4", &err), 0);
	ASSERT_EQ(take(store, LUN, &record, "gw-1", "i1", "a", "10a4", "start", &err), 0);
	ASSERT_EQ(owner_record_release(store, LUN, &record, "", "stop", &err), 0);
	owner_record_done(&record);

	record = read_record(store);
	ASSERT_STR_EQ(record.image, "10a4");
	ASSERT_EQ(owner_record_check_image(&record, LUN, "10a4", &err), 0);
	ASSERT_EQ(owner_record_check_image(&record, LUN, "", &err), 0);
	ASSERT_EQ(owner_record_check_image(&record, LUN, "10a5", &err), -ESTALE);
	ASSERT_NOT_NULL(strstr(err.text, "was replaced"));
	ASSERT_NOT_NULL(strstr(err.text, "Delete the disk and add it again"));
	owner_record_done(&record);
}

TEST(a_deleted_disk_leaves_neither_owner_nor_reservations_nor_who_was_fenced_for_it)
{
	AUTO(store) struct store *store = empty_store();
	struct error err = { 0 };
	ASSERT_EQ(store_put_row(store, KEY, NULL, "{\"epoch\":3,\"state\":\"clean\"}", &err), 0);
	ASSERT_EQ(store_put_row(store, RESERVATION, NULL, "{}", &err), 0);
	ASSERT_EQ(store_put_row(store, RESERVATION "0", NULL, "{}", &err), 0);
	ASSERT_EQ(store_put_row(store, OUTSIDER, NULL, "{}", &err), 0);
	forget(store);
	AUTO_FREE char *text = NULL;
	ASSERT_EQ(store_get_row(store, KEY, &text, &err), -ENOENT);
	ASSERT_EQ(store_get_row(store, RESERVATION, &text, &err), -ENOENT);
	ASSERT_EQ(store_get_row(store, OUTSIDER, &text, &err), -ENOENT);
	ASSERT_EQ(store_get_row(store, RESERVATION "0", &text, &err), 0);
	ASSERT_EQ(store_put_row(store, RESERVATION "0", text, NULL, &err), 0);
}

static uint64_t take_anew(struct store *store)
{
	struct error err = { 0 };
	struct owner_record record = read_record(store);
	ASSERT_EQ(take(store, LUN, &record, "gw-1", "i1", "a", "", "start", &err), 0);
	uint64_t epoch = record.epoch;
	owner_record_done(&record);
	return epoch;
}

TEST(a_disk_that_is_deleted_and_added_again_shares_no_epoch_with_its_earlier_life)
{
	AUTO(store) struct store *store = empty_store();
	struct error err = { 0 };
	ASSERT_EQ(take_anew(store), 1);
	ASSERT_EQ(take_anew(store), 2);
	forget(store);
	ASSERT_EQ(take_anew(store), 3);
	forget(store);
	/* One that saw less does not lower it; what cannot be read says nothing of epochs. */
	ASSERT_EQ(store_put_row(store, KEY, NULL, "{\"epoch\":1,\"state\":\"clean\"}", &err), 0);
	forget(store);
	ASSERT_EQ(store_put_row(store, KEY, NULL, "torn{", &err), 0);
	forget(store);
	ASSERT_EQ(take_anew(store), 4);
	ASSERT_EQ(take_anew(store), 5);
}

TEST(without_the_epochs_of_the_past_no_disk_is_new)
{
	static const char *const rows[] = { "torn{", "{}", "{\"least\":-1}", "{\"least\":\"9\"}" };
	AUTO(store) struct store *store = empty_store();
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct error err = { 0 };
		struct owner_record record = read_record(store);
		TEST_ROW("%s", rows[i]);
		ASSERT_EQ(store_put_row(store, EPOCHS, NULL, rows[i], &err), 0);
		ASSERT_EQ(take(store, LUN, &record, "gw-1", "i1", "a", "", "start", &err),
		          -EBADMSG);
		ASSERT_NOT_NULL(strstr(err.text, EPOCHS));
		owner_record_done(&record);
		forget_epochs(store);
	}
}

TEST(a_disk_that_was_mapped_again_meanwhile_is_not_forgotten)
{
	AUTO(store) struct store *store = empty_store();
	struct error err = { 0 };
	struct store_version before = version_of(store);
	ASSERT_EQ(store_put_row(store, KEY, NULL, "{\"epoch\":3,\"state\":\"active\"}", &err), 0);
	ASSERT_EQ(store_commit(store, "{\"epoch\":9}", 9, &before, &err), 0);
	ASSERT_EQ(try_to_forget(store, &before), -ECANCELED);
	struct owner_record record = read_record(store);
	ASSERT_EQ(record.state, OWNER_ACTIVE);
	owner_record_done(&record);
	forget(store);
}

static int load_late(struct store *store, char **ret_text, struct store_version *ret_version,
                     struct error *err)
{
	ASSERT_EQ(store_put_row(store, RESERVATION, "{}", "{\"epoch\":4}", err), 0);
	return dir_store_ops.load(store, ret_text, ret_version, err);
}

/* Else a disk that is added again under its name would have reservations of its earlier life. */
TEST(what_a_deleted_disk_leaves_goes_all_at_once)
{
	AUTO(store) struct store *store = empty_store();
	struct store_version object = version_of(store);
	struct store_ops late = dir_store_ops;
	struct error err = { 0 };
	ASSERT_EQ(store_put_row(store, KEY, NULL, "{\"epoch\":3,\"state\":\"clean\"}", &err), 0);
	ASSERT_EQ(store_put_row(store, RESERVATION, NULL, "{}", &err), 0);
	late.load = load_late;
	store->ops = &late;
	ASSERT_EQ(try_to_forget(store, &object), -ECANCELED);
	store->ops = &dir_store_ops;
	AUTO_FREE char *text = NULL;
	ASSERT_EQ(store_get_row(store, EPOCHS, &text, &err), -ENOENT);
	struct owner_record record = read_record(store);
	ASSERT_EQ(record.epoch, 3);
	owner_record_done(&record);
	forget(store);
}
