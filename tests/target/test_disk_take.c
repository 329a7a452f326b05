/* Taking a disk: what happens in which order, and that nothing follows what has failed. All that it
 * calls is the test's. */
#include "target/disk_private.h"

#include "cluster/client.h"
#include "ownership/fence.h"
#include "ownership/own_client.h"
#include "ownership/registration.h"
#include "store/store.h"
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define OURS         "00000000000000aa"
#define CLIENT       "10.0.0.1:0/1"
#define FIRST        "00000000000000bb" /* another survivor, which died while it took over */
#define FIRST_CLIENT "10.0.0.2:0/2"
#define DEAD         "00000000000000cc" /* whose LUN that was */
#define DEAD_CLIENT  "10.0.0.3:0/3"
#define DECIDED_MS   77 /* when the manager knew who is fenced, and decided */
#define KEPT_MS      33 /* when the owner before said that it serves */

static char order[256]; /* the steps, in order */
static const char *failing;
static struct cluster_client *map_of;
static uint64_t map_since_ms;
static bool prepared; /* what backend_acquire() is to be told */
static struct owner_record stored;
static enum reservation_load claimed, loaded; /* how */
static uint64_t row_epoch;                    /* of who wrote the reservations last */
static const char *locked_by;                 /* a client; NULL: nobody */
static const char *alive;                     /* the only client that is not fenced; NULL: none */
static bool condemned;
static char *row_of_rollback;
static enum rollback_state state_of_rollback;
static unsigned strange_rows; /* claims that find another row than was known beside the record */

static int step(const char *name, struct error *err)
{
	size_t len = strlen(order);
	(void)snprintf(order + len, sizeof order - len, "%s ", name);
	return failing && strcmp(failing, name) == 0 ? error_set(err, -EIO, "%s", name) : 0;
}

/* ---- what disk_take.c calls ---- */

int registration_check(struct registration *registration, struct error *err)
{
	int r = step("registration", err);
	return r == 0 && condemned ? -EOWNERDEAD : r;
}

int registration_guard(struct registration *registration, struct store_change *ret_guard,
                       char **ret_text, struct error *err)
{
	*ret_guard = (struct store_change){ .key = "gateway/gw-1" };
	*ret_text = NULL;
	return 0;
}

const char *registration_instance(const struct registration *registration)
{
	return OURS;
}

bool registration_is_past(struct registration *registration, const char *address)
{
	return false;
}

bool fence_is_fenced(struct fence *fence, const char *address)
{
	return !alive || strcmp(alive, address) != 0;
}

int fence_outsider(struct fence *fence, const char *lun, const char *address, struct error *err)
{
	return -EIO;
}

int own_client_find(struct store *store, const char *address, bool *ret_found, struct error *err)
{
	return -EIO;
}

const char *disk_name(const struct disk *disk)
{
	return "rbd/x";
}

int disk_check_image(const struct disk *disk, const struct owner_record *record, struct error *err)
{
	return step("image", err);
}

const char *cluster_client_address(const struct cluster_client *client)
{
	return CLIENT;
}

uint64_t fence_since_ms(struct fence *fence, const char *address)
{
	return fence_is_fenced(fence, address) ? 1 : 0;
}

int cluster_wait_for_map_since(struct cluster_client *client, uint64_t since_ms, struct error *err)
{
	map_since_ms = since_ms;
	map_of = client;
	prepared = false;
	return step("map", err);
}

int owner_record_read(struct store *store, const char *disk, struct owner_record *ret_record,
                      struct error *err)
{
	*ret_record = stored;
	return step("read", err);
}

int owner_record_next_epoch(struct store *store, const struct owner_record *record,
                            uint64_t *ret_epoch, struct error *err)
{
	*ret_epoch = record->epoch + 1;
	return 0;
}

/* Whether all rows that the claim names are as expected. */
static int compare_rows(const struct owner_record *record, const struct owner_claim *claim,
                        struct error *err)
{
	ASSERT_EQ(claim->with_count, 3);
	ASSERT_STR_EQ(claim->with[0].key, "gateway/gw-1");
	ASSERT_STR_EQ(claim->with[1].key, "reservation/rbd/x");
	ASSERT_STR_EQ(claim->with[2].key, "rollback/rbd/x");
	ASSERT_TRUE(claim->with[2].text == NULL || claim->with[2].text == claim->with[2].expected);
	if (claim->with[2].expected != row_of_rollback)
		return error_set(err, -ECANCELED, "another rollback");
	if (condemned || record->epoch != stored.epoch)
		return error_set(err, -ECANCELED, "changed");
	if (strange_rows == 0)
		return 0;
	strange_rows--;
	return error_set(err, -ECANCELED, "another row");
}

/* An error of the step: it was done, and the answer was lost. */
int owner_record_take(struct store *store, const char *disk, struct owner_record *record,
                      const struct owner_claim *claim, struct error *err)
{
	int r = compare_rows(record, claim, err);
	if (r < 0)
		return r;
	ASSERT_TRUE(claim->epoch > record->epoch && claim->epoch >= row_epoch);
	stored = (struct owner_record){ .state = OWNER_ACTIVE, .epoch = claim->epoch };
	(void)snprintf(stored.instance, sizeof stored.instance, "%s", claim->instance);
	(void)snprintf(stored.client, sizeof stored.client, "%s", claim->client);
	row_epoch = claim->epoch;
	r = step("rows", err);
	if (r == 0)
		*record = stored;
	return r;
}

int owner_record_confirm(struct store *store, const char *disk, const struct owner_record *record,
                         const struct owner_claim *claim, struct error *err)
{
	int r = compare_rows(record, claim, err);
	if (r < 0)
		return r;
	ASSERT_EQ(claim->epoch, record->epoch);
	row_epoch = claim->epoch;
	return step("confirm", err);
}

int owner_record_release(struct store *store, const char *disk, struct owner_record *record,
                         const char *next, const char *why, struct error *err)
{
	if (strcmp(record->instance, stored.instance) != 0)
		return -ECANCELED;
	record->state = stored.state = OWNER_CLEAN;
	return step("give", err);
}

void owner_record_done(struct owner_record *record)
{
}

int rollback_guard(const char *lun, const struct rollback *rollback,
                   struct store_change *ret_change)
{
	*ret_change = (struct store_change){
		.key = strdup("rollback/rbd/x"),
		.expected = rollback->text,
		.text = rollback->state == ROLLBACK_ASKED ? NULL : rollback->text,
	};
	return 0;
}

int rollback_read(struct store *store, const char *lun, struct rollback *ret_rollback,
                  struct error *err)
{
	*ret_rollback = (struct rollback){ .state = state_of_rollback, .text = row_of_rollback };
	return step("rollback", err);
}

void rollback_done(struct rollback *rollback)
{
	*rollback = (struct rollback){ 0 };
}

void rollback_move(struct rollback *to, struct rollback *from)
{
	*to = *from;
	*from = (struct rollback){ 0 };
}

bool rollback_is_same(const struct rollback *one, const struct rollback *other)
{
	return one->text == other->text;
}

bool rollback_allows(const struct rollback *rollback, bool takes, uint64_t since_ms,
                     uint64_t now_ms)
{
	return rollback->state != ROLLBACK_ASKED && rollback->state != ROLLBACK_UNKNOWN;
}

void backend_get_info(const struct backend *backend, struct backend_info *ret_info)
{
	*ret_info = (struct backend_info){ 0 };
}

void backend_prepare(struct backend *backend)
{
	prepared = step("ahead", NULL) == 0;
}

int backend_acquire(struct backend *backend, const struct backend_lock_policy *policy,
                    struct error *err)
{
	uint64_t since_ms = 0;
	ASSERT_EQ(policy->prepared, prepared);
	if (locked_by && strcmp(locked_by, CLIENT) != 0 &&
	    !policy->is_fenced(policy->argument, locked_by, &since_ms) &&
	    !policy->may_break(policy->argument, locked_by))
		return error_set(err, -EBUSY, "%s has the lock", locked_by);
	int r = step("lock", err);
	locked_by = r == 0 ? CLIENT : locked_by;
	return r;
}

int backend_release(struct backend *backend, struct error *err)
{
	return step("unlock", err);
}

void lun_set_epoch(struct lun *lun, uint64_t epoch)
{
	ASSERT_EQ(epoch, stored.epoch);
}

int disk_keeper_claim(struct disk *disk, uint64_t *epoch, enum reservation_load how,
                      struct keeper_claim *ret_claim, struct error *err)
{
	claimed = how;
	if (row_epoch > *epoch)
		*epoch = row_epoch + 1;
	ret_claim->key = (char *)"reservation/rbd/x"; /* nobody frees it here */
	return 0;
}

void disk_keeper_claimed(struct disk *disk, struct keeper_claim *claim)
{
	ASSERT_EQ(row_epoch, stored.epoch);
}

void keeper_claim_done(struct keeper_claim *claim)
{
}

int disk_keeper_load(struct disk *disk, enum reservation_load how, struct error *err)
{
	ASSERT_EQ(row_epoch, stored.epoch);
	loaded = how;
	return step("reservations", err);
}

/* ---- */

static struct disk_host host = { .gateway = "gw-1" };

static struct disk other_is_gone(void)
{
	order[0] = '\0';
	map_of = NULL;
	locked_by = alive = NULL;
	row_epoch = 0;
	condemned = false;
	strange_rows = 0;
	row_of_rollback = NULL;
	state_of_rollback = ROLLBACK_NONE;
	stored = (struct owner_record){ .state = OWNER_ACTIVE, .epoch = 6 };
	return (struct disk){ .host = &host,
		              .client = (struct cluster_client *)&host, /* nobody looks inside */
		              .others_up = true,
		              .started_ms = DECIDED_MS,
		              .job_record = stored };
}

/* [H1] By then all clients of the last owner are fenced; the map that says so must be in force on
 * the very client that will do I/O, also if the lock's record is free. */
TEST(the_map_of_the_data_client_comes_before_the_record_and_the_lock)
{
	struct disk disk = other_is_gone();
	failing = NULL;
	disk_take(&disk);
	ASSERT_EQ(disk.job_error.code, 0);
	ASSERT_STR_EQ(order, "image map rows lock reservations ");
	ASSERT_TRUE(map_of == disk.client);
	ASSERT_EQ(map_since_ms, DECIDED_MS);
}

/* Who has the lock is asked while the record changes, and only if nobody should have it. */
TEST(of_a_lun_that_was_handed_over_the_map_and_the_question_about_the_lock_may_be_older)
{
	struct disk disk = other_is_gone();
	failing = NULL;
	disk.job_record.state = stored.state = OWNER_CLEAN;
	disk_take(&disk);
	ASSERT_EQ(disk.job_error.code, 0);
	ASSERT_STR_EQ(order, "image map ahead rows lock reservations ");
	ASSERT_EQ(map_since_ms, DECIDED_MS);

	disk = other_is_gone();
	disk.job_record.state = stored.state = OWNER_CLEAN;
	disk.job_kept_since_ms = KEPT_MS;
	disk_take(&disk);
	ASSERT_STR_EQ(order, "image map ahead rows lock reservations ");
	ASSERT_TRUE(map_of == disk.client);
	ASSERT_EQ(map_since_ms, KEPT_MS);
}

TEST(nothing_follows_a_step_that_failed)
{
	static const struct {
		const char *failing, *order;
	} rows[] = {
		{ "image", "image " },
		{ "map", "image map " },
		{ "rows", "image map rows " },
		{ "lock", "image map rows lock " },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		TEST_ROW("%s", rows[i].failing);
		struct disk disk = other_is_gone();
		failing = rows[i].failing;
		disk_take(&disk);
		ASSERT_EQ(disk.job_error.code, -EIO);
		ASSERT_STR_EQ(order, rows[i].order);
	}
}

/* Its row, which guards the others, says so. */
TEST(who_is_condemned_takes_nothing)
{
	struct disk disk = other_is_gone();
	failing = NULL;
	condemned = true;
	disk_take(&disk);
	ASSERT_EQ(disk.job_error.code, -EOWNERDEAD);
	ASSERT_STR_EQ(order, "image map registration ");
	ASSERT_EQ(stored.epoch, 6);
	ASSERT_EQ(row_epoch, 0);
}

/* The own registration changes when a client is added, and what was told of reservations may be
 * old: that the record is as it was decided upon is all that counts. */
TEST(a_row_that_is_another_than_was_known_is_looked_at_once_more)
{
	for (unsigned strange = 1; strange <= 2; strange++) {
		TEST_ROW("%u times", strange);
		struct disk disk = other_is_gone();
		failing = NULL;
		strange_rows = strange;
		disk_take(&disk);
		ASSERT_EQ(disk.job_error.code, strange == 1 ? 0 : -ECANCELED);
		ASSERT_STR_EQ(order, strange == 1
		                             ? "image map registration read rollback rows lock "
		                               "reservations "
		                             : "image map registration read rollback ");
	}
}

/* Else it would be decided anew at once, and so on, and nobody would be told. */
TEST(rows_that_cannot_be_looked_at_are_a_failure_like_any_other)
{
	static const char *const unreadable[] = { "registration", "read", "rollback" };
	for (size_t i = 0; i < ARRAY_LEN(unreadable); i++) {
		TEST_ROW("%s", unreadable[i]);
		struct disk disk = other_is_gone();
		failing = unreadable[i];
		strange_rows = 1;
		disk_take(&disk);
		ASSERT_EQ(disk.job_error.code, -EIO);
		ASSERT_EQ(stored.epoch, 6);
	}
}

/* Whoever asks for it makes sure that nobody serves before he orders it; what is ordered is carried
 * out by who takes the disk, and what was forgotten goes away with that. */
TEST(nothing_is_taken_beside_a_rollback_that_was_not_known)
{
	static const struct {
		const char *name;
		enum rollback_state known, there;
		int result;
		enum rollback_state left;
		const char *order;
	} rows[] = {
#define LOOKED "image map registration read rollback "
		{ "asked for meanwhile", ROLLBACK_NONE, ROLLBACK_ASKED, -ECANCELED, ROLLBACK_ASKED,
		  LOOKED },
		{ "of a later release", ROLLBACK_NONE, ROLLBACK_UNKNOWN, -ECANCELED,
		  ROLLBACK_UNKNOWN, LOOKED },
		{ "ordered meanwhile", ROLLBACK_NONE, ROLLBACK_ORDERED, 0, ROLLBACK_ORDERED,
		  LOOKED "rows lock reservations " },
		{ "over meanwhile", ROLLBACK_ORDERED, ROLLBACK_NONE, 0, ROLLBACK_NONE,
		  LOOKED "rows lock reservations " },
		{ "forgotten", ROLLBACK_ASKED, ROLLBACK_ASKED, 0, ROLLBACK_NONE,
		  "image map rows lock reservations " },
		{ "ordered", ROLLBACK_ORDERED, ROLLBACK_ORDERED, 0, ROLLBACK_ORDERED,
		  "image map rows lock reservations " },
		{ "of the past", ROLLBACK_FAILED, ROLLBACK_FAILED, 0, ROLLBACK_FAILED,
		  "image map rows lock reservations " },
#undef LOOKED
	};
	static char known[] = "known";
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		TEST_ROW("%s", rows[i].name);
		struct disk disk = other_is_gone();
		static char other[] = "other";
		bool same = rows[i].known == rows[i].there;
		failing = NULL;
		state_of_rollback = rows[i].there;
		row_of_rollback = rows[i].there == ROLLBACK_NONE ? NULL : same ? known : other;
		disk.job_rollback = (struct rollback){
			.state = rows[i].known,
			.text = rows[i].known == ROLLBACK_NONE ? NULL : known,
		};
		disk_take(&disk);
		ASSERT_EQ(disk.job_error.code, rows[i].result);
		ASSERT_STR_EQ(order, rows[i].order);
		ASSERT_EQ(disk.job_rollback.state, rows[i].left);
		ASSERT_EQ(disk.rollback_changed, !same || rows[i].left == ROLLBACK_NONE);
	}
}

/* Somebody has removed the record, or brought an old one back. */
TEST(reservations_that_are_later_than_the_record_do_not_keep_the_disk_from_being_taken)
{
	static const char *const fails[] = { NULL, "lock" }; /* also if it goes on */
	for (size_t i = 0; i < ARRAY_LEN(fails); i++) {
		TEST_ROW("%s fails", fails[i] ? fails[i] : "nothing");
		struct disk disk = other_is_gone();
		row_epoch = 30;
		failing = fails[i];
		disk_take(&disk);
		ASSERT_EQ(disk.job_error.code, fails[i] ? -EIO : 0);
		ASSERT_EQ(stored.epoch, 31);
	}
}

TEST(what_somebody_else_took_meanwhile_is_decided_anew)
{
	struct disk disk = other_is_gone();
	failing = NULL;
	stored.epoch = 7;
	disk_take(&disk);
	ASSERT_EQ(disk.job_error.code, -ECANCELED);
	ASSERT_STR_EQ(order, "image map registration read ");
	ASSERT_EQ(disk.job_record.epoch, 7);
}

static int take(struct disk *disk, const char *fails)
{
	failing = fails;
	disk->problem = disk->job_error;
	disk->job_error = (struct error){ 0 };
	disk_take(disk);
	return disk->job_error.code;
}

/* The record of the first attempt is our own, and tells nothing of the owner before. */
TEST(reservations_are_loaded_as_the_first_attempt_would_have)
{
	static const char *const failing_steps[] = { "rows", "lock", "reservations" };
	static const struct {
		const char *name;
		bool clean, alone, others_come;
		enum reservation_load how;
	} rows[] = {
		{ "take-over", .how = RESERVATION_LOAD_TAKEN_OVER },
		{ "hand-over", .clean = true, .how = RESERVATION_LOAD_HANDED_OVER },
		{ "power loss", .alone = true, .how = RESERVATION_LOAD_POWER_LOSS },
		{ "power loss, the others come back meanwhile", .alone = true, .others_come = true,
		  .how = RESERVATION_LOAD_POWER_LOSS },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		for (size_t j = 0; j < ARRAY_LEN(failing_steps); j++) {
			TEST_ROW("%s, %s fails", rows[i].name, failing_steps[j]);
			struct disk disk = other_is_gone();
			disk.others_up = !rows[i].alone;
			if (rows[i].clean)
				disk.job_record.state = stored.state = OWNER_CLEAN;
			ASSERT_EQ(take(&disk, failing_steps[j]), -EIO);
			ASSERT_EQ(claimed, rows[i].how); /* also if somebody else goes on */
			disk.others_up = disk.others_up || rows[i].others_come;
			int r = take(&disk, NULL);
			if (r == -ECANCELED) /* by our own record, of which we had not heard */
				r = take(&disk, NULL);
			ASSERT_EQ(r, 0);
			ASSERT_EQ(loaded, rows[i].how);
			disk.was_in_service = true;
			ASSERT_EQ(take(&disk, NULL), 0);
			ASSERT_EQ(loaded, RESERVATION_LOAD_HANDED_OVER); /* what we loaded */
		}
	}
}

TEST(what_was_not_loaded_before_it_was_given_back_is_still_loaded_so)
{
	struct disk disk = other_is_gone();
	ASSERT_EQ(take(&disk, "lock"), -EIO);
	failing = NULL;
	disk_release(&disk);
	ASSERT_EQ(take(&disk, NULL), 0);
	ASSERT_EQ(loaded, RESERVATION_LOAD_TAKEN_OVER);
}

/* Its lock was lost without a fence: whoever broke the lock since, others are to know that by the
 * epoch. */
TEST(a_record_by_which_it_was_served_is_not_gone_on_with)
{
	struct disk disk = other_is_gone();
	ASSERT_EQ(take(&disk, NULL), 0);
	ASSERT_EQ(stored.epoch, 7);
	ASSERT_EQ(take(&disk, "map"), -EIO);
	ASSERT_EQ(take(&disk, NULL), 0);
	ASSERT_EQ(stored.epoch, 8);
	ASSERT_EQ(take(&disk, "lock"), -EIO);
	ASSERT_EQ(stored.epoch, 9);
	ASSERT_EQ(take(&disk, NULL), 0); /* this one is */
	ASSERT_EQ(stored.epoch, 9);
}

TEST(a_lun_is_given_back_as_kept_only_if_it_was_served_until_then)
{
	static const struct {
		enum phase phase;
		bool kept;
	} rows[] = { { DRAINED, true }, { OPEN, false }, { CLOSED, false } };
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		TEST_ROW("phase %d", (int)rows[i].phase);
		struct disk disk = other_is_gone();
		ASSERT_EQ(take(&disk, NULL), 0);
		disk.phase = rows[i].phase;
		disk_release(&disk);
		ASSERT_TRUE(disk.released);
		ASSERT_EQ(disk.kept, rows[i].kept);
	}
}

/* Else it would leave that one behind when it is closed. */
TEST(that_a_record_was_anothers_by_then_says_nothing_of_the_next_one)
{
	struct disk disk = other_is_gone();
	ASSERT_EQ(take(&disk, NULL), 0);
	(void)snprintf(stored.instance, sizeof stored.instance, "another");
	disk_release(&disk);
	ASSERT_TRUE(disk.superseded);
	ASSERT_FALSE(disk.released);
	ASSERT_EQ(take(&disk, NULL), 0);
	disk.lost = true;
	disk_release(&disk);
	ASSERT_FALSE(disk.superseded);
}

/* Somebody else had it meanwhile. */
TEST(a_later_owner_decides_how_reservations_are_loaded)
{
	struct disk disk = other_is_gone();
	ASSERT_EQ(take(&disk, "lock"), -EIO);
	stored = (struct owner_record){ .state = OWNER_CLEAN, .epoch = 9 };
	disk.job_record = stored;
	ASSERT_EQ(take(&disk, NULL), 0);
	ASSERT_EQ(loaded, RESERVATION_LOAD_HANDED_OVER);
}

/* What a survivor leaves that dies while it takes over, and is fenced as the first owner was. */
static struct disk survivor_is_gone(const char *record_of, uint64_t row, const char *lock_of)
{
	struct disk disk = other_is_gone();
	stored.epoch = strcmp(record_of, FIRST) == 0 ? 7 : 6;
	(void)snprintf(stored.instance, sizeof stored.instance, "%s", record_of);
	disk.job_record = stored;
	row_epoch = row;
	locked_by = lock_of;
	return disk;
}

TEST(a_survivor_that_dies_anywhere_in_a_take_over_is_taken_over_from)
{
	static const struct {
		const char *died, *record_of;
		uint64_t row;
	} rows[] = {
		{ "before its record", DEAD, 6 },
		{ "after its rows", FIRST, 7 },
	};
	static const char *const locks[] = { NULL, DEAD_CLIENT, FIRST_CLIENT };
	for (size_t i = 0; i < 2 * ARRAY_LEN(rows) * ARRAY_LEN(locks); i++) {
		const char *lock_of = locks[i / 2 % ARRAY_LEN(locks)];
		bool alone = i & 1; /* and in service since before the first owner died */
		const size_t row = i / 2 / ARRAY_LEN(locks);
		TEST_ROW("%s, lock of %s%s", rows[row].died, lock_of ? lock_of : "nobody",
		         alone ? ", nobody else is left" : "");
		struct disk disk = survivor_is_gone(rows[row].record_of, rows[row].row, lock_of);
		const uint64_t epoch = stored.epoch;
		disk.others_up = !alone;
		disk.was_in_service = alone;
		ASSERT_EQ(take(&disk, NULL), 0);
		ASSERT_STR_EQ(order, "image map rows lock reservations ");
		ASSERT_EQ(stored.epoch, epoch + 1);
		ASSERT_STR_EQ(stored.instance, OURS);
		ASSERT_STR_EQ(locked_by, CLIENT);
		ASSERT_EQ(row_epoch, epoch + 1);
		ASSERT_EQ(loaded, RESERVATION_LOAD_TAKEN_OVER);
	}
}

TEST(the_lock_of_a_survivor_that_is_not_fenced_stays)
{
	struct disk disk = survivor_is_gone(FIRST, 6, FIRST_CLIENT);
	alive = FIRST_CLIENT;
	ASSERT_EQ(take(&disk, NULL), -EBUSY);
	ASSERT_STR_EQ(order, "image map rows ");
	ASSERT_STR_EQ(locked_by, FIRST_CLIENT);
}
