/* Copies the plan into an iscsi_config and takes a reference to each LUN. */
#include "target/snapshot.h"

#include "config/settings.h"
#include "iscsi/server.h"
#include "target/disk_set.h"

#include <errno.h>
#include <string.h>

static int copy_mappings(const struct plan_lun *luns, size_t count, const struct disk_set *set,
                         struct lun_mapping **ret_mappings, size_t *ret_count)
{
	if (!count)
		return 0;
	struct lun_mapping *mappings = calloc(count, sizeof *mappings);
	if (!mappings)
		return -ENOMEM;
	*ret_mappings = mappings;
	for (size_t i = 0; i < count; i++) {
		struct disk *disk = disk_set_at(set, luns[i].disk);
		if (!disk)
			continue;
		mappings[(*ret_count)++] = (struct lun_mapping){
			.number = luns[i].number,
			.lun = lun_get(disk_lun(disk)),
		};
	}
	return 0;
}

static int copy_acls(const struct plan_target *from, const struct disk_set *set,
                     struct iscsi_target *to)
{
	if (!from->acl_count)
		return 0;
	to->acls = calloc(from->acl_count, sizeof *to->acls);
	if (!to->acls)
		return -ENOMEM;
	for (size_t i = 0; i < from->acl_count; i++) {
		const struct plan_acl *acl = &from->acls[i];
		struct iscsi_acl *copy = &to->acls[to->acl_count++];
		copy->initiator_name = strdup(acl->initiator_name);
		copy->auth = acl->auth;
		if (!copy->initiator_name ||
		    copy_mappings(acl->luns, acl->lun_count, set, &copy->mappings,
		                  &copy->mapping_count) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int copy_groups(const struct plan_target *from, struct iscsi_target *to)
{
	to->groups = calloc(from->group_count ? from->group_count : 1, sizeof *to->groups);
	if (!to->groups)
		return -ENOMEM;
	for (size_t i = 0; i < from->group_count; i++) {
		const struct iscsi_portal_group *group = &from->groups[i];
		struct iscsi_portal_group *copy = &to->groups[to->group_count++];
		copy->tag = group->tag;
		copy->local = group->local;
		copy->addresses = calloc(group->address_count + 1, sizeof *copy->addresses);
		if (!copy->addresses)
			return -ENOMEM;
		for (size_t j = 0; j < group->address_count; j++) {
			copy->addresses[j] = strdup(group->addresses[j]);
			if (!copy->addresses[j])
				return -ENOMEM;
			copy->address_count++;
		}
	}
	return 0;
}

static bool nothing_awaited(const struct plan_target *target, const struct disk_set *set)
{
	for (size_t i = 0; i < target->lun_count; i++) {
		const struct disk *disk = disk_set_at(set, target->luns[i].disk);
		if (disk && disk_awaited(disk))
			return false;
	}
	return true;
}

static int copy_target(const struct plan_target *from, const struct disk_set *set,
                       struct iscsi_target *to)
{
	to->name = strdup(from->name);
	if (!to->name)
		return -ENOMEM;
	to->acl_enabled = from->acl_enabled;
	to->ready = nothing_awaited(from, set);
	to->auth = from->auth;
	to->controls = from->controls;
	if (copy_acls(from, set, to) < 0 || copy_groups(from, to) < 0)
		return -ENOMEM;
	return copy_mappings(from->luns, from->lun_count, set, &to->mappings, &to->mapping_count);
}

int snapshot_make(const struct disk_set *set, const struct settings *settings,
                  struct iscsi_config **ret_config)
{
	const struct plan *plan = set->plan;
	struct iscsi_config *config = iscsi_config_new();
	if (!config)
		return -ENOMEM;
	config->loaded = true;
	config->discovery_by_acl = settings->discovery_by_acl;
	config->discovery_auth = plan->discovery_auth;
	config->targets =
	        calloc(plan->target_count ? plan->target_count : 1, sizeof *config->targets);
	if (!config->targets) {
		iscsi_config_put(config);
		return -ENOMEM;
	}
	for (size_t i = 0; i < plan->target_count; i++) {
		config->target_count++;
		if (copy_target(&plan->targets[i], set, &config->targets[i]) < 0) {
			iscsi_config_put(config);
			return -ENOMEM;
		}
	}
	*ret_config = config;
	return 0;
}
