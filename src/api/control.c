/* Client of the control socket of rbd-target-io: one line of JSON there, one line back. */
#include "api/control.h"

#include "base/reactor.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#define TIMEOUT_MS 2000
#define ANSWER_MAX (8u << 20)

static int connect_to(const char *run_dir, const char *gateway, int *ret_fd, struct error *err)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int len =
	        snprintf(address.sun_path, sizeof address.sun_path, "%s/%s.sock", run_dir, gateway);
	if (len < 0 || (size_t)len >= sizeof address.sun_path)
		return error_set(err, -ENAMETOOLONG, "control socket %s/%s.sock: name too long",
		                 run_dir, gateway);
	AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
		return error_set(err, -errno, "control socket %s: %s: is rbd-target-io running?",
		                 address.sun_path, strerror(errno));
	*ret_fd = fd;
	fd = -1;
	return 0;
}

/* Waits until the socket is ready. */
static int wait_for(int fd, short events, uint64_t deadline_ms)
{
	uint64_t now_ms = clock_monotonic_ms();
	struct pollfd poll_fd = { .fd = fd, .events = events };
	if (now_ms >= deadline_ms)
		return -ETIMEDOUT;
	int r = poll(&poll_fd, 1, (int)(deadline_ms - now_ms));
	return r > 0 ? 0 : r == 0 ? -ETIMEDOUT : -errno;
}

static int send_all(int fd, const char *text, uint64_t deadline_ms)
{
	for (size_t left = strlen(text); left > 0;) {
		ssize_t sent = send(fd, text, left, MSG_NOSIGNAL);
		if (sent > 0) {
			text += sent;
			left -= (size_t)sent;
			continue;
		}
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
		int r = wait_for(fd, POLLOUT, deadline_ms);
		if (r < 0)
			return r;
	}
	return 0;
}

static int receive_line(int fd, struct string *line, uint64_t deadline_ms)
{
	char chunk[16384];
	while (line->len < ANSWER_MAX) {
		ssize_t got = recv(fd, chunk, sizeof chunk, 0);
		if (got == 0)
			return -EPROTO;
		if (got > 0) {
			const char *end = memchr(chunk, '\n', (size_t)got);
			string_add_bytes(line, chunk, end ? (size_t)(end - chunk) : (size_t)got);
			if (end)
				return line->failed ? -ENOMEM : 0;
			continue;
		}
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
		int r = wait_for(fd, POLLIN, deadline_ms);
		if (r < 0)
			return r;
	}
	return -EPROTO;
}

int control_status(const char *run_dir, const char *gateway, json_t **ret_status, struct error *err)
{
	uint64_t deadline_ms = clock_monotonic_ms() + TIMEOUT_MS;
	AUTO_CLOSE int fd = -1;
	AUTO_STRING struct string line = { 0 };
	int r = connect_to(run_dir, gateway, &fd, err);
	if (r < 0)
		return r;
	r = send_all(fd, "{\"ask\":\"status\"}\n", deadline_ms);
	if (r == 0)
		r = receive_line(fd, &line, deadline_ms);
	if (r < 0)
		return error_set(err, r, "rbd-target-io of %s does not answer: %s", gateway,
		                 strerror(-r));
	json_t *status = json_loads(line.text ? line.text : "", 0, NULL);
	if (!json_is_object(status)) {
		json_decref(status);
		return error_set(err, -EPROTO, "rbd-target-io of %s answers no JSON", gateway);
	}
	*ret_status = status;
	return 0;
}
