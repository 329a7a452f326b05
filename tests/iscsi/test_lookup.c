/* Rows of a snapshot are found by name. */
#include "iscsi/server.h"

#include "test.h"

TEST(targets_and_acls_are_found_by_their_whole_name)
{
	struct iscsi_acl acls[] = { { .initiator_name = (char *)"iqn.a" },
		                    { .initiator_name = (char *)"iqn.b" },
		                    { .initiator_name = (char *)"iqn.bb" } };
	struct iscsi_target targets[] = {
		{ .name = (char *)"iqn.t1", .acls = acls, .acl_count = 3 },
		{ .name = (char *)"iqn.t2" },
	};
	const struct iscsi_config config = { .targets = targets, .target_count = 2 };
	const struct iscsi_config empty = { 0 };
	ASSERT_TRUE(iscsi_config_find(&config, "iqn.t1") == &targets[0]);
	ASSERT_TRUE(iscsi_config_find(&config, "iqn.t2") == &targets[1]);
	ASSERT_NULL(iscsi_config_find(&config, "iqn.t"));
	ASSERT_NULL(iscsi_config_find(&empty, "iqn.t1"));
	ASSERT_TRUE(iscsi_target_find_acl(&targets[0], "iqn.bb") == &acls[2]);
	ASSERT_NULL(iscsi_target_find_acl(&targets[0], "iqn.bbb"));
	ASSERT_NULL(iscsi_target_find_acl(&targets[1], "iqn.a"));
}
