/* The cluster clients that images are on (data clients): a few, so that fencing one leaves the
 * rest, made when first needed, replaced when fenced. */
#pragma once

#include "base/error.h"

struct cluster_client;
struct data_clients;
struct registration;

struct data_clients_config {
	unsigned count;                    /* `cluster_clients` */
	const char *conf_path;             /* borrowed for life */
	const char *client_name;           /* borrowed for life */
	struct registration *registration; /* borrowed for life */
};

int data_clients_new(const struct data_clients_config *config,
                     struct data_clients **ret_clients) MUST_CHECK;
/* Every client must have been put back. NULL is fine. */
void data_clients_free(struct data_clients *clients);
DEFINE_AUTO(data_clients);

/* The client with the fewest images; connects and registers it if need be. Any thread but a
 * reactor's; blocks. */
int data_clients_take(struct data_clients *clients, struct cluster_client **ret_client,
                      struct error *err) MUST_CHECK;
/* A client for one image alone, beyond `cluster_clients`: who fences it fences no other LUN [H31].
 */
int data_clients_take_own(struct data_clients *clients, struct cluster_client **ret_client,
                          struct error *err) MUST_CHECK;
/* The image is closed. The last put of a lost client ends it, and the put of one for one image. The
 * latter leaves the registration, so nothing of it may be on its way. Blocks. */
void data_clients_put(struct data_clients *clients, struct cluster_client *client);
/* Any thread, never blocks: the client was fenced; nobody gets it any more. */
void data_clients_lost(struct data_clients *clients, struct cluster_client *client);
