/* The rados kind: the object and its guard. A commit takes the advisory lock that ceph-iscsi takes,
 * compares what is there with what was loaded, and writes text and epoch in one operation that only
 * succeeds on that very version: so neither a lock that lapsed nor a writer without it is lost. */
#include "store/rados.h"

#include "base/log.h"
#include "base/reactor.h"
#include "base/text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define LOCK_NAME        "lock"
#define LOCK_COOKIE      "config"
#define LOCK_DURATION_S  30
#define LOCK_TIMEOUT_MS  35000 /* the lock of a gateway that died lapses before */
#define LOCK_PAUSE_MS    20
#define LOCK_PAUSE_LIMIT 500
#define EPOCH_XATTR      "epoch"
#define FIRST_ROOM       (256u * 1024)

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

/* ---- reading ---- */

/* The object as one operation saw it. */
struct found {
	bool exists, has_epoch;
	char *text;
	size_t len;
	char epoch[24];   /* the xattr, if has_epoch */
	uint64_t version; /* of the object */
};

static void take_epoch(rados_xattrs_iter_t xattrs, struct found *found)
{
	const char *name, *value;
	size_t len;
	while (rados_getxattrs_next(xattrs, &name, &value, &len) == 0 && name) {
		if (strcmp(name, EPOCH_XATTR) != 0 || len >= sizeof found->epoch)
			continue;
		memcpy(found->epoch, value, len);
		found->epoch[len] = '\0';
		found->has_epoch = true;
	}
	rados_getxattrs_end(xattrs);
}

/* Text, xattr and version in one operation, so that they belong together. found->len == room: there
 * may be more. */
static int read_once(rados_ioctx_t pool, const char *object, size_t room, struct found *found)
{
	rados_read_op_t op = rados_create_read_op();
	rados_xattrs_iter_t xattrs = NULL;
	int read_result = 0, xattr_result = 0;
	rados_read_op_read(op, 0, room, found->text, &found->len, &read_result);
	rados_read_op_getxattrs(op, &xattrs, &xattr_result);
	int r = rados_read_op_operate(op, pool, object, 0);
	rados_release_read_op(op);
	if (xattrs)
		take_epoch(xattrs, found);
	if (r == 0)
		r = read_result < 0 ? read_result : xattr_result;
	found->version = rados_get_last_version(pool);
	return r;
}

/* ret_found->text: free() it, also on errors. */
static int read_object(const struct rados_store *rados, rados_ioctx_t pool, struct found *ret_found,
                       struct error *err)
{
	for (size_t room = FIRST_ROOM;; room *= 4) {
		free(ret_found->text);
		*ret_found = (struct found){ .text = malloc(room + 1) };
		if (!ret_found->text)
			return error_set(err, -ENOMEM, "out of memory");
		int r = read_once(pool, rados->object, room, ret_found);
		if (r < 0 && r != -ENOENT)
			return rados_failed(rados, r, "read", err);
		ret_found->exists = r == 0;
		ret_found->len = r == 0 ? ret_found->len : 0;
		ret_found->text[ret_found->len] = '\0';
		if (ret_found->len < room)
			break;
		if (room >= STORE_TEXT_MAX)
			return error_set(err, -EFBIG, "the object %s/%s is larger than %u bytes",
			                 rados->pool, rados->object, STORE_TEXT_MAX);
	}
	if (memchr(ret_found->text, '\0', ret_found->len))
		return error_set(err, -EINVAL, "the object %s/%s contains a NUL byte", rados->pool,
		                 rados->object);
	return 0;
}

static int rados_load(struct store *store, char **ret_text, struct store_version *ret_version,
                      struct error *err)
{
	const struct rados_store *rados = rados_store_of(store);
	AUTO_POOL rados_ioctx_t pool = NULL;
	struct found found = { 0 };
	int r = rados_open_pool(rados, &pool, err);
	if (r == 0)
		r = read_object(rados, pool, &found, err);
	if (r < 0) {
		free(found.text);
		return r;
	}
	uint64_t epoch = 0;
	if (found.has_epoch && text_to_uint(found.epoch, 0, UINT64_MAX, &epoch) < 0)
		epoch = 0; /* the next commit mends it */
	*ret_version = (struct store_version){
		.epoch = epoch,
		.revision = store_hash(found.text, found.len),
		.exists = found.exists,
	};
	*ret_text = found.text;
	return 0;
}

/* ---- the lock ---- */

/* Names the holder and how to break its lock: an operator may have to. */
static int lock_timed_out(const struct rados_store *rados, rados_ioctx_t pool, struct error *err)
{
	char tag[64], clients[1024] = "?", cookies[1024] = "?", addresses[1024] = "?";
	size_t tag_len = sizeof tag, clients_len = sizeof clients;
	size_t cookies_len = sizeof cookies, addresses_len = sizeof addresses;
	int exclusive;
	ssize_t n = rados_list_lockers(pool, rados->object, LOCK_NAME, &exclusive, tag, &tag_len,
	                               clients, &clients_len, cookies, &cookies_len, addresses,
	                               &addresses_len);
	unsigned waited_s = (rados->lock_timeout_ms + 999) / 1000;
	if (n <= 0)
		return error_set(err, -ETIMEDOUT,
		                 "the lock of %s/%s could not be had for %u s; try again",
		                 rados->pool, rados->object, waited_s);
	return error_set(err, -ETIMEDOUT,
	                 "the lock of %s/%s has been held for %u s by %s at %s; if that gateway is "
	                 "dead: rados -p %s lock break %s " LOCK_NAME " %s --lock-cookie %s",
	                 rados->pool, rados->object, waited_s, clients, addresses, rados->pool,
	                 rados->object, clients, cookies);
}

static int take_lock(const struct rados_store *rados, rados_ioctx_t pool, struct error *err)
{
	uint64_t deadline_ms = clock_monotonic_ms() + rados->lock_timeout_ms;
	unsigned pause_ms = LOCK_PAUSE_MS;
	for (;;) {
		struct timeval duration = { .tv_sec = LOCK_DURATION_S };
		int r = rados_lock_exclusive(pool, rados->object, LOCK_NAME, LOCK_COOKIE, "",
		                             &duration, 0);
		/* -EEXIST: another store of this process has it, or one of ours that lapses. */
		if (r != -EBUSY && r != -EEXIST)
			return r < 0 ? rados_failed(rados, r, "lock", err) : 0;
		if (clock_monotonic_ms() >= deadline_ms)
			return lock_timed_out(rados, pool, err);
		(void)nanosleep(&(struct timespec){ .tv_nsec = pause_ms * 1000000L }, NULL);
		pause_ms = pause_ms * 2 < LOCK_PAUSE_LIMIT ? pause_ms * 2 : LOCK_PAUSE_LIMIT;
	}
}

static void drop_lock(const struct rados_store *rados, rados_ioctx_t pool)
{
	int r = rados_unlock(pool, rados->object, LOCK_NAME, LOCK_COOKIE);
	if (r < 0 && r != -ENOENT) /* lapsed: nothing to drop */
		log_warning("cannot unlock %s/%s (%s); the lock lapses in %d s", rados->pool,
		            rados->object, strerror(-r), LOCK_DURATION_S);
}

/* ---- writing ---- */

static bool is_guard_failure(int r)
{
	/* assert_version: newer, older; cmpxattr; assert_exists */
	return r == -ERANGE || r == -EOVERFLOW || r == -ECANCELED || r == -ENOENT;
}

/* compat: upstream's watchers compare the xattr `epoch`, so it changes with the text. One that is
 * missing or wrong is mended here. */
static int write_over(rados_ioctx_t pool, const char *object, const struct found *found,
                      const char *text, const char *epoch)
{
	rados_write_op_t op = rados_create_write_op();
	rados_write_op_assert_exists(op);
	rados_write_op_assert_version(op, found->version);
	if (found->has_epoch)
		rados_write_op_cmpxattr(op, EPOCH_XATTR, LIBRADOS_CMPXATTR_OP_EQ, found->epoch,
		                        strlen(found->epoch));
	rados_write_op_write_full(op, text, strlen(text));
	rados_write_op_setxattr(op, EPOCH_XATTR, epoch, strlen(epoch));
	int r = rados_write_op_operate(op, pool, object, NULL, 0);
	rados_release_write_op(op);
	return r;
}

/* A write that timed out may have happened. */
static bool was_written(const struct rados_store *rados, rados_ioctx_t pool, const char *text)
{
	struct found found = { 0 };
	bool same = read_object(rados, pool, &found, NULL) == 0 && !strcmp(found.text, text);
	free(found.text);
	return same;
}

static int compare_and_write(const struct rados_store *rados, rados_ioctx_t pool, const char *text,
                             uint64_t epoch, const struct store_version *expected,
                             struct error *err)
{
	struct found found = { 0 };
	char epoch_text[24];
	(void)snprintf(epoch_text, sizeof epoch_text, "%" PRIu64, epoch);
	int r = read_object(rados, pool, &found, err);
	if (r == 0 && store_hash(found.text, found.len) != expected->revision)
		r = -ECANCELED;
	else if (r == 0)
		r = write_over(pool, rados->object, &found, text, epoch_text);
	free(found.text);
	if (r == -ETIMEDOUT && was_written(rados, pool, text))
		return 0;
	if (is_guard_failure(r))
		return error_set(err, -ECANCELED, "the configuration object was changed meanwhile");
	return r < 0 ? rados_failed(rados, r, "write", err) : 0;
}

/* An empty object, as upstream makes it before the seed. */
static int make_object(const struct rados_store *rados, rados_ioctx_t pool, struct error *err)
{
	rados_write_op_t op = rados_create_write_op();
	rados_write_op_create(op, LIBRADOS_CREATE_EXCLUSIVE, NULL);
	int r = rados_write_op_operate(op, pool, rados->object, NULL, 0);
	rados_release_write_op(op);
	if (r == -EEXIST)
		return error_set(err, -ECANCELED, "the configuration object was made meanwhile");
	return r < 0 ? rados_failed(rados, r, "create", err) : 0;
}

static int commit_alone(const struct rados_store *rados, const char *text, uint64_t epoch,
                        const struct store_version *expected, struct error *err)
{
	AUTO_POOL rados_ioctx_t pool = NULL;
	int r = rados_open_pool(rados, &pool, err);
	if (r == 0 && !expected->exists)
		r = make_object(rados, pool, err);
	if (r == 0 && !rados->exclusive_writers)
		r = take_lock(rados, pool, err);
	if (r < 0)
		return r;
	r = compare_and_write(rados, pool, text, epoch, expected, err);
	if (!rados->exclusive_writers)
		drop_lock(rados, pool);
	return r;
}

static int rados_commit(struct store *store, const char *text, uint64_t epoch,
                        const struct store_version *expected, struct error *err)
{
	struct rados_store *rados = rados_store_of(store);
	(void)pthread_mutex_lock(&rados->commit_mutex);
	int r = commit_alone(rados, text, epoch, expected, err);
	(void)pthread_mutex_unlock(&rados->commit_mutex);
	return r;
}

/* ---- open ---- */

static void rados_free(struct store *store)
{
	struct rados_store *rados = rados_store_of(store);
	(void)pthread_mutex_destroy(&rados->commit_mutex);
	(void)pthread_cond_destroy(&rados->rows.written);
	(void)pthread_mutex_destroy(&rados->rows.lock);
	free(rados->pool);
	free(rados->object);
	free(rados->side);
	free(rados);
}

static int rados_open(const struct store_config *config, struct store **ret_store,
                      struct error *err)
{
	struct rados_store *rados = calloc(1, sizeof *rados);
	if (!rados)
		return error_set(err, -ENOMEM, "out of memory");
	rados->store.ops = &rados_store_ops;
	rados->cluster = config->cluster;
	rados->exclusive_writers = config->exclusive_writers;
	rados->lock_timeout_ms =
	        config->lock_timeout_ms ? config->lock_timeout_ms : LOCK_TIMEOUT_MS;
	(void)pthread_mutex_init(&rados->commit_mutex, NULL);
	(void)pthread_mutex_init(&rados->rows.lock, NULL);
	(void)pthread_cond_init(&rados->rows.written, NULL);
	rados->pool = strdup(config->pool);
	rados->object = strdup(config->object);
	if (asprintf(&rados->side, "%s.rbdgate", config->object) < 0)
		rados->side = NULL;
	AUTO_POOL rados_ioctx_t pool = NULL;
	int r = rados->pool && rados->object && rados->side
	                ? rados_open_pool(rados, &pool, err)
	                : error_set(err, -ENOMEM, "out of memory");
	if (r < 0) {
		rados_free(&rados->store);
		return r;
	}
	*ret_store = &rados->store;
	return 0;
}

const struct store_ops rados_store_ops = {
	.kind = "rados",
	.open = rados_open,
	.free = rados_free,
	.load = rados_load,
	.commit = rados_commit,
	.join = rados_join,
	.leave = rados_leave,
	.report = rados_report,
	.announce = rados_announce,
	.tell = rados_tell_members,
	.get_row = rados_get_row,
	.put_row = rados_put_row,
	.put_rows_at_once = rados_put_rows_at_once,
	.put_rows = rados_put_rows,
	.list_rows = rados_list_rows,
	.rows_version = rados_rows_version,
	.images = &rbd_image_ops,
};
