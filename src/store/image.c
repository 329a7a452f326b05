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
