/* A disk in memory: sparse, gone at close. Serves as scratch disk, and to measure the layers above
 * it, so every request is served inside the submitting call and only its completion is delivered
 * later. */
#include "backend/kinds.h"
#include "base/bytes.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define PAGE_BYTES 4096u

struct memory {
	struct backend backend;
	uint8_t *bytes; /* threads share it without a lock: overlapping requests have no order */
	uint64_t size_bytes;
	bool read_only;
};

static struct memory *memory_of(const struct backend *backend)
{
	return container_of(backend, struct memory, backend);
}

static void memory_close(struct backend *backend)
{
	struct memory *memory = memory_of(backend);
	(void)munmap(memory->bytes, memory->size_bytes); /* our own mapping: cannot fail */
	free(memory);
}

static int memory_open(const struct backend_config *config, struct backend **ret_backend,
                       struct error *err)
{
	if (config->size_bytes == 0 || config->size_bytes > SIZE_MAX / 2)
		return error_set(err, -EINVAL, "%s: a memory disk cannot have %" PRIu64 " bytes",
		                 config->name, config->size_bytes);
	struct memory *memory = calloc(1, sizeof *memory);
	if (!memory)
		return error_set(err, -ENOMEM, "%s: out of memory", config->name);
	void *bytes = mmap(NULL, config->size_bytes, PROT_READ | PROT_WRITE,
	                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (bytes == MAP_FAILED) {
		int r = -errno;
		free(memory);
		return error_set(err, r, "%s: cannot map %" PRIu64 " bytes of memory: %s",
		                 config->name, config->size_bytes, strerror(-r));
	}
	memory->backend.ops = &memory_ops;
	memory->bytes = bytes;
	memory->size_bytes = config->size_bytes;
	memory->read_only = config->read_only;
	*ret_backend = &memory->backend;
	return 0;
}

/* True if the request may run; else it was completed. */
static bool memory_admits(const struct memory *memory, struct io *io)
{
	int r = 0;
	if (!range_ok(io->offset, io->length, memory->size_bytes))
		r = -ERANGE;
	else if (memory->read_only && io->op != IO_READ)
		r = -EROFS;
	if (r < 0)
		io_complete(io, r);
	return r == 0;
}

static void memory_read(struct backend *backend, struct io *io)
{
	const struct memory *memory = memory_of(backend);
	if (!memory_admits(memory, io))
		return;
	const uint8_t *from = memory->bytes + io->offset;
	for (unsigned i = 0; i < io->iov_count; i++) {
		memcpy(io->iov[i].iov_base, from, io->iov[i].iov_len);
		from += io->iov[i].iov_len;
	}
	io_complete(io, 0);
}

static void memory_write(struct backend *backend, struct io *io)
{
	struct memory *memory = memory_of(backend);
	if (!memory_admits(memory, io))
		return;
	uint8_t *to = memory->bytes + io->offset;
	for (unsigned i = 0; i < io->iov_count; i++) {
		memcpy(to, io->iov[i].iov_base, io->iov[i].iov_len);
		to += io->iov[i].iov_len;
	}
	io_complete(io, 0);
}

static void memory_flush(struct backend *backend, struct io *io)
{
	io_complete(io, 0);
}

/* Whole pages go back to the kernel and read as zero; true if there were any. */
static bool drop_pages(struct memory *memory, uint64_t start, uint64_t end)
{
	return start < end && madvise(memory->bytes + start, end - start, MADV_DONTNEED) == 0;
}

static void memory_discard(struct backend *backend, struct io *io)
{
	struct memory *memory = memory_of(backend);
	if (!memory_admits(memory, io))
		return;
	uint64_t start = (io->offset + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
	uint64_t end = (io->offset + io->length) / PAGE_BYTES * PAGE_BYTES;
	(void)drop_pages(memory, start, end); /* a hint */
	io_complete(io, 0);
}

static void memory_write_zeroes(struct backend *backend, struct io *io)
{
	struct memory *memory = memory_of(backend);
	if (!memory_admits(memory, io))
		return;
	uint64_t start = (io->offset + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
	uint64_t end = (io->offset + io->length) / PAGE_BYTES * PAGE_BYTES;
	if ((io->flags & IO_NO_UNMAP) || !drop_pages(memory, start, end)) {
		memset(memory->bytes + io->offset, 0, io->length);
	} else {
		memset(memory->bytes + io->offset, 0, start - io->offset);
		memset(memory->bytes + end, 0, io->offset + io->length - end);
	}
	io_complete(io, 0);
}

static int memory_acquire(struct backend *backend, const struct backend_lock_policy *policy,
                          struct error *err)
{
	return 0;
}

static int memory_release(struct backend *backend, struct error *err)
{
	return 0;
}

static int memory_refresh(struct backend *backend, struct error *err)
{
	return 0;
}

static void memory_get_info(const struct backend *backend, struct backend_info *ret_info)
{
	const struct memory *memory = memory_of(backend);
	*ret_info = (struct backend_info){
		.size_bytes = memory->size_bytes,
		.discard_granularity = PAGE_BYTES,
		.read_only = memory->read_only,
	};
}

const struct backend_ops memory_ops = {
	.name = "memory",
	.open = memory_open,
	.close = memory_close,
	.submit = {
		[IO_READ] = memory_read,
		[IO_WRITE] = memory_write,
		[IO_FLUSH] = memory_flush,
		[IO_DISCARD] = memory_discard,
		[IO_WRITE_ZEROES] = memory_write_zeroes,
	},
	.acquire = memory_acquire,
	.release = memory_release,
	.refresh = memory_refresh,
	.get_info = memory_get_info,
};
