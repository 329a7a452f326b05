/* Makes the disks that are there equal to a plan. A disk is the same one if name and wwn are: a
 * disk deleted and made again under its old name is another LUN. */
#include "target/disk_set.h"

#include "base/log.h"
#include "target/owners.h"

#include <assert.h>
#include <string.h>

#define NAMES_MAX 16 /* in a line of the log */

struct slot {
	struct disk_set *set;
	struct disk *disk;
	char *wwn;
	struct list link; /* in set->retired or set->closing */
};

void disk_set_init(struct disk_set *set, struct disk_host *host,
                   void (*emptied)(struct disk_set *set))
{
	*set = (struct disk_set){ .host = host, .emptied = emptied };
	list_init(&set->retired);
	list_init(&set->closing);
}

void disk_set_done(struct disk_set *set)
{
	assert(list_empty(&set->retired) && list_empty(&set->closing));
	free(set->slots);
	plan_free(set->plan);
}

static struct slot *take_slot(struct disk_set *set, const struct plan_disk *wanted)
{
	size_t i = set->plan ? plan_find_disk(set->plan, wanted->name) : SIZE_MAX;
	if (i == SIZE_MAX || !set->slots[i] || strcmp(set->slots[i]->wwn, wanted->wwn) != 0)
		return NULL;
	if (strcmp(set->plan->disks[i].preferred, wanted->preferred) != 0)
		disk_note_request(set->slots[i]->disk);
	return steal(&set->slots[i]);
}

static struct disk_config config_of(const struct plan_disk *wanted)
{
	return (struct disk_config){
		.pool = wanted->pool,
		.image = wanted->image,
		.lun = {
			.name = wanted->name,
			.wwn = wanted->wwn,
			.vendor_id = wanted->vendor_id,
			.block_size = 512,
			.max_sectors = wanted->max_sectors,
			.max_inflight_bytes = wanted->max_inflight_bytes,
		},
	};
}

static struct slot *make_slot(struct disk_set *set, const struct plan_disk *wanted)
{
	struct disk_config config = config_of(wanted);
	struct port_group groups[PORT_GROUPS_MAX];
	struct slot *slot = calloc(1, sizeof *slot);
	if (!slot)
		return NULL;
	config.groups = groups;
	config.group_count = owners_port_groups(set->owners, wanted, NULL, groups);
	slot->set = set;
	list_init(&slot->link);
	slot->wwn = strdup(wanted->wwn);
	if (!slot->wwn || disk_new(set->host, &config, &slot->disk) < 0) {
		free(slot->wwn);
		free(slot);
		return NULL;
	}
	return slot;
}

static void retire_slots(struct disk_set *set)
{
	for (size_t i = 0; set->plan && i < set->plan->disk_count; i++) {
		if (set->slots[i])
			list_append(&set->retired, &steal(&set->slots[i])->link);
	}
}

void disk_set_adopt(struct disk_set *set, struct plan *plan)
{
	struct slot **slots = calloc(plan->disk_count + 1, sizeof(struct slot *));
	if (!slots) {
		log_error("configuration of epoch %llu not applied: out of memory",
		          (unsigned long long)plan->epoch);
		plan_free(plan);
		return;
	}
	for (size_t i = 0; i < plan->disk_count; i++) {
		struct disk_config config = config_of(&plan->disks[i]);
		slots[i] = take_slot(set, &plan->disks[i]);
		if (!slots[i])
			slots[i] = make_slot(set, &plan->disks[i]);
		else if (disk_change(slots[i]->disk, &config) < 0)
			log_error("%s: change not applied: out of memory", config.lun.name);
		if (!slots[i])
			log_error("%s: left out: out of memory", config.lun.name);
	}
	retire_slots(set);
	free(set->slots);
	plan_free(set->plan);
	set->slots = slots;
	set->plan = plan;
}

static void slot_closed(void *argument)
{
	struct slot *slot = argument;
	struct disk_set *set = slot->set;
	list_remove(&slot->link);
	free(slot->wwn);
	free(slot);
	set->emptied(set);
}

void disk_set_close_retired(struct disk_set *set)
{
	for (struct list *link; (link = list_take_first(&set->retired));) {
		struct slot *slot = list_entry(link, struct slot, link);
		list_append(&set->closing, &slot->link);
		disk_close(slot->disk, slot_closed, slot);
	}
}

void disk_set_close_all(struct disk_set *set)
{
	retire_slots(set);
	disk_set_close_retired(set);
}

bool disk_set_closing(const struct disk_set *set)
{
	return !list_empty(&set->closing);
}

struct disk *disk_set_at(const struct disk_set *set, size_t i)
{
	return set->slots[i] ? set->slots[i]->disk : NULL;
}

struct disk *disk_set_find(const struct disk_set *set, const char *name)
{
	size_t at = set->plan ? plan_find_disk(set->plan, name) : SIZE_MAX;
	return at == SIZE_MAX ? NULL : disk_set_at(set, at);
}

bool disk_set_settled(const struct disk_set *set)
{
	for (size_t i = 0; set->plan && i < set->plan->disk_count; i++) {
		if (set->slots[i] && !disk_settled(set->slots[i]->disk))
			return false;
	}
	return list_empty(&set->retired) && list_empty(&set->closing);
}

static size_t add_ours(const struct disk *disk, size_t count, struct string *names)
{
	if (!disk_is_ours(disk))
		return count;
	if (count <= NAMES_MAX)
		string_format(names, "%s%s", count ? ", " : "",
		              count < NAMES_MAX ? disk_name(disk) : "...");
	return count + 1;
}

size_t disk_set_add_ours(const struct disk_set *set, struct string *names)
{
	size_t count = 0;
	const struct slot *slot;
	for (size_t i = 0; set->plan && i < set->plan->disk_count; i++) {
		if (set->slots[i])
			count = add_ours(set->slots[i]->disk, count, names);
	}
	list_for_each (slot, &set->retired, link)
		count = add_ours(slot->disk, count, names);
	list_for_each (slot, &set->closing, link)
		count = add_ours(slot->disk, count, names);
	return count;
}

void disk_set_add_problems(const struct disk_set *set, struct string *problems)
{
	for (size_t i = 0; i < set->plan->disk_count; i++) {
		const struct disk *disk = disk_set_at(set, i);
		const char *problem = disk ? disk_problem(disk) : "left out: out of memory";
		if (!*problem && !disk_settled(disk))
			problem = "still opening";
		if (*problem)
			string_format(problems, "%s%s: %s", problems->len ? "; " : "",
			              set->plan->disks[i].name, problem);
	}
}

static const char *const state_names[LUN_STATE_COUNT] = {
	[LUN_OPENING] = "opening",
	[LUN_READY] = "ready",
	[LUN_FAILED] = "failed",
	[LUN_STANDBY] = "standby",
	[LUN_TRANSITIONING] = "transitioning",
	[LUN_FORWARDED] = "forwarded",
	[LUN_HELD] = "held",
	[LUN_BUSY] = "busy",
	[LUN_ON_DEMAND] = "on demand",
	[LUN_OPERATION] = "operation",
};

static json_t *disk_status(const struct owners *owners, const struct plan_disk *wanted,
                           const struct disk *disk)
{
	struct lun_counters counters;
	lun_get_counters(disk_lun(disk), &counters);
	AUTO_JSON json_t *row = json_pack(
	        "{s:s, s:s, s:b, s:b, s:b, s:s, s:I, s:I, s:I, s:I, s:I, s:i, s:i, s:i}", "name",
	        wanted->name, "state", state_names[lun_get_state(disk_lun(disk))], "owner",
	        disk_is_owner(disk), "moving", disk_record_moves(disk), "preferred_owner",
	        wanted->owner, "problem", disk_problem(disk), "reads", (json_int_t)counters.reads,
	        "writes", (json_int_t)counters.writes, "read_bytes",
	        (json_int_t)counters.read_bytes, "write_bytes", (json_int_t)counters.write_bytes,
	        "forwarded", (json_int_t)counters.forwarded, "in_flight", (int)counters.in_flight,
	        "held", (int)counters.held, "nexuses", (int)counters.nexuses);
	if (!row || owners_add_disk_status(owners, wanted, disk, row) < 0)
		return NULL;
	return steal(&row);
}

json_t *disk_set_status(const struct disk_set *set)
{
	AUTO_JSON json_t *array = json_array();
	for (size_t i = 0; array && set->plan && i < set->plan->disk_count; i++) {
		const struct disk *disk = disk_set_at(set, i);
		if (disk &&
		    json_array_append_new(array,
		                          disk_status(set->owners, &set->plan->disks[i], disk)) < 0)
			return NULL;
	}
	return steal(&array);
}
