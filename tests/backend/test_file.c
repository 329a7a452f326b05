#include "fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define SIZE (1u << 20)

/* A sparse file of SIZE bytes. Borrowed until the next call. */
static const char *sparse_file(const char *name)
{
	static char path[256];
	(void)snprintf(path, sizeof path, "%s/%s", test_folder(), name);
	AUTO_CLOSE int fd = open(path, O_CREAT | O_RDWR | O_TRUNC, 0600);
	ASSERT_TRUE(fd >= 0);
	ASSERT_EQ(ftruncate(fd, SIZE), 0);
	return path;
}

static struct backend *open_file(const char *path)
{
	struct backend_config config = { .kind = "file", .name = "disk", .path = path };
	struct backend *backend = NULL;
	struct error err = { 0 };
	if (backend_open(&config, &backend, &err) < 0)
		fail_msg("%s", err.text);
	return backend;
}

static struct backend *acquired_file(const char *path)
{
	struct backend *backend = open_file(path);
	ASSERT_EQ(backend_acquire(backend, NULL, NULL), 0);
	return backend;
}

TEST(what_was_written_is_in_the_file)
{
	const char *path = sparse_file("round");
	AUTO(backend) struct backend *backend = acquired_file(path);
	test_fill(backend, 511, 4097, 0x5a);
	ASSERT_TRUE(test_reads_as(backend, 511, 4097, 0x5a));
	ASSERT_TRUE(test_reads_as(backend, 0, 511, 0));
	AUTO_CLOSE int fd = open(path, O_RDONLY);
	uint8_t bytes[4097];
	ASSERT_EQ(pread(fd, bytes, sizeof bytes, 511), sizeof bytes);
	ASSERT_EQ(bytes[0], 0x5a);
	ASSERT_EQ(bytes[4096], 0x5a);
}

TEST(more_iovecs_than_one_system_call_takes_are_written_and_read)
{
	enum { COUNT = 3000, LEN = 7 };
	AUTO(backend) struct backend *backend = acquired_file(sparse_file("iovecs"));
	static uint8_t out[COUNT * LEN], in[COUNT * LEN];
	for (size_t i = 0; i < sizeof out; i++)
		out[i] = (uint8_t)(i * 31 >> 3);
	static struct iovec iov[COUNT];
	struct test_io test;
	for (int i = 0; i < COUNT; i++)
		iov[i] = (struct iovec){ out + (size_t)i * LEN, LEN };
	test_iov_start(&test, backend, IO_WRITE, 3, iov, COUNT);
	ASSERT_EQ(test_io_wait(&test), 0);
	for (int i = 0; i < COUNT; i++)
		iov[i] = (struct iovec){ in + (size_t)i * LEN, LEN };
	test_iov_start(&test, backend, IO_READ, 3, iov, COUNT);
	ASSERT_EQ(test_io_wait(&test), 0);
	ASSERT_MEM_EQ(in, out, sizeof out);
}

TEST(hundreds_of_requests_at_once_all_end_with_their_own_data)
{
	enum { COUNT = 300 };
	AUTO(backend) struct backend *backend = acquired_file(sparse_file("many"));
	static struct test_io tests[COUNT];
	static uint8_t bytes[COUNT][512];
	for (int i = 0; i < COUNT; i++) {
		memset(bytes[i], i, sizeof bytes[i]);
		test_io_start(&tests[i], backend, IO_WRITE, i % 7 == 0 ? IO_FUA : 0,
		              (uint64_t)i * 512, 512, bytes[i]);
	}
	for (int i = 0; i < COUNT; i++)
		ASSERT_EQ(test_io_wait(&tests[i]), 0);
	for (int i = 0; i < COUNT; i++)
		ASSERT_TRUE(test_reads_as(backend, (uint64_t)i * 512, 512, (uint8_t)i));
	ASSERT_EQ(test_io(backend, IO_FLUSH, 0, 0, 0, NULL), 0);
}

TEST(what_is_no_longer_in_memory_is_read_from_the_disk)
{
	const char *path = sparse_file("cold");
	AUTO(backend) struct backend *backend = acquired_file(path);
	test_fill(backend, 4096, 300000, 0x77);
	ASSERT_EQ(test_io(backend, IO_FLUSH, 0, 0, 0, NULL), 0);
	AUTO_CLOSE int fd = open(path, O_RDONLY);
	ASSERT_EQ(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
	ASSERT_TRUE(test_reads_as(backend, 4096 + 65536, 512, 0x77));
	ASSERT_TRUE(test_reads_as(backend, 4096, 300000, 0x77));
	ASSERT_TRUE(test_reads_as(backend, 0, 4096, 0));
}

static blkcnt_t blocks_of(const char *path)
{
	struct stat st;
	ASSERT_EQ(stat(path, &st), 0);
	ASSERT_EQ(st.st_size, SIZE);
	return st.st_blocks;
}

TEST(zeroes_are_exact_and_a_discard_gives_space_back)
{
	const char *path = sparse_file("zeroes");
	AUTO(backend) struct backend *backend = acquired_file(path);
	test_fill(backend, 0, SIZE, 0xff);
	ASSERT_EQ(test_io(backend, IO_FLUSH, 0, 0, 0, NULL), 0);
	blkcnt_t full = blocks_of(path);

	ASSERT_EQ(test_io(backend, IO_WRITE_ZEROES, IO_NO_UNMAP | IO_FUA, 1, 70000, NULL), 0);
	ASSERT_TRUE(test_reads_as(backend, 0, 1, 0xff));
	ASSERT_TRUE(test_reads_as(backend, 1, 70000, 0));
	ASSERT_TRUE(test_reads_as(backend, 70001, 99, 0xff));
	ASSERT_EQ(blocks_of(path), full);

	ASSERT_EQ(test_io(backend, IO_WRITE_ZEROES, IO_FUA, 100000, 70000, NULL), 0);
	ASSERT_TRUE(test_reads_as(backend, 99999, 1, 0xff));
	ASSERT_TRUE(test_reads_as(backend, 100000, 70000, 0));
	ASSERT_TRUE(test_reads_as(backend, 170000, 1, 0xff));

	ASSERT_EQ(test_io(backend, IO_DISCARD, 0, 1 << 19, 1 << 19, NULL), 0);
	ASSERT_TRUE(test_reads_as(backend, 1 << 19, 1 << 19, 0));
	ASSERT_TRUE(blocks_of(path) < full);
}

TEST(a_new_size_is_seen_after_a_refresh)
{
	const char *path = sparse_file("resize");
	AUTO(backend) struct backend *backend = acquired_file(path);
	char byte = 1;
	struct backend_info info;
	ASSERT_EQ(truncate(path, 2 * SIZE), 0);
	ASSERT_EQ(test_io(backend, IO_WRITE, 0, SIZE, 1, &byte), -ERANGE);
	ASSERT_EQ(backend_refresh(backend, NULL), 0);
	backend_get_info(backend, &info);
	ASSERT_EQ(info.size_bytes, 2 * SIZE);
	ASSERT_TRUE(info.write_cache);
	ASSERT_EQ(test_io(backend, IO_WRITE, 0, SIZE, 1, &byte), 0);

	ASSERT_EQ(truncate(path, SIZE), 0);
	ASSERT_EQ(test_io(backend, IO_READ, 0, SIZE, 1, &byte), -EIO);
	ASSERT_EQ(backend_refresh(backend, NULL), 0);
	ASSERT_EQ(test_io(backend, IO_READ, 0, SIZE, 1, &byte), -ERANGE);
}

TEST(without_the_lock_nothing_is_changed)
{
	AUTO(backend) struct backend *backend = open_file(sparse_file("lock"));
	char byte = 1;
	ASSERT_EQ(test_io(backend, IO_WRITE, 0, 0, 1, &byte), -EROFS);
	ASSERT_EQ(backend_acquire(backend, NULL, NULL), 0);
	ASSERT_EQ(test_io(backend, IO_WRITE, 0, 0, 1, &byte), 0);
	ASSERT_EQ(backend_release(backend, NULL), 0);
	ASSERT_EQ(test_io(backend, IO_DISCARD, 0, 0, 1, NULL), -EROFS);
	ASSERT_EQ(test_io(backend, IO_READ, 0, 0, 1, &byte), 0);
}

TEST(a_second_opener_waits_for_the_release_of_the_first)
{
	const char *path = sparse_file("two");
	AUTO(backend) struct backend *one = acquired_file(path);
	AUTO(backend) struct backend *two = open_file(path);
	struct error err = { 0 };
	ASSERT_EQ(backend_acquire(two, NULL, &err), -EBUSY);
	ASSERT_NOT_NULL(strstr(err.text, "is in use by another process"));
	ASSERT_EQ(backend_acquire(one, NULL, NULL), 0); /* again is fine */
	ASSERT_EQ(backend_release(one, NULL), 0);
	ASSERT_EQ(backend_acquire(two, NULL, NULL), 0);
}

TEST(the_lock_of_a_killed_process_is_free_at_once)
{
	const char *path = sparse_file("killed");
	int ready[2];
	ASSERT_EQ(pipe(ready), 0);
	pid_t child = fork();
	ASSERT_TRUE(child >= 0);
	if (child == 0) {
		(void)acquired_file(path);
		if (write(ready[1], "", 1) == 1)
			pause();
		_exit(1);
	}
	char byte;
	ASSERT_EQ(read(ready[0], &byte, 1), 1);
	AUTO(backend) struct backend *backend = open_file(path);
	ASSERT_EQ(backend_acquire(backend, NULL, NULL), -EBUSY);
	ASSERT_EQ(kill(child, SIGKILL), 0);
	ASSERT_EQ(waitpid(child, NULL, 0), child);
	ASSERT_EQ(backend_acquire(backend, NULL, NULL), 0);
	close(ready[0]);
	close(ready[1]);
}

TEST(an_error_of_the_file_system_reaches_the_submitter)
{
	AUTO(backend) struct backend *backend = acquired_file(sparse_file("limit"));
	struct rlimit before, small;
	ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
	small = before;
	small.rlim_cur = 4096;
	(void)signal(SIGXFSZ, SIG_IGN);
	ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
	static char bytes[8192];
	int r = test_io(backend, IO_WRITE, 0, 0, sizeof bytes, bytes);
	ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
	ASSERT_EQ(r, -EFBIG);
	ASSERT_EQ(test_io(backend, IO_WRITE, 0, 0, sizeof bytes, bytes), 0);
}

TEST(a_read_only_disk_needs_no_lock_and_refuses_writes)
{
	const char *path = sparse_file("ro");
	AUTO(backend) struct backend *writer = acquired_file(path);
	struct backend_config config = {
		.kind = "file", .name = "d", .path = path, .read_only = true
	};
	AUTO(backend) struct backend *backend = NULL;
	ASSERT_EQ(backend_open(&config, &backend, NULL), 0);
	ASSERT_EQ(backend_acquire(backend, NULL, NULL), 0);
	char byte = 1;
	ASSERT_EQ(test_io(backend, IO_WRITE, 0, 0, 1, &byte), -EROFS);
	ASSERT_EQ(test_io(backend, IO_READ, 0, 0, 1, &byte), 0);
}

TEST(what_cannot_be_opened_says_why)
{
	struct error err = { 0 };
	struct backend *backend = NULL;
	struct backend_config config = { .kind = "file", .name = "d", .path = "/nonexistent/x" };
	ASSERT_EQ(backend_open(&config, &backend, &err), -ENOENT);
	ASSERT_STR_EQ(err.text, "d: cannot open /nonexistent/x: No such file or directory");
	config.path = "/dev/null";
	ASSERT_EQ(backend_open(&config, &backend, &err), -EINVAL);
	ASSERT_STR_EQ(err.text, "d: /dev/null is neither a file nor a block device");
}
