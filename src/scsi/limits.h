/* The limits that VPD page B0h announces and the commands keep [SBC-3 6.6.3]. */
#pragma once

#include "scsi/lun_private.h"

#define COMPARE_MAX_BLOCKS    128
#define UNMAP_MAX_DESCRIPTORS 256
/* compat: as upstream, so that both look the same beside each other. */
#define WRITE_SAME_MAX_BLOCKS 0xffffffffu

/* MAXIMUM UNMAP LBA COUNT: four objects. */
static inline uint32_t unmap_max_blocks(const struct lun *lun, const struct backend_info *info)
{
	uint64_t object = info->optimal_io ? info->optimal_io : 4u << 20;
	uint64_t blocks = 4 * object >> lun->block_shift;
	return blocks > UINT32_MAX ? UINT32_MAX : (uint32_t)blocks;
}
