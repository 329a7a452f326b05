/* The fence and the registration beside a real cluster. */
#include "base/json.h"
#include "base/reactor.h"
#include "cluster/client.h"
#include "cluster/command.h"
#include "ownership/debt.h"
#include "ownership/fence.h"
#include "ownership/record.h"
#include "ownership/registration.h"
#include "store/store.h"
#include "test.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <rados/librados.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define DEADLINE_MS 60000

/* A connection of its own, as another gateway would have. */
struct place {
	struct cluster_client *cluster;
	struct store *store;
	struct fence *fence;
};

static struct place place_open(const char *object, unsigned expire_s)
{
	struct place place = { 0 };
	struct error err = { 0 };
	struct cluster_client_config client = { .client_name = "client.gw" };
	if (cluster_client_connect(&client, &place.cluster, &err) < 0)
		fail_msg("%s", err.text);
	struct store_config store = {
		.kind = "rados", .cluster = place.cluster, .pool = "rbd", .object = object
	};
	if (store_open(&store, &place.store, &err) < 0)
		fail_msg("%s", err.text);
	struct fence_config fence = { .store = place.store,
		                      .control = place.cluster,
		                      .expire_s = expire_s };
	assert_int_equal(fence_new(&fence, &place.fence), 0);
	return place;
}

static void place_close(struct place *place)
{
	fence_free(place->fence);
	store_free(place->store);
	cluster_client_free(place->cluster);
}
#define AUTO_PLACE __attribute__((cleanup(place_close)))

static int write_object(struct cluster_client *cluster, const char *object)
{
	void *pool = NULL;
	assert_int_equal(cluster_pool_open(cluster, "rbd", NULL, &pool, NULL), 0);
	int r = rados_write_full(pool, object, "x", 1);
	cluster_pool_close(pool);
	return r;
}

/* An OSD learns of a fence from the first client that has that map, at the latest: whoever takes
 * over, which waited for it. Until then what the victim writes may land. */
static bool writes_no_more(const struct place *survivor, struct cluster_client *victim)
{
	assert_int_equal(write_object(survivor->cluster, "victim"), 0);
	return write_object(victim, "victim") == -ESHUTDOWN;
}

static bool is_listed(const struct place *place, const char *address, json_int_t seconds)
{
	struct error err = { 0 };
	AUTO_JSON json_t *entries = NULL;
	if (cluster_list_fences(place->cluster, &entries, &err) < 0)
		fail_msg("%s", err.text);
	return json_number(entries, address, 0) > seconds;
}

static bool has_debt(const struct place *place, const char *address)
{
	char key[128];
	AUTO_FREE char *text = NULL;
	(void)snprintf(key, sizeof key, "debt/%s", address);
	return store_get_row(place->store, key, &text, NULL) == 0;
}

/* This gateway's clock: all of it asks here. */
static time_t ahead_s;

time_t time(time_t *ret_now)
{
	struct timespec now;
	(void)clock_gettime(CLOCK_REALTIME, &now);
	now.tv_sec += ahead_s;
	if (ret_now)
		*ret_now = now.tv_sec;
	return now.tv_sec;
}

#define VICTIMS 5

TEST(many_are_fenced_at_once_and_write_no_more)
{
	AUTO_PLACE struct place place = place_open("fencing", 0), other = place_open("fencing", 0);
	struct cluster_client *victims[VICTIMS];
	char *addresses[VICTIMS];
	struct error err = { 0 };
	for (size_t i = 0; i < VICTIMS; i++) {
		struct cluster_client_config config = { .client_name = "client.gw", .data = true };
		ASSERT_EQ(cluster_client_connect(&config, &victims[i], &err), 0);
		ASSERT_EQ(write_object(victims[i], "victim"), 0);
		addresses[i] = (char *)cluster_client_address(victims[i]);
		ASSERT_FALSE(fence_is_fenced(place.fence, addresses[i]));
	}
	uint64_t start_ms = clock_monotonic_ms();
	ASSERT_EQ(fence_addresses(place.fence, addresses, VICTIMS, "gw-1", "i1", &err), 0);
	print_message("# %d addresses were fenced in %d ms\n", VICTIMS,
	              (int)(clock_monotonic_ms() - start_ms));
	for (size_t i = 0; i < VICTIMS; i++) {
		ASSERT_TRUE(fence_is_fenced(place.fence, addresses[i]));
		ASSERT_TRUE(is_listed(&place, addresses[i], 1000000));
		ASSERT_TRUE(has_debt(&place, addresses[i]));
		ASSERT_TRUE(writes_no_more(&place, victims[i]));
		ASSERT_FALSE(fence_is_fenced(other.fence, addresses[i]));
	}
	/* Another gateway learns it from the debt. */
	ASSERT_EQ(fence_renew(other.fence, &err), 0);
	for (size_t i = 0; i < VICTIMS; i++)
		ASSERT_TRUE(fence_is_fenced(other.fence, addresses[i]));
	/* Settled: off the books, and fenced all the same. */
	ASSERT_EQ(fence_settle(other.fence, "i1", &err), 0);
	ASSERT_FALSE(has_debt(&place, addresses[0]));
	ASSERT_TRUE(is_listed(&place, addresses[0], 1000000));
	for (size_t i = 0; i < VICTIMS; i++)
		cluster_client_free(victims[i]);
}

TEST(an_address_that_is_none_fails_and_the_others_are_fenced_all_the_same)
{
	AUTO_PLACE struct place place = place_open("mixed", 0);
	char good[] = "10.9.9.9:0/1", bad[] = "no address", last[] = "10.9.9.9:0/2";
	char *addresses[] = { good, bad, last };
	struct error err = { 0 };
	ASSERT_TRUE(fence_addresses(place.fence, addresses, ARRAY_LEN(addresses), "gw-1", "i1",
	                            &err) < 0);
	ASSERT_NOT_NULL(strstr(err.text, "no address"));
	ASSERT_TRUE(fence_is_fenced(place.fence, addresses[0]));
	ASSERT_FALSE(fence_is_fenced(place.fence, addresses[1]));
	ASSERT_TRUE(fence_is_fenced(place.fence, addresses[2]));
}

TEST(an_entry_that_ends_is_renewed)
{
	AUTO_PLACE struct place place = place_open("renewed", 6),
	                        lasting = place_open("renewed", 0);
	char address[] = "10.8.8.8:0/1";
	char *addresses[] = { address };
	struct error err = { 0 };
	ASSERT_EQ(fence_addresses(place.fence, addresses, 1, "gw-1", "i1", &err), 0);
	ASSERT_TRUE(is_listed(&place, address, 1));
	ASSERT_EQ(fence_renew(lasting.fence, &err), 0);
	ASSERT_TRUE(is_listed(&place, address, 1000000));
	ASSERT_TRUE(fence_is_fenced(lasting.fence, address));
	ASSERT_EQ(fence_settle(lasting.fence, "i1", &err), 0);
}

TEST(an_entry_of_somebody_else_that_ends_in_a_while_is_due_then)
{
	AUTO_PLACE struct place other = place_open("due", 600), place = place_open("due", 0);
	char address[] = "10.6.6.6:0/1";
	char *addresses[] = { address };
	struct error err = { 0 };
	ASSERT_EQ(fence_renew(place.fence, &err), 0);
	ASSERT_TRUE(fence_due_ms(place.fence) > clock_monotonic_ms() + 1000000);
	ASSERT_EQ(fence_addresses(other.fence, addresses, 1, "gw-1", "i1", &err), 0);
	ASSERT_EQ(fence_addresses(place.fence, addresses, 1, "gw-1", "i1", &err), 0);
	ASSERT_TRUE(fence_is_fenced(place.fence, address));
	ASSERT_FALSE(is_listed(&place, address, 1000)); /* the monitors keep the first entry */
	ASSERT_TRUE(fence_due_ms(place.fence) < clock_monotonic_ms() + 600000);
	ASSERT_EQ(fence_settle(place.fence, "i1", &err), 0);
}

static int count_debt(void *argument, const char *address, const json_t *debt)
{
	++*(unsigned *)argument;
	return 0;
}

static bool await_listed(const struct place *place, const char *address, json_int_t seconds)
{
	uint64_t deadline_ms = clock_monotonic_ms() + DEADLINE_MS;
	while (!is_listed(place, address, seconds)) {
		if (clock_monotonic_ms() >= deadline_ms)
			return false;
		(void)poll(NULL, 0, 100);
	}
	return true;
}

/* One that took the lock again with a new client has closed the old one; the last one may be
 * frozen. */
TEST(of_a_host_of_outsiders_the_last_client_that_was_fenced_stays_fenced)
{
	AUTO_PLACE struct place place = place_open("outsider", 0),
	                        other = place_open("outsider", 0);
	struct fence_config shortly = { .store = place.store,
		                        .control = place.cluster,
		                        .outsider_s = 8 };
	struct cluster_client_config config = { .client_name = "client.gw", .data = true };
	struct cluster_client *victim = NULL;
	struct error err = { 0 };
	unsigned debts = 0;
	fence_free(place.fence);
	ASSERT_EQ(fence_new(&shortly, &place.fence), 0);
	ASSERT_EQ(cluster_client_connect(&config, &victim, &err), 0);
	ASSERT_EQ(write_object(victim, "victim"), 0);
	const char *last = cluster_client_address(victim), *colon = strrchr(last, ':');
	char first[128];
	(void)snprintf(first, sizeof first, "%.*s:0/1", (int)(colon - last), last);
	ASSERT_EQ(fence_renew(place.fence, &err), 0);
	ASSERT_EQ(fence_outsider(place.fence, "rbd/x", first, &err), 0);
	ASSERT_EQ(fence_outsider(place.fence, "rbd/x", last, &err), 0);
	ASSERT_TRUE(writes_no_more(&place, victim));
	ASSERT_TRUE(is_listed(&place, last, 1));
	ASSERT_FALSE(is_listed(&place, last, 10));
	ASSERT_FALSE(fence_is_fenced(place.fence, last));
	ASSERT_EQ(debt_list(place.store, count_debt, &debts, &err), 0);
	ASSERT_EQ(debts, 0);
	ASSERT_TRUE(fence_due_ms(place.fence) < clock_monotonic_ms() + 8000);

	/* By another gateway, should the one that fenced it be gone. */
	ASSERT_EQ(fence_renew(other.fence, &err), 0);
	ASSERT_TRUE(await_listed(&place, last, 100000000));
	ASSERT_FALSE(fence_is_fenced(other.fence, last));
	ASSERT_FALSE(is_listed(&place, first, 0));
	ASSERT_EQ(fence_renew(place.fence, &err), 0);
	ASSERT_TRUE(fence_due_ms(place.fence) > clock_monotonic_ms() + 1000000);
	cluster_client_free(victim);
}

/* By its own clock each new entry would be over at once, or what ends soon would last (H14). */
TEST(a_gateway_whose_clock_is_years_off_fences_and_renews_all_the_same)
{
	char address[] = "10.5.5.5:0/1";
	char *addresses[] = { address };
	static const time_t years[] = { 11, -11 };
	for (size_t i = 0; i < ARRAY_LEN(years); i++) {
		AUTO_PLACE struct place shortly = place_open("years", 6),
		                        off = place_open("years", 0),
		                        off_too = place_open("years", 0);
		struct error err = { 0 };
		TEST_ROW("%d years", (int)years[i]);
		address[strlen(address) - 1]++;
		ASSERT_EQ(fence_addresses(shortly.fence, addresses, 1, "gw-1", "i1", &err), 0);
		ahead_s = years[i] * 365 * 24 * 3600;
		int r = fence_addresses(off.fence, addresses, 1, "gw-1", "i1", &err);
		int renewed = r < 0 ? r : fence_renew(off_too.fence, &err);
		ahead_s = 0;
		ASSERT_EQ(r, 0);
		ASSERT_EQ(renewed, 0);
		ASSERT_TRUE(is_listed(&shortly, address, 100000000));
		ASSERT_TRUE(fence_due_ms(off_too.fence) > clock_monotonic_ms() + 1000000);
		ASSERT_EQ(fence_settle(off.fence, "i1", &err), 0);
	}
}

/* ---- condemning one that is just adding clients ---- */

struct adding {
	struct registration *registration;
	pthread_mutex_t lock;
	unsigned added; /* calls that succeeded; under lock */
	int result;     /* of the last one */
};

static void *add_clients(void *argument)
{
	struct adding *adding = argument;
	for (unsigned i = 0; adding->result == 0; i++) {
		char address[CLIENT_ADDRESS_MAX];
		struct error err = { 0 };
		(void)snprintf(address, sizeof address, "10.7.7.7:0/%u", i);
		adding->result = registration_add(adding->registration, address, &err);
		if (adding->result == 0) {
			(void)pthread_mutex_lock(&adding->lock);
			adding->added++;
			(void)pthread_mutex_unlock(&adding->lock);
		}
	}
	return NULL;
}

static unsigned added_by(struct adding *adding)
{
	(void)pthread_mutex_lock(&adding->lock);
	unsigned added = adding->added;
	(void)pthread_mutex_unlock(&adding->lock);
	return added;
}

TEST(no_client_gets_into_the_row_of_a_condemned_instance)
{
	AUTO_PLACE struct place victim = place_open("race", 0), survivor = place_open("race", 0);
	for (int round = 0; round < 5; round++) {
		struct error err = { 0 };
		AUTO(registration) struct registration *registration = NULL;
		ASSERT_EQ(registration_new(victim.store, "gw-1", &registration, &err), 0);
		ASSERT_EQ(registration_drop_past(registration, &err), 0);
		const char *instance = registration_instance(registration);
		struct adding adding = { .registration = registration,
			                 .lock = PTHREAD_MUTEX_INITIALIZER };
		pthread_t thread;
		ASSERT_EQ(pthread_create(&thread, NULL, add_clients, &adding), 0);
		uint64_t deadline_ms = clock_monotonic_ms() + DEADLINE_MS;
		while (added_by(&adding) < 10 + (unsigned)round) {
			ASSERT_TRUE(clock_monotonic_ms() < deadline_ms);
			(void)poll(NULL, 0, 1);
		}
		/* It may lose against the additions again and again; then it asks again. */
		int r = -ECANCELED;
		while (r == -ECANCELED)
			r = registration_condemn(survivor.store, "gw-1", instance, "gw-2", "test",
			                         &err);
		ASSERT_EQ(r, 0);
		struct registration_row row;
		ASSERT_EQ(registration_read(survivor.store, "gw-1", &row, &err), 0);
		ASSERT_TRUE(row.condemned);
		ASSERT_EQ(pthread_join(thread, NULL), 0);
		ASSERT_EQ(adding.result, -EOWNERDEAD);
		ASSERT_EQ(row.client_count, adding.added);
		registration_row_done(&row);
	}
}

TEST(of_gateways_that_take_a_lun_at_once_one_wins)
{
	AUTO_PLACE struct place one = place_open("taking", 0), two = place_open("taking", 0);
	struct error err = { 0 };
	for (uint64_t epoch = 1; epoch <= 10; epoch++) {
		struct owner_record first, second;
		ASSERT_EQ(owner_record_read(one.store, "rbd/disk_1", &first, &err), 0);
		ASSERT_EQ(owner_record_read(two.store, "rbd/disk_1", &second, &err), 0);
		const struct owner_claim first_claim = { "gw-1", "i1",    "c1",
			                                 "",     "start", .epoch = epoch };
		const struct owner_claim second_claim = { "gw-2", "i2",    "c2",
			                                  "",     "start", .epoch = epoch };
		ASSERT_EQ(owner_record_take(two.store, "rbd/disk_1", &second, &second_claim, &err),
		          0);
		ASSERT_EQ(owner_record_take(one.store, "rbd/disk_1", &first, &first_claim, &err),
		          -ECANCELED);
		ASSERT_EQ(second.epoch, epoch);
		owner_record_done(&first);
		owner_record_done(&second);
	}
}
