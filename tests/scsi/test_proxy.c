/* Proxies: nexuses that stand for those of another gateway. */
#include "fixture.h"

#include <errno.h>
#include <string.h>

static struct command a, b;
static uint8_t out[4096];

/* The second nexus is the proxy; the LUN is served in that epoch. */
static struct rig *proxy_rig(uint64_t epoch)
{
	struct rig *rig = rig_new(512, 100);
	rig_leave(rig, LUN_HELD);
	rig_serve(rig, epoch);
	rig_make_proxy(rig, 2);
	return rig;
}

static void proxy_run(struct rig *rig, const uint8_t *cdb, size_t cdb_len, int64_t expected,
                      uint64_t epoch)
{
	command_fill(&a, rig->nexuses[1], cdb, cdb_len, expected);
	a.task.epoch = epoch;
	command_start(&a, out);
	rig_turn(rig);
	ASSERT_EQ(a.done, 1);
}

TEST(a_command_of_a_peer_runs_in_its_epoch_only)
{
	AUTO(rig) struct rig *rig = proxy_rig(5);
	for (uint64_t epoch = 4; epoch < 7; epoch++) {
		proxy_run(rig, CDB(0x2a, 0, 0, 0, 0, 3, 0, 0, 1, 0), -512, epoch);
		ASSERT_EQ(a.task.not_executed, epoch != 5);
		proxy_run(rig, CDB(0, 0, 0, 0, 0, 0), 0, epoch);
		ASSERT_EQ(a.task.not_executed, epoch != 5);
		proxy_run(rig, CDB(0x16, 0, 0, 0, 0, 0), 0, epoch);
		ASSERT_EQ(a.task.not_executed, epoch != 5);
	}
	ASSERT_EQ(rig->fake->count[IO_WRITE], 1);
}

TEST(a_command_of_a_peer_never_waits_for_another_state)
{
	static const enum lun_state states[] = { LUN_HELD,          LUN_BUSY,    LUN_FAILED,
		                                 LUN_TRANSITIONING, LUN_STANDBY, LUN_OPERATION,
		                                 LUN_FORWARDED };
	AUTO(rig) struct rig *rig = proxy_rig(5);
	rig_leave(rig, LUN_HELD);
	for (size_t i = 0; i < ARRAY_LEN(states); i++) {
		TEST_ROW("state %d", states[i]);
		if (states[i] == LUN_FORWARDED)
			rig_forward(rig, 1, 5);
		else
			lun_set_state(rig->lun, states[i]);
		proxy_run(rig, CDB(0x28, 0, 0, 0, 0, 3, 0, 0, 1, 0), 512, 5);
		ASSERT_TRUE(a.task.not_executed);
		proxy_run(rig, CDB(0x1a, 0, 0x3f, 0, 255, 0), 255, 5);
		ASSERT_TRUE(a.task.not_executed);
	}
	ASSERT_EQ(rig->relay.begun, 0);
}

TEST(an_ownership_that_ends_while_data_come_is_not_executed)
{
	AUTO(rig) struct rig *rig = proxy_rig(5);
	command_fill(&a, rig->nexuses[1], CDB(0x2a, 0, 0, 0, 0, 3, 0, 0, 1, 0), -512);
	a.task.epoch = 5;
	ASSERT_EQ(scsi_task_begin(&a.task), SCSI_BEGIN_NEEDS_DATA);
	rig_leave(rig, LUN_HELD);
	rig_serve(rig, 7); /* ours again, but another epoch: others may have written */
	a.task.data = buffer_get(reactor_buffers(rig->reactors[1]), 512);
	scsi_task_execute(&a.task);
	rig_turn(rig);
	ASSERT_EQ(a.done, 1);
	ASSERT_TRUE(a.task.not_executed);
	ASSERT_EQ(rig->fake->count[IO_WRITE], 0);
}

TEST(a_peers_command_that_waits_for_its_range_is_not_executed_late)
{
	AUTO(rig) struct rig *rig = proxy_rig(5);
	bool quiesced = false;
	rig->fake->hold = true;
	command_fill(&b, rig->nexuses[0], CDB(0x89, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0),
	             -1024);
	command_start(&b, out);
	command_fill(&a, rig->nexuses[1], CDB(0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0), -512);
	a.task.epoch = 5;
	command_start(&a, out);
	lun_quiesce(rig->lun, LUN_HELD, set_flag, &quiesced);
	rig->fake->hold = false;
	fake_complete(rig->fake, 0);
	rig_turn(rig);
	ASSERT_TRUE(quiesced);
	ASSERT_EQ(a.done, 1);
	ASSERT_TRUE(a.task.not_executed);
}

TEST(what_the_fenced_owner_had_of_a_peer_is_not_answered)
{
	AUTO(rig) struct rig *rig = proxy_rig(5);
	rig->fake->fail[IO_WRITE] = -ESHUTDOWN;
	command_fill(&a, rig->nexuses[1], CDB(0x2a, 0, 0, 0, 0, 3, 0, 0, 1, 0), -512);
	a.task.epoch = 5;
	command_start(&a, out);
	rig_turn(rig);
	rig_leave(rig, LUN_HELD);
	ASSERT_EQ(a.done, 0);
	rig_serve(rig, 7);
	assert_sense(&a, 0x0b0800);
	ASSERT_FALSE(a.task.not_executed);
}

TEST(unit_attentions_of_the_path_are_not_a_proxys)
{
	AUTO(rig) struct rig *rig = proxy_rig(5);
	struct command_management request;
	struct port_group groups[] = { { 1, ALUA_OPTIMIZED }, { 2, ALUA_NON_OPTIMIZED } };
	ASSERT_EQ(lun_set_port_groups(rig->lun, groups, 2), 0);
	groups[0].state = ALUA_UNAVAILABLE;
	ASSERT_EQ(lun_set_port_groups(rig->lun, groups, 2), 0); /* 2A/06 */
	struct lun_config config = { .block_size = 512, .max_sectors = 2048 };
	ASSERT_EQ(lun_change(rig->lun, &config), 0); /* 3F/03 */
	proxy_run(rig, CDB(0, 0, 0, 0, 0, 0), 0, 5);
	assert_good(&a); /* 29/01 neither */

	rig->fake->info.size_bytes = 50 * 512;
	lun_resized(rig->lun);
	proxy_run(rig, CDB(0, 0, 0, 0, 0, 0), 0, 5);
	assert_sense(&a, 0x062a09);
	manage(&request, rig->nexuses[0], TMF_LUN_RESET, NULL);
	rig_turn(rig);
	proxy_run(rig, CDB(0, 0, 0, 0, 0, 0), 0, 5);
	assert_sense(&a, 0x062903);
}

TEST(a_row_is_added_once)
{
	AUTO(rig) struct rig *rig = proxy_rig(5);
	struct lun_config config = { .name = "rbd/disk_2",
		                     .wwn = "ee982d1a-a657-4cf2-996c-a3d03a6f25aa",
		                     .vendor_id = "",
		                     .block_size = 512 };
	struct lun *other;
	ASSERT_EQ(lun_new(&config, &other), 0);
	struct lun_mapping mapping = { .number = 0, .lun = rig->lun };
	ASSERT_EQ(nexus_add_mapping(rig->nexuses[1], &mapping), 0);
	mapping.lun = other;
	ASSERT_EQ(nexus_add_mapping(rig->nexuses[1], &mapping), -EEXIST);
	mapping.number = 300;
	ASSERT_EQ(nexus_add_mapping(rig->nexuses[1], &mapping), 0);
	lun_put(other);
	proxy_run(rig, CDB(0x2a, 0, 0, 0, 0, 3, 0, 0, 1, 0), -512, 5);
	assert_good(&a);
	command_fill(&a, rig->nexuses[1], CDB(0, 0, 0, 0, 0, 0), 0);
	a.task.lun[0] = 0x41;
	a.task.lun[1] = 300 - 256;
	command_start(&a, NULL);
	rig_turn(rig);
	ASSERT_TRUE(a.task.not_executed); /* it is opening */
}

TEST(reservations_see_who_a_proxy_stands_for)
{
	AUTO(rig) struct rig *rig = proxy_rig(5);
	memset(out, 0, sizeof out);
	put_be64(out + 8, 0xabc);
	proxy_run(rig, CDB(0x5f, 0, 0, 0, 0, 0, 0, 0, 24, 0), -24, 5);
	assert_good(&a);
	put_be64(out, 0xabc);
	proxy_run(rig, CDB(0x5f, 1, 1, 0, 0, 0, 0, 0, 24, 0), -24, 5);
	assert_good(&a);
	write_start(&b, rig->nexuses[0], 0, 1, 512, out);
	rig_turn(rig);
	assert_status(&b, SCSI_RESERVATION_CONFLICT);
	RUN(rig, &b, CDB(0x5e, 3, 0, 0, 0, 0, 0, 1, 0, 0), 256, NULL);
	assert_good(&b);
	ASSERT_EQ(get_be16(b.in + 8 + 18), 2); /* the origin's target port */
	ASSERT_STR_EQ((char *)b.in + 8 + 28, "iqn.1994-05.com.redhat:client2,i,0x00023d000001");
}

TEST(management_of_a_peer_is_for_its_epoch_only)
{
	AUTO(rig) struct rig *rig = proxy_rig(5);
	struct command_management request;
	static const struct {
		uint64_t epoch;
		enum lun_state state;
		bool not_executed;
	} rows[] = {
		{ 5, LUN_READY, false },
		{ 4, LUN_READY, true },
		{ 5, LUN_HELD, true },
		{ 5, LUN_FORWARDED, true },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		TEST_ROW("row %zu", i);
		if (rows[i].state != LUN_READY && lun_get_state(rig->lun) == LUN_READY)
			rig_leave(rig, LUN_HELD);
		if (rows[i].state == LUN_FORWARDED)
			rig_forward(rig, 1, 6);
		memset(&request, 0, sizeof request);
		request.tmf.function = TMF_LUN_RESET;
		request.tmf.epoch = rows[i].epoch;
		request.tmf.done = management_done;
		nexus_manage(rig->nexuses[1], &request.tmf);
		rig_turn(rig);
		ASSERT_EQ(request.done, 1);
		ASSERT_EQ(request.tmf.not_executed, rows[i].not_executed);
	}
	ASSERT_EQ(rig->relay.managed, 0);
}

TEST(io_of_peers_is_not_the_own)
{
	AUTO(rig) struct rig *rig = proxy_rig(5);
	struct lun_counters counters;
	proxy_run(rig, CDB(0x28, 0, 0, 0, 0, 3, 0, 0, 1, 0), 512, 5);
	assert_good(&a);
	lun_get_counters(rig->lun, &counters);
	ASSERT_EQ(counters.last_own_io_ms, 0);
	RUN(rig, &b, CDB(0, 0, 0, 0, 0, 0), 0, NULL);
	lun_get_counters(rig->lun, &counters);
	ASSERT_EQ(counters.last_own_io_ms, 0);
	uint64_t before_ms = clock_monotonic_ms();
	(void)reactor_turn(rig->reactors[0], 0);
	read_start(&b, rig->nexuses[0], 0, 1, 512);
	lun_get_counters(rig->lun, &counters);
	ASSERT_TRUE(counters.last_own_io_ms >= before_ms);
	rig_turn(rig);
}
