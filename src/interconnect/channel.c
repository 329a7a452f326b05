/* The connection of a channel: made, kept alive, made again. */
#include "interconnect/channel.h"

#include "base/log.h"
#include "base/text.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#define BACK_OFF_MIN_MS 100
#define BACK_OFF_MAX_MS 1000
#define LOG_INTERVAL_MS 5000
#define SHORT_LIFE_MS   100
#define SHORT_LIVES_MAX 3 /* then it is made anew with back-off, too */
#define DOWN_SILENCES   3 /* not up for so many times silence_ms: it is missed */

struct channel_login {
	struct handshake handshake;
	struct handshake_pdu out, in;
	struct wire_note note;
};

static struct interconnect *interconnect_of(const struct channel *channel)
{
	return channel->hub->interconnect;
}

static uint64_t now_ms(const struct channel *channel)
{
	return reactor_now_ms(channel->hub->reactor);
}

static struct channel *channel_of(struct wire *wire)
{
	return container_of(wire, struct channel, wire);
}

/* ---- the ends of a connection ---- */

static unsigned back_off_ms(const struct channel *channel)
{
	unsigned failures = channel->attempts;
	if (channel->short_lives > SHORT_LIVES_MAX)
		failures += channel->short_lives - SHORT_LIVES_MAX;
	if (failures == 0)
		return 0;
	unsigned shift = failures - 1 < 4 ? failures - 1 : 4;
	unsigned ms = BACK_OFF_MIN_MS << shift;
	return ms < BACK_OFF_MAX_MS ? ms : BACK_OFF_MAX_MS;
}

static void end_login(struct channel *channel)
{
	free(steal(&channel->login));
}

/* The wire is closed. A connection that was up and broke is made again at once, before anybody
 * hears of it. */
static void channel_down(struct channel *channel, bool silent, const char *why)
{
	bool was_up = channel->state == CHANNEL_UP;
	const struct peer *peer = channel->part->peer;

	log_limited(LOG_LEVEL_INFO, LOG_INTERVAL_MS, "peer %s (%s): reactor %u: %s: %s",
	            peer->gateway, peer->instance, channel->hub->number,
	            was_up ? "the connection broke" : "cannot connect", why);
	channel->state = CHANNEL_DOWN;
	end_login(channel);
	channel->attempts = was_up ? 0 : channel->attempts + 1;
	if (was_up) {
		channel->down_ms = now_ms(channel);
		channel->short_lives = now_ms(channel) - channel->up_ms < SHORT_LIFE_MS
		                               ? channel->short_lives + 1
		                               : 0;
	}
	if (was_up && !silent)
		part_report(channel->part, PART_TRYING);
	else
		part_report(channel->part, silent ? PART_SILENT : PART_RESET);
	reactor_arm(channel->hub->reactor, &channel->retry, back_off_ms(channel));
}

static void channel_break(struct channel *channel, bool silent, const char *why)
{
	wire_close(&channel->wire);
	channel_down(channel, silent, why);
}

static void broken(struct wire *wire, const char *why)
{
	channel_down(channel_of(wire), false, why);
}

/* ---- login ---- */

static void send_login(struct channel *channel)
{
	struct channel_login *login = channel->login;
	wire_note_init(&login->note, NULL);
	memcpy(login->note.header, login->out.bhs, BHS_BYTES);
	login->note.data = login->out.text;
	login->note.data_len = pdu_data_len(login->out.bhs);
	wire_send(&channel->wire, &login->note.outgoing);
}

static void connected(struct wire *wire)
{
	struct channel *channel = channel_of(wire);
	handshake_put_hello(&channel->login->handshake, &channel->login->out);
	channel->state = CHANNEL_HELLO;
	send_login(channel);
}

static const char *refusal(enum login_status status)
{
	switch (status) {
	case LOGIN_NOT_FOUND:
		return "another instance, or another gateway, answers there";
	case LOGIN_NOT_AUTHORIZED:
		return "it has forgotten this gateway: it was fenced, or has ended";
	case LOGIN_AUTHENTICATION_FAILED:
		return "it has another secret of the cluster";
	case LOGIN_UNSUPPORTED_VERSION:
		return "no common version of the interconnect";
	case LOGIN_NO_SESSION:
		return "it does not know this channel any more";
	default:
		return "refused";
	}
}

static int take_hello_answer(struct channel *channel)
{
	uint8_t secret[INTERCONNECT_SECRET_BYTES];
	struct channel_login *login = channel->login;
	interconnect_copy_secret(interconnect_of(channel), secret);
	int r = handshake_take_answer(&login->in, secret, &login->handshake);

	if (r == 0)
		r = handshake_put_proof(&login->handshake, secret, channel->lives > 0,
		                        channel->exp_stat_sn, &login->out);
	wipe(secret, sizeof(secret));
	if (r == -EACCES)
		part_report_unproven(channel->part);
	if (r < 0) {
		channel_break(channel, false,
		              r == -EACCES ? "it could not prove to be of this cluster"
		              : r == -EPROTONOSUPPORT
		                      ? "no common version of the interconnect"
		                      : "another gateway or instance answers there");
		return r;
	}
	channel->state = CHANNEL_PROOF;
	/* Emitted when the last has left, which it has: it was answered. */
	send_login(channel);
	return 0;
}

static int channel_up(struct channel *channel)
{
	struct channel_login *login = channel->login;
	const uint8_t *bhs = channel->wire.rx.header;
	struct message_heartbeat heartbeat;
	int r = message_take_heartbeat(bhs, &heartbeat);

	if (r == 0)
		r = transmitter_resize(&channel->wire.tx, WIRE_SLOTS);
	if (r == 0)
		r = channel_resend(channel, get_be32(bhs + BHS_EXP_CMD_SN));
	if (r < 0) {
		channel_break(channel, false, "protocol error");
		return r;
	}
	atomic_store(&channel->part->version, login->handshake.version);
	end_login(channel);
	channel->state = CHANNEL_UP;
	channel->lives++;
	channel->attempts = 0;
	channel->up_ms = now_ms(channel);
	channel->stamp = heartbeat.stamp;
	part_report_stalled(channel->part, heartbeat.stalled_ms);
	part_report(channel->part, PART_UP);
	channel_beat(channel);
	channel_pump(channel);
	return 0;
}

static int login_header(struct channel *channel)
{
	const uint8_t *bhs = channel->wire.rx.header;
	if (pdu_opcode(bhs) != PDU_LOGIN_RESPONSE || pdu_data_len(bhs) > HANDSHAKE_TEXT_MAX ||
	    (channel->state != CHANNEL_HELLO && channel->state != CHANNEL_PROOF))
		return -EPROTO;
	memcpy(channel->login->in.bhs, bhs, BHS_BYTES);
	channel->wire.rx.data = (uint8_t *)channel->login->in.text;
	return 0;
}

static int login_complete(struct channel *channel)
{
	enum login_status status = handshake_status(channel->login->in.bhs);
	if (status != LOGIN_SUCCESS) {
		channel_break(channel, false, refusal(status));
		return -ECONNREFUSED;
	}
	if (!transmitter_empty(&channel->wire.tx))
		return -EPROTO; /* an answer to what was not sent yet */
	if (channel->state == CHANNEL_HELLO)
		return take_hello_answer(channel);
	return channel_up(channel);
}

static int header(struct receiver *rx)
{
	struct channel *channel = container_of(rx, struct channel, wire.rx);
	return channel->state == CHANNEL_UP ? answer_header(channel) : login_header(channel);
}

static int complete(struct receiver *rx, bool data_digest_ok)
{
	struct channel *channel = container_of(rx, struct channel, wire.rx);
	(void)data_digest_ok; /* there are no digests */
	return channel->state == CHANNEL_UP ? answer_complete(channel) : login_complete(channel);
}

static const struct wire_ops ops = {
	.receiver = { .header = header, .complete = complete },
	.connected = connected,
	.broken = broken,
};

/* ---- connecting ---- */

static int make_login(struct channel *channel)
{
	const struct interconnect *interconnect = interconnect_of(channel);
	const struct peer *peer = channel->part->peer;
	struct channel_login *login = calloc(1, sizeof(*login));

	if (!login)
		return -ENOMEM;
	channel->login = login;
	struct handshake_party *owner = &login->handshake.party[HANDSHAKE_OWNER];
	strcpy(owner->gateway, peer->gateway);
	strcpy(owner->instance, peer->instance);
	login->handshake.reactor = channel->hub->number;
	struct handshake_party *origin = &login->handshake.party[HANDSHAKE_ORIGIN];
	int r = handshake_party_init(origin, interconnect->gateway, interconnect->instance);
	origin->version_max = interconnect->version_max;
	return r;
}

static int make_socket(struct channel *channel, int *ret_fd)
{
	struct peer *peer = channel->part->peer;
	struct sockaddr_storage address;

	pthread_mutex_lock(&peer->lock);
	socklen_t len = peer->address_len;
	memcpy(&address, &peer->address, sizeof(address));
	pthread_mutex_unlock(&peer->lock);
	AUTO_CLOSE int fd = wire_socket(address.ss_family);
	if (fd < 0)
		return fd;
	if (connect(fd, (struct sockaddr *)&address, len) < 0 && errno != EINPROGRESS)
		return -errno;
	*ret_fd = fd;
	fd = -1;
	return 0;
}

static void channel_connect(struct channel *channel)
{
	int fd = -1;
	int r = make_login(channel);

	channel->state = CHANNEL_CONNECTING;
	channel->began_ms = now_ms(channel);
	if (r == 0)
		r = make_socket(channel, &fd);
	if (r == 0)
		r = wire_open(&channel->wire, channel->hub->reactor, fd, true, WIRE_SLOTS_LOGIN,
		              channel->hub->buffer, &ops);
	if (r < 0)
		channel_down(channel, false, strerror(-r));
}

static void retry(struct timer *timer)
{
	channel_connect(container_of(timer, struct channel, retry));
}

void channel_restart_login(struct channel *channel)
{
	if (channel->state == CHANNEL_DOWN)
		return;
	assert(channel->state != CHANNEL_UP);
	wire_close(&channel->wire);
	end_login(channel);
	channel_connect(channel);
}

void channel_hasten(struct channel *channel)
{
	if (channel->state == CHANNEL_DOWN) {
		reactor_disarm(channel->hub->reactor, &channel->retry);
		channel_connect(channel);
	} else if (channel->state == CHANNEL_CONNECTING &&
	           now_ms(channel) - channel->began_ms > BACK_OFF_MIN_MS) {
		channel_restart_login(channel);
	}
}

/* ---- time ---- */

static bool emit_heartbeat(struct outgoing *outgoing, struct tx_slot *slot)
{
	struct channel *channel = container_of(outgoing, struct channel, heartbeat);
	struct interconnect *interconnect = interconnect_of(channel);
	const struct message_heartbeat heartbeat = {
		.stamp = interconnect->clock(),
		.seen = channel->stamp,
		.stalled_ms = atomic_load(&interconnect->stalled_ms),
	};
	pdu_start(slot->header, PDU_NOP_OUT, FLAG_FINAL, TAG_NONE);
	slot->header[BHS_OPCODE] |= PDU_IMMEDIATE;
	put_be32(slot->header + BHS_TTT, TAG_NONE);
	put_be32(slot->header + BHS_CMD_SN, channel->cmd_sn);
	put_be32(slot->header + BHS_EXP_STAT_SN, channel->exp_stat_sn);
	message_put_heartbeat(slot->header, &heartbeat);
	channel->unconfirmed = channel->unconfirmed_bytes = 0;
	return true;
}

static void heartbeat_ended(struct outgoing *outgoing)
{
	(void)outgoing; /* part of the channel */
}

void channel_beat(struct channel *channel)
{
	if (channel->state == CHANNEL_UP && list_empty(&channel->heartbeat.link))
		wire_send(&channel->wire, &channel->heartbeat);
}

void channel_tick(struct channel *channel, bool beat)
{
	uint64_t now = now_ms(channel);
	uint64_t silence_ms = interconnect_of(channel)->silence_ms;

	switch (channel->state) {
	case CHANNEL_UP:
		if (now - channel->wire.heard_ms > silence_ms)
			channel_break(channel, true, "nothing came from it");
		else if (beat)
			channel_beat(channel);
		break;
	case CHANNEL_CONNECTING:
	case CHANNEL_HELLO:
	case CHANNEL_PROOF:
		if (now - channel->began_ms > silence_ms)
			channel_break(channel, true, "no answer");
		break;
	case CHANNEL_DOWN:
		break;
	}
	part_report_missed(channel->part,
	                   channel->state != CHANNEL_UP &&
	                           now - channel->down_ms > DOWN_SILENCES * silence_ms);
	channel_give_back(channel);
	channel_leave_orphans(channel);
}

void channel_forgive(struct channel *channel)
{
	const struct interconnect *interconnect = interconnect_of(channel);
	uint64_t now = now_ms(channel);
	uint64_t grace_ms = interconnect->heartbeat_ms + interconnect->heartbeat_ms / 2;
	uint64_t heard_ms = now + grace_ms - interconnect->silence_ms;

	if (grace_ms > interconnect->silence_ms)
		heard_ms = now;
	if (channel->wire.heard_ms < heard_ms)
		channel->wire.heard_ms = heard_ms;
	if (channel->began_ms < heard_ms)
		channel->began_ms = heard_ms;
	channel->down_ms = now;
}

/* ---- messages of the manager ---- */

struct tell {
	struct wire_note note;
	char *text;
};

static void tell_ended(struct outgoing *outgoing)
{
	struct tell *tell = container_of(outgoing, struct tell, note.outgoing);
	free(tell->text);
	free(tell);
}

void channel_tell(struct channel *channel, char *text)
{
	struct tell *tell = channel->state == CHANNEL_UP ? malloc(sizeof(*tell)) : NULL;
	if (!tell) {
		free(text);
		return;
	}
	wire_note_init(&tell->note, tell_ended);
	tell->text = text;
	pdu_start(tell->note.header, PDU_TEXT, FLAG_FINAL, TAG_NONE);
	tell->note.header[BHS_OPCODE] |= PDU_IMMEDIATE;
	tell->note.header[2] = MESSAGE_TELL;
	put_be32(tell->note.header + BHS_CMD_SN, channel->cmd_sn);
	put_be32(tell->note.header + BHS_EXP_STAT_SN, channel->exp_stat_sn);
	tell->note.data = text;
	tell->note.data_len = (uint32_t)strlen(text);
	wire_send(&channel->wire, &tell->note.outgoing);
}

/* ---- life ---- */

int channel_new(struct part *part, struct channel **ret_channel)
{
	struct channel *channel = calloc(1, sizeof(*channel));
	if (!channel)
		return -ENOMEM;
	int r = rows_new(&channel->rows);
	if (r < 0) {
		free(channel);
		return r;
	}
	channel->hub = part->hub;
	channel->part = part;
	channel->retry.expired = retry;
	channel->cmd_sn = channel->exp_stat_sn = 1;
	channel->heartbeat.emit = emit_heartbeat;
	channel->heartbeat.ended = heartbeat_ended;
	list_init(&channel->heartbeat.link);
	list_init(&channel->link);
	list_init(&channel->queue);
	list_init(&channel->sent);
	for (unsigned i = 0; i < CHANNEL_SLOTS; i++)
		channel->free_slots[channel->free_slot_count++] = (uint16_t)(CHANNEL_SLOTS - 1 - i);
	*ret_channel = channel;
	return 0;
}

void channel_free(struct channel *channel)
{
	if (!channel)
		return;
	assert(!channel->wire.open && list_empty(&channel->queue) && list_empty(&channel->sent));
	rows_free(channel->rows);
	end_login(channel);
	free(channel);
}

void channel_start(struct channel *channel)
{
	list_append(&channel->hub->channels, &channel->link);
	channel->down_ms = now_ms(channel);
	channel_connect(channel);
}

void channel_end(struct channel *channel)
{
	struct relayed *relayed, *following;

	reactor_disarm(channel->hub->reactor, &channel->retry);
	wire_close(&channel->wire);
	list_for_each_safe (relayed, following, &channel->queue, link)
		relayed_return(channel, relayed, RELAY_NOT_EXECUTED);
	list_for_each_safe (relayed, following, &channel->sent, link)
		relayed_return(channel, relayed, RELAY_UNKNOWN);
	list_remove(&channel->link);
	channel_free(channel);
}
