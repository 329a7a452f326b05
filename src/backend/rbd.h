/* Between rbd.c (requests) and rbd_lock.c (who may write): an RBD image as a backend. */
#pragma once

#include "backend/backend.h"

#include <pthread.h>
#include <rbd/librbd.h>
#include <stdatomic.h>

#define RBD_OBJECTS_PAGES 256 /* of a TiB each, in objects of 4 MiB */
struct rbd_objects_page {
	_Atomic uint64_t bits[4096];
};

struct rbd_disk {
	struct backend backend;
	struct cluster_client *cluster;
	rados_ioctx_t pool;
	rbd_image_t image;
	uint64_t watch; /* rbd_update_watch */
	bool watching;
	char *name;
	struct backend_listener *listener;
	bool read_only, rotational;
	uint32_t object_bytes;
	char id[BACKEND_IMAGE_ID_MAX];
	/* Who has the lock, asked ahead of taking it: workers' only. */
	struct {
		rados_completion_t answer; /* NULL: not asked */
		uint64_t since_ms;
		char *text; /* rados_buffer_free() */
		size_t len;
		int result;
	} look;

	/* What rbd_objects.c knows of the objects of its data. */
	struct {
		/* Constant while open. */
		rados_ioctx_t pool;
		char prefix[64];
		bool plain; /* not striped: an object after the other */
		/* Any thread: exist for certain. Pages are made with their first object. */
		struct rbd_objects_page *_Atomic there[RBD_OBJECTS_PAGES];
		pthread_mutex_t lock;      /* for making pages, setting bits, and: */
		unsigned removing;         /* requests under way that may remove some */
		_Atomic uint64_t removals; /* beginnings and ends; read without the lock */
	} objects;

	/* Any thread: */
	_Atomic uint64_t size_bytes;
	atomic_bool writable; /* holds the exclusive lock, as far as known */
	atomic_bool locked;   /* may hold it: until it was given back well */
	atomic_bool changed;  /* the header, since the last look at it */
	atomic_bool lost;     /* fenced: nothing reaches librbd any more, which would log each */
};

static inline struct rbd_disk *disk_of(const struct backend *backend)
{
	return container_of(backend, struct rbd_disk, backend);
}

#define RBD_OBJECT_MAX 160
/* The name of an object of the image: its "rbd_header", its "rbd_object_map". */
void rbd_disk_object(const struct rbd_disk *disk, const char *kind, char ret_name[RBD_OBJECT_MAX]);

/* Every error of librbd passes here: notices that the disk is fenced, and tells it once. Gives r
 * back. */
int rbd_disk_failed(struct rbd_disk *disk, int r);

/* ---- rbd_objects.c ---- */

int rbd_objects_open(struct rbd_disk *disk, const char *namespace, struct error *err);
void rbd_objects_close(struct rbd_disk *disk);
#define RBD_HEADER UINT64_MAX /* instead of the number of an object of its data */
/* Asks the OSD whether an object is there: the completion, which done() releases, has 0 or -errno.
 */
int rbd_objects_stat(struct rbd_disk *disk, uint64_t object, rados_callback_t done,
                     void *argument) MUST_CHECK;
/* Others may have removed some. Any thread. */
void rbd_objects_forget(struct rbd_disk *disk);
/* It exists for certain. Any thread. */
bool rbd_objects_is_there(const struct rbd_disk *disk, uint64_t object);
/* Before librbd gets the request: asks the cluster for what librbd may answer by itself. From then
 * on only rbd_objects_complete() ends it. -ENOMEM: nothing was asked. */
int rbd_objects_ask(struct rbd_disk *disk, struct io *io) MUST_CHECK;
/* librbd's result: the request completes when all that was asked has been answered. */
void rbd_objects_complete(struct io *io, int r);

/* ---- rbd_lock.c, rbd.c ---- */

int rbd_disk_refresh(struct backend *backend, struct error *err);
void rbd_disk_prepare(struct backend *backend);
/* Waits for what was asked ahead. */
void rbd_disk_forget_look(struct rbd_disk *disk);
int rbd_disk_acquire(struct backend *backend, const struct backend_lock_policy *policy,
                     struct error *err);
int rbd_disk_release(struct backend *backend, struct error *err);
