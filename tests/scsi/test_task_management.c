/* Task management over two reactors: the answer never comes while a task may still write. */
#include "fixture.h"

#include <string.h>

static struct command a, b, c;
static uint8_t out[4096];

TEST(abort_task_waits_for_the_backend_and_gives_no_status)
{
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	struct command_management request;
	rig->fake->hold = true;
	write_start(&a, rig->nexuses[0], 0, 1, 512, out);
	write_start(&b, rig->nexuses[0], 9, 1, 512, out);
	manage(&request, rig->nexuses[0], TMF_ABORT_TASK, &a.task);
	rig_turn(rig);
	ASSERT_EQ(request.done, 0);
	fake_complete(rig->fake, 0);
	rig_turn(rig);
	ASSERT_EQ(request.done, 1);
	ASSERT_EQ(request.tmf.response, TMF_COMPLETE);
	ASSERT_EQ(a.done, 1);
	ASSERT_TRUE(a.task.aborted);
	ASSERT_EQ(b.done, 0);
	fake_complete(rig->fake, 0);
	rig_turn(rig);
	assert_good(&b);
}

TEST(abort_task_of_nothing_says_so)
{
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	struct command_management request;
	manage(&request, rig->nexuses[0], TMF_ABORT_TASK, NULL);
	rig_turn(rig);
	ASSERT_EQ(request.done, 1);
	ASSERT_EQ(request.tmf.response, TMF_NO_TASK);

	write_start(&a, rig->nexuses[0], 0, 1, 512, out);
	rig_turn(rig);
	assert_good(&a);
	manage(&request, rig->nexuses[0], TMF_ABORT_TASK, &a.task);
	rig_turn(rig);
	ASSERT_EQ(request.tmf.response, TMF_NO_TASK);
}

TEST(functions_answer_as_the_table_says)
{
	static const struct {
		enum task_function function;
		uint8_t lun;
		enum task_function_response response;
	} rows[] = {
		{ TMF_ABORT_TASK_SET, 0, TMF_COMPLETE },
		{ TMF_CLEAR_ACA, 0, TMF_NOT_SUPPORTED },
		{ TMF_CLEAR_TASK_SET, 0, TMF_COMPLETE },
		{ TMF_LUN_RESET, 0, TMF_COMPLETE },
		{ TMF_LUN_RESET, 7, TMF_NO_LUN },
		{ TMF_TARGET_WARM_RESET, 0, TMF_COMPLETE },
		{ TMF_TARGET_COLD_RESET, 0, TMF_NOT_SUPPORTED },
		{ TMF_TASK_REASSIGN, 0, TMF_NO_REASSIGN },
		{ 0, 0, TMF_NOT_SUPPORTED },
		{ 15, 0, TMF_NOT_SUPPORTED },
	};
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		TEST_ROW("function %d", rows[i].function);
		struct command_management request = { .tmf = { .function = rows[i].function,
			                                       .lun = { 0, rows[i].lun },
			                                       .done = management_done } };
		nexus_manage(rig->nexuses[0], &request.tmf);
		rig_turn(rig);
		ASSERT_EQ(request.done, 1);
		ASSERT_EQ(request.tmf.response, rows[i].response);
	}
}

TEST(a_task_that_waits_for_data_is_aborted_at_once)
{
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	struct command_management request;
	command_fill(&a, rig->nexuses[0], CDB(0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0), -512);
	ASSERT_EQ(scsi_task_begin(&a.task), SCSI_BEGIN_NEEDS_DATA);
	manage(&request, rig->nexuses[0], TMF_ABORT_TASK_SET, NULL);
	scsi_task_execute(&a.task); /* the data came in the same turn: too late */
	rig_turn(rig);
	ASSERT_EQ(request.done, 1);
	ASSERT_EQ(a.done, 1);
	ASSERT_TRUE(a.task.aborted);
	ASSERT_EQ(rig->fake->count[IO_WRITE], 0);
}

TEST(the_transport_can_give_up_on_a_task)
{
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	command_fill(&a, rig->nexuses[0], CDB(0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0), -512);
	ASSERT_EQ(scsi_task_begin(&a.task), SCSI_BEGIN_NEEDS_DATA);
	scsi_task_cancel(&a.task);
	ASSERT_EQ(a.done, 0);
	rig_turn(rig);
	ASSERT_EQ(a.done, 1);
	ASSERT_TRUE(a.task.aborted);
}

TEST(clear_task_set_reaches_the_other_reactor_and_waits_for_it)
{
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	struct command_management request;
	rig->fake->hold = true;
	write_start(&a, rig->nexuses[0], 0, 1, 512, out);
	write_start(&b, rig->nexuses[1], 1, 1, 512, out);
	manage(&request, rig->nexuses[0], TMF_CLEAR_TASK_SET, NULL);
	write_start(&c, rig->nexuses[0], 2, 1, 512, out); /* came later: not its business */
	rig_turn(rig);
	fake_complete(rig->fake, 0);
	rig_turn(rig);
	ASSERT_TRUE(a.done && a.task.aborted);
	ASSERT_EQ(request.done, 0);
	fake_complete(rig->fake, 0);
	rig_turn(rig);
	ASSERT_EQ(request.done, 1);
	assert_status(&b, SCSI_TASK_ABORTED);
	ASSERT_EQ(c.done, 0);
	fake_complete(rig->fake, 0);
	rig_turn(rig);
	assert_good(&c);
	command_run(rig, &b, 1, CDB(0, 0, 0, 0, 0, 0), 0, NULL);
	assert_good(&b); /* TAS=1: the status said it, no attention */
}

TEST(lun_reset_ends_all_tasks_and_tells_every_nexus)
{
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	struct command_management request;
	command_run(rig, &a, 1, CDB(0x16, 0, 0, 0, 0, 0), 0, NULL); /* RESERVE(6) */
	assert_good(&a);
	rig->fake->hold = true;
	write_start(&b, rig->nexuses[1], 1, 1, 512, out);
	manage(&request, rig->nexuses[0], TMF_LUN_RESET, NULL);
	rig_turn(rig);
	ASSERT_EQ(request.done, 0);
	fake_complete(rig->fake, 0);
	rig_turn(rig);
	ASSERT_EQ(request.done, 1);
	assert_status(&b, SCSI_TASK_ABORTED);
	for (unsigned i = 0; i < 2; i++) {
		TEST_ROW("nexus %u", i);
		command_run(rig, &a, i, CDB(0, 0, 0, 0, 0, 0), 0, NULL);
		assert_sense(&a, 0x062903);
		command_run(rig, &a, i, CDB(0, 0, 0, 0, 0, 0), 0, NULL);
		assert_good(&a); /* the reservation is gone, too */
	}
}

TEST(a_task_that_waits_for_its_range_is_taken_off_the_queue)
{
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	struct command_management request;
	rig->fake->hold = true;
	command_fill(&a, rig->nexuses[0], CDB(0x89, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0),
	             -1024);
	command_start(&a, NULL); /* holds block 0: its read is in the backend */
	write_start(&b, rig->nexuses[1], 0, 1, 512, out);
	rig_turn(rig);
	ASSERT_EQ(rig->fake->held_count, 1);
	manage(&request, rig->nexuses[1], TMF_ABORT_TASK, &b.task);
	rig_turn(rig);
	ASSERT_EQ(request.done, 1);
	ASSERT_TRUE(b.done && b.task.aborted);
	ASSERT_EQ(a.done, 0);
	rig->fake->hold = false;
	fake_complete(rig->fake, 0);
	rig_turn(rig);
	assert_good(&a);
	ASSERT_EQ(rig->fake->count[IO_WRITE], 1);
}

TEST(an_abort_stops_a_command_between_its_parts)
{
	AUTO(rig) struct rig *rig = rig_new(512, 100);
	struct command_management request;
	rig->fake->hold = true;
	command_fill(&a, rig->nexuses[0], CDB(0x89, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0),
	             -1024);
	command_start(&a, NULL);
	manage(&request, rig->nexuses[0], TMF_ABORT_TASK, &a.task);
	fake_complete(rig->fake, 0); /* the read */
	rig_turn(rig);
	ASSERT_EQ(request.done, 1);
	ASSERT_TRUE(a.done && a.task.aborted);
	ASSERT_EQ(rig->fake->count[IO_WRITE], 0);
}
