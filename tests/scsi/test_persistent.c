/* Persistent reservations: A and B are two nexuses on two reactors. */
#include "fixture.h"

#include <string.h>

enum { A, B };
enum { REGISTER, RESERVE, RELEASE, CLEAR, PREEMPT, PREEMPT_AND_ABORT, REGISTER_AND_IGNORE };

static struct command c;

static void order(struct rig *rig, unsigned nexus, uint8_t action, uint8_t type, uint64_t key,
                  uint64_t action_key)
{
	uint8_t list[24] = { 0 };
	put_be64(list, key);
	put_be64(list + 8, action_key);
	command_run(rig, &c, nexus, CDB(0x5f, action, type, 0, 0, 0, 0, 0, 24, 0), -24, list);
}

static void in(struct rig *rig, unsigned nexus, uint8_t action)
{
	command_run(rig, &c, nexus, CDB(0x5e, action, 0, 0, 0, 0, 0, 4, 0, 0), 1024, NULL);
	assert_good(&c);
}

static struct rig *rig_registered(void)
{
	struct rig *rig = rig_new(512, 100);
	order(rig, A, REGISTER, 0, 0, 0x11);
	assert_good(&c);
	order(rig, B, REGISTER_AND_IGNORE, 0, 0x99, 0x22);
	assert_good(&c);
	return rig;
}

static bool allowed(struct rig *rig, unsigned nexus, bool writes)
{
	command_run(rig, &c, nexus, CDB(writes ? 0x2a : 0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0),
	            writes ? -512 : 512, NULL);
	if (c.task.status != SCSI_RESERVATION_CONFLICT)
		assert_good(&c);
	return c.task.status == SCSI_GOOD;
}

TEST(keys_are_registered_changed_and_removed)
{
	AUTO(rig) struct rig *rig = rig_registered();
	in(rig, A, 0);
	ASSERT_EQ(get_be32(c.in), 2);
	ASSERT_EQ(get_be32(c.in + 4), 16);
	ASSERT_EQ(get_be64(c.in + 8), 0x11);
	ASSERT_EQ(get_be64(c.in + 16), 0x22);
	command_run(rig, &c, A, CDB(0x5e, 0, 0, 0, 0, 0, 0, 0, 8, 0), 8, NULL);
	ASSERT_EQ(get_be32(c.in + 4), 16); /* cut, but not in its length field */

	order(rig, A, REGISTER, 0, 0x12, 0x13);
	assert_status(&c, SCSI_RESERVATION_CONFLICT);
	order(rig, A, REGISTER, 0, 0x11, 0x13);
	assert_good(&c);
	order(rig, A, REGISTER, 0, 0x13, 0);
	assert_good(&c);
	order(rig, A, REGISTER, 0, 0, 0); /* not registered, nothing to do */
	assert_good(&c);
	in(rig, B, 0);
	ASSERT_EQ(get_be32(c.in), 4);
	ASSERT_EQ(get_be32(c.in + 4), 8);
}

TEST(each_type_allows_what_the_table_says)
{
	static const struct {
		uint8_t type;
		bool registered_read, registered_write, other_read, other_write;
	} rows[] = {
		{ 1, true, false, true, false }, { 3, false, false, false, false },
		{ 5, true, true, true, false },  { 6, true, true, false, false },
		{ 7, true, true, true, false },  { 8, true, true, false, false },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		TEST_ROW("type %d", rows[i].type);
		AUTO(rig) struct rig *rig = rig_registered();
		order(rig, A, RESERVE, rows[i].type, 0x11, 0);
		assert_good(&c);
		in(rig, B, 1);
		ASSERT_EQ(get_be64(c.in + 8), rows[i].type >= 7 ? 0 : 0x11);
		ASSERT_EQ(c.in[21], rows[i].type);
		ASSERT_TRUE(allowed(rig, A, true));
		ASSERT_EQ(allowed(rig, B, false), rows[i].registered_read);
		ASSERT_EQ(allowed(rig, B, true), rows[i].registered_write);
		order(rig, B, REGISTER, 0, 0x22, 0);
		assert_good(&c);
		ASSERT_EQ(allowed(rig, B, false), rows[i].other_read);
		ASSERT_EQ(allowed(rig, B, true), rows[i].other_write);
		command_run(rig, &c, B, CDB(0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0), 8, NULL);
		assert_good(&c);
	}
}

TEST(only_registered_nexuses_reserve_and_only_holders_release)
{
	AUTO(rig) struct rig *rig = rig_registered();
	order(rig, A, RESERVE, 1, 0x12, 0);
	assert_status(&c, SCSI_RESERVATION_CONFLICT);
	order(rig, A, RESERVE, 2, 0x11, 0);
	assert_sense(&c, 0x052400);
	for (int twice = 0; twice < 2; twice++) {
		order(rig, A, RESERVE, 1, 0x11, 0);
		assert_good(&c);
	}
	order(rig, B, RESERVE, 1, 0x22, 0);
	assert_status(&c, SCSI_RESERVATION_CONFLICT);
	order(rig, B, RELEASE, 1, 0x22, 0);
	assert_good(&c);
	order(rig, A, RELEASE, 3, 0x11, 0);
	assert_sense(&c, 0x052604);
	order(rig, A, RELEASE, 1, 0x11, 0);
	assert_good(&c);
	ASSERT_TRUE(allowed(rig, B, true));
}

TEST(releasing_what_registrants_share_is_told)
{
	AUTO(rig) struct rig *rig = rig_registered();
	order(rig, A, RESERVE, 5, 0x11, 0);
	order(rig, A, RELEASE, 5, 0x11, 0);
	assert_good(&c);
	command_run(rig, &c, B, CDB(0, 0, 0, 0, 0, 0), 0, NULL);
	assert_sense(&c, 0x062a04);
	command_run(rig, &c, A, CDB(0, 0, 0, 0, 0, 0), 0, NULL);
	assert_good(&c);
}

TEST(unregistering_the_holder_releases_unless_all_registrants_hold)
{
	static const struct {
		uint8_t type;
		bool kept, told;
	} rows[] = { { 1, false, false }, { 3, false, false }, { 5, false, true },
		     { 6, false, true },  { 7, true, false },  { 8, true, false } };
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		TEST_ROW("type %d", rows[i].type);
		AUTO(rig) struct rig *rig = rig_registered();
		order(rig, A, RESERVE, rows[i].type, 0x11, 0);
		order(rig, A, REGISTER, 0, 0x11, 0);
		assert_good(&c);
		if (rows[i].told) {
			command_run(rig, &c, B, CDB(0, 0, 0, 0, 0, 0), 0, NULL);
			assert_sense(&c, 0x062a04);
		}
		in(rig, B, 1);
		ASSERT_EQ(get_be32(c.in + 4), rows[i].kept ? 16 : 0);
		order(rig, B, RELEASE, rows[i].type, 0x22, 0);
		assert_good(&c);
		in(rig, B, 1);
		ASSERT_EQ(get_be32(c.in + 4), 0);
	}
}

TEST(clear_removes_everything_and_counts)
{
	AUTO(rig) struct rig *rig = rig_registered();
	order(rig, A, RESERVE, 1, 0x11, 0);
	order(rig, B, CLEAR, 0, 0x22, 0);
	assert_good(&c);
	command_run(rig, &c, A, CDB(0, 0, 0, 0, 0, 0), 0, NULL);
	assert_sense(&c, 0x062a03);
	in(rig, A, 0);
	ASSERT_EQ(get_be32(c.in), 3);
	ASSERT_EQ(get_be32(c.in + 4), 0);
	ASSERT_TRUE(allowed(rig, A, true));
}

TEST(preempt_takes_the_reservation_and_tells_the_loser)
{
	AUTO(rig) struct rig *rig = rig_registered();
	order(rig, A, RESERVE, 3, 0x11, 0);
	order(rig, B, PREEMPT, 3, 0x22, 0x33);
	assert_status(&c, SCSI_RESERVATION_CONFLICT); /* nobody has that key */
	order(rig, B, PREEMPT, 3, 0x22, 0);
	assert_sense(&c, 0x052600);
	order(rig, B, PREEMPT, 5, 0x22, 0x11);
	assert_good(&c);
	command_run(rig, &c, A, CDB(0, 0, 0, 0, 0, 0), 0, NULL);
	assert_sense(&c, 0x062a05);
	ASSERT_FALSE(allowed(rig, A, true));
	ASSERT_TRUE(allowed(rig, B, true));
	in(rig, B, 1);
	ASSERT_EQ(get_be64(c.in + 8), 0x22);
	ASSERT_EQ(c.in[21], 5);
}

TEST(preempt_of_a_bystander_leaves_the_reservation)
{
	AUTO(rig) struct rig *rig = rig_registered();
	order(rig, A, RESERVE, 1, 0x11, 0);
	order(rig, A, PREEMPT, 3, 0x11, 0x22);
	assert_good(&c);
	in(rig, A, 1);
	ASSERT_EQ(c.in[21], 1);
	in(rig, A, 0);
	ASSERT_EQ(get_be32(c.in + 4), 8);
}

TEST(preempt_and_abort_answers_when_the_losers_tasks_have_ended)
{
	AUTO(rig) struct rig *rig = rig_registered();
	static struct command write, preempt;
	uint8_t list[24] = { [7] = 0x22, [15] = 0x11 };
	order(rig, A, RESERVE, 5, 0x11, 0);
	rig->fake->hold = true;
	write_start(&write, rig->nexuses[A], 0, 1, 512, NULL);
	command_fill(&preempt, rig->nexuses[B], CDB(0x5f, 5, 5, 0, 0, 0, 0, 0, 24, 0), -24);
	command_start(&preempt, list);
	rig_turn(rig);
	ASSERT_EQ(preempt.done, 0);
	fake_complete(rig->fake, 0);
	rig_turn(rig);
	assert_good(&preempt);
	assert_status(&write, SCSI_TASK_ABORTED);
}

TEST(full_status_names_every_nexus)
{
	AUTO(rig) struct rig *rig = rig_registered();
	order(rig, A, RESERVE, 1, 0x11, 0);
	in(rig, B, 3);
	static const char name[] = "iqn.1994-05.com.redhat:rh7-client,i,0x00023d000001";
	ASSERT_EQ(get_be64(c.in + 8), 0x11);
	ASSERT_EQ(c.in[20], 0x01);
	ASSERT_EQ(c.in[21], 0x01);
	ASSERT_EQ(get_be16(c.in + 26), 1);
	ASSERT_EQ(get_be32(c.in + 28), 56);
	ASSERT_EQ(c.in[32], 0x45);
	ASSERT_EQ(get_be16(c.in + 34), 52);
	ASSERT_STR_EQ((char *)c.in + 36, name);
	ASSERT_EQ(get_be64(c.in + 88), 0x22);
	ASSERT_EQ(get_be32(c.in + 4), 24 + 56 + 24 + get_be32(c.in + 88 + 20));
}

TEST(malformed_orders_are_refused)
{
	AUTO(rig) struct rig *rig = rig_registered();
	static const struct {
		uint8_t flag;
		uint32_t sense;
	} flags[] = { { 0x08, 0x051a00 }, { 0x01, 0x052600 } }; /* SPEC_I_PT alone, APTPL */
	for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
		uint8_t list[24] = { [7] = 0x11, [15] = 0x12, [20] = flags[i].flag };
		RUN(rig, &c, CDB(0x5f, 0, 0, 0, 0, 0, 0, 0, 24, 0), -24, list);
		assert_sense(&c, flags[i].sense);
	}
	RUN(rig, &c, CDB(0x5f, 7, 0, 0, 0, 0, 0, 0, 24, 0), -24, NULL);
	assert_sense(&c, 0x051a00);
	RUN(rig, &c, CDB(0x5f, 0, 0, 0, 0, 0, 0, 0, 20, 0), -20, NULL);
	assert_sense(&c, 0x051a00);
	RUN(rig, &c, CDB(0x5f, 0, 0, 0, 0, 0, 0, 0, 0, 0), 0, NULL);
	assert_sense(&c, 0x051a00);
	RUN(rig, &c, CDB(0x5f, 0, 0, 0, 0, 0, 0, 0, 24, 0), -20, NULL);
	assert_sense(&c, 0x051a00);
	for (uint8_t action = 8; action < 0x20; action++) {
		RUN(rig, &c, CDB(0x5f, action, 0, 0, 0, 0, 0, 0, 24, 0), -24, NULL);
		assert_sense(&c, 0x052400);
		RUN(rig, &c, CDB(0x5e, action, 0, 0, 0, 0, 0, 0, 24, 0), 24, NULL);
		assert_sense(&c, 0x052400);
	}
	RUN(rig, &c, CDB(0x5f, 1, 0x11, 0, 0, 0, 0, 0, 24, 0), -24, NULL); /* scope */
	assert_sense(&c, 0x052400);
}

TEST(reserve_6_and_persistent_reservations_respect_each_other)
{
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	RUN(rig, &c, CDB(0x16, 0, 0, 0, 0, 0), 0, NULL);
	assert_good(&c);
	order(rig, A, REGISTER, 0, 0, 0x11);
	assert_status(&c, SCSI_RESERVATION_CONFLICT); /* for the owner, too */
	RUN(rig, &c, CDB(0x5e, 0, 0, 0, 0, 0, 0, 0, 8, 0), 8, NULL);
	assert_status(&c, SCSI_RESERVATION_CONFLICT);
	RUN(rig, &c, CDB(0x17, 0, 0, 0, 0, 0), 0, NULL);
	order(rig, A, REGISTER, 0, 0, 0x11);
	assert_good(&c);
	order(rig, A, RESERVE, 1, 0x11, 0);
	assert_good(&c);
	RUN(rig, &c, CDB(0x16, 0, 0, 0, 0, 0), 0, NULL); /* the holder: no effect */
	assert_good(&c);
	command_run(rig, &c, B, CDB(0x16, 0, 0, 0, 0, 0), 0, NULL);
	assert_status(&c, SCSI_RESERVATION_CONFLICT);
}

TEST(registrations_outlive_their_nexus)
{
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	struct nexus *first = rig_nexus(rig, 0, "iqn.2000-01.test:host", 7);
	uint8_t list[24] = { [15] = 0x77 };
	command_fill(&c, first, CDB(0x5f, 0, 0, 0, 0, 0, 0, 0, 24, 0), -24);
	command_start(&c, list);
	rig_turn(rig);
	assert_good(&c);
	rig_stop(rig, first);
	struct nexus *again = rig_nexus(rig, 1, "IQN.2000-01.test:host", 7);
	list[7] = 0x77;
	list[15] = 0;
	command_fill(&c, again, CDB(0x5f, 1, 3, 0, 0, 0, 0, 0, 24, 0), -24);
	command_start(&c, list);
	rig_turn(rig);
	assert_good(&c);
	rig_stop(rig, again);
}
