/* From the plan and the disks that are there to the snapshot that the iSCSI server serves. */
#pragma once

#include "base/auto.h"

struct disk_set;
struct iscsi_config;
struct settings;

/* Disks that could not be made are seen by no initiator. set->plan is there. -ENOMEM. */
int snapshot_make(const struct disk_set *set, const struct settings *settings,
                  struct iscsi_config **ret_config) MUST_CHECK;
