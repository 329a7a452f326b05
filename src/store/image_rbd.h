/* What the files of RBD images share. */
#pragma once

#include "store/rados.h"

#include <rbd/librbd.h>

static inline void image_auto_close(rbd_image_t *image)
{
	if (*image)
		(void)rbd_close(*image);
}
#define AUTO_IMAGE __attribute__((cleanup(image_auto_close)))

int image_rbd_open(rados_ioctx_t io, const char *pool, const char *image, bool read_only,
                   rbd_image_t *ret_image, struct error *err) MUST_CHECK;

/* image_rbd_rollback.c, for the table. */
int image_rbd_rollback(struct store *store, const char *pool, const char *image,
                       const char *snapshot, const struct image_consent *consent,
                       struct error *err) MUST_CHECK;
