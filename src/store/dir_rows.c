/* Rows of a dir store: a file each. */
#include "store/dir.h"

#include "base/array.h"
#include "base/text.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>

int dir_get_row(struct store *store, const char *key, char **ret_text, struct error *err)
{
	AUTO_FREE char *path = NULL;
	int r = dir_file_path(dir_store_of(store), "rows", key, &path, err);
	if (r < 0)
		return r;
	r = dir_read_file(path, STORE_ROW_MAX, ret_text, NULL, err);
	return r == -ENOENT ? error_set(err, r, "there is no row %s", key) : r;
}

static int remove_row(const char *path, struct error *err)
{
	if (unlink(path) < 0 && errno != ENOENT)
		return error_set(err, -errno, "cannot remove %s: %s", path, strerror(errno));
	return dir_sync_folder_of(path, err);
}

/* Under the lock. */
static int check_expected(struct dir_store *dir, const struct store_change *change,
                          struct error *err)
{
	AUTO_FREE char *path = NULL, *found = NULL;
	const char *expected = change->expected;
	int r = dir_file_path(dir, "rows", change->key, &path, err);
	if (r == 0)
		r = dir_read_file(path, STORE_ROW_MAX, &found, NULL, err);
	if (r < 0 && r != -ENOENT)
		return r;
	if (!found != !expected || (found && strcmp(found, expected) != 0))
		return error_set(err, -ECANCELED, "the row %s was changed meanwhile", change->key);
	return 0;
}

static int write_row(struct dir_store *dir, const struct store_change *change, struct error *err)
{
	AUTO_FREE char *path = NULL;
	int r = dir_file_path(dir, "rows", change->key, &path, err);
	if (r < 0)
		return r;
	return change->text ? dir_write_file(path, change->text, true, err) : remove_row(path, err);
}

/* A crash in between leaves the first ones changed, like a crash between two calls. */
int dir_put_rows_at_once(struct store *store, const struct store_change *changes, size_t count,
                         struct error *err)
{
	struct dir_store *dir = dir_store_of(store);
	AUTO_CLOSE int lock = -1;
	int r = dir_lock(dir, &lock, err);
	for (size_t i = 0; r == 0 && i < count; i++)
		r = check_expected(dir, &changes[i], err);
	for (size_t i = 0; r == 0 && i < count; i++)
		if (!store_only_compares(&changes[i]))
			r = write_row(dir, &changes[i], err);
	return r;
}

int dir_put_row(struct store *store, const char *key, const char *expected, const char *text,
                struct error *err)
{
	const struct store_change change = { .key = key, .expected = expected, .text = text };
	return dir_put_rows_at_once(store, &change, 1, err);
}

struct keys {
	char **list;
	size_t count;
};

static void free_keys(struct keys *keys)
{
	for (size_t i = 0; i < keys->count; i++)
		free(keys->list[i]);
	free(keys->list);
}

static int add_key(struct keys *keys, char *key)
{
	if (!array_grow(&keys->list, keys->count)) {
		free(key);
		return -ENOMEM;
	}
	keys->list[keys->count++] = key;
	return 0;
}

static int read_keys(DIR *folder, const char *prefix, struct keys *keys)
{
	struct dirent *entry;
	while ((entry = readdir(folder))) {
		char *key = dir_file_name(entry->d_name);
		if (key && text_starts(key, prefix)) {
			if (add_key(keys, key) < 0)
				return -ENOMEM;
		} else {
			free(key);
		}
	}
	return 0;
}

static int compare_keys(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int dir_list_rows(struct store *store, const char *prefix,
                  void (*visit)(void *argument, const char *key, const char *text), void *argument,
                  struct error *err)
{
	AUTO_STRING struct string path = { 0 };
	string_format(&path, "%s/rows", dir_store_of(store)->path);
	DIR *folder = path.failed ? NULL : opendir(path.text);
	if (!folder)
		return error_set(err, -errno, "cannot read the folder of rows: %s",
		                 strerror(errno));
	struct keys keys = { 0 };
	int r = read_keys(folder, prefix, &keys);
	(void)closedir(folder);
	if (keys.count)
		qsort(keys.list, keys.count, sizeof *keys.list, compare_keys);
	for (size_t i = 0; r == 0 && i < keys.count; i++) {
		AUTO_FREE char *text = NULL;
		r = dir_get_row(store, keys.list[i], &text, err);
		if (r == 0)
			visit(argument, keys.list[i], text);
		else if (r == -ENOENT)
			r = 0; /* removed since the folder was read */
	}
	free_keys(&keys);
	return r == -ENOMEM ? error_set(err, r, "out of memory") : r;
}
