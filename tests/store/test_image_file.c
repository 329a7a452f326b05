#include "store/image.h"
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

static struct store *opened(void)
{
	struct store_config config = { .kind = "dir",
		                       .path = test_folder(),
		                       .object = "gateway.conf" };
	struct store *store = NULL;
	ASSERT_EQ(store_open(&config, &store, NULL), 0);
	return store;
}

TEST(images_are_made_grown_looked_at_and_removed)
{
	AUTO(store) struct store *store = opened();
	struct image_info info;
	ASSERT_EQ(image_stat(store, "rbd", "a", &info, NULL), -ENOENT);
	ASSERT_EQ(image_create(store, "rbd", "a", 1 << 20, NULL), 0);
	ASSERT_EQ(image_create(store, "rbd", "a", 2 << 20, NULL), -EEXIST);
	ASSERT_EQ(image_stat(store, "rbd", "a", &info, NULL), 0);
	ASSERT_EQ(info.size_bytes, 1 << 20);
	ASSERT_EQ(info.object_size, 4 << 20);
	ASSERT_EQ(image_resize(store, "rbd", "a", 1 << 19, NULL), -EINVAL);
	ASSERT_EQ(image_resize(store, "rbd", "a", 3 << 20, NULL), 0);
	ASSERT_EQ(image_stat(store, "rbd", "a", &info, NULL), 0);
	ASSERT_EQ(info.size_bytes, 3 << 20);
	ASSERT_EQ(image_snapshot_create(store, "rbd", "a", "s", NULL), -ENOTSUP);
	ASSERT_EQ(image_remove(store, "rbd", "a", NULL), 0);
	ASSERT_EQ(image_remove(store, "rbd", "a", NULL), -ENOENT);
}

TEST(an_image_in_use_is_not_removed)
{
	AUTO(store) struct store *store = opened();
	ASSERT_EQ(image_create(store, "rbd", "busy", 4096, NULL), 0);
	AUTO_FREE char *path = image_path(store, "rbd", "busy");
	int fd = open(path, O_RDWR);
	struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	ASSERT_EQ(fcntl(fd, F_OFD_SETLK, &whole), 0);
	ASSERT_EQ(image_remove(store, "rbd", "busy", NULL), -EBUSY);
	close(fd);
	ASSERT_EQ(image_remove(store, "rbd", "busy", NULL), 0);
}

TEST(names_that_lead_out_of_the_folder_are_refused)
{
	static const char *const names[] = { "", ".", "..", "../x", "a/b", ".hidden" };
	AUTO(store) struct store *store = opened();
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		TEST_ROW("%s", names[i]);
		ASSERT_EQ(image_create(store, "rbd", names[i], 4096, NULL), -EINVAL);
		ASSERT_EQ(image_create(store, names[i], "a", 4096, NULL), -EINVAL);
		ASSERT_NULL(image_path(store, names[i], "a"));
	}
	ASSERT_EQ(image_create(store, "rbd", "huge", UINT64_MAX, NULL), -EFBIG);
}
