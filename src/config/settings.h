/* The settings file (/etc/ceph/iscsi-gateway.cfg): ceph-iscsi's dialect, options and hash, plus our
 * own section [rbdgate]. One table names every option: type, bounds, default, hash. */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SETTINGS_DEFAULT_PATH "/etc/ceph/iscsi-gateway.cfg"

/* [target]: site-wide defaults of target and disk controls. */
struct target_controls {
	int dataout_timeout, nopin_response_timeout, nopin_timeout, cmdsn_depth;
	bool immediate_data, initial_r2t;
	int max_outstanding_r2t, first_burst_length, max_burst_length;
	int max_recv_data_segment_length, max_xmit_data_segment_length;
};
struct disk_controls {
	int max_data_area_mb, qfull_timeout, osd_op_timeout, hw_max_sectors;
};

struct settings {
	/* [config], in upstream's order. Texts are never NULL. */
	char *cluster_name, *pool, *cluster_client_name;
	int time_out;
	char *api_host;
	int api_port;
	bool api_secure, api_ssl_verify;
	int loop_delay;
	char **trusted_ip_list; /* NULL terminated */
	char *api_user, *api_password, *ceph_user;
	bool debug;
	int minimum_gateways;
	char *ceph_config_dir, *gateway_conf, *priv_key, *pub_key;
	bool prometheus_exporter;
	int prometheus_port;
	char *prometheus_host;
	int logger_level;
	bool log_to_stderr;
	char *log_to_stderr_prefix;
	bool log_to_file;
	char *alua_failover_type;
	struct target_controls target;
	struct disk_controls disk;
	/* [device_status] */
	int lock_lost_cnt_threshhold, status_check_interval, stable_state_reset_count;
	/* [rbdgate] */
	char *store;                /* "rados" or "dir:PATH" */
	char *gateway_name;         /* "" = as upstream computes it: settings_gateway_name() */
	int portal_port;            /* 3260 */
	char *run_dir;              /* control sockets: /run/rbdgate */
	int io_threads;             /* 0 = cores, at most 8 */
	int cluster_clients;        /* data clients: 4 */
	int busy_poll_us;           /* 0 */
	int max_inflight_mb;        /* 1024 */
	bool discovery_by_acl;      /* false */
	bool exclusive_writers;     /* false */
	char *interconnect_address; /* "" = that of this gateway's first portal in the object */
	int interconnect_port;      /* 3262; 0 = any free one */
	int return_after; /* s: a healthy preferred owner gets its LUNs back; 0 = at once; 60 */

	struct settings_raw *raws; /* private: values that could not be taken as they stand */
};

/* What is wrong but not fatal (an invalid value, an option in the wrong section): file, line, why.
 */
typedef void (*settings_warning_fn)(void *argument, const char *text);

/* A missing file is no error: all defaults. Fatal form errors: -EINVAL with file and line. Options
 * whose value starts with config:// have their default until settings_resolve(). */
int settings_load(const char *path, settings_warning_fn warn, void *argument,
                  struct settings **ret_settings, struct error *err) MUST_CHECK;
int settings_parse(const char *text, const char *path, settings_warning_fn warn, void *argument,
                   struct settings **ret_settings, struct error *err) MUST_CHECK;
void settings_free(struct settings *settings); /* wipes the password */
DEFINE_AUTO(settings);

/* Fetches config:// values through `fetch` (returns malloc'd text or NULL); upstream's rules for
 * errors: texts become empty, the rest their default. */
void settings_resolve(struct settings *settings, char *(*fetch)(void *argument, const char *key),
                      void *argument);

/* SHA-256 of upstream's JSON of all 43 hashed options, lower-case hex. */
int settings_hash(const struct settings *settings, char ret_hex[65]) MUST_CHECK;

/* gateway_name, or socket.getfqdn() of Python: the name under which this gateway stands in the
 * object. free() it. */
char *settings_gateway_name(const struct settings *settings) MUST_CHECK;
/* Where the object is: *ret_folder is the path of `dir:PATH` (borrowed), NULL for `rados`. -EINVAL
 * for anything else. */
int settings_store(const struct settings *settings, const char **ret_folder,
                   struct error *err) MUST_CHECK;
/* "CEPH_CONFIG_DIR/CLUSTER.conf". free() it. */
char *settings_ceph_conf(const struct settings *settings) MUST_CHECK;
