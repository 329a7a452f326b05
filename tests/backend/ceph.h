/* What the tests beside a real cluster share. */
#pragma once

#include "backend/backend.h"
#include "cluster/client.h"
#include "test.h"

#include <stdatomic.h>

/* A data client of its own, as client.gw. */
struct cluster_client *test_client(void);
/* Makes an image with the features of ceph-iscsi's (exclusive-lock, object-map and so on). */
void test_image(const char *name, uint64_t size_bytes, uint64_t features);
#define TEST_FEATURES 61 /* rbd_default_features */

/* Counts what a backend tells. */
struct test_listener {
	struct backend_listener listener;
	atomic_uint resized, lost, released;
};
/* Fails the test if it could not be opened; listener may be NULL. */
struct backend *test_open(struct cluster_client *client, const char *image,
                          struct test_listener *listener);
/* Waits, polling, until *counter >= value (deadline 60 s). */
void test_wait_for(atomic_uint *counter, unsigned value);
/* Runs `ceph-rig VERB DIR ARGUMENTS`. */
void test_rig(const char *verb, const char *arguments);
