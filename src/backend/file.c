/* A disk in a sparse file (or on a block device): blocking system calls on worker threads, but for
 * reads of what is in the page cache. Data are durable after a flush or FUA; the page cache is the
 * disk's write cache. */
#include "backend/kinds.h"
#include "backend/workers.h"
#include "base/bytes.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_THREADS 8
#define BATCH       64            /* iovecs a system call */
#define INLINE_MAX  (128u * 1024) /* bytes that the submitting thread may copy */

struct file {
	struct backend backend;
	struct workers *workers;
	char *name, *path;
	int fd;
	bool read_only;
	uint32_t granularity;
	_Atomic uint64_t size_bytes;
	atomic_bool acquired;
	/* Once an fdatasync has failed the kernel has forgotten which pages were lost, and the next
	 * one would succeed: so no flush succeeds any more until the file is opened anew. */
	atomic_int sync_error;
};

static struct file *file_of(const struct backend *backend)
{
	return container_of(backend, struct file, backend);
}

/* Where a transfer stands: the iovecs still to do, in pieces that one system call takes. */
struct cursor {
	const struct iovec *iov;
	unsigned count;
	size_t skip; /* bytes of iov[0] already done */
};

static int cursor_batch(const struct cursor *cursor, struct iovec *ret_batch)
{
	unsigned n = cursor->count < BATCH ? cursor->count : BATCH;
	memcpy(ret_batch, cursor->iov, n * sizeof *ret_batch);
	if (n > 0) {
		ret_batch[0].iov_base = (char *)ret_batch[0].iov_base + cursor->skip;
		ret_batch[0].iov_len -= cursor->skip;
	}
	return (int)n;
}

static void cursor_advance(struct cursor *cursor, size_t bytes)
{
	bytes += cursor->skip;
	while (cursor->count > 0 && bytes >= cursor->iov->iov_len) {
		bytes -= cursor->iov->iov_len;
		cursor->iov++;
		cursor->count--;
	}
	cursor->skip = bytes;
}

static int file_transfer(struct file *file, struct io *io)
{
	struct cursor cursor = { .iov = io->iov, .count = io->iov_count };
	uint64_t offset = io->offset, end = io->offset + io->length;
	int sync = (io->flags & IO_FUA) ? RWF_DSYNC : 0;
	while (offset < end) {
		struct iovec batch[BATCH];
		int n = cursor_batch(&cursor, batch);
		ssize_t done = io->op == IO_READ
		                       ? preadv(file->fd, batch, n, (off_t)offset)
		                       : pwritev2(file->fd, batch, n, (off_t)offset, sync);
		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return -errno;
		if (done == 0)
			return -EIO; /* somebody cut the file */
		offset += (uint64_t)done;
		cursor_advance(&cursor, (size_t)done);
	}
	return 0;
}

static int file_flush(struct file *file)
{
	int r = atomic_load(&file->sync_error);
	if (r == 0 && fdatasync(file->fd) < 0) {
		r = -errno;
		atomic_store(&file->sync_error, r);
	}
	return r;
}

static int file_write(struct file *file, struct io *io)
{
	int r = file_transfer(file, io);
	if (r == 0 && (io->flags & IO_FUA))
		r = atomic_load(&file->sync_error);
	return r;
}

static int file_fallocate(struct file *file, int mode, const struct io *io)
{
	int r;
	do
		r = fallocate(file->fd, mode | FALLOC_FL_KEEP_SIZE, (off_t)io->offset,
		              (off_t)io->length);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : 0;
}

static int file_discard(struct file *file, struct io *io)
{
	int r = file_fallocate(file, FALLOC_FL_PUNCH_HOLE, io);
	return r == -EOPNOTSUPP ? 0 : r; /* a hint */
}

/* Where the file system cannot do it. */
static int file_store_zeroes(struct file *file, const struct io *io)
{
	static const uint8_t zeroes[65536];
	uint64_t offset = io->offset, end = io->offset + io->length;
	while (offset < end) {
		size_t n = end - offset < sizeof zeroes ? end - offset : sizeof zeroes;
		ssize_t done = pwrite(file->fd, zeroes, n, (off_t)offset);
		if (done < 0 && errno != EINTR)
			return -errno;
		if (done > 0)
			offset += (uint64_t)done;
	}
	return 0;
}

static int file_write_zeroes(struct file *file, struct io *io)
{
	bool keep = io->flags & IO_NO_UNMAP;
	int r = file_fallocate(file, keep ? FALLOC_FL_ZERO_RANGE : FALLOC_FL_PUNCH_HOLE, io);
	if (r == -EOPNOTSUPP)
		r = file_store_zeroes(file, io);
	if (r == 0 && (io->flags & IO_FUA))
		r = file_flush(file);
	return r;
}

static int file_serve(struct backend *backend, struct io *io)
{
	struct file *file = file_of(backend);
	switch (io->op) {
	case IO_READ:
		return file_transfer(file, io);
	case IO_WRITE:
		return file_write(file, io);
	case IO_FLUSH:
		return file_flush(file);
	case IO_DISCARD:
		return file_discard(file, io);
	default:
		return file_write_zeroes(file, io);
	}
}

/* A read that the page cache holds whole is served at once, without a change of threads; the kernel
 * refuses to wait for the disk here. */
static bool file_read_cached(struct file *file, const struct io *io)
{
	if (io->op != IO_READ || io->length > INLINE_MAX || io->iov_count > BATCH)
		return false;
	ssize_t done =
	        preadv2(file->fd, io->iov, (int)io->iov_count, (off_t)io->offset, RWF_NOWAIT);
	return done >= 0 && (uint64_t)done == io->length;
}

static void file_submit(struct backend *backend, struct io *io)
{
	struct file *file = file_of(backend);
	bool changes = io->op != IO_READ && io->op != IO_FLUSH;
	if (io->op != IO_FLUSH && !range_ok(io->offset, io->length, atomic_load(&file->size_bytes)))
		io_complete(io, -ERANGE);
	else if (changes && !atomic_load(&file->acquired))
		io_complete(io, -EROFS);
	else if (file_read_cached(file, io))
		io_complete(io, 0);
	else
		workers_submit(file->workers, io);
}

static void file_close(struct backend *backend)
{
	struct file *file = file_of(backend);
	workers_free(file->workers);
	if (file->fd >= 0)
		close(file->fd);
	free(file->name);
	free(file->path);
	free(file);
}

static int file_refresh(struct backend *backend, struct error *err)
{
	struct file *file = file_of(backend);
	off_t size = lseek(file->fd, 0, SEEK_END); /* also right for block devices */
	if (size < 0)
		return error_set(err, -errno, "%s: cannot read the size of %s: %s", file->name,
		                 file->path, strerror(errno));
	atomic_store(&file->size_bytes, (uint64_t)size);
	return 0;
}

static int file_prepare(struct file *file, const struct backend_config *config, struct error *err)
{
	file->fd = open(config->path, (config->read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC);
	if (file->fd < 0)
		return error_set(err, -errno, "%s: cannot open %s: %s", config->name, config->path,
		                 strerror(errno));
	struct stat stat;
	if (fstat(file->fd, &stat) < 0)
		return error_set(err, -errno, "%s: cannot stat %s: %s", config->name, config->path,
		                 strerror(errno));
	if (!S_ISREG(stat.st_mode) && !S_ISBLK(stat.st_mode))
		return error_set(err, -EINVAL, "%s: %s is neither a file nor a block device",
		                 config->name, config->path);
	file->granularity = (uint32_t)stat.st_blksize;
	return file_refresh(&file->backend, err);
}

static int file_open(const struct backend_config *config, struct backend **ret_backend,
                     struct error *err)
{
	struct file *file = calloc(1, sizeof *file);
	if (!file)
		return error_set(err, -ENOMEM, "%s: out of memory", config->name);
	file->backend.ops = &file_ops;
	file->fd = -1;
	file->read_only = config->read_only;
	file->name = strdup(config->name);
	file->path = strdup(config->path);
	int r = file->name && file->path ? 0 : -ENOMEM;
	if (r == 0)
		r = workers_new(&file->backend, file_serve, MAX_THREADS, &file->workers);
	if (r < 0)
		error_set(err, r, "%s: out of memory", config->name);
	else
		r = file_prepare(file, config, err);
	if (r < 0) {
		file_close(&file->backend);
		return r;
	}
	*ret_backend = &file->backend;
	return 0;
}

/* An open file description lock: it ends with the descriptor, also when the process dies. */
static int file_lock(const struct file *file, short type)
{
	struct flock whole = { .l_type = type, .l_whence = SEEK_SET };
	return fcntl(file->fd, F_OFD_SETLK, &whole) < 0 ? -errno : 0;
}

static int file_acquire(struct backend *backend, const struct backend_lock_policy *policy,
                        struct error *err)
{
	struct file *file = file_of(backend);
	if (file->read_only)
		return 0;
	int r = file_lock(file, F_WRLCK);
	if (r == -EAGAIN || r == -EACCES)
		return error_set(err, -EBUSY, "%s: %s is in use by another process", file->name,
		                 file->path);
	if (r < 0)
		return error_set(err, r, "%s: cannot lock %s: %s", file->name, file->path,
		                 strerror(-r));
	atomic_store(&file->acquired, true);
	return 0;
}

static int file_release(struct backend *backend, struct error *err)
{
	struct file *file = file_of(backend);
	atomic_store(&file->acquired, false);
	int r = file->read_only ? 0 : file_lock(file, F_UNLCK);
	if (r < 0)
		return error_set(err, r, "%s: cannot unlock %s: %s", file->name, file->path,
		                 strerror(-r));
	return 0;
}

static void file_get_info(const struct backend *backend, struct backend_info *ret_info)
{
	const struct file *file = file_of(backend);
	*ret_info = (struct backend_info){
		.size_bytes = atomic_load(&file->size_bytes),
		.discard_granularity = file->granularity,
		.write_cache = true,
		.read_only = file->read_only,
	};
}

const struct backend_ops file_ops = {
	.name = "file",
	.open = file_open,
	.close = file_close,
	.submit = {
		[IO_READ] = file_submit,
		[IO_WRITE] = file_submit,
		[IO_FLUSH] = file_submit,
		[IO_DISCARD] = file_submit,
		[IO_WRITE_ZEROES] = file_submit,
	},
	.acquire = file_acquire,
	.release = file_release,
	.refresh = file_refresh,
	.get_info = file_get_info,
};
