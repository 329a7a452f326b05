#include "backend/filter.h"
#include "fixture.h"

#include <errno.h>

TEST(each_kind_of_request_is_counted_for_itself)
{
	struct backend_config config = { .kind = "memory", .name = "m", .size_bytes = 1 << 20 };
	AUTO(backend) struct backend *backend = NULL;
	struct backend *fault, *stats;
	struct stats_filter_counters counters;
	ASSERT_EQ(backend_open(&config, &backend, NULL), 0);
	ASSERT_EQ(fault_filter_new(&fault), 0);
	ASSERT_EQ(stats_filter_new(&stats), 0);
	backend_push(&backend, fault);
	backend_push(&backend, stats);

	test_fill(backend, 0, 4096, 1);
	test_fill(backend, 4096, 512, 1);
	fault_filter_fail(fault, IO_WRITE, 1, -ENOSPC);
	char byte = 1;
	ASSERT_EQ(test_io(backend, IO_WRITE, 0, 0, 1, &byte), -ENOSPC);
	ASSERT_TRUE(test_reads_as(backend, 0, 512, 1));

	stats_filter_read(stats, IO_WRITE, &counters);
	ASSERT_EQ(counters.requests, 3);
	ASSERT_EQ(counters.errors, 1);
	ASSERT_EQ(counters.bytes, 4608);
	ASSERT_TRUE(counters.latency_max_us <= counters.latency_sum_us);
	stats_filter_read(stats, IO_READ, &counters);
	ASSERT_EQ(counters.requests, 1);
	ASSERT_EQ(counters.bytes, 512);

	struct test_io held;
	fault_filter_hold(fault, IO_FLUSH);
	test_io_start(&held, backend, IO_FLUSH, 0, 0, 0, NULL);
	stats_filter_read(stats, IO_FLUSH, &counters);
	ASSERT_EQ(counters.in_flight, 1);
	fault_filter_release(fault);
	ASSERT_EQ(test_io_wait(&held), 0);
	stats_filter_read(stats, IO_FLUSH, &counters);
	ASSERT_EQ(counters.in_flight, 0);
	ASSERT_EQ(counters.requests, 1);
}
