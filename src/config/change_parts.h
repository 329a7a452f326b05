/* What the changes share; not for other rooms. */
#pragma once

#include "config/change.h"

#define LUN_MAX 255 /* greatest LUN number */

int refuse(struct change *change, int status, const char *format, ...) PRINTF_LIKE(3, 4);
int succeed(struct change *change, const char *format, ...) PRINTF_LIKE(2, 3);

/* NULL: not given. */
const char *argument(const struct change *change, const char *name);
/* Gives *ret_text, or refuses with 400. */
int need_argument(struct change *change, const char *name, const char **ret_text) MUST_CHECK;
/* The word `true` in any case. */
bool argument_is_true(const struct change *change, const char *name);

/* A member that is a dictionary, made if it is missing; NULL: no memory or no dictionary. */
json_t *object_member(json_t *object, const char *name);
/* Sets one member; value is taken over. -ENOMEM refuses. */
int put_new(struct change *change, json_t *object, const char *name, json_t *value) MUST_CHECK;
/* updated = now. */
int stamp(struct change *change, json_t *item) MUST_CHECK;

/* Argument target_iqn (checked, lower case) and its entry. */
int find_target(struct change *change, char ret_iqn[IQN_MAX], json_t **ret_target) MUST_CHECK;
/* Argument client_iqn and, if there is one, its entry; else *ret_client = NULL. */
int find_client(struct change *change, json_t *target, char ret_iqn[IQN_MAX],
                json_t **ret_client) MUST_CHECK;
/* Refuses unless the gateway that took the request has a portal in the target. */
int need_local_portal(struct change *change, const json_t *target) MUST_CHECK;

/* The target that has the disk, or NULL. */
const char *target_of_disk(const json_t *object, const char *disk);
/* The initiator that has the disk among clients, or NULL. */
const char *client_of_disk(const json_t *target, const char *disk);

/* luns: disk -> {"lun_id"}. */
bool lun_number_used(json_t *luns, json_int_t number);

/* Owners of all disks and counts of all gateways, made right: every mapped disk has an owner with
 * a portal in its target, every other disk none. */
int settle_owners(struct change *change) MUST_CHECK;

json_int_t owned_disks(const json_t *object, const char *gateway);
/* The target's gateway with the fewest disks, whosever; the first by name of those. */
const char *choose_owner(const json_t *object, const json_t *target);

/* Argument controls, applied to the member `controls` of item. Refuses with upstream's words. */
int apply_controls(struct change *change, enum option_section section, json_t *item) MUST_CHECK;
json_t *empty_auth(void) MUST_CHECK;
int add_work(struct change *change, enum change_work_kind kind, const char *pool, const char *image,
             uint64_t size_bytes) MUST_CHECK;
/* The next piece of a list with commas, trimmed; "" for empty pieces. False at the end. */
bool next_item(const char **list, char *ret_item, size_t size);
