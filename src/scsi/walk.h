/* A walk over the I_T_L nexuses of a LUN: each is visited on its own reactor, and stays visited
 * until no task there is held any more. So tasks of other reactors are reached, and waited for. */
#pragma once

#include "base/auto.h"
#include "base/reactor.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct itl;
struct lun;
struct scsi_task;
struct walk;

struct walk_ops {
	/* On the itl's reactor. May be NULL. */
	void (*arrive)(void *argument, struct itl *itl);
	/* On the itl's reactor: whether the walk has to wait for this task. */
	bool (*holds)(const void *argument, const struct scsi_task *task);
	/* On the reactor that started the walk, never inside the start. */
	void (*finished)(void *argument);
};

/* On `origin`; what lives there is visited inside the call. -ENOMEM: nothing was started. */
int walk_lun(struct lun *lun, struct reactor *origin, const struct walk_ops *ops,
             void *argument) MUST_CHECK;
/* Visits one itl only. */
int walk_itl(struct itl *itl, struct reactor *origin, const struct walk_ops *ops,
             void *argument) MUST_CHECK;
/* On the itl's reactor, when a task has left it: ends the visits that waited for it. */
void walk_task_gone(struct itl *itl);
