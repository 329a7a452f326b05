/* Which request has been with the backend for longest: found by a walk over the nexuses, so that
 * requests themselves only note when they were submitted. */
#include "scsi/lun_private.h"
#include "scsi/task.h"
#include "scsi/walk.h"

#include <errno.h>
#include <stdlib.h>

struct search {
	struct lun *lun;
	pthread_mutex_t lock; /* of oldest: nexuses of several reactors are visited at once */
	struct lun_request oldest;
	void (*found)(void *argument, const struct lun_request *oldest);
	void *argument;
};

static void search_free(struct search *search)
{
	lun_put(search->lun);
	(void)pthread_mutex_destroy(&search->lock);
	free(search);
}

static void consider(struct search *search, const struct scsi_task *task)
{
	const struct scsi_task_state *state = &task->state;
	if (!state->submitted_ms || state->io.op == IO_FLUSH)
		return; /* a flush waits for those that have a range */
	(void)pthread_mutex_lock(&search->lock);
	if (!search->oldest.since_ms || state->submitted_ms < search->oldest.since_ms)
		search->oldest = (struct lun_request){ .since_ms = state->submitted_ms,
			                               .offset = state->io.offset,
			                               .length = state->io.length };
	(void)pthread_mutex_unlock(&search->lock);
}

static void arrive(void *argument, struct itl *itl)
{
	const struct scsi_task *task;
	list_for_each (task, &itl->tasks, state.link)
		consider(argument, task);
}

static bool holds(const void *argument, const struct scsi_task *task)
{
	return false;
}

static void finished(void *argument)
{
	struct search *search = argument;
	search->found(search->argument, &search->oldest);
	search_free(search);
}

int lun_find_oldest(struct lun *lun, struct reactor *origin,
                    void (*found)(void *argument, const struct lun_request *oldest), void *argument)
{
	static const struct walk_ops ops = { arrive, holds, finished };
	struct search *search = calloc(1, sizeof *search);
	if (!search)
		return -ENOMEM;
	*search = (struct search){ .lun = lun_get(lun), .found = found, .argument = argument };
	(void)pthread_mutex_init(&search->lock, NULL);
	int r = walk_lun(lun, origin, &ops, search);
	if (r < 0)
		search_free(search);
	return r;
}

bool lun_has_requests(const struct lun *lun)
{
	return lun_commands(lun) > 0;
}
