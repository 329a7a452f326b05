/* Listening and accepting. A connection that was accepted goes to the reactor with the fewest. */
#include "iscsi/portal.h"

#include "iscsi/apply.h"
#include "iscsi/connection.h"
#include "iscsi/server.h"
#include "iscsi/socket_address.h"
#include "iscsi/worker.h"

#include "base/log.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/epoll.h>

#define BACKLOG         1024
#define ACCEPT_MAX      64 /* in one turn */
#define RETRY_MS        1000
#define LOG_INTERVAL_MS 1000

struct portal {
	struct watch watch; /* fd < 0: not open (yet) */
	struct portal_set *set;
	struct list link;
	char address[PORTAL_TEXT_MAX];
	bool wanted;
};

struct portal_set {
	struct iscsi_server *server;
	struct reactor *reactor;
	struct list portals;
	struct timer retry;
	bool paused; /* no descriptors left: accepting goes on with the retry */
};

/* A connection on its way to its reactor. */
struct handover {
	struct message message;
	struct worker *worker;
	int fd;
};

static struct worker *least_loaded(struct iscsi_server *server)
{
	struct worker *least = &server->workers[0];
	for (unsigned i = 1; i < server->worker_count; i++) {
		struct worker *worker = &server->workers[i];
		if (atomic_load(&worker->connection_count) < atomic_load(&least->connection_count))
			least = worker;
	}
	return least;
}

static void take_over(struct message *message)
{
	struct handover *handover = container_of(message, struct handover, message);
	struct worker *worker = handover->worker;

	if (worker->stopping) {
		close(handover->fd);
	} else {
		int r = connection_new(worker, handover->fd);
		if (r < 0)
			log_limited(LOG_LEVEL_WARNING, LOG_INTERVAL_MS,
			            "a connection was closed at once: %s", strerror(-r));
	}
	atomic_fetch_sub(&worker->connection_count, 1); /* it counts itself now */
	free(handover);
	worker_check_stopped(worker);
}

static void hand_over(struct portal_set *set, int fd)
{
	struct handover *handover = malloc(sizeof(*handover));
	if (!handover) {
		close(fd);
		return;
	}
	handover->worker = least_loaded(set->server);
	handover->fd = fd;
	handover->message.run = take_over;
	atomic_fetch_add(&handover->worker->connection_count, 1);
	reactor_deliver(handover->worker->reactor, &handover->message);
}

static void pause_all(struct portal_set *set)
{
	struct portal *portal;
	list_for_each (portal, &set->portals, link) {
		if (portal->watch.fd >= 0)
			reactor_watch_set(set->reactor, &portal->watch, 0);
	}
	set->paused = true;
	reactor_arm(set->reactor, &set->retry, RETRY_MS);
}

static void portal_ready(struct watch *watch, uint32_t events)
{
	struct portal *portal = container_of(watch, struct portal, watch);

	for (unsigned i = 0; i < ACCEPT_MAX; i++) {
		int fd = accept4(watch->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0) {
			hand_over(portal->set, fd);
			continue;
		}
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
			log_limited(LOG_LEVEL_ERROR, LOG_INTERVAL_MS,
			            "portal %s: cannot accept: %s; raise LimitNOFILE",
			            portal->address, strerror(errno));
			pause_all(portal->set);
		}
		return; /* none left, or one that is gone already */
	}
}

static int open_socket(const struct portal_address *address, int *ret_fd)
{
	struct sockaddr_storage socket_address;
	socklen_t len = socket_address_make(address, &socket_address);
	AUTO_CLOSE int fd =
	        socket(socket_address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int on = 1, dual_stack = 0;

	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0)
		return -errno;
	/* [::] takes IPv4 as well, as 0.0.0.0 and it are one portal for a Linux target. */
	if (address->ipv6 &&
	    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &dual_stack, sizeof(dual_stack)) < 0)
		return -errno;
	if (bind(fd, (struct sockaddr *)&socket_address, len) < 0 || listen(fd, BACKLOG) < 0)
		return -errno;
	*ret_fd = fd;
	fd = -1;
	return 0;
}

static int portal_open(struct portal *portal, struct error *err)
{
	struct portal_address address;
	int fd = -1;
	int r = portal_address_parse(portal->address, &address);

	if (r < 0)
		return error_set(err, r, "portal %s: not an address; want IP:PORT",
		                 portal->address);
	r = open_socket(&address, &fd);
	if (r < 0)
		return error_set(err, r, "portal %s: cannot listen: %s; it is tried again",
		                 portal->address, strerror(-r));
	portal->watch.fd = fd;
	portal->watch.ready = portal_ready;
	r = reactor_watch(portal->set->reactor, &portal->watch, EPOLLIN);
	if (r < 0) {
		close(fd);
		portal->watch.fd = -1;
		return error_set(err, r, "portal %s: cannot be watched: %s", portal->address,
		                 strerror(-r));
	}
	log_info("portal %s: listening", portal->address);
	return 0;
}

static void portal_free(struct portal *portal)
{
	if (portal->watch.fd >= 0) {
		reactor_unwatch(portal->set->reactor, &portal->watch);
		close(portal->watch.fd);
		log_info("portal %s: closed", portal->address);
	}
	list_remove(&portal->link);
	free(portal);
}

static int want_portal(struct portal_set *set, const char *address)
{
	struct portal *portal;
	list_for_each (portal, &set->portals, link) {
		if (strcmp(portal->address, address) == 0) {
			portal->wanted = true;
			return 0;
		}
	}
	if (strlen(address) >= PORTAL_TEXT_MAX)
		return -EINVAL;
	portal = calloc(1, sizeof(*portal));
	if (!portal)
		return -ENOMEM;
	strcpy(portal->address, address);
	portal->set = set;
	portal->watch.fd = -1;
	portal->wanted = true;
	list_append(&set->portals, &portal->link);
	return 0;
}

static void want_target(struct portal_set *set, const struct iscsi_target *target,
                        struct apply *apply)
{
	for (size_t i = 0; i < target->group_count; i++) {
		const struct iscsi_portal_group *group = &target->groups[i];
		for (size_t k = 0; group->local && k < group->address_count; k++) {
			int r = want_portal(set, group->addresses[k]);
			struct error err;
			if (r == 0)
				continue;
			(void)error_set(&err, r, "portal %s of %s: %s", group->addresses[k],
			                target->name, strerror(-r));
			apply_problem(apply, &err);
		}
	}
}

/* Opens what is not open; the first problem goes to apply, if there is one. */
static void open_all(struct portal_set *set, struct apply *apply)
{
	struct portal *portal;
	bool again = false;

	list_for_each (portal, &set->portals, link) {
		struct error err;
		if (portal->watch.fd >= 0 || portal_open(portal, &err) == 0)
			continue;
		again = true;
		if (apply)
			apply_problem(apply, &err);
	}
	if (again)
		reactor_arm(set->reactor, &set->retry, RETRY_MS);
}

static void retry(struct timer *timer)
{
	struct portal_set *set = container_of(timer, struct portal_set, retry);
	struct portal *portal;

	if (set->paused) {
		set->paused = false;
		list_for_each (portal, &set->portals, link) {
			if (portal->watch.fd >= 0)
				reactor_watch_set(set->reactor, &portal->watch, EPOLLIN);
		}
	}
	open_all(set, NULL);
}

void portals_follow(struct portal_set *set, const struct iscsi_config *config, struct apply *apply)
{
	struct portal *portal, *following;

	list_for_each (portal, &set->portals, link)
		portal->wanted = false;
	for (size_t i = 0; i < config->target_count; i++)
		want_target(set, &config->targets[i], apply);
	list_for_each_safe (portal, following, &set->portals, link) {
		if (!portal->wanted)
			portal_free(portal);
	}
	open_all(set, apply);
}

int portals_new(struct iscsi_server *server, struct portal_set **ret_portals)
{
	struct portal_set *set = calloc(1, sizeof(*set));
	if (!set)
		return -ENOMEM;
	set->server = server;
	set->reactor = server->workers[0].reactor;
	set->retry.expired = retry;
	list_init(&set->portals);
	*ret_portals = set;
	return 0;
}

void portals_close(struct portal_set *set)
{
	reactor_disarm(set->reactor, &set->retry);
	while (!list_empty(&set->portals))
		portal_free(list_first(&set->portals, struct portal, link));
}

void portals_free(struct portal_set *set)
{
	free(set);
}
