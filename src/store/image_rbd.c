/* Images of a rados store: RBD images. All goes through the control client, but a rollback
 * (image_rbd_rollback.c); what needs the exclusive lock is done by its owner on our behalf. */
#include "store/image_rbd.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* layering, exclusive-lock, object-map, fast-diff, deep-flatten: what ceph-iscsi gives new images
 */
#define NEW_IMAGE_FEATURES 61

static int failed(int code, const char *what, const char *pool, const char *image,
                  struct error *err)
{
	static const struct {
		int code;
		const char *why;
	} reasons[] = {
		{ -ENOENT, "there is no such image" },
		{ -EEXIST, "it exists already" },
		{ -EBUSY, "it is in use (`rbd status` names the client)" },
		{ -ENOTEMPTY, "it has snapshots; remove them first" },
	};
	const char *why = rados_why(code);
	for (size_t i = 0; i < ARRAY_LEN(reasons); i++)
		if (reasons[i].code == code)
			why = reasons[i].why;
	return error_set(err, code, "cannot %s the image %s/%s: %s", what, pool, image, why);
}

static int open_pool(struct store *store, const char *pool, rados_ioctx_t *ret_pool,
                     struct error *err)
{
	return cluster_pool_open(rados_store_of(store)->cluster, pool, NULL, ret_pool, err);
}

int image_rbd_open(rados_ioctx_t io, const char *pool, const char *image, bool read_only,
                   rbd_image_t *ret_image, struct error *err)
{
	int r = read_only ? rbd_open_read_only(io, image, ret_image, NULL)
	                  : rbd_open(io, image, ret_image, NULL);
	if (r < 0)
		*ret_image = NULL;
	return r < 0 ? failed(r, "open", pool, image, err) : 0;
}

static int rbd_image_create(struct store *store, const char *pool, const char *image,
                            uint64_t size_bytes, struct error *err)
{
	AUTO_POOL rados_ioctx_t io = NULL;
	int r = open_pool(store, pool, &io, err);
	if (r < 0)
		return r;
	rbd_image_options_t options;
	rbd_image_options_create(&options);
	r = rbd_image_options_set_uint64(options, RBD_IMAGE_OPTION_FEATURES, NEW_IMAGE_FEATURES);
	if (r == 0)
		r = rbd_create4(io, image, size_bytes, options);
	rbd_image_options_destroy(options);
	return r < 0 ? failed(r, "create", pool, image, err) : 0;
}

static int rbd_image_resize(struct store *store, const char *pool, const char *image,
                            uint64_t size_bytes, struct error *err)
{
	AUTO_POOL rados_ioctx_t io = NULL;
	AUTO_IMAGE rbd_image_t opened = NULL;
	uint64_t now_bytes;
	int r = open_pool(store, pool, &io, err);
	if (r == 0)
		r = image_rbd_open(io, pool, image, false, &opened, err);
	if (r < 0)
		return r;
	r = rbd_get_size(opened, &now_bytes);
	if (r == 0 && size_bytes < now_bytes)
		return error_set(err, -EINVAL, "image %s/%s cannot shrink", pool, image);
	if (r == 0 && size_bytes > now_bytes)
		r = rbd_resize2(opened, size_bytes, false, NULL, NULL);
	return r < 0 ? failed(r, "resize", pool, image, err) : 0;
}

static int rbd_image_remove(struct store *store, const char *pool, const char *image,
                            struct error *err)
{
	AUTO_POOL rados_ioctx_t io = NULL;
	int r = open_pool(store, pool, &io, err);
	if (r < 0)
		return r;
	r = rbd_remove(io, image);
	return r < 0 ? failed(r, "remove", pool, image, err) : 0;
}

static void name_data_pool(struct store *store, rbd_image_t image, struct image_info *info)
{
	rados_t cluster = cluster_client_handle(rados_store_of(store)->cluster);
	int64_t id = rbd_get_data_pool_id(image);
	if (id < 0 || id == info->pool_id ||
	    rados_pool_reverse_lookup(cluster, id, info->data_pool, sizeof info->data_pool) < 0)
		info->data_pool[0] = '\0';
}

static int rbd_image_stat(struct store *store, const char *pool, const char *image,
                          struct image_info *ret_info, struct error *err)
{
	AUTO_POOL rados_ioctx_t io = NULL;
	AUTO_IMAGE rbd_image_t opened = NULL;
	rbd_image_info_t status;
	struct image_info info = { 0 };
	int r = open_pool(store, pool, &io, err);
	if (r == 0)
		r = image_rbd_open(io, pool, image, true, &opened, err);
	if (r < 0)
		return r;
	r = rbd_stat(opened, &status, sizeof status);
	if (r == 0)
		r = rbd_get_features(opened, &info.features);
	if (r < 0)
		return failed(r, "look at", pool, image, err);
	info.size_bytes = status.size;
	info.object_size = (uint32_t)status.obj_size;
	info.pool_id = rados_ioctx_get_id(io);
	name_data_pool(store, opened, &info);
	*ret_info = info;
	return 0;
}

typedef int (*snapshot_call)(rbd_image_t image, const char *snapshot);

static int on_snapshot(struct store *store, const char *pool, const char *image,
                       const char *snapshot, snapshot_call call, const char *what,
                       struct error *err)
{
	AUTO_POOL rados_ioctx_t io = NULL;
	AUTO_IMAGE rbd_image_t opened = NULL;
	int r = open_pool(store, pool, &io, err);
	if (r == 0)
		r = image_rbd_open(io, pool, image, false, &opened, err);
	if (r < 0)
		return r;
	r = call(opened, snapshot);
	return r < 0 ? error_set(err, r, "cannot %s the snapshot %s/%s@%s: %s", what, pool, image,
	                         snapshot, strerror(-r))
	             : 0;
}

static int rbd_snapshot_create(struct store *store, const char *pool, const char *image,
                               const char *snapshot, struct error *err)
{
	return on_snapshot(store, pool, image, snapshot, rbd_snap_create, "create", err);
}

static int rbd_snapshot_remove(struct store *store, const char *pool, const char *image,
                               const char *snapshot, struct error *err)
{
	return on_snapshot(store, pool, image, snapshot, rbd_snap_remove, "remove", err);
}

static int find_snapshot(rbd_image_t image, const char *snapshot)
{
	uint64_t id;
	return rbd_snap_get_id(image, snapshot, &id);
}

static int rbd_snapshot_check(struct store *store, const char *pool, const char *image,
                              const char *snapshot, struct error *err)
{
	return on_snapshot(store, pool, image, snapshot, find_snapshot, "find", err);
}

const struct image_ops rbd_image_ops = {
	.create = rbd_image_create,
	.resize = rbd_image_resize,
	.remove = rbd_image_remove,
	.stat = rbd_image_stat,
	.snapshot_create = rbd_snapshot_create,
	.snapshot_remove = rbd_snapshot_remove,
	.snapshot_check = rbd_snapshot_check,
	.snapshot_rollback = image_rbd_rollback,
};
