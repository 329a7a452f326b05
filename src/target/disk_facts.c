/* What others are told about a disk. */
#include "target/disk_private.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define USED_MS 10000 /* file systems write every 5 s at the latest */

const char *disk_name(const struct disk *disk)
{
	return lun_name(disk->lun);
}

struct lun *disk_lun(const struct disk *disk)
{
	return disk->lun;
}

enum lun_state disk_state(const struct disk *disk)
{
	return lun_get_state(disk->lun);
}

bool disk_settled(const struct disk *disk)
{
	return disk->settled && !disk->resize_wanted;
}

bool disk_awaited(const struct disk *disk)
{
	return timer_armed(&disk->awaited) && lun_get_state(disk->lun) == LUN_OPENING;
}

bool disk_image_is_gone(const struct disk *disk)
{
	return disk->problem.code == -ENOENT || disk->problem.code == -ESTALE;
}

const char *disk_problem(const struct disk *disk)
{
	if (!*disk->problem.text && disk->rollback.state == ROLLBACK_UNKNOWN)
		return DISK_ROLLBACK_UNKNOWN;
	return disk->problem.text;
}

bool disk_is_owner(const struct disk *disk)
{
	return disk->phase == SERVED;
}

bool disk_is_ours(const struct disk *disk)
{
	return disk_is_owner(disk) || disk_record_is_own(disk);
}

void disk_told_record(struct disk *disk, const struct owner_record *record, bool kept)
{
	if (record->state == OWNER_ACTIVE) {
		disk->told.epoch = record->epoch;
		disk->told.since_ms = clock_monotonic_ms();
		disk->told.kept = false;
	} else if (record->epoch == disk->told.epoch) {
		disk->told.kept = kept;
	}
}

/* On demand others than gateways of ours may have had it meanwhile. */
uint64_t disk_kept_since_ms(const struct disk *disk)
{
	bool kept = disk->record.state == OWNER_CLEAN && disk->told.kept &&
	            disk->told.epoch == disk->record.epoch && !disk->order.on_demand;
	return kept ? disk->told.since_ms : 0;
}

bool disk_was_kept(const struct disk *disk)
{
	return disk->kept && disk->record.state == OWNER_CLEAN;
}

bool disk_is_moving(const struct disk *disk)
{
	return disk->busy || disk->phase == DRAINED;
}

bool disk_record_moves(const struct disk *disk)
{
	return disk->record_away;
}

bool disk_commands_wait(const struct disk *disk)
{
	struct lun_counters counters;
	lun_get_counters(disk->lun, &counters);
	bool refused = disk->order.role == DISK_UNAVAILABLE && counters.errors > disk->errors_known;
	return refused || counters.held > 0 || (disk->phase != SERVED && counters.in_flight > 0);
}

bool disk_is_used(const struct disk *disk)
{
	struct lun_counters counters;
	lun_get_counters(disk->lun, &counters);
	uint64_t last_ms = counters.last_own_io_ms;
	return counters.relayed > 0 || (last_ms && clock_monotonic_ms() < last_ms + USED_MS);
}

void disk_note_refusals(struct disk *disk)
{
	struct lun_counters counters;
	lun_get_counters(disk->lun, &counters);
	disk->errors_known = counters.errors;
}

const struct owner_record *disk_record(const struct disk *disk)
{
	return &disk->record;
}

enum disk_role disk_role(const struct disk *disk)
{
	return disk->order.role;
}

uint64_t disk_role_since_ms(const struct disk *disk)
{
	return disk->role_since_ms;
}

void disk_mark(struct disk *disk, bool marked)
{
	disk->marked = marked;
}

bool disk_marked(const struct disk *disk)
{
	return disk->marked;
}

void disk_note_request(struct disk *disk)
{
	disk->requested = disk_record_is_own(disk);
}

bool disk_is_requested(const struct disk *disk)
{
	return disk->requested;
}

void disk_ask_for(struct disk *disk, const char *next)
{
	(void)snprintf(disk->asked_for, sizeof disk->asked_for, "%s", next);
	disk->asked_ms = reactor_now_ms(disk->host->manager);
	disk->asked_epoch = disk->record.epoch;
}

const char *disk_asked_for(const struct disk *disk, uint64_t *ret_asked_ms)
{
	*ret_asked_ms = disk->asked_ms;
	return disk->asked_epoch == disk->record.epoch ? disk->asked_for : "";
}

uint64_t disk_record_seen_ms(const struct disk *disk)
{
	return disk->seen_ms;
}

uint64_t disk_fails_since_ms(const struct disk *disk)
{
	return disk_image_is_gone(disk) ? 0 : disk->fails_since_ms; /* gone for all */
}
