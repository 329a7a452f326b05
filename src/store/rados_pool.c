/* What all parts of the rados kind stand on: its pool, the object beside the configuration object,
 * and what a failure of the cluster means. */
#include "store/rados.h"

#include <errno.h>
#include <string.h>

int rados_open_pool(const struct rados_store *rados, rados_ioctx_t *ret_pool, struct error *err)
{
	int r = cluster_pool_open(rados->cluster, rados->pool, NULL, ret_pool, err);
	if (r == -ENOENT)
		return error_set(err, r,
		                 "'%s' pool does not exist! Run `ceph osd pool create %s` and `rbd "
		                 "pool init %s`, or set another pool",
		                 rados->pool, rados->pool, rados->pool);
	return r;
}

static int may_not(const struct rados_store *rados, int code, const char *what, struct error *err)
{
	const char *user = cluster_client_name(rados->cluster);
	return error_set(err, code,
	                 "cannot %s %s/%s: the Ceph user %s may not; run `ceph auth caps %s mon "
	                 "'profile rbd' mgr 'profile rbd' osd 'profile rbd pool=%s'` (name the "
	                 "pools of all disks)",
	                 what, rados->pool, rados->object, user, user, rados->pool);
}

const char *rados_why(int code)
{
	static const struct {
		int code;
		const char *why;
	} reasons[] = {
		{ -ETIMEDOUT, "the Ceph cluster does not answer; see `ceph -s`" },
		{ -ESHUTDOWN, "this client was fenced (blocklisted); it connects anew, try again" },
		{ -ENOSPC, "the pool or the cluster is full" },
		{ -EDQUOT, "the pool or the cluster is full" },
	};
	for (size_t i = 0; i < ARRAY_LEN(reasons); i++)
		if (reasons[i].code == code)
			return reasons[i].why;
	return strerror(-code);
}

int rados_failed(const struct rados_store *rados, int code, const char *what, struct error *err)
{
	if (code == -EPERM || code == -EACCES)
		return may_not(rados, code, what, err);
	return error_set(err, code, "cannot %s %s/%s: %s", what, rados->pool, rados->object,
	                 rados_why(code));
}

int rados_make_side(const struct rados_store *rados, struct error *err)
{
	AUTO_POOL rados_ioctx_t pool = NULL;
	int r = rados_open_pool(rados, &pool, err);
	if (r < 0)
		return r;
	rados_write_op_t op = rados_create_write_op();
	rados_write_op_create(op, LIBRADOS_CREATE_IDEMPOTENT, NULL);
	r = rados_write_op_operate(op, pool, rados->side, NULL, 0);
	rados_release_write_op(op);
	return r < 0 ? rados_failed(rados, r, "create the side object of", err) : 0;
}
