/* Connects to the cluster (or opens the folder), joins the store's members, registers. */
#include "target/connect.h"

#include "cluster/client.h"
#include "config/secret.h"
#include "config/settings.h"
#include "ownership/fence.h"
#include "ownership/history_writer.h"
#include "ownership/registration.h"
#include "store/store.h"
#include "target/data_clients.h"
#include "target/planted.h"
#include "target/renew.h"

#include <errno.h>
#include <string.h>

static int open_store(const struct settings *settings, struct connection *connection,
                      struct error *err)
{
	struct store_config config = {
		.kind = "rados",
		.pool = settings->pool,
		.object = settings->gateway_conf,
		.exclusive_writers = settings->exclusive_writers,
	};
	int r = settings_store(settings, &config.path, err);
	if (r < 0)
		return r;
	if (config.path) {
		config.kind = "dir";
	} else {
		struct cluster_client_config client = {
			.conf_path = connection->conf_path,
			.client_name = settings->cluster_client_name,
		};
		r = cluster_client_connect(&client, &connection->control, err);
		if (r < 0)
			return r;
		config.cluster = connection->control;
	}
	return store_open(&config, &connection->store, err);
}

/* What earlier instances of this gateway may have left on its way is fenced before anything is
 * taken. */
static int settle_past(const char *gateway_name, struct connection *connection, struct error *err)
{
	const struct fence_config config = {
		.store = connection->store,
		.control = connection->control,
		.expire_s = planted("short-fence") ? 2 : 0,
	};
	struct registration_row row = { 0 };
	int r = fence_new(&config, &connection->fence);
	if (r < 0)
		return error_set(err, r, "fence: %s", strerror(-r));
	if (renewed_from())
		r = fence_settle(connection->fence, renewed_from(), err);
	if (r == 0)
		r = fence_renew(connection->fence, err);
	if (r == 0)
		r = registration_read(connection->store, gateway_name, &row, err);
	if (r < 0)
		return r;
	/* This instance has no client yet: all that stand there are of the past. */
	if (row.client_count && !planted("no-fence"))
		r = fence_addresses(connection->fence, row.clients, row.client_count, gateway_name,
		                    registration_former(connection->registration), err);
	if (row.client_count && r == 0)
		r = registration_drop_past(connection->registration, err);
	registration_row_done(&row);
	return r;
}

static int join(const struct settings *settings, const char *gateway_name,
                struct store_listener *listener, struct connection *connection, struct error *err)
{
	int r = store_join(connection->store, gateway_name, listener, err);
	if (r == 0)
		r = registration_new(connection->store, gateway_name, &connection->registration,
		                     err);
	if (r == 0)
		r = settle_past(gateway_name, connection, err);
	if (r == 0 && connection->control)
		r = registration_add(connection->registration,
		                     cluster_client_address(connection->control), err);
	if (r == 0 && history_writer_new(connection->store, gateway_name, &connection->history) < 0)
		r = error_set(err, -ENOMEM, "history: out of memory");
	if (r < 0 || !connection->control)
		return r;
	struct data_clients_config config = {
		.count = (unsigned)settings->cluster_clients,
		.conf_path = connection->conf_path,
		.client_name = connection->client_name,
		.registration = connection->registration,
	};
	if (data_clients_new(&config, &connection->clients) < 0)
		return error_set(err, -ENOMEM, "cluster clients: out of memory");
	return 0;
}

int connection_make(const struct settings *settings, const char *gateway_name,
                    struct store_listener *listener, struct connection *ret_connection,
                    struct error *err)
{
	struct connection connection = { 0 };
	connection.conf_path = settings_ceph_conf(settings);
	connection.client_name = strdup(settings->cluster_client_name);
	int r = connection.conf_path && connection.client_name
	                ? 0
	                : error_set(err, -ENOMEM, "settings: out of memory");
	if (r == 0)
		r = secret_keys_load(settings->ceph_config_dir, settings->priv_key,
		                     settings->pub_key, &connection.keys, err);
	if (r == 0)
		r = open_store(settings, &connection, err);
	if (r == 0)
		r = join(settings, gateway_name, listener, &connection, err);
	if (r < 0) {
		connection_end(&connection);
		return r;
	}
	*ret_connection = connection;
	return 0;
}

void connection_end(struct connection *connection)
{
	data_clients_free(connection->clients);
	history_writer_free(connection->history);
	fence_free(connection->fence);
	registration_free(connection->registration);
	store_free(connection->store);
	cluster_client_free(connection->control);
	secret_keys_free(connection->keys);
	free(connection->conf_path);
	free(connection->client_name);
	*connection = (struct connection){ 0 };
}
