/* What a written block looks like: sixteen cells that all say run, operation and place, each with a
 * checksum, so that a block made of two writes, or at the wrong place, is told from a whole one. */
#pragma once

#include <stdint.h>

#define BLOCK_BYTES 512u

struct stamp {
	uint64_t id; /* of the operation */
	uint64_t lba;
	uint32_t run;
	uint16_t lun;
};

void stamp_put(const struct stamp *stamp, uint8_t ret_block[BLOCK_BYTES]);
/* The operation that wrote this block, or one of history.h's VALUE_...; stamp says run and place.
 */
uint64_t stamp_get(const struct stamp *stamp, const uint8_t block[BLOCK_BYTES]);
