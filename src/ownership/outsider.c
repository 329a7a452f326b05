/* Clients of upstream gateways that were fenced for a LUN on demand. */
#include "ownership/outsider.h"

#include "base/json.h"
#include "base/text.h"
#include "store/store.h"

#include <errno.h>
#include <string.h>

#define OUTSIDER_ROWS "outsider/"
#define HOSTS_MAX     64
#define ATTEMPTS      8

/* "10.0.0.3" of "10.0.0.3:0/123"; the whole text if it is something else. */
static char *host_of(const char *address)
{
	const char *port = strrchr(address, ':');
	return port ? strndup(address, (size_t)(port - address)) : strdup(address);
}

/* NULL: no memory. A row that cannot be read begins anew; of one that is full the host goes that
 * was fenced the longest ago: they stand in that order. */
static char *changed_row(const char *text, const char *address)
{
	AUTO_JSON json_t *row = text ? json_loads(text, 0, NULL) : NULL;
	AUTO_FREE char *host = host_of(address);
	if (!json_is_object(row)) {
		json_decref(row);
		row = json_object();
	}
	if (!host)
		return NULL;
	(void)json_object_del(row, host); /* if it is there */
	if (json_object_size(row) >= HOSTS_MAX)
		(void)json_object_del(row, json_object_iter_key(json_object_iter(row)));
	if (json_object_set_new(row, host, json_string(address)) < 0)
		return NULL;
	return json_format(row, &json_style_plain);
}

int outsider_write(struct store *store, const char *lun, const char *address, struct error *err)
{
	AUTO_STRING struct string key = { 0 };
	string_format(&key, OUTSIDER_ROWS "%s", lun);
	int r = key.text ? -ECANCELED : -ENOMEM;
	for (int attempt = 0; attempt < ATTEMPTS && r == -ECANCELED; attempt++) {
		AUTO_FREE char *text = NULL, *changed = NULL;
		r = store_get_row(store, key.text, &text, err);
		if (r < 0 && r != -ENOENT)
			break;
		changed = changed_row(text, address);
		r = changed ? store_put_row(store, key.text, text, changed, err) : -ENOMEM;
	}
	return r == -ENOMEM ? error_set(err, r, "fence of %s: out of memory", address) : r;
}

struct listing {
	int (*visit)(void *argument, const char *address);
	void *argument;
	int result;
};

static void visit_row(void *argument, const char *key, const char *text)
{
	struct listing *listing = argument;
	AUTO_JSON json_t *row = json_loads(text, 0, NULL);
	const char *host;
	json_t *address;
	json_object_foreach (row, host, address) {
		if (listing->result == 0 && json_is_string(address))
			listing->result =
			        listing->visit(listing->argument, json_string_value(address));
	}
}

int outsider_list(struct store *store, int (*visit)(void *argument, const char *address),
                  void *argument, struct error *err)
{
	struct listing listing = { .visit = visit, .argument = argument };
	int r = store_list_rows(store, OUTSIDER_ROWS, visit_row, &listing, err);
	if (r == 0 && listing.result < 0)
		r = error_set(err, listing.result, "fences of outsiders: %s",
		              strerror(-listing.result));
	return r;
}
