/* What the monitors answer, as people see it. */
#include "cluster/status.h"
#include "test.h"

static json_t *parsed(const char *text)
{
	json_t *value = json_loads(text, 0, NULL);
	ASSERT_NOT_NULL(value);
	return value;
}

TEST(health_and_daemons_are_read_from_the_answers_of_several_releases)
{
	static const struct {
		const char *release, *status, *version, *shown;
	} rows[] = {
		{ "16",
		  "{\"health\":{\"status\":\"HEALTH_WARN\",\"checks\":{\"OSD_DOWN\":{\"severity\":"
		  "\"HEALTH_WARN\",\"summary\":{\"message\":\"1 osds down\",\"count\":1}}}},"
		  "\"quorum\":[0,2],\"quorum_names\":[\"a\",\"c\"],\"monmap\":{\"num_mons\":3},"
		  "\"osdmap\":{\"num_osds\":4,\"num_up_osds\":3,\"num_in_osds\":4},"
		  "\"pgmap\":{\"bytes_total\":64424509440}}",
		  "{\"version\":\"ceph version 16.2.15 (618f4) pacific (stable)\"}",
		  "{\"checks\":[\"1 osds down\"],\"health\":\"HEALTH_WARN\",\"mons\":3,\"osds\":4,"
		  "\"osds_in\":4,\"osds_up\":3,\"quorum\":2,\"total_bytes\":64424509440,"
		  "\"version\":\"16.2.15\"}" },
		{ "14",
		  "{\"health\":{\"status\":\"HEALTH_OK\",\"checks\":{}},\"quorum\":[0],"
		  "\"monmap\":{\"mons\":[{\"name\":\"a\"}]},\"osdmap\":{\"osdmap\":{\"num_osds\":1,"
		  "\"num_up_osds\":1,\"num_in_osds\":1}},\"pgmap\":{\"bytes_total\":1}}",
		  "{\"version\":\"ceph version 14.2.22 (ca742) nautilus (stable)\"}",
		  "{\"checks\":[],\"health\":\"HEALTH_OK\",\"mons\":1,\"osds\":1,\"osds_in\":1,"
		  "\"osds_up\":1,\"quorum\":1,\"total_bytes\":1,\"version\":\"14.2.22\"}" },
		{ "empty", "{}", "{}",
		  "{\"checks\":[],\"health\":\"unknown\",\"mons\":0,\"osds\":0,\"osds_in\":0,"
		  "\"osds_up\":0,\"quorum\":0,\"total_bytes\":0,\"version\":\"\"}" },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO_JSON json_t *status = parsed(rows[i].status);
		AUTO_JSON json_t *version = parsed(rows[i].version);
		AUTO_JSON json_t *cluster = cluster_describe(status, version);
		TEST_ROW("%s", rows[i].release);
		ASSERT_NOT_NULL(cluster);
		AUTO_FREE char *text = json_format(cluster, &json_style_compact);
		ASSERT_STR_EQ(text, rows[i].shown);
	}
}

TEST(pools_have_a_type_a_description_and_sizes)
{
	AUTO_JSON json_t *df = parsed(
	        "{\"pools\":[{\"name\":\"rbd\",\"id\":1,\"stats\":{\"max_avail\":20401094656,"
	        "\"bytes_used\":196608}}]}");
	AUTO_JSON json_t *dump = parsed(
	        "{\"pools\":[{\"pool_name\":\"rbd\",\"type\":1,\"size\":3,"
	        "\"erasure_code_profile\":\"\"},"
	        "{\"pool_name\":\"ec\",\"type\":3,\"size\":3,\"erasure_code_profile\":\"p\"},"
	        "{\"pool_name\":\"odd\",\"type\":3,\"size\":3,\"erasure_code_profile\":\"?\"}]}");
	AUTO_JSON json_t *profiles = parsed("{\"p\":{\"k\":\"2\",\"m\":\"1\"}}");
	AUTO_JSON json_t *pools = cluster_describe_pools(df, dump, profiles);
	AUTO_FREE char *text = json_format(pools, &json_style_compact);
	ASSERT_STR_EQ(text,
	              "{\"ec\":{\"desc\":\"2+1\",\"max_bytes\":0,\"type\":\"erasure\","
	              "\"used_bytes\":0},"
	              "\"odd\":{\"desc\":\"?+?\",\"max_bytes\":0,\"type\":\"erasure\","
	              "\"used_bytes\":0},"
	              "\"rbd\":{\"desc\":\"x3\",\"max_bytes\":20401094656,\"type\":\"replicated\","
	              "\"used_bytes\":196608}}");
}
