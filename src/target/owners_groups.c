/* The access states of the port groups of a LUN. What a gateway says of its own group is what
 * commands meet there. What it says of the others stands in rows that all of them read, so all say
 * the same: docs/availability.md, "Access states". */
#include "target/owners_private.h"

#include "target/disk_set.h"

#include <string.h>

bool owners_on_demand(const struct owners *owners, const struct plan_disk *wanted)
{
	for (size_t i = 0; owners->members.known && i < wanted->group_count; i++) {
		if (!members_know(&owners->members, wanted->groups[i].gateway))
			return true;
	}
	return false;
}

static bool is_own(const struct owners *owners, const char *gateway)
{
	return strcmp(gateway, owners->config.gateway) == 0;
}

/* It is not to be used any more, or cannot be. Of this gateway that depends on who asks:
 * scsi/port_group.c. */
static bool is_gone(const struct owners *owners, const char *gateway)
{
	if (is_own(owners, gateway))
		return false;
	const struct member *member = members_find(&owners->members, gateway);
	if (!member) /* those that are over, perhaps since before this gateway began */
		return members_know(&owners->members, gateway);
	return member->state != GATEWAY_UP || member->condemned || member->health == MEMBER_FENCED;
}

/* By the record: it was given back, or who has it was condemned. An owner that does not answer us
 * may serve others. */
static bool is_nobodys(const struct owners *owners, const struct owner_record *record)
{
	if (record->state != OWNER_ACTIVE)
		return true;
	const struct member *member =
	        members_find_instance(&owners->members, record->gateway, record->instance);
	return member && (member->condemned || member->health == MEMBER_FENCED);
}

/* Nobody owns it, for as long as commands are told so here. The other gateways see the same record,
 * unless this one does not see it as it is now. */
static bool is_transitioning(const struct owners *owners, const struct disk *disk)
{
	return disk && disk_state(disk) == LUN_TRANSITIONING && !owners->members.stalled &&
	       is_nobodys(owners, disk_record(disk));
}

/* As upstream gateways tell it: by the configuration alone, wherever the lock is. */
static enum alua_state static_state(const struct plan_disk *wanted, const char *gateway)
{
	return strcmp(gateway, wanted->preferred) == 0 ? ALUA_OPTIMIZED : ALUA_NON_OPTIMIZED;
}

static enum alua_state recorded_state(const struct owners *owners, const struct plan_disk *wanted,
                                      const struct disk *disk, const char *gateway)
{
	const struct owner_record *record = disk ? disk_record(disk) : NULL;
	const char *owner =
	        record && record->state != OWNER_NONE ? record->gateway : wanted->preferred;
	if (is_gone(owners, gateway))
		return ALUA_UNAVAILABLE;
	if (is_transitioning(owners, disk))
		return ALUA_TRANSITIONING;
	return strcmp(gateway, owner) == 0 ? ALUA_OPTIMIZED : ALUA_NON_OPTIMIZED;
}

/* Where commands end with 02/04/0x, that is what the group is. `otherwise`: where they do not. */
static enum alua_state own_state(const struct disk *disk, enum alua_state otherwise)
{
	static const struct {
		bool ends;
		enum alua_state state;
	} states[LUN_STATE_COUNT] = {
		[LUN_TRANSITIONING] = { true, ALUA_TRANSITIONING },
		[LUN_STANDBY] = { true, ALUA_STANDBY },
		[LUN_FAILED] = { true, ALUA_UNAVAILABLE },
	};
	if (disk && states[disk_state(disk)].ends)
		return states[disk_state(disk)].state;
	return otherwise;
}

size_t owners_port_groups(const struct owners *owners, const struct plan_disk *wanted,
                          const struct disk *disk, struct port_group groups[PORT_GROUPS_MAX])
{
	bool on_demand = owners_on_demand(owners, wanted);
	size_t count =
	        wanted->group_count < PORT_GROUPS_MAX ? wanted->group_count : PORT_GROUPS_MAX;
	for (size_t i = 0; i < count; i++) {
		const struct plan_group *group = &wanted->groups[i];
		enum alua_state state =
		        on_demand ? static_state(wanted, group->gateway)
		                  : recorded_state(owners, wanted, disk, group->gateway);
		bool own = is_own(owners, group->gateway);
		groups[i] = (struct port_group){ .tag = group->tag,
			                         .state = own ? own_state(disk, state) : state,
			                         .leaves = own && owners->leaving };
	}
	return count;
}
