/* A disk moves by steps: disk_step() compares what is wanted with what is, and starts the next
 * action if none is under way; each action ends in disk_step() again. So it does not matter in
 * which order wishes, failures and events arrive.
 *
 *   CLOSED --open: take a client, open the image, get the lock--> OPEN
 *   OPEN --drain: lun_quiesce()--> DRAINED --close: release the lock, close--> CLOSED */
#include "target/disk.h"

#include "backend/backend.h"
#include "base/log.h"
#include "cluster/client.h"
#include "store/image.h"
#include "target/data_clients.h"
#include "target/job.h"
#include "ownership/registration.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define AWAIT_MS       10000
#define RETRY_FIRST_MS 250
#define RETRY_MAX_MS   5000

enum wanted { WANT_SERVE, WANT_STANDBY, WANT_GONE };
enum phase { CLOSED, OPEN, DRAINED };

struct disk {
	struct disk_host *host;
	char *pool, *image, *path; /* path: file backends */
	struct lun *lun;

	enum wanted wanted;
	enum phase phase;
	bool busy; /* an action is under way */
	bool settled;
	bool resize_wanted; /* look at the size when idle */
	bool resized;       /* what refresh_work() found */
	struct error problem;
	unsigned retry_ms;
	struct timer retry;
	struct timer awaited; /* armed: logins wait for the first opening */

	/* The action under way: set before it starts, read by its end. */
	struct job job;
	struct job_queue *jobs;
	struct backend *backend;
	struct cluster_client *client;
	struct error job_error;
	struct message quiesced;

	/* Events of the backend, from any thread: flags, and one message to look at them. */
	struct backend_listener listener;
	atomic_bool event_resized, event_lost;
	atomic_bool event_posted;
	struct message event_message;
	bool lost;

	void (*closed)(void *argument);
	void *closed_argument;
};

static void disk_step(struct disk *disk);

const char *disk_name(const struct disk *disk)
{
	return lun_name(disk->lun);
}

struct lun *disk_lun(const struct disk *disk)
{
	return disk->lun;
}

bool disk_settled(const struct disk *disk)
{
	return disk->settled && !disk->resize_wanted;
}

bool disk_awaited(const struct disk *disk)
{
	return timer_armed(&disk->awaited) && lun_get_state(disk->lun) == LUN_OPENING;
}

const char *disk_problem(const struct disk *disk)
{
	return disk->problem.text;
}

bool disk_is_owner(const struct disk *disk)
{
	return disk->phase == OPEN;
}

static void settle(struct disk *disk)
{
	disk->settled = true;
	disk->host->changed(disk->host, disk);
}

/* The LUN answers 02/04/01 from now on, to those who log in without it. */
static void awaited_expired(struct timer *timer)
{
	struct disk *disk = container_of(timer, struct disk, awaited);
	if (lun_get_state(disk->lun) == LUN_OPENING)
		log_warning("%s: still opening after %u s; logins do not wait for it any more",
		            disk_name(disk), AWAIT_MS / 1000);
	disk->host->changed(disk->host, disk);
}

/* ---- events of the backend ---- */

static void look_at_events(struct message *message)
{
	struct disk *disk = container_of(message, struct disk, event_message);
	atomic_store(&disk->event_posted, false);
	if (atomic_exchange(&disk->event_lost, false))
		disk->lost = true;
	if (atomic_exchange(&disk->event_resized, false))
		disk->resize_wanted = true;
	disk_step(disk);
}

static void backend_told(struct backend_listener *listener, enum backend_event event)
{
	struct disk *disk = container_of(listener, struct disk, listener);
	if (event == BACKEND_RESIZED)
		atomic_store(&disk->event_resized, true);
	else
		atomic_store(&disk->event_lost, true);
	if (!atomic_exchange(&disk->event_posted, true))
		reactor_post(disk->host->manager, &disk->event_message);
}

/* ---- open ---- */

static bool may_break(void *argument, const char *owner_address)
{
	const struct disk *disk = argument;
	return disk->host->registration &&
	       registration_is_past(disk->host->registration, owner_address);
}

/* Worker: everything that opening takes. On failure nothing stays open. */
static void open_work(struct job *job)
{
	struct disk *disk = container_of(job, struct disk, job);
	struct error *err = &disk->job_error;
	*err = (struct error){ 0 };

	if (disk->host->clients && data_clients_take(disk->host->clients, &disk->client, err) < 0)
		return;
	struct backend_config config = {
		.kind = disk->path ? "file" : "rbd",
		.name = disk_name(disk),
		.path = disk->path,
		.cluster = disk->client,
		.pool = disk->pool,
		.image = disk->image,
		.listener = &disk->listener,
	};
	struct backend_lock_policy policy = { .may_break = may_break, .argument = disk };
	AUTO(backend) struct backend *backend = NULL;
	int r = backend_open(&config, &backend, err);
	if (r == 0)
		r = backend_acquire(backend, &policy, err);
	if (r == 0) {
		disk->backend = steal(&backend);
		return;
	}
	if (!err->code)
		(void)error_set(err, r, "%s: %s", config.name, strerror(-r));
	backend_free(steal(&backend)); /* before its client goes */
	if (disk->client && err->code == -ESHUTDOWN)
		data_clients_lost(disk->host->clients, disk->client);
	if (disk->client)
		data_clients_put(disk->host->clients, steal(&disk->client));
}

static void retry_expired(struct timer *timer)
{
	disk_step(container_of(timer, struct disk, retry));
}

/* -EBUSY: somebody alive has the lock. The LUN is where he is, and we ask again; while ownership
 * moves that is how it should be, so the disk does not count as settled with it. */
static void open_failed(struct disk *disk)
{
	bool first = strcmp(disk->problem.text, disk->job_error.text) != 0;
	bool elsewhere = disk->job_error.code == -EBUSY;
	disk->problem = disk->job_error;
	lun_set_state(disk->lun, elsewhere ? LUN_STANDBY : LUN_FAILED);
	disk->retry_ms = disk->retry_ms ? disk->retry_ms * 2 : RETRY_FIRST_MS;
	if (disk->retry_ms > RETRY_MAX_MS)
		disk->retry_ms = RETRY_MAX_MS;
	if (first)
		log_write(elsewhere ? LOG_LEVEL_WARNING : LOG_LEVEL_ERROR, LOG_ROOM,
		          "%s: cannot be served: %s; trying again", disk_name(disk),
		          disk->problem.text);
	reactor_arm(disk->host->manager, &disk->retry, disk->retry_ms);
	if (elsewhere)
		disk->host->changed(disk->host, disk);
	else
		settle(disk);
}

static void open_done(struct job *job)
{
	struct disk *disk = container_of(job, struct disk, job);
	disk->busy = false;
	if (disk->backend) {
		disk->phase = OPEN;
		disk->retry_ms = 0;
		disk->problem = (struct error){ 0 };
		lun_serve(disk->lun, disk->backend);
		log_info("%s: served", disk_name(disk));
		settle(disk);
	} else {
		open_failed(disk);
	}
	disk_step(disk);
}

/* ---- resize ---- */

static void refresh_work(struct job *job)
{
	struct disk *disk = container_of(job, struct disk, job);
	struct backend_info before, after;
	disk->job_error = (struct error){ 0 };
	backend_get_info(disk->backend, &before);
	int r = backend_refresh(disk->backend, &disk->job_error);
	if (r == 0)
		disk->job_error = (struct error){ 0 };
	else if (!disk->job_error.code)
		(void)error_set(&disk->job_error, r, "%s", strerror(-r));
	backend_get_info(disk->backend, &after);
	disk->resized = before.size_bytes != after.size_bytes;
}

static void refresh_done(struct job *job)
{
	struct disk *disk = container_of(job, struct disk, job);
	disk->busy = false;
	if (disk->job_error.code)
		log_error("%s: size not read: %s", disk_name(disk), disk->job_error.text);
	if (disk->resized)
		lun_resized(disk->lun);
	settle(disk);
	disk_step(disk);
}

/* ---- drain and close ---- */

static void quiesce_ended(void *argument)
{
	struct disk *disk = argument;
	reactor_post(disk->host->manager, &disk->quiesced);
}

static void drained(struct message *message)
{
	struct disk *disk = container_of(message, struct disk, quiesced);
	disk->busy = false;
	disk->phase = DRAINED;
	disk_step(disk);
}

static void start_drain(struct disk *disk)
{
	disk->busy = true;
	lun_quiesce(disk->lun, disk->wanted == WANT_SERVE ? LUN_TRANSITIONING : LUN_STANDBY,
	            quiesce_ended, disk);
}

static void close_work(struct job *job)
{
	struct disk *disk = container_of(job, struct disk, job);
	struct error err = { 0 };
	if (!disk->lost && backend_release(disk->backend, &err) < 0)
		log_warning("%s: lock not given back: %s", disk_name(disk), err.text);
	if (disk->lost && disk->client)
		data_clients_lost(disk->host->clients, disk->client);
	backend_free(steal(&disk->backend));
	if (disk->client)
		data_clients_put(disk->host->clients, steal(&disk->client));
}

static void close_done(struct job *job)
{
	struct disk *disk = container_of(job, struct disk, job);
	disk->busy = false;
	disk->phase = CLOSED;
	disk->lost = false;
	disk_step(disk);
}

static void start_job(struct disk *disk, void (*work)(struct job *), void (*done)(struct job *))
{
	disk->busy = true;
	disk->job.work = work;
	disk->job.done = done;
	disk->job.reactor = disk->host->manager;
	job_queue_submit(disk->jobs, &disk->job);
}

/* ---- the step ---- */

static void disk_free(struct disk *disk)
{
	if (!disk)
		return;
	lun_put(disk->lun);
	free(disk->pool);
	free(disk->image);
	free(disk->path);
	free(disk);
}
DEFINE_AUTO(disk);

static void disk_gone(struct disk *disk)
{
	/* The backend, which alone posts events, is closed; a message of it may still be on its
	 * way. */
	if (atomic_load(&disk->event_posted))
		return;
	reactor_disarm(disk->host->manager, &disk->retry);
	reactor_disarm(disk->host->manager, &disk->awaited);
	void (*closed)(void *) = disk->closed;
	void *argument = disk->closed_argument;
	disk_free(disk);
	closed(argument);
}

static void step_closed(struct disk *disk)
{
	disk->resize_wanted = false;
	switch (disk->wanted) {
	case WANT_SERVE:
		if (timer_armed(&disk->retry))
			return;
		disk->lost = false; /* told of an earlier backend */
		start_job(disk, open_work, open_done);
		return;
	case WANT_STANDBY:
		reactor_disarm(disk->host->manager, &disk->retry);
		disk->problem = (struct error){ 0 };
		lun_set_state(disk->lun, LUN_STANDBY);
		if (!disk->settled)
			settle(disk);
		return;
	case WANT_GONE:
		disk_gone(disk);
		return;
	}
}

static void disk_step(struct disk *disk)
{
	if (disk->busy)
		return;
	switch (disk->phase) {
	case CLOSED:
		step_closed(disk);
		return;
	case OPEN:
		if (disk->wanted != WANT_SERVE || disk->lost) {
			start_drain(disk);
		} else if (disk->resize_wanted) {
			disk->resize_wanted = false;
			disk->settled = false;
			start_job(disk, refresh_work, refresh_done);
		}
		return;
	case DRAINED:
		start_job(disk, close_work, close_done);
		return;
	}
}

int disk_new(struct disk_host *host, const struct disk_config *config, struct disk **ret_disk)
{
	AUTO(disk) struct disk *disk = calloc(1, sizeof *disk);
	if (!disk)
		return -ENOMEM;
	disk->host = host;
	disk->jobs = job_queues_get(host->jobs, config->pool);
	disk->wanted = config->owner ? WANT_SERVE : WANT_STANDBY;
	disk->pool = strdup(config->pool);
	disk->image = strdup(config->image);
	disk->path = image_path(host->store, config->pool, config->image);
	disk->retry.expired = retry_expired;
	disk->awaited.expired = awaited_expired;
	disk->quiesced.run = drained;
	disk->listener.event = backend_told;
	disk->event_message.run = look_at_events;
	if (!disk->pool || !disk->image)
		return -ENOMEM;
	int r = lun_new(&config->lun, &disk->lun);
	if (r < 0)
		return r;
	r = lun_set_port_groups(disk->lun, config->groups, config->group_count);
	if (r < 0)
		return r;
	*ret_disk = disk;
	reactor_arm(host->manager, &disk->awaited, AWAIT_MS);
	disk_step(steal(&disk));
	return 0;
}

int disk_change(struct disk *disk, const struct disk_config *config)
{
	int r = lun_change(disk->lun, &config->lun);
	if (r == 0)
		r = lun_set_port_groups(disk->lun, config->groups, config->group_count);
	if (r < 0)
		return r;
	enum wanted wanted = config->owner ? WANT_SERVE : WANT_STANDBY;
	if (wanted != disk->wanted) {
		disk->wanted = wanted;
		disk->settled = false;
	}
	if (disk->phase == OPEN)
		disk->resize_wanted = true;
	/* Somebody changed something: maybe just what was missing. */
	reactor_disarm(disk->host->manager, &disk->retry);
	disk->retry_ms = 0;
	disk_step(disk);
	return 0;
}

void disk_close(struct disk *disk, void (*closed)(void *argument), void *argument)
{
	assert(disk->wanted != WANT_GONE);
	disk->wanted = WANT_GONE;
	disk->closed = closed;
	disk->closed_argument = argument;
	if (disk->busy)
		return; /* the end of that action steps on */
	if (disk->phase != CLOSED) {
		disk_step(disk);
		return;
	}
	/* closed() must not come inside this call: step when the message arrives. */
	if (!atomic_exchange(&disk->event_posted, true))
		reactor_post(disk->host->manager, &disk->event_message);
}
