/* Snapshots of images: hands each call to the kind of the store. */
#include "store/image.h"

#include "store/kinds.h"

#include <errno.h>

typedef int (*snapshot_fn)(struct store *store, const char *pool, const char *image,
                           const char *snapshot, struct error *err);

static int without_snapshots(const struct store *store, struct error *err)
{
	return error_set(err, -ENOTSUP, "images in a %s store have no snapshots", store->ops->kind);
}

static int run_snapshot(snapshot_fn run, struct store *store, const char *pool, const char *image,
                        const char *snapshot, struct error *err)
{
	if (!run)
		return without_snapshots(store, err);
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
                            const char *snapshot, const struct image_consent *consent,
                            struct error *err)
{
	const struct image_ops *images = store->ops->images;
	return images->snapshot_rollback
	               ? images->snapshot_rollback(store, pool, image, snapshot, consent, err)
	               : without_snapshots(store, err);
}

int image_snapshot_check(struct store *store, const char *pool, const char *image,
                         const char *snapshot, struct error *err)
{
	return run_snapshot(store->ops->images->snapshot_check, store, pool, image, snapshot, err);
}
