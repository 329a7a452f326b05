#include "backend/filter.h"
#include "base/log.h"
#include "fixture.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

TEST(each_request_leaves_a_line_that_names_the_disk)
{
	struct backend_config config = { .kind = "memory", .name = "m", .size_bytes = 1 << 20 };
	AUTO(backend) struct backend *backend = NULL;
	struct backend *trace;
	ASSERT_EQ(backend_open(&config, &backend, NULL), 0);
	ASSERT_EQ(trace_filter_new("rbd/disk_1", &trace), 0);
	backend_push(&backend, trace);

	char path[256], text[1024] = "", byte = 1;
	(void)snprintf(path, sizeof path, "%s/log", test_folder());
	AUTO_CLOSE int captured = open(path, O_CREAT | O_RDWR | O_TRUNC, 0600);
	int saved = dup(STDERR_FILENO);
	ASSERT_TRUE(captured >= 0 && dup2(captured, STDERR_FILENO) >= 0);
	log_set_level(LOG_LEVEL_DEBUG);
	ASSERT_EQ(test_io(backend, IO_WRITE, IO_FUA, 512, 1, &byte), 0);
	ASSERT_NE(test_io(backend, IO_READ, 0, 1 << 20, 1, &byte), 0);
	log_set_level(LOG_LEVEL_INFO);
	ASSERT_EQ(test_io(backend, IO_FLUSH, 0, 0, 0, NULL), 0);
	(void)dup2(saved, STDERR_FILENO);
	close(saved);

	ASSERT_TRUE(pread(captured, text, sizeof text - 1, 0) > 0);
	ASSERT_NOT_NULL(strstr(text, "rbd/disk_1: write of 1 bytes at 512, durable: ok\n"));
	ASSERT_NOT_NULL(strstr(text, "rbd/disk_1: read of 1 bytes at 1048576: "));
	ASSERT_NULL(strstr(text, "flush"));
}
