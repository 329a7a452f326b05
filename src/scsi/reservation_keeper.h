/* Where the reservations of a LUN are kept, so that they survive its owner: PERSISTENT RESERVE OUT
 * is answered when its change is there. The device server formats and reads the text; the keeper
 * (the target room) stores it, and guards it against owners of the past.
 *
 * The text is JSON: version, epoch of the owner that wrote it, generation, aptpl, registrations,
 * reservation, the RESERVE(6), unit attentions not reported yet. */
#pragma once

#include "base/auto.h"
#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

struct lun;

struct reservation_keeper {
	/* Replaces what is kept for this LUN. Called on any thread, once at a time for a LUN, only
	 * while it is READY: lun_quiesce() waits for it. `text` stays until saved(), which comes
	 * exactly once, on any thread, also inside the call. The result:
	 *   0          it is durable, and no owner before or after us has changed it meanwhile;
	 *   -ECANCELED what is kept is not what this owner wrote or loaded last: there is another
	 *              owner. Nothing was written;
	 *   -ESHUTDOWN this gateway was fenced, or cannot find out whether the text was written.
	 *              After these two nobody here may serve the LUN from its memory: the commands
	 *              concerned wait until it is served again (with its reservations loaded);
	 *   other      certain not to be written, and never will be (-ENOSPC, -ENOMEM, ...): the
	 *              command fails, and the state is as before.
	 * A keeper that does not know (a time-out) must look before it answers. */
	void (*save)(struct reservation_keeper *keeper, struct lun *lun, const char *text,
	             void (*saved)(void *argument, int result), void *argument);
	/* May be NULL. Whether what is kept is still what this owner wrote or loaded last: asked
	 * before PERSISTENT RESERVE IN answers, before RESERVATION CONFLICT, and before a reset is
	 * complete, which touch no medium and so would not notice a fence. Results as of save. */
	void (*confirm)(struct reservation_keeper *keeper, struct lun *lun,
	                void (*confirmed)(void *argument, int result), void *argument);
};

/* How the LUN came to be served here. */
enum reservation_load {
	RESERVATION_LOAD_HANDED_OVER, /* the owner before gave it: all its nexuses live on */
	RESERVATION_LOAD_TAKEN_OVER,  /* that owner is dead, and with it its own sessions: a
	                               * RESERVE(6) held through them is released */
	RESERVATION_LOAD_POWER_LOSS,  /* all gateways were down: what was registered without APTPL
	                               * is gone, and so is any RESERVE(6) */
};

/* Replaces the reservations of a LUN that is not READY: after lun_set_epoch(), before lun_serve(),
 * at each change of ownership (also with text NULL: none are kept). -EBADMSG with a sentence that
 * says what and where: nothing was changed, and the LUN must not be served, for somebody's fence
 * may be in that text. -ECANCELED: written by an owner of a later epoch. -ENOMEM. */
int lun_load_reservations(struct lun *lun, const char *text, enum reservation_load how,
                          struct error *err) MUST_CHECK;
/* What would be saved now; free() it. NULL: no memory. */
char *lun_format_reservations(struct lun *lun) MUST_CHECK;

/* For who takes a LUN over, before anything is loaded: the text with another epoch, so that whoever
 * wrote it cannot write any more, and without what does not live on, so that it is true for the
 * next owner even if this one never loads it. NULL text: that of a LUN without reservations. The
 * epoch of one who knows less than the text (his record is of the past, or somebody has removed it)
 * becomes the one after the text's. -EBADMSG, -ENOMEM. */
int reservation_text_take(const char *text, uint64_t *epoch, enum reservation_load how,
                          char **ret_text, struct error *err) MUST_CHECK;
