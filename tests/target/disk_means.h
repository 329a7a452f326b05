/* What a disk needs of its gateway, "gw-1", on the embedded store in the test's folder. */
#pragma once

#include "target/disk.h"

#include "ownership/fence.h"
#include "store/store.h"
#include "target/job.h"
#include "test.h"

static inline void means_init(struct disk_host *host, unsigned threads,
                              void (*changed)(struct disk_host *host, struct disk *disk),
                              void (*moved)(struct disk_host *host, struct disk *disk))
{
	struct store_config config = { .kind = "dir", .path = test_folder(), .object = "o" };
	struct error err = { 0 };
	*host = (struct disk_host){ .gateway = "gw-1", .changed = changed, .moved = moved };
	ASSERT_EQ(reactor_new("manager", NULL, &host->manager), 0);
	ASSERT_EQ(job_queues_new(threads, &host->jobs), 0);
	ASSERT_EQ(store_open(&config, &host->store, &err), 0);
	const struct fence_config fence = { .store = host->store };
	ASSERT_EQ(registration_new(host->store, "gw-1", &host->registration, &err), 0);
	ASSERT_EQ(fence_new(&fence, &host->fence), 0);
}

/* No disk is left. */
static inline void means_done(struct disk_host *host)
{
	job_queues_free(host->jobs);
	fence_free(host->fence);
	registration_free(host->registration);
	store_free(host->store);
	reactor_free(host->manager);
}
