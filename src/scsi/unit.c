/* Commands about the unit itself: TEST UNIT READY, REQUEST SENSE, START STOP UNIT, PREVENT ALLOW
 * MEDIUM REMOVAL, SEND DIAGNOSTIC. */
#include "base/bytes.h"
#include "scsi/execute.h"
#include "scsi/handlers.h"

/* The checks before it have said all: this path can do I/O now. */
void test_unit_ready_run(struct scsi_task *task)
{
	task_end_good(task);
}

void request_sense_run(struct scsi_task *task)
{
	struct itl *itl = task->state.itl;
	enum sense_code code = itl ? itl_take_attention(itl) : SENSE_LUN_NOT_SUPPORTED;
	uint8_t *p = task_reply_start(task, SENSE_MAX_LEN);
	if (!p)
		return;
	task_reply_end(task, sense_put(p, code, task->cdb[1] & 0x01, NULL));
}

/* Stopping a disk that other hosts use would be no favour: STOP has no effect. */
void start_stop_run(struct scsi_task *task)
{
	if (task->cdb[4] & 0xf0)
		task_end_bad_cdb(task, 4, 7); /* POWER CONDITION */
	else if (task->cdb[4] & 0x02)
		task_end_bad_cdb(task, 4, 1); /* LOEJ: the medium is fixed */
	else
		task_end_good(task);
}

void prevent_allow_run(struct scsi_task *task)
{
	task->state.itl->prevents_removal = task->cdb[4] & 0x03;
	task_end_good(task);
}

/* The default self-test: nothing to test that I/O does not test all the time. */
void send_diagnostic_run(struct scsi_task *task)
{
	bool self_test = task->cdb[1] & 0x04;
	if (!self_test && task->data_out_len)
		task_end_bad_cdb(task, 3, 8); /* no diagnostic page is supported */
	else
		task_end_good(task);
}
