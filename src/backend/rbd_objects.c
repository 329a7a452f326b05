/* What librbd answers by itself: an object that its object map calls absent is neither read nor
 * removed. No fence stops that, so the cluster is asked beside it: what it answers to this client
 * was not fenced yet when it was asked, and nobody else can have written before [H2]. */
#include "backend/rbd.h"
#include "base/auto.h"
#include "cluster/client.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE_OBJECTS (sizeof(struct rbd_objects_page) * 8)
#define KNOWN_MAX    (RBD_OBJECTS_PAGES * PAGE_OBJECTS) /* later ones are asked about each time */

/* A request, and what is asked beside it. */
struct inquiry {
	struct rbd_disk *disk;
	struct io *io;
	uint64_t removals; /* when it began */
	atomic_uint left;  /* answers, with librbd's */
	atomic_int result; /* the first error */
	struct question {
		struct inquiry *inquiry;
		uint64_t object;
	} questions[];
};

static bool removes(const struct io *io)
{
	return io->op == IO_DISCARD || io->op == IO_WRITE_ZEROES;
}

/* ---- objects that exist ---- */

/* NULL: of none of this page it is known. */
static _Atomic uint64_t *word_of(const struct rbd_disk *disk, uint64_t object)
{
	if (object >= KNOWN_MAX)
		return NULL;
	struct rbd_objects_page *page = atomic_load(&disk->objects.there[object / PAGE_OBJECTS]);
	return page ? &page->bits[object % PAGE_OBJECTS / 64] : NULL;
}

bool rbd_objects_is_there(const struct rbd_disk *disk, uint64_t object)
{
	_Atomic uint64_t *word = word_of(disk, object);
	return word && (atomic_load(word) >> object % 64 & 1);
}

/* The image may have grown since it was opened. Without memory nothing is known. */
static void make_page(struct rbd_disk *disk, uint64_t object)
{
	if (object < KNOWN_MAX && !word_of(disk, object))
		atomic_store(&disk->objects.there[object / PAGE_OBJECTS],
		             calloc(1, sizeof(struct rbd_objects_page)));
}

/* Not if it may have been removed since the question. */
static void note_there(struct rbd_disk *disk, uint64_t object, uint64_t removals)
{
	pthread_mutex_lock(&disk->objects.lock);
	make_page(disk, object);
	_Atomic uint64_t *word = word_of(disk, object);
	if (word && !disk->objects.removing && disk->objects.removals == removals)
		atomic_fetch_or(word, UINT64_C(1) << object % 64);
	pthread_mutex_unlock(&disk->objects.lock);
}

static void forget_range(struct rbd_disk *disk, uint64_t first, uint64_t end)
{
	for (uint64_t i = first; i < end && i < KNOWN_MAX; i++) {
		_Atomic uint64_t *word = word_of(disk, i);
		if (word)
			atomic_fetch_and(word, ~(UINT64_C(1) << i % 64));
	}
}

void rbd_objects_forget(struct rbd_disk *disk)
{
	pthread_mutex_lock(&disk->objects.lock);
	disk->objects.removals++;
	for (size_t i = 0; i < RBD_OBJECTS_PAGES; i++) {
		struct rbd_objects_page *page = atomic_load(&disk->objects.there[i]);
		for (size_t j = 0; page && j < ARRAY_LEN(page->bits); j++)
			atomic_store(&page->bits[j], 0);
	}
	pthread_mutex_unlock(&disk->objects.lock);
}

static uint64_t first_object(const struct rbd_disk *disk, const struct io *io)
{
	return io->offset / disk->object_bytes;
}

static uint64_t end_object(const struct rbd_disk *disk, const struct io *io)
{
	return (io->offset + io->length - 1) / disk->object_bytes + 1;
}

static void begin_removal(struct rbd_disk *disk, const struct io *io)
{
	pthread_mutex_lock(&disk->objects.lock);
	disk->objects.removing++;
	disk->objects.removals++;
	if (disk->objects.plain)
		forget_range(disk, first_object(disk, io), end_object(disk, io));
	pthread_mutex_unlock(&disk->objects.lock);
}

static void end_removal(struct rbd_disk *disk)
{
	pthread_mutex_lock(&disk->objects.lock);
	disk->objects.removing--;
	disk->objects.removals++;
	pthread_mutex_unlock(&disk->objects.lock);
}

/* ---- answers ---- */

static void count_answer(struct inquiry *inquiry, int r)
{
	int none = 0;
	if (r < 0)
		(void)atomic_compare_exchange_strong(&inquiry->result, &none, r);
	if (atomic_fetch_sub(&inquiry->left, 1) > 1)
		return;
	struct io *io = inquiry->io;
	int result = atomic_load(&inquiry->result);
	if (removes(io))
		end_removal(inquiry->disk);
	free(inquiry);
	io_complete(io, result);
}

void rbd_objects_complete(struct io *io, int r)
{
	if (io->private_data)
		count_answer(io->private_data, r);
	else
		io_complete(io, r);
}

static void answered(rados_completion_t completion, void *argument)
{
	const struct question *question = argument;
	struct inquiry *inquiry = question->inquiry;
	bool header = question->object == RBD_HEADER;
	int r = rados_aio_get_return_value(completion);
	rados_aio_release(completion);
	if (r == 0 && !header)
		note_there(inquiry->disk, question->object, inquiry->removals);
	if (r == -ENOENT && !header)
		r = 0; /* absent it is */
	count_answer(inquiry, r < 0 ? rbd_disk_failed(inquiry->disk, r) : 0);
}

/* ---- questions ---- */

int rbd_objects_stat(struct rbd_disk *disk, uint64_t object, rados_callback_t done, void *argument)
{
	char name[RBD_OBJECT_MAX];
	rados_completion_t completion;
	bool header = object == RBD_HEADER;
	if (header)
		rbd_disk_object(disk, "rbd_header", name);
	else
		(void)snprintf(name, sizeof name, "%s.%016" PRIx64, disk->objects.prefix, object);
	int r = rados_aio_create_completion2(argument, done, &completion);
	if (r < 0)
		return r;
	r = rados_aio_stat(header ? disk->pool : disk->objects.pool, name, completion, NULL, NULL);
	if (r < 0)
		rados_aio_release(completion);
	return r;
}

/* Removals are counted before anything is asked, so no answer is older than the end of one that was
 * counted: the acquire sees it with the change of the number, which releases. */
static struct inquiry *inquiry_begin(struct rbd_disk *disk, struct io *io, size_t question_count)
{
	struct inquiry *inquiry =
	        calloc(1, sizeof *inquiry + question_count * sizeof inquiry->questions[0]);
	if (!inquiry)
		return NULL;
	inquiry->disk = disk;
	inquiry->io = io;
	atomic_init(&inquiry->left, 1); /* librbd's */
	atomic_init(&inquiry->result, 0);
	inquiry->removals = atomic_load_explicit(&disk->objects.removals, memory_order_acquire);
	if (removes(io))
		begin_removal(disk, io);
	io->private_data = inquiry;
	return inquiry;
}

static void ask(struct inquiry *inquiry, size_t index, uint64_t object)
{
	inquiry->questions[index] = (struct question){ inquiry, object };
	atomic_fetch_add(&inquiry->left, 1);
	int r = rbd_objects_stat(inquiry->disk, object, answered, &inquiry->questions[index]);
	if (r < 0)
		count_answer(inquiry, r);
}

/* Whoever takes the image writes to its header before he writes anything else, and one question
 * tells of any number of objects. But it does not tell which of them exist. */
static int ask_header(struct rbd_disk *disk, struct io *io)
{
	struct inquiry *inquiry = inquiry_begin(disk, io, 1);
	if (!inquiry)
		return -ENOMEM;
	ask(inquiry, 0, RBD_HEADER);
	return 0;
}

static uint64_t next_unknown(const struct rbd_disk *disk, uint64_t object, uint64_t end)
{
	while (object < end && rbd_objects_is_there(disk, object))
		object++;
	return object;
}

static int ask_objects(struct rbd_disk *disk, struct io *io)
{
	uint64_t end = end_object(disk, io);
	uint64_t object = next_unknown(disk, first_object(disk, io), end);
	if (object == end)
		return 0;
	struct inquiry *inquiry = inquiry_begin(disk, io, end - object);
	if (!inquiry)
		return -ENOMEM;
	for (size_t i = 0; object < end; object = next_unknown(disk, object + 1, end))
		ask(inquiry, i++, object);
	return 0;
}

int rbd_objects_ask(struct rbd_disk *disk, struct io *io)
{
	io->private_data = NULL;
	if (removes(io) || (io->op == IO_READ && !disk->objects.plain))
		return ask_header(disk, io);
	return io->op == IO_READ ? ask_objects(disk, io) : 0;
}

/* ---- life ---- */

static int open_pool(struct rbd_disk *disk, const char *namespace, struct error *err)
{
	char name[256];
	int64_t id = rbd_get_data_pool_id(disk->image);
	if (id == rados_ioctx_get_id(disk->pool)) {
		disk->objects.pool = disk->pool;
		return 0;
	}
	rados_t cluster = cluster_client_handle(disk->cluster);
	int r = id < 0 ? (int)id : rados_pool_reverse_lookup(cluster, id, name, sizeof name);
	if (r < 0)
		return error_set(err, r, "%s: cannot find the pool of its data: %s", disk->name,
		                 strerror(-r));
	return cluster_pool_open(disk->cluster, name, namespace, &disk->objects.pool, err);
}

int rbd_objects_open(struct rbd_disk *disk, const char *namespace, struct error *err)
{
	uint64_t stripes = 0;
	int r = rbd_get_stripe_count(disk->image, &stripes);
	if (r == 0)
		r = rbd_get_block_name_prefix(disk->image, disk->objects.prefix,
		                              sizeof disk->objects.prefix);
	if (r < 0)
		return error_set(err, r, "%s: cannot read how its data are stored: %s", disk->name,
		                 strerror(-r));
	disk->objects.plain = stripes == 1;
	return open_pool(disk, namespace, err);
}

void rbd_objects_close(struct rbd_disk *disk)
{
	if (disk->objects.pool != disk->pool)
		cluster_pool_close(disk->objects.pool);
	for (size_t i = 0; i < RBD_OBJECTS_PAGES; i++)
		free(atomic_load(&disk->objects.there[i]));
	pthread_mutex_destroy(&disk->objects.lock);
}
