/* Changes of a LUN's reservations: turns, drafts, and saving them. The draft is in force only when
 * it is durable, so nobody ever acts on a state that the next owner might not know. */
#include "scsi/reservation_turn.h"

#include "base/log.h"
#include "scsi/execute.h"
#include "scsi/reservation_keeper.h"
#include "scsi/reservation_notice.h"
#include "scsi/reservation_text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void reservation_queue_init(struct reservation_queue *queue, struct reservation_keeper *keeper)
{
	queue->keeper = keeper;
	list_init(&queue->waiting);
	list_init(&queue->proofs);
	list_init(&queue->proving);
	list_init(&queue->notices);
}

void reservation_queue_done(struct reservation_queue *queue)
{
	assert(!queue->busy && list_empty(&queue->waiting) && list_empty(&queue->proofs));
	reservation_notices_free(&queue->notices);
}

bool reservation_means_lost(int result)
{
	return result == -ECANCELED || result == -ESHUTDOWN;
}

/* ---- turns ---- */

/* The task is not `inside` any call then; its message is free while it waits for a turn or a save.
 */
static void post(struct scsi_task *task, void (*run)(struct message *message))
{
	task->state.message.run = run;
	reactor_post(task->nexus->reactor, &task->state.message);
}

/* It was not executed, for sure: the next owner does it. */
void reservation_leave(struct scsi_task *task)
{
	struct itl *itl = task->state.itl;
	if (task->state.abort != ABORT_NOT) {
		task_end_status(task, SCSI_TASK_ABORTED);
	} else if (itl->proxy) {
		task_end_not_executed(task);
	} else {
		task_leave(task);
		hold_add(task);
		if (lun_situation(itl->lun) != task->state.sent)
			itl_wake(itl);
	}
}

static void turn_came(struct scsi_task *task)
{
	struct lun *lun = task_lun(task);
	(void)pthread_mutex_lock(&lun->lock);
	bool lost = lun->reservation_queue.lost;
	(void)pthread_mutex_unlock(&lun->lock);
	if (!lost && task->state.abort == ABORT_NOT) {
		task->state.step(task);
		return;
	}
	reservation_turn_end(lun);
	reservation_leave(task);
}

static void run_turn(struct message *message)
{
	turn_came(container_of(message, struct scsi_task, state.message));
}

void reservation_turn_take(struct scsi_task *task, void (*step)(struct scsi_task *task))
{
	struct lun *lun = task_lun(task);
	struct reservation_queue *queue = &lun->reservation_queue;
	assert(task->state.entered); /* quiescing the LUN waits for turns and saves */
	task->state.step = step;
	(void)pthread_mutex_lock(&lun->lock);
	bool waits = queue->busy;
	if (waits)
		list_append(&queue->waiting, &task->state.turn);
	queue->busy = true;
	(void)pthread_mutex_unlock(&lun->lock);
	if (!waits)
		turn_came(task);
}

/* ---- proofs, and saving without a command ---- */

static void run_proven(struct message *message)
{
	struct reservation_proof *proof = container_of(message, struct reservation_proof, message);
	proof->done(proof);
}

/* With lun->lock held. */
static void end_proofs(struct list *proofs, int result)
{
	struct list *link;
	while ((link = list_take_first(proofs))) {
		struct reservation_proof *proof = list_entry(link, struct reservation_proof, link);
		proof->result = result;
		proof->message.run = run_proven;
		reactor_post(proof->reactor, &proof->message);
	}
}

/* The keeper can be asked: this gateway is the owner, as far as it knows. */
static bool may_ask(const struct lun *lun)
{
	return !lun->reservation_queue.lost && lun_get_state(lun) == LUN_READY;
}

static bool wants_save(const struct lun *lun)
{
	const struct reservation_queue *queue = &lun->reservation_queue;
	return queue->keeper && (queue->dirty || !list_empty(&queue->proofs)) && may_ask(lun);
}

static void asked_alone(void *argument, int result)
{
	struct lun *lun = argument;
	struct reservation_queue *queue = &lun->reservation_queue;
	(void)pthread_mutex_lock(&lun->lock);
	char *text = steal(&queue->text);
	queue->unsaved = queue->unsaved || (text && result < 0);
	queue->lost = queue->lost || reservation_means_lost(result);
	end_proofs(&queue->proving, result);
	(void)pthread_mutex_unlock(&lun->lock);
	if (text && result < 0)
		log_limited(LOG_LEVEL_WARNING, 10000, "%s: reservations not saved: %s", lun->name,
		            strerror(-result));
	free(text);
	reservation_turn_end(lun);
	lun_leave(lun, true, 0);
	lun_put(lun);
}

/* With the turn, and the LUN entered: saves what is not kept, or asks whether all is as it was. */
static void ask_alone(struct lun *lun)
{
	struct reservation_queue *queue = &lun->reservation_queue;
	struct reservation_keeper *keeper = queue->keeper;
	(void)pthread_mutex_lock(&lun->lock);
	list_splice(&queue->proving, &queue->proofs);
	queue->asked = true;
	bool saves = queue->dirty || queue->unsaved;
	queue->dirty = queue->unsaved = false;
	if (saves)
		queue->text = reservation_text_format(&lun->reservations, lun_get_epoch(lun),
		                                      &queue->notices, NULL);
	const char *text = queue->text;
	queue->unsaved = saves && !text;
	(void)pthread_mutex_unlock(&lun->lock);
	if (text)
		keeper->save(keeper, lun, text, asked_alone, lun);
	else if (!saves && keeper->confirm)
		keeper->confirm(keeper, lun, asked_alone, lun);
	else
		asked_alone(lun, saves ? -ENOMEM : 0);
}

/* With the turn. What fails here is saved with the next change, or for the next proof. */
static void save_alone(struct lun *lun)
{
	if (!lun_enter(lun)) {
		reservation_turn_end(lun);
		return;
	}
	(void)lun_get(lun);
	ask_alone(lun);
}

void reservation_save_soon(struct lun *lun)
{
	struct reservation_queue *queue = &lun->reservation_queue;
	(void)pthread_mutex_lock(&lun->lock);
	bool saves = !queue->busy && wants_save(lun);
	if (saves)
		queue->busy = true;
	(void)pthread_mutex_unlock(&lun->lock);
	if (saves)
		save_alone(lun);
}

bool reservation_prove(struct lun *lun, struct reservation_proof *proof)
{
	struct reservation_queue *queue = &lun->reservation_queue;
	(void)pthread_mutex_lock(&lun->lock);
	bool waits = queue->keeper && may_ask(lun);
	bool starts = waits && !queue->busy;
	proof->result = queue->keeper ? -ECANCELED : 0;
	if (waits)
		list_append(&queue->proofs, &proof->link);
	queue->busy = queue->busy || starts;
	(void)pthread_mutex_unlock(&lun->lock);
	if (starts)
		save_alone(lun);
	return waits;
}

/* One question serves all who wait for a proof, and then it is an order's turn again, however many
 * have come meanwhile. */
void reservation_turn_end(struct lun *lun)
{
	struct reservation_queue *queue = &lun->reservation_queue;
	(void)pthread_mutex_lock(&lun->lock);
	if (!may_ask(lun))
		end_proofs(&queue->proofs, -ECANCELED);
	bool proves = !list_empty(&queue->proofs) && !queue->asked;
	struct list *next = proves ? NULL : list_take_first(&queue->waiting);
	bool saves = !next && wants_save(lun);
	queue->busy = next || saves;
	queue->asked = false;
	(void)pthread_mutex_unlock(&lun->lock);
	if (next)
		post(list_entry(next, struct scsi_task, state.turn), run_turn);
	else if (saves)
		save_alone(lun);
}

/* ---- changes ---- */

struct reservation_change *reservation_change_new(struct lun *lun, const struct itl *sender)
{
	AUTO(reservation_change) struct reservation_change *change = calloc(1, sizeof *change);
	if (!change)
		return NULL;
	reservations_init(&change->draft);
	list_init(&change->effects);
	list_init(&change->notices);
	change->sender = sender;
	(void)pthread_mutex_lock(&lun->lock);
	int r = reservations_copy(&change->draft, &lun->reservations);
	(void)pthread_mutex_unlock(&lun->lock);
	return r < 0 ? NULL : steal(&change);
}

void reservation_change_free(struct reservation_change *change)
{
	if (!change)
		return;
	reservations_done(&change->draft);
	struct list *link;
	while ((link = list_take_first(&change->effects)))
		free(list_entry(link, struct reservation_effect, link));
	reservation_notices_free(&change->notices);
	free(change->text);
	free(change);
}

int reservation_change_tell(struct reservation_change *change,
                            const struct registration *registration, uint32_t code, bool abort)
{
	struct reservation_effect *effect = calloc(1, sizeof *effect);
	if (!effect)
		return -ENOMEM;
	effect->registration = *registration;
	effect->code = code;
	effect->abort = abort;
	list_append(&change->effects, &effect->link);
	return 0;
}

/* With lun->lock held: the draft is the truth now. */
static void put_in_force(struct lun *lun, struct reservation_change *change)
{
	const struct reservation_effect *effect;
	list_for_each (effect, &change->effects, link) {
		struct itl *itl;
		list_for_each (itl, &lun->itls, lun_link) {
			if (!registration_is(&effect->registration, itl->port))
				continue;
			if (effect->abort)
				itl->preempted = true;
			if (itl != change->sender)
				ua_add(&itl->attentions, (enum sense_code)effect->code);
		}
	}
	reservation_notices_take(&lun->reservation_queue, &change->notices);
	reservations_replace(&lun->reservations, &change->draft);
	reservations_apply(lun);
}

static void run_saved(struct message *message)
{
	struct scsi_task *task = container_of(message, struct scsi_task, state.message);
	struct lun *lun = task_lun(task);
	struct reservation_queue *queue = &lun->reservation_queue;
	int result = task->state.turn_result;
	(void)pthread_mutex_lock(&lun->lock);
	AUTO(reservation_change) struct reservation_change *change = steal(&queue->change);
	if (result == 0)
		put_in_force(lun, change);
	else
		queue->dirty = queue->dirty || change->was_dirty;
	queue->lost = queue->lost || reservation_means_lost(result);
	(void)pthread_mutex_unlock(&lun->lock);
	reservation_turn_end(lun);
	task->state.then(task, result);
}

static void saved(void *argument, int result)
{
	struct scsi_task *task = argument;
	task->state.turn_result = result;
	post(task, run_saved);
}

static int prepare_save(struct lun *lun, struct reservation_change *change)
{
	struct reservation_queue *queue = &lun->reservation_queue;
	size_t count;
	int r = reservation_notices_write(lun, change, &count);
	if (r < 0)
		return r;
	reservation_notices_make_room(queue, count);
	change->text = reservation_text_format(&change->draft, lun_get_epoch(lun), &queue->notices,
	                                       &change->notices);
	if (!change->text)
		return -ENOMEM;
	change->was_dirty = queue->dirty || queue->unsaved;
	queue->dirty = queue->unsaved = false;
	queue->change = change;
	return 0;
}

void reservation_commit(struct scsi_task *task, struct reservation_change *change,
                        void (*then)(struct scsi_task *task, int result))
{
	struct lun *lun = task_lun(task);
	struct reservation_queue *queue = &lun->reservation_queue;
	(void)pthread_mutex_lock(&lun->lock);
	int r = queue->keeper ? prepare_save(lun, change) : 0;
	if (!queue->keeper)
		put_in_force(lun, change);
	const char *text = change->text;
	(void)pthread_mutex_unlock(&lun->lock);
	if (r == 0 && queue->keeper) {
		task->state.then = then;
		queue->keeper->save(queue->keeper, lun, text, saved, task);
		return;
	}
	reservation_change_free(change);
	reservation_turn_end(lun);
	then(task, r);
}

static void run_confirmed(struct message *message)
{
	struct scsi_task *task = container_of(message, struct scsi_task, state.message);
	struct lun *lun = task_lun(task);
	(void)pthread_mutex_lock(&lun->lock);
	if (reservation_means_lost(task->state.turn_result))
		lun->reservation_queue.lost = true;
	(void)pthread_mutex_unlock(&lun->lock);
	task->state.then(task, task->state.turn_result);
}

static void confirmed(void *argument, int result)
{
	struct scsi_task *task = argument;
	task->state.turn_result = result;
	post(task, run_confirmed);
}

void reservation_confirm(struct scsi_task *task, void (*then)(struct scsi_task *task, int result))
{
	struct lun *lun = task_lun(task);
	struct reservation_keeper *keeper = lun->reservation_queue.keeper;
	if (!keeper || !keeper->confirm) {
		then(task, 0);
		return;
	}
	task->state.then = then;
	keeper->confirm(keeper, lun, confirmed, task);
}

void reservation_end_failed(struct scsi_task *task, int result)
{
	if (reservation_means_lost(result))
		hold_unknown(task, lun_get_epoch(task_lun(task)));
	else if (task->state.abort != ABORT_NOT)
		task_end_status(task, SCSI_TASK_ABORTED);
	else if (result == -ENOMEM)
		task_end_full(task);
	else if (result == -ENOSPC || result == -EDQUOT)
		task_end_check(task, SENSE_NO_REGISTRATION_RESOURCES);
	else
		task_end_check(task, SENSE_INTERNAL_FAILURE);
}

static void judged(struct scsi_task *task, int result)
{
	reservation_turn_end(task_lun(task));
	if (reservation_means_lost(result))
		reservation_leave(task);
	else if (result < 0)
		reservation_end_failed(task, result);
	else
		task->state.step(task);
}

void reservation_end_unchanged(struct scsi_task *task, void (*say)(struct scsi_task *task))
{
	task->state.step = say;
	reservation_confirm(task, judged);
}

/* ---- what happens without a command ---- */

/* Whose RESERVE(6) ends. */
struct release {
	const struct reservation_port *port; /* NULL: anybody's */
	bool any;                            /* any nexus' of this name, not just this one's */
};

static bool release6(struct reservations *reservations, struct release release)
{
	const struct reservation_port *reserver = &reservations->reserver;
	if (!reservations->reserved)
		return false;
	if (release.port && (!reservation_port_equal(reserver, release.port) ||
	                     (reserver->serial != release.port->serial && !release.any)))
		return false;
	reservations->reserved = false;
	return true;
}

/* In the draft under way too, which would bring it back. */
static void release6_everywhere(struct lun *lun, struct release release)
{
	struct reservation_queue *queue = &lun->reservation_queue;
	bool released = release6(&lun->reservations, release);
	bool withdrawn = queue->change && release6(&queue->change->draft, release);
	queue->dirty = queue->dirty || released || withdrawn;
	if (released)
		reservations_apply(lun);
}

void reservation_detached(struct lun *lun, const struct itl *itl)
{
	bool last = !reservation_port_is_here(lun, itl->port);
	/* Who logged in again, or came in by another way, keeps what it has reserved itself. */
	release6_everywhere(lun, (struct release){ .port = itl->port, .any = last });
	if (last)
		reservation_notices_forget(lun, itl->port);
}

void reservation_reset(struct lun *lun)
{
	reservation_notices_add_reset(lun);
	release6_everywhere(lun, (struct release){ .port = NULL });
}
