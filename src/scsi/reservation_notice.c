/* What nexuses are to be told of reservations (2A/03..05) and have not met yet. It is saved with
 * the reservations, for the next owner tells it if this one cannot. */
#include "scsi/reservation_notice.h"

#include "scsi/nexus_private.h"
#include "scsi/reservation_keeper.h"
#include "scsi/sense.h"

#include <errno.h>
#include <stdlib.h>

bool reservation_port_is_here(const struct lun *lun, const struct reservation_port *port)
{
	const struct itl *itl;
	list_for_each (itl, &lun->itls, lun_link) {
		if (reservation_port_equal(itl->port, port))
			return true;
	}
	return false;
}

static struct reservation_notice *notice_find(const struct list *notices,
                                              const struct reservation_port *port, uint32_t code)
{
	struct reservation_notice *notice;
	list_for_each (notice, notices, link) {
		if (notice->code == code && reservation_port_equal(&notice->port, port))
			return notice;
	}
	return NULL;
}

static int write_notice(const struct lun *lun, struct reservation_change *change,
                        const struct reservation_port *port, uint32_t code, size_t *count)
{
	if (notice_find(&lun->reservation_queue.notices, port, code) ||
	    notice_find(&change->notices, port, code) || *count == RESERVATION_NOTICES_MAX)
		return 0;
	struct reservation_notice *notice = calloc(1, sizeof *notice);
	if (!notice)
		return -ENOMEM;
	notice->port = *port;
	notice->code = code;
	list_append(&change->notices, &notice->link);
	++*count;
	return 0;
}

/* Of a name that is not here: its session may be at a gateway that has forwarded nothing of it
 * since this one is the owner. */
static int write_absent(const struct lun *lun, struct reservation_change *change,
                        const struct reservation_port *port, uint32_t code, size_t *count)
{
	return reservation_port_is_here(lun, port) ? 0
	                                           : write_notice(lun, change, port, code, count);
}

/* Registered for all target ports, it may come by any of them. */
static int write_all_ports(const struct lun *lun, struct reservation_change *change,
                           const struct registration *registration, uint32_t code, size_t *count)
{
	struct reservation_port port = registration->port;
	int r = write_absent(lun, change, &port, code, count);
	for (size_t i = 0; r == 0 && registration->all_target_ports && i < lun->group_count; i++) {
		port.tag = lun->groups[i].tag;
		r = write_absent(lun, change, &port, code, count);
	}
	return r;
}

int reservation_notices_write(const struct lun *lun, struct reservation_change *change,
                              size_t *ret_count)
{
	const struct reservation_effect *effect;
	*ret_count = 0;
	list_for_each (effect, &change->effects, link) {
		const struct registration *registration = &effect->registration;
		const struct itl *itl;
		int r = write_all_ports(lun, change, registration, effect->code, ret_count);
		list_for_each (itl, &lun->itls, lun_link) {
			if (r == 0 && itl != change->sender &&
			    registration_is(registration, itl->port))
				r = write_notice(lun, change, itl->port, effect->code, ret_count);
		}
		if (r < 0)
			return r;
	}
	return 0;
}

static void notice_remove(struct reservation_queue *queue, struct reservation_notice *notice)
{
	list_remove(&notice->link);
	queue->notice_count--;
	free(notice);
}

void reservation_notices_make_room(struct reservation_queue *queue, size_t count)
{
	while (queue->notice_count + count > RESERVATION_NOTICES_MAX)
		notice_remove(queue, list_first(&queue->notices, struct reservation_notice, link));
}

void reservation_notices_take(struct reservation_queue *queue, struct list *notices)
{
	struct list *link;
	while ((link = list_take_first(notices))) {
		list_append(&queue->notices, link);
		queue->notice_count++;
	}
	reservation_notices_make_room(queue,
	                              0); /* one may have come while these were being saved */
}

void reservation_notices_forget(struct lun *lun, const struct reservation_port *port)
{
	struct reservation_notice *notice, *following;
	list_for_each_safe (notice, following, &lun->reservation_queue.notices, link) {
		if (reservation_port_equal(&notice->port, port)) {
			notice_remove(&lun->reservation_queue, notice);
			lun->reservation_queue.dirty = true;
		}
	}
}

void reservation_notices_add_reset(struct lun *lun)
{
	struct reservation_queue *queue = &lun->reservation_queue;
	const struct reservation_port *reserver = &lun->reservations.reserver;
	const uint32_t code = SENSE_RESERVATIONS_RELEASED;
	if (!lun->reservations.reserved || !queue->keeper ||
	    notice_find(&queue->notices, reserver, code))
		return;
	struct reservation_notice *notice = calloc(1, sizeof *notice);
	if (!notice)
		return; /* the reset itself must not fail */
	notice->port = *reserver;
	notice->code = code;
	reservation_notices_make_room(queue, 1);
	list_append(&queue->notices, &notice->link);
	queue->notice_count++;
}

/* ---- what happens without a command ---- */

/* The text does not tell of which object of that name a RESERVE(6) is: of the first that is seen;
 * another one may follow it before it is over. */
static void claim_reserve6(struct reservations *reservations, const struct reservation_port *port)
{
	struct reservation_port *reserver = &reservations->reserver;
	if (reservations->reserved && !reserver->serial && reservation_port_equal(reserver, port))
		reserver->serial = port->serial;
}

void reservation_attached(struct lun *lun, struct itl *itl)
{
	claim_reserve6(&lun->reservations, itl->port);
	const struct reservation_notice *notice;
	list_for_each (notice, &lun->reservation_queue.notices, link) {
		if (reservation_port_equal(&notice->port, itl->port))
			ua_add(&itl->attentions, (enum sense_code)notice->code);
	}
}

void reservation_passed_on(struct lun *lun)
{
	static const enum sense_code codes[] = { SENSE_RESERVATIONS_PREEMPTED,
		                                 SENSE_RESERVATIONS_RELEASED,
		                                 SENSE_REGISTRATIONS_PREEMPTED };
	if (!lun->reservation_queue.keeper)
		return;
	reservation_notices_free(&lun->reservation_queue.notices);
	lun->reservation_queue.notice_count = 0;
	struct itl *itl;
	list_for_each (itl, &lun->itls, lun_link) {
		for (size_t i = 0; i < ARRAY_LEN(codes); i++)
			ua_remove(&itl->attentions, codes[i]);
	}
}

void reservation_reported(struct lun *lun, const struct itl *itl, uint32_t code)
{
	struct reservation_queue *queue = &lun->reservation_queue;
	if (code == SENSE_LUN_RESET) /* says more */
		code = SENSE_RESERVATIONS_RELEASED;
	struct reservation_notice *notice = notice_find(&queue->notices, itl->port, code);
	if (!notice)
		return;
	notice_remove(queue, notice);
	queue->dirty = true;
}
