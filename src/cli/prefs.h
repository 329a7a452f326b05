/* What the shell remembers between sessions (~/.gwcli/prefs.json): settings of the group `global`,
 * bookmarks, the paths one has been at. ceph-iscsi's own prefs.bin is left alone. */
#pragma once

#include "base/error.h"
#include "base/json.h"

#include <stdbool.h>
#include <stddef.h>

struct pref {
	const char *name;
	const struct pref_type *type;
	const char *fallback; /* as it is shown */
	const char *help;
};
extern const struct pref prefs_table[];
extern const size_t prefs_count;

struct pref_type {
	const char *name;   /* bool, number, ... */
	const char *choice; /* "true|false"; NULL: see check */
	bool (*check)(const char *value);
};

struct prefs {
	char *file; /* NULL: nothing is kept */
	json_t *root;
};

/* A missing or broken file gives the defaults. folder NULL: nothing is kept. -ENOMEM. */
int prefs_load(struct prefs *prefs, const char *folder) MUST_CHECK;
void prefs_done(struct prefs *prefs);
/* Best effort: the shell works without. */
void prefs_save(const struct prefs *prefs);

const char *prefs_text(const struct prefs *prefs, const char *name);
bool prefs_flag(const struct prefs *prefs, const char *name);
unsigned prefs_number(const struct prefs *prefs, const char *name);
/* -ENOENT, -EINVAL with the shell's words. */
int prefs_set(struct prefs *prefs, const char *name, const char *value,
              struct error *err) MUST_CHECK;

/* Name -> path, and the paths with the place in them. Borrowed. */
json_t *prefs_bookmarks(const struct prefs *prefs);
json_t *prefs_history(const struct prefs *prefs);
size_t prefs_history_index(const struct prefs *prefs);
void prefs_set_history_index(struct prefs *prefs, size_t index);
