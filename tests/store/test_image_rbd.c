#include "rados_place.h"
#include "store/image.h"

#include <errno.h>
#include <rbd/librbd.h>
#include <string.h>

TEST(images_are_made_grown_looked_at_and_removed)
{
	AUTO_PLACE struct place place = place_open();
	struct store *store = place.store;
	struct image_info info;
	ASSERT_EQ(image_stat(store, "rbd", "a", &info, NULL), -ENOENT);
	ASSERT_EQ(image_stat(store, "nopool", "a", &info, NULL), -ENOENT);
	ASSERT_EQ(image_create(store, "rbd", "a", 8 << 20, NULL), 0);
	ASSERT_EQ(image_create(store, "rbd", "a", 8 << 20, NULL), -EEXIST);
	ASSERT_EQ(image_stat(store, "rbd", "a", &info, NULL), 0);
	ASSERT_EQ(info.size_bytes, 8 << 20);
	ASSERT_EQ(info.features, 61);
	ASSERT_EQ(info.object_size, 4 << 20);
	ASSERT_TRUE(info.pool_id > 0);
	ASSERT_STR_EQ(info.data_pool, "");
	ASSERT_EQ(image_resize(store, "rbd", "a", 4 << 20, NULL), -EINVAL);
	ASSERT_EQ(image_resize(store, "rbd", "a", 16 << 20, NULL), 0);
	ASSERT_EQ(image_stat(store, "rbd", "a", &info, NULL), 0);
	ASSERT_EQ(info.size_bytes, 16 << 20);
	ASSERT_NULL(image_path(store, "rbd", "a"));
	ASSERT_EQ(image_remove(store, "rbd", "a", NULL), 0);
	ASSERT_EQ(image_remove(store, "rbd", "a", NULL), -ENOENT);
}

TEST(snapshots_keep_an_image_from_being_removed)
{
	AUTO_PLACE struct place place = place_open();
	struct store *store = place.store;
	ASSERT_EQ(image_create(store, "rbd", "s", 4 << 20, NULL), 0);
	ASSERT_EQ(image_snapshot_create(store, "rbd", "s", "one", NULL), 0);
	ASSERT_EQ(image_snapshot_create(store, "rbd", "s", "one", NULL), -EEXIST);
	ASSERT_EQ(image_snapshot_check(store, "rbd", "s", "one", NULL), 0);
	ASSERT_EQ(image_snapshot_check(store, "rbd", "s", "two", NULL), -ENOENT);
	ASSERT_EQ(image_remove(store, "rbd", "s", NULL), -ENOTEMPTY);
	ASSERT_EQ(image_snapshot_remove(store, "rbd", "s", "one", NULL), 0);
	ASSERT_EQ(image_remove(store, "rbd", "s", NULL), 0);
}

TEST(an_image_that_is_open_elsewhere_is_not_removed)
{
	AUTO_PLACE struct place place = place_open(), other = place_open();
	void *pool;
	rbd_image_t image;
	ASSERT_EQ(image_create(place.store, "rbd", "open", 4 << 20, NULL), 0);
	ASSERT_EQ(cluster_pool_open(other.cluster, "rbd", NULL, &pool, NULL), 0);
	ASSERT_EQ(rbd_open(pool, "open", &image, NULL), 0);
	struct error err = { 0 };
	ASSERT_EQ(image_remove(place.store, "rbd", "open", &err), -EBUSY);
	ASSERT_TRUE(strstr(err.text, "rbd/open: it is in use") != NULL);
	ASSERT_EQ(rbd_close(image), 0);
	cluster_pool_close(pool);
	ASSERT_EQ(image_remove(place.store, "rbd", "open", NULL), 0);
}
