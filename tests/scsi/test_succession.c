/* A nexus of the same name while commands of the one before it have not ended (H9). */
#include "fixture.h"

#include <errno.h>
#include <string.h>

static struct command a, b, c, d;
static uint8_t out[4096];

/* A session that is on its way out, and the one that has followed it. */
struct pair {
	struct rig *rig;
	struct nexus *old, *new;
	bool ended; /* the old one */
};

/* The first nexus of the rig ends, with what it has at the backend or the relay. */
static void stop_old(struct rig *rig, struct pair *pair)
{
	*pair = (struct pair){ .rig = rig, .old = rig->nexuses[0] };
	rig->nexuses[0] = NULL;
	nexus_stop(pair->old, set_flag, &pair->ended);
}

/* The same initiator port logs in again, at the other reactor. */
static void follow(struct pair *pair)
{
	pair->new = rig_nexus(pair->rig, 1, RIG_INITIATOR, 1);
}

/* They follow each other while a write of the old one is at the backend. */
static void follow_with_write(struct rig *rig, struct pair *pair)
{
	rig->fake->hold = true;
	write_start(&a, rig->nexuses[0], 3, 1, 512, out);
	rig_turn(rig);
	stop_old(rig, pair);
	follow(pair);
}

/* What the backend holds, and nothing after it. */
static void old_write_ends(struct rig *rig)
{
	rig->fake->hold = false;
	fake_complete(rig->fake, 0);
	rig_turn(rig);
}

static void pair_end(struct pair *pair)
{
	ASSERT_TRUE(pair->ended);
	nexus_free(pair->old);
	rig_stop(pair->rig, pair->new);
}

static bool is_running(const struct command *command)
{
	return command->done == 0;
}

TEST(what_uses_the_medium_waits_for_the_old_session)
{
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	struct pair pair;
	rig->fake->hold = true;
	memset(out, 0x11, sizeof out);
	write_start(&a, rig->nexuses[0], 3, 1, 512, out);
	rig_turn(rig);
	stop_old(rig, &pair);
	follow(&pair);
	memset(out, 0x22, sizeof out);
	write_start(&b, pair.new, 3, 1, 512, out);
	read_start(&c, pair.new, 7, 1, 512); /* reads too, wherever they go */
	rig_turn(rig);
	ASSERT_EQ(rig->fake->held_count, 1);
	ASSERT_FALSE(pair.ended);

	old_write_ends(rig);
	ASSERT_TRUE(pair.ended);
	ASSERT_TRUE(a.task.aborted);
	assert_good(&b);
	assert_good(&c);
	ASSERT_EQ(rig->fake->memory[3 * 512], 0x22);
	pair_end(&pair);
}

TEST(other_initiators_do_not_wait)
{
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	struct pair pair;
	follow_with_write(rig, &pair);
	struct nexus *other = rig_nexus(rig, 0, RIG_INITIATOR, 2); /* another port of it */
	read_start(&b, rig->nexuses[1], 3, 1, 512);
	read_start(&c, other, 3, 1, 512);
	rig_turn(rig);
	ASSERT_EQ(rig->fake->held_count, 3);
	rig->fake->hold = false;
	while (rig->fake->held_count)
		fake_complete(rig->fake, 0);
	rig_turn(rig);
	assert_good(&b);
	assert_good(&c);
	rig_stop(rig, other);
	pair_end(&pair);
}

TEST(what_cannot_depend_on_the_old_session_does_not_wait)
{
	static const struct {
		const char *name;
		uint8_t cdb[16];
		int64_t expected;
		bool waits;
	} rows[] = {
		{ "TEST UNIT READY", { 0 }, 0, false },
		{ "INQUIRY", { 0x12, 0, 0, 0, 36 }, 36, false },
		{ "REPORT LUNS", { 0xa0, [9] = 64 }, 64, false },
		{ "REQUEST SENSE", { 0x03, 0, 0, 0, 18 }, 18, false },
		{ "REPORT TARGET PORT GROUPS", { 0xa3, 0x0a, [9] = 64 }, 64, false },
		{ "READ CAPACITY(16)", { 0x9e, 0x10, [13] = 32 }, 32, false },
		{ "MODE SENSE(6)", { 0x1a, 0, 0x3f, 0, 255 }, 255, false },
		{ "READ(10)", { 0x28, [8] = 1 }, 512, true },
		{ "WRITE(10)", { 0x2a, [8] = 1 }, -512, true },
		{ "VERIFY(10)", { 0x2f, [8] = 1 }, 0, true },
		{ "SYNCHRONIZE CACHE(10)", { 0x35 }, 0, true },
		{ "COMPARE AND WRITE", { 0x89, [13] = 1 }, -1024, true },
		{ "UNMAP", { 0x42, [8] = 24 }, -24, true },
		{ "WRITE SAME(16)", { 0x93, 1, [13] = 1 }, 0, true },
		{ "RESERVE(6)", { 0x16 }, 0, true },
		{ "PERSISTENT RESERVE IN", { 0x5e, 0, [8] = 8 }, 8, true },
		{ "PERSISTENT RESERVE OUT", { 0x5f, 0, [8] = 24 }, -24, true },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO(rig) struct rig *rig = rig_new(512, 100);
		struct pair pair;
		TEST_ROW("%s", rows[i].name);
		memset(out, 0, sizeof out);
		put_be16(out, 22);
		rig->fake->hold = true;
		read_start(&a, rig->nexuses[0], 3, 1, 512);
		rig_turn(rig);
		stop_old(rig, &pair);
		follow(&pair);
		command_fill(&b, pair.new, rows[i].cdb, 16, rows[i].expected);
		command_start(&b, out);
		rig_turn(rig);
		ASSERT_EQ(is_running(&b), rows[i].waits);
		ASSERT_EQ(rig->fake->held_count, 1);
		old_write_ends(rig);
		ASSERT_EQ(b.done, 1);
		pair_end(&pair);
	}
}

TEST(what_was_not_started_is_dropped_and_nobody_waits_for_it)
{
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	struct pair pair;
	rig_leave(rig, LUN_HELD);
	write_start(&a, rig->nexuses[0], 3, 1, 512, out);
	rig_turn(rig);
	stop_old(rig, &pair);
	rig_turn(rig);
	ASSERT_TRUE(pair.ended);
	ASSERT_TRUE(a.task.aborted);
	rig_serve(rig, 2);
	follow(&pair);
	read_start(&b, pair.new, 3, 1, 512);
	rig_turn(rig);
	assert_good(&b);
	ASSERT_EQ(rig->fake->count[IO_WRITE], 0);
	pair_end(&pair);
}

TEST(other_luns_are_used_at_once)
{
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	struct pair pair;
	struct lun_config config = { .name = "rbd/disk_2",
		                     .wwn = "ee982d1a-a657-4cf2-996c-a3d03a6f25aa",
		                     .vendor_id = "",
		                     .block_size = 512,
		                     .max_sectors = 1024 };
	struct lun *hung;
	AUTO(rig) struct rig *disk = rig_new(512, 100); /* its backend is the hung one's */
	rig_leave(disk, LUN_FAILED);
	disk->fake->hold = true;
	ASSERT_EQ(lun_new(&config, &hung), 0);
	lun_serve(hung, &disk->fake->backend);
	const struct lun_mapping mappings[] = { { .number = 0, .lun = rig->lun },
		                                { .number = 1, .lun = hung } };
	bool changed = false, quiesced = false;
	ASSERT_EQ(nexus_change_map(rig->nexuses[0], mappings, 2, set_flag, &changed), 0);
	rig_turn(rig);
	ASSERT_TRUE(changed);
	for (int i = 0; i < 2; i++) { /* REPORTED LUNS DATA HAS CHANGED, and after it */
		command_fill(&a, rig->nexuses[0], CDB(0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0), 512);
		a.task.lun[1] = 1;
		command_start(&a, NULL);
		rig_turn(rig);
	}
	ASSERT_EQ(disk->fake->held_count, 1);
	RUN(rig, &b, CDB(0, 0, 0, 0, 0, 0), 0, NULL);
	RUN(rig, &b, CDB(0x16, 0, 0, 0, 0, 0), 0, NULL); /* RESERVE(6) at the good one */
	assert_good(&b);

	stop_old(rig, &pair);
	follow(&pair);
	/* The end of the session has reached the LUN where nothing hangs. */
	command_run(rig, &b, 1, CDB(0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0), 512, NULL);
	assert_good(&b);
	read_start(&c, pair.new, 0, 1, 512);
	rig_turn(rig);
	assert_good(&c);
	ASSERT_FALSE(pair.ended);

	fake_complete(disk->fake, 0);
	rig_turn(rig);
	pair_end(&pair);
	lun_quiesce(hung, LUN_FAILED, set_flag, &quiesced);
	ASSERT_TRUE(quiesced);
	lun_put(hung);
}

TEST(who_waits_too_long_is_told_busy)
{
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	struct pair pair;
	follow_with_write(rig, &pair);
	write_start(&b, pair.new, 3, 1, 512, out);
	rig_advance(rig, 2000);
	read_start(&c, pair.new, 3, 1, 512);
	rig_advance(rig, 900);
	ASSERT_TRUE(is_running(&b));
	rig_advance(rig, 200);
	assert_status(&b, SCSI_BUSY);
	ASSERT_TRUE(is_running(&c));
	rig_advance(rig, 1900);
	assert_status(&c, SCSI_BUSY);
	ASSERT_EQ(rig->fake->held_count, 1);

	read_start(&d, pair.new, 3, 1, 512); /* and when it is over all is well */
	old_write_ends(rig);
	assert_good(&d);
	ASSERT_EQ(rig->fake->count[IO_WRITE], 1);
	rig_advance(rig, 10000);
	pair_end(&pair);
}

TEST(what_came_with_late_data_is_not_kept_for_longer)
{
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	struct pair pair;
	follow_with_write(rig, &pair);
	command_fill(&b, pair.new, CDB(0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0), -512);
	ASSERT_EQ(scsi_task_begin(&b.task), SCSI_BEGIN_NEEDS_DATA);
	rig_advance(rig, 2500);
	read_start(&c, pair.new, 3, 1, 512); /* its time is up later */
	b.task.data = buffer_get(reactor_buffers(rig->reactors[1]), 512);
	memset(b.task.data->data, 0, 512);
	scsi_task_execute(&b.task);
	rig_advance(rig, 600);
	assert_status(&b, SCSI_BUSY);
	ASSERT_TRUE(is_running(&c));
	old_write_ends(rig);
	assert_good(&c);
	pair_end(&pair);
}

TEST(several_logins_wait_for_the_first_one)
{
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	struct pair pair;
	rig->fake->hold = true;
	write_start(&a, rig->nexuses[0], 3, 1, 512, out);
	rig_turn(rig);
	stop_old(rig, &pair);
	for (unsigned i = 0; i < 100; i++) {
		follow(&pair);
		write_start(&b, pair.new, 4, 1, 512, out);
		rig_turn(rig);
		ASSERT_TRUE(is_running(&b));
		rig_stop(rig, pair.new); /* nothing of it is at the backend: it ends at once */
		ASSERT_TRUE(b.task.aborted);
	}
	follow(&pair);
	read_start(&c, pair.new, 3, 1, 512);
	rig_turn(rig);
	ASSERT_EQ(rig->fake->held_count, 1);
	old_write_ends(rig);
	assert_good(&c);
	ASSERT_EQ(rig->fake->count[IO_WRITE], 1);
	pair_end(&pair);
}

TEST(each_waits_for_all_before_it)
{
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	struct pair first, second;
	rig->fake->hold = true;
	write_start(&a, rig->nexuses[0], 3, 1, 512, out);
	rig_turn(rig);
	/* The second has a write of its own at the backend, since it came before the first went. */
	rig->nexuses[0] = rig_nexus(rig, 1, RIG_INITIATOR, 1);
	write_start(&b, rig->nexuses[0], 4, 1, 512, out);
	rig_turn(rig);
	ASSERT_EQ(rig->fake->held_count, 2);
	stop_old(rig, &second);
	first = (struct pair){ .rig = rig, .old = a.task.nexus };
	nexus_stop(first.old, set_flag, &first.ended);
	follow(&second);
	read_start(&c, second.new, 3, 1, 512);
	rig_turn(rig);
	ASSERT_EQ(rig->fake->held_count, 2);
	fake_complete(rig->fake, 0);
	rig_turn(rig);
	ASSERT_TRUE(first.ended);
	ASSERT_EQ(rig->fake->held_count, 1);
	old_write_ends(rig);
	assert_good(&c);
	nexus_free(first.old);
	pair_end(&second);
}

TEST(what_is_at_the_owner_is_waited_for)
{
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	struct pair pair;
	rig_leave(rig, LUN_HELD);
	rig_forward(rig, 1, 5);
	write_start(&a, rig->nexuses[0], 3, 1, 512, out);
	rig_turn(rig);
	stop_old(rig, &pair);
	ASSERT_EQ(rig->relay.cancelled, 1);
	struct lun_mapping mapping = { .number = 0, .lun = rig->lun };
	struct nexus_config config = { .initiator_name = RIG_INITIATOR,
		                       .isid = { 0x00, 0x02, 0x3d, 0, 0, 1 },
		                       .port = &rig->port,
		                       .reactor = rig->reactors[1],
		                       .mappings = &mapping,
		                       .mapping_count = 1 };
	ASSERT_EQ(nexus_new(&config, &pair.new), 0);
	command_fill(&b, pair.new, CDB(0, 0, 0, 0, 0, 0), 0);
	command_start(&b, NULL);
	rig_turn(rig);
	assert_sense(&b, 0x062901);
	read_start(&b, pair.new, 3, 1, 512);
	rig_turn(rig);
	ASSERT_EQ(rig->relay.task_count, 1);
	fake_relay_return(&rig->relay, 0, RELAY_ABORTED);
	rig_turn(rig);
	ASSERT_TRUE(pair.ended);
	ASSERT_EQ(rig->relay.task_count, 1);
	fake_relay_answer(&rig->relay, 0, SCSI_GOOD, 7);
	rig_turn(rig);
	assert_good(&b);
	pair_end(&pair);
}

TEST(at_the_owner_a_proxy_waits_for_the_one_before_it)
{
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	struct nexus *old, *new;
	struct scsi_port port = rig->port;
	struct lun_mapping mapping = { .number = 0, .lun = rig->lun };
	bool ended = false;
	rig_leave(rig, LUN_HELD);
	rig_serve(rig, 5);
	port.tag = 2;
	struct nexus_config config = { .initiator_name = RIG_INITIATOR,
		                       .port = &port,
		                       .reactor = rig->reactors[0],
		                       .proxy = true };
	ASSERT_EQ(nexus_new(&config, &old), 0);
	config.reactor = rig->reactors[1];
	ASSERT_EQ(nexus_new(&config, &new), 0);
	ASSERT_EQ(nexus_add_mapping(old, &mapping), 0);
	ASSERT_EQ(nexus_add_mapping(new, &mapping), 0);
	rig->fake->hold = true;
	command_fill(&a, old, CDB(0x2a, 0, 0, 0, 0, 3, 0, 0, 1, 0), -512);
	a.task.epoch = 5;
	command_start(&a, out);
	rig_turn(rig);
	nexus_stop(old, set_flag, &ended); /* its gateway has begun a new life */
	command_fill(&b, new, CDB(0x28, 0, 0, 0, 0, 3, 0, 0, 1, 0), 512);
	b.task.epoch = 5;
	command_start(&b, NULL);
	rig_turn(rig);
	ASSERT_EQ(rig->fake->held_count, 1);
	old_write_ends(rig);
	ASSERT_TRUE(ended);
	assert_good(&b);
	nexus_free(old);
	rig_stop(rig, new);
}

/* ---- task management ---- */

TEST(an_abort_of_what_waits_is_answered_at_once)
{
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	struct pair pair;
	struct command_management abort;
	follow_with_write(rig, &pair);
	write_start(&b, pair.new, 3, 1, 512, out);
	rig_turn(rig);
	manage(&abort, pair.new, TMF_ABORT_TASK, &b.task);
	rig_turn(rig);
	ASSERT_EQ(abort.done, 1);
	ASSERT_EQ(abort.tmf.response, TMF_COMPLETE);
	ASSERT_TRUE(b.task.aborted);
	old_write_ends(rig);
	ASSERT_EQ(rig->fake->count[IO_WRITE], 1);
	pair_end(&pair);
}

TEST(what_speaks_of_all_tasks_of_the_nexus_waits_for_the_old_ones)
{
	static const enum task_function functions[] = { TMF_ABORT_TASK_SET, TMF_CLEAR_TASK_SET,
		                                        TMF_LUN_RESET, TMF_TARGET_WARM_RESET };
	for (size_t i = 0; i < ARRAY_LEN(functions); i++) {
		AUTO(rig) struct rig *rig = rig_new(512, 100);
		struct pair pair;
		struct command_management request;
		TEST_ROW("function %d", functions[i]);
		rig->fake->hold = true;
		write_start(&a, rig->nexuses[0], 3, 1, 512, out);
		read_start(&c, rig->nexuses[1], 3, 1, 512); /* somebody else's */
		rig_turn(rig);
		stop_old(rig, &pair);
		follow(&pair);
		write_start(&b, pair.new, 3, 1, 512, out);
		rig_turn(rig);
		manage(&request, pair.new, functions[i], NULL);
		rig_turn(rig);
		ASSERT_EQ(request.done, 0);
		ASSERT_TRUE(b.task.aborted);
		fake_complete(rig->fake, 0);
		rig_turn(rig);
		ASSERT_EQ(request.done, functions[i] == TMF_ABORT_TASK_SET);
		old_write_ends(rig);
		ASSERT_EQ(request.done, 1);
		ASSERT_EQ(request.tmf.response, TMF_COMPLETE);
		ASSERT_EQ(c.done, 1);
		ASSERT_EQ(c.task.status,
		          functions[i] == TMF_ABORT_TASK_SET ? SCSI_GOOD : SCSI_TASK_ABORTED);
		pair_end(&pair);
	}
}

/* ---- what belongs to the name ---- */

static void persistent_out(struct rig *rig, struct nexus *nexus, uint8_t action, uint8_t type,
                           uint64_t key, uint64_t action_key)
{
	uint8_t list[24] = { 0 };
	put_be64(list, key);
	put_be64(list + 8, action_key);
	command_fill(&d, nexus, CDB(0x5f, action, type, 0, 0, 0, 0, 0, 24, 0), -24);
	command_start(&d, list);
	rig_turn(rig);
}

TEST(registrations_bind_to_the_new_one)
{
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	struct pair pair;
	persistent_out(rig, rig->nexuses[0], 0, 0, 0, 0xa);
	assert_good(&d);
	persistent_out(rig, rig->nexuses[0], 1, 3, 0xa, 0); /* EXCLUSIVE ACCESS */
	assert_good(&d);
	follow_with_write(rig, &pair);
	write_start(&b, pair.new, 3, 1, 512, out);
	read_start(&c, rig->nexuses[1], 3, 1, 512);
	rig_turn(rig);
	assert_status(&c, SCSI_RESERVATION_CONFLICT);
	old_write_ends(rig);
	assert_good(&b);
	pair_end(&pair);
}

TEST(reserve_ends_with_the_session_that_made_it)
{
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	struct pair pair;
	RUN(rig, &b, CDB(0x16, 0, 0, 0, 0, 0), 0, NULL);
	assert_good(&b);
	follow_with_write(rig, &pair);
	command_run(rig, &c, 1, CDB(0, 0, 0, 0, 0, 0), 0, NULL);
	assert_status(&c, SCSI_RESERVATION_CONFLICT); /* its write may still land */
	old_write_ends(rig);
	ASSERT_TRUE(pair.ended);
	command_run(rig, &c, 1, CDB(0, 0, 0, 0, 0, 0), 0, NULL);
	assert_good(&c);
	pair_end(&pair);
}

TEST(what_the_new_one_has_reserved_outlives_the_old_one)
{
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	struct pair pair;
	bool old_reserves[] = { false, true };
	for (size_t i = 0; i < ARRAY_LEN(old_reserves); i++) {
		TEST_ROW("%s", old_reserves[i] ? "reserved by both" : "by the new one");
		if (old_reserves[i]) {
			RUN(rig, &b, CDB(0x16, 0, 0, 0, 0, 0), 0, NULL);
			assert_good(&b);
		}
		/* As proxies do, that come by two channels: it is there before the old one goes. */
		struct nexus *new = rig_nexus(rig, 1, RIG_INITIATOR, 1);
		command_fill(&b, new, CDB(0x16, 0, 0, 0, 0, 0), 0);
		command_start(&b, NULL);
		rig_turn(rig);
		assert_good(&b);
		stop_old(rig, &pair);
		rig_turn(rig);
		ASSERT_TRUE(pair.ended);
		nexus_free(pair.old);
		command_run(rig, &c, 1, CDB(0, 0, 0, 0, 0, 0), 0, NULL);
		assert_status(&c, SCSI_RESERVATION_CONFLICT);
		rig_stop(rig, new);
		command_run(rig, &c, 1, CDB(0, 0, 0, 0, 0, 0), 0, NULL);
		assert_good(&c);
		rig->nexuses[0] = rig_nexus(rig, 0, RIG_INITIATOR, 1);
	}
}

TEST(the_attention_of_a_new_nexus_is_told_once)
{
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	struct pair pair;
	rig->fake->hold = true;
	write_start(&a, rig->nexuses[0], 3, 1, 512, out);
	rig_turn(rig);
	stop_old(rig, &pair);
	follow(&pair); /* takes one */
	command_fill(&b, pair.new, CDB(0, 0, 0, 0, 0, 0), 0);
	command_start(&b, NULL);
	rig_turn(rig);
	assert_good(&b);
	old_write_ends(rig);
	command_fill(&b, pair.new, CDB(0, 0, 0, 0, 0, 0), 0);
	command_start(&b, NULL);
	rig_turn(rig);
	assert_good(&b);
	pair_end(&pair);
}
