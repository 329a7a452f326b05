/* The REST API of ceph-iscsi: an HTTP server over the configuration object. It needs no root, keeps
 * no state, and talks to gateways only through the store. */
#pragma once

#include "base/error.h"
#include "cluster/client.h"
#include "config/secret.h"
#include "config/settings.h"
#include "store/store.h"

struct api;

/* All borrowed, until api_free(). */
struct api_config {
	const struct settings *settings; /* api_port 0: any free port */
	const char *gateway_name;
	struct store *store;
	struct cluster_client *cluster; /* NULL: the store is a folder */
	const struct secret_keys *keys; /* NULL: passwords are stored as they are */
	const char *certificate, *key;  /* PEM; NULL: plain HTTP */
	unsigned apply_timeout_ms;      /* how long gateways have to apply a change; 0: 10 s */
};

/* Seeds or upgrades the object, then serves on its own threads. -EADDRINUSE, -EACCES, store errors,
 * -EINVAL: certificate and key do not fit, or the object is foreign. */
int api_start(const struct api_config *config, struct api **ret_api, struct error *err) MUST_CHECK;
unsigned api_port(const struct api *api);
/* Waits for the requests in work. NULL is fine. */
void api_free(struct api *api);
DEFINE_AUTO(api);
