/* How a task ends: status, sense, residual, data for the initiator. */
#include "base/bytes.h"
#include "base/log.h"
#include "scsi/execute.h"

#include <errno.h>
#include <string.h>

/* ---- status ---- */

static void set_residual(struct scsi_task *task, uint64_t has, uint64_t expected)
{
	uint64_t difference = has > expected ? has - expected : expected - has;
	task->residual_kind = has == expected  ? SCSI_NO_RESIDUAL
	                      : has < expected ? SCSI_UNDERFLOW
	                                       : SCSI_OVERFLOW;
	task->residual = difference > UINT32_MAX ? UINT32_MAX : (uint32_t)difference;
}

/* The residual of a command that failed: what it would have moved is not there. */
static void set_failed_residual(struct scsi_task *task)
{
	task->data_in_len = 0;
	if (task->state.phase == TASK_RUNNING && task->data_out_len)
		set_residual(task, task->state.cdb_bytes, task->expected_len);
	else
		set_residual(task, 0, task->expected_len);
}

void task_end_good(struct scsi_task *task)
{
	task->status = SCSI_GOOD;
	/* A read that came with the W bit: its data are dropped, and no residual says so. */
	bool crossed = task->wants_write && task->state.opcode->data == DATA_IN;
	if (!crossed)
		set_residual(task, task->state.cdb_bytes, task->expected_len);
	task_end(task);
}

void task_end_not_executed(struct scsi_task *task)
{
	task->not_executed = true;
	task_end_status(task, SCSI_BUSY);
}

void task_end_status(struct scsi_task *task, enum scsi_status status)
{
	task->status = (uint8_t)status;
	set_failed_residual(task);
	task_end(task);
}

void task_end_detail(struct scsi_task *task, enum sense_code code,
                     const struct sense_detail *detail)
{
	task->status = SCSI_CHECK_CONDITION;
	task->sense_len = (uint8_t)sense_put(task->sense, code, false, detail);
	set_failed_residual(task);
	if (code == SENSE_INVALID_INFORMATION_UNIT)
		set_residual(task, task->state.cdb_bytes, task->expected_len);
	task_end(task);
}

void task_end_check(struct scsi_task *task, enum sense_code code)
{
	task_end_detail(task, code, NULL);
}

void task_end_information(struct scsi_task *task, enum sense_code code, uint64_t information)
{
	task_end_detail(
	        task, code,
	        &(struct sense_detail){ .has_information = true, .information = information });
}

void task_end_bad_cdb(struct scsi_task *task, uint16_t byte, uint8_t bit)
{
	task_end_detail(task, SENSE_INVALID_FIELD_IN_CDB,
	                &(struct sense_detail){
	                        .has_pointer = true, .in_cdb = true, .byte = byte, .bit = bit });
}

void task_end_bad_list(struct scsi_task *task, uint16_t byte, uint8_t bit)
{
	task_end_detail(task, SENSE_INVALID_FIELD_IN_LIST,
	                &(struct sense_detail){ .has_pointer = true, .byte = byte, .bit = bit });
}

void task_end_full(struct scsi_task *task)
{
	const struct itl *itl = task->state.itl;
	bool alone = !itl || itl->tasks.next->next == &itl->tasks;
	task_end_status(task, alone ? SCSI_BUSY : SCSI_TASK_SET_FULL);
}

void task_end_failed(struct scsi_task *task, int result)
{
	bool writes = task->state.opcode->flags & OP_WRITES;
	log_limited(LOG_LEVEL_WARNING, 10000, "%s: %s of %s at LBA %llu failed: %s",
	            task_lun(task)->name, task->state.opcode->name, task->nexus->initiator_name,
	            (unsigned long long)task->state.lba, strerror(-result));
	switch (-result) {
	case ENOMEM:
	case EAGAIN:
		task_end_full(task);
		return;
	case ENOSPC:
	case EDQUOT:
		task_end_check(task, SENSE_SPACE_EXHAUSTED);
		return;
	case EROFS:
		task_end_check(task, SENSE_WRITE_PROTECTED);
		return;
	case ENOENT:
		task_end_check(task, SENSE_UNAVAILABLE);
		return;
	case EINVAL: /* both after our own checks: the image was shrunk from outside */
	case ERANGE:
		task_end_information(task, SENSE_LBA_OUT_OF_RANGE, task->state.lba);
		return;
	case ETIMEDOUT:
		/* A write may still land: saying anything would be a guess (H5). */
		if (writes)
			task->state.abort = ABORT_SILENT;
		task_end_status(task, SCSI_BUSY);
		return;
	default:
		task_end_information(task, writes ? SENSE_WRITE_ERROR : SENSE_READ_ERROR,
		                     task->state.lba);
	}
}

/* ---- data-in ---- */

uint8_t *task_reply_start(struct scsi_task *task, size_t max_len)
{
	task->data = buffer_get(reactor_buffers(task->nexus->reactor), max_len);
	if (!task->data) {
		task_end_full(task);
		return NULL;
	}
	memset(task->data->data, 0, max_len);
	return task->data->data;
}

void task_reply_end(struct scsi_task *task, uint64_t len)
{
	uint64_t has = len < task->state.cdb_bytes ? len : task->state.cdb_bytes;
	uint32_t expected = task->wants_read ? task->expected_len : 0;
	task->state.cdb_bytes = has;
	task->data_in_len = has < expected ? (uint32_t)has : expected;
	task_end_good(task);
}
