/* Rolling an RBD image back where no gateway is (docs/availability.md): by a cluster client of its
 * own, under the exclusive lock, which is taken before anybody decides whether it may still be. Who
 * breaks that lock fences the client first, so nothing of it lands later (H1). */
#include "store/image_rbd.h"

#include "base/text.h"

#include <errno.h>
#include <string.h>

static int failed(int code, const char *what, const char *name, struct error *err)
{
	if (code == -EINVAL)
		return error_set(
		        err, -ENOTSUP,
		        "%s has no exclusive lock: run `rbd feature enable %s "
		        "exclusive-lock`, or `rbd mirror image promote %s` if it is mirrored",
		        name, name, name);
	return error_set(err, code, "cannot %s %s: %s", what, name, strerror(-code));
}

/* One who watches may live; the watch of one that has died ends after 30 s. In doubt: true. */
static bool watches(rbd_image_t image, const char *owner)
{
	rbd_image_watcher_t watchers[64];
	size_t count = ARRAY_LEN(watchers);
	bool found = false;
	if (rbd_watchers_list(image, watchers, &count) < 0)
		return true;
	for (size_t i = 0; i < count; i++)
		found |= strcmp(watchers[i].addr, owner) == 0;
	rbd_watchers_list_cleanup(watchers, count);
	return found;
}

/* For good, and before librbd does so, for an hour: the first entry of an address counts (H13). */
static int evict(struct cluster_client *client, rbd_image_t image, const char *owner,
                 const char *name, struct error *err)
{
	if (watches(image, owner))
		return error_set(err, -EROFS, "%s is in use by %s, which has its exclusive lock",
		                 name, owner);
	int r = cluster_fence(client, owner, CLUSTER_FENCE_S, err);
	if (r < 0)
		return r;
	r = rbd_lock_break(image, RBD_LOCK_MODE_EXCLUSIVE, owner);
	if (r == -EBUSY || r == -ENOENT)
		return 0; /* released or taken meanwhile: acquiring tells */
	return r < 0 ? failed(r, "break the exclusive lock of", name, err) : 0;
}

/* By hand: librbd gives a lock that it took by itself to whoever asks for it. It would also take
 * one of those away, so their owner is looked for first. */
static int acquire(struct cluster_client *client, rbd_image_t image, const char *name,
                   struct error *err)
{
	rbd_lock_mode_t mode;
	char *owner = NULL;
	size_t count = 1;
	int r = rbd_lock_get_owners(image, &mode, &owner, &count);
	if (r == 0) {
		r = count ? evict(client, image, owner, name, err) : 0;
		rbd_lock_get_owners_cleanup(&owner, count);
		if (r < 0)
			return r;
	} else if (r != -ENOENT) {
		return failed(r, "read who has the exclusive lock of", name, err);
	}
	r = rbd_lock_acquire(image, RBD_LOCK_MODE_EXCLUSIVE);
	return r < 0 ? failed(r, "take the exclusive lock of", name, err) : 0;
}

int image_rbd_rollback(struct store *store, const char *pool, const char *image,
                       const char *snapshot, const struct image_consent *consent, struct error *err)
{
	AUTO(cluster_client) struct cluster_client *client = NULL;
	AUTO_POOL rados_ioctx_t io = NULL;
	AUTO_IMAGE rbd_image_t opened = NULL;
	AUTO_STRING struct string name = { 0 };
	string_format(&name, "%s/%s", pool, image);
	if (name.failed)
		return error_set(err, -ENOMEM, "out of memory");
	/* What timed out may still land, on what hosts have written after it (H5): it waits. */
	int r = cluster_client_connect_data(rados_store_of(store)->cluster, &client, err);
	if (r == 0)
		r = cluster_pool_open(client, pool, NULL, &io, err);
	if (r == 0)
		r = image_rbd_open(io, pool, image, false, &opened, err);
	if (r == 0)
		r = acquire(client, opened, name.text, err);
	if (r == 0) /* who had it before may have been fenced by others (H1) */
		r = cluster_wait_for_map(client, err);
	if (r == 0)
		r = consent->ask(consent->argument, err);
	if (r < 0)
		return r;
	r = rbd_snap_rollback(opened, snapshot);
	return r < 0 ? error_set(err, r, "cannot roll back to the snapshot %s@%s: %s", name.text,
	                         snapshot, strerror(-r))
	             : 0;
}
