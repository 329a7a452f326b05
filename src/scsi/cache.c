/* SYNCHRONIZE CACHE and PRE-FETCH [SBC-3 5.25, 5.12]. */
#include "scsi/execute.h"
#include "scsi/handlers.h"

static void flushed(struct scsi_task *task, int result)
{
	if (result < 0)
		task_end_failed(task, result);
	else
		task_end_good(task);
}

/* The whole image is flushed; IMMED is ignored, so GOOD is never a promise. */
void synchronize_cache_run(struct scsi_task *task)
{
	task_io(task, IO_FLUSH, 0, 0, 0, NULL, flushed);
}

/* GOOD: the blocks may or may not be in a cache; CONDITION MET would promise it. */
void prefetch_run(struct scsi_task *task)
{
	task_end_good(task);
}
