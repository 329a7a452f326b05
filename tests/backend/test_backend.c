#include "fixture.h"

#include <errno.h>

TEST(an_unknown_kind_is_named_in_the_error)
{
	struct backend_config config = { .kind = "floppy", .name = "rbd/disk_1" };
	struct backend *backend = NULL;
	struct error err = { 0 };
	ASSERT_EQ(backend_open(&config, &backend, &err), -EINVAL);
	ASSERT_STR_EQ(err.text, "rbd/disk_1: there is no kind of backend 'floppy'");
	ASSERT_NULL(backend);
}

/* A filter that counts what passes and turns one result into another. */
struct probe {
	struct backend backend;
	unsigned writes, completed;
	int turn_into;
	bool closed;
};

static void probe_write(struct backend *backend, struct io *io)
{
	container_of(backend, struct probe, backend)->writes++;
	backend_next(backend, io);
}

static int probe_completed(struct backend *backend, struct io *io, int result)
{
	struct probe *probe = container_of(backend, struct probe, backend);
	probe->completed++;
	return probe->turn_into ? probe->turn_into : result;
}

static void probe_close(struct backend *backend)
{
	container_of(backend, struct probe, backend)->closed = true;
}

static const struct backend_ops probe_ops = {
	.name = "probe",
	.close = probe_close,
	.submit = { [IO_WRITE] = probe_write },
	.completed = probe_completed,
};

TEST(what_a_filter_leaves_out_passes_on_to_the_layer_below)
{
	struct probe low = { .backend.ops = &probe_ops };
	struct probe high = { .backend.ops = &probe_ops };
	struct backend_config config = { .kind = "memory", .name = "m", .size_bytes = 4096 };
	struct backend *backend = NULL;
	ASSERT_EQ(backend_open(&config, &backend, NULL), 0);
	backend_push(&backend, &low.backend);
	backend_push(&backend, &high.backend);

	test_fill(backend, 0, 512, 7);
	ASSERT_TRUE(test_reads_as(backend, 0, 512, 7));
	ASSERT_EQ(low.writes, 1);
	ASSERT_EQ(high.writes, 1);
	ASSERT_EQ(low.completed, 2);
	ASSERT_EQ(high.completed, 2);

	struct backend_info info;
	backend_get_info(backend, &info);
	ASSERT_EQ(info.size_bytes, 4096);
	ASSERT_EQ(backend_acquire(backend, NULL, NULL), 0);
	ASSERT_EQ(backend_refresh(backend, NULL), 0);
	ASSERT_EQ(backend_release(backend, NULL), 0);

	high.turn_into = -EIO;
	ASSERT_EQ(test_io(backend, IO_FLUSH, 0, 0, 0, NULL), -EIO);

	backend_free(backend);
	ASSERT_TRUE(low.closed && high.closed);
}

TEST(freeing_no_backend_is_fine)
{
	backend_free(NULL);
}
