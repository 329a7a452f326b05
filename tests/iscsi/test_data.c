/* Reads and writes through the whole server, in every phase that data may take. */
#include "rig.h"

#include <stdio.h>
#include <string.h>

static void fill(uint8_t *data, uint32_t len, unsigned seed)
{
	for (uint32_t i = 0; i < len; i++)
		data[i] = (uint8_t)(i * 31 + i / 251 + seed);
}

static uint32_t min_of(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

struct phases {
	const char *keys;
	bool initial_r2t, immediate;
	uint32_t first_burst, max_burst, segment, outstanding;
};

/* Writes as much without being asked as the negotiation allows, then what R2Ts ask for. */
static void write_all(struct raw *raw, const struct phases *p, uint32_t lba, const uint8_t *data,
                      uint32_t len)
{
	uint32_t burst = min_of(p->first_burst, len), immediate = 0, sent;

	if (p->immediate)
		immediate = min_of(burst, p->segment);
	bool unsolicited = !p->initial_r2t && immediate < burst;
	uint32_t itt = raw_write(raw, lba, (uint16_t)(len / RIG_BLOCK), RIG_BLOCK,
	                         unsolicited ? 0 : FLAG_FINAL, data, immediate);
	sent = immediate;
	for (uint32_t data_sn = 0; unsolicited && sent < burst; data_sn++) {
		uint32_t piece = min_of(p->segment, burst - sent);
		ASSERT_TRUE(raw_data_out(raw, itt, TAG_NONE, data_sn, sent, sent + piece == burst,
		                         data + sent, piece));
		sent += piece;
	}
	uint32_t r2t_sn = 0;
	while (sent < len) {
		raw_expect(raw, PDU_R2T);
		uint32_t asked = get_be32(raw->pdu.bhs + BHS_DESIRED_LENGTH);
		ASSERT_EQ(get_be32(raw->pdu.bhs + BHS_BUFFER_OFFSET), sent);
		ASSERT_EQ(get_be32(raw->pdu.bhs + BHS_DATA_SN), r2t_sn++);
		ASSERT_TRUE(asked > 0 && asked <= p->max_burst);
		raw_answer_r2t(raw, data, p->segment);
		sent += asked;
	}
	raw_expect_good(raw, itt);
	ASSERT_EQ(get_be32(raw->pdu.bhs + BHS_EXP_DATA_SN), r2t_sn);
}

static void write_and_read(struct raw *raw, const struct phases *p, uint32_t len)
{
	static uint8_t data[1u << 20], back[1u << 20];

	fill(data, len, len);
	write_all(raw, p, 7, data, len);
	uint32_t itt = raw_read(raw, 7, (uint16_t)(len / RIG_BLOCK), RIG_BLOCK);
	raw_expect_data(raw, itt, back, len);
	ASSERT_MEM_EQ(back, data, len);
}

TEST(data_written_in_every_phase_reads_back)
{
	static const struct phases rows[] = {
		{ "InitialR2T=Yes\nImmediateData=Yes\n", true, true, 65536, 262144, 262144, 1 },
		{ "InitialR2T=Yes\nImmediateData=No\n", true, false, 65536, 262144, 262144, 1 },
		{ "InitialR2T=No\nImmediateData=Yes\n", false, true, 65536, 262144, 262144, 1 },
		{ "InitialR2T=No\nImmediateData=No\n", false, false, 65536, 262144, 8192, 1 },
		{ "InitialR2T=No\nImmediateData=Yes\nFirstBurstLength=4096\nMaxBurstLength=8192\n"
		  "MaxRecvDataSegmentLength=512\n",
		  false, true, 4096, 8192, 4096, 1 },
		{ "InitialR2T=No\nImmediateData=Yes\nFirstBurstLength=512\nMaxBurstLength=512\n",
		  false, true, 512, 512, 512, 1 },
		{ "InitialR2T=No\nImmediateData=Yes\nFirstBurstLength=4096\nMaxBurstLength=4096\n"
		  "MaxOutstandingR2T=8\nHeaderDigest=CRC32C\nDataDigest=CRC32C\n",
		  false, true, 4096, 4096, 1024, 8 },
		{ "HeaderDigest=CRC32C\nInitialR2T=No\n", false, true, 65536, 262144, 65536, 1 },
		{ "DataDigest=CRC32C\nImmediateData=No\n", true, false, 65536, 262144, 262144, 1 },
	};
	static const uint32_t lengths[] = { 512,         4096,   8192 - 512,   8192,    65536,
		                            65536 + 512, 262144, 262144 + 512, 1u << 20 };
	AUTO(rig) struct rig *rig = rig_new();
	static struct raw raw;

	rig->controls.max_outstanding_r2t = 8;
	rig_apply(rig);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		TEST_ROW("%zu", i);
		rig_login(rig, &raw, (uint8_t)i, rows[i].keys);
		for (size_t k = 0; k < ARRAY_LEN(lengths); k++)
			write_and_read(&raw, &rows[i], lengths[k]);
		raw_close(&raw);
	}
}

TEST(the_window_follows_completed_commands)
{
	AUTO(rig) struct rig *rig = rig_new();
	static struct raw raw;
	static uint8_t back[512];

	rig->controls.command_window = 4;
	rig_apply(rig);
	rig_login(rig, &raw, 1, "");
	ASSERT_EQ(raw.max_cmd_sn - raw.exp_cmd_sn + 1, 4);
	rig_hold(rig);
	uint32_t itts[4];
	for (unsigned i = 0; i < 4; i++)
		itts[i] = raw_read(&raw, i, 1, RIG_BLOCK);
	rig_wait_held(rig, 4);
	uint32_t ping = raw_nop(&raw, NULL, 0);
	raw_expect(&raw, PDU_NOP_IN);
	ASSERT_EQ(pdu_itt(raw.pdu.bhs), ping);
	ASSERT_EQ(raw.max_cmd_sn + 1, raw.exp_cmd_sn); /* closed */

	/* One more than the window allows is ignored without a word. */
	(void)raw_read(&raw, 9, 1, RIG_BLOCK);
	raw.cmd_sn--;
	rig_release(rig);
	for (unsigned i = 0; i < 4; i++)
		raw_expect_data(&raw, itts[i], back, sizeof(back));
	ASSERT_EQ(raw.max_cmd_sn - raw.exp_cmd_sn + 1, 4);
	uint32_t itt = raw_read(&raw, 1, 1, RIG_BLOCK);
	raw_expect_data(&raw, itt, back, sizeof(back));
	raw_close(&raw);
}

TEST(commands_behind_a_gap_wait_for_it_and_old_numbers_are_ignored)
{
	AUTO(rig) struct rig *rig = rig_new();
	static struct raw raw;
	static uint8_t back[512], data[512];

	rig_apply(rig);
	rig_login(rig, &raw, 1, "");
	fill(data, sizeof(data), 3);
	raw.cmd_sn++; /* the gap */
	uint32_t second = raw_write(&raw, 5, 1, RIG_BLOCK, FLAG_FINAL, data, sizeof(data));
	(void)raw_nop(&raw, NULL, 0);
	raw_expect(&raw, PDU_NOP_IN);
	raw.cmd_sn -= 2;
	uint32_t first = raw_read(&raw, 5, 1, RIG_BLOCK);
	raw_expect_data(&raw, first, back, sizeof(back));
	raw_expect_good(&raw, second);
	(void)raw_read(&raw, 5, 1, RIG_BLOCK); /* the number of the second once more */
	uint32_t third = raw_read(&raw, 5, 1, RIG_BLOCK);
	raw_expect_data(&raw, third, back, sizeof(back));
	ASSERT_MEM_EQ(back, data, sizeof(data));
	raw_close(&raw);
}

TEST(a_read_beyond_the_end_says_so_and_moves_no_data)
{
	AUTO(rig) struct rig *rig = rig_new();
	static struct raw raw;

	rig_apply(rig);
	rig_login(rig, &raw, 1, "");
	uint32_t itt = raw_read(&raw, RIG_BYTES / RIG_BLOCK, 1, RIG_BLOCK);
	raw_expect_sense(&raw, itt, 0x052100);
	ASSERT_EQ(raw.pdu.bhs[BHS_FLAGS], FLAG_FINAL | FLAG_UNDERFLOW);
	ASSERT_EQ(get_be32(raw.pdu.bhs + BHS_RESIDUAL), RIG_BLOCK);
	raw_close(&raw);
}

TEST(a_write_that_fails_early_still_takes_its_unsolicited_data)
{
	AUTO(rig) struct rig *rig = rig_new();
	static struct raw raw;
	static uint8_t data[2048];

	rig_apply(rig);
	rig_login(rig, &raw, 1, "InitialR2T=No\n");
	uint32_t itt = raw_write(&raw, RIG_BYTES / RIG_BLOCK, 4, RIG_BLOCK, 0, data, 512);
	(void)raw_nop(&raw, NULL, 0);
	raw_expect(&raw, PDU_NOP_IN); /* no status yet */
	ASSERT_TRUE(raw_data_out(&raw, itt, TAG_NONE, 0, 512, true, data, 1536));
	raw_expect_sense(&raw, itt, 0x052100);
	raw_close(&raw);
}

TEST(memory_is_bounded_and_writes_wait_for_it)
{
	AUTO(rig) struct rig *rig = rig_new();
	static struct raw raw;
	static uint8_t data[1u << 20];
	uint32_t first, second;

	rig->limits.max_inflight_bytes = RIG_REACTORS * (1u << 20);
	rig_apply(rig);
	rig_login(rig, &raw, 1, "MaxBurstLength=1048576\nImmediateData=No\n");
	rig_hold(rig);
	first = raw_write(&raw, 0, 2048, RIG_BLOCK, FLAG_FINAL, NULL, 0);
	second = raw_write(&raw, 2048, 2048, RIG_BLOCK, FLAG_FINAL, NULL, 0);
	uint32_t third = raw_read(&raw, 0, 1, RIG_BLOCK);
	raw_expect(&raw, PDU_R2T);
	ASSERT_EQ(pdu_itt(raw.pdu.bhs), first);
	struct raw_pdu *r2t = malloc(sizeof(*r2t));
	*r2t = raw.pdu;
	raw_expect(&raw, PDU_SCSI_RESPONSE); /* a read has no memory now: the task set is full */
	ASSERT_EQ(pdu_itt(raw.pdu.bhs), third);
	ASSERT_EQ(raw.pdu.bhs[BHS_STATUS], 0x28);
	raw.pdu = *r2t;
	free(r2t);
	while (pdu_itt(raw.pdu.bhs) == first) {
		raw_answer_r2t(&raw, data, 262144);
		if (get_be32(raw.pdu.bhs + BHS_BUFFER_OFFSET) +
		            get_be32(raw.pdu.bhs + BHS_DESIRED_LENGTH) ==
		    sizeof(data))
			break;
		raw_expect(&raw, PDU_R2T);
	}
	rig_wait_held(rig, 1);
	rig_release(rig);
	raw_expect_good(&raw, first);
	for (uint32_t sent = 0; sent < sizeof(data);) {
		raw_expect(&raw, PDU_R2T);
		ASSERT_EQ(pdu_itt(raw.pdu.bhs), second);
		raw_answer_r2t(&raw, data, 262144);
		sent += get_be32(raw.pdu.bhs + BHS_DESIRED_LENGTH);
	}
	raw_expect_good(&raw, second);
	raw_close(&raw);
}

TEST(a_write_for_which_there_is_no_memory_still_takes_its_unsolicited_data)
{
	AUTO(rig) struct rig *rig = rig_new();
	static struct raw raw;
	static uint8_t data[65536];

	rig->limits.max_inflight_bytes = RIG_REACTORS * 65536;
	rig_apply(rig);
	rig_login(rig, &raw, 1, "InitialR2T=No\n");
	rig_hold(rig);
	uint32_t first = raw_write(&raw, 0, 128, RIG_BLOCK, FLAG_FINAL, data, sizeof(data));
	rig_wait_held(rig, 1);
	uint32_t second = raw_write(&raw, 0, 64, RIG_BLOCK, 0, data, 512);
	ASSERT_TRUE(raw_data_out(&raw, second, TAG_NONE, 0, 512, false, data, 512));
	(void)raw_nop(&raw, NULL, 0);
	raw_expect(&raw, PDU_NOP_IN);
	ASSERT_TRUE(raw_data_out(&raw, second, TAG_NONE, 1, 1024, true, data, 32768 - 1024));
	raw_expect(&raw, PDU_SCSI_RESPONSE);
	ASSERT_EQ(pdu_itt(raw.pdu.bhs), second);
	ASSERT_EQ(raw.pdu.bhs[BHS_STATUS], 0x28);
	rig_release(rig);
	raw_expect_good(&raw, first);
	raw_close(&raw);
}

/* Who takes off a command sends nothing more for it, also if its answer has waited for that. */
TEST(an_answer_that_waits_for_unsolicited_data_goes_when_its_command_is_taken_off)
{
	static const uint8_t functions[] = { TMF_ABORT_TASK, TMF_LUN_RESET, TMF_TARGET_WARM_RESET };
	AUTO(rig) struct rig *rig = rig_new();
	static struct raw raw;
	static uint8_t data[512];

	rig_apply(rig);
	rig_login(rig, &raw, 1, "InitialR2T=No\n");
	for (size_t i = 0; i < ARRAY_LEN(functions); i++) {
		TEST_ROW("function %u", functions[i]);
		uint32_t cmd_sn = raw.cmd_sn;
		uint32_t write =
		        raw_command(&raw, 0, FLAG_WRITE, (uint8_t[6]){ 0xc1 }, 6, 4096, data, 512);
		(void)raw_nop(&raw, NULL, 0);
		raw_expect(&raw, PDU_NOP_IN);
		uint32_t manage = raw_manage(&raw, functions[i], 0, write, cmd_sn);
		raw_expect(&raw, PDU_SCSI_RESPONSE);
		ASSERT_EQ(pdu_itt(raw.pdu.bhs), write);
		ASSERT_EQ(raw.pdu.bhs[BHS_STATUS], 0x02);
		raw_expect(&raw, PDU_TASK_MANAGEMENT_RESPONSE);
		ASSERT_EQ(pdu_itt(raw.pdu.bhs), manage);
		ASSERT_EQ(raw.pdu.bhs[BHS_RESPONSE],
		          functions[i] == TMF_ABORT_TASK ? TMF_NO_TASK : TMF_COMPLETE);
		/* What was on its way all the same is dropped, and the tag is free. */
		ASSERT_TRUE(raw_data_out(&raw, write, TAG_NONE, 0, 512, true, data, 512));
		raw.itt = write;
		uint32_t ready = raw_command(&raw, 0, FLAG_FINAL, (uint8_t[6]){ 0 }, 6, 0, NULL, 0);
		ASSERT_EQ(ready, write);
		raw_expect(&raw, PDU_SCSI_RESPONSE);
		ASSERT_EQ(pdu_itt(raw.pdu.bhs), ready);
		raw.itt += 3;
	}
	raw_close(&raw);
}
