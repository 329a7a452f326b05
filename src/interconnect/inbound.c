/* The life of a channel from a peer: a connection arrives, breaks, is followed by another; the end
 * when the peer's instance is over. */
#include "interconnect/inbound.h"

#include "base/log.h"
#include "interconnect/channel.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#define LOG_INTERVAL_MS 5000

static struct inbound *inbound_of(struct wire *wire)
{
	return container_of(wire, struct inbound, wire);
}

/* ---- the end ---- */

static void free_later(struct message *message)
{
	struct inbound *inbound = container_of(message, struct inbound, end);
	struct hub *hub = inbound->hub;

	list_remove(&inbound->link);
	proxies_done(inbound);
	free(inbound);
	hub_check_stopped(hub);
}

void inbound_check_end(struct inbound *inbound)
{
	struct hub *hub = inbound->hub;
	/* A stop: all that ran is answered, and the answers have left or nobody takes them. */
	if (hub->stopping && !inbound->dropped && inbound->running_count == 0 &&
	    (!inbound->wire.open || transmitter_empty(&inbound->wire.tx))) {
		inbound->dropped = true;
		inbound_drop_wire(inbound, "this gateway stops");
		executed_drop_answers(inbound);
		proxies_end(inbound);
	}
	if (!inbound->dropped || inbound->count || inbound->proxies_ending || inbound->end.run)
		return;
	inbound->end.run = free_later;
	reactor_defer(hub->reactor, &inbound->end);
}

/* What was coming in is gone with the connection. */
static void drop_incoming(struct inbound *inbound)
{
	if (inbound->incoming)
		executed_free(steal(&inbound->incoming));
	buffer_put(steal(&inbound->text));
}

void inbound_drop_wire(struct inbound *inbound, const char *why)
{
	if (!inbound->wire.open)
		return;
	log_limited(LOG_LEVEL_INFO, LOG_INTERVAL_MS, "peer %s (%s): its connection is closed: %s",
	            inbound->gateway, inbound->instance, why);
	wire_close(&inbound->wire);
	drop_incoming(inbound);
}

static void inbound_drop(struct inbound *inbound, const char *why)
{
	if (inbound->dropped)
		return;
	inbound->dropped = true;
	inbound_drop_wire(inbound, why);
	executed_drop_answers(inbound);
	proxies_end(inbound);
	inbound_check_end(inbound);
}

void inbounds_forget(struct hub *hub, const char *gateway, const char *instance)
{
	struct inbound *inbound, *following;
	list_for_each_safe (inbound, following, &hub->inbounds, link) {
		if (strcmp(inbound->gateway, gateway) == 0 &&
		    strcmp(inbound->instance, instance) == 0)
			inbound_drop(inbound, "its instance is over");
	}
}

void inbounds_supersede(struct hub *hub, const char *gateway, const char *instance)
{
	struct inbound *inbound, *following;
	list_for_each_safe (inbound, following, &hub->inbounds, link) {
		if (strcmp(inbound->gateway, gateway) == 0 &&
		    strcmp(inbound->instance, instance) != 0)
			inbound_drop(inbound, "another instance has followed it");
	}
}

void inbounds_stop(struct hub *hub)
{
	struct inbound *inbound, *following;
	list_for_each_safe (inbound, following, &hub->inbounds, link)
		inbound_check_end(inbound);
}

/* ---- the connection ---- */

static int header(struct receiver *rx)
{
	return request_header(container_of(rx, struct inbound, wire.rx));
}

static int complete(struct receiver *rx, bool data_digest_ok)
{
	struct inbound *inbound = container_of(rx, struct inbound, wire.rx);
	(void)data_digest_ok; /* there are no digests */
	int r = request_complete(inbound);
	if (r == 0 && !inbound->wire.open)
		return -ECANCELED;
	return r;
}

static void broken(struct wire *wire, const char *why)
{
	struct inbound *inbound = inbound_of(wire);
	log_limited(LOG_LEVEL_INFO, LOG_INTERVAL_MS, "peer %s (%s): its connection broke: %s",
	            inbound->gateway, inbound->instance, why);
	drop_incoming(inbound);
	inbound_check_end(inbound);
}

static const struct wire_ops ops = {
	.receiver = { .header = header, .complete = complete },
	.broken = broken,
};

/* ---- heartbeats ---- */

static void heartbeat_now(const struct inbound *inbound, struct message_heartbeat *ret_heartbeat)
{
	struct interconnect *interconnect = inbound->hub->interconnect;
	*ret_heartbeat = (struct message_heartbeat){
		.stamp = interconnect->clock(),
		.seen = inbound->stamp,
		.stalled_ms = atomic_load(&interconnect->stalled_ms),
	};
}

static bool emit_heartbeat(struct outgoing *outgoing, struct tx_slot *slot)
{
	const struct inbound *inbound = container_of(outgoing, struct inbound, heartbeat);
	struct message_heartbeat heartbeat;
	heartbeat_now(inbound, &heartbeat);
	pdu_start(slot->header, PDU_NOP_IN, FLAG_FINAL, TAG_NONE);
	put_be32(slot->header + BHS_TTT, TAG_NONE);
	pdu_put_sn(slot->header, inbound->stat_sn, inbound->exp_cmd_sn, 0);
	message_put_heartbeat(slot->header, &heartbeat);
	return true;
}

static void heartbeat_ended(struct outgoing *outgoing)
{
	(void)outgoing; /* part of the inbound */
}

void inbounds_tick(struct hub *hub, bool beat)
{
	uint64_t now = reactor_now_ms(hub->reactor);
	uint64_t silence_ms = 2ull * hub->interconnect->silence_ms;
	struct inbound *inbound, *following;

	list_for_each_safe (inbound, following, &hub->inbounds, link) {
		if (now - inbound->wire.heard_ms > silence_ms)
			inbound_drop_wire(inbound, "nothing comes from it");
		if (inbound->wire.open && beat && list_empty(&inbound->heartbeat.link) &&
		    !hub->stopping)
			wire_send(&inbound->wire, &inbound->heartbeat);
		inbound_check_end(inbound);
	}
}

void inbounds_forgive(struct hub *hub)
{
	struct inbound *inbound;
	list_for_each (inbound, &hub->inbounds, link)
		inbound->wire.heard_ms = reactor_now_ms(hub->reactor);
}

/* ---- arrival ---- */

static struct inbound *find(const struct arrival *arrival)
{
	const struct handshake_party *origin = &arrival->handshake.party[HANDSHAKE_ORIGIN];
	struct inbound *inbound;

	list_for_each (inbound, &arrival->hub->inbounds, link) {
		if (inbound->reactor == arrival->handshake.reactor && !inbound->dropped &&
		    strcmp(inbound->gateway, origin->gateway) == 0 &&
		    strcmp(inbound->instance, origin->instance) == 0)
			return inbound;
	}
	return NULL;
}

static unsigned count(const struct hub *hub)
{
	const struct inbound *inbound;
	unsigned count = 0;
	list_for_each (inbound, &hub->inbounds, link)
		count++;
	return count;
}

static struct inbound *inbound_new(const struct arrival *arrival)
{
	const struct handshake_party *origin = &arrival->handshake.party[HANDSHAKE_ORIGIN];
	struct hub *hub = arrival->hub;
	struct inbound *inbound = count(hub) < INBOUNDS_MAX ? calloc(1, sizeof(*inbound)) : NULL;
	if (!inbound)
		return NULL;
	inbound->hub = hub;
	strcpy(inbound->gateway, origin->gateway);
	strcpy(inbound->instance, origin->instance);
	inbound->reactor = arrival->handshake.reactor;
	inbound->exp_cmd_sn = inbound->stat_sn = 1;
	inbound->heartbeat.emit = emit_heartbeat;
	inbound->heartbeat.ended = heartbeat_ended;
	list_init(&inbound->heartbeat.link);
	list_init(&inbound->running);
	list_init(&inbound->answers);
	list_append(&hub->inbounds, &inbound->link);
	return inbound;
}

static void send_welcome(struct inbound *inbound)
{
	struct wire_note *note = &inbound->login;
	struct message_heartbeat heartbeat;

	heartbeat_now(inbound, &heartbeat);
	wire_note_init(note, NULL);
	pdu_start(note->header, PDU_LOGIN_RESPONSE,
	          FLAG_TRANSIT | FLAG_STAGES(STAGE_SECURITY, STAGE_FULL_FEATURE), 0);
	pdu_put_sn(note->header, inbound->stat_sn, inbound->exp_cmd_sn, 0);
	message_put_heartbeat(note->header, &heartbeat);
	wire_send(&inbound->wire, &note->outgoing);
}

/* The old connection goes first: what was unread in it never comes. Owns the socket. */
static enum login_status attach(struct arrival *arrival)
{
	struct hub *hub = arrival->hub;
	struct inbound *inbound = find(arrival);

	if (hub->stopping)
		return LOGIN_SERVICE_UNAVAILABLE;
	if (!inbound && arrival->resume)
		return LOGIN_NO_SESSION;
	if (!inbound)
		inbound = inbound_new(arrival);
	if (!inbound)
		return LOGIN_OUT_OF_RESOURCES;
	inbound_drop_wire(inbound, "the peer has made a new one");
	if (executed_confirm(inbound, arrival->exp_stat_sn) < 0)
		return LOGIN_INVALID_REQUEST;
	int fd = arrival->fd;
	arrival->fd = -1;
	if (wire_open(&inbound->wire, hub->reactor, fd, false, WIRE_SLOTS, hub->buffer, &ops) < 0)
		return LOGIN_SUCCESS; /* it is closed already: the peer tries again */
	send_welcome(inbound);
	executed_resend(inbound);
	return LOGIN_SUCCESS;
}

void inbound_arrive(struct message *message)
{
	struct arrival *arrival = container_of(message, struct arrival, message);
	enum login_status status = attach(arrival);

	if (status != LOGIN_SUCCESS) {
		struct handshake_pdu refusal;
		handshake_put_refusal(status, &refusal);
		/* The socket is empty; if it fails all the same, the peer sees the end. */
		(void)send(arrival->fd, refusal.bhs, BHS_BYTES, MSG_NOSIGNAL | MSG_DONTWAIT);
	}
	if (arrival->fd >= 0)
		close(arrival->fd);
	free(arrival);
}
