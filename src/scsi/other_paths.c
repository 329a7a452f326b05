/* A sorted array of names. */
#include "scsi/other_paths.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct other_paths {
	atomic_uint references;
	size_t count;
	char *names[];
};

void other_path_name(const char *initiator, const char *target, char ret_name[OTHER_PATH_MAX])
{
	(void)snprintf(ret_name, OTHER_PATH_MAX, "%s %s", initiator, target); /* both fit */
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void remove_doubles(struct other_paths *paths)
{
	size_t kept = 0;
	qsort(paths->names, paths->count, sizeof paths->names[0], compare);
	for (size_t i = 0; i < paths->count; i++) {
		if (kept && strcmp(paths->names[kept - 1], paths->names[i]) == 0)
			free(paths->names[i]);
		else
			paths->names[kept++] = paths->names[i];
	}
	paths->count = kept;
}

static int add(struct other_paths *paths, const char *const *names, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		paths->names[paths->count] = strdup(names[i]);
		if (!paths->names[paths->count])
			return -ENOMEM;
		paths->count++;
	}
	return 0;
}

int other_paths_new(const struct other_paths *before, const char *const *names, size_t count,
                    struct other_paths **ret_paths)
{
	size_t there = other_paths_count(before);
	struct other_paths *paths =
	        calloc(1, sizeof *paths + (there + count) * sizeof paths->names[0]);
	if (!paths)
		return -ENOMEM;
	paths->references = 1;
	int r = before ? add(paths, (const char *const *)before->names, there) : 0;
	if (r == 0)
		r = add(paths, names, count);
	if (r < 0) {
		other_paths_put(paths);
		return r;
	}
	remove_doubles(paths);
	*ret_paths = paths;
	return 0;
}

struct other_paths *other_paths_get(struct other_paths *paths)
{
	if (paths)
		(void)atomic_fetch_add(&paths->references, 1);
	return paths;
}

void other_paths_put(struct other_paths *paths)
{
	if (!paths || atomic_fetch_sub(&paths->references, 1) != 1)
		return;
	for (size_t i = 0; i < paths->count; i++)
		free(paths->names[i]);
	free(paths);
}

size_t other_paths_count(const struct other_paths *paths)
{
	return paths ? paths->count : 0;
}

bool other_paths_has(const struct other_paths *paths, const char *initiator, const char *target)
{
	char name[OTHER_PATH_MAX];
	const char *key = name;
	if (!other_paths_count(paths))
		return false;
	other_path_name(initiator, target, name);
	return bsearch(&key, paths->names, paths->count, sizeof paths->names[0], compare);
}
