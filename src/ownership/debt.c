/* Rows of the fence debt. Whoever fences the same address writes the same row, so a lost race is no
 * loss. */
#include "ownership/debt.h"

#include "base/log.h"
#include "ownership/process.h"
#include "ownership/registration_row.h"
#include "store/store.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#define DEBT_ROWS       "debt/"
#define FORMER_INSTANCE "RBDGATE_FORMER_INSTANCE"
#define ATTEMPTS        8

static char *key_of(const char *prefix, const char *name)
{
	struct string key = { 0 };
	string_format(&key, "%s%s", prefix, name);
	return string_take(&key);
}

json_t *debt_life_of(struct store *store, const char *gateway, const char *instance)
{
	AUTO_FREE char *key = key_of(GATEWAY_ROWS, gateway), *text = NULL;
	if (!key || store_get_row(store, key, &text, NULL) < 0)
		return NULL;
	AUTO_JSON json_t *row = json_loads(text, 0, NULL);
	const json_t *former = json_object_get(row, "former");
	/* It may have started anew already. */
	const json_t *const lives[] = { row_fenced_nobody(row) ? former : row, former };
	const char *const instances[] = { json_text(row, "instance", ""),
		                          json_text(former, "instance", "") };
	for (size_t i = 0; i < ARRAY_LEN(lives); i++)
		if (*instance && strcmp(instances[i], instance) == 0)
			return json_pack("{s:O, s:O*}", "instance",
			                 json_object_get(lives[i], "instance"), "process",
			                 json_object_get(lives[i], "process"));
	return NULL;
}

/* ---- writing ---- */

/* The row with a later `until`, or a new one. NULL: no memory. */
static json_t *changed_row(const char *text, const char *gateway, const char *instance,
                           json_t *process, json_int_t until)
{
	AUTO_JSON json_t *row = text ? json_loads(text, 0, NULL) : NULL;
	if (!json_is_object(row)) {
		json_decref(row);
		row = json_pack("{s:s, s:s, s:I, s:O*}", "gateway", gateway, "instance", instance,
		                "at", (json_int_t)time(NULL), "process", process);
	}
	if (json_number(row, "until", 0) > until)
		until = json_number(row, "until", 0);
	if (json_object_set_new(row, "until", json_integer(until)) < 0)
		return NULL;
	return steal(&row);
}

int debt_write(struct store *store, const char *address, const char *gateway, const char *instance,
               json_t *process, uint64_t until_s, struct error *err)
{
	AUTO_FREE char *key = key_of(DEBT_ROWS, address);
	int r = key ? -ECANCELED : -ENOMEM;
	for (int attempt = 0; attempt < ATTEMPTS && r == -ECANCELED; attempt++) {
		AUTO_FREE char *text = NULL, *changed = NULL;
		r = store_get_row(store, key, &text, err);
		if (r < 0 && r != -ENOENT)
			break;
		AUTO_JSON json_t *row =
		        changed_row(text, gateway, instance, process, (json_int_t)until_s);
		changed = row ? json_format(row, &json_style_compact) : NULL;
		r = changed ? store_put_row(store, key, text, changed, err) : -ENOMEM;
	}
	return r == -ENOMEM ? error_set(err, r, "fence of %s: out of memory", address) : r;
}

/* ---- reading ---- */

struct listing {
	int (*visit)(void *argument, const char *address, const json_t *debt);
	void *argument;
	int result;
};

static void visit_text(void *argument, const char *key, const char *text)
{
	struct listing *listing = argument;
	AUTO_JSON json_t *debt = json_loads(text, 0, NULL);
	if (!json_is_object(debt)) {
		json_decref(debt);
		debt = json_object();
	}
	if (listing->result == 0)
		listing->result =
		        debt ? listing->visit(listing->argument, key + strlen(DEBT_ROWS), debt)
		             : -ENOMEM;
}

int debt_list(struct store *store,
              int (*visit)(void *argument, const char *address, const json_t *debt), void *argument,
              struct error *err)
{
	struct listing listing = { .visit = visit, .argument = argument };
	int r = store_list_rows(store, DEBT_ROWS, visit_text, &listing, err);
	if (r == 0 && listing.result < 0)
		r = error_set(err, listing.result, "fence debt: %s", strerror(-listing.result));
	return r;
}

/* ---- settling ---- */

struct settling {
	struct store *store;
	const char *instance; /* NULL: any of this gateway whose process is gone */
	const char *gateway;
	json_t *addresses; /* that are settled */
};

static bool is_settled(const struct settling *settling, const json_t *debt)
{
	const char *instance = json_text(debt, "instance", "");
	if (settling->instance)
		return strcmp(instance, settling->instance) == 0;
	if (strcmp(json_text(debt, "gateway", ""), settling->gateway) != 0)
		return false;
	const char *former = getenv(FORMER_INSTANCE);
	return (former && former[0] && strcmp(former, instance) == 0) ||
	       process_is_gone(json_object_get(debt, "process"));
}

static int collect_settled(void *argument, const char *address, const json_t *debt)
{
	struct settling *settling = argument;
	if (!is_settled(settling, debt))
		return 0;
	return json_array_append_new(settling->addresses, json_string(address)) < 0 ? -ENOMEM : 0;
}

static int drop_debt(struct store *store, const char *address, struct error *err)
{
	AUTO_FREE char *key = key_of(DEBT_ROWS, address), *text = NULL;
	if (!key)
		return error_set(err, -ENOMEM, "fence of %s: out of memory", address);
	int r = store_get_row(store, key, &text, err);
	if (r == 0)
		r = store_put_row(store, key, text, NULL, err);
	/* Gone already, or prolonged at this moment: the next one settles it. */
	return r == -ENOENT || r == -ECANCELED ? 0 : r;
}

static int settle(struct settling *settling, struct error *err)
{
	AUTO_JSON json_t *addresses = settling->addresses = json_array();
	if (!addresses)
		return error_set(err, -ENOMEM, "fence debt: out of memory");
	int r = debt_list(settling->store, collect_settled, settling, err);
	size_t index;
	json_t *address;
	json_array_foreach (addresses, index, address) {
		if (r == 0)
			r = drop_debt(settling->store, json_string_value(address), err);
	}
	return r;
}

int debt_settle(struct store *store, const char *instance, struct error *err)
{
	struct settling settling = { .store = store, .instance = instance };
	return settle(&settling, err);
}

int debt_settle_gone(struct store *store, const char *gateway, struct error *err)
{
	struct settling settling = { .store = store, .gateway = gateway };
	return settle(&settling, err);
}
