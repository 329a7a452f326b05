/* Owners of LUNs and gateways in maintenance, over HTTP, on rows that gateways would have written.
 */
#include "target_world.h"

#include "base/reactor.h"
#include "ownership/history.h"
#include "ownership/maintenance.h"
#include "ownership/record.h"
#include "ownership/registration.h"

#define DEADLINE_MS 20000

/* Two gateways, a disk whose preferred owner is the first. */
struct pair {
	struct api_world world;
	struct registration *registrations[2];
};

static void start_pair(struct pair *pair)
{
	static const char *const names[] = { GW1, GW2 };
	struct error err = { 0 };
	world_start(&pair->world, "", NULL);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		world_add_member(&pair->world, names[i]);
		if (registration_new(pair->world.members[i].store, names[i],
		                     &pair->registrations[i], &err) < 0)
			fail_msg("%s", err.text);
	}
	world_serve_control(&pair->world, GW1);
	world_make_target(&pair->world, 2);
}

static void stop_pair(struct pair *pair)
{
	for (size_t i = 0; i < ARRAY_LEN(pair->registrations); i++)
		registration_free(pair->registrations[i]);
	world_stop(&pair->world);
}
#define AUTO_PAIR __attribute__((cleanup(stop_pair)))

static void take(const struct pair *pair, const char *gateway, const char *why)
{
	struct owner_record record = { 0 };
	struct error err = { 0 };
	ASSERT_EQ(owner_record_read(pair->world.store, DISK, &record, &err), 0);
	const struct owner_claim claim = { gateway, "0123456789abcdef",       "", "",
		                           why,     .epoch = record.epoch + 1 };
	if (owner_record_take(pair->world.store, DISK, &record, &claim, &err) < 0)
		fail_msg("%s", err.text);
	owner_record_done(&record);
}

static void release(const struct pair *pair, const char *next)
{
	struct owner_record record = { 0 };
	struct error err = { 0 };
	ASSERT_EQ(owner_record_read(pair->world.store, DISK, &record, &err), 0);
	if (owner_record_release(pair->world.store, DISK, &record, next, "stop", &err) < 0)
		fail_msg("%s", err.text);
	owner_record_done(&record);
}

static const json_t *lun_of(const json_t *owners)
{
	return json_object_get(json_object_get(owners, "luns"), DISK);
}

static const json_t *gateway_of(const json_t *owners, const char *name)
{
	return json_object_get(json_object_get(owners, "gateways"), name);
}

TEST(owners_and_gateways_are_told_as_their_rows_say)
{
	AUTO_PAIR struct pair pair = { 0 };
	start_pair(&pair);
	AUTO_JSON json_t *before = world_ask(&pair.world, "GET", "/api/rbdgate/owners", NULL, 200);
	ASSERT_STR_EQ(json_text(lun_of(before), "state", ""), "none");
	ASSERT_STR_EQ(json_text(lun_of(before), "preferred_owner", ""), GW1);
	ASSERT_STR_EQ(json_text(gateway_of(before, GW1), "state", ""), "up");

	take(&pair, GW1, "start");
	take(&pair, GW2, "take-over from " GW1);
	ASSERT_EQ(registration_set_interconnect(pair.registrations[1], "10.9.0.2:3262", 1, 1, NULL),
	          0);
	ASSERT_EQ(registration_condemn(pair.world.store, GW1,
	                               registration_instance(pair.registrations[0]), GW2, "silent",
	                               NULL),
	          0);
	AUTO_JSON json_t *after = world_ask(&pair.world, "GET", "/api/rbdgate/owners", NULL, 200);
	const json_t *lun = lun_of(after), *gw1 = gateway_of(after, GW1);
	const json_t *gw2 = gateway_of(after, GW2);
	ASSERT_STR_EQ(json_text(lun, "owner", ""), GW2);
	ASSERT_STR_EQ(json_text(lun, "state", ""), "active");
	ASSERT_STR_EQ(json_text(lun, "why", ""), "take-over from " GW1);
	ASSERT_EQ(json_number(lun, "epoch", 0), 2);
	ASSERT_EQ(strlen(json_text(lun, "changed", "")), strlen("2026-11-21T17:40:12Z"));
	ASSERT_STR_EQ(json_text(gw1, "state", ""), "condemned");
	ASSERT_STR_EQ(json_text(gw1, "condemned_by", ""), GW2);
	ASSERT_STR_EQ(json_text(gw1, "why", ""), "silent");
	ASSERT_EQ(json_number(gw1, "luns", -1), 0);
	ASSERT_STR_EQ(json_text(gw2, "interconnect", ""), "10.9.0.2:3262");
	ASSERT_EQ(json_number(gw2, "luns", -1), 1);

	AUTO_JSON json_t *info = world_ask(&pair.world, "GET", "/api/gatewayinfo", NULL, 200);
	ASSERT_EQ(json_number(info, "num_sessions", -1), 0);
	ASSERT_TRUE(json_equal(json_object_get(info, "rbdgate"), after));
	AUTO_JSON json_t *overview = world_ask(&pair.world, "GET", "/api/overview", NULL, 200);
	ASSERT_TRUE(json_equal(json_object_get(overview, "owners"), after));
}

TEST(who_lives_and_is_not_reached_from_here_is_told)
{
	static const struct {
		const char *health;
		bool told;
	} rows[] = {
		{ "connecting", false }, { "up", false },     { "suspect", false },
		{ "unreachable", true }, { "fenced", false },
	};
	static const char *const paths[] = { "/api/rbdgate/owners", "/api/gatewayinfo",
		                             "/api/overview" };
	static const char *const members[] = { NULL, "rbdgate", "owners" };
	AUTO_PAIR struct pair pair = { 0 };
	start_pair(&pair);
	for (size_t i = 0; i < ARRAY_LEN(rows) * ARRAY_LEN(paths); i++) {
		size_t path = i % ARRAY_LEN(paths), row = i / ARRAY_LEN(paths);
		(void)snprintf(pair.world.control_answer, sizeof pair.world.control_answer,
		               "{\"gateway\":\"%s\",\"serving\":true,\"sessions\":[],\"luns\":[],"
		               "\"members\":[{\"gateway\":\"%s\",\"health\":\"%s\"}]}",
		               GW1, GW2, rows[row].health);
		AUTO_JSON json_t *body = world_ask(&pair.world, "GET", paths[path], NULL, 200);
		const json_t *owners = members[path] ? json_object_get(body, members[path]) : body;
		TEST_ROW("%s %s", paths[path], rows[row].health);
		ASSERT_STR_EQ(json_text(gateway_of(owners, GW2), "unreachable_from", ""),
		              rows[row].told ? GW1 : "");
		ASSERT_STR_EQ(json_text(gateway_of(owners, GW1), "unreachable_from", ""), "");
	}
}

TEST(the_lock_owner_of_a_disk_is_the_owner_of_its_record)
{
	static const char status[] = "{\"gateway\":\"" GW1 "\",\"serving\":true,\"sessions\":[],"
	                             "\"luns\":[{\"name\":\"" DISK "\",\"state\":\"forwarded\","
	                             "\"owner\":false,\"preferred_owner\":\"" GW1 "\"}]}";
	AUTO_PAIR struct pair pair = { 0 };
	start_pair(&pair);
	(void)snprintf(pair.world.control_answer, sizeof pair.world.control_answer, "%s", status);
	static const char *const owners[] = { GW1, GW2, "" }; /* none yet; taken; given back */
	for (size_t i = 0; i < ARRAY_LEN(owners); i++) {
		if (i == 1)
			take(&pair, GW2, "start");
		if (i == 2)
			release(&pair, "");
		AUTO_JSON json_t *disk =
		        world_ask(&pair.world, "GET", "/api/disk/" DISK, NULL, 200);
		const json_t *shown = json_object_get(disk, "status");
		ASSERT_STR_EQ(json_text(shown, "lock_owner", "?"), owners[i]);
		ASSERT_STR_EQ(json_text(shown, "state", ""), "Online");
	}
}

static void expect_event(const json_t *events, size_t i, const char *kind, const char *lun,
                         const char *text)
{
	const json_t *event = json_array_get(events, i);
	ASSERT_STR_EQ(json_text(event, "kind", ""), kind);
	ASSERT_STR_EQ(json_text(event, "lun", ""), lun);
	ASSERT_STR_EQ(json_text(event, "text", ""), text);
}

/* All that was asked for: what the API has not written yet it writes at its end. */
static json_t *end_and_list_events(struct pair *pair)
{
	json_t *events = NULL;
	rest_free(pair->world.api);
	pair->world.api = NULL;
	ASSERT_EQ(history_list(pair->world.store, HISTORY_MAX, &events, NULL), 0);
	return events;
}

/* Of the API while it runs: the newest, once it is of that kind. */
static json_t *await_newest(const struct pair *pair, const char *kind)
{
	uint64_t deadline_ms = clock_monotonic_ms() + DEADLINE_MS;
	for (;;) {
		AUTO_JSON json_t *history =
		        world_ask(&pair->world, "GET", "/api/rbdgate/history?count=1", NULL, 200);
		json_t *events = json_object_get(history, "events");
		if (strcmp(json_text(json_array_get(events, 0), "kind", ""), kind) == 0)
			return json_incref(events);
		ASSERT_TRUE(clock_monotonic_ms() < deadline_ms);
		(void)poll(NULL, 0, 10);
	}
}

TEST(a_preferred_owner_that_cannot_take_the_lun_now_is_said)
{
	AUTO_PAIR struct pair pair = { 0 };
	start_pair(&pair);
	take(&pair, GW1, "start");
	ASSERT_EQ(maintenance_set(pair.world.store, GW2, true, GW1, NULL, NULL), 0);
	AUTO_JSON json_t *later =
	        world_ask(&pair.world, "PUT", "/api/rbdgate/owner/" DISK, "owner=gw2", 200);
	ASSERT_STR_EQ(json_text(later, "message", ""),
	              "Preferred owner of " DISK " is " GW2 "; for now its owner is " GW1
	              ": it moves when " GW2 " can take it");
	ASSERT_FALSE(json_flag(later, "moved", true));
	ASSERT_STR_EQ(json_text(later, "owner", ""), GW1);

	take(&pair, GW2, "return");
	AUTO_JSON json_t *there =
	        world_ask(&pair.world, "PUT", "/api/rbdgate/owner/" DISK, "owner=" GW2, 200);
	ASSERT_STR_EQ(json_text(there, "message", ""), "Preferred owner of " DISK " is " GW2);
	ASSERT_TRUE(json_flag(there, "moved", false));
	AUTO_JSON json_t *config = world_ask(&pair.world, "GET", "/api/config", NULL, 200);
	const json_t *gateways = json_object_get(config, "gateways");
	ASSERT_EQ(json_number(json_object_get(gateways, GW1), "active_luns", -1), 0);
	ASSERT_EQ(json_number(json_object_get(gateways, GW2), "active_luns", -1), 1);
	world_expect(&pair.world, "PUT", "/api/rbdgate/owner/rbd/none", "owner=" GW2, 404,
	             "rbd image rbd/none not found");
	/* Said twice, changed once. */
	AUTO_JSON json_t *events = end_and_list_events(&pair);
	ASSERT_EQ(json_array_size(events), 1);
	expect_event(events, 0, "owner", DISK,
	             "Preferred owner of " DISK " is " GW2 ", asked for at " GW1);
}

/* No preference moves it: that is not waited for, and not promised. */
TEST(a_preferred_owner_beside_upstream_gateways_moves_nothing)
{
	AUTO_PAIR struct pair pair = { 0 };
	start_pair(&pair);
	world_add_member(&pair.world, "gw3.example.com"); /* has never run our rbd-target-io */
	world_put(&pair.world, "/api/gateway/" TARGET "/gw3.example.com",
	          "ip_address=10.9.0.3&skipchecks=true");
	take(&pair, GW1, "demand");
	uint64_t since_ms = clock_monotonic_ms();
	AUTO_JSON json_t *body =
	        world_ask(&pair.world, "PUT", "/api/rbdgate/owner/" DISK, "owner=" GW2, 200);
	ASSERT_TRUE(clock_monotonic_ms() < since_ms + 5000);
	ASSERT_STR_EQ(json_text(body, "message", ""),
	              "Preferred owner of " DISK " is " GW2 "; for now its owner is " GW1
	              ": it goes where initiators use it (beside upstream gateways: "
	              "gw3.example.com)");
	ASSERT_FALSE(json_flag(body, "moved", true));
	ASSERT_STR_EQ(json_text(body, "owner", ""), GW1);
}

TEST(a_balance_moves_preferred_owners_unless_an_upstream_gateway_is_there)
{
	static const char path[] = "/api/rbdgate/balance/" TARGET;
	AUTO_PAIR struct pair pair = { 0 };
	start_pair(&pair);
	world_expect(&pair.world, "PUT", path, NULL, 200,
	             "The gateways of " TARGET " have their shares already");
	for (int i = 2; i <= 3; i++) {
		char disk[64], lun[64], owner[64];
		(void)snprintf(disk, sizeof disk, "/api/disk/rbd/disk_%d", i);
		(void)snprintf(lun, sizeof lun, "disk=rbd/disk_%d", i);
		(void)snprintf(owner, sizeof owner, "/api/rbdgate/owner/rbd/disk_%d", i);
		world_put(&pair.world, disk, "mode=create&size=64M");
		world_put(&pair.world, "/api/targetlun/" TARGET, lun);
		world_put(&pair.world, owner, "owner=" GW1);
	}
	world_expect(&pair.world, "PUT", path, NULL, 200,
	             "1 preferred owner(s) changed: rbd/disk_1 to " GW2);
	AUTO_JSON json_t *events = await_newest(&pair, "balance");
	expect_event(events, 0, "balance", "",
	             "1 preferred owner(s) changed: rbd/disk_1 to " GW2 ", asked for at " GW1);
	AUTO_JSON json_t *config = world_ask(&pair.world, "GET", "/api/config", NULL, 200);
	const json_t *gateways = json_object_get(config, "gateways");
	ASSERT_EQ(json_number(json_object_get(gateways, GW2), "active_luns", -1), 1);
	world_expect(&pair.world, "PUT", "/api/rbdgate/balance/iqn.2003-01.com.example:none", NULL,
	             404, "Target iqn.2003-01.com.example:none does not exist");
	world_add_member(&pair.world, "gw3.example.com"); /* has never run our rbd-target-io */
	world_put(&pair.world, "/api/gateway/" TARGET "/gw3.example.com",
	          "ip_address=10.9.0.3&skipchecks=true");
	world_expect(&pair.world, "PUT", path, NULL, 400,
	             "LUNs of " TARGET " have no lasting owners (beside upstream gateways: "
	             "gw3.example.com): nothing to balance");
}

TEST(a_drain_is_over_when_the_gateway_owns_nothing)
{
	static const char path[] = "/api/rbdgate/maintenance/gw1";
	AUTO_PAIR struct pair pair = { 0 };
	start_pair(&pair);
	take(&pair, GW1, "start");
	AUTO_JSON json_t *left = world_ask(&pair.world, "PUT", path, "timeout=0", 503);
	ASSERT_STR_EQ(json_text(left, "message", ""),
	              "Gateway " GW1 " is in maintenance, but still owns 1 LUN(s): " DISK);
	ASSERT_EQ(json_array_size(json_object_get(left, "left")), 1);
	ASSERT_STR_EQ(json_string_value(json_array_get(json_object_get(left, "left"), 0)), DISK);

	release(&pair, GW2);
	world_expect(&pair.world, "PUT", path, NULL, 200,
	             "Gateway " GW1 " is in maintenance and owns nothing");
	AUTO_JSON json_t *drained = world_ask(&pair.world, "GET", "/api/rbdgate/owners", NULL, 200);
	ASSERT_STR_EQ(json_text(gateway_of(drained, GW1), "state", ""), "maintenance");
	ASSERT_TRUE(json_flag(gateway_of(drained, GW1), "maintenance", false));
	ASSERT_STR_EQ(json_text(lun_of(drained), "next", ""), GW2);

	world_expect(&pair.world, "DELETE", path, NULL, 200, "Gateway " GW1 " may own LUNs again");
	AUTO_JSON json_t *back = world_ask(&pair.world, "GET", "/api/rbdgate/owners", NULL, 200);
	ASSERT_STR_EQ(json_text(gateway_of(back, GW1), "state", ""), "up");
	/* Asked for twice, and once. */
	AUTO_JSON json_t *events = end_and_list_events(&pair);
	ASSERT_EQ(json_array_size(events), 2);
	expect_event(events, 0, "drain", "", "maintenance of " GW1 " is over, asked for at " GW1);
	expect_event(events, 1, "drain", "", "maintenance of " GW1 " begins, asked for at " GW1);
}

struct draining {
	const struct api_world *world;
	pthread_t thread;
	long status;
	char *answer;
};

static void *drain(void *argument)
{
	struct draining *draining = argument;
	struct call call = { .method = "PUT",
		             .path = "/api/rbdgate/maintenance/" GW1,
		             .form = "timeout=20",
		             .user = "admin:admin" };
	draining->status = world_call(draining->world, &call, &draining->answer, NULL);
	return NULL;
}

TEST(a_drain_that_somebody_ends_meanwhile_is_not_waited_for)
{
	AUTO_PAIR struct pair pair = { 0 };
	struct draining draining = { .world = &pair.world };
	start_pair(&pair);
	take(&pair, GW1, "start");
	uint64_t since_ms = clock_monotonic_ms();
	ASSERT_EQ(pthread_create(&draining.thread, NULL, drain, &draining), 0);
	for (bool begun = false; !begun;) {
		AUTO_JSON json_t *owners =
		        world_ask(&pair.world, "GET", "/api/rbdgate/owners", NULL, 200);
		begun = json_flag(gateway_of(owners, GW1), "maintenance", false);
		ASSERT_TRUE(clock_monotonic_ms() < since_ms + DEADLINE_MS);
		(void)poll(NULL, 0, 10);
	}
	world_expect(&pair.world, "DELETE", "/api/rbdgate/maintenance/" GW1, NULL, 200, NULL);
	ASSERT_EQ(pthread_join(draining.thread, NULL), 0);
	AUTO_FREE char *answer = draining.answer;
	ASSERT_STR_EQ(answer, "{\"message\":\"Maintenance of " GW1
	                      " was ended before all its LUNs had moved\"}\n");
	ASSERT_EQ(draining.status, 503);
	ASSERT_TRUE(clock_monotonic_ms() < since_ms + 15000);
}

/* It gives the lock back whether or not one of ours could take the LUN: theirs take it themselves.
 */
TEST(a_gateway_beside_upstream_ones_is_drained_without_force)
{
	AUTO_PAIR struct pair pair = { 0 };
	start_pair(&pair);
	world_add_member(&pair.world, "gw3.example.com"); /* has never run our rbd-target-io */
	world_put(&pair.world, "/api/gateway/" TARGET "/gw3.example.com",
	          "ip_address=10.9.0.3&skipchecks=true");
	ASSERT_EQ(registration_set_state(pair.registrations[1], GATEWAY_STOPPED, NULL), 0);
	world_expect(&pair.world, "PUT", "/api/rbdgate/maintenance/" GW1, NULL, 200,
	             "Gateway " GW1 " is in maintenance and owns nothing");
}

/* It has no such disk: the drained one would keep it. */
TEST(a_gateway_of_another_target_is_no_heir)
{
	static const char name[] = "gw3.example.com";
	struct registration *third = NULL;
	struct error err = { 0 };
	AUTO_PAIR struct pair pair = { 0 };
	start_pair(&pair);
	world_add_member(&pair.world, name);
	ASSERT_EQ(registration_new(pair.world.members[2].store, name, &third, &err), 0);
	world_put(&pair.world, "/api/target/iqn.2003-01.com.example:other", NULL);
	world_put(&pair.world, "/api/gateway/iqn.2003-01.com.example:other/gw3.example.com",
	          "ip_address=10.9.0.3&skipchecks=true");
	ASSERT_EQ(registration_set_state(pair.registrations[1], GATEWAY_STOPPED, NULL), 0);
	AUTO_JSON json_t *refused =
	        world_ask(&pair.world, "PUT", "/api/rbdgate/maintenance/" GW1, "timeout=0", 400);
	ASSERT_NOT_NULL(
	        strstr(json_text(refused, "message", ""), "No other gateway of " TARGET " could"));

	/* Of its own target that gateway has nothing to lose. */
	world_expect(&pair.world, "PUT", "/api/rbdgate/maintenance/gw3.example.com", NULL, 200,
	             "Gateway gw3.example.com is in maintenance and owns nothing");
	registration_free(third);
}

TEST(the_last_gateway_that_can_serve_is_drained_only_by_force)
{
	AUTO_PAIR struct pair pair = { 0 };
	start_pair(&pair);
	ASSERT_EQ(registration_set_state(pair.registrations[1], GATEWAY_STOPPED, NULL), 0);
	world_expect(&pair.world, "PUT", "/api/rbdgate/maintenance/" GW1, "timeout=0", 400,
	             "No other gateway of " TARGET " could take the LUNs of " GW1
	             " now: it would keep them until one can. Start another gateway, end its "
	             "maintenance, or force it (confirm=true)");
	take(&pair, GW1, "start");
	world_expect(&pair.world, "PUT", "/api/rbdgate/maintenance/" GW1, "force=true", 503,
	             "Gateway " GW1 " is in maintenance, but still owns 1 LUN(s): " DISK);
	release(&pair, "");
	world_expect(&pair.world, "PUT", "/api/rbdgate/maintenance/" GW1, "force=true", 200,
	             "Gateway " GW1 " is in maintenance and owns nothing");
	world_expect(&pair.world, "PUT", "/api/rbdgate/maintenance/gw9", NULL, 404,
	             "Gateway gw9 does not exist in configuration");
	world_expect(&pair.world, "PUT", "/api/rbdgate/maintenance/" GW1, "timeout=x", 400,
	             "timeout must be a number from 0 to 300");
	world_expect(&pair.world, "GET", "/api/rbdgate/history?count=0", NULL, 400,
	             "count must be a number from 1 to 1000");
}
