/* The cutter: a relay of bytes that breaks where it is told to. */
#include "cutter.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static void link_close(struct cutter *cutter, struct cutter_link *link)
{
	const struct linger now = { .l_onoff = 1, .l_linger = 0 };
	for (unsigned i = 0; i < 2; i++) {
		if (link->fd[i] < 0)
			continue;
		if (cutter->reset)
			(void)setsockopt(link->fd[i], SOL_SOCKET, SO_LINGER, &now, sizeof now);
		close(link->fd[i]);
		link->fd[i] = -1;
	}
	link->len[0] = link->len[1] = link->at[0] = link->at[1] = 0;
}

void cutter_cut(struct cutter *cutter)
{
	for (unsigned i = 0; i < CUTTER_LINKS; i++)
		link_close(cutter, &cutter->links[i]);
	cutter->armed[0] = cutter->armed[1] = false;
	cutter->cuts++;
}

void cutter_arm(struct cutter *cutter, unsigned direction, size_t bytes)
{
	cutter->left[direction] = bytes;
	cutter->armed[direction] = true;
}

static void nodelay(int fd)
{
	int on = 1;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

static int connect_to(const char *address)
{
	struct sockaddr_in to = { .sin_family = AF_INET };
	char ip[64];
	(void)snprintf(ip, sizeof ip, "%s", address);
	char *colon = strrchr(ip, ':');
	assert_non_null(colon);
	*colon = '\0';
	to.sin_port = htons((uint16_t)atoi(colon + 1));
	assert_int_equal(inet_pton(AF_INET, ip, &to.sin_addr), 1);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	if (connect(fd, (struct sockaddr *)&to, sizeof to) < 0) {
		close(fd);
		return -1;
	}
	nodelay(fd);
	return fd;
}

static void accept_one(struct cutter *cutter)
{
	int fd = accept4(cutter->listener, NULL, NULL, SOCK_CLOEXEC);
	if (fd < 0)
		return;
	nodelay(fd);
	struct cutter_link *link = cutter->links;
	while (link->fd[0] >= 0)
		assert_true(++link < cutter->links + CUTTER_LINKS);
	link->fd[0] = fd;
	link->fd[1] = cutter->refuse ? -1 : connect_to(cutter->to);
	if (link->fd[1] < 0) {
		bool reset = cutter->reset;
		cutter->reset = true;
		link_close(cutter, link);
		cutter->reset = reset;
	}
}

/* One direction of a link; false: it is gone. */
static bool pump(struct cutter *cutter, struct cutter_link *link, unsigned direction)
{
	int from = link->fd[direction], to = link->fd[!direction];

	if (link->at[direction] == link->len[direction]) {
		link->at[direction] = link->len[direction] = 0;
		ssize_t n = recv(from, link->pending[direction], sizeof link->pending[direction],
		                 MSG_DONTWAIT);
		if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
			link_close(cutter, link);
			return false;
		}
		link->len[direction] = n > 0 ? (size_t)n : 0;
	}
	size_t len = link->len[direction] - link->at[direction];
	bool armed = cutter->armed[direction];
	if (armed && len > cutter->left[direction])
		len = cutter->left[direction];
	ssize_t sent = len ? send(to, link->pending[direction] + link->at[direction], len,
	                          MSG_DONTWAIT | MSG_NOSIGNAL)
	                   : 0;
	if (sent > 0) {
		link->at[direction] += (size_t)sent;
		cutter->passed[direction] += (size_t)sent;
		cutter->left[direction] -= armed ? (size_t)sent : 0;
	}
	if (armed && cutter->left[direction] == 0) {
		cutter_cut(cutter);
		return false;
	}
	return true;
}

void cutter_turn(struct cutter *cutter)
{
	accept_one(cutter);
	for (unsigned i = 0; i < CUTTER_LINKS && !cutter->stalled; i++) {
		struct cutter_link *link = &cutter->links[i];
		if (cutter->only && i >= cutter->only)
			break;
		if (link->fd[0] >= 0 && pump(cutter, link, 0) && link->fd[0] >= 0)
			(void)pump(cutter, link, 1);
	}
}

void cutter_init(struct cutter *cutter, const char *to)
{
	struct sockaddr_in local = { .sin_family = AF_INET };
	socklen_t len = sizeof local;

	for (unsigned i = 0; i < CUTTER_LINKS; i++)
		cutter->links[i].fd[0] = cutter->links[i].fd[1] = -1;
	(void)snprintf(cutter->to, sizeof cutter->to, "%s", to);
	local.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	cutter->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(cutter->listener, (struct sockaddr *)&local, sizeof local), 0);
	assert_int_equal(listen(cutter->listener, 64), 0);
	assert_int_equal(getsockname(cutter->listener, (struct sockaddr *)&local, &len), 0);
	(void)snprintf(cutter->address, sizeof cutter->address, "127.0.0.1:%u",
	               ntohs(local.sin_port));
}

void cutter_done(struct cutter *cutter)
{
	cutter_cut(cutter);
	close(cutter->listener);
}
