/* COMPARE AND WRITE and ORWRITE: read, decide, write, while nothing else may touch the range
 * [SBC-3 5.3, 5.9]. */
#include "base/bytes.h"
#include "scsi/execute.h"
#include "scsi/handlers.h"
#include "scsi/limits.h"

#define OR_PIECE_BYTES (1u << 20)

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

/* NUMBER OF BLOCKS is one byte: of an initiator that wants 256 blocks it says 0, and only the data
 * that it brings show that it wants too much. */
bool compare_write_check(struct scsi_task *task)
{
	uint64_t most = 2 * lun_bytes_of(task_lun(task), COMPARE_MAX_BLOCKS);
	if (task->state.blocks <= COMPARE_MAX_BLOCKS && task->expected_len <= most)
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

static void or_next(struct scsi_task *task);

static void or_read(struct scsi_task *task, int result)
{
	if (result < 0) {
		task_end_failed(task, result);
		return;
	}
	uint8_t *data = task->data->data + task->state.position;
	const uint8_t *is = task->state.scratch->data;
	for (uint64_t i = 0; i < task->state.io.length; i++)
		data[i] |= is[i];
	task->state.position += task->state.io.length;
	or_next(task);
}

/* Reads piece by piece, so that a large command needs little memory beside its data, and writes all
 * at once. */
static void or_next(struct scsi_task *task)
{
	uint64_t left = task->data_out_len - task->state.position;
	uint64_t at = offset_of(task) + task->state.position;
	if (left == 0)
		task_io(task, IO_WRITE, task_fua(task), offset_of(task), task->data_out_len,
		        task->data->data, written);
	else
		task_io(task, IO_READ, 0, at, left < OR_PIECE_BYTES ? left : OR_PIECE_BYTES,
		        task->state.scratch->data, or_read);
}

void orwrite_run(struct scsi_task *task)
{
	if (task->data_out_len == 0) {
		task_end_good(task);
		return;
	}
	if (task_scratch(task, OR_PIECE_BYTES))
		or_next(task);
}
