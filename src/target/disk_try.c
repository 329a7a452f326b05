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
	struct disk *disk = container_of(io, struct disk, attempt.io);
	disk->attempt.busy = false;
	free(steal(&disk->attempt.iov.iov_base));
	disk->attempt.done(disk->attempt.argument, io->result);
	disk_step(disk);
}

/* Not while a job may close or replace the image. */
static bool is_open(const struct disk *disk)
{
	return disk->phase == SERVED || (disk->phase == OPEN && !disk->busy) || disk->lock_moves;
}

int disk_try(struct disk *disk, uint64_t offset, uint64_t length,
             void (*done)(void *argument, int result), void *argument)
{
	struct attempt *attempt = &disk->attempt;
	if (attempt->busy)
		return -EBUSY;
	if (!is_open(disk))
		return -ENOTCONN;
	if (length > DISK_TRY_BYTES_MAX)
		length = DISK_TRY_BYTES_MAX;
	attempt->iov =
	        (struct iovec){ .iov_base = length ? malloc(length) : NULL, .iov_len = length };
	if (length && !attempt->iov.iov_base)
		return -ENOMEM;
	attempt->busy = true;
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
