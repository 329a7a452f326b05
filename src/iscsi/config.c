/* The life of a configuration snapshot: made by the target room, shared by reactors and sessions,
 * freed with the last reference. */
#include "iscsi/server.h"

#include "base/text.h"
#include "scsi/lun.h"

#include <assert.h>
#include <stdlib.h>

struct iscsi_config *iscsi_config_new(void)
{
	struct iscsi_config *config = calloc(1, sizeof(*config));
	if (config)
		config->references = 1;
	return config;
}

struct iscsi_config *iscsi_config_get(struct iscsi_config *config)
{
	__atomic_add_fetch(&config->references, 1, __ATOMIC_RELAXED);
	return config;
}

static void free_mappings(struct lun_mapping *mappings, size_t count)
{
	for (size_t i = 0; i < count; i++)
		lun_put(mappings[i].lun);
	free(mappings);
}

static void free_groups(struct iscsi_target *target)
{
	for (size_t i = 0; i < target->group_count; i++) {
		struct iscsi_portal_group *group = &target->groups[i];
		for (size_t k = 0; k < group->address_count; k++)
			free(group->addresses[k]);
		free(group->addresses);
	}
	free(target->groups);
}

static void clear_target(struct iscsi_target *target)
{
	for (size_t i = 0; i < target->acl_count; i++) {
		struct iscsi_acl *acl = &target->acls[i];
		free_mappings(acl->mappings, acl->mapping_count);
		free(acl->initiator_name);
		wipe(&acl->auth, sizeof(acl->auth));
	}
	free(target->acls);
	free_mappings(target->mappings, target->mapping_count);
	free_groups(target);
	wipe(&target->auth, sizeof(target->auth));
	free(target->name);
}

void iscsi_config_put(struct iscsi_config *config)
{
	if (!config)
		return;
	int left = __atomic_sub_fetch(&config->references, 1, __ATOMIC_ACQ_REL);
	assert(left >= 0);
	if (left > 0)
		return;
	for (size_t i = 0; i < config->target_count; i++)
		clear_target(&config->targets[i]);
	free(config->targets);
	wipe(&config->discovery_auth, sizeof(config->discovery_auth));
	free(config);
}
