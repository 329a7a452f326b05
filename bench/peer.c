/* The owner's instance and the secret are known to both: this measures the way, not the protocol of
 * ownership. */
#include "peer.h"

#include "base/reactor.h"
#include "interconnect/interconnect.h"
#include "scsi/lun.h"

#include <errno.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EPOCH        1
#define CONNECT_MS   5000
#define OWNER        "owner"
#define ORIGIN       "origin"
#define INSTANCE_TXT "1"

struct bench_peer {
	struct bench_peer_config config;
	struct reactor *manager;
	struct interconnect *interconnect;
	struct interconnect_listener listener;
	struct lun *lun;
	bool up;
	struct message stop;
	sem_t stopped;
};

static void peer_changed(struct interconnect_listener *listener, const struct peer_info *info)
{
	struct bench_peer *peer = container_of(listener, struct bench_peer, listener);
	peer->up = info->state == PEER_UP;
}

static void told(struct interconnect_listener *listener, const struct peer_info *info,
                 const char *text)
{
}

static struct lun *find_lun(struct interconnect_listener *listener, const char *name,
                            const char *wwn)
{
	struct bench_peer *peer = container_of(listener, struct bench_peer, listener);
	return peer->lun ? lun_get(peer->lun) : NULL;
}

/* "HOST:PORT" */
static int split(const char *address, char *ret_host, size_t room, uint16_t *ret_port)
{
	const char *colon = strrchr(address, ':');
	if (!colon || (size_t)(colon - address) >= room)
		return -EINVAL;
	memcpy(ret_host, address, (size_t)(colon - address));
	ret_host[colon - address] = '\0';
	*ret_port = (uint16_t)atoi(colon + 1);
	return 0;
}

int bench_peer_new(const struct bench_peer_config *config, struct bench_peer **ret_peer,
                   struct error *err)
{
	char host[64] = "127.0.0.1";
	uint16_t port = 0;
	struct bench_peer *peer = calloc(1, sizeof *peer);
	if (!peer)
		return error_set(err, -ENOMEM, "out of memory");
	if (config->listen && split(config->listen, host, sizeof host, &port) < 0) {
		free(peer);
		return error_set(err, -EINVAL, "not HOST:PORT: %s", config->listen);
	}
	peer->config = *config;
	peer->listener = (struct interconnect_listener){ peer_changed, told, find_lun };
	(void)sem_init(&peer->stopped, 0, 0); /* cannot fail with 0 */
	int r = reactor_new("manager", NULL, &peer->manager);
	if (r < 0) {
		free(peer);
		return error_set(err, r, "making a reactor: %s", strerror(-r));
	}
	struct interconnect_config wanted = {
		.manager = peer->manager,
		.reactors = config->reactors,
		.reactor_count = config->reactor_count,
		.gateway = config->listen ? OWNER : ORIGIN,
		.instance = INSTANCE_TXT,
		.address = host,
		.port = port,
		.secret = { 0x5e },
		.listener = &peer->listener,
	};
	r = interconnect_new(&wanted, &peer->interconnect, err);
	if (r < 0) {
		reactor_free(peer->manager);
		free(peer);
		return r;
	}
	*ret_peer = peer;
	return 0;
}

struct relay *bench_peer_relay(struct bench_peer *peer)
{
	return interconnect_relay(peer->interconnect);
}

static int connect_owner(struct bench_peer *peer, struct error *err)
{
	uint32_t id;
	int r = interconnect_add_peer(peer->interconnect, OWNER, INSTANCE_TXT, peer->config.owner,
	                              &id);
	uint64_t deadline_ms = clock_monotonic_ms() + CONNECT_MS;
	while (r == 0 && !peer->up) {
		(void)reactor_turn(peer->manager, 50);
		if (clock_monotonic_ms() > deadline_ms)
			r = -ETIMEDOUT;
	}
	if (r < 0)
		return error_set(err, r, "%s: %s", peer->config.owner, strerror(-r));
	lun_forward(peer->lun, &(struct lun_route){ .peer = id, .epoch = EPOCH });
	return 0;
}

int bench_peer_run(struct bench_peer *peer, struct lun *lun, struct error *err)
{
	peer->lun = lun;
	int r = peer->config.owner ? connect_owner(peer, err) : 0;
	if (r < 0)
		return r;
	r = reactor_start(peer->manager, -1);
	return r < 0 ? error_set(err, r, "starting a thread: %s", strerror(-r)) : 0;
}

static void stopped(void *argument)
{
	struct bench_peer *peer = argument;
	(void)sem_post(&peer->stopped); /* only fails on overflow */
}

static void stop(struct message *message)
{
	struct bench_peer *peer = container_of(message, struct bench_peer, stop);
	interconnect_stop(peer->interconnect, stopped, peer);
}

void bench_peer_free(struct bench_peer *peer)
{
	if (!peer)
		return;
	peer->stop.run = stop;
	reactor_post(peer->manager, &peer->stop);
	while (sem_wait(&peer->stopped) < 0)
		; /* a signal */
	reactor_stop(peer->manager);
	interconnect_free(peer->interconnect);
	reactor_free(peer->manager);
	free(peer);
}
