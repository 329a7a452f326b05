/* What a disk does, one action at a time: opening, taking, looking at the size, draining, giving
 * back. Each is started by disk_step(), most of them are a job on a worker, and each ends in
 * disk_step() again. */
#include "target/disk_private.h"

#include "base/log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define RETRY_FIRST_MS 250
#define RETRY_MAX_MS   5000

static void prepare_job(struct disk *disk, void (*work)(struct job *), void (*done)(struct job *))
{
	disk->busy = true;
	disk->started_ms = clock_monotonic_ms();
	disk->job_error = (struct error){ 0 };
	disk->job.work = work;
	disk->job.done = done;
	disk->job.reactor = disk->host->manager;
}

static void start_job(struct disk *disk, void (*work)(struct job *), void (*done)(struct job *))
{
	prepare_job(disk, work, done);
	if (disk_commands_wait(disk))
		job_queue_submit_first(disk->jobs, &disk->job);
	else
		job_queue_submit(disk->jobs, &disk->job);
}

/* A job that takes or gives has a record of its own: the manager decides by the one before while it
 * runs. */
static void lend_record(struct disk *disk)
{
	disk->record_away = true;
	disk->job_record = disk->record;
	disk->record.text = NULL;
}

static void start_record_job(struct disk *disk, void (*work)(struct job *),
                             void (*done)(struct job *))
{
	lend_record(disk);
	start_job(disk, work, done);
}

static void record_job_ended(struct disk *disk)
{
	disk->busy = disk->record_away = disk->lock_moves = false;
	disk->record = disk->job_record;
	disk->job_record = (struct owner_record){ 0 };
	disk->seen_ms = reactor_now_ms(disk->host->manager);
}

static void retry_later(struct disk *disk)
{
	disk->retry_ms = disk->retry_ms ? disk->retry_ms * 2 : RETRY_FIRST_MS;
	if (disk->retry_ms > RETRY_MAX_MS)
		disk->retry_ms = RETRY_MAX_MS;
	reactor_arm(disk->host->manager, &disk->retry, disk->retry_ms);
}

/* -EBUSY: somebody alive has the lock. The LUN is where he is, and we ask again; while ownership
 * moves that is how it should be, so the disk does not count as settled with it. */
static void action_failed(struct disk *disk)
{
	bool first = strcmp(disk->problem.text, disk->job_error.text) != 0;
	bool elsewhere = disk->job_error.code == -EBUSY;
	disk->problem = disk->job_error;
	if (disk->order.role == DISK_SERVE && !elsewhere && !disk->fails_since_ms)
		disk->fails_since_ms = reactor_now_ms(disk->host->manager);
	if (disk->order.role == DISK_SERVE) {
		lun_set_unreachable(disk->lun, false);
		disk_show(disk, !elsewhere              ? LUN_FAILED
		                : disk->order.on_demand ? LUN_BUSY
		                                        : LUN_STANDBY);
	}
	if (first)
		log_write(elsewhere ? LOG_LEVEL_WARNING : LOG_LEVEL_ERROR, LOG_ROOM,
		          "%s: cannot be served: %s; trying again", disk_name(disk),
		          disk->problem.text);
	retry_later(disk);
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

/* An image that is not primary opens, and can be taken no more than before: only taking it ends
 * that problem, or each try would be the first one, with a new epoch and without a rest. */
static bool still_to_be_taken(const struct disk *disk)
{
	return disk->problem.code == -ESTALE && disk->order.role == DISK_SERVE;
}

static void open_done(struct job *job)
{
	struct disk *disk = container_of(job, struct disk, job);
	disk->busy = false;
	if (disk->backend) {
		struct backend_info info;
		disk->phase = OPEN;
		if (!still_to_be_taken(disk))
			action_succeeded(disk);
		backend_get_info(disk->backend, &info);
		lun_describe(disk->lun, &info);
	} else {
		action_failed(disk);
	}
	disk_step(disk);
}

void disk_start_open(struct disk *disk)
{
	start_job(disk, open_work, open_done);
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
	disk->fails_since_ms = 0;
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

static void lost_with_client(struct disk *disk)
{
	disk->lost = disk->fenced = true;
	disk->host->fenced(disk->host, disk);
}

static void rollback_work(struct job *job)
{
	disk_roll_back(container_of(job, struct disk, job));
}

static void rollback_ended(struct job *job)
{
	struct disk *disk = container_of(job, struct disk, job);
	record_job_ended(disk);
	disk_return_rollback(disk);
	switch (disk->job_error.code) {
	case 0:
		disk->rolled_back = true;
		taken(disk);
		break;
	case -ESHUTDOWN:
		lost_with_client(disk);
		break;
	default:
		action_failed(disk);
	}
	disk_step(disk);
}

/* It may take minutes, in which the disk is as settled as it gets. */
static void start_rollback(struct disk *disk)
{
	log_info("%s: rolling back to the snapshot %s", disk_name(disk),
	         disk->job_rollback.snapshot);
	lend_record(disk);
	prepare_job(disk, rollback_work, rollback_ended);
	disk_show(disk, LUN_OPERATION);
	disk_settle(disk);
	job_queue_submit(disk->rollback_jobs, &disk->job);
}

static void take_done(struct job *job)
{
	struct disk *disk = container_of(job, struct disk, job);
	record_job_ended(disk);
	disk_return_rollback(disk);
	disk->stale = disk->job_error.code == -ESTALE;
	switch (disk->job_error.code) {
	case 0:
		if (!disk_is_rolled_back(disk))
			taken(disk);
		else if (disk_lend_rollback(disk) == 0)
			start_rollback(disk);
		else
			reactor_arm(disk->host->manager, &disk->retry, RETRY_FIRST_MS);
		break;
	case -ECANCELED:
		/* Somebody was faster: it is decided anew, and what comes of that is told. */
		log_debug("%s", disk->job_error.text);
		disk->order.role = DISK_WAIT;
		disk->host->changed(disk->host, disk);
		break;
	case -ESHUTDOWN:
	case -EOWNERDEAD:
		lost_with_client(disk);
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

void disk_start_refresh(struct disk *disk)
{
	start_job(disk, refresh_work, refresh_done);
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

void disk_start_drain(struct disk *disk)
{
	disk->busy = true;
	disk->settled = false;
	disk->quiesced.run = drained;
	disk_plant_no_drain(disk);
	enum lun_state state = disk->gone_wanted                    ? LUN_STANDBY
	                       : disk->order.role == DISK_ROLL_BACK ? LUN_OPERATION
	                                                            : LUN_HELD;
	lun_quiesce(disk->lun, state, quiesce_ended, disk);
	if (state == LUN_HELD)
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
		if (!disk->retry_ms)
			log_warning("%s: not given back: %s; trying again", disk_name(disk),
			            disk->job_error.text);
		retry_later(disk);
	} else if (!disk->stale) {
		disk->retry_ms = 0;
	}
	if (disk->released)
		log_info("%s: given back%s%s (%s) in %.2f s", disk_name(disk),
		         *disk->job_next ? " for " : "", disk->job_next, disk->job_why,
		         (double)(clock_monotonic_ms() - disk->started_ms) / 1000);
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

void disk_start_release(struct disk *disk, bool and_close)
{
	disk->close_wanted = and_close;
	(void)snprintf(disk->job_next, sizeof disk->job_next, "%s",
	               disk->order.role == DISK_GIVE ? disk->next : "");
	(void)snprintf(disk->job_why, sizeof disk->job_why, "%s", disk_why_released(disk));
	disk->lock_moves = disk->backend && !and_close;
	start_record_job(disk, release_work, release_done);
}

void disk_start_take(struct disk *disk)
{
	if (disk_lend_rollback(disk) < 0) {
		reactor_arm(disk->host->manager, &disk->retry, RETRY_FIRST_MS);
		return;
	}
	disk->settled = disk->rolled_back = false;
	disk->others_up = disk->order.others_up;
	disk->on_demand = disk->order.on_demand;
	disk->job_kept_since_ms = disk_kept_since_ms(disk);
	(void)snprintf(disk->job_why, sizeof disk->job_why, "%s", disk->order.why);
	disk->lock_moves = true;
	start_record_job(disk, take_work, take_done);
}
