/* What reservations forbid to whom: computed for every nexus when a reservation changes
 * [SPC-4 5.13.1, SPC-2 5.5]. */
#include "scsi/reservation.h"

#include "scsi/lun_private.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

void reservations_init(struct reservations *reservations)
{
	list_init(&reservations->registrations);
}

void reservations_done(struct reservations *reservations)
{
	struct list *link;
	while ((link = list_take_first(&reservations->registrations)))
		free(list_entry(link, struct registration, link));
}

bool registration_is(const struct registration *registration, const struct reservation_port *port)
{
	const struct reservation_port *own = &registration->port;
	if (strcasecmp(own->initiator, port->initiator) != 0 ||
	    memcmp(own->isid, port->isid, sizeof own->isid) != 0)
		return false;
	return registration->all_target_ports ||
	       (own->tag == port->tag && strcasecmp(own->target, port->target) == 0);
}

struct registration *registration_find(const struct reservations *reservations,
                                       const struct reservation_port *port)
{
	struct registration *registration;
	list_for_each (registration, &reservations->registrations, link) {
		if (registration_is(registration, port))
			return registration;
	}
	return NULL;
}

/* What the persistent reservation forbids. */
static uint32_t persistent_mask(const struct reservations *reservations, const struct itl *itl)
{
	enum reservation_type type = reservations->type;
	if (type == RESERVATION_NONE)
		return 0;
	const struct registration *own = registration_find(reservations, itl->port);
	bool registrants_only = type >= RESERVATION_WRITE_EXCLUSIVE_REGISTRANTS;
	if (own && (registrants_only || own == reservations->holder))
		return 0;
	bool reads_allowed = type == RESERVATION_WRITE_EXCLUSIVE ||
	                     type == RESERVATION_WRITE_EXCLUSIVE_REGISTRANTS ||
	                     type == RESERVATION_WRITE_EXCLUSIVE_ALL;
	return RESERVED_WRITES | (reads_allowed ? 0 : RESERVED_READS);
}

void reservations_apply(struct lun *lun)
{
	const struct reservations *reservations = &lun->reservations;
	struct itl *itl;
	list_for_each (itl, &lun->itls, lun_link) {
		uint32_t mask = persistent_mask(reservations, itl);
		if (reservations->reserver)
			mask |= RESERVED_RESERVING;
		if (reservations->reserver && reservations->reserver != itl)
			mask |= RESERVED_ALL;
		atomic_store_explicit(&itl->reserved, mask, memory_order_release);
	}
}

void reservations_release6(struct lun *lun, const struct itl *itl)
{
	struct reservations *reservations = &lun->reservations;
	if (!reservations->reserver || (itl && reservations->reserver != itl))
		return;
	reservations->reserver = NULL;
	reservations_apply(lun);
}
