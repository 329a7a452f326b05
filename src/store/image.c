/* Images as their users see them: hands each call to the kind of the store. */
#include "store/image.h"

#include "store/kinds.h"

#include <errno.h>

int image_create(struct store *store, const char *pool, const char *image, uint64_t size_bytes,
                 struct error *err)
{
	return store->ops->images->create(store, pool, image, size_bytes, err);
}

int image_resize(struct store *store, const char *pool, const char *image, uint64_t size_bytes,
                 struct error *err)
{
	return store->ops->images->resize(store, pool, image, size_bytes, err);
}

int image_remove(struct store *store, const char *pool, const char *image, struct error *err)
{
	return store->ops->images->remove(store, pool, image, err);
}

int image_stat(struct store *store, const char *pool, const char *image,
               struct image_info *ret_info, struct error *err)
{
	return store->ops->images->stat(store, pool, image, ret_info, err);
}

char *image_path(const struct store *store, const char *pool, const char *image)
{
	const struct image_ops *images = store->ops->images;
	return images->path ? images->path(store, pool, image) : NULL;
}

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
