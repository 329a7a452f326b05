/* See owners.h. */
#include "api/owners.h"

#include "base/text.h"
#include "ownership/maintenance.h"
#include "ownership/record.h"
#include "ownership/registration.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* Short memory: a member less in the answer. */
static void put_text(json_t *object, const char *name, const char *text)
{
	if (*text)
		(void)json_object_set_new(object, name, json_string(text));
}

static void put_number(json_t *object, const char *name, json_int_t number)
{
	(void)json_object_set_new(object, name, json_integer(number));
}

/* ---- gateways ---- */

static void visit_registration(void *argument, const struct registration_row *row)
{
	json_t *gateway = json_object_get(argument, row->gateway);
	if (!gateway)
		return;
	put_text(gateway, "state",
	         row->fenced      ? "fenced"
	         : row->condemned ? "condemned"
	                          : gateway_state_name(row->state));
	put_text(gateway, "instance", row->instance);
	put_text(gateway, "interconnect", row->interconnect);
	if (row->condemned) {
		put_text(gateway, "condemned_by", row->condemned_by);
		put_text(gateway, "why", row->why);
	}
}

static void visit_maintenance(void *argument, const char *name)
{
	json_t *gateway = json_object_get(argument, name);
	if (!gateway)
		return;
	(void)json_object_set_new(gateway, "maintenance", json_true());
	if (strcmp(json_text(gateway, "state", ""), "up") == 0)
		put_text(gateway, "state", "maintenance");
}

static int read_gateways(const struct rest *api, const json_t *object, json_t *gateways,
                         struct error *err)
{
	const char *name;
	json_t *entry;
	json_object_foreach (json_object_get(object, "gateways"), name, entry) {
		if (json_is_object(entry))
			(void)json_object_set_new(gateways, name,
			                          json_pack("{s:s, s:b, s:i}", "state",
			                                    "unregistered", "maintenance", 0,
			                                    "luns", 0));
	}
	struct store *store = api->config.store;
	int r = registration_list(store, visit_registration, gateways, err);
	if (r == 0)
		r = maintenance_list(store, visit_maintenance, gateways, err);
	return r;
}

/* ---- LUNs ---- */

static json_t *no_owner(const char *preferred)
{
	return json_pack("{s:s, s:s, s:s, s:i}", "owner", "", "preferred_owner", preferred, "state",
	                 owner_state_name(OWNER_NONE), "epoch", 0);
}

static void put_record(json_t *lun, const struct owner_record *record)
{
	char changed[32];
	time_t at = (time_t)record->at;
	struct tm utc;
	if (record->state == OWNER_NONE)
		return;
	(void)json_object_set_new(lun, "state", json_string(owner_state_name(record->state)));
	put_number(lun, "epoch", (json_int_t)record->epoch);
	if (record->state == OWNER_ACTIVE)
		put_text(lun, "owner", record->gateway);
	else
		put_text(lun, "next", record->next);
	if (gmtime_r(&at, &utc) && strftime(changed, sizeof changed, "%Y-%m-%dT%H:%M:%SZ", &utc))
		put_text(lun, "changed", changed);
	put_text(lun, "why", record->why);
}

/* Disks that some target has: others have no owner. */
static void add_luns(const json_t *object, json_t *luns)
{
	const char *id;
	json_t *disk;
	json_object_foreach (json_object_get(object, "disks"), id, disk) {
		const char *preferred = json_text(disk, "owner", NULL);
		if (preferred)
			(void)json_object_set_new(luns, id, no_owner(preferred));
	}
}

/* The gateways of a target that never registered, if others did: upstream's. NULL: none. */
static char *upstream_gateways(const json_t *target, const json_t *gateways)
{
	AUTO_STRING struct string text = { 0 };
	bool any_ours = false;
	const char *name;
	json_t *portal;
	json_object_foreach (json_object_get(target, "portals"), name, portal) {
		const char *state = json_text(json_object_get(gateways, name), "state", "");
		any_ours |= strcmp(state, "unregistered") != 0;
		if (strcmp(state, "unregistered") == 0)
			string_format(&text, "%s%s",
			              text.len ? ", " : "beside upstream gateways: ", name);
	}
	return any_ours ? string_take(&text) : NULL;
}

/* Such LUNs are taken when an initiator wants them, and only then. */
static void add_demands(const json_t *object, const json_t *owners)
{
	const char *iqn, *id;
	json_t *target, *disk;
	json_object_foreach (json_object_get(object, "targets"), iqn, target) {
		AUTO_FREE char *text =
		        upstream_gateways(target, json_object_get(owners, "gateways"));
		json_object_foreach (json_object_get(target, "disks"), id, disk) {
			json_t *lun = json_object_get(json_object_get(owners, "luns"), id);
			if (lun && text)
				put_text(lun, "on_demand", text);
		}
	}
}

static void visit_record(void *argument, const char *id, const struct owner_record *record)
{
	json_t *owners = argument;
	json_t *lun = json_object_get(json_object_get(owners, "luns"), id);
	json_t *gateway = json_object_get(json_object_get(owners, "gateways"), record->gateway);
	if (!lun)
		return;
	put_record(lun, record);
	if (gateway && record->state == OWNER_ACTIVE)
		put_number(gateway, "luns", json_number(gateway, "luns", 0) + 1);
}

int owners_read(const struct rest *api, const json_t *object, json_t **ret_owners,
                struct error *err)
{
	AUTO_JSON json_t *owners = json_pack("{s:{}, s:{}}", "gateways", "luns");
	if (!owners)
		return error_set(err, -ENOMEM, "out of memory");
	add_luns(object, json_object_get(owners, "luns"));
	int r = read_gateways(api, object, json_object_get(owners, "gateways"), err);
	if (r == 0)
		r = owner_record_list(api->config.store, visit_record, owners, err);
	add_demands(object, owners);
	if (r == 0)
		*ret_owners = steal(&owners);
	return r;
}

int owners_read_lun(const struct rest *api, const char *id, const char *preferred, json_t **ret_lun,
                    struct error *err)
{
	struct owner_record record = { 0 };
	int r = owner_record_read(api->config.store, id, &record, err);
	if (r < 0)
		return r;
	json_t *lun = no_owner(preferred);
	put_record(lun, &record);
	owner_record_done(&record);
	*ret_lun = lun;
	return lun ? 0 : error_set(err, -ENOMEM, "out of memory");
}

void owners_add_view(json_t *owners, const json_t *status)
{
	json_t *gateways = json_object_get(owners, "gateways"), *member;
	const char *own = json_text(status, "gateway", "");
	size_t i;
	json_array_foreach (json_object_get(status, "members"), i, member) {
		json_t *gateway = json_object_get(gateways, json_text(member, "gateway", ""));
		if (gateway && strcmp(json_text(member, "health", ""), "unreachable") == 0)
			put_text(gateway, "unreachable_from", own);
	}
}

static bool has_heir(const json_t *gateways, const json_t *target, const char *gateway)
{
	const char *name;
	json_t *portal;
	json_object_foreach (json_object_get(target, "portals"), name, portal) {
		const char *state = json_text(json_object_get(gateways, name), "state", "");
		if (strcmp(name, gateway) != 0 && strcmp(state, "up") == 0)
			return true;
	}
	return false;
}

/* Its LUNs are given back, whoever may want them next. */
static bool is_on_demand(const json_t *gateways, const json_t *target)
{
	AUTO_FREE char *text = upstream_gateways(target, gateways);
	return text && *text;
}

const char *owners_find_heirless(const json_t *owners, const json_t *object, const char *gateway)
{
	const json_t *gateways = json_object_get(owners, "gateways");
	const char *iqn;
	json_t *target;
	json_object_foreach (json_object_get(object, "targets"), iqn, target) {
		if (json_object_get(json_object_get(target, "portals"), gateway) &&
		    json_object_size(json_object_get(target, "disks")) > 0 &&
		    !has_heir(gateways, target, gateway) && !is_on_demand(gateways, target))
			return iqn;
	}
	return NULL;
}
