/* The socket of a connection: watches, reading, flushing at the end of a turn, time-outs, the ways
 * to end. What the bytes mean is the business of connection_login.c and session.c. */
#include "iscsi/connection.h"

#include "iscsi/barrier.h"
#include "iscsi/session.h"
#include "iscsi/socket_address.h"
#include "iscsi/worker.h"

#include "base/buffer.h"
#include "base/log.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#define QUEUED_MAX_BYTES (256u << 10) /* of small PDUs; then nothing more is read */
#define LINGER_MS        1000
#define TICK_MIN_MS      50
#define LOG_INTERVAL_MS  1000

static uint64_t now_ms(const struct connection *connection)
{
	return reactor_now_ms(connection->worker->reactor);
}

static uint64_t slow_reader_ms(const struct connection *connection)
{
	return connection->worker->server->limits.slow_reader_s * 1000ull;
}

void connection_update_watch(struct connection *connection)
{
	if (connection->state == CONNECTION_CLOSED)
		return;
	bool sending = !transmitter_empty(&connection->tx);
	uint32_t events = sending ? EPOLLOUT : 0;
	bool reading = true;

	switch (connection->state) {
	case CONNECTION_LOGIN:
		reading = !sending;
		break;
	case CONNECTION_WAITING:
		reading = false;
		events |= EPOLLRDHUP;
		break;
	case CONNECTION_FULL_FEATURE:
		reading = !connection->throttled;
		events |= EPOLLRDHUP;
		break;
	default:
		break;
	}
	reactor_watch_set(connection->worker->reactor, &connection->watch,
	                  events | (reading ? EPOLLIN : 0));
}

static void free_later(struct message *message)
{
	struct connection *connection = container_of(message, struct connection, free_message);
	struct worker *worker = connection->worker;

	connection_login_done(connection);
	transmitter_done(&connection->tx);
	list_remove(&connection->flush_hook.link);
	list_remove(&connection->link);
	atomic_fetch_sub(&worker->connection_count, 1);
	free(connection);
	worker_check_stopped(worker);
}

/* The table's message was on its way when the connection closed. */
static void free_after_wait(struct message *message)
{
	struct connection *connection = container_of(message, struct connection, waiter.message);
	connection->waits_for_session = false;
	free_later(&connection->free_message);
}

static void leave_login_list(struct connection *connection)
{
	if (list_empty(&connection->login_link))
		return;
	list_remove(&connection->login_link);
	connection->worker->logging_in_count--;
}

void connection_close(struct connection *connection)
{
	struct worker *worker = connection->worker;

	if (connection->state == CONNECTION_CLOSED)
		return;
	connection->state = CONNECTION_CLOSED;
	reactor_unwatch(worker->reactor, &connection->watch);
	reactor_disarm(worker->reactor, &connection->timer);
	close(connection->watch.fd);
	leave_login_list(connection);
	transmitter_drop(&connection->tx);
	if (connection->session) {
		session_connection_lost(connection->session);
		connection->session = NULL;
	}
	if (connection->waits_for_session) {
		connection->waits_for_session =
		        !session_waiter_cancel(worker->server->sessions, &connection->waiter);
		connection->waiter.message.run = free_after_wait;
	}
	connection->free_message.run = free_later;
	if (!connection->waits_for_session)
		reactor_defer(worker->reactor, &connection->free_message);
}

void connection_drop(struct connection *connection, const char *why)
{
	if (connection->state == CONNECTION_CLOSED)
		return;
	log_limited(LOG_LEVEL_WARNING, LOG_INTERVAL_MS, "%s: connection to %s dropped: %s",
	            connection->peer_address, connection->local_address, why);
	connection_close(connection);
}

void connection_finish(struct connection *connection)
{
	if (connection->state >= CONNECTION_CLOSING)
		return;
	connection->state = CONNECTION_CLOSING;
	connection->deadline_ms = now_ms(connection) + slow_reader_ms(connection);
	leave_login_list(connection);
	reactor_arm(connection->worker->reactor, &connection->timer, TICK_MIN_MS);
	reactor_at_turn_end(connection->worker->reactor, &connection->flush_hook);
}

static void linger(struct connection *connection)
{
	connection->state = CONNECTION_LINGERING;
	connection->deadline_ms = now_ms(connection) + LINGER_MS;
	reactor_arm(connection->worker->reactor, &connection->timer, LINGER_MS);
	(void)shutdown(connection->watch.fd, SHUT_WR); /* fails only if the peer is gone */
}

void connection_send(struct connection *connection, struct outgoing *outgoing)
{
	if (transmitter_empty(&connection->tx))
		connection->tx.progress_ms = now_ms(connection); /* the peer's time begins now */
	transmitter_add(&connection->tx, outgoing);
	reactor_at_turn_end(connection->worker->reactor, &connection->flush_hook);
}

void connection_flush(struct connection *connection)
{
	if (connection->state == CONNECTION_CLOSED)
		return;
	if (connection->state == CONNECTION_FULL_FEATURE)
		barrier_sending(connection->session);
	int r = transmitter_flush(&connection->tx, now_ms(connection));
	if (r < 0) {
		connection_close(connection);
		return;
	}
	connection->throttled = connection->queued_bytes > QUEUED_MAX_BYTES;
	if (r == 1 && connection->state == CONNECTION_CLOSING)
		linger(connection);
	connection_update_watch(connection);
}

static void flush_at_turn_end(struct turn_hook *hook)
{
	connection_flush(container_of(hook, struct connection, flush_hook));
}

/* Nothing that comes matters any more, but the end of the stream does. */
static void read_and_drop(struct connection *connection)
{
	ssize_t n = recv(connection->watch.fd, connection->worker->receive_buffer,
	                 RECEIVE_BUFFER_BYTES, MSG_DONTWAIT);
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		connection_close(connection);
}

static void take_bytes(struct connection *connection, const struct msghdr *message, size_t len)
{
	int r = receiver_take_pieces(&connection->rx, message->msg_iov,
	                             (unsigned)message->msg_iovlen, len);
	if (r == -EBADMSG)
		connection_drop(connection, "header digest error");
	else if (r < 0 && connection->state == CONNECTION_FULL_FEATURE)
		connection_drop(connection, "protocol error");
}

static void read_full_feature(struct connection *connection)
{
	struct iovec pieces[RECEIVE_PIECES];
	struct msghdr message = { .msg_iov = pieces };
	const struct iovec buffer = { connection->worker->receive_buffer, RECEIVE_BUFFER_BYTES };

	message.msg_iovlen = receiver_pieces(
	        &connection->rx, buffer, session_expects_large_data(connection->session), pieces);
	ssize_t n = recvmsg(connection->watch.fd, &message, MSG_DONTWAIT);
	if (n > 0) {
		connection->received_ms = now_ms(connection);
		barrier_received(connection->worker);
		take_bytes(connection, &message, (size_t)n);
	} else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
		connection_close(connection);
	}
}

static void connection_ready(struct watch *watch, uint32_t events)
{
	struct connection *connection = container_of(watch, struct connection, watch);

	if (events & EPOLLOUT)
		reactor_at_turn_end(connection->worker->reactor, &connection->flush_hook);
	if (!(events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)))
		return;
	switch (connection->state) {
	case CONNECTION_LOGIN:
		if (transmitter_empty(&connection->tx))
			connection_login_read(connection);
		else if (events & (EPOLLHUP | EPOLLERR))
			connection_close(connection);
		break;
	case CONNECTION_WAITING:
		connection_close(connection); /* only its end is watched for */
		break;
	case CONNECTION_FULL_FEATURE:
		/* The initiator is gone: what it sent before stands in the socket, and may be
		 * repeated elsewhere already (H35). */
		if (events & (EPOLLHUP | EPOLLERR | EPOLLRDHUP))
			connection_close(connection);
		else if (!connection->throttled)
			read_full_feature(connection);
		break;
	case CONNECTION_CLOSING:
	case CONNECTION_LINGERING:
		read_and_drop(connection);
		break;
	case CONNECTION_CLOSED:
		break;
	}
}

static void check_login(struct connection *connection, uint64_t now)
{
	if (connection->state == CONNECTION_WAITING && now >= connection->wait_until_ms)
		connection_login_timeout(connection);
	else if (connection->state == CONNECTION_LOGIN && now >= connection->deadline_ms)
		connection_drop(connection, "the login took too long");
}

static uint64_t earliest(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* One coarse timer a connection: it looks at every deadline and comes back for the nearest. */
static void connection_tick(struct timer *timer)
{
	struct connection *connection = container_of(timer, struct connection, timer);
	uint64_t now = now_ms(connection);
	uint64_t next = connection->deadline_ms;

	if (!transmitter_empty(&connection->tx) &&
	    now - connection->tx.progress_ms >= slow_reader_ms(connection)) {
		connection_drop(connection, "the peer does not read its answers");
		return;
	}
	switch (connection->state) {
	case CONNECTION_LOGIN:
	case CONNECTION_WAITING:
		check_login(connection, now);
		if (connection->state == CONNECTION_WAITING)
			next = connection->wait_until_ms;
		break;
	case CONNECTION_FULL_FEATURE:
		next = session_check_time(connection->session, now);
		break;
	default:
		if (now >= connection->deadline_ms)
			connection_close(connection);
		break;
	}
	if (connection->state == CONNECTION_CLOSED)
		return;
	if (!transmitter_empty(&connection->tx))
		next = earliest(next, connection->tx.progress_ms + slow_reader_ms(connection));
	uint64_t delay = next > now + TICK_MIN_MS ? next - now : TICK_MIN_MS;
	reactor_arm(connection->worker->reactor, &connection->timer, delay);
}

static int read_addresses(struct connection *connection, int fd)
{
	struct sockaddr_storage local = { 0 }, peer = { 0 };
	socklen_t local_len = sizeof(local), peer_len = sizeof(peer);

	if (getsockname(fd, (struct sockaddr *)&local, &local_len) < 0 ||
	    getpeername(fd, (struct sockaddr *)&peer, &peer_len) < 0)
		return -errno;
	socket_address_text(&local, connection->local_address);
	socket_address_text(&peer, connection->peer_address);
	return 0;
}

static void set_options(int fd)
{
	int on = 1;
	/* Both only make things better: a socket without them works. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
}

/* Under a flood the oldest that has said nothing gives way, else the oldest. */
static void make_room(struct worker *worker)
{
	unsigned share = worker->server->limits.login_connections_max;
	share = (share + worker->server->worker_count - 1) / worker->server->worker_count;
	if (worker->logging_in_count < share || list_empty(&worker->logging_in))
		return;
	struct connection *victim = list_first(&worker->logging_in, struct connection, login_link);
	struct connection *connection;
	list_for_each (connection, &worker->logging_in, login_link) {
		if (!connection->sent_something) {
			victim = connection;
			break;
		}
	}
	connection_drop(victim, "too many connections are logging in");
}

int connection_new(struct worker *worker, int fd)
{
	make_room(worker);
	AUTO_CLOSE int owned_fd = fd;
	AUTO_FREE struct connection *connection = calloc(1, sizeof(*connection));
	if (!connection)
		return -ENOMEM;
	int r = read_addresses(connection, fd);
	if (r < 0)
		return r;
	set_options(fd);
	r = transmitter_init(&connection->tx, fd, TX_SLOTS_LOGIN);
	if (r < 0)
		return r;
	connection->worker = worker;
	connection->watch.fd = fd;
	connection->watch.ready = connection_ready;
	r = reactor_watch(worker->reactor, &connection->watch, EPOLLIN);
	if (r < 0) {
		transmitter_done(&connection->tx);
		return r;
	}
	connection->flush_hook.run = flush_at_turn_end;
	list_init(&connection->flush_hook.link);
	connection->received_ms = connection->tx.progress_ms = now_ms(connection);
	connection->timer.expired = connection_tick;
	connection_login_init(connection);
	uint64_t timeout_ms = worker->server->limits.login_timeout_s * 1000ull;
	connection->deadline_ms = now_ms(connection) + timeout_ms;
	reactor_arm(worker->reactor, &connection->timer, timeout_ms);
	list_append(&worker->connections, &connection->link);
	list_append(&worker->logging_in, &connection->login_link);
	worker->logging_in_count++;
	atomic_fetch_add(&worker->connection_count, 1);
	owned_fd = -1;
	(void)steal(&connection);
	return 0;
}
