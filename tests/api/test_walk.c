/* The walk-through and what it answers, over HTTP, on a folder. */
#include "api_world.h"

#define TARGET "iqn.2003-01.com.redhat.iscsi-gw:iscsi-igw"
#define CLIENT "iqn.1994-05.com.redhat:rh7-client"

/* What gatewayinfo tells of gateways and a LUN that have no rows of ours. */
#define NO_ROW "{\"luns\":0,\"maintenance\":false,\"state\":\"unregistered\"}"
#define OWNERS(gateways)                                                                   \
	",\"rbdgate\":{\"gateways\":{" gateways "},\"luns\":{\"rbd/disk_1\":{\"epoch\":0," \
	"\"owner\":\"\",\"preferred_owner\":\"gw1.example.com\",\"state\":\"none\"}}}"

struct step {
	const char *method, *path, *form;
	long status;
	const char *body; /* without the newline; NULL: any */
};

static void walk(const struct api_world *world, const struct step *steps, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		AUTO_FREE char *body = NULL;
		struct call call = { .method = steps[i].method,
			             .path = steps[i].path,
			             .form = steps[i].form,
			             .user = "admin:admin" };
		TEST_ROW("%s %s", call.method, call.path);
		long status = world_call(world, &call, &body, NULL);
		size_t len = strlen(body);
		ASSERT_TRUE(len > 0 && body[len - 1] == '\n');
		body[len - 1] = '\0';
		if (status != steps[i].status)
			fail_msg("%ld %s", status, body);
		if (steps[i].body)
			ASSERT_STR_EQ(body, steps[i].body);
	}
}

static const struct step walk_through[] = {
	{ "GET", "/api/_ping", NULL, 200, "{\"message\":\"pong\"}" },
	{ "GET", "/api/targets", NULL, 200, "{\"targets\":[]}" },
	{ "PUT", "/api/target/" TARGET, NULL, 200,
	  "{\"message\":\"Target defined successfully\"}" },
	{ "GET", "/api/targets", NULL, 200, "{\"targets\":[\"" TARGET "\"]}" },
	{ "PUT", "/api/gateway/" TARGET "/gw1", "ip_address=10.9.0.1&skipchecks=true", 200,
	  "{\"message\":\"Gateway creation successful\"}" },
	{ "PUT", "/api/gateway/" TARGET "/gw2.example.com", "ip_address=10.9.0.2&skipchecks=true",
	  200, "{\"message\":\"Gateway creation successful\"}" },
	{ "PUT", "/api/gateway/" TARGET "/gw3", "ip_address=10.9.0.3&skipchecks=true", 400, NULL },
	{ "GET", "/api/gateways/" TARGET, NULL, 200,
	  "{\"gw1.example.com\":{\"gateway_ip_list\":[\"10.9.0.1\",\"10.9.0.2\"],\"inactive_portal_"
	  "ips\":"
	  "[\"10.9.0.2\"],\"portal_ip_addresses\":[\"10.9.0.1\"],\"tpgs\":2},\"gw2.example.com\":{"
	  "\"gateway_ip_list\":[\"10.9.0.1\",\"10.9.0.2\"],\"inactive_portal_ips\":[\"10.9.0.1\"],"
	  "\"portal_ip_addresses\":[\"10.9.0.2\"],\"tpgs\":2}}" },
	{ "PUT", "/api/disk/rbd/disk_1", "mode=create&size=64M", 200,
	  "{\"message\":\"disk create/update successful\"}" },
	{ "GET", "/api/disks", NULL, 200, "{\"disks\":[\"rbd/disk_1\"]}" },
	{ "PUT", "/api/targetlun/" TARGET, "disk=rbd/disk_1", 200,
	  "{\"message\":\"Target LUN mapping updated successfully\"}" },
	{ "PUT", "/api/disk/rbd/disk_1", "mode=resize&size=128M", 200,
	  "{\"message\":\"disk create/update successful\"}" },
	{ "PUT", "/api/disk/rbd/disk_1",
	  "mode=reconfigure&controls=%7B%22max_data_area_mb%22%3A16%7D", 200,
	  "{\"message\":\"lun reconfigured: successful\"}" },
	{ "PUT", "/api/disksnap/rbd/disk_1/before", "mode=rollback", 400,
	  "{\"message\":\"failed to rollback snapshot: images in a dir store have no "
	  "snapshots\"}" },
	{ "PUT", "/api/client/" TARGET "/" CLIENT, NULL, 200,
	  "{\"message\":\"client create/update successful\"}" },
	{ "PUT", "/api/clientauth/" TARGET "/" CLIENT,
	  "username=myiscsiusername&password=myiscsipassword", 200,
	  "{\"message\":\"client auth successful\"}" },
	{ "PUT", "/api/clientlun/" TARGET "/" CLIENT, "disk=rbd/disk_1", 200,
	  "{\"message\":\"client masking update successful\"}" },
	{ "GET", "/api/_clientlun/" TARGET "/" CLIENT, NULL, 200,
	  "{\"message\":{\"rbd/disk_1\":{\"lun_id\":0}}}" },
	{ "GET", "/api/clients/" TARGET, NULL, 200, "{\"clients\":[\"" CLIENT "\"]}" },
	{ "GET", "/api/_client/" TARGET "/" CLIENT, NULL, 200,
	  "{\"auth\":{\"mutual_password\":\"\",\"mutual_password_encryption_enabled\":false,"
	  "\"mutual_username\":\"\",\"password\":\"myiscsipassword\",\"password_encryption_"
	  "enabled\":"
	  "false,\"username\":\"myiscsiusername\"},\"group_name\":\"\",\"luns\":{\"rbd/disk_1\":{"
	  "\"lun_id\":0}}}" },
	{ "PUT", "/api/targetauth/" TARGET, "action=enable_acl", 200,
	  "{\"message\":\"target auth enable_acl - successful\"}" },
	{ "PUT", "/api/discoveryauth", "username=discoveryuser1&password=discoverypass1", 200,
	  "{\"message\":\"discovery auth successful\"}" },
	{ "GET", "/api/config", NULL, 200, NULL },
	{ "GET", "/api/config?decrypt_passwords=True", NULL, 200, NULL },
	{ "GET", "/api/settings", NULL, 200, NULL },
	{ "GET", "/api/sysinfo/hostname", NULL, 200, "{\"data\":\"gw1.example.com\"}" },
	{ "GET", "/api/sysinfo/checkversions", NULL, 200, "{\"data\":\"checks passed\"}" },
	{ "GET", "/api/sysinfo/bogus", NULL, 404, "{\"message\":\"Unknown /sysinfo query\"}" },
	{ "GET", "/api/gatewayinfo", NULL, 200,
	  "{\"num_sessions\":0" OWNERS("\"gw1.example.com\":" NO_ROW
	                               ",\"gw2.example.com\":" NO_ROW) "}" },
	{ "GET", "/api/_targetinfo/" TARGET, NULL, 200, "{\"num_sessions\":0}" },
	{ "GET", "/api/_clientinfo/" TARGET "/" CLIENT, NULL, 200,
	  "{\"alias\":\"\",\"ip_address\":[],\"state\":\"\"}" },
	{ "GET", "/api/_ping", NULL, 503, "{\"message\":\"pong\"}" },
	{ "DELETE", "/api/target/" TARGET, NULL, 400,
	  "{\"message\":\"Clients(1) and disks(1) must be removed before the gateways\"}" },
	{ "DELETE", "/api/clientlun/" TARGET "/" CLIENT, "disk=rbd/disk_1", 200, NULL },
	{ "DELETE", "/api/client/" TARGET "/" CLIENT, NULL, 200,
	  "{\"message\":\"client delete successful\"}" },
	{ "DELETE", "/api/targetlun/" TARGET, "disk=rbd/disk_1", 200, NULL },
	{ "DELETE", "/api/disk/rbd/disk_1", NULL, 200,
	  "{\"message\":\"disk map deletion successful\"}" },
	{ "DELETE", "/api/gateway/" TARGET "/gw1.example.com", NULL, 200,
	  "{\"message\":\"Gateway deletion successful\"}" },
	{ "DELETE", "/api/gateway/" TARGET "/gw2.example.com", NULL, 200, NULL },
	{ "DELETE", "/api/target/" TARGET, NULL, 200, "{\"message\":\"Target deleted.\"}" },
};

TEST(the_walk_through_works_from_an_empty_folder_and_back)
{
	AUTO_API_WORLD struct api_world world = { 0 };
	world_start(&world, "", NULL);
	world_add_member(&world, "gw1.example.com");
	world_add_member(&world, "gw2.example.com");
	walk(&world, walk_through, ARRAY_LEN(walk_through));
}

static const struct step with_target[] = {
	{ "PUT", "/api/target/" TARGET, NULL, 200, NULL },
	{ "PUT", "/api/gateway/" TARGET "/gw1", "ip_address=10.9.0.1&skipchecks=true", 200, NULL },
	{ "PUT", "/api/gateway/" TARGET "/gw2", "ip_address=10.9.0.2&skipchecks=true", 200, NULL },
};

TEST(a_silent_gateway_is_a_warning_and_vetoes_only_what_takes_away)
{
	static const struct step steps[] = {
		{ "PUT", "/api/client/" TARGET "/" CLIENT, NULL, 200,
		  "{\"message\":\"client create/update successful; warning: gw2.example.com does "
		  "not "
		  "answer, there it is not yet in force\"}" },
		{ "DELETE", "/api/client/" TARGET "/" CLIENT, NULL, 503,
		  "{\"message\":\"client delete failed on gw2.example.com, applied to "
		  "gw1.example.com. "
		  "The change is stored, but the gateway does not answer: there it is not yet in "
		  "force\"}" },
	};
	AUTO_API_WORLD struct api_world world = { 0 };
	world_start(&world, "", NULL);
	world_add_member(&world, "gw1.example.com");
	world_add_member(&world, "gw2.example.com");
	walk(&world, with_target, ARRAY_LEN(with_target));
	world.members[1].silent = true;
	walk(&world, steps, ARRAY_LEN(steps));
}

TEST(a_gateway_that_cannot_apply_makes_an_error_once)
{
	static const struct step steps[] = {
		{ "PUT", "/api/client/" TARGET "/" CLIENT, NULL, 500,
		  "{\"message\":\"client create/update failed on gw2.example.com, applied to "
		  "gw1.example.com. no such address\"}" },
		{ "PUT", "/api/target/" TARGET,
		  "mode=reconfigure&controls=%7B%22cmdsn_depth%22%3A64%7D", 200,
		  "{\"message\":\"Target reconfigured.; warning: gw2.example.com reports as "
		  "before: no "
		  "such address\"}" },
	};
	AUTO_API_WORLD struct api_world world = { 0 };
	world_start(&world, "", NULL);
	world_add_member(&world, "gw1.example.com");
	world_add_member(&world, "gw2.example.com");
	walk(&world, with_target, ARRAY_LEN(with_target));
	(void)snprintf(world.members[1].problem, sizeof world.members[1].problem,
	               "no such address");
	world.members[1].problem_epoch = 4; /* of the first step */
	walk(&world, steps, ARRAY_LEN(steps));
}

TEST(sessions_and_disks_are_told_as_the_local_target_tells_them)
{
	static const struct step before[] = {
		{ "PUT", "/api/client/" TARGET "/" CLIENT, NULL, 200, NULL },
		{ "PUT", "/api/disk/rbd/disk_1", "mode=create&size=1M", 200, NULL },
		{ "PUT", "/api/targetlun/" TARGET, "disk=rbd/disk_1", 200, NULL },
		{ "GET", "/api/_ping", NULL, 200, "{\"message\":\"pong\"}" },
	};
	static const struct step steps[] = {
		{ "GET", "/api/gatewayinfo", NULL, 200,
		  "{\"num_sessions\":1" OWNERS("\"gw1.example.com\":" NO_ROW) "}" },
		{ "GET", "/api/_targetinfo/" TARGET, NULL, 200, "{\"num_sessions\":1}" },
		{ "GET", "/api/_clientinfo/" TARGET "/" CLIENT, NULL, 200,
		  "{\"alias\":\"rh7\",\"ip_address\":[\"10.9.0.50\"],\"state\":\"LOGGED_IN\"}" },
		{ "DELETE", "/api/client/" TARGET "/" CLIENT, NULL, 400,
		  "{\"message\":\"Client '" CLIENT "' is logged in to " TARGET
		  "- unable to delete until it's logged out\"}" },
	};
	AUTO_API_WORLD struct api_world world = { 0 };
	world_start(&world, "minimum_gateways = 1", NULL);
	world_add_member(&world, "gw1.example.com");
	world_serve_control(&world, "gw1.example.com");
	walk(&world, with_target, 2);
	walk(&world, before, ARRAY_LEN(before));
	(void)snprintf(
	        world.control_answer, sizeof world.control_answer,
	        "{\"serving\":true,\"sessions\":[{\"initiator\":\"" CLIENT "\",\"target\":\"" TARGET
	        "\",\"alias\":\"rh7\",\"peer\":\"10.9.0.50:51712\",\"tag\":1}],\"luns\":[{\"name\":"
	        "\"rbd/disk_1\",\"state\":\"ready\",\"owner\":true}]}");
	walk(&world, steps, ARRAY_LEN(steps));
	AUTO_FREE char *body = NULL;
	struct call call = { "GET", "/api/disk/rbd/disk_1", NULL, "admin:admin", NULL, false };
	ASSERT_EQ(world_call(&world, &call, &body, NULL), 200);
	AUTO_JSON json_t *disk = json_loads(body, 0, NULL);
	const json_t *status = json_object_get(disk, "status");
	ASSERT_STR_EQ(json_text(status, "state", ""), "Online");
	ASSERT_STR_EQ(json_text(status, "lock_owner", ""), "gw1.example.com");
}
