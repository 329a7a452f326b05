/* What the relay must know of the row of the LUN map that a forwarded command came by. */
#include "scsi/lun_private.h"
#include "scsi/relay.h"

void relay_row_of_task(const struct scsi_task *task, struct relay_row *ret_row)
{
	const struct itl *itl = task->state.itl;

	*ret_row = (struct relay_row){
		.lun = itl->lun,
		.number = itl->number,
		.read_only = atomic_load_explicit(&itl->read_only, memory_order_relaxed),
	};
}

const char *lun_wwn(const struct lun *lun)
{
	return lun->wwn;
}
