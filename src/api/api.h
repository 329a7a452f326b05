/* The REST API of ceph-iscsi: an HTTP server over the configuration object. It needs no root, keeps
 * no state, and talks to gateways only through the store. */
#pragma once

#include "base/error.h"
#include "cluster/client.h"
#include "config/secret.h"
#include "config/settings.h"
#include "store/store.h"

struct rest;

/* All borrowed, until rest_free(). */
struct rest_config {
	const struct settings *settings; /* api_port 0: any free port */
	const char *gateway_name;
	struct store *store;
	struct cluster_client *cluster; /* NULL: the store is a folder */
	const struct secret_keys *keys; /* NULL: passwords are stored as they are */
	const char *certificate, *key;  /* PEM; NULL: plain HTTP */
	unsigned apply_timeout_ms;      /* how long gateways have to apply a change; 0: 10 s */
	/* May be NULL. A request failed because the cluster's client is fenced, and all will. Any
	 * thread; only posts. */
	void (*fenced)(void);
};

/* Seeds or upgrades the object, then serves on its own threads. -EADDRINUSE, -EACCES, store errors,
 * -EINVAL: certificate and key do not fit, or the object is foreign. */
int rest_start(const struct rest_config *config, struct rest **ret_rest,
               struct error *err) MUST_CHECK;
unsigned rest_port(const struct rest *api);
/* Waits for the requests in work, and for what they leave in the history, that for 2 s at most.
 * NULL is fine. */
void rest_free(struct rest *api);
DEFINE_AUTO(rest);
