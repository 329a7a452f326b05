/* READ and WRITE of every CDB length [SBC-3 5]. The backend reads into the buffer that the
 * transport sends, and writes from the one that it filled. */
#include "base/bytes.h"
#include "scsi/execute.h"
#include "scsi/handlers.h"

static uint64_t offset_of(const struct scsi_task *task)
{
	return lun_bytes_of(task_lun(task), task->state.lba);
}

static uint32_t round_up(const struct scsi_task *task, uint32_t bytes)
{
	uint32_t mask = task_lun(task)->block_size - 1;
	return (bytes + mask) & ~mask;
}

/* ---- READ ---- */

static void read_done(struct scsi_task *task, int result)
{
	if (result < 0) {
		task_end_failed(task, result);
		return;
	}
	uint64_t bytes = task->state.cdb_bytes;
	task->data_in_len = bytes < task->expected_len ? (uint32_t)bytes : task->expected_len;
	task_end_good(task);
}

void read_run(struct scsi_task *task)
{
	uint32_t expected = task->wants_read ? task->expected_len : 0;
	uint64_t bytes = task->state.cdb_bytes;
	if (bytes > expected)
		bytes = round_up(task, expected); /* no more than can be sent */
	if (bytes == 0) {
		task_end_good(task);
		return;
	}
	task->data = buffer_get(reactor_buffers(task->nexus->reactor), bytes);
	if (!task->data) {
		task_end_full(task);
		return;
	}
	task_io(task, IO_READ, 0, offset_of(task), bytes, task->data->data, read_done);
}

/* ---- WRITE ---- */

static void write_done(struct scsi_task *task, int result)
{
	if (result < 0)
		task_end_failed(task, result);
	else
		task_end_good(task);
}

/* The last block has been read: puts the new bytes over its start. */
static void tail_read(struct scsi_task *task, int result)
{
	if (result < 0) {
		task_end_failed(task, result);
		return;
	}
	uint32_t block = task_lun(task)->block_size;
	uint32_t part = task->data_out_len & (block - 1);
	uint32_t whole = task->data_out_len - part;
	memcpy(task->state.scratch->data, task->data->data + whole, part);
	task_io2(task, IO_WRITE, task_fua(task), offset_of(task),
	         (struct iovec){ .iov_base = task->data->data, .iov_len = whole },
	         (struct iovec){ .iov_base = task->state.scratch->data, .iov_len = block },
	         task->state.written);
}

/* Less came than the CDB says: exactly that is written, its last block by read, modify, write, with
 * the range locked [RFC 7143 11.4.5]. */
static void write_part(struct scsi_task *task, uint32_t part)
{
	uint32_t block = task_lun(task)->block_size;
	uint8_t *tail = task_scratch(task, block);
	if (!tail)
		return;
	uint32_t whole = task->data_out_len - part;
	task_io(task, IO_READ, 0, offset_of(task) + whole, block, tail, tail_read);
}

void write_then(struct scsi_task *task, void (*written)(struct scsi_task *task, int result))
{
	uint32_t part = task->data_out_len & (task_lun(task)->block_size - 1);
	task->state.written = written;
	if (part)
		write_part(task, part);
	else
		task_io(task, IO_WRITE, task_fua(task), offset_of(task), task->data_out_len,
		        task->data->data, written);
}

void write_run(struct scsi_task *task)
{
	if (task->data_out_len == 0)
		task_end_good(task);
	else
		write_then(task, write_done);
}
