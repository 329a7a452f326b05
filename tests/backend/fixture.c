/* See fixture.h. */
#include "fixture.h"

#include <string.h>

static struct reactor *reactor;

static void free_reactor(void)
{
	reactor_free(reactor);
}

struct reactor *test_reactor(void)
{
	if (!reactor) {
		ASSERT_EQ(reactor_new("test", NULL, &reactor), 0);
		(void)atexit(free_reactor);
	}
	return reactor;
}

static void finished(struct io *io)
{
	container_of(io, struct test_io, io)->finished = true;
}

static void start(struct test_io *test, struct backend *backend)
{
	test->io.reactor = test_reactor();
	test->io.done = finished;
	test->finished = false;
	backend_submit(backend, &test->io);
	ASSERT_FALSE(test->finished);
}

void test_io_start(struct test_io *test, struct backend *backend, enum io_op op, unsigned flags,
                   uint64_t offset, uint64_t length, void *buffer)
{
	test->io = (struct io){ .op = op, .flags = flags, .offset = offset, .length = length };
	if (buffer) {
		test->iov = (struct iovec){ .iov_base = buffer, .iov_len = length };
		test->io.iov = &test->iov;
		test->io.iov_count = 1;
	}
	start(test, backend);
}

void test_iov_start(struct test_io *test, struct backend *backend, enum io_op op, uint64_t offset,
                    struct iovec *iov, unsigned count)
{
	test->io = (struct io){ .op = op, .offset = offset, .iov = iov, .iov_count = count };
	for (unsigned i = 0; i < count; i++)
		test->io.length += iov[i].iov_len;
	start(test, backend);
}

void test_reach_start(struct test_io *test, struct backend *backend)
{
	test->finished = false;
	test->io = (struct io){ .reactor = test_reactor(), .done = finished };
	backend_reach(backend, &test->io);
	ASSERT_FALSE(test->finished);
}

int test_io_wait(struct test_io *test)
{
	uint64_t deadline_ms = clock_monotonic_ms() + 60000;
	while (!test->finished) {
		reactor_turn(test_reactor(), 1000);
		ASSERT_TRUE(clock_monotonic_ms() < deadline_ms);
	}
	return test->io.result;
}

int test_io(struct backend *backend, enum io_op op, unsigned flags, uint64_t offset,
            uint64_t length, void *buffer)
{
	struct test_io test;
	test_io_start(&test, backend, op, flags, offset, length, buffer);
	return test_io_wait(&test);
}

bool test_reads_as(struct backend *backend, uint64_t offset, uint64_t length, uint8_t value)
{
	AUTO_FREE uint8_t *bytes = malloc(length);
	ASSERT_NOT_NULL(bytes);
	memset(bytes, (uint8_t)~value, length);
	ASSERT_EQ(test_io(backend, IO_READ, 0, offset, length, bytes), 0);
	for (uint64_t i = 0; i < length; i++) {
		if (bytes[i] != value)
			return false;
	}
	return true;
}

void test_fill(struct backend *backend, uint64_t offset, uint64_t length, uint8_t value)
{
	AUTO_FREE uint8_t *bytes = malloc(length);
	ASSERT_NOT_NULL(bytes);
	memset(bytes, value, length);
	ASSERT_EQ(test_io(backend, IO_WRITE, 0, offset, length, bytes), 0);
}
