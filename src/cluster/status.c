/* See status.h. Members that an answer lacks come out as 0 or empty: releases differ. */
#include "cluster/status.h"

#include "cluster/command.h"

#include <errno.h>
#include <string.h>

#define POOL_ERASURE 3 /* type of a pool in `osd dump` */

/* ---- health and daemons ---- */

/* "ceph version 16.2.15 (618f...) pacific (stable)" -> "16.2.15" */
static json_t *version_number(const json_t *version)
{
	static const char before[] = "ceph version ";
	const char *text = json_text(version, "version", "");
	if (text_starts(text, before))
		text += sizeof before - 1;
	return json_stringn(text, strcspn(text, " "));
}

static json_t *health_checks(const json_t *health)
{
	json_t *checks = json_array(), *check;
	const char *code;
	json_object_foreach (json_object_get(health, "checks"), code, check) {
		const json_t *summary = json_object_get(check, "summary");
		(void)json_array_append_new(checks,
		                            json_string(json_text(summary, "message", code)));
	}
	return checks;
}

json_t *cluster_describe(const json_t *status, const json_t *version)
{
	const json_t *health = json_object_get(status, "health");
	const json_t *osds = json_object_get(status, "osdmap");
	if (json_object_get(osds, "osdmap"))
		osds = json_object_get(osds, "osdmap"); /* releases before 15 */
	const json_t *mons = json_object_get(status, "monmap");
	json_int_t quorum = (json_int_t)json_array_size(json_object_get(status, "quorum"));
	json_int_t mon_count = (json_int_t)json_array_size(json_object_get(mons, "mons"));
	return json_pack(
	        "{s:s, s:o, s:o, s:I, s:I, s:I, s:I, s:I, s:I}", "health",
	        json_text(health, "status", "unknown"), "checks", health_checks(health), "version",
	        version_number(version), "mons", json_number(mons, "num_mons", mon_count), "quorum",
	        quorum, "osds", json_number(osds, "num_osds", 0), "osds_up",
	        json_number(osds, "num_up_osds", 0), "osds_in", json_number(osds, "num_in_osds", 0),
	        "total_bytes", json_number(json_object_get(status, "pgmap"), "bytes_total", 0));
}

/* ---- pools ---- */

/* compat: "xSIZE" or "K+M" */
static json_t *pool_description(const json_t *pool, const json_t *profiles)
{
	json_int_t size = json_number(pool, "size", 0);
	const char *name = json_text(pool, "erasure_code_profile", "");
	const json_t *profile = json_object_get(profiles, name);
	if (json_number(pool, "type", 0) != POOL_ERASURE)
		return json_sprintf("x%" JSON_INTEGER_FORMAT, size);
	return json_sprintf("%s+%s", json_text(profile, "k", "?"), json_text(profile, "m", "?"));
}

static const json_t *stats_of(const json_t *df, const char *name)
{
	size_t i;
	json_t *pool;
	json_array_foreach (json_object_get(df, "pools"), i, pool)
		if (strcmp(json_text(pool, "name", ""), name) == 0)
			return json_object_get(pool, "stats");
	return NULL;
}

json_t *cluster_describe_pools(const json_t *df, const json_t *dump, const json_t *profiles)
{
	json_t *pools = json_object(), *pool;
	size_t i;
	json_array_foreach (json_object_get(dump, "pools"), i, pool) {
		const char *name = json_text(pool, "pool_name", "");
		const json_t *stats = stats_of(df, name);
		bool erasure = json_number(pool, "type", 0) == POOL_ERASURE;
		(void)json_object_set_new(pools, name,
		                          json_pack("{s:s, s:o, s:I, s:I}", "type",
		                                    erasure ? "erasure" : "replicated", "desc",
		                                    pool_description(pool, profiles), "max_bytes",
		                                    json_number(stats, "max_avail", 0),
		                                    "used_bytes",
		                                    json_number(stats, "bytes_used", 0)));
	}
	return pools;
}

/* ---- asking ---- */

static int ask(struct cluster_client *client, const char *question, json_t **ret_answer,
               struct error *err)
{
	int r = cluster_ask(client, json_pack("{s:s, s:s}", "prefix", question, "format", "json"),
	                    ret_answer);
	return r < 0 ? error_set(err, r, "the monitors do not answer `%s`: %s", question,
	                         strerror(-r))
	             : 0;
}

/* A profile that cannot be read is shown as "?+?". */
static json_t *read_profiles(struct cluster_client *client, const json_t *dump)
{
	json_t *profiles = json_object(), *pool;
	size_t i;
	json_array_foreach (json_object_get(dump, "pools"), i, pool) {
		const char *name = json_text(pool, "erasure_code_profile", "");
		json_t *profile = NULL;
		if (json_number(pool, "type", 0) != POOL_ERASURE || json_object_get(profiles, name))
			continue;
		if (cluster_ask(client,
		                json_pack("{s:s, s:s, s:s}", "prefix",
		                          "osd erasure-code-profile get", "name", name, "format",
		                          "json"),
		                &profile) == 0)
			(void)json_object_set_new(profiles, name, profile);
	}
	return profiles;
}

int cluster_status(struct cluster_client *client, json_t **ret_cluster, json_t **ret_pools,
                   struct error *err)
{
	AUTO_JSON json_t *status = NULL;
	AUTO_JSON json_t *version = NULL;
	AUTO_JSON json_t *df = NULL;
	AUTO_JSON json_t *dump = NULL;
	int r = ask(client, "status", &status, err);
	if (r == 0)
		r = ask(client, "version", &version, err);
	if (r == 0)
		r = ask(client, "df", &df, err);
	if (r == 0)
		r = ask(client, "osd dump", &dump, err);
	if (r < 0)
		return r;
	AUTO_JSON json_t *profiles = read_profiles(client, dump);
	AUTO_JSON json_t *cluster = cluster_describe(status, version);
	AUTO_JSON json_t *pools = cluster_describe_pools(df, dump, profiles);
	if (!cluster || !pools)
		return error_set(err, -ENOMEM, "out of memory");
	(void)json_object_set_new(cluster, "client", json_string(cluster_client_name(client)));
	*ret_cluster = steal(&cluster);
	*ret_pools = steal(&pools);
	return 0;
}
