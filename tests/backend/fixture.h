/* What the tests of backends share: a reactor of their own, and requests that wait for the end. */
#pragma once

#include "backend/backend.h"
#include "test.h"

/* The reactor of this test program; made at first use, freed at exit. */
struct reactor *test_reactor(void);

/* A request that is on its way. */
struct test_io {
	struct io io;
	struct iovec iov;
	bool finished;
};
void test_io_start(struct test_io *test, struct backend *backend, enum io_op op, unsigned flags,
                   uint64_t offset, uint64_t length, void *buffer);
/* Scattered; also with count 0. */
void test_iov_start(struct test_io *test, struct backend *backend, enum io_op op, uint64_t offset,
                    struct iovec *iov, unsigned count);
/* backend_reach() */
void test_reach_start(struct test_io *test, struct backend *backend);
/* Turns the reactor until it is done (deadline 60 s) and gives its result. */
int test_io_wait(struct test_io *test);

/* Both in one. */
int test_io(struct backend *backend, enum io_op op, unsigned flags, uint64_t offset,
            uint64_t length, void *buffer);
/* Reads and tells whether all bytes have this value. */
bool test_reads_as(struct backend *backend, uint64_t offset, uint64_t length, uint8_t value);
/* Writes this value and checks that it worked. */
void test_fill(struct backend *backend, uint64_t offset, uint64_t length, uint8_t value);
