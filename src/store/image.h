/* The images behind the disks, beside the store that lists them: RBD images, or files below the
 * folder of a dir store (PATH/images/POOL/IMAGE). Create, resize, remove, look at. */
#pragma once

#include "store/store.h"

/* All calls block; any thread but a reactor's. Errors carry librbd's errno and a sentence. */

int image_create(struct store *store, const char *pool, const char *image, uint64_t size_bytes,
                 struct error *err) MUST_CHECK;
/* Grows only: -EINVAL for less than the size now. */
int image_resize(struct store *store, const char *pool, const char *image, uint64_t size_bytes,
                 struct error *err) MUST_CHECK;
/* -EBUSY: somebody has it open (watchers); -ENOTEMPTY: it has snapshots. */
int image_remove(struct store *store, const char *pool, const char *image,
                 struct error *err) MUST_CHECK;

struct image_info {
	uint64_t size_bytes;
	uint64_t features;    /* RBD */
	uint32_t object_size; /* bytes; file: 4 MiB */
	int64_t pool_id;
	char data_pool[64];
};
/* -ENOENT: no such image or pool. */
int image_stat(struct store *store, const char *pool, const char *image,
               struct image_info *ret_info, struct error *err) MUST_CHECK;

/* dir store: where the file is; free() it. NULL for a rados store. */
char *image_path(const struct store *store, const char *pool, const char *image) MUST_CHECK;

/* Snapshots: rados only (-ENOTSUP on dir). */
int image_snapshot_create(struct store *store, const char *pool, const char *image,
                          const char *snapshot, struct error *err) MUST_CHECK;
int image_snapshot_remove(struct store *store, const char *pool, const char *image,
                          const char *snapshot, struct error *err) MUST_CHECK;
/* -ENOENT: there is no such snapshot, or image. */
int image_snapshot_check(struct store *store, const char *pool, const char *image,
                         const char *snapshot, struct error *err) MUST_CHECK;
struct image_consent {
	/* With the lock: 0, or why it is not to be; then nothing was changed. */
	int (*ask)(void *argument, struct error *err);
	void *argument;
};
/* Takes the lock for it, which nobody gets before it is over, unless its client is fenced first:
 * what is known then stays true. -EROFS without having asked: somebody has the lock. -ESHUTDOWN, or
 * -EROFS after it: it was taken away. -ENOTSUP: the image has none. Else as librbd, or consent,
 * says. */
int image_snapshot_rollback(struct store *store, const char *pool, const char *image,
                            const char *snapshot, const struct image_consent *consent,
                            struct error *err) MUST_CHECK;
