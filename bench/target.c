/* bench-target: the smallest target that is rbdgate. One iSCSI server, one LUN in memory, in a file
 * or on RBD, no configuration, no control plane: for measuring the data path and for tests of the
 * protocol. */
#include "backend/backend.h"
#include "base/auto.h"
#include "base/log.h"
#include "base/text.h"
#include "cluster/client.h"
#include "iscsi/server.h"
#include "peer.h"
#include "scsi/lun.h"

#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define THREADS_MAX 64
#define PORTAL_TAG  1
#define EPOCH       1 /* of the ownership; forwarded commands name it */

struct options {
	const char *address, *name, *path;
	const char *rbd, *client; /* POOL/IMAGE, cephx user */
	const char *user, *secret;
	const char *interconnect, *owner; /* HOST:PORT: to listen for peers; to forward to */
	uint64_t size_mib;
	unsigned block_size, threads;
	unsigned busy_poll_us;
};

struct target {
	struct options options;
	struct cluster_client *cluster;
	struct backend *backend;
	struct lun *lun;
	struct bench_peer *peer; /* NULL: alone */
	struct reactor *reactors[THREADS_MAX];
	unsigned reactor_count;
	struct iscsi_server *server;
	struct error applied_err;
	sem_t event; /* applied, stopped, quiesced: one at a time is waited for */
};

static void wait_event(struct target *target)
{
	while (sem_wait(&target->event) < 0)
		; /* a signal */
}

static void event_came(void *argument)
{
	struct target *target = argument;
	(void)sem_post(&target->event); /* only fails on overflow */
}

static void applied(void *argument, const struct error *err)
{
	struct target *target = argument;
	target->applied_err = *err;
	event_came(target);
}

static int open_rbd(struct target *target, struct error *err)
{
	const struct options *options = &target->options;
	struct cluster_client_config client = { .client_name = options->client, .data = true };
	char pool[ISCSI_NAME_MAX + 1];
	size_t pool_len = strcspn(options->rbd, "/");
	memcpy(pool, options->rbd, pool_len);
	pool[pool_len] = '\0';
	int r = cluster_client_connect(&client, &target->cluster, err);
	if (r < 0)
		return r;
	struct backend_config config = {
		.kind = "rbd",
		.name = options->rbd,
		.cluster = target->cluster,
		.pool = pool,
		.image = options->rbd + pool_len + 1,
	};
	r = backend_open(&config, &target->backend, err);
	return r < 0 ? r : backend_acquire(target->backend, NULL, err);
}

static int open_backend(struct target *target, struct error *err)
{
	const struct options *options = &target->options;
	struct backend_config config = {
		.kind = options->path ? "file" : "memory",
		.name = "bench/disk",
		.size_bytes = options->size_mib << 20,
		.path = options->path,
	};
	if (options->rbd)
		return open_rbd(target, err);
	return backend_open(&config, &target->backend, err);
}

static int start_peer(struct target *target, struct error *err)
{
	struct bench_peer_config config = {
		.reactors = target->reactors,
		.reactor_count = target->reactor_count,
		.listen = target->options.interconnect,
		.owner = target->options.owner,
	};
	if (!config.listen && !config.owner)
		return 0;
	return bench_peer_new(&config, &target->peer, err);
}

static int open_lun(struct target *target, struct error *err)
{
	struct lun_config config = {
		.name = "bench/disk",
		.wwn = "5c7e2f0a-6d0b-4a8e-9d55-0f2f5d3f9b01",
		.vendor_id = "bench/disk",
		.block_size = target->options.block_size,
		.max_sectors = 8192,
		.relay = target->peer ? bench_peer_relay(target->peer) : NULL,
	};
	static const struct port_group group = { PORTAL_TAG, ALUA_OPTIMIZED };
	int r = target->options.owner ? 0 : open_backend(target, err);
	if (r < 0)
		return r;
	r = lun_new(&config, &target->lun);
	if (r == 0)
		r = lun_set_port_groups(target->lun, &group, 1);
	if (r < 0)
		return error_set(err, r, "making the LUN: %s", strerror(-r));
	if (target->backend) {
		lun_set_epoch(target->lun, EPOCH);
		lun_serve(target->lun, target->backend);
	}
	return target->peer ? bench_peer_run(target->peer, target->lun, err) : 0;
}

static int start_reactors(struct target *target, struct error *err)
{
	while (target->reactor_count < target->options.threads) {
		struct reactor *reactor;
		char name[16];
		snprintf(name, sizeof(name), "io%u", target->reactor_count);
		int r = reactor_new(name, NULL, &reactor);
		if (r < 0)
			return error_set(err, r, "making a reactor: %s", strerror(-r));
		reactor_set_busy_poll_us(reactor, target->options.busy_poll_us);
		r = reactor_start(reactor, -1);
		if (r < 0) {
			reactor_free(reactor);
			return error_set(err, r, "starting a thread: %s", strerror(-r));
		}
		target->reactors[target->reactor_count++] = reactor;
	}
	return 0;
}

/* Large bursts, no round trip for the data of ordinary writes. */
static const struct iscsi_controls controls = {
	.first_burst_length = 262144,
	.max_burst_length = 1048576,
	.max_recv_data_segment_length = 262144,
	.max_xmit_data_segment_length = 262144,
	.max_outstanding_r2t = 4,
	.command_window = 512,
	.dataout_timeout_s = 3,
	.nopin_timeout_s = 5,
	.nopin_response_timeout_s = 5,
	.immediate_data = true,
};

/* One target, open to every initiator, with one LUN. NULL: out of memory. */
static struct iscsi_config *make_config(const struct target *target)
{
	const struct options *options = &target->options;
	struct iscsi_config *config = iscsi_config_new();
	struct iscsi_target *row = calloc(1, sizeof(*row));
	struct lun_mapping *mapping = calloc(1, sizeof(*mapping));
	struct iscsi_portal_group *group = calloc(1, sizeof(*group));
	char **addresses = calloc(1, sizeof(*addresses));
	if (!config || !row || !mapping || !group || !addresses)
		return NULL; /* the program ends */
	addresses[0] = strdup(options->address);
	*mapping = (struct lun_mapping){ .number = 0, .lun = lun_get(target->lun) };
	*group = (struct iscsi_portal_group){
		.tag = PORTAL_TAG, .local = true, .addresses = addresses, .address_count = 1
	};
	*row = (struct iscsi_target){ .name = strdup(options->name),
		                      .ready = true,
		                      .controls = controls,
		                      .mappings = mapping,
		                      .mapping_count = 1,
		                      .groups = group,
		                      .group_count = 1 };
	if (options->user) {
		snprintf(row->auth.user_name, sizeof(row->auth.user_name), "%s", options->user);
		snprintf(row->auth.secret, sizeof(row->auth.secret), "%s", options->secret);
	}
	config->loaded = true;
	config->targets = row;
	config->target_count = 1;
	return config;
}

static int start_server(struct target *target, struct error *err)
{
	struct iscsi_limits limits;
	iscsi_limits_default(&limits);
	int r = iscsi_server_new(target->reactors, target->reactor_count, &limits, &target->server);
	if (r < 0)
		return error_set(err, r, "making the server: %s", strerror(-r));
	struct iscsi_config *config = make_config(target);
	if (!config)
		return error_set(err, -ENOMEM, "out of memory");
	iscsi_server_apply(target->server, config, applied, target);
	wait_event(target);
	if (target->applied_err.code < 0)
		*err = target->applied_err;
	return target->applied_err.code;
}

/* Ends what was started, in reverse. */
static void stop(struct target *target)
{
	if (target->server) {
		iscsi_server_stop(target->server, 100, event_came, target);
		wait_event(target);
		iscsi_server_free(target->server);
	}
	bench_peer_free(target->peer);
	if (target->lun && target->backend) {
		lun_quiesce(target->lun, LUN_STANDBY, event_came, target);
		wait_event(target);
	}
	struct error err;
	if (target->backend && target->cluster && backend_release(target->backend, &err) < 0)
		fprintf(stderr, "bench-target: %s\n", err.text);
	lun_put(target->lun);
	backend_free(target->backend);
	cluster_client_free(target->cluster);
	for (unsigned i = 0; i < target->reactor_count; i++) {
		reactor_stop(target->reactors[i]);
		reactor_free(target->reactors[i]);
	}
}

static const char help[] =
        "usage: bench-target [OPTION]...\n"
        "Serves one LUN (number 0) over iSCSI until SIGTERM or SIGINT. Anybody may log in.\n"
        "\n"
        "  --address HOST:PORT  where to listen (127.0.0.1:3260)\n"
        "  --name IQN           the target (iqn.2026-01.org.rbdgate:bench)\n"
        "  --size MIB           of the disk in memory (1024)\n"
        "  --file PATH          serve that file instead\n"
        "  --block-size BYTES   512 or 4096 (512)\n"
        "  --threads N          reactors (1)\n"
        "  --busy-poll US       spin that long before sleeping (0)\n"
        "  --interconnect HOST:PORT  take commands that others forward\n"
        "  --owner HOST:PORT    have no disk: forward to the one with this --interconnect\n"
        "  --user NAME --secret TEXT  demand CHAP\n"
        "  --help               this text\n";

static const struct option long_options[] = {
	{ "address", required_argument, NULL, 'a' },
	{ "name", required_argument, NULL, 'n' },
	{ "size", required_argument, NULL, 's' },
	{ "file", required_argument, NULL, 'f' },
	{ "rbd", required_argument, NULL, 'r' },
	{ "client", required_argument, NULL, 'c' },
	{ "block-size", required_argument, NULL, 'b' },
	{ "threads", required_argument, NULL, 't' },
	{ "busy-poll", required_argument, NULL, 'p' },
	{ "interconnect", required_argument, NULL, 'i' },
	{ "owner", required_argument, NULL, 'o' },
	{ "user", required_argument, NULL, 'u' },
	{ "secret", required_argument, NULL, 'S' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL },
};

static bool take_number(int id, const char *text, struct options *options)
{
	uint64_t value;
	if (text_to_uint(text, id != 'p', id == 't' ? THREADS_MAX : 1u << 20, &value) < 0)
		return false;
	if (id == 's')
		options->size_mib = value;
	if (id == 'b')
		options->block_size = (unsigned)value;
	if (id == 't')
		options->threads = (unsigned)value;
	if (id == 'p')
		options->busy_poll_us = (unsigned)value;
	return id != 'b' || value == 512 || value == 4096;
}

static bool take_option(int id, const char *text, struct options *options)
{
	static const struct {
		int id;
		size_t offset; /* of a text in struct options */
	} texts[] = {
		{ 'a', offsetof(struct options, address) },
		{ 'n', offsetof(struct options, name) },
		{ 'f', offsetof(struct options, path) },
		{ 'r', offsetof(struct options, rbd) },
		{ 'c', offsetof(struct options, client) },
		{ 'u', offsetof(struct options, user) },
		{ 'S', offsetof(struct options, secret) },
		{ 'o', offsetof(struct options, owner) },
		{ 'i', offsetof(struct options, interconnect) },
	};
	const char **field = NULL;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		if (texts[i].id == id)
			field = (const char **)(void *)((char *)options + texts[i].offset);
	if (!field)
		return take_number(id, text, options);
	*field = text;
	return *text && strlen(text) <= ISCSI_NAME_MAX && (id != 'r' || strchr(text, '/'));
}

/* 0, 1 = help was asked for, -EINVAL. */
static int parse(int argc, char **argv, struct options *ret_options)
{
	*ret_options = (struct options){ .address = "127.0.0.1:3260",
		                         .name = "iqn.2026-01.org.rbdgate:bench",
		                         .client = "client.admin",
		                         .size_mib = 1024,
		                         .block_size = 512,
		                         .threads = 1 };
	for (int id, index = 0; (id = getopt_long(argc, argv, "", long_options, &index)) != -1;) {
		if (id == 'h') {
			fputs(help, stdout);
			return 1;
		}
		if (id == '?')
			return -EINVAL;
		if (!take_option(id, optarg, ret_options)) {
			fprintf(stderr, "bench-target: --%s: not a valid value: %s\n",
			        long_options[index].name, optarg);
			return -EINVAL;
		}
	}
	if (optind < argc || !ret_options->user != !ret_options->secret) {
		fprintf(stderr, "bench-target: options only, --user with --secret; see --help\n");
		return -EINVAL;
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct target target = { 0 };
	struct error err = { 0 };
	sigset_t signals;
	int number;
	int r = parse(argc, argv, &target.options);
	if (r != 0)
		return r > 0 ? 0 : 2;
	log_setup(LOG_LEVEL_WARNING, NULL);
	(void)sem_init(&target.event, 0, 0); /* cannot fail with 0 */
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	(void)pthread_sigmask(SIG_BLOCK, &signals, NULL); /* before the threads: they inherit it */
	r = start_reactors(&target, &err);
	if (r == 0)
		r = start_peer(&target, &err);
	if (r == 0)
		r = open_lun(&target, &err);
	if (r == 0)
		r = start_server(&target, &err);
	if (r == 0) {
		printf("iscsi://%s/%s/0\n", target.options.address, target.options.name);
		fflush(stdout);
		while (sigwait(&signals, &number) != 0)
			;
	} else {
		fprintf(stderr, "bench-target: %s\n", err.text);
	}
	stop(&target);
	return r == 0 ? 0 : 1;
}
