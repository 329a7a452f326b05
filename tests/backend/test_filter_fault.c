#include "backend/filter.h"
#include "fixture.h"

#include <errno.h>

static struct backend *faulty_memory(struct backend **ret_fault)
{
	struct backend_config config = { .kind = "memory", .name = "m", .size_bytes = 1 << 20 };
	struct backend *stack = NULL;
	ASSERT_EQ(backend_open(&config, &stack, NULL), 0);
	ASSERT_EQ(fault_filter_new(ret_fault), 0);
	backend_push(&stack, *ret_fault);
	return stack;
}

TEST(only_the_nth_write_fails_and_is_not_carried_out)
{
	struct backend *fault;
	AUTO(backend) struct backend *backend = faulty_memory(&fault);
	char byte = 7;
	fault_filter_fail(fault, IO_WRITE, 2, -EIO);
	ASSERT_EQ(test_io(backend, IO_WRITE, 0, 0, 1, &byte), 0);
	ASSERT_TRUE(test_reads_as(backend, 0, 1, 7));
	ASSERT_EQ(test_io(backend, IO_WRITE, 0, 1, 1, &byte), -EIO);
	ASSERT_EQ(test_io(backend, IO_WRITE, 0, 2, 1, &byte), 0);
	ASSERT_TRUE(test_reads_as(backend, 1, 1, 0));
	ASSERT_TRUE(test_reads_as(backend, 2, 1, 7));
}

TEST(held_requests_wait_for_the_release_and_others_pass)
{
	struct backend *fault;
	AUTO(backend) struct backend *backend = faulty_memory(&fault);
	struct test_io first, second;
	char one = 1, two = 2;
	fault_filter_hold(fault, IO_WRITE);
	test_io_start(&first, backend, IO_WRITE, 0, 0, 1, &one);
	test_io_start(&second, backend, IO_WRITE, 0, 0, 1, &two);
	ASSERT_EQ(fault_filter_held(fault), 2);
	ASSERT_TRUE(test_reads_as(backend, 0, 1, 0));
	ASSERT_FALSE(first.finished || second.finished);
	fault_filter_release(fault);
	ASSERT_EQ(test_io_wait(&first), 0);
	ASSERT_EQ(test_io_wait(&second), 0);
	ASSERT_TRUE(test_reads_as(backend, 0, 1, 2));
	ASSERT_EQ(fault_filter_held(fault), 0);
	ASSERT_EQ(test_io(backend, IO_WRITE, 0, 0, 1, &one), 0);
}
