/* A LUN's reservations change their owner: the text gets a new epoch, and is loaded. */
#include "base/json.h"
#include "scsi/lun_private.h"
#include "scsi/reservation_keeper.h"
#include "scsi/reservation_notice.h"
#include "scsi/reservation_text.h"

#include <assert.h>
#include <errno.h>

/* What does not live on; true if there was any. */
static bool lose(struct reservations *reservations, enum reservation_load how)
{
	bool power_loss = how == RESERVATION_LOAD_POWER_LOSS;
	bool here = how == RESERVATION_LOAD_TAKEN_OVER && reservations->reserver_here;
	bool lost6 = reservations->reserved && (power_loss || here);
	bool lost = power_loss && reservations->count && !reservations->aptpl;
	if (lost6)
		reservations->reserved = false;
	if (power_loss && !reservations->aptpl)
		reservations_done(reservations);
	if (power_loss)
		reservations->generation = 0; /* [SPC-4 6.15.2] */
	return lost || lost6;
}

int reservation_text_take(const char *text, uint64_t *epoch, enum reservation_load how,
                          char **ret_text, struct error *err)
{
	struct reservation_text parsed = { .epoch = 0 };
	struct list none = LIST_INIT(none);
	int r = 0;
	if (text)
		r = reservation_text_parse(text, &parsed, err);
	else
		reservations_init(&parsed.reservations);
	if (r == 0) {
		if (parsed.epoch > *epoch)
			*epoch = parsed.epoch + 1;
		bool keeps = text && how != RESERVATION_LOAD_POWER_LOSS;
		(void)lose(&parsed.reservations, how);
		parsed.reservations.reserver_here = false; /* until it is served, nobody knows */
		char *taken = reservation_text_format(&parsed.reservations, *epoch,
		                                      keeps ? &parsed.notices : &none, NULL);
		if (taken)
			*ret_text = taken;
		else
			r = error_set(err, -ENOMEM, "out of memory");
	}
	reservation_text_done(&parsed);
	return r;
}

/* With lun->lock held: whether the session with the RESERVE(6) is one of the new owner's own; true
 * if the owner before wrote something else, which would be wrong if this one dies. */
static bool place_reserver(struct lun *lun)
{
	struct reservations *reservations = &lun->reservations;
	bool was_here = reservations->reserver_here, here = false;
	const struct itl *itl;
	list_for_each (itl, &lun->itls, lun_link)
		here = here ||
		       (!itl->proxy && reservation_port_equal(itl->port, &reservations->reserver));
	reservations->reserver_here = here;
	return reservations->reserved && here != was_here;
}

/* With lun->lock held: the nexuses that are here hear what the owner before could not tell them. */
static void raise_notices(struct lun *lun)
{
	struct itl *itl;
	list_for_each (itl, &lun->itls, lun_link)
		reservation_attached(lun, itl);
	reservations_apply(lun);
}

int lun_load_reservations(struct lun *lun, const char *text, enum reservation_load how,
                          struct error *err)
{
	struct reservation_text parsed = { .epoch = 0 };
	reservations_init(&parsed.reservations);
	list_init(&parsed.notices);
	int r = text ? reservation_text_parse(text, &parsed, err) : 0;
	if (r == 0 && parsed.epoch > lun_get_epoch(lun))
		r = error_set(err, -ECANCELED, "written by an owner of epoch %llu, ours is %llu",
		              (unsigned long long)parsed.epoch,
		              (unsigned long long)lun_get_epoch(lun));
	if (r < 0) {
		reservation_text_done(&parsed);
		return r;
	}
	bool lost = lose(&parsed.reservations, how);
	(void)pthread_mutex_lock(&lun->lock);
	struct reservation_queue *queue = &lun->reservation_queue;
	/* The queue may be busy: somebody was about to save and has not entered the LUN yet. */
	assert(!lun->backend && !queue->change && !queue->text);
	reservations_replace(&lun->reservations, &parsed.reservations);
	reservation_notices_free(&queue->notices);
	if (how != RESERVATION_LOAD_POWER_LOSS) {
		list_splice(&queue->notices, &parsed.notices);
		queue->notice_count = parsed.notice_count;
	} else {
		queue->notice_count = 0;
	}
	queue->lost = queue->unsaved = false;
	bool moved = place_reserver(lun);
	queue->dirty = lost || moved;
	raise_notices(lun);
	(void)pthread_mutex_unlock(&lun->lock);
	reservation_text_done(&parsed);
	return 0;
}
