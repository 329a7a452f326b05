/* The hub of a reactor: its tick (heartbeats, silence, pauses of this process), and its end. */
#include "interconnect/hub.h"

#include "base/log.h"
#include "interconnect/channel.h"
#include "interconnect/inbound.h"

#include <assert.h>
#include <errno.h>

#define TICKS_A_BEAT 4
#define STOP_MS      1000 /* for answers to leave */
#define STOP_TICK_MS 2

struct hub *hub_of(struct interconnect *interconnect, const struct reactor *reactor)
{
	for (unsigned i = 0; i < interconnect->hub_count; i++) {
		if (interconnect->hubs[i].reactor == reactor)
			return &interconnect->hubs[i];
	}
	assert(!"a relayed command is on a reactor of the interconnect");
	return NULL;
}

static unsigned tick_ms(const struct hub *hub)
{
	unsigned ms = hub->stopping ? STOP_TICK_MS : hub->interconnect->heartbeat_ms / TICKS_A_BEAT;
	return ms ? ms : 1;
}

/* Stopped or starved: peers' heartbeats may be here, unread. */
static void notice_pause(struct hub *hub)
{
	const struct interconnect *interconnect = hub->interconnect;
	uint64_t now_ms = interconnect->clock();
	uint64_t gap_ms = now_ms - hub->turned_ms;
	struct channel *channel;

	hub->turned_ms = now_ms;
	if (gap_ms < interconnect->silence_ms / 2)
		return;
	if (gap_ms >= interconnect->silence_ms)
		log_limited(LOG_LEVEL_WARNING, 1000,
		            "reactor %u did not run for %llu ms; peers are not judged by that",
		            hub->number, (unsigned long long)gap_ms);
	list_for_each (channel, &hub->channels, link)
		channel_forgive(channel);
	inbounds_forgive(hub);
}

static void tick(struct timer *timer)
{
	struct hub *hub = container_of(timer, struct hub, tick);
	bool beat = hub->ticks++ % TICKS_A_BEAT == 0;
	struct channel *channel, *following;

	reactor_arm(hub->reactor, &hub->tick, tick_ms(hub));
	notice_pause(hub);
	list_for_each_safe (channel, following, &hub->channels, link)
		channel_tick(channel, beat);
	inbounds_tick(hub, beat);
	hub_check_stopped(hub);
}

static void start(struct message *message)
{
	struct hub *hub = container_of(message, struct hub, start_message);
	if (hub->stopping)
		return;
	hub->turned_ms = hub->interconnect->clock();
	reactor_arm(hub->reactor, &hub->tick, tick_ms(hub));
}

/* ---- the end ---- */

static void end_channels(struct hub *hub)
{
	struct channel *channel, *following;
	list_for_each_safe (channel, following, &hub->channels, link) {
		channel->part->channel = NULL;
		channel_end(channel);
	}
}

static void end_relaying(struct message *message)
{
	end_channels(container_of(message, struct hub, relaying_message));
}

static void stop(struct message *message)
{
	struct hub *hub = container_of(message, struct hub, stop_message);

	hub->stopping = true;
	hub->stop_ms = reactor_now_ms(hub->reactor);
	reactor_arm(hub->reactor, &hub->tick, tick_ms(hub));
	end_channels(hub);
	inbounds_stop(hub);
	hub_check_stopped(hub);
}

static void tell_stopped(struct message *message)
{
	struct hub *hub = container_of(message, struct hub, stopped_message);
	struct interconnect *interconnect = hub->interconnect;
	interconnect->stopping_hubs--;
	interconnect_check_stopped(interconnect);
}

static void cut_slow_peers(struct hub *hub)
{
	struct inbound *inbound, *following;
	if (reactor_now_ms(hub->reactor) - hub->stop_ms < STOP_MS)
		return;
	list_for_each_safe (inbound, following, &hub->inbounds, link) {
		if (inbound->running_count == 0)
			inbound_drop_wire(inbound, "it does not take its answers");
		inbound_check_end(inbound);
	}
}

void hub_check_stopped(struct hub *hub)
{
	if (!hub->stopping || hub->stopped)
		return;
	cut_slow_peers(hub);
	if (!list_empty(&hub->inbounds) || !list_empty(&hub->returning) ||
	    atomic_load(&hub->relayed_now))
		return; /* what comes back does so in this turn */
	hub->stopped = true;
	reactor_disarm(hub->reactor, &hub->tick);
	hub->stopped_message.run = tell_stopped;
	reactor_deliver(hub->interconnect->manager, &hub->stopped_message);
}

/* ---- life ---- */

int hub_init(struct hub *hub, struct interconnect *interconnect, struct reactor *reactor,
             unsigned number)
{
	hub->interconnect = interconnect;
	hub->reactor = reactor;
	hub->number = number;
	list_init(&hub->channels);
	list_init(&hub->inbounds);
	list_init(&hub->free_relayed);
	list_init(&hub->free_executed);
	list_init(&hub->returning);
	hub->tick.expired = tick;
	hub->start_message.run = start;
	hub->relaying_message.run = end_relaying;
	hub->stop_message.run = stop;
	hub->buffer = malloc(WIRE_RECEIVE_BYTES);
	return hub->buffer ? 0 : -ENOMEM;
}

void hub_done(struct hub *hub)
{
	for (struct list *link; (link = list_take_first(&hub->free_relayed));)
		free(list_entry(link, struct relayed, link));
	for (struct list *link; (link = list_take_first(&hub->free_executed));)
		free(list_entry(link, struct executed, link));
	free(hub->buffer);
}
