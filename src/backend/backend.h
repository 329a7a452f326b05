/* A backend stores the bytes of one LUN: memory, file, rbd, and filters stacked above them.
 * One table of functions each, at the end of its file; what a filter leaves out passes on. */
#pragma once

#include "base/error.h"
#include "base/reactor.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

struct backend;

enum io_op {
	IO_READ,
	IO_WRITE,
	IO_FLUSH,        /* all writes completed before it are durable after it */
	IO_DISCARD,      /* a hint: parts smaller than discard_granularity may keep their data */
	IO_WRITE_ZEROES, /* exact: all bytes of the range read as zero afterwards */
	IO_OP_COUNT,
};

#define BACKEND_IMAGE_ID_MAX 64

#define IO_FUA      (1u << 0) /* write, write zeroes: durable before completion */
#define IO_NO_UNMAP (1u << 1) /* write zeroes: keep the space allocated */

/* One request. Who submits it owns it, and its buffers stay untouched until the completion, which
 * comes exactly once, on `reactor`, never inside the submitting call.
 * Invariant (asserted): length > 0, but for IO_FLUSH. The submitter has checked the range against
 * the size; one that is outside nevertheless (the image shrank meanwhile) completes with -ERANGE.
 * Byte granular: alignment to blocks is the SCSI layer's. */
struct io {
	enum io_op op;
	unsigned flags;
	uint64_t offset, length; /* bytes */
	struct iovec *iov; /* read, write: sums up to length; the submitter's until completion */
	unsigned iov_count;
	struct reactor *reactor;
	void (*done)(struct io *io); /* io->result is set */
	int result;                  /* 0 or negative errno */

	/* The backend's own, opaque to the submitter. */
	struct message message;
	struct backend *backend;
	void *private_data;
	uint64_t started_ns;
};

/* What the layers above must know. Constant while open, but for size_bytes. */
struct backend_info {
	uint64_t size_bytes;
	uint32_t discard_granularity; /* bytes; 0: discard is not supported */
	uint32_t optimal_io;          /* bytes; 0: nothing special (RBD: object size) */
	bool write_cache;             /* completed writes may be lost until a flush (WCE) */
	bool read_only;
	bool rotational;
	char image_id[BACKEND_IMAGE_ID_MAX]; /* RBD: tells images of one name apart; else "" */
};

/* What a backend tells from any thread; the receiver only posts a message and returns. */
enum backend_event {
	BACKEND_RESIZED,  /* call backend_refresh, then read info */
	BACKEND_LOST,     /* fenced or gone: every request fails from now on; close it, open anew */
	BACKEND_RELEASED, /* the lock is wanted elsewhere or was taken: no longer writable here */
};
struct backend_listener {
	void (*event)(struct backend_listener *listener, enum backend_event event);
};

/* `kind` picks the row of the table; the rest is what that kind needs. Copied by open. */
struct backend_config {
	const char *kind;                     /* "memory", "file", "rbd" */
	const char *name;                     /* for messages: "rbd/disk_1" */
	uint64_t size_bytes;                  /* memory */
	const char *path;                     /* file */
	struct cluster_client *cluster;       /* rbd: the data client that this image is on */
	const char *pool, *namespace, *image; /* rbd */
	bool read_only;
	struct backend_listener *listener; /* may be NULL */
};

/* Opens and closes may block: call them from a worker thread, never from a reactor.
 * Errors: -ENOENT, -EACCES, -EBUSY, ..., with a sentence in err. */
int backend_open(const struct backend_config *config, struct backend **ret_backend,
                 struct error *err) MUST_CHECK;
/* No request may be outstanding. NULL is fine. */
void backend_free(struct backend *backend);
DEFINE_AUTO(backend);

/* Any thread, never blocks for the cluster or the disk. Requests that change data are answered
 * -EROFS while backend_acquire() has not succeeded or after backend_release(). */
void backend_submit(struct backend *backend, struct io *io);

/* A hint that backend_acquire() comes next, and finds nobody there: asks ahead what it will ask.
 * Worker thread. */
void backend_prepare(struct backend *backend);
/* Becomes the only writer (RBD: exclusive lock, managed by hand from now on). May block, worker
 * thread. 0, also where a backend needs no lock; -EBUSY: somebody alive has it (his address in
 * err); -ESTALE: not with this handle (RBD: opened while the image was not primary), open it anew.
 * A lock whose owner `may_break` says is dead, or that has no watch, is broken first. */
struct backend_lock_policy {
	/* May be NULL. Owner addresses (ADDR:0/NONCE) that may be fenced and broken without asking.
	 */
	bool (*may_break)(void *argument, const char *owner_address);
	/* May be NULL. Those that are fenced already, since when at the latest
	 * (clock_monotonic_ms()): their lock is broken as soon as a map that was the newest after
	 * that is in force on the disk's own client, which saves two rounds of the monitors. */
	bool (*is_fenced)(void *argument, const char *owner_address, uint64_t *ret_since_ms);
	/* May be NULL. An owner that may live: fences it, and gives 0 when that is in force.
	 * -EBUSY: this one must be left alone while it lives. */
	int (*fence_living)(void *argument, const char *owner_address, struct error *err);
	void *argument;
	bool prepared; /* backend_prepare() was called, for this */
};
int backend_acquire(struct backend *backend, const struct backend_lock_policy *policy,
                    struct error *err) MUST_CHECK;
/* Gives the lock back. No write may be outstanding. Worker thread. */
int backend_release(struct backend *backend, struct error *err) MUST_CHECK;

/* Any thread, never blocks. Asks the storage for what whoever takes the image needs first (RBD: its
 * header), for nothing but the answer: io->done() as for any request, with 0 or -errno, however
 * long that takes. Only reactor and done of io count; no filter sees it. */
void backend_reach(struct backend *backend, struct io *io);

/* Makes the image what it was when the snapshot was taken, its size too. Only while it is acquired,
 * with no request outstanding. Worker thread; it may take minutes. -ENOTSUP: this kind has no
 * snapshots; -ESHUTDOWN: fenced. On failure the image is whatever it has become. */
int backend_roll_back(struct backend *backend, const char *snapshot, struct error *err) MUST_CHECK;

/* A copy; any thread. */
void backend_get_info(const struct backend *backend, struct backend_info *ret_info);
/* Reads size anew. Worker thread. */
int backend_refresh(struct backend *backend, struct error *err) MUST_CHECK;

/* ---- for backends and filters ---- */

struct backend_ops {
	const char *name;
	/* Allocates its own struct with a struct backend as first member. */
	int (*open)(const struct backend_config *config, struct backend **ret_backend,
	            struct error *err);
	void (*close)(struct backend *backend); /* frees */
	void (*submit[IO_OP_COUNT])(struct backend *backend, struct io *io);
	/* Filters: sees (and may change) the result of each request that it passed on. Any thread.
	 */
	int (*completed)(struct backend *backend, struct io *io, int result);
	void (*prepare)(struct backend *backend); /* NULL: nothing takes long there */
	int (*acquire)(struct backend *backend, const struct backend_lock_policy *policy,
	               struct error *err);
	int (*release)(struct backend *backend, struct error *err);
	void (*reach)(struct backend *backend, struct io *io); /* NULL: it always answers */
	int (*refresh)(struct backend *backend, struct error *err);
	/* NULL: it has no snapshots. */
	int (*roll_back)(struct backend *backend, const char *snapshot, struct error *err);
	void (*get_info)(const struct backend *backend, struct backend_info *ret_info);
};

struct backend {
	const struct backend_ops *ops;
	struct backend *below; /* filters; NULL at the bottom */
	struct backend *above; /* NULL at the top */
};

/* Puts a filter (made by its own *_filter_new) on top of *stack, which becomes the filter. Before
 * the first request. */
void backend_push(struct backend **stack, struct backend *filter);
/* A filter passes a request on to the layer below it. */
void backend_next(struct backend *filter, struct io *io);

/* Any thread, exactly once for each io: stores the result and delivers it to io->reactor. */
void io_complete(struct io *io, int result);
