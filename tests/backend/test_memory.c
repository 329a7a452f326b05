#include "fixture.h"

#include <errno.h>
#include <string.h>

#define SIZE (1u << 20)

static struct backend *memory(void)
{
	struct backend_config config = { .kind = "memory", .name = "m", .size_bytes = SIZE };
	struct backend *backend = NULL;
	struct error err = { 0 };
	ASSERT_EQ(backend_open(&config, &backend, &err), 0);
	return backend;
}

TEST(a_new_memory_disk_reads_as_zeroes)
{
	AUTO(backend) struct backend *backend = memory();
	ASSERT_TRUE(test_reads_as(backend, 0, SIZE, 0));
}

TEST(what_was_written_is_read_back_byte_for_byte)
{
	AUTO(backend) struct backend *backend = memory();
	test_fill(backend, 1, 4097, 0x5a);
	ASSERT_TRUE(test_reads_as(backend, 0, 1, 0));
	ASSERT_TRUE(test_reads_as(backend, 1, 4097, 0x5a));
	ASSERT_TRUE(test_reads_as(backend, 4098, 512, 0));
}

TEST(a_write_gathers_its_pieces_in_order)
{
	AUTO(backend) struct backend *backend = memory();
	char letters[] = "abcdefgh";
	struct iovec iov[3] = { { letters, 3 }, { letters, 0 }, { letters + 3, 5 } };
	struct test_io test;
	test_iov_start(&test, backend, IO_WRITE, 10, iov, 3);
	ASSERT_EQ(test_io_wait(&test), 0);
	char text[8];
	ASSERT_EQ(test_io(backend, IO_READ, 0, 10, 8, text), 0);
	ASSERT_MEM_EQ(text, "abcdefgh", 8);
}

TEST(zeroes_are_exact_and_a_discard_drops_whole_pages)
{
	static const struct {
		enum io_op op;
		unsigned flags;
		uint64_t offset, length, zero_from, zero_to;
	} rows[] = {
		{ IO_WRITE_ZEROES, 0, 512, 100, 512, 612 },
		{ IO_WRITE_ZEROES, 0, 4095, 8194, 4095, 12289 },
		{ IO_WRITE_ZEROES, IO_NO_UNMAP, 4095, 8194, 4095, 12289 },
		{ IO_WRITE_ZEROES, 0, 8192, 4096, 8192, 12288 },
		{ IO_DISCARD, 0, 4095, 8194, 4096, 12288 },
		{ IO_DISCARD, 0, 100, 200, 100, 100 },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		TEST_ROW("%zu", i);
		AUTO(backend) struct backend *backend = memory();
		test_fill(backend, 0, 65536, 0xff);
		ASSERT_EQ(test_io(backend, rows[i].op, rows[i].flags, rows[i].offset,
		                  rows[i].length, NULL),
		          0);
		if (rows[i].zero_to > rows[i].zero_from)
			ASSERT_TRUE(test_reads_as(backend, rows[i].zero_from,
			                          rows[i].zero_to - rows[i].zero_from, 0));
		ASSERT_TRUE(test_reads_as(backend, 0, rows[i].zero_from, 0xff));
		ASSERT_TRUE(test_reads_as(backend, rows[i].zero_to, 65536 - rows[i].zero_to, 0xff));
	}
}

TEST(a_request_past_the_end_is_refused)
{
	AUTO(backend) struct backend *backend = memory();
	char byte[2];
	ASSERT_EQ(test_io(backend, IO_READ, 0, SIZE - 1, 2, byte), -ERANGE);
	ASSERT_EQ(test_io(backend, IO_WRITE, 0, UINT64_MAX, 2, byte), -ERANGE);
	ASSERT_EQ(test_io(backend, IO_FLUSH, 0, 0, 0, NULL), 0);
}

TEST(a_read_only_memory_disk_refuses_changes)
{
	struct backend_config config = {
		.kind = "memory", .name = "m", .size_bytes = SIZE, .read_only = true
	};
	AUTO(backend) struct backend *backend = NULL;
	ASSERT_EQ(backend_open(&config, &backend, NULL), 0);
	char byte = 0;
	ASSERT_EQ(test_io(backend, IO_WRITE, 0, 0, 1, &byte), -EROFS);
	ASSERT_EQ(test_io(backend, IO_DISCARD, 0, 0, 1, NULL), -EROFS);
	ASSERT_EQ(test_io(backend, IO_READ, 0, 0, 1, &byte), 0);
}

TEST(a_disk_of_no_bytes_cannot_be_opened)
{
	struct backend_config config = { .kind = "memory", .name = "m" };
	struct backend *backend = NULL;
	struct error err = { 0 };
	ASSERT_EQ(backend_open(&config, &backend, &err), -EINVAL);
	ASSERT_STR_EQ(err.text, "m: a memory disk cannot have 0 bytes");
}
