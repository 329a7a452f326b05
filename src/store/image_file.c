/* Images of a dir store: sparse files. */
#include "store/dir.h"

#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define OBJECT_BYTES (4u << 20)

/* Names come from requests: none may lead out of the folder. */
static bool is_name(const char *text)
{
	return text[0] && text[0] != '.' && !strchr(text, '/') && strlen(text) <= 200;
}

static char *file_path(const struct store *store, const char *pool, const char *image)
{
	struct string path = { 0 };
	const struct dir_store *dir = (const struct dir_store *)store;
	if (!is_name(pool) || !is_name(image))
		return NULL;
	string_format(&path, "%s/images/%s/%s", dir->path, pool, image);
	return string_take(&path);
}

static int get_path(struct store *store, const char *pool, const char *image, char **ret_path,
                    struct error *err)
{
	char *path = file_path(store, pool, image);
	if (!path)
		return error_set(err, -EINVAL, "%s/%s is no name for an image", pool, image);
	*ret_path = path;
	return 0;
}

static int open_image(struct store *store, const char *pool, const char *image, int *ret_fd,
                      struct error *err)
{
	AUTO_FREE char *path = NULL;
	int r = get_path(store, pool, image, &path, err);
	if (r < 0)
		return r;
	int fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return error_set(err, -errno, "image %s/%s: %s", pool, image, strerror(errno));
	*ret_fd = fd;
	return 0;
}

/* The file gets its name when it has its size: a crash leaves no half image. */
static int create_file(const char *path, uint64_t size_bytes, struct error *err)
{
	AUTO_STRING struct string temporary = { 0 };
	const char *base = strrchr(path, '/');
	string_format(&temporary, "%.*s/.%s.new", (int)(base - path), path, base + 1);
	if (temporary.failed)
		return error_set(err, -ENOMEM, "out of memory");
	AUTO_CLOSE int fd = open(temporary.text, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	int r = 0;
	if (fd < 0 || ftruncate(fd, (off_t)size_bytes) < 0 || fsync(fd) < 0 ||
	    renameat2(AT_FDCWD, temporary.text, AT_FDCWD, path, RENAME_NOREPLACE) < 0)
		r = -errno;
	if (r < 0) {
		(void)unlink(temporary.text);
		return error_set(err, r, "cannot create the image %s: %s", path, strerror(-r));
	}
	return dir_sync_folder_of(path, err);
}

static int file_create(struct store *store, const char *pool, const char *image,
                       uint64_t size_bytes, struct error *err)
{
	AUTO_FREE char *path = NULL;
	AUTO_CLOSE int lock = -1;
	int r = get_path(store, pool, image, &path, err);
	if (r == 0)
		r = dir_lock(dir_store_of(store), &lock, err);
	if (r < 0)
		return r;
	if (size_bytes > INT64_MAX)
		return error_set(err, -EFBIG, "an image cannot have %llu bytes",
		                 (unsigned long long)size_bytes);
	char *end = strrchr(path, '/');
	*end = '\0';
	r = dir_make_folder(path, err);
	if (r == 0)
		r = dir_sync_folder_of(path, err);
	*end = '/';
	return r < 0 ? r : create_file(path, size_bytes, err);
}

static int file_stat(struct store *store, const char *pool, const char *image,
                     struct image_info *ret_info, struct error *err)
{
	AUTO_CLOSE int fd = -1;
	struct stat status;
	int r = open_image(store, pool, image, &fd, err);
	if (r < 0)
		return r;
	if (fstat(fd, &status) < 0)
		return error_set(err, -errno, "image %s/%s: %s", pool, image, strerror(errno));
	*ret_info = (struct image_info){
		.size_bytes = (uint64_t)status.st_size,
		.object_size = OBJECT_BYTES,
	};
	return 0;
}

static int file_resize(struct store *store, const char *pool, const char *image,
                       uint64_t size_bytes, struct error *err)
{
	AUTO_CLOSE int fd = -1;
	struct image_info info = { 0 };
	int r = file_stat(store, pool, image, &info, err);
	if (r == 0)
		r = open_image(store, pool, image, &fd, err);
	if (r < 0)
		return r;
	if (size_bytes < info.size_bytes || size_bytes > INT64_MAX)
		return error_set(err, -EINVAL, "image %s/%s cannot shrink", pool, image);
	if (ftruncate(fd, (off_t)size_bytes) < 0 || fsync(fd) < 0)
		return error_set(err, -errno, "cannot resize the image %s/%s: %s", pool, image,
		                 strerror(errno));
	return 0;
}

/* Whoever serves the image holds a lock on its file. */
static int file_remove(struct store *store, const char *pool, const char *image, struct error *err)
{
	AUTO_FREE char *path = NULL;
	AUTO_CLOSE int fd = -1;
	struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int r = get_path(store, pool, image, &path, err);
	if (r == 0)
		r = open_image(store, pool, image, &fd, err);
	if (r < 0)
		return r;
	if (fcntl(fd, F_OFD_SETLK, &whole) < 0)
		return error_set(err, errno == EAGAIN || errno == EACCES ? -EBUSY : -errno,
		                 "image %s/%s is in use", pool, image);
	if (unlink(path) < 0)
		return error_set(err, -errno, "cannot remove the image %s/%s: %s", pool, image,
		                 strerror(errno));
	return dir_sync_folder_of(path, err);
}

const struct image_ops file_image_ops = {
	.create = file_create,
	.resize = file_resize,
	.remove = file_remove,
	.stat = file_stat,
	.path = file_path,
};
