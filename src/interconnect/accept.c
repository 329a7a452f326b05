/* Who connects may cost little (a struct pending, a few seconds, one of a few places) until it has
 * proved itself; then its socket goes to the reactor that it asked for. */
#include "interconnect/accept.h"

#include "interconnect/handshake.h"
#include "interconnect/inbound.h"
#include "interconnect/wire.h"

#include "base/log.h"
#include "base/text.h"
#include "iscsi/socket_address.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#define PENDING_MAX        64
#define PENDING_MEMORY     16384 /* of one */
#define PENDING_MS         3000
#define ACCEPT_MAX         16 /* in one turn */
#define BACKLOG            256
#define REFUSE_INTERVAL_MS 1000
#define RETRY_MS           1000

enum pending_state { PENDING_HELLO, PENDING_PROOF, PENDING_OVER };

struct pending {
	struct list link; /* oldest first */
	struct acceptor *acceptor;
	struct wire wire;
	struct wire_note note;
	struct timer timer;
	enum pending_state state;
	struct handshake handshake;
	struct handshake_pdu in, out;
	struct message free_message;
	char from[PORTAL_TEXT_MAX];
};
_Static_assert(sizeof(struct pending) + WIRE_SLOTS_LOGIN * sizeof(struct tx_slot) <= PENDING_MEMORY,
               "the cost of a stranger");

struct acceptor {
	struct interconnect *interconnect;
	struct watch watch; /* fd < 0: closed */
	struct timer retry; /* no descriptors left: accepting goes on with it */
	struct list pendings;
	unsigned count;
	char address[PORTAL_TEXT_MAX];
};

/* ---- the end of a stranger ---- */

static void free_later(struct message *message)
{
	free(container_of(message, struct pending, free_message));
}

static void pending_end(struct pending *pending)
{
	struct reactor *manager = pending->acceptor->interconnect->manager;

	if (pending->state == PENDING_OVER)
		return;
	pending->state = PENDING_OVER;
	wire_close(&pending->wire);
	reactor_disarm(manager, &pending->timer);
	list_remove(&pending->link);
	pending->acceptor->count--;
	pending->free_message.run = free_later;
	reactor_defer(manager, &pending->free_message);
}

static void pending_refuse(struct pending *pending, const char *why)
{
	log_limited(LOG_LEVEL_WARNING, REFUSE_INTERVAL_MS, "%s is refused: %s", pending->from, why);
	pending_end(pending);
}

static void timed_out(struct timer *timer)
{
	pending_refuse(container_of(timer, struct pending, timer), "it took too long");
}

static void broken(struct wire *wire, const char *why)
{
	pending_refuse(container_of(wire, struct pending, wire), why);
}

/* ---- the handshake ---- */

static void pending_send(struct pending *pending)
{
	wire_note_init(&pending->note, NULL);
	memcpy(pending->note.header, pending->out.bhs, BHS_BYTES);
	pending->note.data = pending->out.text;
	pending->note.data_len = pdu_data_len(pending->out.bhs);
	wire_send(&pending->wire, &pending->note.outgoing);
}

/* Tells it why and closes; the few bytes fit into any socket. */
static int refuse_with(struct pending *pending, enum login_status status, const char *why)
{
	handshake_put_refusal(status, &pending->out);
	pending_send(pending);
	wire_flush(&pending->wire);
	pending_refuse(pending, why);
	return -ECONNREFUSED;
}

static int check_names(struct pending *pending)
{
	const struct interconnect *interconnect = pending->acceptor->interconnect;
	const struct handshake_party *origin = &pending->handshake.party[HANDSHAKE_ORIGIN];
	const struct handshake_party *owner = &pending->handshake.party[HANDSHAKE_OWNER];

	if (strcmp(owner->gateway, interconnect->gateway) != 0 ||
	    strcmp(owner->instance, interconnect->instance) != 0)
		return refuse_with(pending, LOGIN_NOT_FOUND, "it looks for another gateway");
	if (strcmp(origin->gateway, interconnect->gateway) == 0)
		return refuse_with(pending, LOGIN_NOT_AUTHORIZED, "it has our own name");
	return 0;
}

static int take_hello(struct pending *pending)
{
	struct interconnect *interconnect = pending->acceptor->interconnect;
	struct handshake *handshake = &pending->handshake;
	struct handshake_party owner;
	uint8_t secret[INTERCONNECT_SECRET_BYTES];
	int r = handshake_take_hello(&pending->in, handshake);

	if (r < 0)
		return r;
	r = check_names(pending);
	if (r < 0)
		return r;
	r = handshake_party_init(&owner, interconnect->gateway, interconnect->instance);
	if (r < 0)
		return r;
	owner.version_max = interconnect->version_max;
	handshake->party[HANDSHAKE_OWNER] = owner;
	handshake->version = handshake_choose_version(handshake);
	if (!handshake->version)
		return refuse_with(pending, LOGIN_UNSUPPORTED_VERSION,
		                   "it speaks other versions of the interconnect");
	interconnect_copy_secret(interconnect, secret);
	r = handshake_put_answer(handshake, secret, &pending->out);
	wipe(secret, sizeof(secret));
	if (r < 0)
		return r;
	pending->state = PENDING_PROOF;
	pending_send(pending);
	return 0;
}

/* The socket leaves its wire: nothing is queued, nothing was read beyond the request. */
static int hand_over(struct pending *pending, bool resume, uint32_t exp_stat_sn)
{
	struct interconnect *interconnect = pending->acceptor->interconnect;
	struct arrival *arrival = calloc(1, sizeof(*arrival));
	int fd = fcntl(pending->wire.watch.fd, F_DUPFD_CLOEXEC, 0);

	if (!arrival || fd < 0) {
		free(arrival);
		if (fd >= 0)
			close(fd);
		return refuse_with(pending, LOGIN_OUT_OF_RESOURCES, "no memory or descriptor left");
	}
	arrival->hub = &interconnect->hubs[pending->handshake.reactor % interconnect->hub_count];
	arrival->handshake = pending->handshake;
	arrival->resume = resume;
	arrival->exp_stat_sn = exp_stat_sn;
	arrival->fd = fd;
	arrival->message.run = inbound_arrive;
	pending_end(pending);
	reactor_deliver(arrival->hub->reactor, &arrival->message);
	return -ECANCELED; /* of this wire: it is closed */
}

static int take_proof(struct pending *pending)
{
	struct interconnect *interconnect = pending->acceptor->interconnect;
	const struct handshake_party *origin = &pending->handshake.party[HANDSHAKE_ORIGIN];
	uint8_t secret[INTERCONNECT_SECRET_BYTES];
	bool resume = false;
	uint32_t exp_stat_sn = 0;
	interconnect_copy_secret(interconnect, secret);
	int r = handshake_take_proof(&pending->in, &pending->handshake, secret, &resume,
	                             &exp_stat_sn);
	wipe(secret, sizeof(secret));

	if (r == -EACCES)
		return refuse_with(pending, LOGIN_AUTHENTICATION_FAILED,
		                   "it does not know the secret of the cluster");
	if (r < 0)
		return r;
	const struct peer *peer = peer_find(interconnect, origin->gateway, origin->instance);
	if (peer && (peer->info.state == PEER_FORGOTTEN || peer->superseded))
		return refuse_with(pending, LOGIN_NOT_AUTHORIZED, "its instance is over");
	return hand_over(pending, resume, exp_stat_sn);
}

static int header(struct receiver *rx)
{
	struct pending *pending = container_of(rx, struct pending, wire.rx);
	if (pdu_opcode(rx->header) != PDU_LOGIN || pdu_ahs_len(rx->header) ||
	    pdu_data_len(rx->header) > HANDSHAKE_TEXT_MAX)
		return -EPROTO;
	memcpy(pending->in.bhs, rx->header, BHS_BYTES);
	rx->data = (uint8_t *)pending->in.text;
	return 0;
}

static int complete(struct receiver *rx, bool data_digest_ok)
{
	struct pending *pending = container_of(rx, struct pending, wire.rx);
	(void)data_digest_ok; /* there are no digests */
	if (!transmitter_empty(&pending->wire.tx))
		return -EPROTO; /* it did not wait for the answer */
	return pending->state == PENDING_HELLO ? take_hello(pending) : take_proof(pending);
}

static const struct wire_ops ops = {
	.receiver = { .header = header, .complete = complete },
	.broken = broken,
};

/* ---- accepting ---- */

static void add(struct acceptor *acceptor, int fd, const struct sockaddr_storage *from)
{
	struct reactor *manager = acceptor->interconnect->manager;
	struct pending *pending = calloc(1, sizeof(*pending));

	if (!pending) {
		close(fd);
		return;
	}
	pending->acceptor = acceptor;
	pending->timer.expired = timed_out;
	socket_address_text(from, pending->from);
	if (wire_open(&pending->wire, manager, fd, false, WIRE_SLOTS_LOGIN, NULL, &ops) < 0) {
		free(pending);
		return;
	}
	reactor_arm(manager, &pending->timer, PENDING_MS);
	list_append(&acceptor->pendings, &pending->link);
	acceptor->count++;
	/* Under a flood the oldest gives way: an honest peer needs only milliseconds. */
	if (acceptor->count > PENDING_MAX)
		pending_refuse(list_first(&acceptor->pendings, struct pending, link),
		               "too many connect at once");
}

static void go_on(struct timer *timer)
{
	struct acceptor *acceptor = container_of(timer, struct acceptor, retry);
	reactor_watch_set(acceptor->interconnect->manager, &acceptor->watch, EPOLLIN);
}

static void pause_accepting(struct acceptor *acceptor)
{
	struct reactor *manager = acceptor->interconnect->manager;
	log_limited(LOG_LEVEL_ERROR, REFUSE_INTERVAL_MS, "cannot accept: %s", strerror(errno));
	reactor_watch_set(manager, &acceptor->watch, 0);
	reactor_arm(manager, &acceptor->retry, RETRY_MS);
}

static void accept_some(struct watch *watch, uint32_t events)
{
	struct acceptor *acceptor = container_of(watch, struct acceptor, watch);
	(void)events;

	for (unsigned i = 0; i < ACCEPT_MAX; i++) {
		struct sockaddr_storage from = { 0 };
		socklen_t len = sizeof(from);
		int fd = accept4(watch->fd, (struct sockaddr *)&from, &len,
		                 SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0) {
			add(acceptor, fd, &from);
			continue;
		}
		if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
			pause_accepting(acceptor);
		return;
	}
}

static int open_socket(const struct portal_address *address, int *ret_fd)
{
	struct sockaddr_storage socket_address;
	socklen_t len = socket_address_make(address, &socket_address);
	int on = 1;
	AUTO_CLOSE int fd = wire_socket(socket_address.ss_family);
	if (fd < 0)
		return fd;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    bind(fd, (struct sockaddr *)&socket_address, len) < 0 || listen(fd, BACKLOG) < 0)
		return -errno;
	*ret_fd = fd;
	fd = -1;
	return 0;
}

static int listen_at(struct acceptor *acceptor, const char *address, uint16_t port)
{
	struct portal_address parsed;
	struct sockaddr_storage local = { 0 };
	socklen_t len = sizeof(local);
	int r = portal_address_parse(address, &parsed);

	if (r < 0)
		return r;
	parsed.port = port;
	r = open_socket(&parsed, &acceptor->watch.fd);
	if (r < 0)
		return r;
	if (getsockname(acceptor->watch.fd, (struct sockaddr *)&local, &len) < 0)
		return -errno;
	socket_address_text(&local, acceptor->address);
	acceptor->watch.ready = accept_some;
	acceptor->retry.expired = go_on;
	return reactor_watch(acceptor->interconnect->manager, &acceptor->watch, EPOLLIN);
}

int acceptor_new(struct interconnect *interconnect, const char *address, uint16_t port,
                 struct acceptor **ret_acceptor, struct error *err)
{
	struct acceptor *acceptor = calloc(1, sizeof(*acceptor));
	if (!acceptor)
		return error_set(err, -ENOMEM, "interconnect: out of memory");
	acceptor->interconnect = interconnect;
	acceptor->watch.fd = -1;
	list_init(&acceptor->pendings);
	int r = listen_at(acceptor, address, port);
	if (r < 0) {
		if (acceptor->watch.fd >= 0)
			close(acceptor->watch.fd);
		free(acceptor);
		return error_set(err, r, "interconnect: cannot listen on %s port %u: %s", address,
		                 port, strerror(-r));
	}
	log_info("listening on %s", acceptor->address);
	*ret_acceptor = acceptor;
	return 0;
}

const char *acceptor_address(const struct acceptor *acceptor)
{
	return acceptor->address;
}

void acceptor_close(struct acceptor *acceptor)
{
	if (acceptor->watch.fd < 0)
		return;
	reactor_disarm(acceptor->interconnect->manager, &acceptor->retry);
	reactor_unwatch(acceptor->interconnect->manager, &acceptor->watch);
	close(acceptor->watch.fd);
	acceptor->watch.fd = -1;
	while (!list_empty(&acceptor->pendings))
		pending_end(list_first(&acceptor->pendings, struct pending, link));
}

void acceptor_free(struct acceptor *acceptor)
{
	free(acceptor);
}
