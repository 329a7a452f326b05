/* The nodes below /cluster: health, pools and topology, as the gateways report them. */
#include "cli/kinds.h"
#include "cli/render.h"
#include "cli/size.h"

#include <inttypes.h>
#include <string.h>

static json_t *cluster_of(struct shell *shell)
{
	return model_overview(&shell->model, "cluster");
}

/* --- /cluster --- */

static void expand_clusters(struct shell *shell, struct node *node)
{
	(void)node_add(node, &kind_cluster, shell->options.cluster_name, NULL);
}

static void clusters_summary(struct shell *shell, struct node *node, struct summary *ret_summary)
{
	summary_set(ret_summary, HEALTH_UNKNOWN, "Clusters: 1");
}

static enum outcome run_refresh(struct shell *shell, struct call *call)
{
	/* Whatever is shown next is fetched anew. */
	model_forget(&shell->model);
	say(&shell->output, SAY_OK, "ok");
	return OUTCOME_DONE;
}

static const struct verb clusters_verbs[] = {
	{ "refresh", "", "Read the state of the cluster again.", run_refresh },
};

const struct node_kind kind_clusters = {
	.intro = "The Ceph clusters that the gateways use.",
	.expand = expand_clusters,
	.summary = clusters_summary,
	KIND_VERBS(clusters_verbs),
};

/* --- /cluster/NAME --- */

static void expand_cluster(struct shell *shell, struct node *node)
{
	if (json_object_size(cluster_of(shell)) == 0)
		return;
	(void)node_add(node, &kind_pools, "pools", NULL);
	(void)node_add(node, &kind_topology, "topology", NULL);
}

static void cluster_summary(struct shell *shell, struct node *node, struct summary *ret_summary)
{
	const char *health = json_text(cluster_of(shell), "health", "unavailable");
	enum health colour = strcmp(health, "HEALTH_OK") == 0     ? HEALTH_GOOD
	                     : strcmp(health, "HEALTH_WARN") == 0 ? HEALTH_UNKNOWN
	                                                          : HEALTH_BAD;
	summary_set(ret_summary, colour, "%s", health);
}

static void add_checks(struct string *text, const json_t *checks)
{
	size_t i;
	json_t *check;
	json_array_foreach (checks, i, check)
		string_format(text, "%s%s", i ? "," : " - ", json_string_value(check));
	if (json_array_size(checks))
		string_add(text, "\n");
}

static enum outcome cluster_info(struct shell *shell, struct call *call)
{
	const json_t *cluster = cluster_of(shell);
	if (json_object_size(cluster) == 0)
		return shell_refuse(shell, "The gateway does not tell the state of the cluster");
	if (shell->output.json) {
		render_json(shell->output.out, cluster);
		return OUTCOME_DONE;
	}
	json_int_t mons = json_number(cluster, "mons", 0);
	json_int_t quorum = json_number(cluster, "quorum", mons);
	char capacity[SIZE_TEXT_MAX];
	AUTO_STRING struct string text = { 0 };
	string_format(&text, "Cluster name: %s\nCeph version: %s\nHealth      : %s\n",
	              call->at->name, json_text(cluster, "version", "unknown"),
	              json_text(cluster, "health", "unknown"));
	add_checks(&text, json_object_get(cluster, "checks"));
	string_format(&text, "\nMONs : %4lld (quorum %lld, out of quorum: %lld)\n", mons, quorum,
	              mons - quorum);
	string_format(&text, "OSDs : %4lld (%lld up, %lld in)\nPools: %4zu\n",
	              json_number(cluster, "osds", 0), json_number(cluster, "osds_up", 0),
	              json_number(cluster, "osds_in", 0),
	              json_object_size(model_overview(&shell->model, "pools")));
	string_format(&text, "Raw capacity: %s\n\nConfig : %s\nClient Name: %s\n\n",
	              size_text((uint64_t)json_number(cluster, "total_bytes", 0), capacity),
	              json_text(cluster, "conf", shell->options.ceph_conf),
	              json_text(cluster, "client", shell->options.client_name));
	fputs(text.text ? text.text : "", shell->output.out);
	return OUTCOME_DONE;
}

static const struct verb cluster_verbs[] = {
	{ "info", "", "Show health, daemons and capacity of the cluster.", cluster_info,
	  .json = true },
	{ "refresh", "", "Read the state of the cluster again.", run_refresh },
};

const struct node_kind kind_cluster = {
	.intro = "The Ceph cluster that holds the images.",
	.expand = expand_cluster,
	.summary = cluster_summary,
	KIND_VERBS(cluster_verbs),
};

/* --- pools --- */

static void expand_pools(struct shell *shell, struct node *node)
{
	const char *name;
	json_t *pool;
	json_object_foreach (model_overview(&shell->model, "pools"), name, pool)
		(void)node_add(node, &kind_pool, name, NULL);
}

static void pools_summary(struct shell *shell, struct node *node, struct summary *ret_summary)
{
	summary_set(ret_summary, HEALTH_GOOD, "Pools: %zu",
	            json_object_size(model_overview(&shell->model, "pools")));
}

const struct node_kind kind_pools = {
	.intro = "The pools of the cluster.",
	.expand = expand_pools,
	.summary = pools_summary,
};

struct pool_numbers {
	const json_t *pool;
	uint64_t commit, max, used;
	unsigned percent;
};

static struct pool_numbers pool_numbers(struct shell *shell, const char *name)
{
	struct pool_numbers numbers = { 0 };
	numbers.pool = model_member(model_overview(&shell->model, "pools"), name);
	numbers.max = (uint64_t)json_number(numbers.pool, "max_bytes", 0);
	numbers.used = (uint64_t)json_number(numbers.pool, "used_bytes", 0);
	const char *id;
	json_t *disk;
	uint64_t bytes;
	json_object_foreach (model_disks(&shell->model), id, disk) {
		if (strcmp(json_text(disk, "pool", ""), name) == 0 &&
		    model_disk_size(&shell->model, id, &bytes) == DISK_SIZE_KNOWN)
			numbers.commit += bytes;
	}
	if (numbers.max)
		numbers.percent = (unsigned)((double)numbers.commit / (double)numbers.max * 100);
	return numbers;
}

static void pool_summary(struct shell *shell, struct node *node, struct summary *ret_summary)
{
	struct pool_numbers numbers = pool_numbers(shell, node->name);
	char commit[SIZE_TEXT_MAX], max[SIZE_TEXT_MAX], used[SIZE_TEXT_MAX];
	summary_set(ret_summary, HEALTH_GOOD, "(%s), Commit: %s/%s (%u%%), Used: %s",
	            json_text(numbers.pool, "desc", "?"), size_text(numbers.commit, commit),
	            size_text(numbers.max, max), numbers.percent, size_text(numbers.used, used));
}

static enum outcome pool_info(struct shell *shell, struct call *call)
{
	struct pool_numbers numbers = pool_numbers(shell, call->at->name);
	AUTO_JSON json_t *fields = json_pack(
	        "{ss sI si sI sI ss ss}", "Name", call->at->name, "Commit",
	        (json_int_t)numbers.commit, "Overcommit Pct", (int)numbers.percent, "Max Bytes",
	        (json_int_t)numbers.max, "Used Bytes", (json_int_t)numbers.used, "Type",
	        json_text(numbers.pool, "type", ""), "Desc", json_text(numbers.pool, "desc", ""));
	render_fields(&shell->output, fields);
	return OUTCOME_DONE;
}

static const struct verb pool_verbs[] = {
	{ "info", "", "Show size and use of the pool.", pool_info, .json = true },
};

const struct node_kind kind_pool = {
	.intro = "A pool. Commit is the sum of the sizes of its images that are gateway disks.",
	.summary = pool_summary,
	KIND_VERBS(pool_verbs),
};

/* --- topology --- */

static void topology_summary(struct shell *shell, struct node *node, struct summary *ret_summary)
{
	const json_t *cluster = cluster_of(shell);
	summary_set(ret_summary, HEALTH_GOOD, "OSDs: %lld,MONs: %lld",
	            json_number(cluster, "osds", 0), json_number(cluster, "mons", 0));
}

static enum outcome topology_info(struct shell *shell, struct call *call)
{
	fputs("'info' not available for this item\n", shell->output.out);
	return OUTCOME_DONE;
}

static const struct verb topology_verbs[] = {
	{ "info", "", "Nothing more is known of this item.", topology_info },
};

const struct node_kind kind_topology = {
	.intro = "The daemons of the cluster.",
	.summary = topology_summary,
	KIND_VERBS(topology_verbs),
};
