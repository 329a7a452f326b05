/* Preferred owners of a target's disks spread over its gateways. */
#include "change_world.h"

#define TARGET "iqn.2003-01.com.example:first"
#define OTHER  "iqn.2003-01.com.example:second"

/* A target with gateways gw-1... and a disk for each letter: the gateway that it prefers. */
static void add_target(json_t *object, const char *iqn, int gateways, const char *owners)
{
	json_t *target =
	        json_pack("{s:{}, s:{}, s:{}, s:[]}", "portals", "disks", "clients", "ip_list");
	for (int i = 1; i <= gateways; i++) {
		char name[] = { 'g', 'w', '-', (char)('0' + i), '\0' };
		(void)json_object_set_new(json_object_get(target, "portals"), name, json_object());
		(void)json_object_set_new(json_object_get(object, "gateways"), name,
		                          json_pack("{s:i}", "active_luns", 0));
	}
	for (size_t i = 0; owners[i]; i++) {
		char id[64], owner[] = { 'g', 'w', '-', owners[i], '\0' };
		(void)snprintf(id, sizeof id, "rbd/%s_%zu", iqn + strlen(iqn) - 5, i);
		(void)json_object_set_new(json_object_get(target, "disks"), id,
		                          json_pack("{s:i}", "lun_id", (int)i));
		(void)json_object_set_new(json_object_get(object, "disks"), id,
		                          json_pack("{s:s}", "owner", owner));
	}
	(void)json_object_set_new(json_object_get(object, "targets"), iqn, target);
}

static json_t *empty_object(void)
{
	return json_pack("{s:{}, s:{}, s:{}}", "targets", "disks", "gateways");
}

static unsigned moves_between(const json_t *before, const json_t *after)
{
	unsigned moves = 0;
	const char *id;
	json_t *disk;
	json_object_foreach (json_object_get(before, "disks"), id, disk)
		moves += strcmp(json_text(disk, "owner", ""),
		                json_text(json_object_get(json_object_get(after, "disks"), id),
		                          "owner", "?")) != 0;
	return moves;
}

static json_int_t share_of(const json_t *object, int gateway)
{
	char name[] = { 'g', 'w', '-', (char)('0' + gateway), '\0' };
	return json_number(json_object_get(json_object_get(object, "gateways"), name),
	                   "active_luns", -1);
}

TEST(each_gateway_gets_its_share_with_the_least_moves)
{
	static const struct {
		int gateways;
		const char *owners;
		unsigned moves;
	} rows[] = {
		{ 1, "", 0 },          { 3, "", 0 },         { 1, "111", 0 },
		{ 2, "1111", 2 },      { 3, "12", 0 },       { 3, "112", 1 },
		{ 3, "111222", 2 },    { 3, "1112223", 1 },  { 3, "112233", 0 },
		{ 4, "1212121", 3 },   { 4, "12121212", 4 }, { 3, "1111111111", 6 },
		{ 4, "123123123", 2 },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO_WORLD struct world world;
		AUTO_JSON json_t *object = empty_object();
		AUTO_JSON json_t *arguments = json_pack("{s:s}", "target_iqn", TARGET);
		struct change change, again;
		TEST_ROW("%d gateways, %s", rows[i].gateways, rows[i].owners);
		world_init(&world);
		add_target(object, TARGET, rows[i].gateways, rows[i].owners);
		int disks = (int)strlen(rows[i].owners), share = disks / rows[i].gateways;
		ASSERT_EQ(change_run(change_target_balance, object, arguments, &world.context,
		                     &change),
		          0);
		ASSERT_EQ(moves_between(object, change.object), rows[i].moves);
		ASSERT_EQ(change.unchanged, rows[i].moves == 0);
		ASSERT_FALSE(change.takes_away);
		for (int gw = 1; rows[i].moves && gw <= rows[i].gateways; gw++) {
			ASSERT_TRUE(share_of(change.object, gw) >= share);
			ASSERT_TRUE(share_of(change.object, gw) <= share + 1);
		}
		ASSERT_EQ(change_run(change_target_balance, change.object, arguments,
		                     &world.context, &again),
		          0);
		ASSERT_TRUE(again.unchanged);
		ASSERT_STR_EQ(again.message,
		              "The gateways of " TARGET " have their shares already");
		change_done(&again);
		change_done(&change);
	}
}

TEST(what_moved_is_told_and_disks_of_other_targets_count_and_stay)
{
	AUTO_WORLD struct world world;
	AUTO_JSON json_t *object = empty_object();
	AUTO_JSON json_t *arguments = json_pack("{s:s}", "target_iqn", TARGET);
	struct change change;
	world_init(&world);
	add_target(object, TARGET, 2, "11");
	add_target(object, OTHER, 2, "2");
	AUTO_JSON json_t *before = json_deep_copy(object);
	ASSERT_EQ(change_run(change_target_balance, object, arguments, &world.context, &change), 0);
	ASSERT_TRUE(change.unchanged); /* two and one */
	ASSERT_TRUE(json_equal(before, change.object));
	change_done(&change);

	AUTO_JSON json_t *lonely = empty_object();
	add_target(lonely, TARGET, 2, "11");
	ASSERT_EQ(change_run(change_target_balance, lonely, arguments, &world.context, &change), 0);
	ASSERT_STR_EQ(change.message, "1 preferred owner(s) changed: rbd/first_0 to gw-2");
	const json_t *disks = json_object_get(change.object, "disks");
	ASSERT_STR_EQ(json_text(json_object_get(disks, "rbd/first_0"), "owner", ""), "gw-2");
	ASSERT_STR_EQ(json_text(json_object_get(disks, "rbd/first_0"), "updated", ""),
	              world.context.now);
	ASSERT_NULL(json_object_get(json_object_get(disks, "rbd/first_1"), "updated"));
	change_done(&change);
}

/* As ceph-iscsi: only the balance that is asked for moves disks that are there. */
TEST(adding_a_gateway_changes_no_owner)
{
	AUTO_WORLD struct world world;
	AUTO_JSON json_t *object = empty_object();
	AUTO_JSON json_t *arguments =
	        json_pack("{s:s, s:s, s:s, s:s}", "target_iqn", TARGET, "gateway_name", "gw-3",
	                  "ip_address", "10.9.0.3", "skipchecks", "true");
	struct change change;
	world_init(&world);
	json_decref((json_t *)world.context.members);
	world.context.members = json_pack("[s]", "gw-3");
	add_target(object, TARGET, 2, "1212");
	ASSERT_EQ(change_run(change_gateway_put, object, arguments, &world.context, &change), 0);
	ASSERT_EQ(moves_between(object, change.object), 0);
	ASSERT_EQ(share_of(change.object, 3), 0);
	change_done(&change);
}

TEST(a_target_that_is_not_there_is_refused)
{
	AUTO_WORLD struct world world;
	AUTO_JSON json_t *object = empty_object();
	AUTO_JSON json_t *arguments = json_pack("{s:s}", "target_iqn", TARGET);
	struct change change;
	world_init(&world);
	ASSERT_TRUE(change_run(change_target_balance, object, arguments, &world.context, &change) <
	            0);
	ASSERT_EQ(change.status, 404);
	ASSERT_STR_EQ(change.message, "Target " TARGET " does not exist");
	change_done(&change);
}
