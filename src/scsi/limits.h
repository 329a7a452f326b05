/* The limits that VPD page B0h announces and the commands keep [SBC-3 6.6.3]. */
#pragma once

#include "base/buffer.h"
#include "scsi/lun_private.h"

#define COMPARE_MAX_BLOCKS    128
#define UNMAP_MAX_DESCRIPTORS 256
/* What one command may move, whatever smaller MAXIMUM TRANSFER LENGTH is announced: initiators that
 * do not look at it, or only at MAXIMUM WRITE SAME LENGTH, are served all the same. */
#define TRANSFER_MAX_BYTES (32u << 20)
_Static_assert(TRANSFER_MAX_BYTES <= BUFFER_MAX_BYTES, "a transfer is one buffer");
/* compat: as upstream, so that both look the same beside each other. */
#define WRITE_SAME_MAX_BLOCKS 0xffffffffu

static inline uint32_t transfer_max_blocks(const struct lun *lun)
{
	return TRANSFER_MAX_BYTES >> lun->block_shift;
}

/* MAXIMUM UNMAP LBA COUNT: four objects. */
static inline uint32_t unmap_max_blocks(const struct lun *lun, const struct backend_info *info)
{
	uint64_t object = info->optimal_io ? info->optimal_io : 4u << 20;
	uint64_t blocks = 4 * object >> lun->block_shift;
	return blocks > UINT32_MAX ? UINT32_MAX : (uint32_t)blocks;
}
