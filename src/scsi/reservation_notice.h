/* What nexuses are to be told of reservations (2A/03..05) and have not met yet; with lun->lock
 * held. It is saved with the reservations, for the next owner tells it if this one cannot. */
#pragma once

#include "scsi/reservation_turn.h"

/* A nexus of that name is here. */
bool reservation_port_is_here(const struct lun *lun, const struct reservation_port *port);

/* Into the change: who will have to be told by the next owner if we cannot; and who is registered
 * and not here (for all target ports: at each). *ret_count: so many. -ENOMEM. */
int reservation_notices_write(const struct lun *lun, struct reservation_change *change,
                              size_t *ret_count) MUST_CHECK;
/* The oldest give way: whoever has not asked for so long has other things to find out. Before they
 * are saved beside the new ones, for no owner takes a text with more. */
void reservation_notices_make_room(struct reservation_queue *queue, size_t count);
/* Those of a change that is in force now. */
void reservation_notices_take(struct reservation_queue *queue, struct list *notices);
/* No nexus of that name is here any more. */
void reservation_notices_forget(struct lun *lun, const struct reservation_port *port);
/* A reset. 29/03 goes to who is here. Who had the RESERVE(6) must hear of it also if its session is
 * at a gateway that has forwarded nothing of it yet, or if this owner ends before it has told it.
 */
void reservation_notices_add_reset(struct lun *lun);

/* ---- what happens without a command ---- */

/* A nexus came, or the reservations did: it gets what it has not been told yet, and its
 * RESERVE(6). */
void reservation_attached(struct lun *lun, struct itl *itl);
/* Another gateway owns the LUN: what was not reported here is raised there, also for who comes
 * later. */
void reservation_passed_on(struct lun *lun);
/* A unit attention was reported to a nexus. */
void reservation_reported(struct lun *lun, const struct itl *itl, uint32_t code);
