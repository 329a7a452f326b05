/* Persistent reservations: register, reserve, release, clear, preempt, move [SPC-4 5.13]. */
#include "scsi/persistent.h"

#include <errno.h>

/* ---- who is told ---- */

static enum persistent_result tell_registrants(struct reservation_change *change,
                                               enum sense_code code)
{
	const struct registration *registration;
	list_for_each (registration, &change->draft.registrations, link) {
		if (reservation_change_tell(change, registration, code, false) < 0)
			return PERSISTENT_NO_ROOM;
	}
	return PERSISTENT_GOOD;
}

/* ---- registrations ---- */

static bool registrants_only(enum reservation_type type)
{
	return type >= RESERVATION_WRITE_EXCLUSIVE_REGISTRANTS;
}

static enum persistent_result add(struct reservations *draft, const struct reservation_port *port,
                                  const struct persistent_order *order)
{
	int r = reservations_add(draft, port, order->action_key, order->all_target_ports);
	return r < 0 ? PERSISTENT_NO_ROOM : PERSISTENT_GOOD;
}

/* The holder of a reservation for registrants leaves: the others must know. */
static enum persistent_result unregister(struct reservation_change *change,
                                         struct registration *own)
{
	struct reservations *draft = &change->draft;
	bool released = draft->holder == own && registrants_only(draft->type);
	registration_drop(draft, own);
	return released ? tell_registrants(change, SENSE_RESERVATIONS_RELEASED) : PERSISTENT_GOOD;
}

/* SPEC_I_PT: all of them or none [SPC-4 5.13.7]. */
static enum persistent_result register_others(struct reservations *draft,
                                              const struct persistent_order *order)
{
	for (size_t i = 0; i < order->other_count; i++) {
		const struct reservation_port *other = &order->others[i];
		if (registration_find(draft, other))
			continue; /* named twice, or an all target ports registration covers it */
		enum persistent_result result = add(draft, other, order);
		if (result != PERSISTENT_GOOD)
			return result;
	}
	return PERSISTENT_GOOD;
}

static enum persistent_result do_register(struct reservation_change *change,
                                          const struct persistent_order *order,
                                          struct registration *own)
{
	struct reservations *draft = &change->draft;
	bool ignores = order->action == PERSISTENT_REGISTER_AND_IGNORE;
	if (!ignores && order->key != (own ? own->key : 0))
		return PERSISTENT_CONFLICT;
	if (own && order->other_count)
		return PERSISTENT_BAD_PORT;
	if (!own && order->action_key == 0)
		return PERSISTENT_UNCHANGED;
	enum persistent_result result = PERSISTENT_GOOD;
	if (!own) {
		result = add(draft, order->port, order);
		if (result == PERSISTENT_GOOD)
			result = register_others(draft, order);
	} else if (order->action_key == 0) {
		result = unregister(change, own);
	} else {
		own->key = order->action_key;
	}
	draft->aptpl = order->aptpl;
	draft->generation++;
	return result;
}

/* The reservation and its holder's place go to another nexus [SPC-4 5.13.8]. */
static enum persistent_result do_move(struct reservation_change *change,
                                      const struct persistent_order *order,
                                      struct registration *own)
{
	struct reservations *draft = &change->draft;
	if (draft->type == RESERVATION_NONE || draft->holder != own)
		return PERSISTENT_CONFLICT;
	if (order->action_key == 0)
		return PERSISTENT_BAD_KEY;
	if (registration_is(own, order->others))
		return PERSISTENT_BAD_PORT;
	struct registration *target = registration_find(draft, order->others);
	if (!target) {
		enum persistent_result result = add(draft, order->others, order);
		if (result != PERSISTENT_GOOD)
			return result;
		target = registration_find(draft, order->others);
	}
	target->key = order->action_key;
	reservation_set(draft, draft->type, target);
	if (order->unregister)
		registration_drop(draft, own);
	draft->aptpl = order->aptpl;
	draft->generation++;
	return PERSISTENT_GOOD;
}

/* ---- the reservation ---- */

static enum persistent_result do_reserve(struct reservation_change *change,
                                         const struct persistent_order *order,
                                         struct registration *own)
{
	struct reservations *draft = &change->draft;
	if (draft->type == RESERVATION_NONE) {
		reservation_set(draft, order->type, own);
		return PERSISTENT_GOOD;
	}
	bool same = reservation_holds(draft, own) && draft->type == order->type;
	return same ? PERSISTENT_UNCHANGED : PERSISTENT_CONFLICT;
}

static enum persistent_result do_release(struct reservation_change *change,
                                         const struct persistent_order *order,
                                         struct registration *own)
{
	struct reservations *draft = &change->draft;
	if (!reservation_holds(draft, own))
		return PERSISTENT_UNCHANGED;
	if (draft->type != order->type)
		return PERSISTENT_BAD_RELEASE;
	bool others_care = registrants_only(draft->type);
	reservation_set(draft, RESERVATION_NONE, NULL);
	return others_care ? tell_registrants(change, SENSE_RESERVATIONS_RELEASED)
	                   : PERSISTENT_GOOD;
}

static enum persistent_result do_clear(struct reservation_change *change,
                                       const struct persistent_order *order,
                                       struct registration *own)
{
	(void)order;
	(void)own; /* it goes with the others */
	struct reservations *draft = &change->draft;
	enum persistent_result result = tell_registrants(change, SENSE_RESERVATIONS_PREEMPTED);
	struct registration *registration, *following;
	list_for_each_safe (registration, following, &draft->registrations, link) {
		registration_drop(draft, registration);
	}
	draft->generation++;
	return result;
}

/* ---- preempting ---- */

static bool key_exists(const struct reservations *draft, uint64_t key)
{
	const struct registration *registration;
	list_for_each (registration, &draft->registrations, link) {
		if (registration->key == key)
			return true;
	}
	return false;
}

/* Drops the registrations with the order's key (0: all) but `kept`, and tells who lost one. */
static enum persistent_result drop_keys(struct reservation_change *change,
                                        const struct persistent_order *order,
                                        const struct registration *kept)
{
	uint64_t key = order->action_key;
	bool aborts = order->action == PERSISTENT_PREEMPT_AND_ABORT;
	struct registration *registration, *following;
	list_for_each_safe (registration, following, &change->draft.registrations, link) {
		if (registration == kept || (key && registration->key != key))
			continue;
		if (reservation_change_tell(change, registration, SENSE_REGISTRATIONS_PREEMPTED,
		                            aborts) < 0)
			return PERSISTENT_NO_ROOM;
		registration_drop(&change->draft, registration);
	}
	return PERSISTENT_GOOD;
}

static enum persistent_result take_over(struct reservation_change *change,
                                        const struct persistent_order *order,
                                        struct registration *own)
{
	struct reservations *draft = &change->draft;
	enum reservation_type old = draft->type;
	draft->holder = NULL; /* it may be among those that go */
	enum persistent_result result = drop_keys(change, order, own);
	reservation_set(draft, order->type, own);
	if (result == PERSISTENT_GOOD && order->type != old)
		result = tell_registrants(change, SENSE_RESERVATIONS_RELEASED);
	return result;
}

static enum persistent_result do_preempt(struct reservation_change *change,
                                         const struct persistent_order *order,
                                         struct registration *own)
{
	struct reservations *draft = &change->draft;
	bool for_all = reservation_all_registrants(draft->type);
	uint64_t key = order->action_key;
	if (key == 0 && !for_all)
		return PERSISTENT_BAD_KEY;
	if (key != 0 && !key_exists(draft, key))
		return PERSISTENT_CONFLICT;
	draft->generation++;
	bool takes = for_all ? key == 0 : draft->holder && draft->holder->key == key;
	return takes ? take_over(change, order, own)
	             : drop_keys(change, order, for_all ? own : NULL);
}

static const struct {
	enum persistent_result (*run)(struct reservation_change *change,
	                              const struct persistent_order *order,
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
	[PERSISTENT_REGISTER_AND_MOVE] = { do_move, false },
};

enum persistent_result persistent_carry_out(struct reservation_change *change,
                                            const struct persistent_order *order)
{
	struct registration *own = registration_find(&change->draft, order->port);
	if (!actions[order->action].any_nexus && (!own || own->key != order->key))
		return PERSISTENT_CONFLICT;
	return actions[order->action].run(change, order, own);
}
