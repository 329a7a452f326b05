/* bench-relay: hands bytes on between clients and a server, whatever they mean, and does nothing
 * else: the floor for a gateway that forwards, without polling or splicing. */
#include "base/auto.h"
#include "base/text.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#define BUFFER_BYTES (1u << 20)
#define BACKLOG      64
#define EVENTS       16
#define ENDS         2

/* One end of a connection through here, and what came from it and the other has not taken yet. */
struct end {
	struct connection *connection;
	struct end *other;
	int fd;
	uint32_t waits_for;
	size_t received, sent;
	uint8_t bytes[BUFFER_BYTES];
};

struct connection {
	struct end ends[ENDS]; /* the client's, the server's */
};

struct relay {
	struct sockaddr_in address, to;
	int listener, epoll_fd;
};

/* ---- a connection ---- */

static int send_on(struct end *from)
{
	ssize_t n = send(from->other->fd, from->bytes + from->sent, from->received - from->sent,
	                 MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n < 0)
		return errno == EAGAIN ? 0 : -errno;
	from->sent += (size_t)n;
	if (from->sent == from->received)
		from->sent = from->received = 0;
	return 0;
}

/* Only with an empty buffer: who is not read from stops sending. */
static int receive(struct end *from)
{
	ssize_t n = recv(from->fd, from->bytes, sizeof(from->bytes), MSG_DONTWAIT);
	if (n < 0)
		return errno == EAGAIN ? 0 : -errno;
	from->received = (size_t)n;
	return n == 0 ? -ECONNRESET : send_on(from);
}

static int wait_for(struct relay *relay, struct end *end)
{
	uint32_t wanted = (end->received ? 0 : EPOLLIN) | (end->other->received ? EPOLLOUT : 0);
	struct epoll_event event = { .events = wanted, .data.ptr = end };
	if (wanted == end->waits_for)
		return 0;
	end->waits_for = wanted;
	return epoll_ctl(relay->epoll_fd, EPOLL_CTL_MOD, end->fd, &event) < 0 ? -errno : 0;
}

static int end_ready(struct relay *relay, struct end *end, uint32_t events)
{
	int r = events & (EPOLLERR | EPOLLHUP) ? -ECONNRESET : 0;
	if (r == 0 && events & EPOLLOUT)
		r = send_on(end->other);
	if (r == 0 && events & EPOLLIN)
		r = receive(end);
	if (r == 0)
		r = wait_for(relay, end);
	return r < 0 ? r : wait_for(relay, end->other);
}

/* The end of one side is that of the other: what came before it has been sent on. What epoll has
 * told of both besides is void. */
static void connection_end(struct connection *connection, struct epoll_event *later, int count)
{
	for (int i = 0; i < ENDS; i++) {
		close(connection->ends[i].fd);
		for (int j = 0; j < count; j++)
			if (later[j].data.ptr == &connection->ends[i])
				later[j].events = 0;
	}
	free(connection);
}

/* ---- connecting ---- */

/* As gateways connect to each other: cubic, not the host's default. Returns the socket. */
static int connect_server(const struct relay *relay)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "cubic", strlen("cubic"));
	if (connect(fd, (const struct sockaddr *)&relay->to, sizeof(relay->to)) == 0)
		return fd;
	int r = -errno;
	close(fd);
	return r;
}

/* The connection has both sockets if it is made. */
static int connection_new(struct relay *relay, int client, int server)
{
	int one = 1, fds[ENDS] = { client, server };
	AUTO_FREE struct connection *connection = calloc(1, sizeof(*connection));
	if (!connection)
		return -ENOMEM;
	for (int i = 0; i < ENDS; i++) {
		struct end *end = &connection->ends[i];
		struct epoll_event event = { .events = EPOLLIN, .data.ptr = end };
		end->connection = connection;
		end->other = &connection->ends[!i];
		end->fd = fds[i];
		end->waits_for = event.events;
		(void)setsockopt(fds[i], IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		if (epoll_ctl(relay->epoll_fd, EPOLL_CTL_ADD, fds[i], &event) < 0)
			return -errno; /* who closes them takes them out of epoll */
	}
	connection = NULL; /* epoll knows it */
	return 0;
}

static void accept_client(struct relay *relay)
{
	AUTO_CLOSE int client = accept4(relay->listener, NULL, NULL, SOCK_CLOEXEC);
	AUTO_CLOSE int server = client < 0 ? -errno : connect_server(relay);
	int r = server < 0 ? server : connection_new(relay, client, server);
	if (r < 0)
		fprintf(stderr, "bench-relay: a connection: %s\n", strerror(-r));
	else
		client = server = -1;
}

/* ---- the whole ---- */

static int start(struct relay *relay)
{
	struct epoll_event event = { .events = EPOLLIN }; /* no end: the listener */
	socklen_t len = sizeof(relay->address);
	struct sockaddr *address = (struct sockaddr *)&relay->address;
	char ip[INET_ADDRSTRLEN];
	int one = 1;
	relay->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	relay->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (relay->epoll_fd < 0 || relay->listener < 0 ||
	    setsockopt(relay->listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
	    bind(relay->listener, address, len) < 0 ||
	    getsockname(relay->listener, address, &len) < 0 ||
	    listen(relay->listener, BACKLOG) < 0 ||
	    epoll_ctl(relay->epoll_fd, EPOLL_CTL_ADD, relay->listener, &event) < 0)
		return -errno;
	printf("%s:%u\n", inet_ntop(AF_INET, &relay->address.sin_addr, ip, sizeof(ip)),
	       ntohs(relay->address.sin_port));
	fflush(stdout);
	return 0;
}

static int turn(struct relay *relay)
{
	struct epoll_event ready[EVENTS];
	int count = epoll_wait(relay->epoll_fd, ready, EVENTS, -1);
	for (int i = 0; i < count; i++) {
		struct end *end = ready[i].data.ptr;
		if (!end)
			accept_client(relay);
		else if (ready[i].events && end_ready(relay, end, ready[i].events) < 0)
			connection_end(end->connection, ready + i + 1, count - i - 1);
	}
	return count < 0 && errno != EINTR ? -errno : 0;
}

/* ---- the command line ---- */

static const char help[] =
        "usage: bench-relay --to HOST:PORT [OPTION]...\n"
        "Hands on what comes, both ways, until SIGTERM or SIGINT; prints where it listens.\n"
        "\n"
        "  --to HOST:PORT       where each connection goes; numeric IPv4\n"
        "  --address HOST:PORT  where to listen; port 0: any (127.0.0.1:0)\n"
        "  --help               this text\n";

static const struct option long_options[] = {
	{ "to", required_argument, NULL, 't' },
	{ "address", required_argument, NULL, 'a' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL },
};

static bool take_address(const char *text, struct sockaddr_in *ret_address)
{
	char host[INET_ADDRSTRLEN];
	const char *colon = strchr(text, ':');
	uint64_t port;
	if (!colon || (size_t)(colon - text) >= sizeof(host) ||
	    text_to_uint(colon + 1, 0, UINT16_MAX, &port) < 0)
		return false;
	memcpy(host, text, (size_t)(colon - text));
	host[colon - text] = '\0';
	ret_address->sin_family = AF_INET;
	ret_address->sin_port = htons((uint16_t)port);
	return inet_pton(AF_INET, host, &ret_address->sin_addr) == 1;
}

int main(int argc, char **argv)
{
	struct relay relay = { 0 };
	(void)take_address("127.0.0.1:0", &relay.address); /* it is one */
	for (int id, index = 0; (id = getopt_long(argc, argv, "", long_options, &index)) != -1;) {
		if (id == 'h') {
			fputs(help, stdout);
			return 0;
		}
		if (id == '?')
			return 2;
		if (!take_address(optarg, id == 't' ? &relay.to : &relay.address)) {
			fprintf(stderr, "bench-relay: --%s: not a valid value: %s\n",
			        long_options[index].name, optarg);
			return 2;
		}
	}
	if (optind < argc || !relay.to.sin_port) {
		fprintf(stderr, "bench-relay: options only, --to among them; see --help\n");
		return 2;
	}
	int r = start(&relay);
	while (r == 0) /* signals end it as they are: nothing is to be put away */
		r = turn(&relay);
	fprintf(stderr, "bench-relay: %s\n", strerror(-r));
	return 1;
}
