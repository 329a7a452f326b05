/* The dir kind: the object and its guard. Rows are in dir_rows.c, members in dir_members.c. */
#include "store/dir.h"

#include "base/json.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>

#define LOCK_TIMEOUT_MS 30000
#define LOCK_PAUSE_MS   2

static int object_path(const struct dir_store *dir, char **ret_path, struct error *err)
{
	return dir_file_path(dir, "", dir->object, ret_path, err);
}

int dir_lock(const struct dir_store *dir, int *ret_fd, struct error *err)
{
	AUTO_STRING struct string path = { 0 };
	string_format(&path, "%s/.lock", dir->path);
	if (path.failed)
		return error_set(err, -ENOMEM, "out of memory");
	AUTO_CLOSE int fd = open(path.text, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return error_set(err, -errno, "cannot open %s: %s", path.text, strerror(errno));
	/* A holder needs milliseconds; one that was stopped must not stop everybody for ever. */
	for (unsigned waited_ms = 0; flock(fd, LOCK_EX | LOCK_NB) < 0; waited_ms += LOCK_PAUSE_MS) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return error_set(err, -errno, "cannot lock %s: %s", path.text,
			                 strerror(errno));
		if (waited_ms >= LOCK_TIMEOUT_MS)
			return error_set(err, -ETIMEDOUT,
			                 "another process has held %s for 30 s; find it with "
			                 "`fuser -v %s`",
			                 path.text, path.text);
		(void)nanosleep(&(struct timespec){ .tv_nsec = LOCK_PAUSE_MS * 1000000L }, NULL);
	}
	*ret_fd = fd;
	fd = -1;
	return 0;
}

/* The epoch that the text itself names; 0 if it has none. */
static uint64_t epoch_of(const char *text)
{
	AUTO_JSON json_t *object = json_loads(text, 0, NULL);
	json_int_t epoch = json_number(object, "epoch", 0);
	return epoch > 0 ? (uint64_t)epoch : 0;
}

static int dir_load(struct store *store, char **ret_text, struct store_version *ret_version,
                    struct error *err)
{
	AUTO_FREE char *path = NULL, *text = NULL;
	size_t len = 0;
	int r = object_path(dir_store_of(store), &path, err);
	if (r < 0)
		return r;
	r = dir_read_file(path, STORE_TEXT_MAX, &text, &len, err);
	bool exists = r == 0;
	if (r == -ENOENT && (text = strdup("")))
		r = 0;
	if (r < 0)
		return r;
	*ret_version = (struct store_version){
		.epoch = epoch_of(text),
		.revision = store_hash(text, len),
		.exists = exists,
	};
	*ret_text = steal(&text);
	return 0;
}

static int dir_commit(struct store *store, const char *text, uint64_t epoch,
                      const struct store_version *expected, struct error *err)
{
	struct dir_store *dir = dir_store_of(store);
	AUTO_CLOSE int lock = -1;
	AUTO_FREE char *path = NULL, *found_text = NULL;
	struct store_version found = { 0 };
	int r = object_path(dir, &path, err);
	if (r == 0)
		r = dir_lock(dir, &lock, err);
	if (r == 0)
		r = dir_load(store, &found_text, &found, err);
	if (r < 0)
		return r;
	if (found.exists != expected->exists || found.revision != expected->revision)
		return error_set(err, -ECANCELED, "the configuration object was changed meanwhile");
	return dir_write_file(path, text, true, err);
}

static void dir_free(struct store *store)
{
	struct dir_store *dir = dir_store_of(store);
	if (!dir)
		return;
	free(dir->path);
	free(dir->object);
	free(dir);
}

static int make_folders(const struct dir_store *dir, struct error *err)
{
	static const char *const folders[] = { "rows", "members", "reports", "ears", "images" };
	int r = dir_make_folder(dir->path, err);
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(folders); i++) {
		AUTO_STRING struct string path = { 0 };
		string_format(&path, "%s/%s", dir->path, folders[i]);
		r = path.failed ? -ENOMEM : dir_make_folder(path.text, err);
	}
	return r;
}

static int dir_open(const struct store_config *config, struct store **ret_store, struct error *err)
{
	struct dir_store *dir = calloc(1, sizeof *dir);
	if (!dir)
		return error_set(err, -ENOMEM, "out of memory");
	dir->store.ops = &dir_store_ops;
	/* An absolute path stays right if the process changes its folder. */
	dir->path = config->path[0] == '/' ? strdup(config->path) : NULL;
	dir->object = strdup(config->object);
	int r = 0;
	if (config->path[0] != '/')
		r = error_set(err, -EINVAL, "the folder of a dir store has to start with '/': %s",
		              config->path);
	else if (!dir->path || !dir->object)
		r = error_set(err, -ENOMEM, "out of memory");
	if (r == 0)
		r = make_folders(dir, err);
	if (r < 0) {
		dir_free(&dir->store);
		return r;
	}
	*ret_store = &dir->store;
	return 0;
}

const struct store_ops dir_store_ops = {
	.kind = "dir",
	.open = dir_open,
	.free = dir_free,
	.load = dir_load,
	.commit = dir_commit,
	.join = dir_join,
	.leave = dir_leave,
	.report = dir_report,
	.announce = dir_announce,
	.tell = dir_tell,
	.get_row = dir_get_row,
	.put_row = dir_put_row,
	.put_rows_at_once = dir_put_rows_at_once,
	.list_rows = dir_list_rows,
	.images = &file_image_ops,
};
