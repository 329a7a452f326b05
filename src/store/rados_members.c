/* Members of a rados store: a member watches OBJECT.rbdgate and acknowledges every notification
 * with its name at once; that is being alive. What it applied it reports in a row. Its thread
 * follows the object, also by its version once a second, because upstream gateways do not notify,
 * and sets up the watch again when it was lost. */
#include "store/rados.h"

#include "base/cond.h"
#include "base/log.h"
#include "base/reactor.h"
#include "base/text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define WATCH_TIMEOUT_S 15 /* then the cluster counts a silent watcher as gone */
#define FOLLOW_MS       1000
#define JOIN_ASK_S      2
#define ACK_LIMIT_S     3
#define TELL_ACK_S      1 /* a dead watcher holds up nobody longer */
#define FIRST_PAUSE_MS  5 /* between looks at the reports */
#define LAST_PAUSE_MS   100

struct rados_member {
	struct rados_store *rados;
	struct store_listener *listener;
	char *gateway, *member_key, *report_key;
	rados_ioctx_t watch_pool, follow_pool;
	uint64_t watch;   /* handle; of the thread, after join */
	bool watching;    /* likewise */
	uint64_t version; /* of the object, as last seen; likewise */
	bool unreachable; /* likewise */
	pthread_t thread;
	pthread_mutex_t mutex;
	pthread_cond_t wake;
	bool lost, stopping; /* under mutex */
};

/* ---- the watch ---- */

/* Somebody's store_tell(). */
static void hear(const struct rados_member *member, const char *text, size_t len)
{
	struct store_listener *listener = member->listener;
	AUTO_FREE char *copy = listener->told ? text_from_bytes(text, len) : NULL;
	if (copy)
		listener->told(listener, copy);
}

/* On a thread of librados: nothing here may wait for the cluster. */
static void notified(void *argument, uint64_t notify, uint64_t handle, uint64_t notifier,
                     void *data, size_t len)
{
	struct rados_member *member = argument;
	(void)rados_notify_ack(member->watch_pool, member->rados->side, notify, handle,
	                       member->gateway, (int)strlen(member->gateway));
	if (len == strlen("announce") && !memcmp(data, "announce", len))
		member->listener->changed(member->listener);
	const size_t prefix_len = strlen(RADOS_TELL_PREFIX);
	if (len > prefix_len && !memcmp(data, RADOS_TELL_PREFIX, prefix_len))
		hear(member, (const char *)data + prefix_len, len - prefix_len);
}

static void watch_lost(void *argument, uint64_t handle, int reason)
{
	struct rados_member *member = argument;
	(void)pthread_mutex_lock(&member->mutex);
	member->lost = true;
	(void)pthread_cond_signal(&member->wake);
	(void)pthread_mutex_unlock(&member->mutex);
}

static int start_watch(struct rados_member *member)
{
	(void)pthread_mutex_lock(&member->mutex);
	member->lost = false;
	(void)pthread_mutex_unlock(&member->mutex);
	int r = rados_watch3(member->watch_pool, member->rados->side, &member->watch, notified,
	                     watch_lost, WATCH_TIMEOUT_S, member);
	member->watching = r == 0;
	return r;
}

static void stop_watch(struct rados_member *member)
{
	if (!member->watching)
		return;
	(void)rados_unwatch2(member->watch_pool, member->watch); /* a lost one is an error */
	member->watching = false;
}

/* Row member/GATEWAY: which watcher is whose, for those that do not acknowledge. */
static int announce_presence(const struct rados_member *member, struct error *err)
{
	char text[64];
	uint64_t client = rados_get_instance_id(cluster_client_handle(member->rados->cluster));
	(void)snprintf(text, sizeof text, "%" PRIu64 " %" PRIu64, client, member->watch);
	return rados_set(member->rados, member->member_key, text, err);
}

/* ---- the thread ---- */

static void repair_watch(struct rados_member *member)
{
	stop_watch(member);
	struct error err;
	int r = rados_make_side(member->rados, &err);
	if (r == 0)
		r = start_watch(member);
	if (r == 0)
		r = announce_presence(member, &err);
	if (r < 0) {
		stop_watch(member); /* all of it again on the next turn */
		log_limited(LOG_LEVEL_WARNING, 30000,
		            "the watch of %s/%s is lost and cannot be set up again yet: %s",
		            member->rados->pool, member->rados->side, strerror(-r));
		return;
	}
	log_info("the watch of %s/%s is set up again", member->rados->pool, member->rados->side);
	/* Notifications were missed. */
	member->listener->changed(member->listener);
}

/* True if the object is another than last time. */
static bool look_for_change(struct rados_member *member)
{
	uint64_t size_bytes, version = 0;
	time_t changed_at;
	int r = rados_stat(member->follow_pool, member->rados->object, &size_bytes, &changed_at);
	if (r == 0)
		version = rados_get_last_version(member->follow_pool);
	bool reachable = r == 0 || r == -ENOENT;
	if (!reachable && !member->unreachable)
		log_warning("%s/%s cannot be looked at: %s", member->rados->pool,
		            member->rados->object, strerror(-r));
	bool changed = reachable && (member->unreachable || version != member->version);
	member->unreachable = !reachable;
	if (reachable)
		member->version = version;
	return changed;
}

/* Waits FOLLOW_MS, or for a loss or the end. False: the end. */
static bool pause_thread(struct rados_member *member, bool *ret_lost)
{
	const uint64_t until_ms = clock_monotonic_ms() + FOLLOW_MS;
	bool in_time = true;
	(void)pthread_mutex_lock(&member->mutex);
	/* A loss that cannot be repaired yet waits too: it was seen by an earlier turn. */
	while (!member->stopping && !(member->lost && member->watching) && in_time)
		in_time = cond_wait_until(&member->wake, &member->mutex, until_ms);
	bool go_on = !member->stopping;
	*ret_lost = member->lost;
	(void)pthread_mutex_unlock(&member->mutex);
	return go_on;
}

static void *follow(void *argument)
{
	struct rados_member *member = argument;
	bool lost;
	(void)look_for_change(member);
	member->listener->changed(member->listener);
	while (pause_thread(member, &lost)) {
		if (lost || !member->watching ||
		    rados_watch_check(member->watch_pool, member->watch) < 0)
			repair_watch(member);
		if (look_for_change(member))
			member->listener->changed(member->listener);
	}
	return NULL;
}

/* ---- joining and leaving ---- */

static void free_member(struct rados_member *member)
{
	stop_watch(member);
	/* No callback runs any more after this. */
	(void)rados_watch_flush(cluster_client_handle(member->rados->cluster));
	if (member->watch_pool)
		cluster_pool_close(member->watch_pool);
	if (member->follow_pool)
		cluster_pool_close(member->follow_pool);
	(void)pthread_cond_destroy(&member->wake);
	(void)pthread_mutex_destroy(&member->mutex);
	free(member->gateway);
	free(member->member_key);
	free(member->report_key);
	free(member);
}

static struct rados_member *new_member(struct rados_store *rados, const char *gateway,
                                       struct store_listener *listener)
{
	struct rados_member *member = calloc(1, sizeof *member);
	if (!member)
		return NULL;
	member->rados = rados;
	member->listener = listener;
	cond_init_monotonic(&member->wake);
	(void)pthread_mutex_init(&member->mutex, NULL);
	struct string member_key = { 0 }, report_key = { 0 };
	string_format(&member_key, "member/%s", gateway);
	string_format(&report_key, "report/%s", gateway);
	member->member_key = string_take(&member_key);
	member->report_key = string_take(&report_key);
	member->gateway = strdup(gateway);
	if (!member->member_key || !member->report_key || !member->gateway) {
		free_member(member);
		return NULL;
	}
	return member;
}

/* The own watch stands already, so of two that join at once at least one sees the other. */
static int check_name(const struct rados_member *member, struct error *err)
{
	struct rados_watchers watchers = { 0 };
	uint64_t client = rados_get_instance_id(cluster_client_handle(member->rados->cluster));
	int r = rados_tell(member->rados, "who", JOIN_ASK_S, &watchers, err);
	for (size_t i = 0; r == 0 && i < watchers.count; i++) {
		const struct rados_watcher *watcher = &watchers.list[i];
		bool is_own = watcher->client == client && watcher->cookie == member->watch;
		if (!is_own && watcher->gateway && !strcmp(watcher->gateway, member->gateway))
			r = error_set(err, -EBUSY,
			              "another process serves as the gateway %s already "
			              "(client.%" PRIu64 "); stop it, or set gateway_name in "
			              "[rbdgate]",
			              member->gateway, watcher->client);
	}
	rados_watchers_done(&watchers);
	return r;
}

static int start_member(struct rados_member *member, struct error *err)
{
	struct rados_store *rados = member->rados;
	int r = rados_open_pool(rados, &member->watch_pool, err);
	if (r == 0)
		r = rados_open_pool(rados, &member->follow_pool, err);
	if (r == 0)
		r = rados_make_side(rados, err);
	if (r < 0)
		return r;
	r = start_watch(member);
	if (r < 0)
		return rados_failed(rados, r, "watch", err);
	r = check_name(member, err);
	if (r == 0)
		r = rados_set(rados, member->report_key, NULL, err); /* of an earlier life */
	if (r == 0)
		r = announce_presence(member, err);
	if (r < 0)
		return r;
	rados->member = member; /* the listener may make somebody report at once */
	r = -pthread_create(&member->thread, NULL, follow, member);
	if (r < 0)
		rados->member = NULL;
	return r < 0 ? error_set(err, r, "cannot start a thread: %s", strerror(-r)) : 0;
}

int rados_join(struct store *store, const char *gateway, struct store_listener *listener,
               struct error *err)
{
	struct rados_store *rados = rados_store_of(store);
	if (rados->member)
		return error_set(err, -EBUSY, "this process has joined already");
	struct rados_member *member = new_member(rados, gateway, listener);
	if (!member)
		return error_set(err, -ENOMEM, "out of memory");
	int r = start_member(member, err);
	if (r < 0)
		free_member(member);
	return r;
}

static void drop_row(const struct rados_member *member, const char *key)
{
	struct error err;
	if (rados_set(member->rados, key, NULL, &err) < 0)
		log_warning("%s", err.text);
}

void rados_leave(struct store *store)
{
	struct rados_member *member = rados_store_of(store)->member;
	if (!member)
		return;
	rados_store_of(store)->member = NULL;
	(void)pthread_mutex_lock(&member->mutex);
	member->stopping = true;
	(void)pthread_cond_signal(&member->wake);
	(void)pthread_mutex_unlock(&member->mutex);
	(void)pthread_join(member->thread, NULL);
	drop_row(member, member->report_key);
	drop_row(member, member->member_key);
	free_member(member);
}

int rados_report(struct store *store, uint64_t epoch, const char *problem, struct error *err)
{
	const struct rados_member *member = rados_store_of(store)->member;
	if (!member)
		return error_set(err, -ENOTCONN, "only a member can report");
	AUTO_FREE char *report = store_format_report(epoch, problem);
	if (!report)
		return error_set(err, -ENOMEM, "out of memory");
	return rados_set(member->rados, member->report_key, report, err);
}

/* ---- asking all ---- */

struct asking {
	struct store_answer *answers;
	size_t count;
	uint64_t epoch;
	const struct rados_watchers *watchers;
};

static struct store_answer *find_answer(const struct asking *asking, const char *gateway)
{
	for (size_t i = 0; i < asking->count; i++)
		if (!strcmp(asking->answers[i].gateway, gateway))
			return &asking->answers[i];
	return NULL;
}

/* answers has room for each watcher. */
static void add_gateway(struct asking *asking, const char *gateway)
{
	if (!gateway[0] || find_answer(asking, gateway))
		return;
	struct store_answer *answer = &asking->answers[asking->count++];
	answer->state = STORE_MEMBER_SILENT;
	(void)snprintf(answer->gateway, sizeof answer->gateway, "%s", gateway);
}

/* A watcher that did not acknowledge: a gateway that hangs, or died within WATCH_TIMEOUT_S. Without
 * a row that is its own it is the former life of one that is back. */
static void add_unanswering(void *argument, const char *gateway, const char *text)
{
	struct asking *asking = argument;
	uint64_t client, cookie;
	if (sscanf(text, "%" SCNu64 " %" SCNu64, &client, &cookie) != 2)
		return;
	for (size_t i = 0; i < asking->watchers->count; i++) {
		const struct rados_watcher *watcher = &asking->watchers->list[i];
		if (!watcher->gateway && watcher->client == client && watcher->cookie == cookie)
			add_gateway(asking, gateway);
	}
}

static void read_report(void *argument, const char *gateway, const char *text)
{
	const struct asking *asking = argument;
	struct store_answer *answer = find_answer(asking, gateway);
	if (answer)
		store_read_report(text, asking->epoch, answer);
}

/* Only those that acknowledged are worth waiting for. */
static bool is_awaited(const struct asking *asking)
{
	for (size_t i = 0; i < asking->watchers->count; i++) {
		const char *gateway = asking->watchers->list[i].gateway;
		const struct store_answer *answer = gateway ? find_answer(asking, gateway) : NULL;
		if (answer && answer->state == STORE_MEMBER_SILENT)
			return true;
	}
	return false;
}

static int wait_for_reports(const struct rados_store *rados, struct asking *asking,
                            uint64_t deadline_ms, struct error *err)
{
	unsigned pause_ms = FIRST_PAUSE_MS;
	for (;;) {
		int r = rados_visit(rados, "report/", read_report, asking, err);
		if (r < 0 || !is_awaited(asking) || clock_monotonic_ms() >= deadline_ms)
			return r;
		(void)nanosleep(&(struct timespec){ .tv_nsec = pause_ms * 1000000L }, NULL);
		pause_ms = pause_ms * 2 < LAST_PAUSE_MS ? pause_ms * 2 : LAST_PAUSE_MS;
	}
}

static int ask_watchers(const struct rados_store *rados, struct asking *asking,
                        uint64_t deadline_ms, struct error *err)
{
	asking->answers = calloc(asking->watchers->count + 1, sizeof *asking->answers);
	if (!asking->answers)
		return error_set(err, -ENOMEM, "out of memory");
	bool all_acknowledged = true;
	for (size_t i = 0; i < asking->watchers->count; i++) {
		const char *gateway = asking->watchers->list[i].gateway;
		if (gateway)
			add_gateway(asking, gateway);
		else
			all_acknowledged = false;
	}
	int r = 0;
	if (!all_acknowledged)
		r = rados_visit(rados, "member/", add_unanswering, asking, err);
	return r < 0 ? r : wait_for_reports(rados, asking, deadline_ms, err);
}

int rados_announce(struct store *store, uint64_t epoch, unsigned timeout_ms,
                   struct store_answer **ret_answers, size_t *ret_count, struct error *err)
{
	const struct rados_store *rados = rados_store_of(store);
	uint64_t deadline_ms = clock_monotonic_ms() + timeout_ms;
	unsigned ack_s = timeout_ms / 1000;
	ack_s = ack_s < 1 ? 1 : ack_s > ACK_LIMIT_S ? ACK_LIMIT_S : ack_s;
	struct rados_watchers watchers = { 0 };
	struct asking asking = { .epoch = epoch, .watchers = &watchers };
	int r = rados_tell(rados, "announce", ack_s, &watchers, err);
	if (r == 0)
		r = ask_watchers(rados, &asking, deadline_ms, err);
	rados_watchers_done(&watchers);
	if (r < 0) {
		free(asking.answers);
		return r;
	}
	*ret_answers = asking.answers;
	*ret_count = asking.count;
	return 0;
}

int rados_tell_members(struct store *store, const char *text, struct error *err)
{
	AUTO_STRING struct string message = { 0 };
	string_format(&message, RADOS_TELL_PREFIX "%s", text);
	if (message.failed)
		return error_set(err, -ENOMEM, "out of memory");
	struct rados_watchers watchers = { 0 };
	int r = rados_tell(rados_store_of(store), message.text, TELL_ACK_S, &watchers, err);
	rados_watchers_done(&watchers);
	return r;
}
