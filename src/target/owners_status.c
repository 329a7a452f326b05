/* What people are told about owners and members. */
#include "target/owners_private.h"

#include "base/text.h"
#include "target/disk_set.h"

#include <errno.h>

static json_t *member_row(const struct owners *owners, const struct member *member)
{
	uint64_t now_ms = reactor_now_ms(owners->config.manager);
	return json_pack("{s:s, s:s, s:s, s:s, s:b, s:b, s:I}", "gateway", member->gateway,
	                 "instance", member->instance, "health", member_health_name(member->health),
	                 "state", gateway_state_name(member->state), "condemned", member->condemned,
	                 "maintenance", member->maintenance, "since_s",
	                 (json_int_t)((now_ms - member->since_ms) / 1000));
}

int owners_add_status(const struct owners *owners, json_t *status)
{
	AUTO_JSON json_t *array = json_array();
	const struct member *member;
	list_for_each (member, &owners->members.list, link) {
		if (member->current && json_array_append_new(array, member_row(owners, member)) < 0)
			return -ENOMEM;
	}
	if (json_object_set(status, "members", array) < 0 ||
	    json_object_set_new(status, "instance", json_string(owners->members.instance)) < 0 ||
	    json_object_set_new(status, "maintenance", json_boolean(owners->members.maintenance)) <
	            0 ||
	    json_object_set_new(status, "leaving", json_boolean(owners->leaving)) < 0)
		return -ENOMEM;
	return 0;
}

/* "on demand: beside upstream gateways: gw-3, gw-4"; "": it is not. */
static void put_demand(const struct owners *owners, const struct plan_disk *wanted,
                       struct string *text)
{
	for (size_t i = 0; owners->members.known && i < wanted->group_count; i++) {
		const char *gateway = wanted->groups[i].gateway;
		if (!members_know(&owners->members, gateway))
			string_format(text, "%s%s",
			              text->len ? ", " : "beside upstream gateways: ", gateway);
	}
}

int owners_add_disk_status(const struct owners *owners, const struct plan_disk *wanted,
                           const struct disk *disk, json_t *row)
{
	const struct owner_record *record = disk_record(disk);
	bool owned = record->state == OWNER_ACTIVE;
	AUTO_STRING struct string demand = { 0 };
	put_demand(owners, wanted, &demand);
	AUTO_JSON json_t *facts = json_pack(
	        "{s:s, s:s, s:I, s:s, s:s, s:I, s:I, s:s}", "owner_gateway",
	        owned ? record->gateway : "", "ownership", owner_state_name(record->state), "epoch",
	        (json_int_t)record->epoch, "preferred_gateway", wanted->preferred, "why",
	        record->why, "changed_at", (json_int_t)record->at, "hung_s",
	        (json_int_t)(hung_for_ms(owners, disk) / 1000), "on_demand",
	        demand.text ? demand.text : "");
	return facts && json_object_update(row, facts) == 0 ? 0 : -ENOMEM;
}
