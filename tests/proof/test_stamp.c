/* Stamps tell whole blocks from torn and foreign ones. */
#include "history.h"
#include "stamp.h"
#include "test.h"

#include <string.h>

static const struct stamp stamp = { .id = 77, .lba = 4096, .run = 5, .lun = 3 };

TEST(a_stamp_reads_back_as_its_operation)
{
	uint8_t block[BLOCK_BYTES];
	stamp_put(&stamp, block);
	ASSERT_EQ(stamp_get(&stamp, block), 77);
	memset(block, 0, sizeof(block));
	ASSERT_EQ(stamp_get(&stamp, block), VALUE_INITIAL);
}

TEST(a_block_of_two_writes_is_torn)
{
	uint8_t block[BLOCK_BYTES], other[BLOCK_BYTES];
	struct stamp second = stamp;
	second.id = 78;
	stamp_put(&stamp, block);
	stamp_put(&second, other);
	memcpy(block + 256, other + 256, 256);
	ASSERT_EQ(stamp_get(&stamp, block), VALUE_TORN);
	stamp_put(&stamp, block);
	memset(block, 0, 100);
	ASSERT_EQ(stamp_get(&stamp, block), VALUE_TORN);
	stamp_put(&stamp, block);
	block[511] ^= 1;
	ASSERT_EQ(stamp_get(&stamp, block), VALUE_TORN);
}

TEST(a_block_of_another_place_or_run_is_alien)
{
	uint8_t block[BLOCK_BYTES];
	struct stamp places[] = { stamp, stamp, stamp };
	places[0].lba++;
	places[1].lun++;
	places[2].run++;
	stamp_put(&stamp, block);
	for (size_t i = 0; i < ARRAY_LEN(places); i++)
		ASSERT_EQ(stamp_get(&places[i], block), VALUE_ALIEN);
	memset(block, 0xff, sizeof(block));
	ASSERT_EQ(stamp_get(&stamp, block), VALUE_ALIEN);
}
