/* Walks over the I_T_L nexuses of a LUN: a message to each reactor, and an answer when the tasks
 * that the walk waits for have left. */
#include "scsi/walk.h"

#include "scsi/lun_private.h"
#include "scsi/task.h"

#include <errno.h>
#include <stdlib.h>

struct visit {
	struct message message;
	struct list link; /* in itl->visits */
	struct itl *itl;
	struct walk *walk;
};

struct walk {
	const struct walk_ops *ops;
	void *argument;
	struct reactor *origin;
	struct message finish;
	atomic_size_t left; /* visits, and the start itself */
	size_t count;
	struct visit visits[];
};

static void run_finish(struct message *message)
{
	struct walk *walk = container_of(message, struct walk, finish);
	walk->ops->finished(walk->argument);
	free(walk);
}

static void walk_less(struct walk *walk)
{
	if (atomic_fetch_sub(&walk->left, 1) == 1)
		reactor_deliver(walk->origin, &walk->finish);
}

static void visit_end(struct visit *visit)
{
	struct walk *walk = visit->walk;
	list_remove(&visit->link);
	itl_put(visit->itl);
	walk_less(walk);
}

static bool visit_holds(const struct visit *visit)
{
	const struct scsi_task *task;
	list_for_each (task, &visit->itl->tasks, state.link) {
		if (visit->walk->ops->holds(visit->walk->argument, task))
			return true;
	}
	return false;
}

static void run_visit(struct message *message)
{
	struct visit *visit = container_of(message, struct visit, message);
	if (visit->walk->ops->arrive)
		visit->walk->ops->arrive(visit->walk->argument, visit->itl);
	list_append(&visit->itl->visits, &visit->link);
	if (!visit_holds(visit))
		visit_end(visit);
}

void walk_task_gone(struct itl *itl)
{
	if (list_empty(&itl->visits))
		return;
	struct visit *visit, *following;
	list_for_each_safe (visit, following, &itl->visits, link) {
		if (!visit_holds(visit))
			visit_end(visit);
	}
}

static struct walk *walk_new(size_t count, struct reactor *origin, const struct walk_ops *ops,
                             void *argument)
{
	struct walk *walk = calloc(1, sizeof *walk + count * sizeof walk->visits[0]);
	if (!walk)
		return NULL;
	walk->ops = ops;
	walk->argument = argument;
	walk->origin = origin;
	walk->finish.run = run_finish;
	atomic_init(&walk->left, 1);
	return walk;
}

static void walk_add(struct walk *walk, struct itl *itl)
{
	struct visit *visit = &walk->visits[walk->count++];
	visit->walk = walk;
	visit->itl = itl_get(itl);
	visit->message.run = run_visit;
	list_init(&visit->link);
	(void)atomic_fetch_add(&walk->left, 1);
}

/* What lives on this reactor is visited at once: what begins there after this call is none of the
 * walk's business. The start's own share keeps the walk until all have been sent. */
static void walk_start(struct walk *walk)
{
	for (size_t i = 0; i < walk->count; i++) {
		struct visit *visit = &walk->visits[i];
		if (visit->itl->reactor == walk->origin)
			run_visit(&visit->message);
		else
			reactor_post(visit->itl->reactor, &visit->message);
	}
	walk_less(walk);
}

int walk_lun(struct lun *lun, struct reactor *origin, const struct walk_ops *ops, void *argument)
{
	(void)pthread_mutex_lock(&lun->lock);
	struct walk *walk = walk_new(lun->itl_count, origin, ops, argument);
	if (walk) {
		struct itl *itl;
		list_for_each (itl, &lun->itls, lun_link)
			walk_add(walk, itl);
	}
	(void)pthread_mutex_unlock(&lun->lock);
	if (!walk)
		return -ENOMEM;
	walk_start(walk);
	return 0;
}

int walk_itl(struct itl *itl, struct reactor *origin, const struct walk_ops *ops, void *argument)
{
	struct walk *walk = walk_new(1, origin, ops, argument);
	if (!walk)
		return -ENOMEM;
	walk_add(walk, itl);
	walk_start(walk);
	return 0;
}
