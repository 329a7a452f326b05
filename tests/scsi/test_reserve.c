/* RESERVE and RELEASE. */
#include "fixture.h"

#include "scsi/execute.h"
#include "scsi/reservation_turn.h"

#include <pthread.h>
#include <string.h>

#define ROUNDS 3000

static struct command c;

TEST(a_reserved_unit_answers_others_with_a_conflict)
{
	static const struct {
		const char *name;
		uint8_t cdb[12];
		bool allowed;
	} rows[] = {
		{ "TEST UNIT READY", { 0 }, false },
		{ "INQUIRY", { 0x12, 0, 0, 0, 36 }, true },
		{ "REPORT LUNS", { 0xa0, [9] = 16 }, true },
		{ "REQUEST SENSE", { 0x03, 0, 0, 0, 18 }, true },
		{ "RELEASE(6)", { 0x17 }, true },
		{ "RESERVE(6)", { 0x16 }, false },
		{ "MODE SENSE(6)", { 0x1a, 0, 0x3f, 0, 255 }, false },
		{ "READ CAPACITY(10)", { 0x25 }, false },
		{ "READ(10)", { 0x28, [8] = 1 }, false },
	};
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	for (unsigned ten = 0; ten < 2; ten++) {
		uint8_t reserve[10] = { ten ? 0x56 : 0x16 }, release[10] = { ten ? 0x57 : 0x17 };
		for (int twice = 0; twice < 2; twice++) {
			command_run(rig, &c, 0, reserve, 10, 0, NULL);
			assert_good(&c);
		}
		for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
			TEST_ROW("%s", rows[i].name);
			command_run(rig, &c, 1, rows[i].cdb, 12, 512, NULL);
			assert_status(&c, rows[i].allowed ? SCSI_GOOD : SCSI_RESERVATION_CONFLICT);
		}
		command_run(rig, &c, 0, CDB(0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0), 512, NULL);
		assert_good(&c);
		command_run(rig, &c, 0, release, 10, 0, NULL);
		assert_good(&c);
		command_run(rig, &c, 1, CDB(0, 0, 0, 0, 0, 0), 0, NULL);
		assert_good(&c);
	}
}

TEST(third_parties_and_extents_are_refused)
{
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	RUN(rig, &c, CDB(0x16, 0x10, 0, 0, 0, 0), 0, NULL);
	assert_sense(&c, 0x052400);
	RUN(rig, &c, CDB(0x56, 0x02, 0, 0, 0, 0, 0, 0, 0, 0), 0, NULL);
	assert_sense(&c, 0x052400);
}

TEST(a_reservation_counts_when_the_data_are_there)
{
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	static struct command write;
	command_fill(&write, rig->nexuses[1], CDB(0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0), -512);
	ASSERT_EQ(scsi_task_begin(&write.task), SCSI_BEGIN_NEEDS_DATA);
	RUN(rig, &c, CDB(0x16, 0, 0, 0, 0, 0), 0, NULL);
	assert_good(&c);
	write.task.data = buffer_get(reactor_buffers(rig->reactors[1]), 512);
	memset(write.task.data->data, 0, 512);
	scsi_task_execute(&write.task);
	rig_turn(rig);
	assert_status(&write, SCSI_RESERVATION_CONFLICT);
	ASSERT_EQ(rig->fake->count[IO_WRITE], 0);
}

static void spin(unsigned count)
{
	for (volatile unsigned i = 0; i < count; i++)
		;
}

struct race {
	struct rig *rig;
	pthread_barrier_t start;
	unsigned spins;
};

static void *detach(void *argument)
{
	struct race *race = argument;
	(void)pthread_barrier_wait(&race->start);
	spin(race->spins);
	(void)reactor_turn(race->rig->reactors[0], 0);
	return NULL;
}

/* As two proxies of one nexus, which came by two channels. What is checked does not depend on who
 * comes first. */
TEST(good_means_reserved_while_an_object_of_that_name_ends)
{
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	struct lun *lun = rig->lun;
	struct race race = { .rig = rig };
	ASSERT_EQ(pthread_barrier_init(&race.start, NULL, 2), 0);
	for (unsigned round = 0; round < ROUNDS; round++) {
		bool ended = false;
		pthread_t thread;
		struct nexus *old = rig_nexus(rig, 0, "iqn.two", 1);
		command_fill(&c, old, CDB(0x16, 0, 0, 0, 0, 0), 0);
		command_start(&c, NULL);
		rig_turn(rig);
		assert_good(&c);
		struct nexus *new = rig_nexus(rig, 1, "iqn.two", 1);
		lun->reservation_queue.busy = true; /* it comes while another one has its turn */
		command_fill(&c, new, CDB(0x16, 0, 0, 0, 0, 0), 0);
		command_start(&c, NULL);
		nexus_stop(old, set_flag, &ended);
		reservation_turn_end(lun);
		race.spins = round % 1000;
		ASSERT_EQ(pthread_create(&thread, NULL, detach, &race), 0);
		(void)pthread_barrier_wait(&race.start);
		spin(500);
		(void)reactor_turn(rig->reactors[1], 0);
		ASSERT_EQ(pthread_join(thread, NULL), 0);
		rig_turn(rig);
		ASSERT_TRUE(ended);
		assert_good(&c);
		ASSERT_TRUE(lun->reservations.reserved);
		nexus_free(old);
		rig_stop(rig, new);
		ASSERT_FALSE(lun->reservations.reserved);
	}
	(void)pthread_barrier_destroy(&race.start);
}
