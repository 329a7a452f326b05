/* Keeps the reservations of a disk in the row reservation/POOL/IMAGE. The epoch in it is that of
 * the owner who may change it: taking a disk over writes the own epoch there before anything is
 * loaded, and every later change is a compare-and-set, so an owner of the past cannot change it any
 * more. */
#include "target/disk_private.h"

#include "base/log.h"
#include "store/store.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define LOOKS 3 /* at what became of a write that ended without a result */

static char *row_key(const struct disk *disk)
{
	char *key;
	return asprintf(&key, "reservation/%s", disk_name(disk)) < 0 ? NULL : key;
}

static bool same_text(const char *one, const char *other)
{
	return one && other ? strcmp(one, other) == 0 : one == other;
}

/* *ret_text NULL: no row. */
static int read_row(const struct disk *disk, const char *key, char **ret_text, struct error *err)
{
	*ret_text = NULL;
	int r = store_get_row(disk->host->store, key, ret_text, err);
	return r == -ENOENT ? 0 : r;
}

/* After a write whose result is unknown: 0 it is there, -ECANCELED another owner was faster,
 * -ESHUTDOWN nobody knows. */
static int find_out(struct disk *disk, const char *key, const char *new_text)
{
	int r = -ESHUTDOWN;
	for (int look = 0; look < LOOKS; look++) {
		AUTO_FREE char *there = NULL;
		r = read_row(disk, key, &there, NULL);
		if (r < 0)
			continue;
		if (same_text(there, new_text))
			return 0;
		/* The unanswered write may still be on its way: only a change of the row would
		 * keep it out. The next owner makes one. */
		return same_text(there, disk->keeper.text) ? -ESHUTDOWN : -ECANCELED;
	}
	return -ESHUTDOWN;
}

static int write_row(struct disk *disk, const char *new_text)
{
	AUTO_FREE char *key = row_key(disk);
	AUTO_FREE char *copy = strdup(new_text);
	if (!key || !copy)
		return -ENOMEM;
	struct error err = { 0 };
	int r = registration_check(disk->host->registration, &err);
	if (r < 0)
		return -ESHUTDOWN;
	r = store_put_row(disk->host->store, key, disk->keeper.text, new_text, &err);
	if (r == -ENOSPC || r == -EDQUOT || r == -ENOMEM || r == -EINVAL)
		return r;
	if (r < 0)
		r = find_out(disk, key, new_text);
	if (r < 0) {
		log_warning("%s: reservations not stored: %s", disk_name(disk), err.text);
		return r;
	}
	free(disk->keeper.text);
	disk->keeper.text = steal(&copy);
	return 0;
}

static int confirm_row(struct disk *disk)
{
	AUTO_FREE char *key = row_key(disk);
	AUTO_FREE char *there = NULL;
	if (!key)
		return -ENOMEM;
	int r = read_row(disk, key, &there, NULL);
	if (r < 0)
		return -ESHUTDOWN;
	return same_text(there, disk->keeper.text) ? 0 : -ECANCELED;
}

static void keeper_work(struct job *job)
{
	struct disk *disk = container_of(job, struct disk, keeper.job);
	struct keeper *keeper = &disk->keeper;
	keeper->result = keeper->new_text ? write_row(disk, keeper->new_text) : confirm_row(disk);
}

static void keeper_ended(struct job *job)
{
	struct disk *disk = container_of(job, struct disk, keeper.job);
	int r = disk->keeper.result;
	if (r == -ECANCELED || r == -ESHUTDOWN) {
		atomic_store(&disk->event_doubted, true);
		disk_post_events(disk);
	}
	disk->keeper.ended(disk->keeper.argument, r);
}

static void start(struct disk *disk, const char *new_text,
                  void (*ended)(void *argument, int result), void *argument)
{
	struct keeper *keeper = &disk->keeper;
	keeper->new_text = new_text;
	keeper->ended = ended;
	keeper->argument = argument;
	keeper->job = (struct job){ .work = keeper_work,
		                    .done = keeper_ended,
		                    .reactor = disk->host->manager };
	job_queue_submit_first(disk->jobs, &keeper->job);
}

static void keeper_save(struct reservation_keeper *ops, struct lun *lun, const char *text,
                        void (*saved)(void *argument, int result), void *argument)
{
	start(container_of(ops, struct disk, keeper.ops), text, saved, argument);
}

static void keeper_confirm(struct reservation_keeper *ops, struct lun *lun,
                           void (*confirmed)(void *argument, int result), void *argument)
{
	start(container_of(ops, struct disk, keeper.ops), NULL, confirmed, argument);
}

/* ---- taking the disk ---- */

/* What the owner before told of the row saves reading it; whether it is true, the change of the row
 * finds out. Only the first attempt believes it. */
static int claim_told(struct disk *disk, uint64_t *epoch, enum reservation_load how,
                      struct keeper_claim *claim)
{
	claim->before = steal(&disk->keeper.told);
	if (!claim->before)
		return -ENOENT;
	int r = reservation_text_take(claim->before, epoch, how, &claim->after, NULL);
	if (r < 0)
		free(steal(&claim->before));
	return r;
}

int disk_keeper_claim(struct disk *disk, uint64_t *epoch, enum reservation_load how,
                      struct keeper_claim *ret_claim, struct error *err)
{
	ret_claim->key = row_key(disk);
	if (!ret_claim->key)
		return error_set(err, -ENOMEM, "%s: out of memory", disk_name(disk));
	int r = claim_told(disk, epoch, how, ret_claim);
	if (r < 0) {
		r = read_row(disk, ret_claim->key, &ret_claim->before, err);
		if (r == 0)
			r = reservation_text_take(ret_claim->before, epoch, how, &ret_claim->after,
			                          err);
	}
	if (r < 0)
		(void)error_wrap(err, "reservations of %s", disk_name(disk));
	return r;
}

void disk_keeper_claimed(struct disk *disk, struct keeper_claim *claim)
{
	free(disk->keeper.text);
	disk->keeper.text = steal(&claim->after);
}

void keeper_claim_done(struct keeper_claim *claim)
{
	free(claim->key);
	free(claim->before);
	free(claim->after);
}

int disk_keeper_load(struct disk *disk, enum reservation_load how, struct error *err)
{
	return lun_load_reservations(disk->lun, disk->keeper.text, how, err);
}

const char *disk_reservations(const struct disk *disk)
{
	return disk->keeper.text;
}

void disk_told_reservations(struct disk *disk, const char *text)
{
	if (disk->record_away)
		return; /* a worker may be looking at what it was told */
	free(disk->keeper.told);
	disk->keeper.told = text ? strdup(text) : NULL;
}

void disk_keeper_init(struct disk *disk)
{
	disk->keeper.ops =
	        (struct reservation_keeper){ .save = keeper_save, .confirm = keeper_confirm };
}

void disk_keeper_done(struct disk *disk)
{
	free(steal(&disk->keeper.text));
	free(steal(&disk->keeper.told));
}
