/* Serves the control socket: local programs only (mode 0660), bounded lines and peers. */
#include "target/control.h"

#include "base/json.h"
#include "base/log.h"
#include "target/gateway.h"
#include "target/job.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define LINE_MAX_BYTES 4096
#define PEERS_MAX      64

struct control {
	struct reactor *manager;
	struct gateway *gateway;
	struct watch watch;
	struct list peers;
	unsigned peer_count;
	char path[sizeof((struct sockaddr_un *)NULL)->sun_path];
};

/* One program that asks. While its answer is made, nothing is read from it. */
struct peer {
	struct control *control;
	struct watch watch;
	struct list link;
	char line[LINE_MAX_BYTES];
	size_t line_len;
	char *answer;
	size_t answer_len, sent;
	bool busy, gone;
	struct job job;
	json_t *status;
};

static void peer_close(struct peer *peer)
{
	if (peer->watch.fd >= 0) {
		reactor_unwatch(peer->control->manager, &peer->watch);
		close(peer->watch.fd);
		peer->watch.fd = -1;
	}
	peer->gone = true;
	if (peer->busy)
		return; /* the end of the job frees it */
	list_remove(&peer->link);
	peer->control->peer_count--;
	json_decref(peer->status);
	free(peer->answer);
	free(peer);
}

static void peer_send(struct peer *peer)
{
	ssize_t n = send(peer->watch.fd, peer->answer + peer->sent, peer->answer_len - peer->sent,
	                 MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n < 0 && errno != EAGAIN && errno != EINTR) {
		peer_close(peer);
		return;
	}
	peer->sent += n > 0 ? (size_t)n : 0;
	if (peer->sent < peer->answer_len) {
		reactor_watch_set(peer->control->manager, &peer->watch, EPOLLOUT);
		return;
	}
	free(steal(&peer->answer));
	peer->line_len = 0;
	reactor_watch_set(peer->control->manager, &peer->watch, EPOLLIN);
}

static void peer_answer(struct peer *peer, const json_t *answer)
{
	AUTO_STRING struct string text = { 0 };
	AUTO_FREE char *json = answer ? json_format(answer, &json_style_compact) : NULL;
	string_add(&text, json ? json : "{\"error\":\"out of memory\"}");
	string_add_char(&text, '\n');
	peer->answer_len = text.len;
	peer->sent = 0;
	peer->answer = string_take(&text);
	if (!peer->answer)
		peer_close(peer);
	else
		peer_send(peer);
}

static void peer_refuse(struct peer *peer, const char *why)
{
	AUTO_JSON json_t *answer = json_pack("{s:s}", "error", why);
	peer_answer(peer, answer);
}

static void sessions_work(struct job *job)
{
	struct peer *peer = container_of(job, struct peer, job);
	if (gateway_add_sessions(peer->control->gateway, peer->status) < 0)
		log_warning("control socket: sessions not listed: out of memory");
}

static void sessions_done(struct job *job)
{
	struct peer *peer = container_of(job, struct peer, job);
	AUTO_JSON json_t *status = steal(&peer->status);
	peer->busy = false;
	if (peer->gone)
		peer_close(peer);
	else
		peer_answer(peer, status);
}

static void ask_status(struct peer *peer)
{
	struct gateway *gateway = peer->control->gateway;
	peer->status = gateway_status(gateway);
	if (!peer->status) {
		peer_refuse(peer, "out of memory");
		return;
	}
	peer->busy = true;
	peer->job = (struct job){ .work = sessions_work,
		                  .done = sessions_done,
		                  .reactor = peer->control->manager };
	reactor_watch_set(peer->control->manager, &peer->watch, 0);
	job_queue_submit(gateway_jobs(gateway), &peer->job);
}

static const struct {
	const char *name;
	void (*run)(struct peer *peer);
} requests[] = {
	{ "status", ask_status },
};

static void peer_request(struct peer *peer)
{
	AUTO_JSON json_t *request = json_loads(peer->line, 0, NULL);
	const char *ask = json_text(request, "ask", "");
	for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
		if (strcmp(ask, requests[i].name) == 0) {
			requests[i].run(peer);
			return;
		}
	}
	peer_refuse(peer, "unknown request");
}

static void peer_ready(struct watch *watch, uint32_t events)
{
	struct peer *peer = container_of(watch, struct peer, watch);
	if (peer->answer) {
		peer_send(peer);
		return;
	}
	ssize_t n = recv(watch->fd, peer->line + peer->line_len,
	                 sizeof peer->line - 1 - peer->line_len, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0 || peer->busy) {
		peer_close(peer);
		return;
	}
	peer->line_len += (size_t)n;
	peer->line[peer->line_len] = '\0';
	char *end = strchr(peer->line, '\n');
	if (end) {
		*end = '\0'; /* one request at a time: whatever follows is not read */
		peer_request(peer);
	} else if (peer->line_len == sizeof peer->line - 1) {
		peer_close(peer);
	}
}

static void accept_ready(struct watch *watch, uint32_t events)
{
	struct control *control = container_of(watch, struct control, watch);
	AUTO_CLOSE int fd = accept4(watch->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0 || control->peer_count >= PEERS_MAX)
		return;
	struct peer *peer = calloc(1, sizeof *peer);
	if (!peer)
		return;
	peer->control = control;
	peer->watch = (struct watch){ .fd = fd, .ready = peer_ready };
	if (reactor_watch(control->manager, &peer->watch, EPOLLIN) < 0) {
		free(peer);
		return;
	}
	list_append(&control->peers, &peer->link);
	control->peer_count++;
	fd = -1; /* the peer's now */
}

static bool somebody_answers(const struct sockaddr_un *address)
{
	AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	return fd >= 0 && connect(fd, (const struct sockaddr *)address, sizeof *address) == 0;
}

static int listen_at(const char *path, struct error *err)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	memcpy(address.sun_path, path, strlen(path) + 1);
	if (somebody_answers(&address))
		return error_set(err, -EADDRINUSE,
		                 "control socket %s: another rbd-target-io of this gateway runs",
		                 path);
	(void)unlink(path); /* of a dead process, or not there */

	AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof address) < 0 ||
	    chmod(path, 0660) < 0 || listen(fd, 16) < 0)
		return error_set(err, -errno, "control socket %s: %s", path, strerror(errno));
	int listening = fd;
	fd = -1;
	return listening;
}

int control_open(struct reactor *manager, struct gateway *gateway, const char *run_dir,
                 struct control **ret_control, struct error *err)
{
	struct control *control = calloc(1, sizeof *control);
	if (!control)
		return error_set(err, -ENOMEM, "control socket: out of memory");
	control->manager = manager;
	control->gateway = gateway;
	list_init(&control->peers);
	int len = snprintf(control->path, sizeof control->path, "%s/%s.sock", run_dir,
	                   gateway_get_name(gateway));
	int r = 0;
	if (len < 0 || (size_t)len >= sizeof control->path)
		r = error_set(err, -ENAMETOOLONG,
		              "control socket %s/%s.sock: the path is too long; set run_dir",
		              run_dir, gateway_get_name(gateway));
	else if (mkdir(run_dir, 0750) < 0 && errno != EEXIST)
		r = error_set(err, -errno, "%s: %s; set run_dir in [rbdgate]", run_dir,
		              strerror(errno));
	else
		r = listen_at(control->path, err);
	if (r >= 0) {
		control->watch = (struct watch){ .fd = r, .ready = accept_ready };
		r = reactor_watch(manager, &control->watch, EPOLLIN);
		if (r < 0) {
			close(control->watch.fd);
			(void)error_set(err, r, "control socket: %s", strerror(-r));
		}
	}
	if (r < 0) {
		free(control);
		return r;
	}
	*ret_control = control;
	return 0;
}

void control_close(struct control *control)
{
	if (!control)
		return;
	reactor_unwatch(control->manager, &control->watch);
	close(control->watch.fd);
	(void)unlink(control->path);
	struct peer *peer, *following;
	list_for_each_safe (peer, following, &control->peers, link)
		peer_close(peer);
	/* The job of a peer ends with a message to the manager; only then the peer goes. */
	while (!list_empty(&control->peers))
		(void)reactor_turn(control->manager, 100);
	free(control);
}
