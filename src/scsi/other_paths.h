/* Who has a path through another gateway, too: pairs of target and initiator. Constant once made,
 * shared by LUNs, reference counted. Any thread. */
#pragma once

#include "base/auto.h"

#include <stdbool.h>
#include <stddef.h>

struct other_paths;

/* "INITIATOR TARGET": neither may have a space. */
#define OTHER_PATH_MAX 448
void other_path_name(const char *initiator, const char *target, char ret_name[OTHER_PATH_MAX]);

/* Those of `before` (NULL: none) and these. -ENOMEM. */
int other_paths_new(const struct other_paths *before, const char *const *names, size_t count,
                    struct other_paths **ret_paths) MUST_CHECK;
struct other_paths *other_paths_get(struct other_paths *paths);
void other_paths_put(struct other_paths *paths);
/* NULL: nobody. */
size_t other_paths_count(const struct other_paths *paths);
bool other_paths_has(const struct other_paths *paths, const char *initiator, const char *target);
