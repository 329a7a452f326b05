/* A bounded crew of threads that serves the requests of one backend with blocking calls. Threads
 * are started when requests wait and leave after idle seconds, so a quiet backend costs none. */
#pragma once

#include "backend/backend.h"

struct workers;

/* serve runs on a worker thread and returns the request's result. */
int workers_new(struct backend *backend, int (*serve)(struct backend *backend, struct io *io),
                unsigned max_threads, struct workers **ret_workers) MUST_CHECK;
/* No request may be waiting or running. Waits for the threads to leave. NULL is fine. */
void workers_free(struct workers *workers);
DEFINE_AUTO(workers);

/* Any thread. Served in order of arrival by whoever is free; completed by io_complete(), with
 * -EAGAIN if no thread can be had. */
void workers_submit(struct workers *workers, struct io *io);
