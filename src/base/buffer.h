/* Data buffers of a reactor: contiguous, page aligned from 4 KiB on, kept in free lists by size
 * class (powers of two), so that the steady state never calls malloc. */
#pragma once

#include "base/auto.h"
#include "base/list.h"

#include <stddef.h>
#include <stdint.h>

#define BUFFER_MAX_BYTES (64u << 20)

struct buffer_pool;

struct buffer {
	uint8_t *data;
	uint32_t size; /* usable bytes, at least what was asked for */
	uint8_t size_class;
	struct buffer_pool *pool;
	struct list link; /* free for the owner's use while he has the buffer */
};

/* cached_max_bytes: how much memory may wait in the free lists. */
int buffer_pool_new(size_t cached_max_bytes, struct buffer_pool **ret_pool) MUST_CHECK;
/* Every buffer must have come back. */
void buffer_pool_free(struct buffer_pool *pool);
DEFINE_AUTO(buffer_pool);

/* Not thread safe: one reactor's. The content is undefined: clear what you do not fill. NULL when
 * memory is short, or len > BUFFER_MAX_BYTES. len 0 gives the smallest buffer. */
struct buffer *buffer_get(struct buffer_pool *pool, size_t len) MUST_CHECK;
/* On the pool's reactor. NULL is fine. */
void buffer_put(struct buffer *buffer);
/* Bytes lent out now. */
size_t buffer_pool_used(const struct buffer_pool *pool);
