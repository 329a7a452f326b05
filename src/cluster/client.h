/* A connection to the Ceph cluster (one rados_t): the unit of fencing. The store has one for the
 * object (control client), backends share a few for images (data clients). */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

struct cluster_client;

struct cluster_client_config {
	const char *conf_path;      /* NULL: as librados finds it */
	const char *client_name;    /* "client.admin" */
	bool data;                  /* options of the data path: no cache, no op time-out */
	unsigned connect_timeout_s; /* 0: 5 */
};

/* Connects; blocks up to the time-out. -ETIMEDOUT, -EACCES, -ENOENT (conf or keyring), with a
 * sentence that says what is missing. Nothing is ever printed by librados itself. */
int cluster_client_connect(const struct cluster_client_config *config,
                           struct cluster_client **ret_client, struct error *err) MUST_CHECK;
/* Another one to the same cluster, as the same user, for the data of images. */
int cluster_client_connect_data(const struct cluster_client *control,
                                struct cluster_client **ret_client, struct error *err) MUST_CHECK;
/* Every pool handle and image must be closed. NULL is fine. Never blocks for a lost cluster longer
 * than librados itself does. */
void cluster_client_free(struct cluster_client *client);
DEFINE_AUTO(cluster_client);

/* The rados_t, for the rooms that speak librados. */
void *cluster_client_handle(struct cluster_client *client);
/* "client.rbdgate". Borrowed. */
const char *cluster_client_name(const struct cluster_client *client);
/* "10.0.0.1:0/631147173": what is a lock's owner and what a fence names. Borrowed. */
const char *cluster_client_address(const struct cluster_client *client);

/* A pool handle (rados_ioctx_t) with full-try set. -ENOENT: `'NAME' pool does not exist!`. */
int cluster_pool_open(struct cluster_client *client, const char *pool, const char *namespace,
                      void **ret_pool, struct error *err) MUST_CHECK;
void cluster_pool_close(void *pool);

/* How long: in practice for ever, since a process may be frozen for any time (H13). */
#define CLUSTER_FENCE_S (10u * 365 * 24 * 3600)
/* Fences a client instance and waits until that map is in force on this client. */
int cluster_fence(struct cluster_client *client, const char *address, unsigned expire_s,
                  struct error *err) MUST_CHECK;
/* Any thread, never blocks: has cluster_fence() with this client fenced it? That map is in force on
 * this client. */
bool cluster_has_fenced(struct cluster_client *client, const char *address);
/* Waits until the newest OSD map is in force on this client: what others fenced before the call is
 * fenced for it (H1). */
int cluster_wait_for_map(struct cluster_client *client, struct error *err) MUST_CHECK;
/* What others fenced up to since_ms (clock_monotonic_ms()): one question serves all images that are
 * taken over together. */
int cluster_wait_for_map_since(struct cluster_client *client, uint64_t since_ms,
                               struct error *err) MUST_CHECK;
/* config-key get; free() it. */
int cluster_config_key(struct cluster_client *client, const char *key, char **ret_text,
                       struct error *err) MUST_CHECK;
