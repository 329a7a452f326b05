/* A gateway that is being stopped asks the others which of its initiators are logged in there as
 * well: only to those its paths are unavailable from then on (scsi/port_group.c). It asks again
 * each second, for who logs in meanwhile. Messages, through the interconnect:
 *
 *   {"leaves": {"from", "from_instance", "to_instance"}}
 *   {"paths": {"from", "from_instance", "to_instance", "paths": ["INITIATOR TARGET", ...]}}
 *
 * Who does not answer, as one of an earlier release, has none of them. */
#include "target/owners_private.h"

#include "base/log.h"
#include "interconnect/interconnect.h"
#include "scsi/other_paths.h"
#include "target/disk_set.h"
#include "target/peers.h"

#include <string.h>

#define ASK_MS   1000
#define PART_MAX 256 /* so many names in a message are far from INTERCONNECT_TELL_MAX */

/* Takes the message over. */
static void tell(struct owners *owners, const struct member *member, json_t *message)
{
	struct interconnect *interconnect = peers_interconnect(owners->config.peers);
	AUTO_JSON json_t *owned = message;
	AUTO_FREE char *text = owned ? json_format(owned, &json_style_compact) : NULL;
	if (text && interconnect && member->has_peer)
		(void)!interconnect_tell(interconnect, member->peer, text); /* it is asked again */
}

/* ---- asking ---- */

void paths_review(struct owners *owners)
{
	uint64_t now_ms = reactor_now_ms(owners->config.manager);
	const struct member *member;
	if (!owners->leaving || (owners->paths_ms && now_ms < owners->paths_ms + ASK_MS))
		return;
	owners->paths_ms = now_ms;
	list_for_each (member, &owners->members.list, link) {
		if (member->health == MEMBER_UP)
			tell(owners, member,
			     json_pack("{s:{s:s, s:s, s:s}}", "leaves", "from",
			               owners->config.gateway, "from_instance",
			               owners->members.instance, "to_instance", member->instance));
	}
}

/* ---- answering ---- */

/* A JSON object has each name once. */
static void note_port(void *argument, const char *initiator, const char *target)
{
	json_t *names = argument;
	char name[OTHER_PATH_MAX];
	other_path_name(initiator, target, name);
	if (!json_object_get(names, name)) /* what there is no memory for is no path */
		(void)json_object_set_new(names, name, json_true());
}

static json_t *list_ports(const struct owners *owners)
{
	const struct disk_set *set = owners->config.disks;
	json_t *names = json_object();
	for (size_t i = 0; names && set->plan && i < set->plan->disk_count; i++) {
		const struct disk *disk = disk_set_at(set, i);
		if (disk)
			lun_visit_ports(disk_lun(disk), note_port, names);
	}
	return names;
}

static const struct member *sender(const struct owners *owners, const json_t *message)
{
	if (strcmp(json_text(message, "to_instance", ""), owners->members.instance) != 0)
		return NULL;
	return members_find_instance(&owners->members, json_text(message, "from", ""),
	                             json_text(message, "from_instance", ""));
}

/* Takes the part over. */
static void answer(struct owners *owners, const struct member *member, json_t *part)
{
	tell(owners, member,
	     json_pack("{s:{s:s, s:s, s:s, s:o}}", "paths", "from", owners->config.gateway,
	               "from_instance", owners->members.instance, "to_instance", member->instance,
	               "paths", part));
}

void paths_heard_leaves(struct owners *owners, const json_t *message)
{
	const struct member *member = sender(owners, message);
	if (!member || owners->leaving)
		return; /* the paths here are going, too */
	AUTO_JSON json_t *names = list_ports(owners);
	json_t *part = json_array();
	const char *name;
	json_t *value;
	json_object_foreach (names, name, value) {
		(void)json_array_append_new(part, json_string(name));
		if (json_array_size(part) < PART_MAX)
			continue;
		answer(owners, member, part);
		part = json_array();
	}
	answer(owners, member, part);
}

/* ---- the answer ---- */

static void show(const struct owners *owners)
{
	const struct disk_set *set = owners->config.disks;
	for (size_t i = 0; set->plan && i < set->plan->disk_count; i++) {
		const struct disk *disk = disk_set_at(set, i);
		if (disk)
			lun_set_other_paths(disk_lun(disk), owners->paths);
	}
}

void paths_heard(struct owners *owners, const json_t *message)
{
	const json_t *array = json_object_get(message, "paths");
	AUTO_FREE const char **names = calloc(json_array_size(array) + 1, sizeof *names);
	struct other_paths *paths = NULL;
	size_t count = 0, index;
	const json_t *item;
	if (!names || !sender(owners, message) || !owners->leaving)
		return;
	json_array_foreach (array, index, item) {
		if (json_is_string(item))
			names[count++] = json_string_value(item);
	}
	if (other_paths_new(owners->paths, names, count, &paths) < 0)
		return; /* asked again */
	other_paths_put(owners->paths);
	owners->paths = paths;
	show(owners);
}
