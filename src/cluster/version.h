/* Functions of librados that were renamed: bound weakly, so that one binary runs with the library
 * before and after the change. */
#pragma once

#include <rados/librados.h>

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations" /* the old names, on purpose */

/* 16 renamed osdmap_full_try to pool_full_try. */
extern void rados_set_pool_full_try(rados_ioctx_t) __attribute__((weak));
extern void rados_set_osdmap_full_try(rados_ioctx_t) __attribute__((weak));

static inline void version_set_full_try(rados_ioctx_t pool)
{
	if (rados_set_pool_full_try)
		rados_set_pool_full_try(pool);
	else if (rados_set_osdmap_full_try)
		rados_set_osdmap_full_try(pool);
}

#pragma GCC diagnostic pop
