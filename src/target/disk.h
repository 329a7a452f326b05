/* One disk on this gateway: a LUN and, while we own it, the backend below it. Told what is wanted
 * (serve, stand by, go), it gets there by itself, however often opening fails, and says when it has
 * settled. Lives on the manager's reactor; what may block runs on workers. */
#pragma once

#include "base/error.h"
#include "base/reactor.h"
#include "scsi/lun.h"

#include <stdbool.h>
#include <stdint.h>

struct data_clients;
struct disk;
struct registration;
struct store;
struct job_queues;

/* What all disks of a gateway share. Borrowed by each disk for life. */
struct disk_host {
	struct reactor *manager;
	struct job_queues *jobs; /* by pool */
	struct store *store;
	struct data_clients *clients;      /* NULL with a store without cluster */
	struct registration *registration; /* NULL with a store without cluster */
	/* On the manager: the disk has settled, or what it says about itself has changed. */
	void (*changed)(struct disk_host *host, struct disk *disk);
};

struct disk_config {
	const char *pool, *image;
	struct lun_config lun; /* name is "pool/image" */
	bool owner;            /* serve it; false: another gateway owns it, stand by */
	const struct port_group *groups;
	size_t group_count;
};

/* On the manager, as all calls below. Strings are copied. */
int disk_new(struct disk_host *host, const struct disk_config *config,
             struct disk **ret_disk) MUST_CHECK;
/* What may change of a disk that is there: limits, owner, port groups. Also looks for a new size.
 */
int disk_change(struct disk *disk, const struct disk_config *config) MUST_CHECK;
/* Takes it out of service: waits for what is in flight, gives the lock back, closes the image.
 * closed() comes on the manager, never inside; the disk is freed then. */
void disk_close(struct disk *disk, void (*closed)(void *argument), void *argument);

const char *disk_name(const struct disk *disk);
/* Borrowed. */
struct lun *disk_lun(const struct disk *disk);
/* False while the first opening is under way, or a change (size, owner) is. */
bool disk_settled(const struct disk *disk);
/* A login to a target waits for it: it is being opened for the first time, for 10 s at most. */
bool disk_awaited(const struct disk *disk);
/* Why it does not do what is wanted, or "". */
const char *disk_problem(const struct disk *disk);
bool disk_is_owner(const struct disk *disk);
