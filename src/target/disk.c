/* A disk moves by steps: disk_step() compares what is wanted with what is, and starts the next
 * action if none is under way; each action ends in disk_step() again. So it does not matter in
 * which order wishes, failures and events arrive.
 *
 *   CLOSED --open--> OPEN --take: record, lock, reservations--> SERVED
 *   SERVED --drain: lun_quiesce()--> DRAINED --release: lock, record--> OPEN, or closed: CLOSED */
#include "target/disk_private.h"

#include "base/log.h"
#include "store/image.h"
#include "target/lun_registry.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define RETRY_FIRST_MS 250
#define RETRY_MAX_MS   5000

/* Within one epoch a record only goes from active to clean. */
static bool is_news(const struct owner_record *seen, const struct owner_record *record)
{
	if (record->epoch != seen->epoch)
		return record->epoch > seen->epoch;
	return record->state != seen->state && record->state == OWNER_CLEAN;
}

/* Also while the image is being opened, which may hang: its owner elsewhere does not need it. */
bool disk_saw_record(struct disk *disk, const struct owner_record *record)
{
	struct owner_record copy;
	if (disk->record_away || !is_news(&disk->record, record) ||
	    owner_record_copy(record, &copy) < 0)
		return false; /* the next look brings it again */
	owner_record_done(&disk->record);
	disk->record = copy;
	disk->order_is_old = true; /* it was decided by another record */
	disk->seen_ms = reactor_now_ms(disk->host->manager);
	return true;
}

void disk_settle(struct disk *disk)
{
	disk->settled = true;
	disk->host->changed(disk->host, disk);
}

/* ---- events ---- */

static void look_at_events(struct message *message)
{
	struct disk *disk = container_of(message, struct disk, event_message);
	atomic_store(&disk->event_posted, false);
	if (atomic_exchange(&disk->event_lost, false)) {
		disk->lost = true;
		disk->host->fenced(disk->host, disk);
	}
	if (atomic_exchange(&disk->event_doubted, false))
		disk->doubted = true;
	if (atomic_exchange(&disk->event_resized, false))
		disk->resize_wanted = true;
	if (atomic_exchange(&disk->event_wanted, false)) {
		disk->demanded = true;
		disk->host->wanted(disk->host, disk);
	}
	disk_step(disk);
}

void disk_post_events(struct disk *disk)
{
	if (!atomic_exchange(&disk->event_posted, true))
		reactor_post(disk->host->manager, &disk->event_message);
}

static void backend_told(struct backend_listener *listener, enum backend_event event)
{
	struct disk *disk = container_of(listener, struct disk, listener);
	if (event == BACKEND_LOST)
		atomic_store(&disk->fenced, true);
	if (event == BACKEND_RESIZED)
		atomic_store(&disk->event_resized, true);
	else
		atomic_store(&disk->event_lost, true);
	disk_post_events(disk);
}

/* ---- actions ---- */

static void start_job(struct disk *disk, void (*work)(struct job *), void (*done)(struct job *))
{
	disk->busy = true;
	disk->started_ms = clock_monotonic_ms();
	disk->job_error = (struct error){ 0 };
	disk->job.work = work;
	disk->job.done = done;
	disk->job.reactor = disk->host->manager;
	if (disk_commands_wait(disk))
		job_queue_submit_first(disk->jobs, &disk->job);
	else
		job_queue_submit(disk->jobs, &disk->job);
}

/* A job that takes or gives has a record of its own: the manager decides by the one before while it
 * runs. */
static void start_record_job(struct disk *disk, void (*work)(struct job *),
                             void (*done)(struct job *))
{
	disk->record_away = true;
	disk->job_record = disk->record;
	disk->record.text = NULL;
	start_job(disk, work, done);
}

static void record_job_ended(struct disk *disk)
{
	disk->busy = disk->record_away = disk->lock_moves = false;
	disk->record = disk->job_record;
	disk->job_record = (struct owner_record){ 0 };
	disk->seen_ms = reactor_now_ms(disk->host->manager);
}

static void retry_expired(struct timer *timer)
{
	disk_step(container_of(timer, struct disk, retry));
}

/* -EBUSY: somebody alive has the lock. The LUN is where he is, and we ask again; while ownership
 * moves that is how it should be, so the disk does not count as settled with it. */
static void action_failed(struct disk *disk)
{
	bool first = strcmp(disk->problem.text, disk->job_error.text) != 0;
	bool elsewhere = disk->job_error.code == -EBUSY;
	disk->problem = disk->job_error;
	if (disk->order.role == DISK_SERVE) {
		lun_set_unreachable(disk->lun, false);
		disk_show(disk, !elsewhere              ? LUN_FAILED
		                : disk->order.on_demand ? LUN_BUSY
		                                        : LUN_STANDBY);
	}
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
		disk_settle(disk);
}

static void action_succeeded(struct disk *disk)
{
	disk->retry_ms = 0;
	disk->problem = (struct error){ 0 };
}

static void open_work(struct job *job)
{
	disk_open_image(container_of(job, struct disk, job));
}

static void open_done(struct job *job)
{
	struct disk *disk = container_of(job, struct disk, job);
	disk->busy = false;
	if (disk->backend) {
		struct backend_info info;
		disk->phase = OPEN;
		action_succeeded(disk);
		backend_get_info(disk->backend, &info);
		lun_describe(disk->lun, &info);
	} else {
		action_failed(disk);
	}
	disk_step(disk);
}

static void take_work(struct job *job)
{
	disk_take(container_of(job, struct disk, job));
}

static void taken(struct disk *disk)
{
	disk->phase = SERVED;
	action_succeeded(disk);
	disk->was_in_service = true;
	disk->lost_lock = disk->demanded = disk->requested = false;
	disk_note_move(disk);
	if (disk->order.role == DISK_OFFER || disk->order.role == DISK_KEEP_OFF)
		disk->order.role = DISK_SERVE; /* who waited went away meanwhile: it is ours now */
	reactor_disarm(disk->host->manager, &disk->held);
	lun_serve(disk->lun, disk->backend);
	log_info("%s: taken (%s, epoch %llu) in %.2f s", disk_name(disk), disk->record.why,
	         (unsigned long long)disk->record.epoch,
	         (double)(clock_monotonic_ms() - disk->started_ms) / 1000);
	disk->host->moved(disk->host, disk);
	disk_settle(disk);
}

static void take_done(struct job *job)
{
	struct disk *disk = container_of(job, struct disk, job);
	record_job_ended(disk);
	disk->stale = disk->job_error.code == -ESTALE;
	switch (disk->job_error.code) {
	case 0:
		taken(disk);
		break;
	case -ECANCELED:
		/* Somebody was faster: it is decided anew, and what comes of that is told. */
		log_debug("%s", disk->job_error.text);
		disk->order.role = DISK_WAIT;
		disk->host->changed(disk->host, disk);
		break;
	case -ESHUTDOWN:
	case -EOWNERDEAD:
		disk->lost = disk->fenced = true;
		disk->host->fenced(disk->host, disk);
		break;
	default:
		action_failed(disk);
		disk_note_move(disk);
		disk_end_demand(disk);
	}
	disk_step(disk);
}

static void refresh_work(struct job *job)
{
	struct disk *disk = container_of(job, struct disk, job);
	struct backend_info before, after;
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
	if (disk->job_error.code && disk->job_error.code != -ESHUTDOWN)
		log_error("%s: size not read: %s", disk_name(disk), disk->job_error.text);
	if (disk->phase == SERVED && disk->resized) {
		lun_resized(disk->lun);
	} else if (disk->phase == OPEN) {
		struct backend_info info;
		backend_get_info(disk->backend, &info);
		lun_describe(disk->lun, &info);
	}
	disk_settle(disk);
	disk_step(disk);
}

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
	disk->settled = false;
	disk_plant_no_drain(disk);
	lun_quiesce(disk->lun, disk->gone_wanted ? LUN_STANDBY : LUN_HELD, quiesce_ended, disk);
	if (!disk->gone_wanted)
		disk_hold(disk);
}

static void release_work(struct job *job)
{
	struct disk *disk = container_of(job, struct disk, job);
	disk_release(disk);
	if (disk->close_wanted)
		disk_close_image(disk);
}

static void release_done(struct job *job)
{
	struct disk *disk = container_of(job, struct disk, job);
	record_job_ended(disk);
	if (disk->job_error.code) {
		log_warning("%s: not given back: %s", disk_name(disk), disk->job_error.text);
		reactor_arm(disk->host->manager, &disk->retry, RETRY_FIRST_MS);
	} else if (disk->released) {
		log_info("%s: given back%s%s (%s) in %.2f s", disk_name(disk),
		         *disk->job_next ? " for " : "", disk->job_next, disk->job_why,
		         (double)(clock_monotonic_ms() - disk->started_ms) / 1000);
	}
	disk->phase = disk->backend ? OPEN : CLOSED;
	if (disk->lost) {
		disk->lost_lock = true;
		disk_note_move(disk);
	}
	disk->lost = disk->lost && disk->backend;
	disk->stale = disk->stale && disk->backend;
	disk->doubted = false;
	disk_end_demand(disk);
	if (disk->released)
		disk->host->moved(disk->host, disk);
	disk_step(disk);
}

static void start_release(struct disk *disk, bool and_close)
{
	disk->close_wanted = and_close;
	(void)snprintf(disk->job_next, sizeof disk->job_next, "%s",
	               disk->order.role == DISK_GIVE ? disk->next : "");
	(void)snprintf(disk->job_why, sizeof disk->job_why, "%s", disk_why_released(disk));
	disk->lock_moves = disk->backend && !and_close;
	start_record_job(disk, release_work, release_done);
}

static void start_take(struct disk *disk)
{
	disk->settled = false;
	disk->others_up = disk->order.others_up;
	disk->on_demand = disk->order.on_demand;
	disk->job_kept_since_ms = disk_kept_since_ms(disk);
	(void)snprintf(disk->job_why, sizeof disk->job_why, "%s", disk->order.why);
	disk->lock_moves = true;
	start_record_job(disk, take_work, take_done);
}

/* ---- the step ---- */

static void disk_free(struct disk *disk)
{
	if (!disk)
		return;
	if (disk->host->luns && disk->lun)
		lun_registry_remove(disk->host->luns, disk->lun);
	disk_keeper_done(disk);
	owner_record_done(&disk->record);
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
	if (atomic_load(&disk->event_posted) || disk->looking)
		return;
	reactor_disarm(disk->host->manager, &disk->retry);
	reactor_disarm(disk->host->manager, &disk->awaited);
	reactor_disarm(disk->host->manager, &disk->held);
	void (*closed)(void *) = disk->closed;
	void *argument = disk->closed_argument;
	disk_free(disk);
	closed(argument);
}

static void step_closed(struct disk *disk)
{
	disk->resize_wanted = false;
	if (disk->gone_wanted) {
		/* Sessions may have it yet: nothing is wanted any more, and nobody sends again what
		 * an owner elsewhere does not execute. */
		if (lun_get_state(disk->lun) != LUN_STANDBY)
			lun_set_state(disk->lun, LUN_STANDBY);
		disk_gone(disk);
		return;
	}
	disk_show_order(disk);
	if (disk->order.role == DISK_STANDBY) {
		disk->problem = (struct error){ 0 };
		if (disk_record_is_own(disk) && !timer_armed(&disk->retry))
			start_release(disk, false); /* it was lost before it could be given */
	} else if (!timer_armed(&disk->retry)) {
		disk->lost = false; /* told of an earlier backend */
		disk->on_demand = disk->order.on_demand;
		start_job(disk, open_work, open_done);
	}
}

static void step_open(struct disk *disk)
{
	bool must_close = disk->gone_wanted || disk->lost || disk->stale ||
	                  disk_on_wrong_client(disk) || disk->order.role == DISK_STANDBY;
	if (!must_close)
		disk_show_order(disk);
	if (must_close) {
		if (!disk->attempt.busy) /* its end steps on */
			start_release(disk, true);
	} else if (disk->resize_wanted) {
		disk->resize_wanted = false;
		start_job(disk, refresh_work, refresh_done);
	} else if (timer_armed(&disk->retry)) {
		return;
	} else if (disk->order.role == DISK_SERVE) {
		if (!disk->order_is_old) /* the next one steps on */
			start_take(disk);
	} else if (disk_gives_record(disk) && disk_record_is_own(disk)) {
		start_release(disk, false); /* the lock went, but not the record */
	}
}

void disk_step(struct disk *disk)
{
	bool must_close;
	if (disk->busy)
		return;
	switch (disk->phase) {
	case CLOSED:
		step_closed(disk);
		return;
	case OPEN:
		step_open(disk);
		return;
	case SERVED:
		if (disk->gone_wanted || disk->lost || disk->doubted ||
		    disk_on_wrong_client(disk) || disk->order.role != DISK_SERVE) {
			start_drain(disk);
		} else if (disk->resize_wanted) {
			disk->resize_wanted = false;
			disk->settled = false;
			start_job(disk, refresh_work, refresh_done);
		}
		return;
	case DRAINED:
		must_close = disk->gone_wanted || disk->lost || disk_on_wrong_client(disk);
		if (!must_close || !disk->attempt.busy)
			start_release(disk, must_close);
		return;
	}
}

/* ---- wishes ---- */

int disk_new(struct disk_host *host, const struct disk_config *config, struct disk **ret_disk)
{
	AUTO(disk) struct disk *disk = calloc(1, sizeof *disk);
	if (!disk)
		return -ENOMEM;
	disk->host = host;
	disk->jobs = job_queues_get(host->jobs, config->pool);
	disk->pool = strdup(config->pool);
	disk->image = strdup(config->image);
	disk->path = image_path(host->store, config->pool, config->image);
	disk->retry.expired = retry_expired;
	disk_show_init(disk);
	disk->quiesced.run = drained;
	disk->listener.event = backend_told;
	disk->event_message.run = look_at_events;
	disk_keeper_init(disk);
	if (!disk->pool || !disk->image)
		return -ENOMEM;
	struct lun_config lun = config->lun;
	lun.relay = host->relay;
	lun.reservation_keeper = &disk->keeper.ops;
	lun.wanted = disk_wanted;
	lun.wanted_argument = disk;
	int r = lun_new(&lun, &disk->lun);
	if (r == 0)
		r = lun_set_port_groups(disk->lun, config->groups, config->group_count);
	if (r == 0 && host->luns)
		r = lun_registry_add(host->luns, disk->lun, config->lun.wwn);
	if (r < 0)
		return r;
	*ret_disk = disk;
	reactor_arm(host->manager, &disk->awaited, DISK_AWAIT_MS);
	disk_step(steal(&disk));
	return 0;
}

int disk_change(struct disk *disk, const struct disk_config *config)
{
	int r = lun_change(disk->lun, &config->lun);
	if (r < 0)
		return r;
	if (disk->phase == SERVED || disk->phase == OPEN)
		disk->resize_wanted = true;
	/* Somebody changed something: maybe just what was missing. */
	reactor_disarm(disk->host->manager, &disk->retry);
	disk->retry_ms = 0;
	disk_step(disk);
	return 0;
}

void disk_set_port_groups(struct disk *disk, const struct port_group *groups, size_t count)
{
	if (lun_set_port_groups(disk->lun, groups, count) < 0)
		log_error("%s: access states not changed: out of memory", disk_name(disk));
}

void disk_give_order(struct disk *disk, const struct disk_order *order)
{
	if (disk->gone_wanted)
		return;
	if (order->role != disk->order.role) {
		disk->role_since_ms = reactor_now_ms(disk->host->manager);
		reactor_disarm(disk->host->manager, &disk->retry);
		disk->retry_ms = 0;
	}
	if (order->role == DISK_UNAVAILABLE && disk->order.role != DISK_UNAVAILABLE)
		disk_note_refusals(disk);
	disk->order = *order;
	disk->order_is_old = false;
	(void)snprintf(disk->next, sizeof disk->next, "%s", order->next ? order->next : "");
	disk->order.next = disk->next;
	/* An owner elsewhere does not need our image: commands do not wait for its opening, or for
	 * a look at its size, and do not go where it was before. */
	bool looks =
	        disk->busy && !disk->record_away && (disk->phase == CLOSED || disk->phase == OPEN);
	if (looks && (order->role == DISK_FORWARD || lun_get_state(disk->lun) == LUN_FORWARDED))
		disk_show_order(disk);
	disk_step(disk);
}

void disk_close(struct disk *disk, void (*closed)(void *argument), void *argument)
{
	assert(!disk->gone_wanted);
	disk->gone_wanted = true;
	disk->closed = closed;
	disk->closed_argument = argument;
	if (disk->busy)
		return; /* the end of that action steps on */
	if (disk->phase != CLOSED) {
		disk_step(disk);
		return;
	}
	/* closed() must not come inside this call: step when the message arrives. */
	disk_post_events(disk);
}
