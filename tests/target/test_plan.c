#include "target/plan.h"

#include "test.h"

#include <string.h>

#define IQN "iqn.2003-01.com.example.gw:iscsi-igw"

static const char object_text[] =
        "{'version': 11, 'epoch': 7, 'disks': {"
        "  'rbd/b': {'pool': 'rbd', 'image': 'b', 'wwn': 'bbbb', 'owner': 'gw2',"
        "            'controls': {'hw_max_sectors': 2048}},"
        "  'rbd/a': {'pool': 'rbd', 'image': 'a', 'wwn': 'aaaa', 'owner': 'gw1', 'controls': {}},"
        "  'rbd/orphan': {'pool': 'rbd', 'image': 'orphan', 'wwn': 'cccc', 'owner': 'gone'},"
        "  'rbd/unmapped': {'pool': 'rbd', 'image': 'unmapped', 'wwn': 'dddd'},"
        "  'rbd/torn': {'pool': 'rbd', 'image': 'torn'}},"
        " 'discovery_auth': {'username': 'disco1234', 'password': 'discosecret12'},"
        " 'gateways': {'gw1': {}, 'gw2': {}},"
        " 'targets': {'" IQN "': {"
        "   'acl_enabled': true, 'auth': {'username': ''},"
        "   'controls': {'cmdsn_depth': 64, 'max_recv_data_segment_length': 8192},"
        "   'disks': {'rbd/a': {'lun_id': 0}, 'rbd/b': {'lun_id': 1}, 'rbd/orphan': {'lun_id': "
        "300},"
        "             'rbd/torn': {'lun_id': 2}},"
        "   'ip_list': ['10.0.0.2', 'fd00::1', '10.0.0.1'],"
        "   'portals': {'gw1': {'portal_ip_addresses': ['10.0.0.1', 'fd00::1']},"
        "               'gw2': {'portal_ip_addresses': ['10.0.0.2']}},"
        "   'clients': {'iqn.x:two': {'auth': {'username': 'user', 'password': 'secretsecret1',"
        "                  'mutual_username': 'back', 'mutual_password': 'otherother123'},"
        "                 'luns': {'rbd/b': {'lun_id': 0}}},"
        "               'iqn.x:ONE': {'auth': {'username': 'u', 'password': 'x',"
        "                  'password_encryption_enabled': false}, 'luns': {}},"
        "               'iqn.x:locked': {'auth': {'username': 'u', 'password': 'QUJD',"
        "                  'password_encryption_enabled': true}, 'luns': {}}}},"
        "  'iqn.other:t': {'portals': {'gw2': {}}, 'ip_list': [], 'disks': {}, 'clients': {}}}}";

static struct plan *plan_for(const char *text, const char *gateway)
{
	AUTO_FREE char *json = strdup(text);
	for (char *at = json; (at = strchr(at, '\''));)
		*at = '"';
	AUTO_JSON json_t *object = json_loads(json, 0, NULL);
	ASSERT_NOT_NULL(object);
	AUTO(settings) struct settings *settings = NULL;
	struct error err;
	ASSERT_EQ(settings_parse("[rbdgate]\nportal_port = 3261\n", "test", NULL, NULL, &settings,
	                         &err),
	          0);
	struct plan_context context = { .settings = settings, .gateway_name = gateway };
	struct plan *plan = NULL;
	ASSERT_EQ(plan_make(object, &context, &plan, &err), 0);
	return plan;
}

TEST(disks_are_those_of_targets_with_a_portal_here_and_have_one_owner)
{
	AUTO(plan) struct plan *one = plan_for(object_text, "gw1");
	AUTO(plan) struct plan *two = plan_for(object_text, "gw2");
	static const struct {
		const char *name;
		bool one, two;
	} rows[] = { { "rbd/a", true, false },
		     { "rbd/b", false, true },
		     { "rbd/orphan", true, false } };
	ASSERT_EQ(one->epoch, 7);
	ASSERT_EQ(one->disk_count, ARRAY_LEN(rows));
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		TEST_ROW("%s", rows[i].name);
		ASSERT_STR_EQ(one->disks[i].name, rows[i].name);
		ASSERT_EQ(one->disks[i].owner, rows[i].one);
		ASSERT_EQ(two->disks[i].owner, rows[i].two);
	}
	ASSERT_EQ(one->disks[1].max_sectors, 2048);
	ASSERT_STR_EQ(one->disks[0].vendor_id, "rbd/rbd/a;osd_op_timeout=30");
	ASSERT_EQ(plan_find_disk(one, "rbd/unmapped"), SIZE_MAX);
}

TEST(portal_groups_are_tagged_in_the_order_of_the_ip_list)
{
	AUTO(plan) struct plan *plan = plan_for(object_text, "gw1");
	ASSERT_EQ(plan->target_count, 1);
	const struct plan_target *target = &plan->targets[0];
	ASSERT_EQ(target->group_count, 2);
	ASSERT_EQ(target->groups[0].tag, 1);
	ASSERT_FALSE(target->groups[0].local);
	ASSERT_STR_EQ(target->groups[0].addresses[0], "10.0.0.2:3261");
	ASSERT_EQ(target->groups[1].tag, 2);
	ASSERT_TRUE(target->groups[1].local);
	ASSERT_EQ(target->groups[1].address_count, 2);
	ASSERT_STR_EQ(target->groups[1].addresses[0], "[fd00::1]:3261");
	ASSERT_STR_EQ(target->groups[1].addresses[1], "10.0.0.1:3261");
	/* Disk a belongs to gw1, whose group has tag 2. */
	ASSERT_STR_EQ(plan->disks[0].preferred, "gw1");
	ASSERT_STR_EQ(plan->disks[0].groups[0].gateway, "gw2");
	ASSERT_STR_EQ(plan->disks[0].groups[1].gateway, "gw1");
	ASSERT_STR_EQ(plan->portal_address, "fd00::1");
}

TEST(clients_are_sorted_and_one_whose_secret_cannot_be_read_is_left_out)
{
	AUTO(plan) struct plan *plan = plan_for(object_text, "gw1");
	const struct plan_target *target = &plan->targets[0];
	ASSERT_EQ(target->acl_count, 2);
	ASSERT_STR_EQ(target->acls[0].initiator_name, "iqn.x:one");
	ASSERT_STR_EQ(target->acls[1].initiator_name, "iqn.x:two");
	ASSERT_STR_EQ(target->acls[1].auth.secret, "secretsecret1");
	ASSERT_STR_EQ(target->acls[1].auth.mutual_secret, "otherother123");
	ASSERT_EQ(target->acls[1].lun_count, 1);
	ASSERT_EQ(target->acls[1].luns[0].number, 0);
	ASSERT_STR_EQ(plan->disks[target->acls[1].luns[0].disk].name, "rbd/b");
	ASSERT_NE(plan->problem[0], '\0');
}

TEST(controls_come_from_the_object_over_the_settings)
{
	AUTO(plan) struct plan *plan = plan_for(object_text, "gw1");
	const struct iscsi_controls *controls = &plan->targets[0].controls;
	ASSERT_EQ(controls->command_window, 64);
	ASSERT_EQ(controls->first_burst_length, 262144);
	ASSERT_EQ(controls->max_xmit_data_segment_length, 8192);
	ASSERT_EQ(controls->max_recv_data_segment_length, 262144);
	ASSERT_TRUE(controls->initial_r2t);
	ASSERT_STR_EQ(plan->discovery_auth.user_name, "disco1234");
}

TEST(discovery_with_unreadable_credentials_is_closed_not_open)
{
	AUTO(plan)
	struct plan *plan =
	        plan_for("{'discovery_auth': {'username': 'u', 'password': 'QUJD',"
	                 " 'password_encryption_enabled': true}, 'targets': {}, 'disks': {}}",
	                 "gw1");
	ASSERT_STR_EQ(plan->discovery_auth.user_name, "-");
	ASSERT_EQ(strlen(plan->discovery_auth.secret), 64);
}

TEST(an_empty_object_makes_an_empty_plan)
{
	AUTO(plan) struct plan *plan = plan_for("{}", "gw1");
	ASSERT_EQ(plan->disk_count + plan->target_count, 0);
	ASSERT_STR_EQ(plan->problem, "");
}
