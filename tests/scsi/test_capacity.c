/* READ CAPACITY and GET LBA STATUS. */
#include "fixture.h"

#include <string.h>

static struct command c;

TEST(read_capacity_10_gives_last_lba_and_block_size)
{
	AUTO(rig) struct rig *rig = rig_new(4096, 100);
	RUN(rig, &c, CDB(0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0), 8, NULL);
	assert_good(&c);
	assert_residual(&c, SCSI_NO_RESIDUAL, 0);
	ASSERT_EQ(get_be32(c.in), 99);
	ASSERT_EQ(get_be32(c.in + 4), 4096);
	RUN(rig, &c, CDB(0x25, 0, 0, 0, 0, 1, 0, 0, 0, 0), 8, NULL); /* compat: LBA is ignored */
	assert_good(&c);
	RUN(rig, &c, CDB(0x25, 0, 0, 0, 0, 0, 0, 0, 1, 0), 8, NULL); /* PMI */
	assert_sense(&c, 0x052400);
	RUN(rig, &c, CDB(0x25, 1, 0, 0, 0, 0, 0, 0, 0, 0), 8, NULL); /* RELADR */
	assert_sense(&c, 0x052400);
}

TEST(read_capacity_16_says_that_unmapped_blocks_read_as_zero)
{
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	RUN(rig, &c, CDB(0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0), 32, NULL);
	assert_good(&c);
	ASSERT_EQ(get_be64(c.in), 99);
	ASSERT_EQ(get_be32(c.in + 8), 512);
	ASSERT_EQ(get_be16(c.in + 14), 0xc000);
	RUN(rig, &c, CDB(0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 0, 0), 255, NULL);
	assert_residual(&c, SCSI_UNDERFLOW, 223);
	RUN(rig, &c, CDB(0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), 0, NULL);
	assert_good(&c);
}

TEST(get_lba_status_starts_at_the_lba_asked_for)
{
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	RUN(rig, &c, CDB(0x9e, 0x12, 0, 0, 0, 0, 0, 0, 0, 40, 0, 0, 0, 24, 0, 0), 24, NULL);
	assert_good(&c);
	ASSERT_EQ(get_be32(c.in), 20);
	ASSERT_EQ(get_be64(c.in + 8), 40);
	ASSERT_EQ(get_be32(c.in + 16), 60);
	ASSERT_EQ(c.in[20], 0);
	RUN(rig, &c, CDB(0x9e, 0x12, 0, 0, 0, 0, 0, 0, 0, 100, 0, 0, 0, 24, 0, 0), 24, NULL);
	assert_sense(&c, 0x052100);
}
