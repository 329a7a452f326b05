/* Everybody's registrations: reading the rows gateway/NAME, and condemning the instance that a row
 * is of. */
#include "ownership/registration_row.h"

#include "base/log.h"
#include "store/store.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define ATTEMPTS 8

static const char *const state_names[] = {
	[GATEWAY_UP] = "up",
	[GATEWAY_LEAVING] = "leaving",
	[GATEWAY_STOPPED] = "stopped",
};

const char *gateway_state_name(enum gateway_state state)
{
	return state_names[state];
}

bool row_array_has(const json_t *array, const char *text)
{
	size_t index;
	json_t *item;
	json_array_foreach (array, index, item) {
		const char *found = json_string_value(item);
		if (found && strcmp(found, text) == 0)
			return true;
	}
	return false;
}

void row_array_remove(json_t *array, const char *text)
{
	for (size_t i = json_array_size(array); i-- > 0;) {
		const char *found = json_string_value(json_array_get(array, i));
		if (found && strcmp(found, text) == 0)
			(void)json_array_remove(array, i); /* the index is valid */
	}
}

bool row_fenced_nobody(const json_t *row)
{
	return json_is_object(json_object_get(row, "former")) &&
	       json_array_size(json_object_get(row, "clients")) == 0 &&
	       json_array_size(json_object_get(row, "past")) > 0;
}

/* ---- reading ---- */

/* A state of a later release is taken for one that serves. */
static enum gateway_state state_of(const json_t *row)
{
	const char *name = json_text(row, "state", "");
	for (size_t i = 0; i < ARRAY_LEN(state_names); i++)
		if (strcmp(name, state_names[i]) == 0)
			return (enum gateway_state)i;
	return GATEWAY_UP;
}

static int copy_text(char *to, size_t room, const char *text)
{
	return (size_t)snprintf(to, room, "%s", text) < room ? 0 : -EMSGSIZE;
}

static int copy_clients(struct registration_row *row, const json_t *list)
{
	size_t index;
	json_t *item;
	json_array_foreach (list, index, item) {
		const char *address = json_string_value(item);
		if (!address)
			return -EBADMSG;
		row->clients[row->client_count] = strdup(address);
		if (!row->clients[row->client_count])
			return -ENOMEM;
		row->client_count++;
	}
	return 0;
}

void registration_row_done(struct registration_row *row)
{
	assert(row->clients || row->client_count == 0);
	for (size_t i = 0; i < row->client_count; i++)
		free(row->clients[i]);
	free(row->clients);
	row->clients = NULL;
	row->client_count = 0;
}

/* -EBADMSG, -EMSGSIZE: not a registration. */
static int read_row(const char *gateway, const char *text, struct registration_row *ret_row)
{
	AUTO_JSON json_t *json = json_loads(text, 0, NULL);
	const json_t *condemned = json_object_get(json, "condemned");
	const json_t *live = json_object_get(json, "clients"),
	             *past = json_object_get(json, "past"),
	             *versions = json_object_get(json, "versions");
	struct registration_row row = {
		.version_min = (int)json_integer_value(json_array_get(versions, 0)),
		.version_max = (int)json_integer_value(json_array_get(versions, 1)),
		.state = state_of(json),
		.condemned = condemned != NULL,
		.fenced = json_flag(json, "fenced", false),
	};
	if (!json_text(json, "instance", "")[0])
		return -EBADMSG;
	int r = copy_text(row.gateway, sizeof row.gateway, gateway);
	if (r == 0)
		r = copy_text(row.instance, sizeof row.instance, json_text(json, "instance", ""));
	if (r == 0)
		r = copy_text(row.interconnect, sizeof row.interconnect,
		              json_text(json, "interconnect", ""));
	if (r < 0)
		return r;
	/* For people: may be cut. */
	(void)copy_text(row.condemned_by, sizeof row.condemned_by, json_text(condemned, "by", ""));
	(void)copy_text(row.why, sizeof row.why, json_text(condemned, "why", ""));
	row.clients =
	        calloc(json_array_size(live) + json_array_size(past) + 1, sizeof *row.clients);
	r = row.clients ? copy_clients(&row, live) : -ENOMEM;
	if (r == 0)
		r = copy_clients(&row, past);
	if (r < 0) {
		registration_row_done(&row);
		return r;
	}
	*ret_row = row;
	return 0;
}

struct listing {
	void (*visit)(void *argument, const struct registration_row *row);
	void *argument;
	int result;
};

static void visit_text(void *argument, const char *key, const char *text)
{
	struct listing *listing = argument;
	struct registration_row row;
	int r = read_row(key + strlen(GATEWAY_ROWS), text, &row);
	if (r == -ENOMEM) {
		listing->result = r;
	} else if (r < 0) {
		log_limited(LOG_LEVEL_WARNING, 60000, "the row %s is damaged, and is passed over",
		            key);
	} else {
		listing->visit(listing->argument, &row);
		registration_row_done(&row);
	}
}

int registration_list(struct store *store,
                      void (*visit)(void *argument, const struct registration_row *row),
                      void *argument, struct error *err)
{
	struct listing listing = { .visit = visit, .argument = argument };
	int r = store_list_rows(store, GATEWAY_ROWS, visit_text, &listing, err);
	if (r == 0 && listing.result < 0)
		r = error_set(err, listing.result, "registrations: out of memory");
	return r;
}

static char *key_of(const char *gateway)
{
	struct string key = { 0 };
	string_format(&key, GATEWAY_ROWS "%s", gateway);
	return string_take(&key);
}

int registration_read(struct store *store, const char *gateway, struct registration_row *ret_row,
                      struct error *err)
{
	AUTO_FREE char *key = key_of(gateway), *text = NULL;
	if (!key)
		return error_set(err, -ENOMEM, "registration of %s: out of memory", gateway);
	int r = store_get_row(store, key, &text, err);
	if (r < 0)
		return r;
	r = read_row(gateway, text, ret_row);
	return r < 0 ? error_set(err, r,
	                         r == -ENOMEM ? "%s: out of memory" : "the row %s is damaged", key)
	             : 0;
}

/* ---- condemning ---- */

/* -ESTALE: the row is not that living instance's any more. */
static int check_instance(const json_t *row, const char *gateway, const char *instance,
                          struct error *err)
{
	if (strcmp(json_text(row, "instance", ""), instance) != 0)
		return error_set(err, -ESTALE, "gateway %s has another instance by now", gateway);
	if (state_of(row) == GATEWAY_STOPPED)
		return error_set(err, -ESTALE, "gateway %s has stopped", gateway);
	return 0;
}

/* Sets `name` in the row of that instance to a copy of value, unless it is there. The members that
 * are not known here stay. */
static int mark(struct store *store, const char *gateway, const char *instance, const char *name,
                const json_t *value, struct error *err)
{
	AUTO_FREE char *key = key_of(gateway);
	int r = key && value ? -ECANCELED : -ENOMEM;
	for (int attempt = 0; attempt < ATTEMPTS && r == -ECANCELED; attempt++) {
		AUTO_FREE char *text = NULL, *marked = NULL;
		r = store_get_row(store, key, &text, err);
		if (r < 0)
			return r == -ENOENT ? error_set(err, -ESTALE,
			                                "gateway %s is not registered", gateway)
			                    : r;
		AUTO_JSON json_t *row = json_loads(text, 0, NULL);
		r = check_instance(row, gateway, instance, err);
		if (r < 0 || json_object_get(row, name))
			return r;
		AUTO_JSON json_t *copy = json_deep_copy(value);
		if (!copy || json_object_set(row, name, copy) < 0 ||
		    !(marked = json_format(row, &json_style_compact)))
			r = -ENOMEM;
		else
			r = store_put_row(store, key, text, marked, err);
	}
	return r == -ENOMEM ? error_set(err, r, "registration of %s: out of memory", gateway) : r;
}

int registration_condemn(struct store *store, const char *gateway, const char *instance,
                         const char *by, const char *why, struct error *err)
{
	AUTO_JSON json_t *condemned = json_pack("{s:s, s:s}", "by", by, "why", why);
	return mark(store, gateway, instance, "condemned", condemned, err);
}

int registration_mark_fenced(struct store *store, const char *gateway, const char *instance,
                             struct error *err)
{
	AUTO_JSON json_t *fenced = json_true();
	return mark(store, gateway, instance, "fenced", fenced, err);
}
