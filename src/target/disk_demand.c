/* A disk beside upstream gateways: its lock follows the initiators (docs/availability.md). */
#include "target/disk_private.h"

void disk_wanted(void *argument)
{
	struct disk *disk = argument;
	atomic_store(&disk->event_wanted, true);
	disk_post_events(disk);
}

bool disk_is_demanded(const struct disk *disk)
{
	return disk->demanded && disk_commands_wait(disk);
}

const struct demand_moves *disk_moves(const struct disk *disk)
{
	return &disk->moves;
}

void disk_note_move(struct disk *disk)
{
	if (disk->on_demand)
		demand_note_move(&disk->moves, reactor_now_ms(disk->host->manager));
}

void disk_end_demand(struct disk *disk)
{
	if (!disk->order.on_demand || disk->order.role != DISK_SERVE)
		return;
	disk->order.role = DISK_OFFER;
	disk->host->changed(disk->host, disk);
}

const char *disk_why_released(const struct disk *disk)
{
	switch (disk->order.role) {
	case DISK_GIVE:
		return disk->order.why;
	case DISK_OFFER:
	case DISK_KEEP_OFF:
		return disk->lost_lock ? DISK_LOST : "on demand";
	case DISK_STANDBY:
		return "drain";
	case DISK_ROLL_BACK:
		return "rollback";
	default:
		return disk->gone_wanted || !disk_on_wrong_client(disk) ? "stop" : "another client";
	}
}

bool disk_on_wrong_client(const struct disk *disk)
{
	return disk->host->clients && disk->own_client != disk->order.on_demand;
}

bool disk_gives_record(const struct disk *disk)
{
	return disk->order.role == DISK_GIVE || disk->order.role == DISK_OFFER ||
	       disk->order.role == DISK_KEEP_OFF || disk->order.role == DISK_STANDBY ||
	       disk->order.role == DISK_ROLL_BACK;
}
