#include "config/object.h"
#include "config/object_view.h"
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void copy_file(const char *name)
{
	char path[512];
	(void)snprintf(path, sizeof path, "golden/config/%s", name);
	AUTO_FREE char *text = test_read_file(path, NULL);
	(void)snprintf(path, sizeof path, "%s/%s", test_folder(), name);
	FILE *file = fopen(path, "w");
	ASSERT_NOT_NULL(file);
	(void)fputs(text, file);
	(void)fclose(file);
}

static struct object_view *view_of(const char *text, const struct secret_keys *keys)
{
	AUTO(settings) struct settings *settings = NULL;
	AUTO_JSON json_t *object = NULL;
	struct object_view *view = NULL;
	ASSERT_EQ(settings_parse("[target]\nqfull_timeout = 7\n", "f", NULL, NULL, &settings, NULL),
	          0);
	ASSERT_EQ(object_parse(text, &object, NULL), 0);
	ASSERT_EQ(object_view_new(object, settings, keys, &view, NULL), 0);
	return view;
}

static struct object_view *rich_view(bool with_keys)
{
	AUTO(secret_keys) struct secret_keys *keys = NULL;
	copy_file("test-only-priv.pem");
	copy_file("test-only-pub.pem");
	if (with_keys)
		ASSERT_EQ(secret_keys_load(test_folder(), "test-only-priv.pem", "test-only-pub.pem",
		                           &keys, NULL),
		          0);
	AUTO_FREE char *text = test_read_file("golden/config/v11-rich.json", NULL);
	return view_of(text, keys);
}

#define MAIN_TARGET "iqn.2003-01.com.example.gw:iscsi-igw"

TEST(portal_groups_are_one_a_gateway_in_the_order_of_the_addresses)
{
	AUTO(object_view) struct object_view *view = rich_view(true);
	const struct view_target *target = view_find_target(view, MAIN_TARGET);
	ASSERT_NOT_NULL(target);
	ASSERT_EQ(target->portal_group_count, 2);
	const struct view_portal_group *group = view_find_portal_group(target, "gw2.example.com");
	ASSERT_NOT_NULL(group);
	ASSERT_EQ(group->tag, 2);
	ASSERT_EQ(group->address_count, 2);
	ASSERT_STR_EQ(group->addresses[0], "192.168.10.2");
	ASSERT_STR_EQ(group->addresses[1], "fd00:10::2");
	ASSERT_EQ(view_find_portal_group(target, "gw1.example.com")->tag, 1);
	ASSERT_NULL(view_find_portal_group(target, "gw3.example.com"));
}

TEST(luns_and_controls_are_those_of_the_object_over_the_settings)
{
	AUTO(object_view) struct object_view *view = rich_view(true);
	const struct view_target *target = view_find_target(view, MAIN_TARGET);
	ASSERT_EQ(target->lun_count, 5);
	ASSERT_EQ(target->luns[4].number, 17);
	ASSERT_STR_EQ(target->luns[4].disk->wwn, "0f1e2d3c-4b5a-4968-8776-655443322110");
	ASSERT_FALSE(target->controls.immediate_data);
	ASSERT_EQ(target->controls.cmdsn_depth, 128);
	const struct view_disk *disk = view_find_disk(view, "rbd/disk_1");
	ASSERT_EQ(disk->controls.hw_max_sectors, 2048);
	ASSERT_EQ(disk->controls.qfull_timeout, 18);
	ASSERT_STR_EQ(disk->owner, "gw1.example.com");
	ASSERT_EQ(view_find_disk(view, "a/b.c2")->controls.qfull_timeout, 7);
	ASSERT_NULL(view_find_disk(view, "rbd/none"));
	ASSERT_EQ(view_find_gateway(view, "gw1.example.com")->active_luns, 3);
	ASSERT_EQ(view->epoch, 46);
}

TEST(clients_have_their_own_luns_and_plain_secrets)
{
	AUTO(object_view) struct object_view *view = rich_view(true);
	const struct view_target *target = view_find_target(view, MAIN_TARGET);
	ASSERT_EQ(target->client_count, 4);
	const struct view_client *client =
	        view_find_client(target, "IQN.1994-05.com.redhat:client2");
	ASSERT_NOT_NULL(client);
	ASSERT_STR_EQ(client->auth.password, "test-secret-0002");
	ASSERT_STR_EQ(client->auth.mutual_password, "test-secret-0003");
	ASSERT_FALSE(client->auth.broken);
	ASSERT_EQ(client->lun_count, 1);
	ASSERT_EQ(client->luns[0].number, 0);
	ASSERT_STR_EQ(client->luns[0].disk->key, "rbd/disk.2");
	ASSERT_STR_EQ(view_find_client(target, "iqn.1994-05.com.redhat:client3")->group, "grp1");
	const struct view_target *second =
	        view_find_target(view, "iqn.2003-01.com.example.gw:second");
	ASSERT_FALSE(second->acl_enabled);
	ASSERT_STR_EQ(second->auth.password, "test-secret-0006");
	ASSERT_STR_EQ(view->discovery_auth.password, "test-secret-0004");
}

TEST(secrets_that_cannot_be_decrypted_are_marked)
{
	AUTO(object_view) struct object_view *view = rich_view(false);
	const struct view_target *target = view_find_target(view, MAIN_TARGET);
	const struct view_client *client =
	        view_find_client(target, "iqn.1994-05.com.redhat:client1");
	ASSERT_TRUE(client->auth.broken);
	ASSERT_STR_EQ(client->auth.password, "");
	ASSERT_STR_EQ(client->auth.username, "clientuser1");
	ASSERT_FALSE(view_find_client(target, "iqn.1994-05.com.redhat:client4")->auth.broken);
}

TEST(what_is_malformed_is_left_out)
{
	AUTO(object_view)
	struct object_view *view = view_of(
	        "{\"version\": 11, \"gateways\": {\"iqn\": \"x\", \"gw\": {\"active_luns\": -1}},"
	        "\"disks\": {\"a/b\": {\"pool\": \"a\", \"image\": \"b\"}, \"c\": 1, \"d/e\": {}},"
	        "\"targets\": {\"iqn.t\": {\"disks\": {\"a/b\": {\"lun_id\": -1}, \"c\": {}, "
	        "\"x/y\": {\"lun_id\": 1}}, \"ip_list\": [1, \"10.0.0.9\"], \"portals\": {\"gw\": "
	        "1},"
	        "\"clients\": {\"iqn.c\": null, \"iqn.d\": {}}}, \"iqn.u\": []}}",
	        NULL);
	ASSERT_EQ(view->gateway_count, 1);
	ASSERT_EQ(view->disk_count, 1);
	ASSERT_EQ(view->target_count, 1);
	ASSERT_EQ(view->targets[0].lun_count, 0);
	ASSERT_EQ(view->targets[0].portal_group_count, 0);
	ASSERT_EQ(view->targets[0].client_count, 1);
	ASSERT_TRUE(view->targets[0].acl_enabled);
	ASSERT_STR_EQ(view->targets[0].clients[0].auth.password, "");
}
