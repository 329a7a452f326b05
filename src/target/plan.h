/* The plan: what the configuration object asks of this gateway, as plain data. A pure function
 * makes it, so that it can be tested without a target; the gateway then makes the world equal to
 * it. */
#pragma once

#include "base/error.h"
#include "base/json.h"
#include "config/secret.h"
#include "config/settings.h"
#include "iscsi/server.h"
#include "scsi/lun.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A portal group as the target's ports are announced: all of one gateway. */
struct plan_group {
	uint16_t tag;
	char *gateway;
};

struct plan_disk {
	char *name; /* "pool/image" */
	char *pool, *image, *wwn, *vendor_id;
	uint32_t max_sectors;
	uint64_t max_inflight_bytes;
	char *preferred; /* the gateway that should own it */
	bool owner;      /* that is this gateway */
	struct plan_group *groups;
	size_t group_count;
};

struct plan_lun {
	size_t disk; /* in plan->disks */
	uint16_t number;
};

struct plan_acl {
	char *initiator_name;
	struct chap_credentials auth;
	struct plan_lun *luns;
	size_t lun_count;
};

struct plan_target {
	char *name;
	bool acl_enabled;
	struct chap_credentials auth;
	struct iscsi_controls controls;
	struct plan_acl *acls; /* sorted by name */
	size_t acl_count;
	struct plan_lun *luns; /* of the target: what everyone sees without ACLs */
	size_t lun_count;
	struct iscsi_portal_group *groups;
	size_t group_count;
};

struct plan {
	uint64_t epoch;
	struct plan_disk *disks; /* sorted by name; only those that targets of this gateway have */
	size_t disk_count;
	struct plan_target *targets; /* sorted by name; only those with a portal of this gateway */
	size_t target_count;
	char *portal_address; /* the first one of this gateway, without port; NULL: it has none */
	struct chap_credentials discovery_auth;
	char problem[ERROR_TEXT_MAX]; /* what had to be left out, and why; "" */
};

struct plan_context {
	const struct settings *settings;
	const struct secret_keys *keys; /* NULL: no key files */
	const char *gateway_name;
};

/* object is of version 11 (upgraded). A target or disk that cannot be understood is left out and
 * named in `problem`: it does not stop the rest. -ENOMEM. */
int plan_make(const json_t *object, const struct plan_context *context, struct plan **ret_plan,
              struct error *err) MUST_CHECK;
/* Wipes secrets. NULL is fine. */
void plan_free(struct plan *plan);
DEFINE_AUTO(plan);

/* The disk's index, or SIZE_MAX. */
size_t plan_find_disk(const struct plan *plan, const char *name);
