/* bench-echo: the bare exchange. A server and a client pass messages of the sizes that iSCSI has
 * for the same reads or writes over loopback TCP, and do nothing else: the floor that a target's
 * speed is compared with. The server sleeps in epoll between batches. */
#include "base/auto.h"
#include "base/text.h"
#include "measure.h"

#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>

#define HEADER_BYTES  48
#define RECEIVE_BYTES (256u << 10)
#define DATA_MAX      (1u << 20)
#define DEPTH_MAX     4096
#define PIECES        128
#define WARMUP_NS     100000000u

struct options {
	bool writes, spin, json;
	uint64_t size_bytes;
	unsigned depth;
	uint64_t duration_ns;
	int cpu, server_cpu;
};

/* One side: what it sends for each message that it gets. */
struct side {
	int fd;
	size_t receive_len, send_data_len; /* a whole message; the data of one to send */
	uint64_t owed;                     /* messages to send */
	size_t sent;                       /* bytes of the first of them that have left */
	size_t received;                   /* bytes of the message that is coming */
};

static uint8_t data[DATA_MAX], receive_buffer[RECEIVE_BYTES];
static uint8_t headers[HEADER_BYTES];

static unsigned gather(const struct side *side, struct iovec *pieces)
{
	unsigned count = 0;
	uint64_t messages = 0;
	while (messages < side->owed && count + 2 <= PIECES) {
		pieces[count++] = (struct iovec){ headers, HEADER_BYTES };
		if (side->send_data_len)
			pieces[count++] = (struct iovec){ data, side->send_data_len };
		messages++;
	}
	size_t skip = side->sent;
	unsigned first = skip >= HEADER_BYTES && count ? 1 : 0;
	if (first) {
		skip -= HEADER_BYTES;
		memmove(pieces, pieces + 1, --count * sizeof(*pieces));
	}
	if (count) {
		pieces[0].iov_base = (uint8_t *)pieces[0].iov_base + skip;
		pieces[0].iov_len -= skip;
	}
	return count;
}

/* Sends what is owed, as far as the socket takes it. */
static int side_send(struct side *side)
{
	size_t message_len = HEADER_BYTES + side->send_data_len;
	while (side->owed) {
		struct iovec pieces[PIECES];
		struct msghdr message = { .msg_iov = pieces, .msg_iovlen = gather(side, pieces) };
		ssize_t n = sendmsg(side->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0)
			return errno == EAGAIN ? 0 : -errno;
		side->sent += (size_t)n;
		side->owed -= side->sent / message_len;
		side->sent %= message_len;
	}
	return 0;
}

/* Takes what is there; the number of messages that became whole, or a negative errno. */
static int side_receive(struct side *side, int flags)
{
	ssize_t n = recv(side->fd, receive_buffer, sizeof(receive_buffer), flags);
	if (n < 0)
		return errno == EAGAIN && flags ? 0 : -errno;
	if (n == 0)
		return -ECONNRESET;
	side->received += (size_t)n;
	int messages = (int)(side->received / side->receive_len);
	side->received %= side->receive_len;
	return messages;
}

static int serve(struct side *side)
{
	AUTO_CLOSE int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event event = { .events = EPOLLIN };
	if (epoll_fd < 0 || epoll_ctl(epoll_fd, EPOLL_CTL_ADD, side->fd, &event) < 0)
		return -errno;
	for (;;) {
		uint32_t wanted = EPOLLIN | (side->owed ? EPOLLOUT : 0);
		if (wanted != event.events) {
			event.events = wanted;
			if (epoll_ctl(epoll_fd, EPOLL_CTL_MOD, side->fd, &event) < 0)
				return -errno;
		}
		struct epoll_event ready;
		if (epoll_wait(epoll_fd, &ready, 1, -1) < 0)
			return -errno;
		int messages = side_receive(side, MSG_DONTWAIT);
		if (messages < 0)
			return messages;
		side->owed += (unsigned)messages;
		int r = side_send(side);
		if (r < 0)
			return r;
	}
}

/* ---- the client ---- */

struct client {
	struct side side;
	uint64_t started_ns[DEPTH_MAX]; /* a ring: answers come in order */
	unsigned depth, oldest;
	bool measuring, spin;
	struct measurement result;
};

static void messages_came(struct client *client, int messages)
{
	uint64_t now_ns = measure_now_ns();
	client->side.owed += (unsigned)messages;
	for (; messages > 0; messages--) {
		uint64_t *started_ns = &client->started_ns[client->oldest];
		client->oldest = (client->oldest + 1) % client->depth;
		if (client->measuring)
			latencies_add(&client->result.latencies, now_ns - *started_ns);
		*started_ns = now_ns;
	}
}

static int exchange_until(struct client *client, uint64_t end_ns)
{
	while (measure_now_ns() < end_ns) {
		int r = side_send(&client->side);
		if (r < 0)
			return r;
		/* With output left over the socket is full both ways: never sleep then. */
		bool sleep = !client->side.owed && !client->spin;
		int messages = side_receive(&client->side, sleep ? 0 : MSG_DONTWAIT);
		if (messages < 0)
			return messages;
		messages_came(client, messages);
	}
	return 0;
}

static int run_client(struct client *client, const struct options *options, pid_t server)
{
	struct measurement *result = &client->result;
	struct process_usage own, before;
	client->depth = options->depth;
	client->side.owed = options->depth;
	client->spin = options->spin;
	uint64_t now_ns = measure_now_ns();
	for (unsigned i = 0; i < options->depth; i++)
		client->started_ns[i] = now_ns;
	int r = exchange_until(client, now_ns + WARMUP_NS);
	if (r < 0 || !process_usage_read(getpid(), &own) || !process_usage_read(server, &before))
		return r < 0 ? r : -ESRCH;
	client->measuring = true;
	now_ns = measure_now_ns();
	r = exchange_until(client, now_ns + options->duration_ns);
	result->elapsed_ns = measure_now_ns() - now_ns;
	result->has_server = process_usage_read(server, &result->server);
	(void)process_usage_read(getpid(), &result->own); /* it is there */
	result->own.cpu_ns -= own.cpu_ns;
	result->server.cpu_ns -= before.cpu_ns;
	result->server.switches -= before.switches;
	result->operations = result->latencies.count;
	result->bytes = result->operations * options->size_bytes;
	return r;
}

/* ---- setting up ---- */

/* Two ends of one TCP connection over loopback. */
static int connect_pair(int *ret_client, int *ret_server)
{
	AUTO_CLOSE int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	AUTO_CLOSE int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in address = { .sin_family = AF_INET,
		                       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(address);
	int one = 1;
	if (listener < 0 || client < 0 || bind(listener, (struct sockaddr *)&address, len) < 0 ||
	    getsockname(listener, (struct sockaddr *)&address, &len) < 0 ||
	    listen(listener, 1) < 0 || connect(client, (struct sockaddr *)&address, len) < 0)
		return -errno;
	int server = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	if (server < 0)
		return -errno;
	(void)setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)); /* TCP has it */
	(void)setsockopt(server, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	*ret_client = client;
	*ret_server = server;
	client = -1;
	return 0;
}

static int run(const struct options *options)
{
	static struct client client;
	int client_fd = -1, server_fd = -1;
	int r = connect_pair(&client_fd, &server_fd);
	if (r < 0)
		return r;
	size_t request_len = HEADER_BYTES + (options->writes ? options->size_bytes : 0);
	size_t answer_len = HEADER_BYTES + (options->writes ? 0 : options->size_bytes);
	pid_t server = fork();
	if (server < 0)
		return -errno;
	if (server == 0) {
		struct side side = { .fd = server_fd,
			             .receive_len = request_len,
			             .send_data_len = answer_len - HEADER_BYTES };
		close(client_fd);
		if (options->server_cpu >= 0 && !measure_pin(options->server_cpu))
			_exit(2);
		_exit(serve(&side) == -ECONNRESET ? 0 : 1);
	}
	close(server_fd);
	client.side = (struct side){ .fd = client_fd,
		                     .receive_len = answer_len,
		                     .send_data_len = request_len - HEADER_BYTES };
	r = options->cpu >= 0 && !measure_pin(options->cpu) ? -ENODEV : 0;
	if (r == 0)
		r = run_client(&client, options, server);
	close(client_fd);
	(void)kill(server, SIGTERM); /* it may have ended by itself */
	(void)waitpid(server, NULL, 0);
	if (r == 0)
		measurement_print(&client.result, options->json);
	return r;
}

static const char help[] =
        "usage: bench-echo [OPTION]...\n"
        "Exchanges bare messages of iSCSI's sizes over loopback TCP between two processes.\n"
        "\n"
        "  --read            48 bytes there, 48 and the data back (the default)\n"
        "  --write           48 and the data there, 48 bytes back\n"
        "  --size BYTES      of the data; 4k, 256k, ... up to 1m (4k)\n"
        "  --depth N         messages in flight (32)\n"
        "  --seconds N       how long to measure (3)\n"
        "  --cpu N           CPU of the client\n"
        "  --server-cpu N    CPU of the server\n"
        "  --json            one line of JSON\n"
        "  --help            this text\n";

static const struct option long_options[] = {
	{ "read", no_argument, NULL, 'r' },
	{ "write", no_argument, NULL, 'w' },
	{ "size", required_argument, NULL, 's' },
	{ "depth", required_argument, NULL, 'd' },
	{ "seconds", required_argument, NULL, 't' },
	{ "cpu", required_argument, NULL, 'c' },
	{ "server-cpu", required_argument, NULL, 'S' },
	{ "spin", no_argument, NULL, 'p' },
	{ "json", no_argument, NULL, 'j' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL },
};

static bool take_option(int id, const char *text, struct options *options)
{
	uint64_t value;
	switch (id) {
	case 'r':
		return !(options->writes = false);
	case 'w':
		return options->writes = true;
	case 'p':
		return options->spin = true;
	case 'j':
		return options->json = true;
	case 's':
		return measure_parse_size(text, &options->size_bytes) &&
		       options->size_bytes <= DATA_MAX;
	case 't':
		return measure_parse_seconds(text, &options->duration_ns);
	default:
		if (text_to_uint(text, id == 'd', DEPTH_MAX, &value) < 0)
			return false;
	}
	if (id == 'd')
		options->depth = (unsigned)value;
	if (id == 'c')
		options->cpu = (int)value;
	if (id == 'S')
		options->server_cpu = (int)value;
	return true;
}

int main(int argc, char **argv)
{
	struct options options = { .size_bytes = 4096,
		                   .depth = 32,
		                   .duration_ns = 3000000000u,
		                   .cpu = -1,
		                   .server_cpu = -1 };
	for (int id, index = 0; (id = getopt_long(argc, argv, "", long_options, &index)) != -1;) {
		if (id == 'h') {
			fputs(help, stdout);
			return 0;
		}
		if (id == '?' || !take_option(id, optarg, &options)) {
			if (id != '?')
				fprintf(stderr, "bench-echo: --%s: not a valid value: %s\n",
				        long_options[index].name, optarg);
			return 2;
		}
	}
	int r = run(&options);
	if (r < 0)
		fprintf(stderr, "bench-echo: %s\n", strerror(-r));
	return r == 0 ? 0 : 1;
}
