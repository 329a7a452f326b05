/* Nexuses that follow others of the same name. An itl counts those before it in the LUN's list that
 * are of the same nexus and about to go: each is detached when its last task has ended. */
#include "scsi/succession.h"

#include "scsi/execute.h"

/* As for the owner of a LUN: whoever has waited so long may soon be given up, and repeated by
 * another path (H35). */
#define WAIT_MAX_MS 3000

/* The next one of the same nexus behind an itl; NULL: none. With lun->lock held. */
static struct itl *next_of_nexus(const struct lun *lun, const struct itl *itl)
{
	struct list *link = itl->lun_link.next;
	for (; link != &lun->itls; link = link->next) {
		struct itl *later = list_entry(link, struct itl, lun_link);
		if (reservation_port_equal(later->port, itl->port))
			return later;
	}
	return NULL;
}

void succession_leave(struct itl *itl)
{
	struct lun *lun = itl->lun;
	(void)pthread_mutex_lock(&lun->lock);
	itl->leaving = true;
	struct itl *later = itl;
	while ((later = next_of_nexus(lun, later)))
		(void)atomic_fetch_add(&later->behind, 1);
	(void)pthread_mutex_unlock(&lun->lock);
}

void succession_attached(struct lun *lun, struct itl *itl)
{
	const struct itl *older;
	list_for_each (older, &lun->itls, lun_link) {
		if (older == itl)
			return;
		if (older->leaving && reservation_port_equal(older->port, itl->port))
			(void)atomic_fetch_add(&itl->behind, 1);
	}
}

void succession_detach(struct lun *lun, const struct itl *itl)
{
	struct itl *later = itl->leaving ? next_of_nexus(lun, itl) : NULL;
	for (; later; later = next_of_nexus(lun, later)) {
		if (atomic_fetch_sub(&later->behind, 1) == 1)
			itl_wake(later);
	}
}

/* ---- tasks ---- */

/* What outlasts the end of a session goes to the medium, or changes reservations: commands that do
 * neither, and do not tell of reservations, see nothing of it. */
static bool may_pass(const struct scsi_opcode *row)
{
	return !(row->flags & (OP_MEDIUM | OP_RESERVE)) && !opcode_changes(row);
}

bool succession_pending(const struct itl *itl)
{
	return atomic_load_explicit(&itl->behind, memory_order_acquire) != 0;
}

bool succession_same_nexus(const struct itl *a, const struct itl *b)
{
	return reservation_port_equal(a->port, b->port);
}

bool succession_holds(const struct scsi_task *task)
{
	return succession_pending(task->state.itl) && !may_pass(task->state.opcode);
}

/* Ends who has waited for too long, and comes back for the next. */
static void look(struct itl *itl)
{
	uint64_t now_ms = reactor_now_ms(itl->reactor), next_ms = UINT64_MAX;
	struct scsi_task *task;
	list_for_each (task, &itl->tasks, state.link) {
		uint64_t end_ms = task->state.started_ms + WAIT_MAX_MS;
		if (task->state.phase != TASK_QUEUED || !succession_holds(task))
			continue;
		if (now_ms >= end_ms)
			hold_tell_busy(task);
		else if (end_ms < next_ms)
			next_ms = end_ms;
	}
	if (next_ms != UINT64_MAX)
		reactor_arm(itl->reactor, &itl->patience, next_ms - now_ms);
}

static void patience_expired(struct timer *timer)
{
	look(container_of(timer, struct itl, patience));
}

void succession_wait(struct scsi_task *task)
{
	struct itl *itl = task->state.itl;
	uint64_t now_ms = reactor_now_ms(itl->reactor);
	uint64_t end_ms = task->state.started_ms + WAIT_MAX_MS;
	if (timer_armed(&itl->patience) && itl->patience.deadline_ms <= end_ms)
		return;
	itl->patience.expired = patience_expired;
	reactor_arm(itl->reactor, &itl->patience, end_ms > now_ms ? end_ms - now_ms : 0);
}

void succession_done(struct itl *itl)
{
	reactor_disarm(itl->reactor, &itl->patience);
}
