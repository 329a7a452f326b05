/* Stamps of blocks: see stamp.h. */
#include "stamp.h"
#include "base/bytes.h"
#include "history.h"

#include <isa-l/crc.h>

#define CELL_BYTES 32u
#define CELLS      (BLOCK_BYTES / CELL_BYTES)
#define MAGIC      0x70726f66u /* "prof" */

/* A cell: magic, run, id, lba, lun (4), checksum of what stands before. */
static void put_cell(const struct stamp *stamp, uint8_t *cell)
{
	put_be32(cell, MAGIC);
	put_be32(cell + 4, stamp->run);
	put_be64(cell + 8, stamp->id);
	put_be64(cell + 16, stamp->lba);
	put_be32(cell + 24, stamp->lun);
	put_be32(cell + 28, crc32_iscsi(cell, 28, ~0u));
}

void stamp_put(const struct stamp *stamp, uint8_t ret_block[BLOCK_BYTES])
{
	for (unsigned i = 0; i < CELLS; i++)
		put_cell(stamp, ret_block + (size_t)i * CELL_BYTES);
}

uint64_t stamp_get(const struct stamp *stamp, const uint8_t block[BLOCK_BYTES])
{
	static const uint8_t zero[BLOCK_BYTES];
	uint8_t expected[BLOCK_BYTES];
	if (memcmp(block, zero, BLOCK_BYTES) == 0)
		return VALUE_INITIAL;
	struct stamp seen = *stamp;
	seen.id = get_be64(block + 8);
	stamp_put(&seen, expected);
	if (memcmp(block, expected, BLOCK_BYTES) == 0)
		return seen.id;
	return memcmp(block, block + CELL_BYTES, BLOCK_BYTES - CELL_BYTES) ? VALUE_TORN
	                                                                   : VALUE_ALIEN;
}
