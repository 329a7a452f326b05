/* COMPARE AND WRITE and ORWRITE: read, decide, write, while nothing else may touch the range
 * [SBC-3 5.3, 5.9]. */
#include "base/bytes.h"
#include "scsi/execute.h"
#include "scsi/handlers.h"
#include "scsi/limits.h"

static uint64_t offset_of(const struct scsi_task *task)
{
	return lun_bytes_of(task_lun(task), task->state.lba);
}

static void written(struct scsi_task *task, int result)
{
	if (result < 0)
		task_end_failed(task, result);
	else
		task_end_good(task);
}

/* ---- COMPARE AND WRITE ---- */

bool compare_write_check(struct scsi_task *task)
{
	if (task->state.blocks <= COMPARE_MAX_BLOCKS)
		return true;
	task_end_bad_cdb(task, 13, 8);
	return false;
}

static void compare_read(struct scsi_task *task, int result)
{
	if (result < 0) {
		task_end_failed(task, result);
		return;
	}
	uint32_t half = task->data_out_len / 2;
	const uint8_t *expected = task->data->data, *is = task->state.scratch->data;
	if (memcmp(expected, is, half) != 0) {
		uint32_t at = 0;
		while (expected[at] == is[at])
			at++;
		task_end_information(task, SENSE_MISCOMPARE, at);
		return;
	}
	task_io(task, IO_WRITE, task_fua(task), offset_of(task), half, task->data->data + half,
	        written);
}

void compare_write_run(struct scsi_task *task)
{
	uint32_t half = task->data_out_len / 2;
	if (half == 0) {
		task_end_good(task);
		return;
	}
	uint8_t *is = task_scratch(task, half);
	if (is)
		task_io(task, IO_READ, 0, offset_of(task), half, is, compare_read);
}

/* ---- ORWRITE ---- */

static void or_read(struct scsi_task *task, int result)
{
	if (result < 0) {
		task_end_failed(task, result);
		return;
	}
	uint8_t *data = task->data->data;
	const uint8_t *is = task->state.scratch->data;
	for (uint32_t i = 0; i < task->data_out_len; i++)
		data[i] |= is[i];
	task_io(task, IO_WRITE, task_fua(task), offset_of(task), task->data_out_len, data, written);
}

void orwrite_run(struct scsi_task *task)
{
	if (task->data_out_len == 0) {
		task_end_good(task);
		return;
	}
	uint8_t *is = task_scratch(task, task->data_out_len);
	if (is)
		task_io(task, IO_READ, 0, offset_of(task), task->data_out_len, is, or_read);
}
