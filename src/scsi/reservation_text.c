/* Reservations as JSON: formatting, strict parsing, and loading into a LUN. */
#include "scsi/reservation_text.h"

#include "base/json.h"
#include "scsi/lun_private.h"
#include "scsi/reservation_keeper.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define TEXT_VERSION 1

void reservation_text_done(struct reservation_text *text)
{
	if (!text->notices.next)
		return;
	reservations_done(&text->reservations);
	reservation_notices_free(&text->notices);
}

/* ---- format ---- */

static json_t *port_json(const struct reservation_port *port)
{
	char isid[2 * sizeof port->isid + 1];
	text_put_hex(port->isid, sizeof port->isid, isid);
	return json_pack("{ss,ss,ss,si}", "initiator", port->initiator, "isid", isid, "target",
	                 port->target, "tag", (int)port->tag);
}

static json_t *registration_json(const struct registration *registration)
{
	char key[17];
	(void)snprintf(key, sizeof key, "%016llx", (unsigned long long)registration->key);
	json_t *json = port_json(&registration->port);
	AUTO_JSON json_t *more = json_pack("{ss,sb}", "key", key, "all_target_ports",
	                                   registration->all_target_ports);
	if (!json || !more || json_object_update(json, more) < 0) {
		json_decref(json);
		return NULL;
	}
	return json;
}

static json_t *registrations_json(const struct reservations *reservations, int *ret_holder)
{
	json_t *list = json_array();
	const struct registration *registration;
	int i = 0;
	list_for_each (registration, &reservations->registrations, link) {
		if (registration == reservations->holder)
			*ret_holder = i;
		i++;
		if (json_array_append_new(list, registration_json(registration)) < 0) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

static bool add_notices(json_t *list, const struct list *notices)
{
	const struct reservation_notice *notice;
	list_for_each (notice, notices, link) {
		json_t *json = port_json(&notice->port);
		if (json_object_set_new(json, "code", json_integer(notice->code)) < 0 ||
		    json_array_append_new(list, json) < 0) {
			json_decref(json);
			return false;
		}
	}
	return true;
}

static bool add_reservation(json_t *root, const struct reservations *reservations, int holder)
{
	if (reservations->type == RESERVATION_NONE)
		return true;
	json_t *json = json_pack("{si}", "type", (int)reservations->type);
	if (holder >= 0 && json_object_set_new(json, "holder", json_integer(holder)) < 0) {
		json_decref(json);
		return false;
	}
	return json_object_set_new(root, "reservation", json) == 0;
}

static bool add_reserve6(json_t *root, const struct reservations *reservations)
{
	if (!reservations->reserved)
		return true;
	json_t *json = port_json(&reservations->reserver);
	if (json_object_set_new(json, "here", json_boolean(reservations->reserver_here)) < 0) {
		json_decref(json);
		return false;
	}
	return json_object_set_new(root, "reserve6", json) == 0;
}

char *reservation_text_format(const struct reservations *reservations, uint64_t epoch,
                              const struct list *notices, const struct list *more_notices)
{
	int holder = -1;
	AUTO_JSON json_t *root = json_pack(
	        "{si,sI,sI,sb}", "version", TEXT_VERSION, "epoch", (json_int_t)epoch, "generation",
	        (json_int_t)reservations->generation, "aptpl", reservations->aptpl);
	AUTO_JSON json_t *attentions = json_array();
	bool done = root &&
	            json_object_set_new(root, "registrations",
	                                registrations_json(reservations, &holder)) == 0 &&
	            add_reservation(root, reservations, holder) && add_reserve6(root, reservations);
	if (!done || !add_notices(attentions, notices) ||
	    (more_notices && !add_notices(attentions, more_notices)) ||
	    json_object_set(root, "attentions", attentions) < 0)
		return NULL;
	return json_format(root, &json_style_compact);
}

char *lun_format_reservations(struct lun *lun)
{
	(void)pthread_mutex_lock(&lun->lock);
	char *text = reservation_text_format(&lun->reservations, lun_get_epoch(lun),
	                                     &lun->reservation_queue.notices, NULL);
	(void)pthread_mutex_unlock(&lun->lock);
	return text;
}

/* ---- parse: what is read stands at `where`, for people ---- */

struct place {
	const json_t *object;
	const char *where;
	struct error *err;
};

static int bad(const struct place *place, const char *member, const char *what)
{
	return error_set(place->err, -EBADMSG, "%s%s%s %s", place->where,
	                 *place->where && *member ? "." : "", member, what);
}

static int get_number(const struct place *place, const char *member, json_int_t min, json_int_t max,
                      json_int_t *ret_value)
{
	const json_t *value = json_object_get(place->object, member);
	if (!json_is_integer(value))
		return bad(place, member, "is not a number");
	if (json_integer_value(value) < min || json_integer_value(value) > max)
		return bad(place, member, "is out of range");
	*ret_value = json_integer_value(value);
	return 0;
}

static int get_flag(const struct place *place, const char *member, bool *ret_value)
{
	const json_t *value = json_object_get(place->object, member);
	if (!json_is_boolean(value))
		return bad(place, member, "is neither true nor false");
	*ret_value = json_is_true(value);
	return 0;
}

static int get_name(const struct place *place, const char *member, char *ret_name)
{
	const char *name = json_text(place->object, member, NULL);
	if (!name || !*name)
		return bad(place, member, "is not a name");
	if (strlen(name) >= RESERVATION_NAME_MAX)
		return bad(place, member, "is too long");
	(void)snprintf(ret_name, RESERVATION_NAME_MAX, "%s", name);
	return 0;
}

static int get_hex(const struct place *place, const char *member, uint8_t *ret_bytes, size_t len)
{
	const char *text = json_text(place->object, member, "");
	size_t got;
	if (strlen(text) != 2 * len || text_get_hex(text, 2 * len, ret_bytes, len, &got) < 0)
		return bad(place, member, "is not as many hex digits as it should be");
	return 0;
}

static int get_port(const struct place *place, struct reservation_port *ret_port)
{
	json_int_t tag = 0;
	if (!json_is_object(place->object))
		return bad(place, "", "is not an object");
	int r = get_name(place, "initiator", ret_port->initiator);
	if (r == 0)
		r = get_name(place, "target", ret_port->target);
	if (r == 0)
		r = get_hex(place, "isid", ret_port->isid, sizeof ret_port->isid);
	if (r == 0)
		r = get_number(place, "tag", 0, UINT16_MAX, &tag);
	ret_port->tag = (uint16_t)tag;
	return r;
}

static int get_registration(const struct place *place, struct reservations *reservations)
{
	struct reservation_port port = { 0 };
	uint8_t bytes[8] = { 0 };
	uint64_t key = 0;
	bool all_target_ports = false;
	int r = get_port(place, &port);
	if (r == 0)
		r = get_hex(place, "key", bytes, sizeof bytes);
	if (r == 0)
		r = get_flag(place, "all_target_ports", &all_target_ports);
	if (r < 0)
		return r;
	for (size_t i = 0; i < sizeof bytes; i++)
		key = key << 8 | bytes[i];
	if (key == 0)
		return bad(place, "key", "is zero");
	if (registration_find(reservations, &port))
		return bad(place, "", "is there twice");
	return reservations_add(reservations, &port, key, all_target_ports);
}

static int get_notice(const struct place *place, struct reservation_text *text)
{
	json_int_t code = 0;
	struct reservation_port port = { 0 };
	int r = get_port(place, &port);
	if (r == 0)
		r = get_number(place, "code", 0, 0xffffff, &code);
	if (r < 0)
		return r;
	if (code != SENSE_RESERVATIONS_PREEMPTED && code != SENSE_RESERVATIONS_RELEASED &&
	    code != SENSE_REGISTRATIONS_PREEMPTED)
		return bad(place, "code", "is no unit attention of reservations");
	struct reservation_notice *notice = calloc(1, sizeof *notice);
	if (!notice)
		return -ENOMEM;
	notice->port = port;
	notice->code = (uint32_t)code;
	list_append(&text->notices, &notice->link);
	text->notice_count++;
	return 0;
}

/* Walks an array of at most max members. */
static int get_each(const struct place *root, const char *member, size_t max,
                    struct reservation_text *text,
                    int (*get)(const struct place *place, struct reservation_text *text))
{
	const json_t *array = json_object_get(root->object, member);
	if (!json_is_array(array))
		return bad(root, member, "is not a list");
	if (json_array_size(array) > max)
		return bad(root, member, "has too many entries");
	for (size_t i = 0; i < json_array_size(array); i++) {
		char where[64];
		(void)snprintf(where, sizeof where, "%s[%zu]", member, i);
		struct place place = { json_array_get(array, i), where, root->err };
		int r = get(&place, text);
		if (r < 0)
			return r;
	}
	return 0;
}

static int get_one_registration(const struct place *place, struct reservation_text *text)
{
	return get_registration(place, &text->reservations);
}

static int get_reservation(const struct place *root, struct reservations *reservations)
{
	const json_t *json = json_object_get(root->object, "reservation");
	if (!json)
		return 0;
	struct place place = { json, "reservation", root->err };
	json_int_t type = 0, holder = 0;
	int r = get_number(&place, "type", 0, UINT8_MAX, &type);
	if (r < 0)
		return r;
	if (!reservation_type_valid((unsigned)type))
		return bad(&place, "type", "is no type of reservation");
	if (reservations->count == 0)
		return bad(&place, "", "is there, but nobody is registered");
	bool for_all = reservation_all_registrants((enum reservation_type)type);
	if (!for_all)
		r = get_number(&place, "holder", 0, (json_int_t)reservations->count - 1, &holder);
	if (r < 0)
		return r;
	struct list *link = reservations->registrations.next;
	for (json_int_t i = 0; i < holder; i++)
		link = link->next;
	reservation_set(reservations, (enum reservation_type)type,
	                list_entry(link, struct registration, link));
	return 0;
}

static int get_reserve6(const struct place *root, struct reservations *reservations)
{
	const json_t *json = json_object_get(root->object, "reserve6");
	if (!json)
		return 0;
	struct place place = { json, "reserve6", root->err };
	if (reservations->count)
		return bad(&place, "", "is there, beside persistent ones");
	int r = get_port(&place, &reservations->reserver);
	if (r == 0)
		r = get_flag(&place, "here", &reservations->reserver_here);
	reservations->reserved = r == 0;
	return r;
}

static int get_all(const struct place *root, struct reservation_text *text)
{
	struct reservations *reservations = &text->reservations;
	json_int_t version, epoch = 0, generation = 0;
	if (!json_is_object(root->object))
		return bad(root, "the text", "is not an object");
	int r = get_number(root, "version", TEXT_VERSION, TEXT_VERSION, &version);
	if (r == 0)
		r = get_number(root, "epoch", 0, INT64_MAX, &epoch);
	if (r == 0)
		r = get_number(root, "generation", 0, UINT32_MAX, &generation);
	if (r == 0)
		r = get_flag(root, "aptpl", &reservations->aptpl);
	if (r == 0)
		r = get_each(root, "registrations", REGISTRATIONS_MAX, text, get_one_registration);
	if (r == 0)
		r = get_reservation(root, reservations);
	if (r == 0)
		r = get_reserve6(root, reservations);
	if (r == 0)
		r = get_each(root, "attentions", RESERVATION_NOTICES_MAX, text, get_notice);
	text->epoch = (uint64_t)epoch;
	reservations->generation = (uint32_t)generation;
	return r;
}

static int read_json(const char *text, json_t **ret_json, struct error *err)
{
	json_error_t reason;
	size_t len = strnlen(text, RESERVATION_TEXT_MAX + 1);
	if (len > RESERVATION_TEXT_MAX)
		return error_set(err, -EBADMSG, "more than %u bytes", RESERVATION_TEXT_MAX);
	*ret_json = json_loadb(text, len, JSON_REJECT_DUPLICATES, &reason);
	if (!*ret_json)
		return error_set(err, -EBADMSG, "not JSON: %s (line %d, column %d)", reason.text,
		                 reason.line, reason.column);
	return 0;
}

static int parse_json(const json_t *json, struct reservation_text *ret_text, struct error *err)
{
	struct place root = { json, "", err };
	struct reservation_text text = { .epoch = 0 };
	reservations_init(&text.reservations);
	list_init(&text.notices);
	int r = get_all(&root, &text);

	reservations_init(&ret_text->reservations);
	list_init(&ret_text->notices);
	ret_text->notice_count = 0;
	ret_text->epoch = 0;
	if (r == 0) {
		reservations_replace(&ret_text->reservations, &text.reservations);
		list_splice(&ret_text->notices, &text.notices);
		ret_text->notice_count = text.notice_count;
		ret_text->epoch = text.epoch;
	}
	reservation_text_done(&text);
	return r == -ENOMEM ? error_set(err, r, "out of memory") : r;
}

int reservation_text_parse(const char *text, struct reservation_text *ret_text, struct error *err)
{
	AUTO_JSON json_t *json = NULL;
	int r = read_json(text, &json, err);
	return r < 0 ? r : parse_json(json, ret_text, err);
}
