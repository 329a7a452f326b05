/* One connection to the cluster: options, connecting with errors that say what to do, pools. See
 * client.h. */
#include "cluster/client_private.h"
#include "cluster/version.h"

#include <errno.h>
#include <rados/librados.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_CONNECT_TIMEOUT_S 5

/* Set over what the configuration file says. Names that the library does not know (other releases)
 * are passed over. */
struct option {
	const char *name, *value;
};
static const struct option common_options[] = {
	/* Errors reach people through our log, once; never stderr. */
	{ "err_to_stderr", "false" }, { "log_to_stderr", "false" },     { "log_to_file", "false" },
	{ "log_file", "" },           { "rados_mon_op_timeout", "30" },
};
static const struct option control_options[] = {
	{ "rados_osd_op_timeout", "30" },
};
static const struct option data_options[] = {
	/* A write that timed out may still land (H5): it waits instead. */
	{ "rados_osd_op_timeout", "0" },
	/* Completed is durable, and no gateway answers from a memory of its own (H2). */
	{ "rbd_cache", "false" },
	{ "rbd_persistent_cache_mode", "disabled" },
	/* Zero copy would save a third of the CPU of a 1 MiB write, but a write that the lock
	 * refuses (fenced, lock lost) then never completes and rbd_close() hangs: its completion
	 * waits for the buffer, whose release waits for the completion (seen with 16.2.15). */
	{ "rbd_disable_zero_copy_writes", "true" },
	/* A discard is a hint: what is less than a granule is left alone, not written. */
	{ "rbd_skip_partial_discard", "true" },
	{ "rbd_discard_granularity_bytes", "65536" },
	/* Reached, the submitting thread would block for all images of the client. */
	{ "objecter_inflight_ops", "8192" },
	{ "objecter_inflight_op_bytes", "1073741824" },
	/* Breaking a lock must fence its owner; any other expiry makes that fail (H13). */
	{ "rbd_blocklist_on_break_lock", "true" },
	{ "rbd_blacklist_on_break_lock", "true" },
	{ "rbd_blocklist_expire_seconds", "0" },
	{ "rbd_blacklist_expire_seconds", "0" },
	/* Reading a disk writes nothing. */
	{ "rbd_atime_update_interval", "0" },
};

/* "1/5": up to 1 is logged, and up to 5 is formatted and kept for the library's dump of a crash.
 * That dump goes nowhere (above), and costs 7 % of the CPU time of a take-over. What the
 * administrator has set stays. */
static const struct {
	const char *name, *usual, *less;
} levels[] = {
	{ "debug_auth", "1/5", "1" },     { "debug_monc", "0/10", "0" },
	{ "debug_objecter", "0/1", "0" }, { "debug_rados", "0/5", "0" },
	{ "debug_rbd", "0/5", "0" },
};

static void keep_for_no_dump(rados_t rados)
{
	for (size_t i = 0; i < ARRAY_LEN(levels); i++) {
		char level[16];
		if (rados_conf_get(rados, levels[i].name, level, sizeof level) == 0 &&
		    strcmp(level, levels[i].usual) == 0)
			(void)rados_conf_set(rados, levels[i].name, levels[i].less);
	}
}

static void set_options(rados_t rados, const struct option *options, size_t count)
{
	for (size_t i = 0; i < count; i++)
		(void)rados_conf_set(rados, options[i].name, options[i].value);
}

static void configure(rados_t rados, const struct cluster_client_config *config)
{
	char timeout[16];
	(void)snprintf(timeout, sizeof timeout, "%u",
	               config->connect_timeout_s ? config->connect_timeout_s
	                                         : DEFAULT_CONNECT_TIMEOUT_S);
	(void)rados_conf_set(rados, "client_mount_timeout", timeout);
	keep_for_no_dump(rados);
	set_options(rados, common_options, ARRAY_LEN(common_options));
	if (config->data)
		set_options(rados, data_options, ARRAY_LEN(data_options));
	else
		set_options(rados, control_options, ARRAY_LEN(control_options));
}

static int read_configuration(rados_t rados, const struct cluster_client_config *config,
                              struct error *err)
{
	const char *path = config->conf_path ? config->conf_path : getenv("CEPH_CONF");
	int r = rados_conf_read_file(rados, config->conf_path);
	if (r < 0)
		return error_set(err, r, "cannot read the Ceph configuration %s: %s",
		                 path ? path : "/etc/ceph/ceph.conf", strerror(-r));
	r = rados_conf_parse_env(rados, NULL);
	if (r < 0)
		return error_set(err, r, "CEPH_ARGS holds what Ceph does not understand: %s",
		                 strerror(-r));
	return 0;
}

/* A list of files, of which the first that can be read is taken, as librados does. 0 if there is
 * one, else why the last cannot be read. */
static int find_keyring(const char *list)
{
	int r = -ENOENT;
	AUTO_FREE char *copy = strdup(list);
	char *rest = copy;
	for (char *path; r != 0 && (path = strsep(&rest, ",; ")) != NULL;) {
		if (*path == '\0')
			continue;
		if (access(path, R_OK) == 0)
			r = 0;
		else if (errno == EACCES)
			r = -EACCES;
	}
	return r;
}

/* Without a key librados goes on and times out, so the keyring is looked at first. */
static int explain_connect(rados_t rados, const char *name, int r, struct error *err)
{
	char keyring[1024] = "", monitors[256] = "", key[8] = "";
	(void)rados_conf_get(rados, "keyring", keyring, sizeof keyring);
	(void)rados_conf_get(rados, "mon_host", monitors, sizeof monitors);
	bool has_key = rados_conf_get(rados, "key", key, sizeof key) != 0 || key[0] != '\0';
	int found = has_key ? 0 : find_keyring(keyring);
	if (found == -EACCES)
		return error_set(err, -EACCES,
		                 "the keyring of %s cannot be read (%s): give this user access",
		                 name, keyring);
	if (found < 0)
		return error_set(err, -ENOENT, "there is no keyring for %s: looked for %s", name,
		                 keyring);
	if (monitors[0] == '\0')
		return error_set(err, -ENOENT,
		                 "the Ceph configuration names no monitor: set mon_host");
	if (r == -ETIMEDOUT)
		return error_set(err, r,
		                 "no Ceph monitor answers (%s): check the network and mon_host",
		                 monitors);
	if (r == -ENOENT)
		return error_set(err, r, "the keyring %s holds no key of %s", keyring, name);
	if (r == -EIO)
		return error_set(err, r,
		                 "the keyring %s is damaged: write it anew, `ceph auth get %s -o "
		                 "FILE`",
		                 keyring, name);
	if (r == -EACCES || r == -EPERM)
		return error_set(
		        err, -EACCES,
		        "Ceph refuses the key of %s (keyring %s): compare `ceph auth get %s`", name,
		        keyring, name);
	return error_set(err, r, "cannot connect to the Ceph cluster at %s as %s: %s", monitors,
	                 name, strerror(-r));
}

static int read_address(struct cluster_client *client, struct error *err)
{
	char *address;
	int r = rados_getaddrs(client->rados, &address);
	if (r < 0)
		return error_set(err, r, "cannot learn this client's own address: %s",
		                 strerror(-r));
	client->address = strdup(address);
	rados_buffer_free(address);
	return client->address ? 0 : error_set(err, -ENOMEM, "out of memory");
}

int cluster_client_connect(const struct cluster_client_config *config,
                           struct cluster_client **ret_client, struct error *err)
{
	AUTO(cluster_client) struct cluster_client *client = calloc(1, sizeof *client);
	if (!client)
		return error_set(err, -ENOMEM, "out of memory");
	(void)pthread_mutex_init(&client->lock, NULL);
	together_init(&client->map);
	client->name = strdup(config->client_name);
	client->conf_path = config->conf_path ? strdup(config->conf_path) : NULL;
	if (!client->name || (config->conf_path && !client->conf_path))
		return error_set(err, -ENOMEM, "out of memory");
	int r = rados_create2(&client->rados, "ceph", config->client_name, 0);
	if (r < 0) {
		client->rados = NULL;
		return error_set(err, r, "'%s' is no name of a Ceph client, like client.admin: %s",
		                 config->client_name, strerror(-r));
	}
	r = read_configuration(client->rados, config, err);
	if (r < 0)
		return r;
	configure(client->rados, config);
	r = rados_connect(client->rados);
	if (r < 0)
		return explain_connect(client->rados, config->client_name, r, err);
	r = read_address(client, err);
	if (r < 0)
		return r;
	*ret_client = steal(&client);
	return 0;
}

int cluster_client_connect_data(const struct cluster_client *control,
                                struct cluster_client **ret_client, struct error *err)
{
	const struct cluster_client_config config = {
		.conf_path = control->conf_path,
		.client_name = control->name,
		.data = true,
	};
	return cluster_client_connect(&config, ret_client, err);
}

void fenced_forget(struct cluster_client *client)
{
	for (struct fenced *fenced; (fenced = client->fenced);) {
		client->fenced = fenced->next;
		free(fenced);
	}
	client->fenced_count = 0;
}

void cluster_client_free(struct cluster_client *client)
{
	if (!client)
		return;
	if (client->rados)
		rados_shutdown(client->rados);
	fenced_forget(client);
	(void)pthread_mutex_destroy(&client->lock);
	together_done(&client->map);
	free(client->name);
	free(client->conf_path);
	free(client->address);
	free(client);
}

void *cluster_client_handle(struct cluster_client *client)
{
	return client->rados;
}

const char *cluster_client_name(const struct cluster_client *client)
{
	return client->name;
}

const char *cluster_client_address(const struct cluster_client *client)
{
	return client->address;
}

int cluster_pool_open(struct cluster_client *client, const char *pool, const char *namespace,
                      void **ret_pool, struct error *err)
{
	rados_ioctx_t handle;
	int r = rados_ioctx_create(client->rados, pool, &handle);
	if (r == -ENOENT)
		return error_set(err, r, "'%s' pool does not exist!", pool);
	if (r < 0)
		return error_set(err, r, "cannot open pool '%s': %s", pool, strerror(-r));
	/* Before anything is opened on it: a full pool then answers instead of hanging. */
	version_set_full_try(handle);
	if (namespace && *namespace)
		rados_ioctx_set_namespace(handle, namespace);
	*ret_pool = handle;
	return 0;
}

void cluster_pool_close(void *pool)
{
	if (pool)
		rados_ioctx_destroy(pool);
}

static int wait_for_map(void *argument)
{
	struct cluster_client *client = argument;
	return rados_wait_for_latest_osdmap(client->rados);
}

int cluster_wait_for_map_since(struct cluster_client *client, uint64_t since_ms, struct error *err)
{
	int r = together_ask_since(&client->map, since_ms, wait_for_map, client);
	return r < 0 ? error_set(err, r, "the newest OSD map does not come: %s", strerror(-r)) : 0;
}

int cluster_wait_for_map(struct cluster_client *client, struct error *err)
{
	return cluster_wait_for_map_since(client, UINT64_MAX, err);
}
