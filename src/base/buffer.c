/* Buffers by size class: powers of two from 512 bytes to 64 MiB, each class with a free list. */
#include "base/buffer.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#define SMALLEST_SHIFT 9
#define LARGEST_SHIFT  26
#define CLASS_COUNT    (LARGEST_SHIFT - SMALLEST_SHIFT + 1)
#define PAGE_BYTES     4096u

_Static_assert(1u << LARGEST_SHIFT == BUFFER_MAX_BYTES, "the largest class is the bound");

struct buffer_pool {
	struct list free[CLASS_COUNT];
	size_t cached_bytes, cached_max_bytes;
	size_t used_bytes;
	unsigned used_count;
};

int buffer_pool_new(size_t cached_max_bytes, struct buffer_pool **ret_pool)
{
	struct buffer_pool *pool = calloc(1, sizeof *pool);
	if (!pool)
		return -ENOMEM;
	pool->cached_max_bytes = cached_max_bytes;
	for (unsigned i = 0; i < CLASS_COUNT; i++)
		list_init(&pool->free[i]);
	*ret_pool = pool;
	return 0;
}

static void destroy(struct buffer *buffer)
{
	free(buffer->data);
	free(buffer);
}

void buffer_pool_free(struct buffer_pool *pool)
{
	if (!pool)
		return;
	assert(pool->used_count == 0);
	for (unsigned i = 0; i < CLASS_COUNT; i++) {
		for (struct list *link; (link = list_take_first(&pool->free[i]));)
			destroy(list_entry(link, struct buffer, link));
	}
	free(pool);
}

static unsigned class_of(size_t len)
{
	if (len <= 1u << SMALLEST_SHIFT)
		return 0;
	return (unsigned)(8 * sizeof(unsigned long)) - (unsigned)__builtin_clzl(len - 1) -
	       SMALLEST_SHIFT;
}

static struct buffer *create(struct buffer_pool *pool, unsigned size_class)
{
	struct buffer *buffer = malloc(sizeof *buffer);
	if (!buffer)
		return NULL;
	uint32_t size = 1u << (size_class + SMALLEST_SHIFT);
	buffer->data = aligned_alloc(size < PAGE_BYTES ? 64 : PAGE_BYTES, size);
	if (!buffer->data) {
		free(buffer);
		return NULL;
	}
	buffer->size = size;
	buffer->size_class = (uint8_t)size_class;
	buffer->pool = pool;
	list_init(&buffer->link);
	return buffer;
}

struct buffer *buffer_get(struct buffer_pool *pool, size_t len)
{
	if (len > BUFFER_MAX_BYTES)
		return NULL;
	unsigned size_class = class_of(len);
	struct list *link = list_take_first(&pool->free[size_class]);
	struct buffer *buffer;
	if (link) {
		buffer = list_entry(link, struct buffer, link);
		pool->cached_bytes -= buffer->size;
	} else {
		buffer = create(pool, size_class);
		if (!buffer)
			return NULL;
	}
	pool->used_bytes += buffer->size;
	pool->used_count++;
	return buffer;
}

void buffer_put(struct buffer *buffer)
{
	if (!buffer)
		return;
	struct buffer_pool *pool = buffer->pool;
	assert(pool->used_count > 0);
	pool->used_count--;
	pool->used_bytes -= buffer->size;
	if (pool->cached_bytes + buffer->size > pool->cached_max_bytes) {
		destroy(buffer);
		return;
	}
	pool->cached_bytes += buffer->size;
	/* The one used last is the one that is still in the processor's cache. */
	list_prepend(&pool->free[buffer->size_class], &buffer->link);
}

size_t buffer_pool_used(const struct buffer_pool *pool)
{
	return pool->used_bytes;
}
