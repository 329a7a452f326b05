/* Settings that are read once, at the start: a table of what differs. */
#include "target/restart.h"

#include "base/auto.h"
#include "base/log.h"
#include "config/settings.h"

#include <string.h>

void restart_warn(const struct settings *old, const struct settings *new)
{
	const struct {
		const char *name;
		bool differs;
	} rows[] = {
		{ "store", strcmp(old->store, new->store) != 0 },
		{ "gateway_name", strcmp(old->gateway_name, new->gateway_name) != 0 },
		{ "run_dir", strcmp(old->run_dir, new->run_dir) != 0 },
		{ "pool", strcmp(old->pool, new->pool) != 0 },
		{ "gateway_conf", strcmp(old->gateway_conf, new->gateway_conf) != 0 },
		{ "cluster_client_name",
		  strcmp(old->cluster_client_name, new->cluster_client_name) != 0 },
		{ "io_threads", old->io_threads != new->io_threads },
		{ "cluster_clients", old->cluster_clients != new->cluster_clients },
		{ "max_inflight_mb", old->max_inflight_mb != new->max_inflight_mb },
		{ "interconnect_port", old->interconnect_port != new->interconnect_port },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (rows[i].differs)
			log_warning("setting %s has changed: restart rbd-target-io for it",
			            rows[i].name);
	}
}
