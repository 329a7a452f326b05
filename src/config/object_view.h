/* A typed picture of the object for those who serve it: targets with their portal groups, LUNs and
 * clients, disks with their controls, secrets in plain. Immutable once made, so any thread may read
 * it. What is malformed in the object is left out, never half there. */
#pragma once

#include "base/json.h"
#include "config/secret.h"
#include "config/settings.h"

#define VIEW_LUN_MAX 16383 /* flat space addressing, SAM-5 4.7.7.3 */

/* Texts are never NULL. username "": no CHAP. */
struct view_auth {
	const char *username, *mutual_username;
	char *password, *mutual_password; /* plain */
	bool broken;                      /* a secret cannot be decrypted here: nobody may log in */
};

struct view_gateway {
	const char *name;
	unsigned active_luns;
};

struct view_disk {
	const char *key; /* "pool/image" */
	const char *pool, *image;
	const char *wwn;                                     /* unit serial */
	const char *owner;                                   /* gateway, or "" */
	const char *allocating_host, *backstore_object_name; /* or "" */
	struct disk_controls controls; /* the settings' with the disk's own on top */
};

struct view_lun {
	unsigned number; /* 0..VIEW_LUN_MAX */
	const struct view_disk *disk;
};

/* One for each gateway of the target, tags 1, 2, ... in the order in which the gateways first come
 * up in ip_list; a gateway's addresses share its tag. */
struct view_portal_group {
	unsigned tag;
	const char *gateway;
	const char **addresses; /* bare, in ip_list order */
	size_t address_count;
};

struct view_client {
	const char *iqn;
	const char *group; /* host group, or "" */
	struct view_auth auth;
	struct view_lun *luns; /* by number */
	size_t lun_count;
};

struct view_target {
	const char *iqn;
	bool acl_enabled; /* false: every initiator, all luns, auth below */
	struct view_auth auth;
	struct target_controls controls;
	struct view_portal_group *portal_groups; /* by tag */
	size_t portal_group_count;
	struct view_lun *luns; /* by number */
	size_t lun_count;
	struct view_client *clients; /* by name */
	size_t client_count;
};

struct object_view {
	uint64_t epoch;
	struct view_auth discovery_auth;
	struct view_gateway *gateways; /* by name */
	size_t gateway_count;
	struct view_disk *disks; /* by key */
	size_t disk_count;
	struct view_target *targets; /* by name */
	size_t target_count;
	json_t *object; /* private: what the texts point into */
};

/* Of an upgraded object, which is copied. keys may be NULL. -ENOMEM. */
int object_view_new(const json_t *object, const struct settings *settings,
                    const struct secret_keys *keys, struct object_view **ret_view,
                    struct error *err) MUST_CHECK;
void object_view_free(struct object_view *view); /* wipes the secrets */
DEFINE_AUTO(object_view);

/* NULL: not there. iSCSI names compare without regard to case [RFC 3722]. */
const struct view_gateway *view_find_gateway(const struct object_view *view, const char *name);
const struct view_disk *view_find_disk(const struct object_view *view, const char *key);
const struct view_target *view_find_target(const struct object_view *view, const char *iqn);
const struct view_client *view_find_client(const struct view_target *target, const char *iqn);
const struct view_portal_group *view_find_portal_group(const struct view_target *target,
                                                       const char *gateway);
