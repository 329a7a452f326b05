/* Starts the interconnect: secret, listening, registration; each is tried until it works. Later it
 * follows this gateway to another address. */
#include "target/peers.h"

#include "base/log.h"
#include "base/text.h"
#include "config/address.h"
#include "ownership/registration.h"
#include "store/store.h"
#include "target/job.h"
#include "target/lun_registry.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#define SECRET_KEY "secret/interconnect"
#define RETRY_MS   1000

struct peers {
	struct peers_config config;
	struct relay relay;
	_Atomic(struct interconnect *) interconnect;
	struct interconnect_listener listener;

	struct peers_place place;
	char *address; /* place.address */
	bool started, stopping, busy;
	bool moves;          /* it does not listen at `address` yet, but at another one */
	char *registered;    /* what others are being told */
	uint32_t stalled_ms; /* what peers are told */
	struct job job;
	struct timer retry;
	struct error err;
	uint8_t secret[INTERCONNECT_SECRET_BYTES]; /* as it was read last */
	uint8_t used_secret[INTERCONNECT_SECRET_BYTES];
	uint64_t secret_ms; /* when it was read last because somebody had another one */
	void (*stopped)(void *argument);
	void *stopped_argument;
};

/* ---- the relay of all LUNs: used only after peers_interconnect() was there ---- */

static struct relay *relay_of(struct relay *relay)
{
	struct peers *peers = container_of(relay, struct peers, relay);
	struct interconnect *interconnect = atomic_load(&peers->interconnect);
	return interconnect ? interconnect_relay(interconnect) : NULL;
}

static void relay_begin(struct relay *relay, struct scsi_task *task, const struct lun_route *route)
{
	struct relay *to = relay_of(relay);
	to->ops->begin(to, task, route);
}

static void relay_cancel(struct relay *relay, struct scsi_task *task)
{
	struct relay *to = relay_of(relay);
	to->ops->cancel(to, task);
}

static void relay_manage(struct relay *relay, struct relay_request *request,
                         const struct lun_route *route)
{
	struct relay *to = relay_of(relay);
	to->ops->manage(to, request, route);
}

static void relay_nexus_ended(struct relay *relay, uint64_t nexus_serial)
{
	struct relay *to = relay_of(relay);
	if (to)
		to->ops->nexus_ended(to, nexus_serial);
}

static void relay_row_ended(struct relay *relay, uint64_t nexus_serial, uint16_t number,
                            const struct lun *lun)
{
	struct relay *to = relay_of(relay);
	if (to)
		to->ops->row_ended(to, nexus_serial, number, lun);
}

static const struct relay_ops relay_ops = {
	.begin = relay_begin,
	.cancel = relay_cancel,
	.manage = relay_manage,
	.nexus_ended = relay_nexus_ended,
	.row_ended = relay_row_ended,
};

/* ---- listener ---- */

static void peer_changed(struct interconnect_listener *listener, const struct peer_info *peer)
{
	struct peers *peers = container_of(listener, struct peers, listener);
	peers->config.changed(peers->config.argument);
}

static void told(struct interconnect_listener *listener, const struct peer_info *peer,
                 const char *text)
{
	struct peers *peers = container_of(listener, struct peers, listener);
	peers->config.told(peers->config.argument, text);
}

static void unproven(struct interconnect_listener *listener);

static struct lun *find_lun(struct interconnect_listener *listener, const char *name,
                            const char *wwn)
{
	struct peers *peers = container_of(listener, struct peers, listener);
	return lun_registry_find(peers->config.luns, name, wwn);
}

/* ---- start ---- */

/* The first gateway makes it; of several that do, one wins. */
static int load_secret(struct store *store, uint8_t *ret_secret, struct error *err)
{
	AUTO_FREE char *text = NULL;
	char made[2 * INTERCONNECT_SECRET_BYTES + 1];
	uint8_t random[INTERCONNECT_SECRET_BYTES];
	size_t len = 0;
	int r = store_get_row(store, SECRET_KEY, &text, err);
	if (r == -ENOENT) {
		if (getrandom(random, sizeof random, 0) != sizeof random)
			return error_set(err, -EIO, "no random numbers");
		text_put_hex(random, sizeof random, made);
		r = store_put_row(store, SECRET_KEY, NULL, made, err);
		wipe(made, sizeof made);
		wipe(random, sizeof random);
		if (r == 0 || r == -ECANCELED)
			r = store_get_row(store, SECRET_KEY, &text, err);
	}
	if (r < 0)
		return r;
	r = text_get_hex(text, strlen(text), ret_secret, INTERCONNECT_SECRET_BYTES, &len);
	wipe(text, strlen(text));
	if (r < 0 || len != INTERCONNECT_SECRET_BYTES)
		return error_set(err, -EBADMSG, "the row %s is no key of %d bytes", SECRET_KEY,
		                 INTERCONNECT_SECRET_BYTES);
	return 0;
}

static void secret_work(struct job *job)
{
	struct peers *peers = container_of(job, struct peers, job);
	peers->err = (struct error){ 0 };
	if (load_secret(peers->place.store, peers->secret, &peers->err) == 0)
		peers->err = (struct error){ 0 };
}

static void start_job(struct peers *peers, void (*work)(struct job *), void (*done)(struct job *))
{
	peers->busy = true;
	peers->job = (struct job){ .work = work, .done = done, .reactor = peers->config.manager };
	job_queue_submit(peers->place.jobs, &peers->job);
}

static void finish_stop(struct peers *peers);

/* True: the end of a job found that it was the last one. */
static bool job_ended(struct peers *peers)
{
	peers->busy = false;
	if (peers->stopping)
		finish_stop(peers);
	return peers->stopping;
}

static void register_work(struct job *job)
{
	struct peers *peers = container_of(job, struct peers, job);
	peers->err = (struct error){ 0 };
	if (registration_set_interconnect(peers->place.registration, peers->registered,
	                                  INTERCONNECT_VERSION_MIN, INTERCONNECT_VERSION_MAX,
	                                  &peers->err) == 0)
		peers->err = (struct error){ 0 };
}

static void go_on(struct peers *peers);

static void register_done(struct job *job)
{
	struct peers *peers = container_of(job, struct peers, job);
	if (job_ended(peers))
		return;
	if (peers->err.code) {
		log_limited(LOG_LEVEL_WARNING, 10000, "interconnect: not registered: %s",
		            peers->err.text);
		reactor_arm(peers->config.manager, &peers->retry, RETRY_MS);
	} else {
		log_info("interconnect: other gateways are told of %s", peers->registered);
		peers->config.changed(peers->config.argument);
		if (peers->moves)
			go_on(peers);
	}
}

static void register_here(struct peers *peers)
{
	char *address = strdup(interconnect_address(peers->interconnect));
	if (!address) {
		reactor_arm(peers->config.manager, &peers->retry, RETRY_MS);
		return;
	}
	free(peers->registered);
	peers->registered = address;
	start_job(peers, register_work, register_done);
}

/* As the first time, the address may not be there yet. */
static void move_here(struct peers *peers)
{
	struct error err = { 0 };
	if (interconnect_move(peers->interconnect, peers->address, peers->place.port, &err) < 0) {
		log_limited(LOG_LEVEL_WARNING, 60000, "interconnect: %s; it stays at %s", err.text,
		            interconnect_address(peers->interconnect));
		reactor_arm(peers->config.manager, &peers->retry, RETRY_MS);
	} else {
		peers->moves = false;
		register_here(peers);
	}
}

static void listen_here(struct peers *peers)
{
	struct interconnect *interconnect = NULL;
	struct interconnect_config config = {
		.manager = peers->config.manager,
		.reactors = peers->config.reactors,
		.reactor_count = peers->config.reactor_count,
		.gateway = peers->place.gateway,
		.instance = registration_instance(peers->place.registration),
		.address = peers->address,
		.port = peers->place.port,
		.listener = &peers->listener,
	};
	memcpy(config.secret, peers->secret, sizeof config.secret);
	if (interconnect_new(&config, &interconnect, &peers->err) < 0) {
		log_limited(LOG_LEVEL_WARNING, 60000,
		            "interconnect: %s; other gateways cannot reach this one",
		            peers->err.text);
		reactor_arm(peers->config.manager, &peers->retry, RETRY_MS);
	} else {
		interconnect_set_stalled(interconnect, peers->stalled_ms);
		memcpy(peers->used_secret, peers->secret, sizeof peers->used_secret);
		atomic_store(&peers->interconnect, interconnect);
		register_here(peers);
	}
	wipe(&config.secret, sizeof config.secret);
}

static void secret_done(struct job *job)
{
	struct peers *peers = container_of(job, struct peers, job);
	if (job_ended(peers))
		return;
	if (peers->err.code) {
		log_limited(LOG_LEVEL_WARNING, 10000, "interconnect: %s", peers->err.text);
		reactor_arm(peers->config.manager, &peers->retry, RETRY_MS);
	} else {
		listen_here(peers);
	}
}

/* ---- another secret ---- */

static void secret_read_again(struct job *job)
{
	struct peers *peers = container_of(job, struct peers, job);
	if (job_ended(peers))
		return;
	if (peers->err.code) {
		log_limited(LOG_LEVEL_WARNING, 10000, "interconnect: %s", peers->err.text);
	} else if (memcmp(peers->secret, peers->used_secret, sizeof peers->secret) != 0) {
		memcpy(peers->used_secret, peers->secret, sizeof peers->secret);
		interconnect_set_secret(peers->interconnect, peers->secret);
		log_info("interconnect: the row %s has changed: its secret is used from now on",
		         SECRET_KEY);
	} else {
		log_limited(LOG_LEVEL_WARNING, 60000,
		            "interconnect: who listens at the address of another gateway has "
		            "another secret than the row %s",
		            SECRET_KEY);
	}
	if (peers->moves)
		go_on(peers);
}

/* Somebody may have removed the row, so that the next gateway that started made another one. */
static void unproven(struct interconnect_listener *listener)
{
	struct peers *peers = container_of(listener, struct peers, listener);
	uint64_t now_ms = reactor_now_ms(peers->config.manager);
	if (peers->busy || peers->stopping || timer_armed(&peers->retry) ||
	    now_ms < peers->secret_ms + RETRY_MS)
		return; /* it tries again, and so do we */
	peers->secret_ms = now_ms;
	start_job(peers, secret_work, secret_read_again);
}

/* ---- start ---- */

static void go_on(struct peers *peers)
{
	if (!peers->interconnect)
		start_job(peers, secret_work, secret_done);
	else if (peers->moves)
		move_here(peers);
	else
		register_here(peers);
}

static void retry_expired(struct timer *timer)
{
	go_on(container_of(timer, struct peers, retry));
}

void peers_start(struct peers *peers, const struct peers_place *place)
{
	bool moves = peers->started;
	if (peers->stopping || (moves && address_equal(peers->address, place->address)))
		return;
	char *address = strdup(place->address);
	if (!address)
		return; /* the next plan starts it */
	free(peers->address);
	peers->address = address;
	if (!moves)
		peers->place = *place;
	peers->started = true;
	peers->moves = peers->interconnect != NULL;
	reactor_disarm(peers->config.manager, &peers->retry);
	if (!peers->busy)
		go_on(peers);
}

struct interconnect *peers_interconnect(struct peers *peers)
{
	return peers->interconnect;
}

void peers_set_stalled(struct peers *peers, uint32_t stalled_ms)
{
	peers->stalled_ms = stalled_ms;
	if (peers->interconnect)
		interconnect_set_stalled(peers->interconnect, stalled_ms);
}

struct relay *peers_relay(struct peers *peers)
{
	return &peers->relay;
}

/* ---- end ---- */

static void finish_stop(struct peers *peers)
{
	if (peers->interconnect)
		interconnect_stop(peers->interconnect, peers->stopped, peers->stopped_argument);
	else
		peers->stopped(peers->stopped_argument);
}

void peers_end_relaying(struct peers *peers)
{
	if (peers->interconnect)
		interconnect_end_relaying(peers->interconnect);
}

void peers_stop(struct peers *peers, void (*stopped)(void *argument), void *argument)
{
	peers->stopping = true;
	peers->stopped = stopped;
	peers->stopped_argument = argument;
	reactor_disarm(peers->config.manager, &peers->retry);
	if (!peers->busy)
		finish_stop(peers);
}

int peers_new(const struct peers_config *config, struct peers **ret_peers)
{
	struct peers *peers = calloc(1, sizeof *peers);
	if (!peers)
		return -ENOMEM;
	peers->config = *config;
	peers->relay.ops = &relay_ops;
	peers->retry.expired = retry_expired;
	peers->listener = (struct interconnect_listener){ .peer_changed = peer_changed,
		                                          .told = told,
		                                          .find_lun = find_lun,
		                                          .unproven = unproven };
	*ret_peers = peers;
	return 0;
}

void peers_free(struct peers *peers)
{
	if (!peers)
		return;
	if (peers->interconnect)
		interconnect_free(peers->interconnect);
	wipe(peers->secret, sizeof peers->secret);
	wipe(peers->used_secret, sizeof peers->used_secret);
	free(peers->address);
	free(peers->registered);
	free(peers);
}
