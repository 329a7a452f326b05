/* A take changes the row of the reservations by compare-and-set, and has to know what stands there.
 * The owner before tells it at a hand-over; one that is dead tells nothing, and hundreds of rows
 * would be read one by one. Read here they are a guess, as what a peer tells: what the owner of the
 * past has changed since is found out by the compare-and-set, and read then. */
#include "target/ahead.h"

#include "base/array.h"
#include "base/log.h"
#include "store/store.h"
#include "target/disk_set.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROWS      "reservation/"
#define LUNS_MIN  8 /* fewer ask for themselves, of what may be many rows of others */
#define BYTES_MAX (8u * 1024 * 1024)

struct ahead_row {
	char *lun, *text;
};

/* Only a guess less if there is no memory. */
static void keep_row(void *argument, const char *key, const char *text)
{
	struct ahead *ahead = argument;
	size_t bytes = strlen(key) + strlen(text);
	if (ahead->bytes + bytes > BYTES_MAX || !array_grow(&ahead->rows, ahead->count))
		return;
	struct ahead_row row = { .lun = strdup(key + strlen(ROWS)), .text = strdup(text) };
	if (!row.lun || !row.text) {
		free(row.lun);
		free(row.text);
		return;
	}
	ahead->rows[ahead->count++] = row;
	ahead->bytes += bytes;
}

static void work(struct job *job)
{
	struct ahead *ahead = container_of(job, struct ahead, job);
	struct error err = { 0 };
	if (store_list_rows(ahead->store, ROWS, keep_row, ahead, &err) < 0)
		log_debug("reservations are read one by one: %s", err.text);
}

static void done(struct job *job)
{
	struct ahead *ahead = container_of(job, struct ahead, job);
	for (size_t i = 0; i < ahead->count; i++) {
		struct ahead_row *row = &ahead->rows[i];
		struct disk *disk = ahead->unwanted ? NULL : disk_set_find(ahead->disks, row->lun);
		if (disk && strcmp(disk_record(disk)->instance, ahead->instance) == 0)
			disk_told_reservations(disk, row->text);
		free(row->lun);
		free(row->text);
	}
	free(ahead->rows);
	ahead->rows = NULL;
	ahead->count = ahead->bytes = 0;
	ahead->busy = false;
	ahead->ended(ahead);
}

static size_t count_luns(const struct disk_set *set, const char *instance)
{
	size_t count = 0;
	for (size_t i = 0; set->plan && i < set->plan->disk_count; i++) {
		const struct disk *disk = disk_set_at(set, i);
		count += disk && strcmp(disk_record(disk)->instance, instance) == 0;
	}
	return count;
}

void ahead_read(struct ahead *ahead, const char *instance)
{
	if (ahead->busy || count_luns(ahead->disks, instance) < LUNS_MIN)
		return;
	ahead->busy = true;
	(void)snprintf(ahead->instance, sizeof ahead->instance, "%s", instance);
	ahead->job = (struct job){ .work = work, .done = done, .reactor = ahead->manager };
	job_queue_submit_first(ahead->jobs, &ahead->job);
}
