/* What reservations forbid to whom: computed for every nexus when a reservation changes
 * [SPC-4 5.13.1, SPC-2 5.5]. */
#include "scsi/reservation.h"

#include "scsi/lun_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- the state as a value ---- */

void reservations_init(struct reservations *reservations)
{
	memset(reservations, 0, sizeof *reservations);
	list_init(&reservations->registrations);
}

void reservations_done(struct reservations *reservations)
{
	struct list *link;
	while ((link = list_take_first(&reservations->registrations)))
		free(list_entry(link, struct registration, link));
	reservations_init(reservations);
}

int reservations_add(struct reservations *reservations, const struct reservation_port *port,
                     uint64_t key, bool all_target_ports)
{
	if (reservations->count == REGISTRATIONS_MAX)
		return -ENOSPC;
	struct registration *registration = calloc(1, sizeof *registration);
	if (!registration)
		return -ENOMEM;
	registration->port = *port;
	registration->key = key;
	registration->all_target_ports = all_target_ports;
	list_append(&reservations->registrations, &registration->link);
	reservations->count++;
	return 0;
}

int reservations_copy(struct reservations *copy, const struct reservations *from)
{
	const struct registration *registration;
	list_for_each (registration, &from->registrations, link) {
		int r = reservations_add(copy, &registration->port, registration->key,
		                         registration->all_target_ports);
		if (r < 0) {
			reservations_done(copy);
			return r;
		}
		if (registration == from->holder)
			copy->holder =
			        list_entry(copy->registrations.prev, struct registration, link);
	}
	copy->generation = from->generation;
	copy->aptpl = from->aptpl;
	copy->type = from->type;
	copy->reserved = from->reserved;
	copy->reserver = from->reserver;
	copy->reserver_here = from->reserver_here;
	return 0;
}

void reservations_replace(struct reservations *reservations, struct reservations *from)
{
	reservations_done(reservations);
	*reservations = *from;
	list_init(&reservations->registrations);
	list_splice(&reservations->registrations, &from->registrations);
	reservations_init(from);
}

void reservation_notices_free(struct list *notices)
{
	struct list *link;
	while ((link = list_take_first(notices)))
		free(list_entry(link, struct reservation_notice, link));
}

/* ---- who is who ---- */

static bool same_initiator(const struct reservation_port *a, const struct reservation_port *b)
{
	return memcmp(a->isid, b->isid, sizeof a->isid) == 0 &&
	       strcasecmp(a->initiator, b->initiator) == 0;
}

bool reservation_port_equal(const struct reservation_port *a, const struct reservation_port *b)
{
	return same_initiator(a, b) && a->tag == b->tag && strcasecmp(a->target, b->target) == 0;
}

bool registration_is(const struct registration *registration, const struct reservation_port *port)
{
	return registration->all_target_ports ? same_initiator(&registration->port, port)
	                                      : reservation_port_equal(&registration->port, port);
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

bool reservation_type_valid(unsigned type)
{
	return type == 1 || type == 3 || (type >= 5 && type <= 8);
}

void reservation_set(struct reservations *reservations, enum reservation_type type,
                     struct registration *holder)
{
	reservations->type = type;
	reservations->holder = reservation_all_registrants(type) ? NULL : holder;
}

void registration_drop(struct reservations *reservations, struct registration *registration)
{
	list_remove(&registration->link);
	reservations->count--;
	if (reservations->holder == registration || reservations->count == 0)
		reservation_set(reservations, RESERVATION_NONE, NULL);
	free(registration);
}

/* ---- what it forbids ---- */

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
		if (reservations->reserved) {
			mask |= RESERVED_RESERVING;
			if (!reservation_port_equal(&reservations->reserver, itl->port))
				mask |= RESERVED_ALL;
		}
		atomic_store_explicit(&itl->reserved, mask, memory_order_release);
	}
}
