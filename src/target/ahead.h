/* What takes of many LUNs will want to know, read in one question while their owner is fenced. On
 * the manager. */
#pragma once

#include "ownership/registration.h"
#include "target/job.h"

struct disk_set;
struct store;

struct ahead {
	/* Set by the owner of this struct. */
	struct job_queue *jobs;
	struct reactor *manager;
	struct store *store;
	struct disk_set *disks;
	void (*ended)(struct ahead *ahead); /* not busy any more */

	bool busy;
	bool unwanted; /* what is read is not used any more; set by the owner of this struct */
	struct job job;
	char instance[INSTANCE_MAX];
	struct ahead_row *rows;
	size_t count, bytes;
};

/* The LUNs of that instance are about to be taken over. Nothing is waited for: a take that comes
 * before the answer reads its own. */
void ahead_read(struct ahead *ahead, const char *instance);
