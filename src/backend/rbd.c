/* An RBD image as a backend: librbd's asynchronous calls. Completions come on librbd's threads and
 * are only delivered there. The cache is off, so a completed write is durable. */
#include "backend/rbd.h"
#include "backend/kinds.h"
#include "base/bytes.h"
#include "base/log.h"
#include "cluster/client.h"
#include "cluster/command.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define DISCARD_GRANULARITY 65536u /* rbd_discard_granularity_bytes */

static void tell(struct rbd_disk *disk, enum backend_event event)
{
	if (disk->listener)
		disk->listener->event(disk->listener, event);
}

void rbd_disk_object(const struct rbd_disk *disk, const char *kind, char ret_name[RBD_OBJECT_MAX])
{
	(void)snprintf(ret_name, RBD_OBJECT_MAX, "%s.%s", kind, disk->id);
}

int rbd_disk_failed(struct rbd_disk *disk, int r)
{
	if (r == -ESHUTDOWN && !atomic_exchange(&disk->lost, true)) {
		log_warning("%s: this gateway's client %s was fenced: it writes nothing more",
		            disk->name, cluster_client_address(disk->cluster));
		tell(disk, BACKEND_LOST);
	}
	return r;
}

static void disk_done(rbd_completion_t completion, void *argument)
{
	struct io *io = argument;
	struct rbd_disk *disk = disk_of(io->backend);
	ssize_t r = rbd_aio_get_return_value(completion);
	rbd_aio_release(completion);
	if (io->op == IO_READ && r >= 0 && (uint64_t)r != io->length)
		r = -ERANGE; /* the image shrank meanwhile */
	if (r < 0)
		rbd_disk_failed(disk, (int)r);
	/* Only writes with the lock come here, so librbd refuses because it is gone. */
	if (r == -EROFS && atomic_exchange(&disk->writable, false))
		tell(disk, BACKEND_RELEASED);
	rbd_objects_complete(io, r < 0 ? (int)r : 0);
}

static int start_read(struct rbd_disk *disk, struct io *io, rbd_completion_t completion)
{
	if (io->iov_count == 1)
		return rbd_aio_read(disk->image, io->offset, io->length, io->iov->iov_base,
		                    completion);
	return rbd_aio_readv(disk->image, io->iov, (int)io->iov_count, io->offset, completion);
}

static int start_write(struct rbd_disk *disk, struct io *io, rbd_completion_t completion)
{
	if (io->iov_count == 1)
		return rbd_aio_write(disk->image, io->offset, io->length, io->iov->iov_base,
		                     completion);
	return rbd_aio_writev(disk->image, io->iov, (int)io->iov_count, io->offset, completion);
}

static int start_flush(struct rbd_disk *disk, struct io *io, rbd_completion_t completion)
{
	return rbd_aio_flush(disk->image, completion);
}

static int start_discard(struct rbd_disk *disk, struct io *io, rbd_completion_t completion)
{
	return rbd_aio_discard(disk->image, io->offset, io->length, completion);
}

static int start_write_zeroes(struct rbd_disk *disk, struct io *io, rbd_completion_t completion)
{
	int thick = (io->flags & IO_NO_UNMAP) ? RBD_WRITE_ZEROES_FLAG_THICK_PROVISION : 0;
	return rbd_aio_write_zeroes(disk->image, io->offset, io->length, completion, thick, 0);
}

static int (*const starters[IO_OP_COUNT])(struct rbd_disk *, struct io *, rbd_completion_t) = {
	[IO_READ] = start_read,
	[IO_WRITE] = start_write,
	[IO_FLUSH] = start_flush,
	[IO_DISCARD] = start_discard,
	[IO_WRITE_ZEROES] = start_write_zeroes,
};

static int check(struct rbd_disk *disk, const struct io *io)
{
	if (atomic_load_explicit(&disk->lost, memory_order_relaxed))
		return -ESHUTDOWN;
	if (io->op == IO_FLUSH)
		return 0;
	if (!range_ok(io->offset, io->length, atomic_load(&disk->size_bytes)))
		return -ERANGE;
	/* librbd would take the lock by itself. */
	return io->op == IO_READ || atomic_load(&disk->writable) ? 0 : -EROFS;
}

/* 0: the completion comes. */
static int start(struct rbd_disk *disk, struct io *io)
{
	rbd_completion_t completion;
	int r = rbd_aio_create_completion(io, disk_done, &completion);
	if (r < 0)
		return r;
	r = starters[io->op](disk, io, completion);
	if (r < 0)
		rbd_aio_release(completion);
	return r < 0 ? r : 0;
}

static void disk_submit(struct backend *backend, struct io *io)
{
	struct rbd_disk *disk = disk_of(backend);
	int r = check(disk, io);
	if (r == 0)
		r = rbd_objects_ask(disk, io);
	if (r < 0) {
		io_complete(io, r);
		return;
	}
	r = start(disk, io);
	if (r < 0)
		rbd_objects_complete(io, rbd_disk_failed(disk, r));
}

/* ---- the header ---- */

static void reached(rados_completion_t completion, void *argument)
{
	int r = rados_aio_get_return_value(completion);
	rados_aio_release(completion);
	io_complete(argument, r);
}

static void disk_reach(struct backend *backend, struct io *io)
{
	int r = rbd_objects_stat(disk_of(backend), RBD_HEADER, reached, io);
	if (r < 0)
		io_complete(io, r);
}

static void image_changed(void *argument)
{
	struct rbd_disk *disk = argument;
	atomic_store(&disk->changed, true);
	rbd_objects_forget(disk);
	tell(disk, BACKEND_RESIZED);
}

static void disk_close(struct backend *backend)
{
	struct rbd_disk *disk = disk_of(backend);
	rbd_disk_forget_look(disk);
	if (disk->watching)
		(void)rbd_update_unwatch(disk->image, disk->watch); /* closing in any case */
	if (disk->image)
		(void)rbd_close(disk->image); /* -ESHUTDOWN: fenced, closed nevertheless */
	rbd_objects_close(disk);
	cluster_pool_close(disk->pool);
	free(disk->name);
	free(disk);
}

/* librbd tells of a fence as of any other change of the header, so a change is a reason to look. */
static int check_lock(struct rbd_disk *disk)
{
	int is_owner = 0;
	int r = rbd_is_exclusive_lock_owner(disk->image, &is_owner);
	if (r == 0 && !is_owner && atomic_exchange(&disk->writable, false))
		tell(disk, BACKEND_RELEASED);
	return r;
}

int rbd_disk_refresh(struct backend *backend, struct error *err)
{
	struct rbd_disk *disk = disk_of(backend);
	uint64_t size;
	int r = atomic_load(&disk->lost) ? -ESHUTDOWN : rbd_get_size(disk->image, &size);
	/* Asking costs a round trip, which hangs with the pool: only when something happened. */
	if (r == 0 && atomic_exchange(&disk->changed, false) && atomic_load(&disk->writable))
		r = check_lock(disk);
	if (r < 0)
		return error_set(err, rbd_disk_failed(disk, r), "%s: cannot read the size: %s",
		                 disk->name, strerror(-r));
	atomic_store(&disk->size_bytes, size);
	return 0;
}

/* What only a setting of the image or its pool can switch on again (cluster/client.c). */
static const struct {
	const char *name, *off;
} caches[] = {
	{ "rbd_cache", "false" },
	{ "rbd_persistent_cache_mode", "disabled" },
};

/* NULL: none. */
static const char *find_cache(const rbd_config_option_t *options, int count)
{
	for (int i = 0; i < count; i++) {
		for (size_t j = 0; j < ARRAY_LEN(caches); j++) {
			if (strcmp(options[i].name, caches[j].name) == 0 &&
			    strcmp(options[i].value, caches[j].off) != 0)
				return caches[j].name;
		}
	}
	return NULL;
}

/* A cache switched on in the image's or pool's own settings would make writes volatile, or leave
 * them on this host alone, and reads stale beside other gateways. */
static int refuse_cache(struct rbd_disk *disk, struct error *err)
{
	rbd_config_option_t options[256];
	int count = ARRAY_LEN(options);
	int r = rbd_config_image_list(disk->image, options, &count);
	if (r < 0)
		return error_set(err, r, "%s: cannot read the image's settings: %s", disk->name,
		                 strerror(-r));
	const char *cache = find_cache(options, count);
	rbd_config_image_list_cleanup(options, count);
	if (cache)
		return error_set(err, -EINVAL,
		                 "%s: %s is switched on for this image or its pool, which "
		                 "several gateways cannot keep coherent: run `rbd config image "
		                 "remove %s %s` (or `rbd config pool remove`)",
		                 disk->name, cache, disk->name, cache);
	return 0;
}

static int open_image(struct rbd_disk *disk, const struct backend_config *config, struct error *err)
{
	int r = cluster_pool_open(config->cluster, config->pool, config->namespace, &disk->pool,
	                          err);
	if (r < 0)
		return r;
	r = config->read_only ? rbd_open_read_only(disk->pool, config->image, &disk->image, NULL)
	                      : rbd_open(disk->pool, config->image, &disk->image, NULL);
	if (r < 0) {
		disk->image = NULL;
		return error_set(err, r,
		                 r == -ENOENT ? "%s: there is no such image"
		                 : r == -EPERM
		                         ? "%s: the Ceph user may not open the image: it needs "
		                           "osd 'profile rbd' on its pool (ceph auth caps)"
		                         : "%s: cannot open the image: %s",
		                 config->name, strerror(-r));
	}
	r = refuse_cache(disk, err);
	if (r < 0)
		return r;
	rbd_image_info_t info;
	r = rbd_stat(disk->image, &info, sizeof info);
	if (r == 0)
		r = rbd_get_id(disk->image, disk->id, sizeof disk->id);
	if (r < 0)
		return error_set(err, r, "%s: cannot stat the image: %s", config->name,
		                 strerror(-r));
	disk->object_bytes = (uint32_t)info.obj_size;
	atomic_store(&disk->size_bytes, info.size);
	return 0;
}

/* A read-only image has no watch at all: it is not told of changes. */
static int watch_image(struct rbd_disk *disk, struct error *err)
{
	if (disk->read_only)
		return 0;
	int r = rbd_update_watch(disk->image, &disk->watch, image_changed, disk);
	if (r < 0)
		return error_set(err, r, "%s: cannot watch the image: %s", disk->name,
		                 strerror(-r));
	disk->watching = true;
	return 0;
}

static int disk_roll_back(struct backend *backend, const char *snapshot, struct error *err)
{
	struct rbd_disk *disk = disk_of(backend);
	if (!atomic_load(&disk->writable))
		return error_set(err, -EROFS, "%s is not ours to be rolled back", disk->name);
	int r = rbd_snap_rollback(disk->image, snapshot);
	rbd_objects_forget(disk); /* objects that the snapshot does not have are gone */
	if (r < 0)
		return error_set(err, rbd_disk_failed(disk, r),
		                 "cannot roll back to the snapshot %s@%s: %s", disk->name, snapshot,
		                 strerror(-r));
	return rbd_disk_refresh(backend, err);
}

static int disk_open(const struct backend_config *config, struct backend **ret_backend,
                     struct error *err)
{
	struct rbd_disk *disk = calloc(1, sizeof *disk);
	if (!disk)
		return error_set(err, -ENOMEM, "%s: out of memory", config->name);
	disk->backend.ops = &rbd_ops;
	disk->cluster = config->cluster;
	disk->listener = config->listener;
	disk->read_only = config->read_only;
	disk->name = strdup(config->name);
	(void)pthread_mutex_init(&disk->objects.lock,
	                         NULL); /* cannot fail with default attributes */
	int r = disk->name ? open_image(disk, config, err)
	                   : error_set(err, -ENOMEM, "%s: out of memory", config->name);
	if (r == 0)
		r = rbd_objects_open(disk, config->namespace, err);
	if (r == 0)
		r = watch_image(disk, err);
	if (r < 0) {
		disk_close(&disk->backend);
		return r;
	}
	bool solid_state = false;
	if (cluster_pool_solid_state(config->cluster, config->pool, &solid_state, NULL) < 0)
		log_info("%s: the device class of pool '%s' is unknown", config->name,
		         config->pool);
	disk->rotational = !solid_state;
	*ret_backend = &disk->backend;
	return 0;
}

static void disk_get_info(const struct backend *backend, struct backend_info *ret_info)
{
	const struct rbd_disk *disk = disk_of(backend);
	*ret_info = (struct backend_info){
		.size_bytes = atomic_load(&disk->size_bytes),
		.discard_granularity = DISCARD_GRANULARITY,
		.optimal_io = disk->object_bytes,
		.read_only = disk->read_only,
		.rotational = disk->rotational,
	};
	memcpy(ret_info->image_id, disk->id, sizeof ret_info->image_id);
}

const struct backend_ops rbd_ops = {
	.name = "rbd",
	.open = disk_open,
	.close = disk_close,
	.submit = {
		[IO_READ] = disk_submit,
		[IO_WRITE] = disk_submit,
		[IO_FLUSH] = disk_submit,
		[IO_DISCARD] = disk_submit,
		[IO_WRITE_ZEROES] = disk_submit,
	},
	.prepare = rbd_disk_prepare,
	.acquire = rbd_disk_acquire,
	.reach = disk_reach,
	.release = rbd_disk_release,
	.refresh = rbd_disk_refresh,
	.roll_back = disk_roll_back,
	.get_info = disk_get_info,
};
