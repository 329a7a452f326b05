/* A nexus that comes while commands of its predecessor, of the same name, have not ended: what it
 * wants of the medium or of reservations waits for them, LUN by LUN, so that nothing of the old
 * session runs after something of the new one (H9). What cannot depend on them passes. */
#pragma once

#include <stdbool.h>

struct itl;
struct lun;
struct scsi_task;

/* On the itl's reactor: its nexus, or its row of the map, ends. Later ones of the same nexus wait
 * for its tasks from now on. */
void succession_leave(struct itl *itl);
/* With lun->lock held, when an itl has come to the LUN's list; when one is about to go from it. */
void succession_attached(struct lun *lun, struct itl *itl);
void succession_detach(struct lun *lun, const struct itl *itl);

/* On the itl's reactor: predecessors of its nexus have not ended at this LUN. */
bool succession_pending(const struct itl *itl);
/* Any thread, while both are attached. */
bool succession_same_nexus(const struct itl *a, const struct itl *b);

/* On the itl's reactor. Does the task wait for a predecessor? */
bool succession_holds(const struct scsi_task *task);
/* It does: it goes on when it need not any more (task_start_queued), or is told BUSY. */
void succession_wait(struct scsi_task *task);
/* The itl is detached: nobody waits there. */
void succession_done(struct itl *itl);
