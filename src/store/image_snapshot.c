/* Snapshots of images: hands each call to the kind of the store. */
#include "store/image.h"

#include "store/kinds.h"

#include <errno.h>

typedef int (*snapshot_fn)(struct store *store, const char *pool, const char *image,
                           const char *snapshot, struct error *err);

static int run_snapshot(snapshot_fn run, struct store *store, const char *pool, const char *image,
                        const char *snapshot, struct error *err)
{
	if (!run)
		return error_set(err, -ENOTSUP, "images in a %s store have no snapshots",
		                 store->ops->kind);
	return run(store, pool, image, snapshot, err);
}

int image_snapshot_create(struct store *store, const char *pool, const char *image,
                          const char *snapshot, struct error *err)
{
	return run_snapshot(store->ops->images->snapshot_create, store, pool, image, snapshot, err);
}

int image_snapshot_remove(struct store *store, const char *pool, const char *image,
                          const char *snapshot, struct error *err)
{
	return run_snapshot(store->ops->images->snapshot_remove, store, pool, image, snapshot, err);
}

int image_snapshot_rollback(struct store *store, const char *pool, const char *image,
                            const char *snapshot, struct error *err)
{
	return run_snapshot(store->ops->images->snapshot_rollback, store, pool, image, snapshot,
	                    err);
}

int image_snapshot_check(struct store *store, const char *pool, const char *image,
                         const char *snapshot, struct error *err)
{
	return run_snapshot(store->ops->images->snapshot_check, store, pool, image, snapshot, err);
}
