/* What the gateways of the interconnect's fuzzers share: one reactor, a clock that the input turns,
 * a disk in memory. */
#pragma once

#include "fuzz.h"

#include "interconnect/interconnect.h"
#include "scsi/lun.h"

#include "backend/backend.h"
#include "base/log.h"
#include "base/reactor.h"

#include <string.h>

static uint64_t now_ms = 1000000;

static inline uint64_t now(void)
{
	return now_ms;
}

static inline void peer_changed(struct interconnect_listener *listener,
                                const struct peer_info *peer)
{
	(void)listener;
	(void)peer;
}

static inline void told(struct interconnect_listener *listener, const struct peer_info *peer,
                        const char *text)
{
	(void)listener;
	(void)peer;
	check(strlen(text) <= INTERCONNECT_TELL_MAX);
}

static const struct lun_config fuzz_lun = {
	.name = "rbd/disk_1", .wwn = "x", .vendor_id = "x", .block_size = 512, .max_sectors = 1024
};

static inline void make_reactor_and_disk(struct reactor **ret_reactor, struct backend **ret_disk)
{
	const struct backend_config disk = { .kind = "memory",
		                             .name = "disk",
		                             .size_bytes = 1u << 20 };
	struct error err;
	log_set_level(LOG_LEVEL_ERROR);
	check(reactor_new("fuzz", now, ret_reactor) == 0);
	check(backend_open(&disk, ret_disk, &err) == 0);
}
