/* Our own registration. The row gateway/NAME:
 *   {"instance", "interconnect", "versions": [min, max], "state", "clients": [live addresses],
 *    "past": [addresses of dead instances], "condemned": {"by", "why"}, "fenced", "process",
 *    "former": {"instance", "process"} of the life before whose the past is}
 * Each change reads what stands there, changes that, and writes it if nobody was faster; what it
 * does not know it leaves. A row that is condemned or another instance's is not changed any more.
 */
#include "ownership/registration.h"

#include "base/log.h"
#include "cluster/together.h"
#include "ownership/debt.h"
#include "ownership/process.h"
#include "ownership/registration_row.h"
#include "store/store.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#define ATTEMPTS 8

struct registration {
	struct store *store;
	char *key;
	char instance[INSTANCE_MAX];
	json_t *past;          /* addresses of dead instances; constant after registration_new() */
	json_t *former;        /* the life before; NULL: none is known. Constant likewise */
	pthread_mutex_t lock;  /* one change at a time; of text */
	char *text;            /* what stands in the store, as far as known */
	struct together check; /* hundreds of LUNs are taken at once, and each asks */
	struct error check_problem; /* of the last one; under lock */
};

/* ---- changing the row ---- */

static int out_of_memory(const struct registration *registration, struct error *err)
{
	return error_set(err, -ENOMEM, "registration of this gateway (%s): out of memory",
	                 registration->key);
}

/* Is the row that of this instance still? -EOWNERDEAD otherwise. */
static int check_owned(const struct registration *registration, const json_t *row,
                       struct error *err)
{
	const json_t *condemned = json_object_get(row, "condemned");
	if (strcmp(json_text(row, "instance", "?"), registration->instance) != 0)
		return error_set(err, -EOWNERDEAD,
		                 "registration of this gateway (%s): another process has taken its "
		                 "name, or the row was removed",
		                 registration->key);
	if (condemned)
		return error_set(err, -EOWNERDEAD,
		                 "registration of this gateway (%s): %s has condemned this "
		                 "process: %s",
		                 registration->key, json_text(condemned, "by", "another gateway"),
		                 json_text(condemned, "why", "it did not answer"));
	return 0;
}

/* Reads the row, and keeps its text. */
static int load_row(struct registration *registration, struct error *err)
{
	AUTO_FREE char *text = NULL;
	int r = store_get_row(registration->store, registration->key, &text, err);
	if (r == 0) {
		free(registration->text);
		registration->text = steal(&text);
	}
	return r == -ENOENT ? check_owned(registration, NULL, err) : r;
}

static int write_row(struct registration *registration, const json_t *row, struct error *err)
{
	AUTO_FREE char *text = json_format(row, &json_style_compact);
	if (!text)
		return out_of_memory(registration, err);
	int r = store_put_row(registration->store, registration->key, registration->text, text,
	                      err);
	if (r == 0) {
		free(registration->text);
		registration->text = steal(&text);
	}
	return r;
}

/* What a change sets; each leaves out what it does not speak of. */
struct change {
	const char *add, *remove; /* an address in clients */
	const char *interconnect;
	int version_min, version_max; /* with interconnect */
	const char *state;
	bool drop_past;
};

static int apply(json_t *row, const struct change *change)
{
	json_t *clients = json_object_get(row, "clients");
	int r = 0;
	if (change->add && !row_array_has(clients, change->add))
		r |= json_array_append_new(clients, json_string(change->add));
	if (change->remove)
		row_array_remove(clients, change->remove);
	if (change->interconnect) {
		r |= json_object_set_new(row, "interconnect", json_string(change->interconnect));
		r |= json_object_set_new(
		        row, "versions",
		        json_pack("[i,i]", change->version_min, change->version_max));
	}
	if (change->state)
		r |= json_object_set_new(row, "state", json_string(change->state));
	if (change->drop_past)
		r |= json_object_set_new(row, "past", json_array());
	return r < 0 ? -ENOMEM : 0;
}

/* Under lock. A write that seemed to fail (time-out) may have happened, and others may add to the
 * row: on -ECANCELED what stands there is read anew. */
static int change_locked(struct registration *registration, const struct change *change,
                         struct error *err)
{
	int r = -ECANCELED;
	for (int attempt = 0; attempt < ATTEMPTS && r == -ECANCELED; attempt++) {
		if (attempt > 0) {
			r = load_row(registration, err);
			if (r < 0)
				return r;
		}
		AUTO_JSON json_t *row = json_loads(registration->text, 0, NULL);
		r = check_owned(registration, row, err);
		if (r < 0)
			return r;
		if (apply(row, change) < 0)
			return out_of_memory(registration, err);
		r = write_row(registration, row, err);
	}
	return r;
}

static int change_row(struct registration *registration, const struct change *change,
                      struct error *err)
{
	(void)pthread_mutex_lock(&registration->lock);
	int r = change_locked(registration, change, err);
	(void)pthread_mutex_unlock(&registration->lock);
	return r;
}

int registration_add(struct registration *registration, const char *address, struct error *err)
{
	return change_row(registration, &(struct change){ .add = address }, err);
}

int registration_remove(struct registration *registration, const char *address, struct error *err)
{
	return change_row(registration, &(struct change){ .remove = address }, err);
}

int registration_set_interconnect(struct registration *registration, const char *address,
                                  int version_min, int version_max, struct error *err)
{
	struct change change = { .interconnect = address,
		                 .version_min = version_min,
		                 .version_max = version_max };
	return change_row(registration, &change, err);
}

int registration_set_state(struct registration *registration, enum gateway_state state,
                           struct error *err)
{
	return change_row(registration, &(struct change){ .state = gateway_state_name(state) },
	                  err);
}

int registration_drop_past(struct registration *registration, struct error *err)
{
	return change_row(registration, &(struct change){ .drop_past = true }, err);
}

static int check_now(void *argument)
{
	struct registration *registration = argument;
	struct error *err = &registration->check_problem;
	(void)pthread_mutex_lock(&registration->lock);
	*err = (struct error){ 0 };
	int r = load_row(registration, err);
	if (r == 0) {
		AUTO_JSON json_t *row = json_loads(registration->text, 0, NULL);
		r = check_owned(registration, row, err);
	}
	(void)pthread_mutex_unlock(&registration->lock);
	return r;
}

int registration_check(struct registration *registration, struct error *err)
{
	int r = together_ask(&registration->check, check_now, registration);
	if (r == 0 || !err)
		return r;
	(void)pthread_mutex_lock(&registration->lock);
	*err = registration->check_problem;
	(void)pthread_mutex_unlock(&registration->lock);
	err->code = r; /* it may have been asked once more meanwhile */
	return r;
}

/* What was seen last may be the row as it was condemned. */
int registration_guard(struct registration *registration, struct store_change *ret_guard,
                       char **ret_text, struct error *err)
{
	(void)pthread_mutex_lock(&registration->lock);
	char *text = strdup(registration->text);
	(void)pthread_mutex_unlock(&registration->lock);
	*ret_text = text;
	if (!text)
		return out_of_memory(registration, err);
	*ret_guard =
	        (struct store_change){ .key = registration->key, .expected = text, .text = text };
	AUTO_JSON json_t *row = json_loads(text, 0, NULL);
	return check_owned(registration, row, err);
}

/* ---- the first one ---- */

static int make_instance(char *ret_instance)
{
	uint8_t random[(INSTANCE_MAX - 1) / 2];
	if (getrandom(random, sizeof random, 0) != sizeof random)
		return -EIO;
	text_put_hex(random, sizeof random, ret_instance);
	return 0;
}

/* Everything that the instance before and those before it may still hold. */
static json_t *collect_past(const json_t *old)
{
	static const char *const lists[] = { "clients", "past" };
	AUTO_JSON json_t *past = json_array();
	for (size_t i = 0; past && i < ARRAY_LEN(lists); i++) {
		size_t index;
		json_t *item;
		json_array_foreach (json_object_get(old, lists[i]), index, item) {
			if (json_is_string(item) && !row_array_has(past, json_string_value(item)) &&
			    json_array_append(past, item) < 0)
				return NULL;
		}
	}
	return steal(&past);
}

/* Whose clients are past now, and of what process it was: who fences them asks for that
 * (ownership/debt.h). */
static json_t *describe_former(const json_t *old)
{
	if (row_fenced_nobody(old))
		return json_incref(json_object_get(old, "former"));
	const char *instance = json_text(old, "instance", "");
	return *instance ? json_pack("{s:s, s:O*}", "instance", instance, "process",
	                             json_object_get(old, "process"))
	                 : NULL;
}

/* The row of a new life: nothing of the old one but its addresses, and what it was. */
static json_t *first_row(const struct registration *registration)
{
	return json_pack("{s:s, s:s, s:[i,i], s:s, s:[], s:O, s:o, s:O*}", "instance",
	                 registration->instance, "interconnect", "", "versions", 0, 0, "state",
	                 gateway_state_name(GATEWAY_UP), "clients", "past", registration->past,
	                 "process", process_describe(), "former", registration->former);
}

/* Condemning may come between reading and writing: again, with what stands there then. */
static int write_first(struct registration *registration, struct error *err)
{
	int r = -ECANCELED;
	for (int attempt = 0; attempt < ATTEMPTS && r == -ECANCELED; attempt++) {
		free(steal(&registration->text));
		r = store_get_row(registration->store, registration->key, &registration->text, err);
		if (r < 0 && r != -ENOENT)
			return r;
		AUTO_JSON json_t *old =
		        registration->text ? json_loads(registration->text, 0, NULL) : NULL;
		json_decref(registration->past);
		json_decref(registration->former);
		registration->past = collect_past(old);
		registration->former = describe_former(old);
		AUTO_JSON json_t *row = registration->past ? first_row(registration) : NULL;
		if (!row)
			return out_of_memory(registration, err);
		r = write_row(registration, row, err);
	}
	return r;
}

int registration_new(struct store *store, const char *gateway,
                     struct registration **ret_registration, struct error *err)
{
	AUTO(registration) struct registration *registration = calloc(1, sizeof *registration);
	if (!registration || asprintf(&registration->key, GATEWAY_ROWS "%s", gateway) < 0)
		return error_set(err, -ENOMEM, "registration of %s: out of memory", gateway);
	registration->store = store;
	(void)pthread_mutex_init(&registration->lock, NULL);
	together_init(&registration->check);
	int r = make_instance(registration->instance);
	if (r < 0)
		return error_set(err, r, "registration of %s: no random bytes", gateway);
	r = write_first(registration, err);
	if (r < 0) {
		error_wrap(err, "registration of this gateway (%s)", registration->key);
		return r;
	}
	size_t past = json_array_size(registration->past);
	if (past)
		log_info("%s: earlier instances left %zu cluster clients, which are fenced before "
		         "their locks are broken",
		         gateway, past);
	struct error ignored;
	if (debt_settle_gone(store, gateway, &ignored) < 0)
		log_warning("%s: old fences stay on the books: %s", gateway, ignored.text);
	*ret_registration = steal(&registration);
	return 0;
}

void registration_free(struct registration *registration)
{
	if (!registration)
		return;
	json_decref(registration->past);
	json_decref(registration->former);
	free(registration->text);
	free(registration->key);
	(void)pthread_mutex_destroy(&registration->lock);
	together_done(&registration->check);
	free(registration);
}

const char *registration_instance(const struct registration *registration)
{
	return registration->instance;
}

const char *registration_former(const struct registration *registration)
{
	return json_text(registration->former, "instance", "");
}

bool registration_is_past(struct registration *registration, const char *address)
{
	return row_array_has(registration->past, address);
}
