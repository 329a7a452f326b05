/* What commands meet while nobody serves the LUN here: they wait for a while, then hear BUSY, then
 * 02/04/0A; or go to the owner; or hear that it cannot be reached. */
#include "target/disk_private.h"

#include "base/log.h"

#define HELD_MS  1500 /* then BUSY */
#define BUSY_MS  5000 /* then 02/04/0A */
#define AGAIN_MS 100  /* between two tries of what the owner has not executed */
#define ANEW_MS  1000 /* so long after the owner's record came its lock may come, too */

void disk_hold(struct disk *disk)
{
	enum lun_state state = lun_get_state(disk->lun);
	if (state == LUN_OPENING && timer_armed(&disk->awaited))
		return; /* logins wait, which is better than commands that do */
	if (state != LUN_HELD && state != LUN_BUSY && state != LUN_TRANSITIONING)
		lun_set_state(disk->lun, LUN_HELD);
	if (lun_get_state(disk->lun) == LUN_HELD && !timer_armed(&disk->held))
		reactor_arm(disk->host->manager, &disk->held, HELD_MS);
}

void disk_show(struct disk *disk, enum lun_state state)
{
	reactor_disarm(disk->host->manager, &disk->held);
	lun_set_state(disk->lun, state);
}

static void held_expired(struct timer *timer)
{
	struct disk *disk = container_of(timer, struct disk, held);
	enum lun_state state = lun_get_state(disk->lun);
	if (state == LUN_HELD) {
		lun_set_state(disk->lun, LUN_BUSY);
		reactor_arm(disk->host->manager, &disk->held, BUSY_MS);
	} else if (state == LUN_BUSY) {
		lun_set_state(disk->lun, LUN_TRANSITIONING);
		disk->host->changed(disk->host, disk); /* its port groups say so, too */
	}
}

/* The LUN answers for itself from now on, to those who log in without it. */
static void awaited_expired(struct timer *timer)
{
	struct disk *disk = container_of(timer, struct disk, awaited);
	if (lun_get_state(disk->lun) == LUN_OPENING)
		log_warning("%s: still opening after %u s; logins do not wait for it any more",
		            disk_name(disk), DISK_AWAIT_MS / 1000);
	disk->host->changed(disk->host, disk);
}

/* What the owner has not executed, because it does not serve yet or any more, waits for news. Too
 * early is what comes to one whose record is there, but not its lock: it tells when it serves; in
 * case that is missed it is sent again now and then. In the end the device server says BUSY. */
static void forward_again(struct disk *disk)
{
	struct lun_counters counters;
	uint64_t now_ms = reactor_now_ms(disk->host->manager);
	lun_get_counters(disk->lun, &counters);
	if (!counters.held || now_ms < disk->forwarded_ms + AGAIN_MS)
		return;
	disk->forwarded_ms = now_ms;
	lun_forward(disk->lun, &disk->order.route);
}

void disk_heard_owner(struct disk *disk)
{
	disk->forwarded_ms = 0;
}

bool disk_forwards_anew(const struct disk *disk)
{
	return lun_get_state(disk->lun) == LUN_FORWARDED &&
	       reactor_now_ms(disk->host->manager) < disk->route_since_ms + ANEW_MS;
}

void disk_forward(struct disk *disk)
{
	struct lun_route route = { 0 };
	bool forwarded = lun_get_state(disk->lun) == LUN_FORWARDED;
	if (forwarded)
		lun_get_route(disk->lun, &route);
	reactor_disarm(disk->host->manager, &disk->held);
	if (forwarded && route.peer == disk->order.route.peer &&
	    route.epoch == disk->order.route.epoch) {
		forward_again(disk);
		return;
	}
	disk->forwarded_ms = disk->route_since_ms = reactor_now_ms(disk->host->manager);
	lun_forward(disk->lun, &disk->order.route);
	disk->was_in_service = true;
}

/* False: the image is being opened. */
static bool show_offer(struct disk *disk)
{
	bool open = disk->phase == OPEN;
	if (!open && !disk->problem.code) {
		disk_hold(disk);
		return false;
	}
	enum lun_state state = !open                            ? LUN_FAILED
	                       : disk->order.role == DISK_OFFER ? LUN_ON_DEMAND
	                                                        : LUN_BUSY;
	lun_set_unreachable(disk->lun, false);
	if (lun_get_state(disk->lun) == state)
		return true;
	disk->demanded = false; /* what waits asks once more */
	disk_show(disk, state);
	return true;
}

void disk_show_order(struct disk *disk)
{
	bool awaited = disk_awaited(disk);
	/* What waits from now on may be a look only. */
	if (disk->order.role != DISK_OFFER && disk->order.role != DISK_SERVE)
		disk->demanded = false;
	switch (disk->order.role) {
	case DISK_WAIT:
	case DISK_GIVE:
		disk_hold(disk);
		return;
	case DISK_SERVE:
		if (disk_is_rolled_back(disk) && !disk->problem.code) {
			disk_show(disk, LUN_OPERATION);
			return;
		}
		/* What a problem shows stays, but not the way to a former owner. */
		if (!disk->problem.code || lun_get_state(disk->lun) == LUN_FORWARDED)
			disk_hold(disk);
		return;
	case DISK_FORWARD:
		disk_forward(disk);
		break;
	case DISK_UNAVAILABLE:
		lun_set_unreachable(disk->lun, true);
		disk_show(disk, LUN_FAILED);
		break;
	case DISK_STANDBY:
		disk_show(disk, LUN_STANDBY);
		break;
	case DISK_ROLL_BACK:
		disk_show(disk, LUN_OPERATION);
		break;
	case DISK_OFFER:
	case DISK_KEEP_OFF:
		if (!show_offer(disk))
			return;
		break;
	}
	if (!disk->settled)
		disk_settle(disk);
	else if (awaited)
		disk->host->changed(disk->host, disk); /* logins need not wait any more */
}

void disk_show_init(struct disk *disk)
{
	disk->awaited.expired = awaited_expired;
	disk->held.expired = held_expired;
}
