/* A table with chains by hash of the name: found on every reactor, changed rarely. */
#include "target/lun_registry.h"

#include "base/list.h"
#include "scsi/lun.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>

#define CHAINS 256

struct entry {
	struct list link;
	struct lun *lun;
	char wwn[];
};

struct lun_registry {
	pthread_rwlock_t lock;
	struct list chains[CHAINS];
};

static struct list *chain_of(struct lun_registry *registry, const char *name)
{
	uint32_t hash = 2166136261u; /* FNV-1a */
	for (; *name; name++)
		hash = (hash ^ (unsigned char)*name) * 16777619u;
	return &registry->chains[hash % CHAINS];
}

int lun_registry_new(struct lun_registry **ret_registry)
{
	struct lun_registry *registry = calloc(1, sizeof *registry);
	if (!registry)
		return -ENOMEM;
	(void)pthread_rwlock_init(&registry->lock, NULL); /* cannot fail with default attributes */
	for (size_t i = 0; i < CHAINS; i++)
		list_init(&registry->chains[i]);
	*ret_registry = registry;
	return 0;
}

void lun_registry_free(struct lun_registry *registry)
{
	if (!registry)
		return;
	for (size_t i = 0; i < CHAINS; i++)
		assert(list_empty(&registry->chains[i]));
	(void)pthread_rwlock_destroy(&registry->lock);
	free(registry);
}

int lun_registry_add(struct lun_registry *registry, struct lun *lun, const char *wwn)
{
	struct entry *entry = malloc(sizeof *entry + strlen(wwn) + 1);
	if (!entry)
		return -ENOMEM;
	entry->lun = lun;
	memcpy(entry->wwn, wwn, strlen(wwn) + 1);
	(void)pthread_rwlock_wrlock(&registry->lock);
	list_append(chain_of(registry, lun_name(lun)), &entry->link);
	(void)pthread_rwlock_unlock(&registry->lock);
	return 0;
}

void lun_registry_remove(struct lun_registry *registry, struct lun *lun)
{
	struct entry *entry, *following;
	(void)pthread_rwlock_wrlock(&registry->lock);
	list_for_each_safe (entry, following, chain_of(registry, lun_name(lun)), link) {
		if (entry->lun == lun) {
			list_remove(&entry->link);
			free(entry);
		}
	}
	(void)pthread_rwlock_unlock(&registry->lock);
}

struct lun *lun_registry_find(struct lun_registry *registry, const char *name, const char *wwn)
{
	struct lun *found = NULL;
	struct entry *entry;
	(void)pthread_rwlock_rdlock(&registry->lock);
	list_for_each (entry, chain_of(registry, name), link) {
		if (strcmp(lun_name(entry->lun), name) == 0 && strcmp(entry->wwn, wwn) == 0) {
			found = lun_get(entry->lun);
			break;
		}
	}
	(void)pthread_rwlock_unlock(&registry->lock);
	return found;
}
