/* Who may write to an RBD image: its exclusive lock, managed by hand from the first acquire on.
 * An owner that is gone is fenced before his lock is broken, so that none of his writes can land
 * after ours (H5, H13). */
#include "backend/rbd.h"
#include "base/bytes.h"
#include "base/log.h"
#include "base/text.h"
#include "cluster/client.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define ATTEMPTS  3
#define LOOK_MS   1000       /* what was asked ahead is forgotten after that */
#define LOCK_NAME "rbd_lock" /* librbd's, on the header and on the object map */
#define LOCK_TAG  "internal" /* librbd's; what people lock by hand has another */

/* [H28] An image that mirroring has demoted (or copies from another cluster) has no lock at all,
 * and librbd only says that something is invalid. */
static bool is_not_primary(struct rbd_disk *disk)
{
	rbd_mirror_image_info_t info;
	if (rbd_mirror_image_get_info(disk->image, &info, sizeof info) < 0)
		return false;
	bool not_primary = info.state == RBD_MIRROR_IMAGE_ENABLED && !info.primary;
	rbd_mirror_image_get_info_cleanup(&info);
	return not_primary;
}

/* An image that was opened without a lock gets none: it is opened anew. */
static int fail_without_lock(struct rbd_disk *disk, struct error *err)
{
	if (is_not_primary(disk))
		return error_set(err, -ESTALE,
		                 "%s is mirrored and not primary here, so nobody may write to it: "
		                 "it is served after `rbd mirror image promote %s`",
		                 disk->name, disk->name);
	return error_set(err, -ESTALE, "%s: the image had no exclusive lock when it was opened",
	                 disk->name);
}

static int fail(struct rbd_disk *disk, int r, const char *doing, struct error *err)
{
	rbd_disk_failed(disk, r);
	if (r == -ESHUTDOWN)
		return error_set(err, r, "%s: this gateway's client %s was fenced", disk->name,
		                 cluster_client_address(disk->cluster));
	if (r == -EINVAL)
		return fail_without_lock(disk, err);
	return error_set(err, r, "%s: cannot %s: %s", disk->name, doing, strerror(-r));
}

/* Who has the lock: as the OSD names him, and his address as librbd and the fences spell it. */
struct holder {
	char client[64], cookie[128], tag[64], locker[128];
	const char *address; /* in locker; NULL: nobody has it */
};

/* One question, where librbd's own calls make three of it. */
static int find_holder(struct rbd_disk *disk, struct holder *holder, struct error *err)
{
	char header[RBD_OBJECT_MAX];
	size_t client_len = sizeof holder->client, cookie_len = sizeof holder->cookie,
	       tag_len = sizeof holder->tag, locker_len = sizeof holder->locker;
	int exclusive = 1;
	*holder = (struct holder){ .address = NULL };
	rbd_disk_object(disk, "rbd_header", header);
	ssize_t count = rados_list_lockers(disk->pool, header, LOCK_NAME, &exclusive, holder->tag,
	                                   &tag_len, holder->client, &client_len, holder->cookie,
	                                   &cookie_len, holder->locker, &locker_len);
	if (count == -ENOENT || count == 0)
		return 0;
	if (count < 0)
		return fail(disk, (int)count, "read who has the exclusive lock", err);
	if (count > 1 || !exclusive || strcmp(holder->tag, LOCK_TAG) != 0)
		return error_set(err, -EBUSY,
		                 "%s was locked by hand: see `rbd lock ls %s`, and remove the lock "
		                 "with `rbd lock rm`",
		                 disk->name, disk->name);
	holder->address = holder->locker + (text_starts(holder->locker, "v1:") ? 3 : 0);
	return 0;
}

/* ---- asked ahead ----
 * Only that nobody has the lock is believed, and only once: what has changed since, acquiring
 * tells. No lock of a client that died since can be taken for a free one by librbd, which would
 * break it by its own rules: the watch of its owner lives longer than the answer counts. */

/* The OSD's class "lock" [get_info]: version, length, name. */
static size_t put_question(uint8_t to[32])
{
	size_t len = strlen(LOCK_NAME);
	to[0] = to[1] = 1;
	put_le32(to + 2, (uint32_t)(4 + len));
	put_le32(to + 6, (uint32_t)len);
	memcpy(to + 10, LOCK_NAME, len);
	return 10 + len;
}

void rbd_disk_forget_look(struct rbd_disk *disk)
{
	if (!disk->look.answer)
		return;
	rados_aio_wait_for_complete(disk->look.answer);
	rados_aio_release(steal(&disk->look.answer));
	rados_buffer_free(steal(&disk->look.text));
}

static int ask(struct rbd_disk *disk, rados_completion_t answer)
{
	char header[RBD_OBJECT_MAX];
	uint8_t question[32];
	rados_read_op_t op = rados_create_read_op();
	rbd_disk_object(disk, "rbd_header", header);
	rados_read_op_exec(op, "lock", "get_info", (char *)question, put_question(question),
	                   &disk->look.text, &disk->look.len, &disk->look.result);
	int r = rados_aio_read_op_operate(op, disk->pool, answer, header, 0);
	rados_release_read_op(op);
	return r;
}

void rbd_disk_prepare(struct backend *backend)
{
	struct rbd_disk *disk = disk_of(backend);
	rados_completion_t answer;
	rbd_disk_forget_look(disk);
	if (disk->read_only || rados_aio_create_completion2(NULL, NULL, &answer) < 0)
		return;
	disk->look.text = NULL;
	disk->look.since_ms = clock_monotonic_ms();
	if (ask(disk, answer) < 0)
		rados_aio_release(answer);
	else
		disk->look.answer = answer;
}

/* The answer: version, compatible version, length, then the number of those who have it. */
static bool nobody_had_it(struct rbd_disk *disk)
{
	if (!disk->look.answer)
		return false;
	rados_aio_wait_for_complete(disk->look.answer);
	bool told = rados_aio_get_return_value(disk->look.answer) == 0 && disk->look.result == 0 &&
	            disk->look.text && disk->look.len >= 10;
	bool nobody = told && get_le32((const uint8_t *)disk->look.text + 6) == 0;
	rbd_disk_forget_look(disk);
	return nobody && clock_monotonic_ms() <= disk->look.since_ms + LOOK_MS;
}

/* ---- who may stay ---- */

/* How many watches of the image that client has, or -errno. The cookie of a lock, if it is given,
 * names the watch of the very handle that has it. */
static int count_watches(struct rbd_disk *disk, const char *client, const char *lock_cookie)
{
	rbd_image_watcher_t watchers[64];
	size_t count = ARRAY_LEN(watchers);
	int r = rbd_watchers_list(disk->image, watchers, &count), found = 0;
	if (r < 0)
		return r;
	for (size_t i = 0; i < count; i++) {
		char cookie[64];
		(void)snprintf(cookie, sizeof cookie, "auto %" PRIu64, watchers[i].cookie);
		found += strcmp(watchers[i].addr, client) == 0 &&
		         (!lock_cookie || strcmp(cookie, lock_cookie) == 0);
	}
	rbd_watchers_list_cleanup(watchers, count);
	return found;
}

/* A live owner watches the image; a watch ends 30 s after its client has died. In doubt: true. */
static bool owner_watches(struct rbd_disk *disk, const char *owner, const char *lock_cookie)
{
	return count_watches(disk, owner, lock_cookie) != 0;
}

static int break_lock(struct rbd_disk *disk, const char *owner, struct error *err)
{
	log_warning("%s: fencing %s, which had the exclusive lock", disk->name, owner);
	int r = cluster_fence(disk->cluster, owner, CLUSTER_FENCE_S, err);
	if (r < 0) {
		(void)error_wrap(err, "%s", disk->name);
		return rbd_disk_failed(disk, r);
	}
	r = rbd_lock_break(disk->image, RBD_LOCK_MODE_EXCLUSIVE, owner);
	if (r == -EBUSY || r == -ENOENT)
		return 0; /* released or taken meanwhile: acquiring tells */
	return r < 0 ? fail(disk, r, "break the exclusive lock", err) : 0;
}

/* 0 also if it was released or taken meanwhile: acquiring tells. */
static int drop(struct rbd_disk *disk, const char *kind, const char *client, const char *cookie,
                struct error *err)
{
	char object[RBD_OBJECT_MAX];
	rbd_disk_object(disk, kind, object);
	int r = rados_break_lock(disk->pool, object, LOCK_NAME, client, cookie);
	return r < 0 && r != -ENOENT ? fail(disk, r, "break the exclusive lock", err) : 0;
}

/* In doubt: true. */
static bool has_object_map(struct rbd_disk *disk)
{
	uint64_t features;
	return rbd_get_features(disk->image, &features) < 0 || features & RBD_FEATURE_OBJECT_MAP;
}

/* Breaks the lock of an owner that writes no more. Not by librbd, which would fence him once more.
 * The object map, which he locked as well, is freed here because librbd would try to lock it first;
 * where there is none, nobody is asked: it may be an OSD that does not answer. */
static int drop_lock(struct rbd_disk *disk, const struct holder *holder, struct error *err)
{
	int r = has_object_map(disk) ? drop(disk, "rbd_object_map", holder->client, "", err) : 0;
	return r == 0 ? drop(disk, "rbd_header", holder->client, holder->cookie, err) : r;
}

/* Beside gateways that remove entries of their clients again, to have fenced proves nothing. */
static bool is_fenced(const struct rbd_disk *disk, const char *owner,
                      const struct backend_lock_policy *policy, uint64_t *ret_since_ms)
{
	if (policy && policy->fence_living)
		return false;
	if (cluster_has_fenced(disk->cluster, owner))
		return true;
	return policy && policy->is_fenced &&
	       policy->is_fenced(policy->argument, owner, ret_since_ms);
}

static int drop_fenced(struct rbd_disk *disk, const struct holder *holder, uint64_t since_ms,
                       struct error *err)
{
	log_info("%s: breaking the lock of %s, which is fenced", disk->name, holder->address);
	int r = cluster_wait_for_map_since(disk->cluster, since_ms, err); /* [H1] */
	return r < 0 ? rbd_disk_failed(disk, r) : drop_lock(disk, holder, err);
}

/* The lock is of this process: of this handle, which is fine, of another one, or of one that was
 * closed without giving it back. */
static int check_own(struct rbd_disk *disk, const struct holder *holder, struct error *err)
{
	int is_owner = 0;
	int r = rbd_is_exclusive_lock_owner(disk->image, &is_owner);
	if (r < 0)
		return fail(disk, r, "read who has the exclusive lock", err);
	if (is_owner)
		return 0;
	if (owner_watches(disk, holder->address, holder->cookie))
		return error_set(err, -EBUSY, "%s is already open for writing in this process",
		                 disk->name);
	log_warning("%s: breaking the lock that was left when it was closed", disk->name);
	return drop_lock(disk, holder, err);
}

/* What to do about a lock that somebody has. 0: it may be acquired now. */
static int evict(struct rbd_disk *disk, const struct holder *holder,
                 const struct backend_lock_policy *policy, struct error *err)
{
	const char *owner = holder->address;
	uint64_t since_ms = UINT64_MAX; /* unknown: the newest map from now on */
	if (strcmp(owner, cluster_client_address(disk->cluster)) == 0)
		return check_own(disk, holder, err);
	if (is_fenced(disk, owner, policy, &since_ms))
		return drop_fenced(disk, holder, since_ms, err);
	bool may_break = policy && policy->may_break && policy->may_break(policy->argument, owner);
	if (!may_break && policy && policy->fence_living) {
		int r = policy->fence_living(policy->argument, owner, err);
		if (r != -EBUSY)
			return r < 0 ? r : drop_fenced(disk, holder, UINT64_MAX, err);
	}
	if (!may_break && owner_watches(disk, owner, NULL))
		return error_set(err, -EBUSY, "%s is in use by %s, which has its exclusive lock",
		                 disk->name, owner);
	return break_lock(disk, owner, err);
}

/* -EAGAIN: somebody else was faster. */
static int try_acquire(struct rbd_disk *disk, const struct backend_lock_policy *policy,
                       struct error *err)
{
	struct holder holder = { .address = NULL };
	bool asked = policy && policy->prepared && nobody_had_it(disk);
	int r = asked ? 0 : find_holder(disk, &holder, err);
	if (r == 0 && holder.address)
		r = evict(disk, &holder, policy, err);
	if (r < 0)
		return r;
	atomic_store(&disk->locked, true); /* whatever comes of it */
	r = rbd_lock_acquire(disk->image, RBD_LOCK_MODE_EXCLUSIVE);
	if (r == -EROFS || r == -EBUSY || r == -EAGAIN)
		return error_set(err, -EAGAIN, "%s: another client took the exclusive lock",
		                 disk->name);
	return r < 0 ? fail(disk, r, "take the exclusive lock", err) : 0;
}

static int check_feature(struct rbd_disk *disk, struct error *err)
{
	uint64_t features;
	int r = rbd_get_features(disk->image, &features);
	if (r < 0)
		return fail(disk, r, "read the image's features", err);
	if (!(features & RBD_FEATURE_EXCLUSIVE_LOCK))
		return error_set(err, -ENOTSUP,
		                 "%s lacks the feature that keeps two writers apart: run `rbd "
		                 "feature enable %s exclusive-lock`",
		                 disk->name, disk->name);
	return 0;
}

int rbd_disk_acquire(struct backend *backend, const struct backend_lock_policy *policy,
                     struct error *err)
{
	struct rbd_disk *disk = disk_of(backend);
	if (disk->read_only)
		return 0;
	int r = check_feature(disk, err);
	if (r < 0)
		return r;
	r = -EAGAIN;
	for (int attempt = 0; attempt < ATTEMPTS && r == -EAGAIN; attempt++)
		r = try_acquire(disk, policy, err);
	if (r == -EAGAIN) {
		if (err)
			err->code = -EBUSY;
		return -EBUSY;
	}
	rbd_objects_forget(disk); /* the last owner may have changed it */
	if (r == 0)
		r = rbd_disk_refresh(backend, err);
	if (r == 0)
		atomic_store(&disk->writable, true);
	return r;
}

/* -EBUSY: this client has the image open by another handle as well, whose lock that may be, or a
 * watch of an earlier one has not ended yet. */
static int check_only_handle(struct rbd_disk *disk, struct error *err)
{
	int handles = count_watches(disk, cluster_client_address(disk->cluster), NULL);
	if (handles < 0)
		return fail(disk, handles, "read who has the image open", err);
	return handles > 1 ? error_set(err, -EBUSY, "%s is open twice in this process", disk->name)
	                   : 0;
}

/* librbd says that it does not have the lock. Most often it was taken away; but who has it is what
 * the OSD says: if that is still this client, nobody else could take it. */
static int release_disowned(struct rbd_disk *disk, struct error *err)
{
	struct holder holder;
	int r = find_holder(disk, &holder, err);
	if (r < 0 || !holder.address ||
	    strcmp(holder.address, cluster_client_address(disk->cluster)) != 0)
		return r == -EBUSY ? 0 : r; /* locked by hand: not by us */
	r = check_only_handle(disk, err);
	if (r < 0)
		return r;
	log_warning("%s: breaking the lock that librbd left when it gave it back", disk->name);
	return drop_lock(disk, &holder, err);
}

int rbd_disk_release(struct backend *backend, struct error *err)
{
	struct rbd_disk *disk = disk_of(backend);
	atomic_store(&disk->writable, false);
	if (!atomic_load(&disk->locked))
		return 0;
	int r = rbd_lock_release(disk->image);
	if (r < 0 && r != -EINVAL)
		return fail(disk, r, "release the exclusive lock", err);
	if (r == -EINVAL)
		r = release_disowned(disk, err);
	if (r == 0)
		atomic_store(&disk->locked, false);
	return r;
}
