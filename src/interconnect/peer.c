/* Peers: the table of instances, and their state, which is summed up from their channels. */
#include "interconnect/channel.h"
#include "interconnect/hub.h"
#include "interconnect/inbound.h"

#include "base/log.h"
#include "iscsi/socket_address.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

struct peer *peer_by_id(const struct interconnect *interconnect, uint32_t id)
{
	if (id == 0 || id > PEERS_MAX)
		return NULL;
	return atomic_load_explicit(&interconnect->peers[id - 1], memory_order_acquire);
}

struct peer *peer_find(const struct interconnect *interconnect, const char *gateway,
                       const char *instance)
{
	uint32_t count = atomic_load(&interconnect->peer_count);
	for (uint32_t id = count; id > 0; id--) {
		struct peer *peer = peer_by_id(interconnect, id);
		if (strcmp(peer->gateway, gateway) == 0 && strcmp(peer->instance, instance) == 0)
			return peer;
	}
	return NULL;
}

/* ---- state ---- */

/* One that is up on some channels only has a reactor that hangs, perhaps: what waits on the others
 * would wait for ever if nobody asked. */
static enum peer_state sum_up(const struct peer *peer, bool *ret_silent)
{
	unsigned up = 0, missed = 0, reset = 0, silent = 0;
	for (unsigned i = 0; i < peer->interconnect->hub_count; i++) {
		enum part_status status = atomic_load(&peer->parts[i].status);
		up += status == PART_UP;
		missed += atomic_load(&peer->parts[i].missed);
		reset += status == PART_RESET;
		silent += status == PART_SILENT;
	}
	if (up) {
		*ret_silent = missed != 0;
		return PEER_UP;
	}
	if (!reset && !silent)
		return peer->info.state;
	*ret_silent = !reset;
	return PEER_LOST;
}

static void log_state(const struct peer *peer)
{
	const struct peer_info *info = &peer->info;
	if (info->state == PEER_UP && info->silent)
		log_warning("peer %s (%s): some of its connections cannot be made", peer->gateway,
		            peer->instance);
	else if (info->state == PEER_UP)
		log_info("peer %s (%s): connected", peer->gateway, peer->instance);
	else if (info->state == PEER_LOST)
		log_warning("peer %s (%s): lost: %s", peer->gateway, peer->instance,
		            info->silent ? "nothing is heard of it"
		                         : "its connections are reset or refused");
}

/* It was lost, and one connection has come through: the others need not wait for their next try. */
static void hasten_parts(struct peer *peer)
{
	for (unsigned i = 0; i < peer->interconnect->hub_count; i++) {
		struct part *part = &peer->parts[i];
		if (atomic_load(&part->status) != PART_UP &&
		    !atomic_exchange(&part->hastened, true))
			reactor_deliver(part->hub->reactor, &part->hasten);
	}
}

static void peer_update(struct peer *peer)
{
	struct interconnect *interconnect = peer->interconnect;
	struct peer_info *info = &peer->info;
	bool silent = false;

	if (info->state == PEER_FORGOTTEN || interconnect->stopping)
		return;
	enum peer_state state = sum_up(peer, &silent);
	uint32_t stalled_ms = 0;
	for (unsigned i = 0; i < interconnect->hub_count; i++) {
		uint32_t its = atomic_load(&peer->parts[i].stalled_ms);
		stalled_ms = its > stalled_ms ? its : stalled_ms;
		if (atomic_load(&peer->parts[i].version))
			info->version = atomic_load(&peer->parts[i].version);
	}
	bool changed = state != info->state || silent != info->silent;
	if (!changed && stalled_ms == info->stalled_ms)
		return;
	if (state != info->state)
		info->since_ms = reactor_now_ms(interconnect->manager);
	if (state == PEER_UP && info->state != PEER_UP)
		hasten_parts(peer);
	info->state = state;
	info->silent = silent;
	info->stalled_ms = stalled_ms;
	if (changed)
		log_state(peer);
	interconnect->listener->peer_changed(interconnect->listener, info);
	atomic_store(&peer->lost, state == PEER_LOST);
}

static void report(struct message *message)
{
	struct part *part = container_of(message, struct part, report);
	struct interconnect *interconnect = part->peer->interconnect;
	struct interconnect_listener *listener = interconnect->listener;
	atomic_store(&part->reported, false);
	if (atomic_exchange(&part->unproven, false) && listener->unproven &&
	    !interconnect->stopping)
		listener->unproven(listener);
	peer_update(part->peer);
}

static void report_now(struct part *part)
{
	if (!atomic_exchange(&part->reported, true))
		reactor_deliver(part->peer->interconnect->manager, &part->report);
}

void part_report(struct part *part, enum part_status status)
{
	if (atomic_exchange(&part->status, (uint8_t)status) != (uint8_t)status)
		report_now(part);
}

void part_report_stalled(struct part *part, uint32_t stalled_ms)
{
	if (atomic_exchange(&part->stalled_ms, stalled_ms) != stalled_ms)
		report_now(part);
}

void part_report_missed(struct part *part, bool missed)
{
	if (atomic_exchange(&part->missed, missed) != missed)
		report_now(part);
}

void part_report_unproven(struct part *part)
{
	atomic_store(&part->unproven, true);
	report_now(part);
}

/* ---- life ---- */

static void start_part(struct message *message)
{
	struct part *part = container_of(message, struct part, start);
	inbounds_supersede(part->hub, part->peer->gateway, part->peer->instance);
	if (part->channel && !part->hub->stopping)
		channel_start(part->channel);
}

static void hasten_part(struct message *message)
{
	struct part *part = container_of(message, struct part, hasten);
	atomic_store(&part->hastened, false);
	if (part->channel && !part->hub->stopping)
		channel_hasten(part->channel);
}

static void forget_part(struct message *message)
{
	struct part *part = container_of(message, struct part, forget);
	struct channel *channel = part->channel;

	inbounds_forget(part->hub, part->peer->gateway, part->peer->instance);
	if (!channel)
		return;
	part->channel = NULL;
	channel_end(channel);
}

static void peer_free(struct peer *peer)
{
	for (unsigned i = 0; i < peer->interconnect->hub_count; i++) {
		if (peer->parts[i].channel)
			channel_free(peer->parts[i].channel);
	}
	pthread_mutex_destroy(&peer->lock);
	free(peer);
}

void peers_done(struct interconnect *interconnect)
{
	uint32_t count = atomic_load(&interconnect->peer_count);
	for (uint32_t id = 1; id <= count; id++)
		peer_free(peer_by_id(interconnect, id));
}

static int peer_new(struct interconnect *interconnect, const char *gateway, const char *instance,
                    struct peer **ret_peer)
{
	struct peer *peer =
	        calloc(1, sizeof(*peer) + interconnect->hub_count * sizeof(struct part));
	if (!peer)
		return -ENOMEM;
	peer->interconnect = interconnect;
	strcpy(peer->gateway, gateway);
	strcpy(peer->instance, instance);
	strcpy(peer->info.gateway, gateway);
	strcpy(peer->info.instance, instance);
	peer->info.since_ms = reactor_now_ms(interconnect->manager);
	pthread_mutex_init(&peer->lock, NULL);
	for (unsigned i = 0; i < interconnect->hub_count; i++) {
		struct part *part = &peer->parts[i];
		part->hub = &interconnect->hubs[i];
		part->peer = peer;
		part->start.run = start_part;
		part->forget.run = forget_part;
		part->hasten.run = hasten_part;
		part->report.run = report;
		int r = channel_new(part, &part->channel);
		if (r < 0) {
			peer_free(peer);
			return r;
		}
	}
	*ret_peer = peer;
	return 0;
}

static int set_address(struct peer *peer, const struct portal_address *address)
{
	pthread_mutex_lock(&peer->lock);
	peer->address_len = socket_address_make(address, &peer->address);
	pthread_mutex_unlock(&peer->lock);
	return 0;
}

/* Others of that gateway are of the past. */
static void supersede(struct interconnect *interconnect, const struct peer *newest)
{
	for (uint32_t id = 1; id < newest->id; id++) {
		struct peer *peer = peer_by_id(interconnect, id);
		if (strcmp(peer->gateway, newest->gateway) == 0)
			peer->superseded = true;
	}
}

int interconnect_add_peer(struct interconnect *interconnect, const char *gateway,
                          const char *instance, const char *address, uint32_t *ret_id)
{
	struct portal_address parsed;
	uint32_t count = atomic_load(&interconnect->peer_count);
	struct peer *peer = peer_find(interconnect, gateway, instance);

	if (!*gateway || strlen(gateway) >= INTERCONNECT_NAME_MAX || !*instance ||
	    strlen(instance) >= INTERCONNECT_INSTANCE_MAX ||
	    strcmp(gateway, interconnect->gateway) == 0 ||
	    portal_address_parse(address, &parsed) < 0)
		return -EINVAL;
	if (peer) {
		*ret_id = peer->id;
		return set_address(peer, &parsed);
	}
	if (count == PEERS_MAX)
		return -ENOSPC;
	int r = peer_new(interconnect, gateway, instance, &peer);
	if (r < 0)
		return r;
	(void)set_address(peer, &parsed); /* cannot fail */
	peer->id = peer->info.id = count + 1;
	supersede(interconnect, peer);
	atomic_store_explicit(&interconnect->peers[count], peer, memory_order_release);
	atomic_store(&interconnect->peer_count, count + 1);
	for (unsigned i = 0; i < interconnect->hub_count; i++)
		reactor_deliver(interconnect->hubs[i].reactor, &peer->parts[i].start);
	*ret_id = peer->id;
	return 0;
}

bool interconnect_get_peer(const struct interconnect *interconnect, uint32_t id,
                           struct peer_info *ret_peer)
{
	const struct peer *peer = peer_by_id(interconnect, id);
	if (peer)
		*ret_peer = peer->info;
	return peer != NULL;
}

void interconnect_forget(struct interconnect *interconnect, uint32_t id)
{
	struct peer *peer = peer_by_id(interconnect, id);
	if (!peer || peer->info.state == PEER_FORGOTTEN)
		return;
	peer->info.state = PEER_FORGOTTEN;
	peer->info.since_ms = reactor_now_ms(interconnect->manager);
	for (unsigned i = 0; i < interconnect->hub_count; i++)
		reactor_deliver(interconnect->hubs[i].reactor, &peer->parts[i].forget);
	log_info("peer %s (%s): forgotten: its instance is over", peer->gateway, peer->instance);
}
