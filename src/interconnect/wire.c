/* Reading straight into place, flushing at the end of a turn, and closing. */
#include "interconnect/wire.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#define EXACT_BYTES  2048u
#define SEND_AT_ONCE 4 /* so many do not wait for the end of the turn; then twice as many, ... */

int wire_socket(int family)
{
	static const char congestion[] = "cubic";
	int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	/* A socket without it works. Gateways are neighbours: what is meant for long ways (bbr as
	 * the host's default paces each 64 KiB by a timer) costs more here than all of the
	 * protocol. A connection that began with bbr is paced for ever, whatever follows. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, congestion, sizeof(congestion) - 1);
	return fd;
}

void wire_close(struct wire *wire)
{
	if (!wire->open)
		return;
	wire->open = false;
	reactor_unwatch(wire->reactor, &wire->watch);
	close(wire->watch.fd);
	list_remove(&wire->flush.link);
	transmitter_done(&wire->tx);
}

static void wire_break(struct wire *wire, const char *why)
{
	if (!wire->open)
		return;
	wire_close(wire);
	wire->ops->broken(wire, why);
}

static uint32_t reading_events(const struct wire *wire)
{
	return wire->accepted ? EPOLLIN | EPOLLRDHUP : EPOLLIN;
}

static void update_watch(struct wire *wire)
{
	bool sending = wire->connecting || !transmitter_empty(&wire->tx);
	reactor_watch_set(wire->reactor, &wire->watch,
	                  (wire->connecting ? 0u : reading_events(wire)) |
	                          (sending ? (unsigned)EPOLLOUT : 0u));
}

void wire_flush(struct wire *wire)
{
	if (!wire->open || wire->connecting)
		return;
	wire->queued = 0;
	wire->enough = SEND_AT_ONCE;
	int r = transmitter_flush(&wire->tx, reactor_now_ms(wire->reactor));
	if (r < 0)
		wire_break(wire, strerror(-r));
	else
		update_watch(wire);
}

static void flush_at_turn_end(struct turn_hook *hook)
{
	wire_flush(container_of(hook, struct wire, flush));
}

void wire_send(struct wire *wire, struct outgoing *outgoing)
{
	transmitter_add(&wire->tx, outgoing);
	reactor_at_turn_end(wire->reactor, &wire->flush);
	if (++wire->queued < wire->enough || wire->connecting)
		return;
	/* A long turn would hand all of its commands on at once: initiator, origin and owner would
	 * take turns, and never work at the same time. But who has something to do already need not
	 * be woken for each few more. An error shows again at the end of the turn,
	 * when nobody is in the middle of anything. */
	wire->queued = 0;
	wire->enough *= 2;
	(void)!transmitter_flush(&wire->tx, reactor_now_ms(wire->reactor));
}

static void read_some(struct wire *wire)
{
	uint8_t exact[EXACT_BYTES];
	struct iovec pieces[RECEIVE_PIECES] = { { exact, receiver_wants(&wire->rx) } };
	struct msghdr message = { .msg_iov = pieces, .msg_iovlen = 1 };

	if (wire->buffer)
		message.msg_iovlen = receiver_pieces(
		        &wire->rx, (struct iovec){ wire->buffer, WIRE_RECEIVE_BYTES }, false,
		        pieces);
	else if (pieces[0].iov_len > EXACT_BYTES)
		pieces[0].iov_len = EXACT_BYTES;
	ssize_t n = recvmsg(wire->watch.fd, &message, MSG_DONTWAIT);
	if (n > 0) {
		wire->heard_ms = reactor_now_ms(wire->reactor);
		if (receiver_take_pieces(&wire->rx, pieces, (unsigned)message.msg_iovlen,
		                         (size_t)n) < 0)
			wire_break(wire, "protocol error");
	} else if (n == 0) {
		wire_break(wire, "closed by the peer");
	} else if (errno != EAGAIN && errno != EINTR) {
		wire_break(wire, strerror(errno));
	}
}

static void end_of_connect(struct wire *wire)
{
	int error = 0;
	socklen_t len = sizeof(error);
	if (getsockopt(wire->watch.fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		error = errno;
	if (error) {
		wire_break(wire, strerror(error));
		return;
	}
	wire->connecting = false;
	wire->heard_ms = reactor_now_ms(wire->reactor);
	update_watch(wire);
	wire->ops->connected(wire);
}

static void wire_ready(struct watch *watch, uint32_t events)
{
	struct wire *wire = container_of(watch, struct wire, watch);

	if (wire->connecting) {
		if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
			end_of_connect(wire);
		return;
	}
	/* The origin is gone: its commands that stand in the socket may be repeated elsewhere
	 * already (H35). If it is still there, it sends them again. */
	if (wire->accepted && (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))) {
		wire_break(wire, "closed by the peer");
		return;
	}
	if (events & EPOLLOUT)
		reactor_at_turn_end(wire->reactor, &wire->flush);
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		read_some(wire);
}

int wire_open(struct wire *wire, struct reactor *reactor, int fd, bool connecting,
              unsigned slot_count, uint8_t *buffer, const struct wire_ops *ops)
{
	AUTO_CLOSE int owned_fd = fd;
	int on = 1;

	*wire = (struct wire){
		.ops = ops, .reactor = reactor, .buffer = buffer, .enough = SEND_AT_ONCE
	};
	wire->watch.fd = fd;
	wire->watch.ready = wire_ready;
	wire->flush.run = flush_at_turn_end;
	list_init(&wire->flush.link);
	wire->heard_ms = reactor_now_ms(reactor);
	wire->connecting = connecting;
	wire->accepted = !connecting;
	receiver_init(&wire->rx, &ops->receiver);
	int r = transmitter_init(&wire->tx, fd, slot_count);
	if (r < 0)
		return r;
	/* Only makes things better: a socket without it works. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	r = reactor_watch(reactor, &wire->watch,
	                  connecting ? (uint32_t)EPOLLOUT : reading_events(wire));
	if (r < 0) {
		transmitter_done(&wire->tx);
		return r;
	}
	wire->open = true;
	owned_fd = -1;
	return 0;
}

static bool emit_note(struct outgoing *outgoing, struct tx_slot *slot)
{
	struct wire_note *note = container_of(outgoing, struct wire_note, outgoing);
	memcpy(slot->header, note->header, sizeof(note->header));
	if (note->data_len)
		slot_set_data(slot, note->data, note->data_len);
	slot->ended_with = outgoing;
	return true;
}

static void ended_nothing(struct outgoing *outgoing)
{
	(void)outgoing;
}

void wire_note_init(struct wire_note *note, void (*ended)(struct outgoing *outgoing))
{
	*note = (struct wire_note){ 0 };
	list_init(&note->outgoing.link);
	note->outgoing.emit = emit_note;
	note->outgoing.ended = ended ? ended : ended_nothing;
}
