/* READ CAPACITY(10), READ CAPACITY(16) [SBC-3 5.15, 5.16] and GET LBA STATUS [SBC-3 5.6]. */
#include "base/bytes.h"
#include "scsi/execute.h"
#include "scsi/handlers.h"

#define PROVISIONING_READ_ZEROES 0xc000 /* LBPME, LBPRZ */

/* False: the size is not known here yet, and the task has been ended. */
static bool capacity_known(struct scsi_task *task)
{
	if (lun_blocks(task_lun(task)))
		return true;
	task_end_check(task, lun_get_state(task_lun(task)) == LUN_STANDBY ? SENSE_STANDBY
	                                                                  : SENSE_BECOMING_READY);
	return false;
}

void read_capacity10_run(struct scsi_task *task)
{
	if (task->cdb[8] & 0x01) {
		task_end_bad_cdb(task, 8, 0); /* PMI */
		return;
	}
	if (!capacity_known(task))
		return;
	uint8_t *p = task_reply_start(task, 8);
	if (!p)
		return;
	uint64_t last = lun_blocks(task_lun(task)) - 1;
	put_be32(p, last > UINT32_MAX ? UINT32_MAX : (uint32_t)last);
	put_be32(p + 4, task_lun(task)->block_size);
	task->state.cdb_bytes = 8; /* the CDB has no allocation length */
	task_reply_end(task, 8);
}

void read_capacity16_run(struct scsi_task *task)
{
	if (!capacity_known(task))
		return;
	uint8_t *p = task_reply_start(task, 32);
	if (!p)
		return;
	put_be64(p, lun_blocks(task_lun(task)) - 1);
	put_be32(p + 8, task_lun(task)->block_size);
	if (lun_is_thin(task_lun(task)))
		put_be16(p + 14, PROVISIONING_READ_ZEROES);
	task_reply_end(task, 32);
}

/* Says "mapped" for everything, which the standard allows: what is unmapped is known to the
 * cluster only. */
void get_lba_status_run(struct scsi_task *task)
{
	uint64_t blocks = lun_blocks(task_lun(task));
	if (task->state.lba >= blocks) {
		task_end_information(task, SENSE_LBA_OUT_OF_RANGE, task->state.lba);
		return;
	}
	if (task->cdb[14]) {
		task_end_bad_cdb(task, 14, 8); /* report type */
		return;
	}
	uint8_t *p = task_reply_start(task, 24);
	if (!p)
		return;
	uint64_t left = blocks - task->state.lba;
	put_be32(p, 20);
	put_be64(p + 8, task->state.lba);
	put_be32(p + 16, left > UINT32_MAX ? UINT32_MAX : (uint32_t)left);
	task_reply_end(task, 24);
}
