/* The row gateway/NAME: {"instance": ..., "clients": [live addresses], "past": [dead addresses]}.
 */
#include "target/registration.h"

#include "base/json.h"
#include "base/log.h"
#include "store/store.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

/* Dead addresses that are remembered; a restart adds a handful, a clean stop removes its own. */
#define PAST_MAX 1024

struct registration {
	struct store *store;
	char *key;
	pthread_mutex_t lock; /* of the row and its copy */
	json_t *row;
	char *text; /* what stands in the store now; NULL = no row */
};

static bool array_has(const json_t *array, const char *text)
{
	size_t index;
	json_t *item;
	json_array_foreach (array, index, item) {
		if (strcmp(json_string_value(item), text) == 0)
			return true;
	}
	return false;
}

static void array_remove(json_t *array, const char *text)
{
	size_t index;
	json_t *item;
	json_array_foreach (array, index, item) {
		if (strcmp(json_string_value(item), text) == 0) {
			(void)json_array_remove(array, index); /* the index is valid */
			return;
		}
	}
}

static void array_copy_texts(json_t *to, const json_t *from)
{
	size_t index;
	json_t *item;
	json_array_foreach (from, index, item) {
		if (json_is_string(item) && !array_has(to, json_string_value(item)) &&
		    json_array_size(to) < PAST_MAX)
			(void)json_array_append(to,
			                        item); /* short memory: one fence less, see below */
	}
}

/* An earlier write that seemed to fail (time-out) may have happened all the same. True: the row is
 * still of this instance, and registration->text is what stands there. */
static bool reread_own_row(struct registration *registration)
{
	AUTO_FREE char *text = NULL;
	if (store_get_row(registration->store, registration->key, &text, NULL) < 0)
		return false;
	AUTO_JSON json_t *row = json_loads(text, 0, NULL);
	const char *own = json_text(registration->row, "instance", "");
	if (strcmp(json_text(row, "instance", "?"), own) != 0)
		return false;
	free(registration->text);
	registration->text = steal(&text);
	return true;
}

static int write_row(struct registration *registration, struct error *err)
{
	AUTO_FREE char *text = json_format(registration->row, &json_style_compact);
	if (!text)
		return error_set(err, -ENOMEM, "registration of this gateway: out of memory");
	int r = store_put_row(registration->store, registration->key, registration->text, text,
	                      err);
	if (r == -ECANCELED && reread_own_row(registration))
		r = store_put_row(registration->store, registration->key, registration->text, text,
		                  err);
	if (r < 0) {
		error_wrap(err, "registration of this gateway (%s)", registration->key);
		return r;
	}
	free(registration->text);
	registration->text = steal(&text);
	return 0;
}

static json_t *new_row(const char *old_text)
{
	uint8_t random[8];
	char instance[17];
	if (getrandom(random, sizeof random, 0) != sizeof random)
		return NULL;
	text_put_hex(random, sizeof random, instance);

	AUTO_JSON json_t *old = old_text ? json_loads(old_text, 0, NULL) : NULL;
	AUTO_JSON json_t *past = json_array();
	if (!past)
		return NULL;
	array_copy_texts(past, json_object_get(old, "clients"));
	array_copy_texts(past, json_object_get(old, "past"));
	return json_pack("{s:s, s:[], s:O}", "instance", instance, "clients", "past", past);
}

int registration_new(struct store *store, const char *gateway,
                     struct registration **ret_registration, struct error *err)
{
	AUTO(registration) struct registration *registration = calloc(1, sizeof *registration);
	if (!registration || asprintf(&registration->key, "gateway/%s", gateway) < 0)
		return error_set(err, -ENOMEM, "registration of %s: out of memory", gateway);
	registration->store = store;
	(void)pthread_mutex_init(&registration->lock, NULL);

	int r = store_get_row(store, registration->key, &registration->text, err);
	if (r < 0 && r != -ENOENT)
		return r;
	registration->row = new_row(registration->text);
	if (!registration->row)
		return error_set(err, -ENOMEM, "registration of %s: out of memory", gateway);
	r = write_row(registration, err);
	if (r < 0)
		return r;
	size_t past = json_array_size(json_object_get(registration->row, "past"));
	if (past)
		log_info("%s: an earlier instance left %zu cluster clients; their locks are broken "
		         "where they still stand",
		         gateway, past);
	*ret_registration = steal(&registration);
	return 0;
}

void registration_free(struct registration *registration)
{
	if (!registration)
		return;
	json_decref(registration->row);
	free(registration->text);
	free(registration->key);
	(void)pthread_mutex_destroy(&registration->lock);
	free(registration);
}

int registration_add(struct registration *registration, const char *address, struct error *err)
{
	(void)pthread_mutex_lock(&registration->lock);
	json_t *clients = json_object_get(registration->row, "clients");
	int r = json_array_append_new(clients, json_string(address)) < 0
	                ? error_set(err, -ENOMEM, "registration of %s: out of memory", address)
	                : write_row(registration, err);
	if (r < 0)
		array_remove(clients, address);
	(void)pthread_mutex_unlock(&registration->lock);
	return r;
}

int registration_remove(struct registration *registration, const char *address, struct error *err)
{
	(void)pthread_mutex_lock(&registration->lock);
	array_remove(json_object_get(registration->row, "clients"), address);
	int r = write_row(registration, err);
	(void)pthread_mutex_unlock(&registration->lock);
	return r;
}

bool registration_is_past(struct registration *registration, const char *address)
{
	(void)pthread_mutex_lock(&registration->lock);
	bool past = array_has(json_object_get(registration->row, "past"), address);
	(void)pthread_mutex_unlock(&registration->lock);
	return past;
}
