/* What a gateway holds of the world outside: store, membership, registration, cluster clients. Made
 * in one go, as often as it takes; ended in the opposite order. */
#pragma once

#include "base/error.h"

struct cluster_client;
struct data_clients;
struct history_writer;
struct fence;
struct registration;
struct secret_keys;
struct settings;
struct store;
struct store_listener;

struct connection {
	struct cluster_client *control; /* NULL for a dir store */
	struct store *store;
	struct registration *registration;
	struct fence *fence;
	struct history_writer *history;
	struct data_clients *clients; /* NULL for a dir store */
	struct secret_keys *keys;     /* NULL without key files */
	char *conf_path, *client_name;
};

/* Blocks: on a worker. On failure everything is ended again, and err says what is waited for. */
int connection_make(const struct settings *settings, const char *gateway_name,
                    struct store_listener *listener, struct connection *ret_connection,
                    struct error *err) MUST_CHECK;
/* Blocks. Zeroed memory is fine. */
void connection_end(struct connection *connection);
