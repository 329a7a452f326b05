/* Rows of clients, read for one purpose: to let our own be. So what cannot be read counts as one of
 * ours. */
#include "ownership/own_client.h"

#include "ownership/registration_row.h"
#include "store/store.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define API_ROWS "api/"
#define ATTEMPTS 8

int own_client_announce(struct store *store, const char *gateway, const char *address,
                        struct error *err)
{
	AUTO_STRING struct string key = { 0 };
	string_format(&key, API_ROWS "%s", gateway);
	AUTO_JSON json_t *row = json_pack("{s:[s]}", "clients", address);
	AUTO_FREE char *text = row ? json_format(row, &json_style_compact) : NULL;
	if (key.failed || !text)
		return error_set(err, -ENOMEM, "out of memory");
	int r = -ECANCELED;
	for (int attempt = 0; attempt < ATTEMPTS && r == -ECANCELED; attempt++) {
		AUTO_FREE char *seen = NULL;
		r = store_get_row(store, key.text, &seen, err);
		if (r == 0 || r == -ENOENT)
			r = store_put_row(store, key.text, seen, text, err);
	}
	return r;
}

struct search {
	const char *address;
	bool found;
	char damaged[320]; /* a row, or "" */
};

/* False: it is no list of addresses. */
static bool look_in(struct search *search, const json_t *list)
{
	size_t index;
	json_t *item;
	bool good = json_is_array(list);
	json_array_foreach (list, index, item) {
		const char *text = json_string_value(item);
		good = good && text;
		search->found = search->found || (text && strcmp(text, search->address) == 0);
	}
	return good;
}

static void visit_row(void *argument, const char *key, const char *text)
{
	struct search *search = argument;
	AUTO_JSON json_t *row = json_loads(text, 0, NULL);
	const json_t *past = json_object_get(row, "past");
	bool good = look_in(search, json_object_get(row, "clients"));
	if (past)
		good = look_in(search, past) && good;
	if (!good)
		(void)snprintf(search->damaged, sizeof search->damaged, "%s", key);
}

int own_client_find(struct store *store, const char *address, bool *ret_found, struct error *err)
{
	static const char *const kinds[] = { GATEWAY_ROWS, API_ROWS };
	struct search search = { .address = address };
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		int r = store_list_rows(store, kinds[i], visit_row, &search, err);
		if (r < 0)
			return r;
	}
	if (!search.found && search.damaged[0])
		return error_set(err, -EBADMSG,
		                 "the row %s is damaged, so %s may be a client of ours and is not "
		                 "fenced",
		                 search.damaged, address);
	*ret_found = search.found;
	return 0;
}
