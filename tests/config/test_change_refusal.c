/* Refusals, in upstream's words: one row each, against an object with two targets' worth of things.
 */
#include "change_world.h"

#define T              "target_iqn=iqn.2003-01.com.example.gw:iscsi-igw"
#define T2             "target_iqn=iqn.2003-01.com.example.gw:second"
#define T3             "target_iqn=iqn.2003-01.com.example.gw:noacl"
#define T0             "target_iqn=iqn.2003-01.com.example.gw:none"
#define C1             "client_iqn=iqn.1994-05.com.redhat:client1"
#define C3             "client_iqn=iqn.1994-05.com.redhat:client3"
#define C0             "client_iqn=iqn.1994-05.com.redhat:nobody"
#define D(pool, image) "pool=" pool " image=" image

static const struct {
	change_fn run;
	const char *arguments; /* name=value, with blanks between */
	int status;
	const char *message;
} rows[] = {
	{ change_target_put, "target_iqn=iqn.bad", 500,
	  "Invalid iqn iqn.bad - WWN not valid as: iqn" },
	{ change_target_put, "target_iqn=iqn.2003-01.com.redhat:with_underscore", 500,
	  "Invalid iqn iqn.2003-01.com.redhat:with_underscore - WWN not valid as: iqn" },
	{ change_target_put, "target_iqn=iqn.2003-21.com.redhat:x", 500,
	  "Invalid iqn iqn.2003-21.com.redhat:x - WWN not valid as: iqn" },
	{ change_target_put, T " mode=foo", 500,
	  "Unexpected mode provided for iqn.2003-01.com.example.gw:iscsi-igw - foo" },
	{ change_target_put, T0 " mode=reconfigure", 400,
	  "Target: iqn.2003-01.com.example.gw:none is not defined." },
	{ change_target_put, T0 " controls={\"cmdsn_depth\":100000}", 500,
	  "Unexpected or invalid controls - expected integer <= 512 for cmdsn_depth" },
	{ change_target_put, T0 " controls={\"cmdsn_depth\":0}", 500,
	  "Unexpected or invalid controls - expected integer >= 1 for cmdsn_depth" },
	{ change_target_put, T0 " controls={\"cmdsn_depth\":\"x\"}", 500,
	  "Unexpected or invalid controls - expected integer for cmdsn_depth" },
	{ change_target_put, T0 " controls={\"immediate_data\":\"maybe\"}", 500,
	  "Unexpected or invalid controls - expected yes or no for immediate_data" },
	{ change_target_put, T0 " controls={\"nosuch\":1}", 500,
	  "Unexpected or invalid controls - Supported controls: dataout_timeout,"
	  "nopin_response_timeout,nopin_timeout,cmdsn_depth,immediate_data,initial_r2t,"
	  "max_outstanding_r2t,first_burst_length,max_burst_length,max_recv_data_segment_length,"
	  "max_xmit_data_segment_length" },
	{ change_target_delete, T0, 404, "Target iqn.2003-01.com.example.gw:none does not exist" },
	{ change_target_delete, T, 400,
	  "Clients(4) and disks(5) must be removed before the gateways" },

	{ change_gateway_put, T " gateway_name=gw1.example.com ip_address=10.0.0.1", 400,
	  "Gateway already exists in configuration" },
	{ change_gateway_put, T " gateway_name=gw1 ip_address=10.0.0.1", 400,
	  "Gateway already exists in configuration" },
	{ change_gateway_put, T " gateway_name=gw9 ip_address=10.0.0.1 skipchecks=true", 400,
	  "Gateway 'gw9' is not known: no running gateway has that name (running: "
	  "gw1.example.com, gw2.example.com, gw3.example.com). Start rbd-target-io there, or "
	  "correct the name" },
	{ change_gateway_put, T " gateway_name=gw3", 400, "Parameter 'ip_address' is missing" },
	{ change_gateway_put, T " gateway_name=gw3 ip_address=not.a.name", 400,
	  "IP address provided is not usable (name doesn't resolve, or not a valid IPv4/IPv6 "
	  "address)" },
	{ change_gateway_put, T " gateway_name=gw3 ip_address=192.168.10.1", 400,
	  "IP address already defined to the configuration" },
	{ change_gateway_put, T " gateway_name=gw3 ip_address=[FD00:10:0::1]", 400,
	  "IP address already defined to the configuration" },
	{ change_gateway_put, T0 " gateway_name=gw3 ip_address=10.0.0.1", 404,
	  "Target iqn.2003-01.com.example.gw:none does not exist" },
	{ change_gateway_delete, T " gateway_name=gw9.example.com", 404,
	  "Gateway does not exist in configuration" },

	{ change_disk_put, D("nopool", "x") " mode=create size=1G", 400, "pool name is invalid" },
	{ change_disk_put, D("..", "x") " mode=create size=1G", 400, "pool name is invalid" },
	{ change_disk_put, D("rbd", "../x") " mode=create size=1G", 400,
	  "Invalid image name (use alphanumeric, '_', '.', or '-' characters)" },
	{ change_disk_put, D("a/b", "x") " mode=create size=1G", 400,
	  "Invalid pool name (use alphanumeric, '_', '.', or '-' characters)" },
	{ change_disk_put, D("rbd", "x") " mode=create size=1024", 400, "Size is invalid" },
	{ change_disk_put, D("rbd", "x") " mode=create size=1X", 400, "Size is invalid" },
	{ change_disk_put, D("rbd", "x") " mode=create size=99999999999999T", 400,
	  "Size is invalid" },
	{ change_disk_put, D("rbd", "x") " mode=create", 400,
	  "Size parameter is required when creating a new image" },
	{ change_disk_put, D("rbd", "x") " mode=create size=1G create_image=false", 400,
	  "Image rbd/x does not exist" },
	{ change_disk_put, D("rbd", "x") " mode=create size=1G create_image=maybe", 400,
	  "Invalid 'create_image' value maybe" },
	{ change_disk_put, D("rbd", "bad,name") " mode=create size=1G", 400,
	  "Invalid image name (use alphanumeric, '_', '.', or '-' characters)" },
	{ change_disk_put, D("rbd", "x") " mode=create size=1G count=11", 400,
	  "invalid count specified, must be an integer (1-10)" },
	{ change_disk_put, D("rbd", "x") " mode=create size=1G count=x", 400,
	  "invalid count specified, must be an integer (1-10)" },
	{ change_disk_put, D("rbd", "x") " mode=create size=1G count=2 wwn=W", 400,
	  "WWN cannot be specified when count > 1" },
	{ change_disk_put, D("rbd", "x") " mode=create size=1G backstore=rbd", 400,
	  "Invalid 'rbd' backstore - Supported backstores: user:rbd" },
	{ change_disk_put, D("rbd", "disk_1") " mode=create size=1G", 400,
	  "at least one rbd image(s) with that name/prefix is already defined" },
	{ change_disk_put,
	  D("rbd", "x") " mode=create size=1G wwn=0f1e2d3c-4b5a-4968-8776-655443322110", 400,
	  "WWN 0f1e2d3c-4b5a-4968-8776-655443322110 is already in use by rbd/wwned" },
	{ change_disk_put, D("rbd", "disk_1") " mode=frob", 400,
	  "disk operation mode 'frob' is invalid" },
	{ change_disk_put, D("rbd", "disk_1"), 400, "disk operation mode 'None' is invalid" },
	{ change_disk_put, D("rbd", "none") " mode=resize size=1G", 404,
	  "rbd rbd/none is not defined to the configuration" },
	{ change_disk_put, D("rbd", "disk_1") " mode=resize size=1G", 400,
	  "resize value must be larger than the current size (3G/3221225472)" },
	{ change_disk_put, D("rbd", "disk_1") " mode=resize", 400, "Size is invalid" },
	{ change_disk_put, D("rbd", "x") " mode=create controls={\"max_data_area_mb\":0}", 500,
	  "Unexpected or invalid controls - expected integer >= 1 for max_data_area_mb" },
	{ change_disk_delete, D("rbd", "none"), 404, "rbd image rbd/none not found" },
	{ change_disk_delete, D("rbd", "disk.2"), 400,
	  "Unable to delete rbd/disk.2. Allocated to: iqn.1994-05.com.redhat:client1,"
	  "iqn.1994-05.com.redhat:client2" },
	{ change_disk_delete, D("rbd", "wwned"), 400,
	  "Unable to delete rbd/wwned. Mapped to: iqn.2003-01.com.example.gw:iscsi-igw" },

	{ change_disk_owner, D("rbd", "none") " owner=gw2.example.com", 404,
	  "rbd image rbd/none not found" },
	{ change_disk_owner, D("rbd", "disk_1"), 400, "Parameter 'owner' is missing" },
	{ change_disk_owner, D("rbd", "disk_1") " owner=gw3.example.com", 400,
	  "Gateway 'gw3.example.com' has no portal in target iqn.2003-01.com.example.gw:iscsi-igw "
	  "(its gateways: gw1.example.com, gw2.example.com)" },

	{ change_target_lun_put, T " disk=rbd/none", 400,
	  "Disk rbd/none is not defined in the configuration" },
	{ change_target_lun_put, T2 " disk=rbd/disk_1", 400,
	  "Disk rbd/disk_1 cannot be used because it is already mapped on target "
	  "iqn.2003-01.com.example.gw:iscsi-igw" },
	{ change_target_lun_delete, T " disk=a/b.c2", 400,
	  "Disk a/b.c2 is not defined in target iqn.2003-01.com.example.gw:iscsi-igw" },
	{ change_target_lun_delete, T " disk=rbd/disk_1", 400,
	  "Disk rbd/disk_1 belongs to group grp1" },
	{ change_target_lun_delete, T " disk=rbd/disk.2", 400,
	  "Delete target LUN mapping failed - failed on gw1.example.com. Failed to remove the LUN "
	  "- "
	  "Unable to delete rbd/disk.2 - allocated to iqn.1994-05.com.redhat:client1" },

	{ change_client_put, T " " C1, 400,
	  "A client with the name 'iqn.1994-05.com.redhat:client1' is already defined" },
	{ change_client_put, T " client_iqn=badname", 500,
	  "Invalid iqn badname - WWN not valid as: iqn" },
	{ change_client_put, T2 " " C0, 400,
	  "Cannot create client because target CHAP authentication is enabled" },
	{ change_client_delete, T " " C0, 400,
	  "iqn.1994-05.com.redhat:nobody is not defined yet - nothing to delete" },
	{ change_client_delete, T " " C3, 400,
	  "Unable to delete 'iqn.1994-05.com.redhat:client3' - it belongs to group grp1" },
	{ change_client_delete, T " " C1, 400,
	  "Client 'iqn.1994-05.com.redhat:client1' is logged in to "
	  "iqn.2003-01.com.example.gw:iscsi-igw- unable to delete until it's logged out" },
	{ change_client_lun_put, T " " C1 " disk=rbd/none", 400,
	  "Invalid image list - it defines new disks that do not current exist" },
	{ change_client_lun_put, T " " C1 " disk=rbd/disk.2", 400,
	  "client masking update failed on gw1.example.com. Invalid client request" },
	{ change_client_lun_put, T " " C1 " disk=a/b.c2", 400,
	  "Disk a/b.c2 is not defined in target iqn.2003-01.com.example.gw:iscsi-igw" },
	{ change_client_lun_put, T " " C3 " disk=rbd/wwned", 400,
	  "Unable to manage disks for 'iqn.1994-05.com.redhat:client3' - it belongs to group "
	  "grp1" },
	{ change_client_lun_delete, T " " C1 " disk=rbd/none", 400, "disk not mapped to client" },
	{ change_client_lun_put, T " " C0 " disk=rbd/wwned", 404,
	  "Client iqn.1994-05.com.redhat:nobody does not exist" },

	{ change_client_auth, T " " C1 " username=myiscsiusername", 400, "Password is required" },
	{ change_client_auth, T " " C1 " password=myiscsipassword", 400, "Username is required" },
	{ change_client_auth, T " " C1 " username=short password=myiscsipassword", 400,
	  "Minimum length of username is 8 characters" },
	{ change_client_auth, T " " C1 " username=myiscsiusername password=short", 400,
	  "Minimum length of password is 12 characters" },
	{ change_client_auth, T " " C1 " username=myiscsiusername password=averyverylongpassword",
	  400, "Maximum length of password is 16 characters" },
	{ change_client_auth, T " " C1 " username=myiscsiusername password=bad!password!!", 400,
	  "Invalid password" },
	{ change_client_auth, T " " C1 " username=my$iscsi$user password=myiscsipassword", 400,
	  "Invalid username" },
	{ change_client_auth,
	  T " " C1
	    " username=myiscsiusername password=myiscsipassword mutual_username=mutualusername",
	  400, "Mutual password is required" },
	{ change_client_auth,
	  T " " C1
	    " username=myiscsiusername password=myiscsipassword mutual_password=mutualpasswor",
	  400, "Mutual username is required" },
	{ change_client_auth,
	  T " " C1 " username=myiscsiusername password=myiscsipassword"
	    " mutual_username=mutualusername mutual_password=myiscsipassword",
	  400, "Mutual password must differ from password" },
	{ change_target_auth,
	  T2 " username=myiscsiusername password=myiscsipassword"
	     " mutual_username=mutualusername mutual_password=myiscsipassword",
	  400, "Mutual password must differ from password" },
	{ change_discovery_auth,
	  "username=myiscsiusername password=myiscsipassword mutual_username=mutualusername"
	  " mutual_password=myiscsipassword",
	  400, "Mutual password must differ from password" },
	{ change_target_auth, T " action=frob", 400, "Invalid auth frob" },
	{ change_target_auth, T " action=disable_acl", 400,
	  "Cannot disable ACL authentication because target has clients" },
	{ change_target_auth, T2 " action=enable_acl", 400,
	  "Cannot enable ACL authentication because target CHAP authentication is enabled" },
	{ change_target_auth, T " username=myiscsiusername password=myiscsipassword", 400,
	  "Cannot enable target CHAP authentication because ACL authentication is enabled" },
	{ change_discovery_auth, "username=x", 400, "Password is required" },

	{ change_group_put, T " group_name=g action=frob", 405,
	  "Invalid hostgroup action specified" },
	{ change_group_put, T " group_name=g members=iqn.1994-05.com.redhat:nobody", 400,
	  "hostgroup create/update failed on gw1.example.com. Group request failed validation" },
	{ change_group_put, T " group_name=g disks=rbd/none", 400,
	  "hostgroup create/update failed on gw1.example.com. Group request failed validation" },
	{ change_group_put, T " group_name=g members=iqn.1994-05.com.redhat:client1", 400,
	  "hostgroup create/update failed on gw1.example.com. Group request failed validation" },
	{ change_group_delete, T " group_name=g", 404, "Group name 'g' not found" },
};

static json_t *parse_arguments(const char *text)
{
	json_t *arguments = json_object();
	while (*text) {
		size_t len = strcspn(text, " ");
		const char *equals = memchr(text, '=', len);
		ASSERT_NOT_NULL(equals);
		size_t name_len = (size_t)(equals - text);
		(void)json_object_setn_new(arguments, text, name_len,
		                           json_stringn(equals + 1, len - name_len - 1));
		text += len;
		text += strspn(text, " ");
	}
	return arguments;
}

static json_t *rich_object(void)
{
	AUTO_FREE char *text = test_read_file("golden/config/v11-rich.nokeys.json", NULL);
	json_t *object = NULL;
	ASSERT_EQ(object_parse(text, &object, NULL), 0);
	return object;
}

TEST(refusals_say_why_in_the_words_of_upstream_and_change_nothing)
{
	AUTO_WORLD struct world world;
	world_init(&world);
	AUTO_JSON json_t *object = rich_object();
	(void)json_object_set_new(world.images, "rbd/disk_1", json_integer(3221225472));
	(void)json_array_append_new((json_t *)world.context.sessions,
	                            json_pack("{s:s, s:s}", "target",
	                                      "iqn.2003-01.com.example.gw:iscsi-igw", "initiator",
	                                      "iqn.1994-05.com.redhat:client1"));
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct change change;
		AUTO_JSON json_t *arguments = parse_arguments(rows[i].arguments);
		TEST_ROW("%s", rows[i].arguments);
		int r = change_run(rows[i].run, object, arguments, &world.context, &change);
		ASSERT_STR_EQ(change.message, rows[i].message);
		ASSERT_EQ(change.status, rows[i].status);
		ASSERT_TRUE(r < 0);
		change_done(&change);
	}
}

TEST(a_gateway_without_a_portal_takes_no_changes_of_the_target)
{
	AUTO_WORLD struct world world;
	world_init(&world);
	world.context.gateway_name = "gw3.example.com";
	AUTO_JSON json_t *object = rich_object();
	AUTO_JSON json_t *arguments = parse_arguments(T " " C0);
	struct change change;
	ASSERT_TRUE(change_run(change_client_put, object, arguments, &world.context, &change) < 0);
	ASSERT_STR_EQ(change.message,
	              "gw3.example.com cannot be used to perform this operation because it is not "
	              "defined within the gateways configuration");
	ASSERT_EQ(change.status, 400);
	change_done(&change);
}

TEST(fewer_gateways_than_the_minimum_get_no_disks_and_no_clients)
{
	AUTO_WORLD struct world world;
	world_init(&world);
	world.settings->minimum_gateways = 3;
	AUTO_JSON json_t *object = rich_object();
	AUTO_JSON json_t *arguments = parse_arguments(T " " C0 " disk=rbd/disk_1");
	struct change change;
	ASSERT_TRUE(change_run(change_client_put, object, arguments, &world.context, &change) < 0);
	ASSERT_STR_EQ(change.message,
	              "Clients can not be defined until a HA configuration has been "
	              "defined (>3 gateways)");
	change_done(&change);
	ASSERT_TRUE(change_run(change_target_lun_put, object, arguments, &world.context, &change) <
	            0);
	ASSERT_STR_EQ(change.message,
	              "at least 3 gateways must exist before disk mapping operations "
	              "are permitted");
	change_done(&change);
}

TEST(a_repeated_create_of_a_target_changes_nothing)
{
	AUTO_WORLD struct world world;
	world_init(&world);
	AUTO_JSON json_t *object = rich_object();
	AUTO_JSON json_t *arguments = parse_arguments(T);
	struct change change;
	ASSERT_EQ(change_run(change_target_put, object, arguments, &world.context, &change), 0);
	ASSERT_TRUE(change.unchanged);
	ASSERT_TRUE(json_equal(change.object, object));
	ASSERT_STR_EQ(change.message, "Target defined successfully");
	change_done(&change);
}

TEST(a_first_label_names_a_gateway_only_while_one_has_it)
{
	AUTO_WORLD struct world world;
	world_init(&world);
	AUTO_JSON json_t *object = rich_object();
	AUTO_JSON json_t *arguments =
	        parse_arguments(T3 " gateway_name=gw3 ip_address=10.0.0.3 skipchecks=true");
	struct change change;
	ASSERT_EQ(change_run(change_gateway_put, object, arguments, &world.context, &change), 0);
	ASSERT_NOT_NULL(
	        json_object_get(json_object_get(change.object, "gateways"), "gw3.example.com"));
	change_done(&change);
	(void)json_array_append_new((json_t *)world.context.members,
	                            json_string("gw3.example.org"));
	ASSERT_TRUE(change_run(change_gateway_put, object, arguments, &world.context, &change) < 0);
	ASSERT_EQ(change.status, 400);
	change_done(&change);
}

TEST(an_image_that_is_there_is_taken_over_and_grown)
{
	AUTO_WORLD struct world world;
	world_init(&world);
	AUTO_JSON json_t *object = rich_object();
	AUTO_JSON json_t *arguments = parse_arguments(D("rbd", "old") " mode=create size=2G");
	(void)json_object_set_new(world.images, "rbd/old", json_integer(1 << 20));
	struct change change;
	ASSERT_EQ(change_run(change_disk_put, object, arguments, &world.context, &change), 0);
	ASSERT_EQ(change.work_count, 1);
	ASSERT_EQ(change.work[0].kind, CHANGE_IMAGE_GROW);
	ASSERT_EQ(change.work[0].size_bytes, 2ull << 30);
	change_done(&change);
}

static json_int_t luns_of(const json_t *object, const char *gateway)
{
	const json_t *gateways = json_object_get(object, "gateways");
	return json_number(json_object_get(gateways, gateway), "active_luns", -1);
}

TEST(an_owner_set_by_hand_moves_the_counts_of_both_gateways)
{
	AUTO_WORLD struct world world;
	world_init(&world);
	AUTO_JSON json_t *object = rich_object();
	AUTO_JSON json_t *there = parse_arguments(D("rbd", "disk_1") " owner=gw2");
	AUTO_JSON json_t *back = parse_arguments(D("rbd", "disk_1") " owner=gw1.example.com");
	struct change moved, returned, again;
	ASSERT_EQ(change_run(change_disk_owner, object, back, &world.context, &again), 0);
	json_int_t first = luns_of(again.object, "gw1.example.com");
	json_int_t second = luns_of(again.object, "gw2.example.com");

	ASSERT_EQ(change_run(change_disk_owner, again.object, there, &world.context, &moved), 0);
	ASSERT_STR_EQ(moved.message, "Preferred owner of rbd/disk_1 is gw2.example.com");
	ASSERT_FALSE(moved.unchanged);
	ASSERT_FALSE(moved.takes_away);
	ASSERT_EQ(luns_of(moved.object, "gw1.example.com"), first - 1);
	ASSERT_EQ(luns_of(moved.object, "gw2.example.com"), second + 1);

	ASSERT_EQ(change_run(change_disk_owner, moved.object, back, &world.context, &returned), 0);
	ASSERT_EQ(luns_of(returned.object, "gw1.example.com"), first);
	ASSERT_EQ(luns_of(returned.object, "gw2.example.com"), second);
	change_done(&again);

	ASSERT_EQ(change_run(change_disk_owner, moved.object, there, &world.context, &again), 0);
	ASSERT_TRUE(again.unchanged);
	ASSERT_TRUE(json_equal(again.object, moved.object));
	change_done(&again);
	change_done(&moved);
	change_done(&returned);
}

TEST(a_disk_of_no_target_has_no_owner_to_set)
{
	AUTO_WORLD struct world world;
	world_init(&world);
	AUTO_JSON json_t *object = rich_object();
	AUTO_JSON json_t *arguments = parse_arguments(D("a", "b.c2") " owner=gw2");
	json_t *targets = json_object_get(object, "targets");
	struct change change;
	ASSERT_EQ(json_object_del(targets, "iqn.2003-01.com.example.gw:second"), 0);
	ASSERT_TRUE(change_run(change_disk_owner, object, arguments, &world.context, &change) < 0);
	ASSERT_STR_EQ(change.message, "Disk a/b.c2 must be assigned to a target");
	ASSERT_EQ(change.status, 400);
	change_done(&change);
}
