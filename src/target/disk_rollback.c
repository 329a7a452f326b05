/* A disk that is rolled back to a snapshot: between taking it and serving it, by whoever takes it
 * while its row says so (docs/availability.md). A gateway that dies meanwhile leaves row and
 * record, so the next one does it again from the start. */
#include "target/disk_private.h"

#include "base/log.h"

#include <errno.h>
#include <string.h>

/* What a look found that began before the row was read, or changed, here is no news. */
void disk_saw_rollback(struct disk *disk, const struct rollback *rollback, uint64_t since_ms)
{
	static const struct rollback none = { .state = ROLLBACK_NONE };
	AUTO_ROLLBACK struct rollback seen = { 0 };
	if (since_ms <= disk->rollback_read_ms ||
	    rollback_is_same(rollback ? rollback : &none, &disk->rollback))
		return;
	if (rollback && rollback->text && rollback_parse(rollback->text, &seen) < 0)
		return; /* no memory: it is looked at again soon */
	rollback_move(&disk->rollback, &seen);
	disk->rollback_seen_ms = reactor_now_ms(disk->host->manager);
	if (disk->rollback.state == ROLLBACK_UNKNOWN)
		log_limited(LOG_LEVEL_WARNING, 10000, "%s: %s", disk_name(disk),
		            DISK_ROLLBACK_UNKNOWN);
}

const struct rollback *disk_rollback(const struct disk *disk)
{
	return &disk->rollback;
}

uint64_t disk_rollback_seen_ms(const struct disk *disk)
{
	return disk->rollback_seen_ms;
}

bool disk_was_rolled_back(const struct disk *disk)
{
	return disk->rolled_back;
}

bool disk_is_rolled_back(const struct disk *disk)
{
	return disk->rollback.state == ROLLBACK_ORDERED;
}

int disk_lend_rollback(struct disk *disk)
{
	rollback_done(&disk->job_rollback);
	disk->rollback_changed = false;
	return disk->rollback.text ? rollback_parse(disk->rollback.text, &disk->job_rollback) : 0;
}

void disk_return_rollback(struct disk *disk)
{
	if (!disk->rollback_changed)
		return;
	rollback_move(&disk->rollback, &disk->job_rollback);
	disk->rollback_changed = false;
	disk->rollback_seen_ms = disk->rollback_read_ms = reactor_now_ms(disk->host->manager);
}

/* 0 also if librbd could not do it: that is told, and the image is served as it is now. Not if it
 * was taken away: then somebody else does it. */
static int roll_back(struct disk *disk, struct error *err)
{
	struct error problem = { 0 };
	int r = backend_roll_back(disk->backend, disk->job_rollback.snapshot, &problem);
	if (r == -ESHUTDOWN || r == -EROFS) {
		*err = problem;
		return r;
	}
	if (r < 0)
		log_error("%s: %s", disk_name(disk), problem.text);
	else
		log_info("%s: rolled back to the snapshot %s", disk_name(disk),
		         disk->job_rollback.snapshot);
	r = rollback_end(disk->host->store, disk_name(disk), &disk->job_rollback,
	                 r < 0 ? problem.text : NULL, &disk->job_record, err);
	if (r == 0) {
		rollback_done(&disk->job_rollback); /* what is left only tells */
		disk->rollback_changed = true;
	}
	return r;
}

void disk_roll_back(struct disk *disk)
{
	struct error *err = &disk->job_error;
	int r = roll_back(disk, err);
	if (r == 0)
		*err = (struct error){ 0 };
	else if (!err->code)
		(void)error_set(err, r, "%s: %s", disk_name(disk), strerror(-r));
}
