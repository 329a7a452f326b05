/* A disk moves by steps: disk_step() compares what is wanted with what is, and starts the next
 * action if none is under way; each action ends in disk_step() again. So it does not matter in
 * which order wishes, failures and events arrive.
 *
 *   CLOSED --open--> OPEN --take: record, lock, reservations (and rollback)--> SERVED
 *   SERVED --drain: lun_quiesce()--> DRAINED --release: lock, record--> OPEN, or closed: CLOSED */
#include "target/disk_private.h"

#include "base/log.h"
#include "store/image.h"
#include "target/lun_registry.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define ROLLBACK_JOBS "/" /* no pool has that name */

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

/* ---- the step ---- */

static void disk_free(struct disk *disk)
{
	if (!disk)
		return;
	if (disk->host->luns && disk->lun)
		lun_registry_remove(disk->host->luns, disk->lun);
	disk_keeper_done(disk);
	owner_record_done(&disk->record);
	rollback_done(&disk->rollback);
	rollback_done(&disk->job_rollback);
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

/* Others would forward to this gateway for as long as it lives. Who ends leaves it to those who see
 * that it has. */
static bool leaves_record(const struct disk *disk)
{
	return disk_record_is_own(disk) && !disk->superseded && !disk->host->ending;
}

static void step_going(struct disk *disk)
{
	/* Sessions may have it yet: nothing is wanted any more, and nobody sends again what
	 * an owner elsewhere does not execute. */
	if (lun_get_state(disk->lun) != LUN_STANDBY)
		lun_set_state(disk->lun, LUN_STANDBY);
	if (!leaves_record(disk))
		disk_gone(disk);
	else if (!timer_armed(&disk->retry))
		disk_start_release(disk, false);
}

static void step_closed(struct disk *disk)
{
	disk->resize_wanted = false;
	if (disk->gone_wanted) {
		step_going(disk);
		return;
	}
	disk_show_order(disk);
	if (disk->order.role == DISK_STANDBY)
		disk->problem = (struct error){ 0 };
	if (timer_armed(&disk->retry))
		return;
	if (disk_gives_record(disk) && disk_record_is_own(disk)) {
		/* It was lost before it could be given; opening may fail here alone. */
		disk_start_release(disk, false);
	} else if (disk->order.role != DISK_STANDBY) {
		disk->lost = false; /* told of an earlier backend */
		disk->on_demand = disk->order.on_demand;
		disk_start_open(disk);
	}
}

static void step_open(struct disk *disk)
{
	bool must_close = disk->gone_wanted || disk->lost || disk->stale ||
	                  disk_on_wrong_client(disk) || disk->order.role == DISK_STANDBY;
	/* Why it could not be taken here does not concern those whom its owner serves. */
	if (disk->order.role == DISK_FORWARD)
		disk->problem = (struct error){ 0 };
	if (!must_close)
		disk_show_order(disk);
	if (must_close) {
		if (!disk_is_tried(disk))
			disk_start_release(disk, true);
	} else if (disk->resize_wanted) {
		disk->resize_wanted = false;
		disk_start_refresh(disk);
	} else if (timer_armed(&disk->retry)) {
		return;
	} else if (disk->order.role == DISK_SERVE) {
		if (!disk->order_is_old) /* the next one steps on */
			disk_start_take(disk);
	} else if (disk_gives_record(disk) && disk_record_is_own(disk)) {
		disk_start_release(disk, false); /* the lock went, but not the record */
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
			disk_start_drain(disk);
		} else if (disk->resize_wanted) {
			disk->resize_wanted = false;
			disk->settled = false;
			disk_start_refresh(disk);
		}
		return;
	case DRAINED:
		must_close = disk->gone_wanted || disk->lost || disk_on_wrong_client(disk);
		if (!must_close || !disk_is_tried(disk))
			disk_start_release(disk, must_close);
		return;
	}
}

/* ---- wishes ---- */

static void retry_expired(struct timer *timer)
{
	disk_step(container_of(timer, struct disk, retry));
}

int disk_new(struct disk_host *host, const struct disk_config *config, struct disk **ret_disk)
{
	AUTO(disk) struct disk *disk = calloc(1, sizeof *disk);
	if (!disk)
		return -ENOMEM;
	disk->host = host;
	disk->jobs = job_queues_get(host->jobs, config->pool);
	disk->rollback_jobs = job_queues_get(host->jobs, ROLLBACK_JOBS);
	disk->pool = strdup(config->pool);
	disk->image = strdup(config->image);
	disk->path = image_path(host->store, config->pool, config->image);
	disk->retry.expired = retry_expired;
	disk_show_init(disk);
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
		disk->fails_since_ms = 0;
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
	reactor_disarm(disk->host->manager, &disk->retry);
	if (disk->busy)
		return; /* the end of that action steps on */
	if (disk->phase != CLOSED) {
		disk_step(disk);
		return;
	}
	/* closed() must not come inside this call: step when the message arrives. */
	disk_post_events(disk);
}
