/* Whether the storage answers: the oldest request that it has not answered, and a request that
 * serves no initiator. Any gateway may make that, owner or not. It has no time-out, like all that
 * goes to an image: the image stays open until it is answered. */
#include "target/disk_private.h"

#include <errno.h>
#include <stdlib.h>

/* ---- the oldest request ---- */

static void found(void *argument, const struct lun_request *oldest)
{
	struct disk *disk = argument;
	disk->looking = false;
	disk->oldest = *oldest;
	disk_step(disk);
}

void disk_look_for_oldest(struct disk *disk)
{
	if (disk->looking)
		return;
	if (!lun_has_requests(disk->lun)) {
		disk->oldest = (struct lun_request){ 0 };
		return;
	}
	disk->looking = true;
	/* Without memory it is looked for later. */
	if (lun_find_oldest(disk->lun, disk->host->manager, found, disk) < 0)
		disk->looking = false;
}

struct lun_request disk_oldest(const struct disk *disk)
{
	if (disk->lock_moves)
		return (struct lun_request){ .since_ms = disk->started_ms };
	return disk->oldest;
}

/* ---- a request ---- */

static void answered(struct io *io)
{
	struct attempt *attempt = container_of(io, struct attempt, io);
	struct disk *disk = steal(&attempt->disk);
	free(steal(&attempt->iov.iov_base));
	attempt->done(attempt->argument, io->result);
	disk_step(disk);
}

bool disk_is_tried(const struct disk *disk)
{
	for (size_t i = 0; i < DISK_ASKER_COUNT; i++) {
		if (disk->attempts[i].disk)
			return true;
	}
	return false;
}

/* Not while a job may close or replace the image. */
static bool is_open(const struct disk *disk)
{
	return disk->phase == SERVED || (disk->phase == OPEN && !disk->busy) || disk->lock_moves;
}

int disk_try(struct disk *disk, enum disk_asker asker, uint64_t offset, uint64_t length,
             void (*done)(void *argument, int result), void *argument)
{
	struct attempt *attempt = &disk->attempts[asker];
	if (attempt->disk)
		return -EBUSY;
	if (!is_open(disk))
		return -ENOTCONN;
	if (length > DISK_TRY_BYTES_MAX)
		length = DISK_TRY_BYTES_MAX;
	attempt->iov =
	        (struct iovec){ .iov_base = length ? malloc(length) : NULL, .iov_len = length };
	if (length && !attempt->iov.iov_base)
		return -ENOMEM;
	attempt->disk = disk;
	attempt->done = done;
	attempt->argument = argument;
	attempt->io = (struct io){ .op = IO_READ,
		                   .offset = offset,
		                   .length = length,
		                   .iov = &attempt->iov,
		                   .iov_count = 1,
		                   .reactor = disk->host->manager,
		                   .done = answered };
	if (length)
		backend_submit(disk->backend, &attempt->io);
	else
		backend_reach(disk->backend, &attempt->io);
	return 0;
}
