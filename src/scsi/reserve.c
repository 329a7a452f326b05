/* RESERVE and RELEASE, 6 and 10 bytes [SPC-2 7.18, 7.21; SPC-4 5.13.3 for beside persistent ones].
 */
#include "scsi/execute.h"
#include "scsi/handlers.h"

enum verdict { VERDICT_NONE, VERDICT_GOOD, VERDICT_CONFLICT };

/* CRH=1: where registrations exist, holders and registrants get GOOD without effect. */
static enum verdict beside_persistent(const struct reservations *reservations,
                                      const struct itl *itl)
{
	if (reservations->count == 0)
		return VERDICT_NONE;
	const struct registration *own = registration_find(reservations, itl->port);
	bool for_all = reservations->type >= RESERVATION_WRITE_EXCLUSIVE_REGISTRANTS;
	bool allowed = own && (for_all || (reservations->type && own == reservations->holder));
	return allowed ? VERDICT_GOOD : VERDICT_CONFLICT;
}

static void end(struct scsi_task *task, enum verdict verdict)
{
	if (verdict == VERDICT_CONFLICT)
		task_end_status(task, SCSI_RESERVATION_CONFLICT);
	else
		task_end_good(task);
}

void reserve_run(struct scsi_task *task)
{
	struct itl *itl = task->state.itl;
	struct lun *lun = itl->lun;
	(void)pthread_mutex_lock(&lun->lock);
	struct reservations *reservations = &lun->reservations;
	enum verdict verdict = beside_persistent(reservations, itl);
	if (verdict == VERDICT_NONE) {
		bool free = !reservations->reserver || reservations->reserver == itl;
		verdict = free ? VERDICT_GOOD : VERDICT_CONFLICT;
		if (free) {
			reservations->reserver = itl;
			reservations_apply(lun);
		}
	}
	(void)pthread_mutex_unlock(&lun->lock);
	end(task, verdict);
}

void release_run(struct scsi_task *task)
{
	struct itl *itl = task->state.itl;
	struct lun *lun = itl->lun;
	(void)pthread_mutex_lock(&lun->lock);
	enum verdict verdict = beside_persistent(&lun->reservations, itl);
	if (verdict == VERDICT_NONE)
		reservations_release6(lun, itl);
	(void)pthread_mutex_unlock(&lun->lock);
	end(task, verdict);
}
