/* The bare exchange: messages of the sizes that iSCSI has for reads or writes, over loopback TCP.
 */
#include "exchange.h"

#include "base/auto.h"
#include "measure.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>

#define HEADER_BYTES  48
#define RECEIVE_BYTES (256u << 10)
#define PIECES        128

static uint8_t data[EXCHANGE_DATA_MAX], receive_buffer[RECEIVE_BYTES];
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

int side_send(struct side *side)
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

int side_receive(struct side *side, int flags)
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

/* ---- the server ---- */

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

int exchange_start(bool writes, uint64_t size_bytes, int server_cpu, struct exchange *ret_exchange)
{
	int client_fd = -1, server_fd = -1;
	int r = connect_pair(&client_fd, &server_fd);
	if (r < 0)
		return r;
	size_t there_len = writes ? size_bytes : 0, back_len = writes ? 0 : size_bytes;
	pid_t server = fork();
	if (server < 0) {
		r = -errno;
		close(client_fd);
		close(server_fd);
		return r;
	}
	if (server == 0) {
		struct side side = { .fd = server_fd,
			             .receive_len = HEADER_BYTES + there_len,
			             .send_data_len = back_len };
		close(client_fd);
		if (server_cpu >= 0 && !measure_pin(server_cpu))
			_exit(2);
		_exit(serve(&side) == -ECONNRESET ? 0 : 1);
	}
	close(server_fd);
	*ret_exchange = (struct exchange){ .server = server,
		                           .client = { .fd = client_fd,
		                                       .receive_len = HEADER_BYTES + back_len,
		                                       .send_data_len = there_len } };
	return 0;
}

int exchange_one(struct exchange *exchange)
{
	int r = 0;
	exchange->client.owed++;
	while (r == 0) {
		r = side_send(&exchange->client);
		if (r == 0)
			r = side_receive(&exchange->client,
			                 exchange->client.owed ? MSG_DONTWAIT : 0);
	}
	return r < 0 ? r : 0;
}

void exchange_end(struct exchange *exchange)
{
	if (!exchange->server)
		return;
	close(exchange->client.fd);
	(void)kill(exchange->server, SIGTERM); /* it may have ended by itself */
	(void)waitpid(exchange->server, NULL, 0);
	*exchange = (struct exchange){ 0 };
}
