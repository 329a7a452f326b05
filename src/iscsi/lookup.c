/* Finds targets and ACLs in a snapshot: both are sorted by name. */
#include "iscsi/server.h"

#include <string.h>

static int compare_target(const void *name, const void *row)
{
	return strcmp(name, ((const struct iscsi_target *)row)->name);
}

static int compare_acl(const void *name, const void *row)
{
	return strcmp(name, ((const struct iscsi_acl *)row)->initiator_name);
}

const struct iscsi_target *iscsi_config_find(const struct iscsi_config *config, const char *name)
{
	if (!config->target_count)
		return NULL;
	return bsearch(name, config->targets, config->target_count, sizeof(*config->targets),
	               compare_target);
}

const struct iscsi_acl *iscsi_target_find_acl(const struct iscsi_target *target,
                                              const char *initiator_name)
{
	if (!target->acl_count)
		return NULL;
	return bsearch(initiator_name, target->acls, target->acl_count, sizeof(*target->acls),
	               compare_acl);
}
