/* Persistent reservations: register, reserve, release, clear, preempt [SPC-4 5.13]. */
#include "scsi/persistent.h"

#include <stdlib.h>

/* ---- who is told ---- */

static void tell(struct lun *lun, const struct registration *registration, enum sense_code code,
                 const struct itl *except)
{
	struct itl *itl;
	list_for_each (itl, &lun->itls, lun_link) {
		if (itl != except && registration_is(registration, itl->port))
			ua_add(&itl->attentions, code);
	}
}

static void tell_registrants(struct lun *lun, enum sense_code code, const struct itl *except)
{
	const struct registration *registration;
	list_for_each (registration, &lun->reservations.registrations, link) {
		tell(lun, registration, code, except);
	}
}

/* ---- registrations ---- */

static bool registrants_only(enum reservation_type type)
{
	return type >= RESERVATION_WRITE_EXCLUSIVE_REGISTRANTS;
}

static bool holds(const struct reservations *reservations, const struct registration *registration)
{
	return reservations->type != RESERVATION_NONE &&
	       (reservation_all_registrants(reservations->type) ||
	        reservations->holder == registration);
}

static void reservation_set(struct reservations *reservations, enum reservation_type type,
                            struct registration *holder)
{
	reservations->type = type;
	reservations->holder = reservation_all_registrants(type) ? NULL : holder;
}

static enum persistent_result registration_add(struct reservations *reservations,
                                               const struct persistent_order *order)
{
	if (reservations->count == REGISTRATIONS_MAX)
		return PERSISTENT_NO_ROOM;
	struct registration *registration = calloc(1, sizeof *registration);
	if (!registration)
		return PERSISTENT_NO_ROOM;
	registration->port = *order->itl->port;
	registration->key = order->action_key;
	registration->all_target_ports = order->all_target_ports;
	list_append(&reservations->registrations, &registration->link);
	reservations->count++;
	return PERSISTENT_GOOD;
}

static void registration_drop(struct reservations *reservations, struct registration *registration)
{
	list_remove(&registration->link);
	reservations->count--;
	if (reservations->holder == registration)
		reservation_set(reservations, RESERVATION_NONE, NULL);
	if (reservations->count == 0)
		reservation_set(reservations, RESERVATION_NONE, NULL);
	free(registration);
}

/* The holder of a reservation for registrants leaves: the others must know. */
static void unregister(struct lun *lun, struct registration *own, const struct itl *sender)
{
	struct reservations *reservations = &lun->reservations;
	bool released = reservations->holder == own && registrants_only(reservations->type);
	registration_drop(reservations, own);
	if (released)
		tell_registrants(lun, SENSE_RESERVATIONS_RELEASED, sender);
}

static enum persistent_result do_register(struct lun *lun, const struct persistent_order *order,
                                          struct registration *own)
{
	struct reservations *reservations = &lun->reservations;
	bool ignores = order->action == PERSISTENT_REGISTER_AND_IGNORE;
	if (!ignores && order->key != (own ? own->key : 0))
		return PERSISTENT_CONFLICT;
	if (!own && order->action_key == 0)
		return PERSISTENT_GOOD;
	if (!own) {
		enum persistent_result result = registration_add(reservations, order);
		if (result != PERSISTENT_GOOD)
			return result;
	} else if (order->action_key == 0) {
		unregister(lun, own, order->itl);
	} else {
		own->key = order->action_key;
	}
	reservations->generation++;
	return PERSISTENT_GOOD;
}

/* ---- the reservation ---- */

static enum persistent_result do_reserve(struct lun *lun, const struct persistent_order *order,
                                         struct registration *own)
{
	struct reservations *reservations = &lun->reservations;
	if (reservations->type == RESERVATION_NONE) {
		reservation_set(reservations, order->type, own);
		return PERSISTENT_GOOD;
	}
	bool same = holds(reservations, own) && reservations->type == order->type;
	return same ? PERSISTENT_GOOD : PERSISTENT_CONFLICT;
}

static enum persistent_result do_release(struct lun *lun, const struct persistent_order *order,
                                         struct registration *own)
{
	struct reservations *reservations = &lun->reservations;
	if (!holds(reservations, own))
		return PERSISTENT_GOOD;
	if (reservations->type != order->type)
		return PERSISTENT_BAD_RELEASE;
	bool others_care = registrants_only(reservations->type);
	reservation_set(reservations, RESERVATION_NONE, NULL);
	if (others_care)
		tell_registrants(lun, SENSE_RESERVATIONS_RELEASED, order->itl);
	return PERSISTENT_GOOD;
}

static enum persistent_result do_clear(struct lun *lun, const struct persistent_order *order,
                                       struct registration *own)
{
	struct reservations *reservations = &lun->reservations;
	tell_registrants(lun, SENSE_RESERVATIONS_PREEMPTED, order->itl);
	reservation_set(reservations, RESERVATION_NONE, NULL);
	struct registration *registration, *following;
	list_for_each_safe (registration, following, &reservations->registrations, link) {
		registration_drop(reservations, registration);
	}
	reservations->generation++;
	return PERSISTENT_GOOD;
}

/* ---- preempting ---- */

static bool key_exists(const struct reservations *reservations, uint64_t key)
{
	const struct registration *registration;
	list_for_each (registration, &reservations->registrations, link) {
		if (registration->key == key)
			return true;
	}
	return false;
}

/* Its tasks are to be aborted: each itl sees that on its own reactor. */
static void mark(struct lun *lun, const struct registration *registration)
{
	struct itl *itl;
	list_for_each (itl, &lun->itls, lun_link) {
		if (registration_is(registration, itl->port))
			itl->preempted = true;
	}
}

/* Drops the registrations with the order's key (0: all) but `kept`, and tells who lost one. */
static void drop_keys(struct lun *lun, const struct persistent_order *order,
                      const struct registration *kept)
{
	uint64_t key = order->action_key;
	struct registration *registration, *following;
	list_for_each_safe (registration, following, &lun->reservations.registrations, link) {
		if (registration == kept || (key && registration->key != key))
			continue;
		if (order->action == PERSISTENT_PREEMPT_AND_ABORT)
			mark(lun, registration);
		tell(lun, registration, SENSE_REGISTRATIONS_PREEMPTED, order->itl);
		registration_drop(&lun->reservations, registration);
	}
}

static enum persistent_result do_preempt(struct lun *lun, const struct persistent_order *order,
                                         struct registration *own)
{
	struct reservations *reservations = &lun->reservations;
	enum reservation_type old = reservations->type;
	bool for_all = reservation_all_registrants(old);
	uint64_t key = order->action_key;
	if (key == 0 && !for_all)
		return PERSISTENT_BAD_KEY;
	if (key != 0 && !key_exists(reservations, key))
		return PERSISTENT_CONFLICT;

	bool takes = for_all ? key == 0 : reservations->holder && reservations->holder->key == key;
	if (takes) {
		reservations->holder = NULL; /* it may be among those that go */
		drop_keys(lun, order, own);
		reservation_set(reservations, order->type, own);
		if (order->type != old)
			tell_registrants(lun, SENSE_RESERVATIONS_RELEASED, order->itl);
	} else {
		drop_keys(lun, order, for_all ? own : NULL);
	}
	reservations->generation++;
	return PERSISTENT_GOOD;
}

static const struct {
	enum persistent_result (*run)(struct lun *lun, const struct persistent_order *order,
	                              struct registration *own);
	bool any_nexus; /* else a registered one, with its key */
} actions[PERSISTENT_ACTION_COUNT] = {
	[PERSISTENT_REGISTER] = { do_register, true },
	[PERSISTENT_RESERVE] = { do_reserve, false },
	[PERSISTENT_RELEASE] = { do_release, false },
	[PERSISTENT_CLEAR] = { do_clear, false },
	[PERSISTENT_PREEMPT] = { do_preempt, false },
	[PERSISTENT_PREEMPT_AND_ABORT] = { do_preempt, false },
	[PERSISTENT_REGISTER_AND_IGNORE] = { do_register, true },
};

enum persistent_result persistent_carry_out(struct lun *lun, const struct persistent_order *order)
{
	struct registration *own = registration_find(&lun->reservations, order->itl->port);
	if (!actions[order->action].any_nexus && (!own || own->key != order->key))
		return PERSISTENT_CONFLICT;
	enum persistent_result result = actions[order->action].run(lun, order, own);
	if (result == PERSISTENT_GOOD)
		reservations_apply(lun);
	return result;
}
