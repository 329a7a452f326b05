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

static void committed(struct scsi_task *task, int result)
{
	if (result < 0)
		reservation_end_failed(task, result);
	else
		task_end_good(task);
}

static void end_conflict(struct scsi_task *task)
{
	task_end_status(task, SCSI_RESERVATION_CONFLICT);
}

/* With the turn, which ends here: nothing is to be changed. */
static void end_unchanged(struct scsi_task *task, enum verdict verdict)
{
	reservation_end_unchanged(task, verdict == VERDICT_CONFLICT ? end_conflict : task_end_good);
}

static void change(struct scsi_task *task, bool reserves)
{
	struct reservation_change *change = reservation_change_new(task_lun(task), task->state.itl);
	if (!change) {
		reservation_turn_end(task_lun(task));
		task_end_full(task);
		return;
	}
	change->draft.reserved = reserves;
	change->draft.reserver = *task->state.itl->port;
	change->draft.reserver_here = !task->state.itl->proxy;
	reservation_commit(task, change, committed);
}

static bool is_own(const struct reservations *reservations, const struct itl *itl)
{
	return reservations->reserved && reservation_port_equal(&reservations->reserver, itl->port);
}

/* With the turn, and the LUN's lock. */
static enum verdict look(struct reservations *reservations, const struct itl *itl, bool *ret_free)
{
	enum verdict verdict = beside_persistent(reservations, itl);
	*ret_free = verdict == VERDICT_NONE && !reservations->reserved;
	if (verdict != VERDICT_NONE || *ret_free)
		return verdict;
	if (!is_own(reservations, itl))
		return VERDICT_CONFLICT;
	/* It is the nexus' own already, maybe by an object of that name which ends now: from here
	 * on it ends with this one. */
	reservations->reserver.serial = itl->port->serial;
	return VERDICT_GOOD;
}

static void reserve(struct scsi_task *task)
{
	struct lun *lun = task_lun(task);
	bool is_free;
	(void)pthread_mutex_lock(&lun->lock);
	enum verdict verdict = look(&lun->reservations, task->state.itl, &is_free);
	(void)pthread_mutex_unlock(&lun->lock);
	if (is_free)
		change(task, true);
	else
		end_unchanged(task, verdict);
}

static void release(struct scsi_task *task)
{
	struct lun *lun = task_lun(task);
	const struct itl *itl = task->state.itl;
	(void)pthread_mutex_lock(&lun->lock);
	enum verdict verdict = beside_persistent(&lun->reservations, itl);
	bool own = is_own(&lun->reservations, itl);
	(void)pthread_mutex_unlock(&lun->lock);
	if (verdict == VERDICT_NONE && own)
		change(task, false);
	else
		end_unchanged(task, verdict);
}

void reserve_run(struct scsi_task *task)
{
	reservation_turn_take(task, reserve);
}

void release_run(struct scsi_task *task)
{
	reservation_turn_take(task, release);
}
