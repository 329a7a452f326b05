/* The interconnect as a whole: made, told, stopped. On the manager. */
#include "interconnect/interconnect.h"

#include "interconnect/accept.h"
#include "interconnect/channel.h"
#include "interconnect/hub.h"

#include "base/text.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#define HEARTBEAT_MS 500
#define SILENCE_MS   2000
#define AGE_MAX_MS   2000

static void free_hubs(struct interconnect *interconnect)
{
	for (unsigned i = 0; i < interconnect->hub_count; i++)
		hub_done(&interconnect->hubs[i]);
	free(interconnect->hubs);
}

static int make_hubs(struct interconnect *interconnect, const struct interconnect_config *config)
{
	interconnect->hubs = calloc(config->reactor_count, sizeof(struct hub));
	if (!interconnect->hubs)
		return -ENOMEM;
	for (unsigned i = 0; i < config->reactor_count; i++) {
		interconnect->hub_count++;
		int r = hub_init(&interconnect->hubs[i], interconnect, config->reactors[i], i);
		if (r < 0)
			return r;
	}
	return 0;
}

static void copy_config(struct interconnect *interconnect, const struct interconnect_config *config)
{
	interconnect->relay.ops = &interconnect_relay_ops;
	interconnect->listener = config->listener;
	interconnect->manager = config->manager;
	interconnect->reactors = config->reactors;
	interconnect->clock = config->clock ? config->clock : clock_boottime_ms;
	strcpy(interconnect->gateway, config->gateway);
	strcpy(interconnect->instance, config->instance);
	(void)pthread_mutex_init(&interconnect->secret_lock, NULL);
	memcpy(interconnect->secret, config->secret, sizeof(interconnect->secret));
	interconnect->heartbeat_ms = config->heartbeat_ms ? config->heartbeat_ms : HEARTBEAT_MS;
	interconnect->silence_ms = config->silence_ms ? config->silence_ms : SILENCE_MS;
	interconnect->age_max_ms = config->age_max_ms ? config->age_max_ms : AGE_MAX_MS;
	interconnect->version_max =
	        config->version_max ? config->version_max : INTERCONNECT_VERSION_MAX;
}

static void forget_secret(struct interconnect *interconnect)
{
	wipe(interconnect->secret, sizeof(interconnect->secret));
	(void)pthread_mutex_destroy(&interconnect->secret_lock);
}

int interconnect_new(const struct interconnect_config *config,
                     struct interconnect **ret_interconnect, struct error *err)
{
	if (!*config->gateway || strlen(config->gateway) >= INTERCONNECT_NAME_MAX ||
	    !*config->instance || strlen(config->instance) >= INTERCONNECT_INSTANCE_MAX ||
	    config->reactor_count == 0 || config->reactor_count > HANDSHAKE_REACTOR_MAX + 1)
		return error_set(err, -EINVAL, "interconnect: gateway %s, instance %s, %u reactors",
		                 config->gateway, config->instance, config->reactor_count);
	struct interconnect *interconnect = calloc(1, sizeof(*interconnect));
	if (!interconnect)
		return error_set(err, -ENOMEM, "interconnect: out of memory");
	copy_config(interconnect, config);
	int r = make_hubs(interconnect, config);
	if (r < 0)
		(void)error_set(err, r, "interconnect: out of memory");
	else
		r = acceptor_new(interconnect, config->address, config->port,
		                 &interconnect->acceptor, err);
	if (r < 0) {
		forget_secret(interconnect);
		free_hubs(interconnect);
		free(interconnect);
		return r;
	}
	for (unsigned i = 0; i < interconnect->hub_count; i++)
		reactor_deliver(interconnect->hubs[i].reactor,
		                &interconnect->hubs[i].start_message);
	*ret_interconnect = interconnect;
	return 0;
}

void interconnect_set_secret(struct interconnect *interconnect, const uint8_t *secret)
{
	(void)pthread_mutex_lock(&interconnect->secret_lock);
	memcpy(interconnect->secret, secret, sizeof(interconnect->secret));
	(void)pthread_mutex_unlock(&interconnect->secret_lock);
}

void interconnect_copy_secret(struct interconnect *interconnect, uint8_t *ret_secret)
{
	(void)pthread_mutex_lock(&interconnect->secret_lock);
	memcpy(ret_secret, interconnect->secret, sizeof(interconnect->secret));
	(void)pthread_mutex_unlock(&interconnect->secret_lock);
}

int interconnect_move(struct interconnect *interconnect, const char *address, uint16_t port,
                      struct error *err)
{
	struct acceptor *acceptor = NULL;
	int r = acceptor_new(interconnect, address, port, &acceptor, err);
	if (r < 0)
		return r;
	acceptor_close(interconnect->acceptor);
	acceptor_free(interconnect->acceptor);
	interconnect->acceptor = acceptor;
	return 0;
}

const char *interconnect_address(const struct interconnect *interconnect)
{
	return acceptor_address(interconnect->acceptor);
}

struct relay *interconnect_relay(struct interconnect *interconnect)
{
	return &interconnect->relay;
}

void interconnect_set_stalled(struct interconnect *interconnect, uint32_t stalled_ms)
{
	atomic_store(&interconnect->stalled_ms, stalled_ms);
}

/* ---- messages ---- */

struct telling {
	struct message message;
	struct part *part;
	char *text;
};

static void tell_peer(struct message *message)
{
	struct telling *telling = container_of(message, struct telling, message);
	struct channel *channel = telling->part->channel;

	if (channel)
		channel_tell(channel, telling->text);
	else
		free(telling->text);
	free(telling);
}

int interconnect_tell(struct interconnect *interconnect, uint32_t id, const char *text)
{
	struct peer *peer = peer_by_id(interconnect, id);

	if (!peer || peer->info.state != PEER_UP || interconnect->stopping)
		return -ENOTCONN;
	if (strlen(text) > INTERCONNECT_TELL_MAX)
		return -EMSGSIZE;
	struct telling *telling = malloc(sizeof(*telling));
	if (!telling)
		return -ENOMEM;
	telling->text = strdup(text);
	if (!telling->text) {
		free(telling);
		return -ENOMEM;
	}
	telling->part = &peer->parts[0];
	telling->message.run = tell_peer;
	reactor_deliver(interconnect->hubs[0].reactor, &telling->message);
	return 0;
}

/* ---- the end ---- */

void interconnect_end_relaying(struct interconnect *interconnect)
{
	if (interconnect->relaying_ended || interconnect->stopping)
		return;
	interconnect->relaying_ended = true;
	for (unsigned i = 0; i < interconnect->hub_count; i++)
		reactor_deliver(interconnect->hubs[i].reactor,
		                &interconnect->hubs[i].relaying_message);
}

void interconnect_stop(struct interconnect *interconnect, void (*stopped)(void *argument),
                       void *argument)
{
	assert(!interconnect->stopping);
	interconnect->stopping = true;
	interconnect->stopped = stopped;
	interconnect->stopped_argument = argument;
	interconnect->stopping_hubs = interconnect->hub_count;
	acceptor_close(interconnect->acceptor);
	for (unsigned i = 0; i < interconnect->hub_count; i++)
		reactor_deliver(interconnect->hubs[i].reactor, &interconnect->hubs[i].stop_message);
}

void interconnect_check_stopped(struct interconnect *interconnect)
{
	if (interconnect->stopping && !interconnect->stopping_hubs && !interconnect->inquiries)
		interconnect->stopped(interconnect->stopped_argument);
}

void interconnect_free(struct interconnect *interconnect)
{
	if (!interconnect)
		return;
	assert(interconnect->stopping && !interconnect->stopping_hubs && !interconnect->inquiries);
	peers_done(interconnect);
	free_hubs(interconnect);
	acceptor_free(interconnect->acceptor);
	forget_secret(interconnect);
	free(interconnect);
}

void interconnect_get_counters(const struct interconnect *interconnect,
                               struct interconnect_counters *ret_counters)
{
	struct interconnect_counters counters = { 0 };
	for (unsigned i = 0; i < interconnect->hub_count; i++) {
		const struct hub *hub = &interconnect->hubs[i];
		counters.relayed += atomic_load(&hub->relayed);
		counters.executed += atomic_load(&hub->executed);
		counters.relayed_now += atomic_load(&hub->relayed_now);
		counters.executing_now += atomic_load(&hub->executing_now);
	}
	*ret_counters = counters;
}
