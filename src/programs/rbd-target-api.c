/* rbd-target-api: the control plane. Serves the REST API of ceph-iscsi over the configuration
 * object. May be restarted at any time: it keeps nothing, and no session depends on it. */
#include "api/api.h"
#include "api/certificate.h"
#include "base/log.h"
#include "base/notify.h"
#include "base/text.h"
#include "config/secret.h"
#include "config/settings.h"
#include "store/store.h"

#include "daemon.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define RETRY_S        5
#define EXIT_NO_CONFIG 16 /* compat: what upstream's service units know */

static const char usage[] =
        "usage: rbd-target-api [-c FILE] [-d]\n"
        "Serves the REST API that gateways, disks and clients are managed with.\n"
        "\n"
        "  -c, --config FILE  settings (default " SETTINGS_DEFAULT_PATH ")\n"
        "  -d, --debug        log debug lines too\n"
        "  -h, --help         this text\n"
        "  -V, --version      the version\n"
        "\n"
        "SIGTERM and SIGINT stop it, SIGHUP makes it read the settings again.\n";

/* All that one reading of the settings brings up; ended in the opposite order. */
struct service {
	struct settings *settings;
	char *gateway_name, *ceph_conf, *certificate, *key;
	struct cluster_client *cluster;
	struct store *store;
	struct secret_keys *keys;
	struct rest *api;
};

static void service_done(struct service *service)
{
	rest_free(service->api);
	secret_keys_free(service->keys);
	store_free(service->store);
	cluster_client_free(service->cluster);
	if (service->key)
		wipe(service->key, strlen(service->key));
	free(service->key);
	free(service->certificate);
	free(service->ceph_conf);
	free(service->gateway_name);
	settings_free(service->settings);
	*service = (struct service){ 0 };
}

static void warn(void *argument, const char *text)
{
	log_warning("%s", text);
}

static char *fetch_config_key(void *argument, const char *key)
{
	char *text = NULL;
	struct error err = { 0 };
	if (cluster_config_key(argument, key, &text, &err) < 0)
		log_warning("config://%s: %s", key, err.text);
	return text;
}

static int load_settings(struct service *service, const char *path, struct error *err)
{
	int r = settings_load(path, warn, NULL, &service->settings, err);
	if (r < 0)
		return r;
	service->gateway_name = settings_gateway_name(service->settings);
	service->ceph_conf = settings_ceph_conf(service->settings);
	if (!service->gateway_name || !service->ceph_conf)
		return error_set(err, -ENOMEM, "out of memory");
	return secret_keys_load(service->settings->ceph_config_dir, service->settings->priv_key,
	                        service->settings->pub_key, &service->keys, err);
}

static int open_cluster(struct service *service, struct error *err)
{
	struct cluster_client_config config = {
		.conf_path = service->ceph_conf,
		.client_name = service->settings->cluster_client_name,
	};
	int r = cluster_client_connect(&config, &service->cluster, err);
	if (r == 0)
		settings_resolve(service->settings, fetch_config_key, service->cluster);
	return r;
}

static int open_store(struct service *service, struct error *err)
{
	const struct settings *settings = service->settings;
	struct store_config config = {
		.kind = "rados",
		.pool = settings->pool,
		.object = settings->gateway_conf,
		.exclusive_writers = settings->exclusive_writers,
	};
	int r = settings_store(settings, &config.path, err);
	if (r == 0 && !config.path)
		r = open_cluster(service, err);
	if (r < 0)
		return r;
	if (config.path)
		config.kind = "dir";
	config.cluster = service->cluster;
	return store_open(&config, &service->store, err);
}

/* What is fenced stays so: with a new client it can work again. */
static void connect_anew(void)
{
	log_warning("the cluster's client of this process was fenced (blocklisted): it connects "
	            "anew");
	(void)kill(getpid(), SIGHUP);
}

static int start_api(struct service *service, struct error *err)
{
	int r = 0;
	if (service->settings->api_secure && !service->certificate)
		r = certificate_load(service->settings, service->cluster, &service->certificate,
		                     &service->key, err);
	if (r < 0)
		return r;
	struct rest_config config = {
		.settings = service->settings,
		.gateway_name = service->gateway_name,
		.store = service->store,
		.cluster = service->cluster,
		.keys = service->keys,
		.certificate = service->certificate,
		.key = service->key,
		.fenced = connect_anew,
	};
	return rest_start(&config, &service->api, err);
}

/* Serves, or an error that may pass: the cluster, the pool, the port may come. The cluster is left
 * then: a connection keeps the capabilities that its user had when it was made. */
static int bring_up(struct service *service, struct error *err)
{
	int r = open_store(service, err);
	if (r == 0)
		r = start_api(service, err);
	if (r < 0) {
		store_free(service->store);
		service->store = NULL;
		cluster_client_free(service->cluster);
		service->cluster = NULL;
	}
	return r;
}

/* Errors that waiting does not mend. */
static bool is_final(int code)
{
	return code == -EINVAL || code == -ENOMEM;
}

/* SIGTERM, SIGINT, SIGHUP, or 0 when the time is over. */
static int next_signal(const sigset_t *signals, unsigned timeout_s)
{
	struct timespec timeout = { .tv_sec = (time_t)timeout_s };
	for (;;) {
		int number = timeout_s ? sigtimedwait(signals, NULL, &timeout)
		                       : sigwaitinfo(signals, NULL);
		if (number > 0)
			return number;
		if (errno == EAGAIN)
			return 0;
	}
}

/* Serves until a signal: its number; or a negative errno. */
static int serve(const char *path, const sigset_t *signals)
{
	__attribute__((cleanup(service_done))) struct service service = { 0 };
	struct error err = { 0 };
	char said[ERROR_TEXT_MAX] = "";
	int r = load_settings(&service, path, &err);
	while (r == 0) {
		r = bring_up(&service, &err);
		if (r == 0 || is_final(r))
			break;
		if (strcmp(said, err.text) != 0)
			log_warning("%s; trying again every %d s", err.text, RETRY_S);
		(void)snprintf(said, sizeof said, "%s", err.text);
		notify_service_manager("STATUS=waiting: %s", err.text);
		int number = next_signal(signals, RETRY_S);
		if (number)
			return number;
		r = 0;
	}
	if (r < 0) {
		log_error("%s", err.text);
		log_error("Unable to open/read the configuration object or to start the API");
		return r;
	}
	log_info("gateway %s: serving the API on port %u", service.gateway_name,
	         rest_port(service.api));
	if (strcmp(service.settings->api_password, "admin") == 0)
		log_warning("api_password is the default: change it on all gateways");
	notify_service_manager("READY=1\nSTATUS=serving on port %u", rest_port(service.api));
	int number = next_signal(signals, 0);
	notify_service_manager(number == SIGHUP ? "RELOADING=1" : "STOPPING=1");
	return number;
}

static int run(const char *path)
{
	sigset_t signals;
	int r = daemon_block_signals(&signals);
	if (r < 0)
		return 1;
	do {
		r = serve(path, &signals);
	} while (r == SIGHUP);
	return r < 0 ? EXIT_NO_CONFIG : 0;
}

int main(int argc, char **argv)
{
	const char *path;
	int code = daemon_begin(argc, argv, "rbd-target-api", usage, &path);
	return code >= 0 ? code : run(path);
}
