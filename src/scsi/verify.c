/* VERIFY and WRITE AND VERIFY [SBC-3 5.30, 5.38]: the medium is read in bounded pieces and compared
 * with what the initiator sent, or with nothing. */
#include "base/bytes.h"
#include "scsi/execute.h"
#include "scsi/handlers.h"
#include "scsi/limits.h"

#define PIECE_BYTES (1u << 20)

enum bytchk { BYTCHK_NONE, BYTCHK_ALL, BYTCHK_RESERVED, BYTCHK_ONE_BLOCK };

static enum bytchk bytchk_of(const struct scsi_task *task)
{
	return (enum bytchk)(task->cdb[1] >> 1 & 3);
}

bool verify_check(struct scsi_task *task)
{
	const struct lun *lun = task_lun(task);
	if (bytchk_of(task) == BYTCHK_RESERVED) {
		task_end_bad_cdb(task, 1, 2);
		return false;
	}
	if (bytchk_of(task) == BYTCHK_ALL && task->state.blocks > transfer_max_blocks(lun)) {
		task_end_bad_cdb(task, task->state.opcode->blocks.at, 8);
		return false;
	}
	return true;
}

bool write_verify_check(struct scsi_task *task)
{
	if (bytchk_of(task) == BYTCHK_NONE || bytchk_of(task) == BYTCHK_ALL)
		return true;
	task_end_bad_cdb(task, 1, 2);
	return false;
}

static void verify_piece(struct scsi_task *task);

/* The bytes that are looked at: all that the CDB names, or all that came. */
static uint64_t verify_len(const struct scsi_task *task)
{
	bool writes = task->state.opcode->flags & OP_WRITES;
	return writes ? task->data_out_len : lun_bytes_of(task_lun(task), task->state.blocks);
}

/* The offset of the first byte that differs, or len. */
static uint32_t first_difference(const struct scsi_task *task, uint32_t len)
{
	const uint8_t *is = task->state.scratch->data;
	bool one = !(task->state.opcode->flags & OP_WRITES) && bytchk_of(task) == BYTCHK_ONE_BLOCK;
	uint32_t block_mask = task_lun(task)->block_size - 1;
	const uint8_t *expected = task->data->data + (one ? 0 : task->state.position);
	if (!one && memcmp(is, expected, len) == 0)
		return len;
	uint32_t at = 0;
	while (at < len && is[at] == expected[one ? at & block_mask : at])
		at++;
	return at;
}

static void piece_read(struct scsi_task *task, int result)
{
	if (result < 0) {
		task_end_failed(task, result);
		return;
	}
	uint64_t left = verify_len(task) - task->state.position;
	uint32_t len = left < PIECE_BYTES ? (uint32_t)left : PIECE_BYTES;
	bool compares = task->data_out_len != 0;
	uint32_t same = compares ? first_difference(task, len) : len;
	if (same < len) {
		task_end_information(task, SENSE_MISCOMPARE, task->state.position + same);
		return;
	}
	task->state.position += len;
	verify_piece(task);
}

static void verify_piece(struct scsi_task *task)
{
	uint64_t left = verify_len(task) - task->state.position;
	if (left == 0) {
		task_end_good(task);
		return;
	}
	uint32_t mask = task_lun(task)->block_size - 1;
	uint32_t len = left < PIECE_BYTES ? ((uint32_t)left + mask) & ~mask : PIECE_BYTES;
	task_io(task, IO_READ, 0,
	        lun_bytes_of(task_lun(task), task->state.lba) + task->state.position, len,
	        task->state.scratch->data, piece_read);
}

static void verify_start(struct scsi_task *task)
{
	uint64_t len = verify_len(task);
	uint32_t mask = task_lun(task)->block_size - 1;
	size_t room = len < PIECE_BYTES ? ((size_t)len + mask) & ~(size_t)mask : PIECE_BYTES;
	if (task_scratch(task, room))
		verify_piece(task);
}

void verify_run(struct scsi_task *task)
{
	verify_start(task);
}

/* ---- WRITE AND VERIFY ---- */

static void write_done(struct scsi_task *task, int result)
{
	/* The scratch buffer of a partial write gives way to the one of the comparison. */
	buffer_put(steal(&task->state.scratch));
	if (result < 0)
		task_end_failed(task, result);
	else
		verify_start(task);
}

void write_verify_run(struct scsi_task *task)
{
	if (task->data_out_len == 0)
		task_end_good(task);
	else
		write_then(task, write_done);
}
