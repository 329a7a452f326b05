/* Rows of maintenance: {"by": GATEWAY, "at": seconds since 1970}, for people who read the store. */
#include "ownership/maintenance.h"

#include "base/json.h"
#include "store/store.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#define PREFIX    "maintenance/"
#define TRIES_MAX 10

static char *row_text(const char *by)
{
	AUTO_JSON json_t *row = json_pack("{s:s, s:I}", "by", by, "at", (json_int_t)time(NULL));
	return row ? json_format(row, &json_style_compact) : NULL;
}

/* 1: it is so now, 0: it was so; -ECANCELED: somebody else changed the row meanwhile. */
static int try_set(struct store *store, const char *key, bool on, const char *text,
                   struct error *err)
{
	AUTO_FREE char *seen = NULL;
	int r = store_get_row(store, key, &seen, err);
	if (r < 0 && r != -ENOENT)
		return r;
	if (on == (seen != NULL))
		return 0;
	r = store_put_row(store, key, seen, on ? text : NULL, err);
	return r < 0 ? r : 1;
}

int maintenance_set(struct store *store, const char *gateway, bool on, const char *by,
                    bool *ret_changed, struct error *err)
{
	AUTO_FREE char *text = row_text(by);
	AUTO_STRING struct string key = { 0 };
	string_format(&key, PREFIX "%s", gateway);
	if (!text || key.failed)
		return error_set(err, -ENOMEM, "out of memory");
	int r = -ECANCELED;
	for (int i = 0; i < TRIES_MAX && r == -ECANCELED; i++)
		r = try_set(store, key.text, on, text, err);
	if (r < 0) {
		(void)error_wrap(err, "maintenance of %s", gateway);
		return r;
	}
	if (ret_changed)
		*ret_changed = r > 0;
	(void)!store_tell(store, MAINTENANCE_WAKE, NULL); /* else they look */
	return 0;
}

struct listing {
	void (*visit)(void *argument, const char *gateway);
	void *argument;
};

static void visit_row(void *argument, const char *key, const char *text)
{
	const struct listing *listing = argument;
	listing->visit(listing->argument, key + strlen(PREFIX));
}

int maintenance_list(struct store *store, void (*visit)(void *argument, const char *gateway),
                     void *argument, struct error *err)
{
	struct listing listing = { visit, argument };
	return store_list_rows(store, PREFIX, visit_row, &listing, err);
}
