/* PUT disksnap, mode=rollback: over HTTP, on rows that a gateway would have written. Snapshots are
 * the test's. */
#include "target_world.h"

#include "base/reactor.h"
#include "ownership/record.h"
#include "ownership/registration.h"
#include "ownership/rollback.h"
#include "store/image.h"

#include <stdatomic.h>

#define CLIENT "iqn.1994-05.com.redhat:one"
#define OTHER  "iqn.1994-05.com.redhat:other" /* who has no entry */
#define PATH   "/api/disksnap/" DISK "/before"

/* ---- snapshots ---- */

static int found, rolled_back; /* results */
static atomic_uint attempts, refusals, rollbacks;

int image_snapshot_check(struct store *store, const char *pool, const char *image,
                         const char *snapshot, struct error *err)
{
	return found < 0 ? error_set(err, found, "cannot find it") : 0;
}

/* What others do before the API has the lock. */
static void (*before_lock)(struct store *store);
static struct store *others;

int image_snapshot_rollback(struct store *store, const char *pool, const char *image,
                            const char *snapshot, const struct image_consent *consent,
                            struct error *err)
{
	ASSERT_STR_EQ(snapshot, "before");
	attempts++;
	if (before_lock)
		before_lock(others);
	if (rolled_back == -EROFS)
		return error_set(err, rolled_back, "the reason");
	int r = consent->ask(consent->argument, err);
	if (r < 0) {
		refusals++;
		return r;
	}
	rollbacks++;
	return rolled_back < 0 ? error_set(err, rolled_back, "the reason") : 0;
}

int image_snapshot_create(struct store *store, const char *pool, const char *image,
                          const char *snapshot, struct error *err)
{
	return -ENOTSUP;
}

int image_snapshot_remove(struct store *store, const char *pool, const char *image,
                          const char *snapshot, struct error *err)
{
	return -ENOTSUP;
}

/* ---- the world: a gateway with a disk that two clients may see, or one of them ---- */

struct site {
	struct api_world world;
	struct registration *registration, *second;
	char text[4][512]; /* what rbd-target-io says, by what it does */
	/* A gateway that follows the row. */
	pthread_t thread;
	atomic_bool stop;
	bool login_comes, deaf, disk_comes;
	const char *problem; /* of its rollback; NULL: none */
};

enum { SERVES, SERVES_CLIENT, STOPS, STOPS_CLIENT };

static void say(struct site *site, unsigned what)
{
	site->world.control_now = site->text[what];
}

static void start_site(struct site *site)
{
	struct error err = { 0 };
	found = rolled_back = 0;
	attempts = refusals = rollbacks = 0;
	before_lock = NULL;
	world_start(&site->world, "minimum_gateways = 1", NULL);
	world_add_member(&site->world, GW1);
	ASSERT_EQ(registration_new(site->world.members[0].store, GW1, &site->registration, &err),
	          0);
	world_serve_control(&site->world, GW1);
	world_make_target(&site->world, 1);
	world_put(&site->world, "/api/client/" TARGET "/" CLIENT, NULL);
	world_put(&site->world, "/api/clientlun/" TARGET "/" CLIENT, "disk=" DISK);
	for (unsigned i = 0; i < ARRAY_LEN(site->text); i++)
		(void)snprintf(site->text[i], sizeof site->text[i],
		               "{\"serving\":true,\"sessions\":[{\"target\":\"" TARGET
		               "\",\"initiator\":\"" OTHER "\"},{\"target\":\"" TARGET
		               "\",\"initiator\":\"%s\"}],\"luns\":[{\"name\":\"" DISK
		               "\",\"state\":\"%s\"}]}",
		               i == SERVES_CLIENT || i == STOPS_CLIENT ? CLIENT : OTHER,
		               i == STOPS || i == STOPS_CLIENT ? "operation" : "ready");
	say(site, SERVES);
}

static void say_moving(struct site *site)
{
	char *end = strstr(site->text[STOPS], "}]}");
	(void)snprintf(end, sizeof site->text[STOPS] - (size_t)(end - site->text[STOPS]),
	               ",\"moving\":true}]}");
}

static void stop_site(struct site *site)
{
	registration_free(site->second);
	registration_free(site->registration);
	world_stop(&site->world);
}
#define AUTO_SITE __attribute__((cleanup(stop_site)))

/* A client that is logged in gets the disk while it is still served. */
static void map_disk(struct site *site)
{
	site->disk_comes = false;
	world_put(&site->world, "/api/clientlun/" TARGET "/" CLIENT, "disk=" DISK);
}

static void *follow(void *argument)
{
	static const struct timespec pause = { .tv_nsec = 1000000 };
	struct site *site = argument;
	while (!site->stop) {
		AUTO_ROLLBACK struct rollback row = { 0 };
		ASSERT_EQ(rollback_read(site->world.members[0].store, DISK, &row, NULL), 0);
		if (row.state == ROLLBACK_ASKED && site->disk_comes)
			map_disk(site);
		if (row.state == ROLLBACK_ASKED && !site->deaf)
			say(site, site->login_comes ? STOPS_CLIENT : STOPS);
		else if (row.state == ROLLBACK_ORDERED)
			(void)!rollback_end(site->world.members[0].store, DISK, &row, site->problem,
			                    NULL, NULL);
		else
			say(site, site->disk_comes ? SERVES_CLIENT : SERVES);
		(void)nanosleep(&pause, NULL);
	}
	return NULL;
}

static void expect_rollback(struct site *site, long status, const char *message)
{
	AUTO_ROLLBACK struct rollback row = { 0 };
	site->stop = false;
	ASSERT_EQ(pthread_create(&site->thread, NULL, follow, site), 0);
	world_expect(&site->world, "PUT", PATH, "mode=rollback", status, message);
	site->stop = true;
	(void)pthread_join(site->thread, NULL);
	say(site, SERVES);
	ASSERT_EQ(rollback_read(site->world.store, DISK, &row, NULL), 0);
	/* What failed tells all that wait for it, and the next request replaces it. */
	ASSERT_EQ(row.state, site->problem ? ROLLBACK_FAILED : ROLLBACK_NONE);
	ASSERT_EQ(rollbacks, 0); /* the gateway does it */
}

TEST(the_gateway_rolls_it_back_when_all_have_stopped)
{
	AUTO_SITE struct site site = { 0 };
	start_site(&site);
	expect_rollback(&site, 200, "disk snapshot rolled back to snapshot");
	site.problem = "cannot roll back: for this reason";
	expect_rollback(&site, 400,
	                "failed to rollback snapshot: cannot roll back: for this reason");
	/* It is written in the history, as what happens to owners is. */
	AUTO_FREE char *text = NULL;
	struct call call = { .method = "GET",
		             .path = "/api/rbdgate/history",
		             .user = "admin:admin" };
	uint64_t deadline_ms = clock_monotonic_ms() + 20000;
	while ((!text || !strstr(text, "rolled back to the snapshot before")) &&
	       clock_monotonic_ms() < deadline_ms) {
		free(steal(&text));
		ASSERT_EQ(world_call(&site.world, &call, &text, NULL), 200);
	}
	ASSERT_NOT_NULL(strstr(text, "rolled back to the snapshot before, asked for at " GW1));
}

#define IN_USE "failed to deactivate disk: failed on " GW1 ". deactivate failed - LUN disk_1 in-use"

TEST(it_is_refused_while_a_session_can_see_the_disk)
{
	AUTO_SITE struct site site = { 0 };
	start_site(&site);
	say(&site, SERVES_CLIENT);
	world_expect(&site.world, "PUT", PATH, "mode=rollback", 400, IN_USE);
	AUTO_ROLLBACK struct rollback row = { 0 };
	ASSERT_EQ(rollback_read(site.world.store, DISK, &row, NULL), 0);
	ASSERT_EQ(row.state, ROLLBACK_NONE);
	/* One that came after the first look. */
	site.login_comes = true;
	expect_rollback(&site, 400, IN_USE);
	/* Without ACLs everybody sees it. */
	world_expect(&site.world, "DELETE", "/api/clientlun/" TARGET "/" CLIENT, "disk=" DISK, 200,
	             NULL);
	expect_rollback(&site, 200, NULL);
	site.login_comes = false;
	world_expect(&site.world, "DELETE", "/api/client/" TARGET "/" CLIENT, NULL, 200, NULL);
	world_put(&site.world, "/api/targetauth/" TARGET, "action=disable_acl");
	expect_rollback(&site, 400, IN_USE);
}

TEST(a_session_that_is_given_the_disk_while_others_stop_is_found)
{
	AUTO_SITE struct site site = { 0 };
	start_site(&site);
	world_expect(&site.world, "DELETE", "/api/clientlun/" TARGET "/" CLIENT, "disk=" DISK, 200,
	             NULL);
	site.disk_comes = site.login_comes = true;
	expect_rollback(&site, 400, IN_USE);
}

/* It changes state, and may serve at the end of that. */
TEST(a_gateway_whose_take_is_under_way_has_not_stopped)
{
	AUTO_SITE struct site site = { 0 };
	start_site(&site);
	say_moving(&site);
	expect_rollback(&site, 400,
	                "failed to deactivate disk: failed on " GW1 ". It still serves the LUN");
}

TEST(a_gateway_that_goes_on_serving_is_named_and_the_request_taken_back)
{
	AUTO_SITE struct site site = { 0 };
	start_site(&site);
	site.deaf = true;
	expect_rollback(&site, 400,
	                "failed to deactivate disk: failed on " GW1 ". It still serves the LUN");
}

/* It would be given back, and nobody would take it. */
TEST(a_gateway_that_may_own_it_is_there)
{
	AUTO_SITE struct site site = { 0 };
	start_site(&site);
	world_put(&site.world, "/api/rbdgate/maintenance/" GW1, "force=true&timeout=0");
	world_expect(
	        &site.world, "PUT", PATH, "mode=rollback", 400,
	        "failed to deactivate disk: no gateway may own it now: end a maintenance (undrain) "
	        "first");
	world_expect(&site.world, "DELETE", "/api/rbdgate/maintenance/" GW1, NULL, 200, NULL);
	expect_rollback(&site, 200, NULL);
}

TEST(what_can_be_seen_before_is_answered_before)
{
	AUTO_SITE struct site site = { 0 };
	start_site(&site);
	say(&site, SERVES_CLIENT);
	found = -ENOENT;
	world_expect(&site.world, "PUT", PATH, "mode=rollback", 404,
	             "snapshot before does not exist");
	found = -EIO;
	world_expect(&site.world, "PUT", PATH, "mode=rollback", 400,
	             "failed to rollback snapshot: cannot find it");
	world_expect(&site.world, "PUT", "/api/disksnap/rbd/none/before", "mode=rollback", 404,
	             "rbd image rbd/none not found");
	world_expect(&site.world, "PUT", PATH, "mode=zap", 400, "mode is invalid");
}

/* One that is not of ours, and one that does not answer. */
TEST(gateways_that_do_not_tell_are_named)
{
	AUTO_SITE struct site site = { 0 };
	struct error err = { 0 };
	start_site(&site);
	world_add_member(&site.world, GW2);
	world_expect(&site.world, "PUT", "/api/gateway/" TARGET "/" GW2,
	             "ip_address=10.9.0.2&skipchecks=true", 200, NULL);
	world_expect(&site.world, "PUT", PATH, "mode=rollback", 400,
	             "failed to deactivate disk: failed on " GW2
	             ". It is an upstream gateway, or was never started, and knows of no rollback: "
	             "unmap "
	             "the disk, and use rbd snap rollback");
	ASSERT_EQ(registration_new(site.world.members[1].store, GW2, &site.second, &err), 0);
	world_expect(&site.world, "PUT", PATH, "mode=rollback", 400,
	             "failed to deactivate disk: failed on " GW2
	             ". It does not tell who is logged in: do rbd-target-io and rbd-target-api run "
	             "there, "
	             "of this release?");
	ASSERT_EQ(registration_set_state(site.second, GATEWAY_STOPPED, &err), 0);
	expect_rollback(&site, 200, NULL);
}

TEST(without_gateways_the_api_does_it_unless_one_died_with_the_disk)
{
	AUTO_SITE struct site site = { 0 };
	struct error err = { 0 };
	struct owner_record record = { 0 };
	AUTO_ROLLBACK struct rollback row = { 0 };
	start_site(&site);
	ASSERT_EQ(registration_set_state(site.registration, GATEWAY_STOPPED, &err), 0);
	world_expect(&site.world, "PUT", PATH, "mode=rollback", 200,
	             "disk snapshot rolled back to snapshot");
	ASSERT_EQ(rollbacks, 1);
	rolled_back = -EIO;
	world_expect(&site.world, "PUT", PATH, "mode=rollback", 400,
	             "failed to rollback snapshot: the reason");
	ASSERT_EQ(rollbacks, 2);
	/* What an API left that died in the middle. */
	rolled_back = 0;
	ASSERT_EQ(rollback_read(site.world.store, DISK, &row, NULL), 0);
	ASSERT_EQ(row.state, ROLLBACK_FAILED);
	ASSERT_EQ(rollback_ask(site.world.store, DISK, "other", GW2, &row, NULL), 0);
	ASSERT_EQ(rollback_order(site.world.store, DISK, &row, NULL), 0);
	world_expect(&site.world, "PUT", PATH, "mode=rollback", 400,
	             "failed to rollback snapshot: one to another snapshot is under way");
	ASSERT_EQ(rollback_ask(site.world.store, DISK, "before", GW2, &row, NULL), 0);
	ASSERT_EQ(rollback_order(site.world.store, DISK, &row, NULL), 0);
	world_expect(&site.world, "PUT", PATH, "mode=rollback", 200,
	             "disk snapshot rolled back to snapshot");
	ASSERT_EQ(rollbacks, 3);
	const struct owner_claim claim = { GW1, "aa", "", "", "start", .epoch = 1 };
	ASSERT_EQ(owner_record_take(site.world.store, DISK, &record, &claim, &err), 0);
	owner_record_done(&record);
	world_expect(&site.world, "PUT", PATH, "mode=rollback", 400,
	             "failed to deactivate disk: gateway " GW1
	             " had the disk last, and has not given it "
	             "back: start any gateway of its target");
	ASSERT_EQ(rollbacks, 3);
	rollback_done(&row);
	ASSERT_EQ(rollback_read(site.world.store, DISK, &row, NULL), 0);
	ASSERT_EQ(row.state, ROLLBACK_FAILED);
}

/* A gateway takes the disk and gives it back, and has carried the rollback out, or not. */
static void serve_disk(struct store *store, const char *problem, bool ends)
{
	AUTO_ROLLBACK struct rollback row = { 0 };
	struct owner_record record = { 0 };
	struct owner_claim claim = { GW1, "aa", "", "", "start" };
	ASSERT_EQ(rollback_read(store, DISK, &row, NULL), 0);
	ASSERT_EQ(owner_record_read(store, DISK, &record, NULL), 0);
	claim.epoch = record.epoch + 1;
	ASSERT_EQ(owner_record_take(store, DISK, &record, &claim, NULL), 0);
	if (ends)
		ASSERT_EQ(rollback_end(store, DISK, &row, problem, &record, NULL), 0);
	ASSERT_EQ(owner_record_release(store, DISK, &record, "", "stop", NULL), 0);
	owner_record_done(&record);
}

static void carry_out(struct store *store)
{
	serve_disk(store, NULL, true);
}

static void fail_to_carry_out(struct store *store)
{
	serve_disk(store, "the gateway's reason", true);
}

static void take_and_give_back(struct store *store)
{
	serve_disk(store, NULL, false);
}

/* Of the instance that is registered: it waits for the lock. */
static void take(struct store *store)
{
	struct registration_row gateway;
	struct owner_record record = { 0 };
	struct owner_claim claim = { .gateway = GW2, .client = "", .image = "", .why = "start" };
	ASSERT_EQ(registration_read(store, GW2, &gateway, NULL), 0);
	ASSERT_EQ(owner_record_read(store, DISK, &record, NULL), 0);
	claim.instance = gateway.instance;
	claim.epoch = record.epoch + 1;
	ASSERT_EQ(owner_record_take(store, DISK, &record, &claim, NULL), 0);
	owner_record_done(&record);
	registration_row_done(&gateway);
}

TEST(an_api_that_gets_the_lock_late_leaves_what_a_gateway_has_served_since)
{
	static const struct {
		const char *what;
		void (*before_lock)(struct store *store);
		long status;
		const char *message;
		unsigned rollbacks;
	} rows[] = {
		{ "carried out", carry_out, 200, "disk snapshot rolled back to snapshot", 0 },
		{ "failed", fail_to_carry_out, 400,
		  "failed to rollback snapshot: the gateway's reason", 0 },
		{ "not carried out", take_and_give_back, 200,
		  "disk snapshot rolled back to snapshot", 1 },
	};
	AUTO_SITE struct site site = { 0 };
	struct error err = { 0 };
	start_site(&site);
	ASSERT_EQ(registration_set_state(site.registration, GATEWAY_STOPPED, &err), 0);
	others = site.world.members[0].store;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		TEST_ROW("%s", rows[i].what);
		rollbacks = 0;
		before_lock = rows[i].before_lock;
		world_expect(&site.world, "PUT", PATH, "mode=rollback", rows[i].status,
		             rows[i].message);
		ASSERT_EQ(rollbacks, rows[i].rollbacks);
	}
}

/* Gets the lock when the API has given it back, and ends what it has taken. */
static void *end_taken(void *argument)
{
	static const struct timespec pause = { .tv_nsec = 1000000 };
	struct owner_record record = { 0 };
	AUTO_ROLLBACK struct rollback row = { 0 };
	uint64_t deadline_ms = clock_monotonic_ms() + 20000;
	while (refusals < 1 && clock_monotonic_ms() < deadline_ms)
		(void)nanosleep(&pause, NULL);
	ASSERT_EQ(owner_record_read(others, DISK, &record, NULL), 0);
	ASSERT_EQ(rollback_read(others, DISK, &row, NULL), 0);
	ASSERT_EQ(row.state, ROLLBACK_ORDERED);
	ASSERT_EQ(rollback_end(others, DISK, &row, NULL, &record, NULL), 0);
	owner_record_done(&record);
	return NULL;
}

TEST(an_api_leaves_it_to_a_gateway_that_waits_for_its_lock)
{
	AUTO_SITE struct site site = { 0 };
	struct error err = { 0 };
	start_site(&site);
	world_add_member(&site.world, GW2);
	others = site.world.members[1].store;
	ASSERT_EQ(registration_set_state(site.registration, GATEWAY_STOPPED, &err), 0);
	ASSERT_EQ(registration_new(others, GW2, &site.second, &err), 0);
	before_lock = take;
	ASSERT_EQ(pthread_create(&site.thread, NULL, end_taken, NULL), 0);
	world_expect(&site.world, "PUT", PATH, "mode=rollback", 200,
	             "disk snapshot rolled back to snapshot");
	(void)pthread_join(site.thread, NULL);
	ASSERT_EQ(rollbacks, 0);
}

struct other {
	struct site *site;
	const char *problem;
	struct rollback *row;
	bool anew; /* somebody asks anew at once */
	bool left; /* its row was still there when it had tried in vain */
};

/* Has the lock until the request has tried in vain, and ends what it does. */
static void *end_other(void *argument)
{
	static const struct timespec pause = { .tv_nsec = 1000000 };
	struct other *other = argument;
	unsigned before = attempts;
	uint64_t deadline_ms = clock_monotonic_ms() + 20000;
	while (attempts < before + 2 && clock_monotonic_ms() < deadline_ms)
		(void)nanosleep(&pause, NULL);
	if (other->anew) {
		other->left = rollback_ask(other->site->world.members[0].store, DISK, "before", GW2,
		                           other->row, NULL) == 0;
		return NULL;
	}
	other->left = rollback_end(other->site->world.members[0].store, DISK, other->row,
	                           other->problem, NULL, NULL) == 0;
	return NULL;
}

TEST(a_request_that_comes_while_another_api_does_it_ends_nothing)
{
	AUTO_SITE struct site site = { 0 };
	struct error err = { 0 };
	AUTO_ROLLBACK struct rollback row = { 0 };
	start_site(&site);
	ASSERT_EQ(registration_set_state(site.registration, GATEWAY_STOPPED, &err), 0);
	ASSERT_EQ(rollback_ask(site.world.store, DISK, "before", GW2, &row, NULL), 0);
	ASSERT_EQ(rollback_order(site.world.store, DISK, &row, NULL), 0);
	rolled_back = -EROFS;
	struct other other = { .site = &site, .row = &row };
	ASSERT_EQ(pthread_create(&site.thread, NULL, end_other, &other), 0);
	world_expect(&site.world, "PUT", PATH, "mode=rollback", 200,
	             "disk snapshot rolled back to snapshot");
	(void)pthread_join(site.thread, NULL);
	ASSERT_TRUE(other.left);
	/* Nor is it told that it was done where it was not. */
	rollback_done(&row);
	ASSERT_EQ(rollback_ask(site.world.store, DISK, "before", GW2, &row, NULL), 0);
	ASSERT_EQ(rollback_order(site.world.store, DISK, &row, NULL), 0);
	other = (struct other){ .site = &site, .row = &row, .problem = "the other's reason" };
	ASSERT_EQ(pthread_create(&site.thread, NULL, end_other, &other), 0);
	world_expect(&site.world, "PUT", PATH, "mode=rollback", 400,
	             "failed to rollback snapshot: the other's reason");
	(void)pthread_join(site.thread, NULL);
	ASSERT_TRUE(other.left);
	/* Nor that it was done where nobody can tell. */
	rollback_done(&row);
	ASSERT_EQ(rollback_read(site.world.store, DISK, &row, NULL), 0);
	ASSERT_EQ(rollback_ask(site.world.store, DISK, "before", GW2, &row, NULL), 0);
	ASSERT_EQ(rollback_order(site.world.store, DISK, &row, NULL), 0);
	other = (struct other){ .site = &site, .row = &row, .anew = true };
	ASSERT_EQ(pthread_create(&site.thread, NULL, end_other, &other), 0);
	world_expect(&site.world, "PUT", PATH, "mode=rollback", 503,
	             "Another rollback of " DISK
	             " was asked for since: the log of its gateways tells how "
	             "this one ended");
	(void)pthread_join(site.thread, NULL);
	ASSERT_TRUE(other.left);
	ASSERT_EQ(rollback_end(site.world.store, DISK, &row, NULL, NULL, NULL), 0);
	/* Who gave the order himself, and finds the lock taken, takes it back. */
	world_expect(&site.world, "PUT", PATH, "mode=rollback", 400,
	             "failed to rollback snapshot: the reason");
}
