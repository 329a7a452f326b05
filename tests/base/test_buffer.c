#include "base/buffer.h"

#include "test.h"

#include <string.h>

TEST(a_buffer_is_at_least_as_large_as_asked_for_and_aligned)
{
	AUTO(buffer_pool) struct buffer_pool *pool = NULL;
	ASSERT_EQ(buffer_pool_new(1 << 20, &pool), 0);
	static const size_t sizes[] = { 0,    1,    511,   512,     513,
		                        4096, 4097, 65536, 1 << 20, BUFFER_MAX_BYTES };
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		TEST_ROW("%zu bytes", sizes[i]);
		struct buffer *buffer = buffer_get(pool, sizes[i]);
		ASSERT_NOT_NULL(buffer);
		ASSERT_TRUE(buffer->size >= sizes[i]);
		if (sizes[i] >= 4096)
			ASSERT_EQ((uintptr_t)buffer->data % 4096, 0);
		memset(buffer->data, 0xff, sizes[i]);
		buffer_put(buffer);
	}
	ASSERT_EQ(buffer_pool_used(pool), 0);
}

TEST(more_than_the_bound_is_refused)
{
	AUTO(buffer_pool) struct buffer_pool *pool = NULL;
	ASSERT_EQ(buffer_pool_new(1 << 20, &pool), 0);
	ASSERT_NULL(buffer_get(pool, (size_t)BUFFER_MAX_BYTES + 1));
}

TEST(the_buffer_put_last_is_the_next_one_given)
{
	AUTO(buffer_pool) struct buffer_pool *pool = NULL;
	ASSERT_EQ(buffer_pool_new(1 << 20, &pool), 0);
	struct buffer *a = buffer_get(pool, 4096), *b = buffer_get(pool, 4096);
	ASSERT_EQ(buffer_pool_used(pool), 8192);
	buffer_put(a);
	buffer_put(b);
	ASSERT_TRUE(buffer_get(pool, 4096) == b);
	buffer_put(b);
}
