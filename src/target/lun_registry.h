/* The LUNs of this gateway by name and wwn, for commands that come from peers. Any thread. */
#pragma once

#include "base/auto.h"

struct lun;
struct lun_registry;

int lun_registry_new(struct lun_registry **ret_registry) MUST_CHECK;
/* Must be empty. NULL is fine. */
void lun_registry_free(struct lun_registry *registry);

/* Borrowed until it is removed. -ENOMEM. */
int lun_registry_add(struct lun_registry *registry, struct lun *lun, const char *wwn) MUST_CHECK;
void lun_registry_remove(struct lun_registry *registry, struct lun *lun);
/* A reference, or NULL. */
struct lun *lun_registry_find(struct lun_registry *registry, const char *name, const char *wwn);
