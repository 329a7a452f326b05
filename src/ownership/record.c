/* The row owner/POOL/IMAGE: {"epoch", "state": "active" or "clean", "gateway", "instance",
 * "client", "image" (its id), "next", "why", "at"}. Members of a later release stay as they are.
 *
 * The row `epochs`: {"least"}, the highest epoch of a record that was ever removed. Records begin
 * above it: a disk that is deleted and added again under its name, with its old wwn, shares no
 * epoch with its earlier life, and no message of then is taken for one of now. */
#include "ownership/record.h"

#include "base/json.h"
#include "base/log.h"
#include "store/store.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define OWNER_ROWS "owner/"
#define EPOCHS_ROW "epochs"

static const char *const state_names[] = {
	[OWNER_NONE] = "none",
	[OWNER_CLEAN] = "clean",
	[OWNER_ACTIVE] = "active",
};

const char *owner_state_name(enum owner_state state)
{
	return state_names[state];
}

void owner_record_done(struct owner_record *record)
{
	free(record->text);
	record->text = NULL;
}

int owner_record_copy(const struct owner_record *from, struct owner_record *ret_record)
{
	char *text = from->text ? strdup(from->text) : NULL;
	if (from->text && !text)
		return -ENOMEM;
	*ret_record = *from;
	ret_record->text = text;
	return 0;
}

static char *key_of(const char *lun)
{
	struct string key = { 0 };
	string_format(&key, OWNER_ROWS "%s", lun);
	return string_take(&key);
}

/* ---- reading ---- */

/* The texts of a record: which member goes where. */
static const struct field {
	const char *name;
	size_t at, room;
} fields[] = {
#define FIELD(name)                                                                                \
	{                                                                                          \
#name, offsetof(struct owner_record, name), sizeof((struct owner_record *)0)->name \
	}
	FIELD(gateway), FIELD(instance), FIELD(client), FIELD(image), FIELD(next), FIELD(why),
#undef FIELD
};

static int read_fields(const json_t *row, struct owner_record *record)
{
	for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
		const char *text = json_text(row, fields[i].name, "");
		if ((size_t)snprintf((char *)record + fields[i].at, fields[i].room, "%s", text) >=
		    fields[i].room)
			return -EBADMSG;
	}
	return 0;
}

static int read_state(const json_t *row, enum owner_state *ret_state)
{
	const char *name = json_text(row, "state", "");
	for (size_t i = OWNER_CLEAN; i < ARRAY_LEN(state_names); i++) {
		if (strcmp(name, state_names[i]) == 0) {
			*ret_state = (enum owner_state)i;
			return 0;
		}
	}
	return -EBADMSG;
}

int owner_record_parse(const char *text, struct owner_record *ret_record)
{
	AUTO_JSON json_t *row = json_loads(text, 0, NULL);
	json_int_t epoch = json_number(row, "epoch", 0);
	struct owner_record record = {
		.epoch = (uint64_t)epoch,
		.at = (uint64_t)json_number(row, "at", 0),
	};
	int r = epoch > 0 ? read_state(row, &record.state) : -EBADMSG;
	if (r == 0)
		r = read_fields(row, &record);
	if (r < 0)
		return r;
	record.text = strdup(text);
	if (!record.text)
		return -ENOMEM;
	*ret_record = record;
	return 0;
}

/* A damaged row says nothing of who may be writing: nobody may take it for a LUN that was never
 * owned. */
static int explain(int r, const char *key, struct error *err)
{
	if (r == -EBADMSG)
		return error_set(err, r,
		                 "the row %s, which says who owns the disk, is damaged: make sure "
		                 "that no gateway serves the disk, then remove the row",
		                 key);
	return r == -ENOMEM ? error_set(err, r, "%s: out of memory", key) : r;
}

int owner_record_read(struct store *store, const char *lun, struct owner_record *ret_record,
                      struct error *err)
{
	AUTO_FREE char *key = key_of(lun), *text = NULL;
	if (!key)
		return explain(-ENOMEM, lun, err);
	int r = store_get_row(store, key, &text, err);
	if (r == -ENOENT) {
		*ret_record = (struct owner_record){ .state = OWNER_NONE };
		return 0;
	}
	return r == 0 ? explain(owner_record_parse(text, ret_record), key, err) : r;
}

struct listing {
	void (*visit)(void *argument, const char *lun, const struct owner_record *record);
	void *argument;
	int result;
};

static void visit_text(void *argument, const char *key, const char *text)
{
	struct listing *listing = argument;
	struct owner_record record;
	int r = owner_record_parse(text, &record);
	if (r == -ENOMEM) {
		listing->result = r;
	} else if (r < 0) {
		struct error err = { 0 };
		(void)explain(r, key, &err);
		log_limited(LOG_LEVEL_WARNING, 60000, "%s", err.text);
	} else {
		listing->visit(listing->argument, key + strlen(OWNER_ROWS), &record);
		owner_record_done(&record);
	}
}

int owner_record_list(struct store *store,
                      void (*visit)(void *argument, const char *lun,
                                    const struct owner_record *record),
                      void *argument, struct error *err)
{
	struct listing listing = { .visit = visit, .argument = argument };
	int r = store_list_rows(store, OWNER_ROWS, visit_text, &listing, err);
	return r == 0 && listing.result < 0 ? explain(listing.result, "owner records", err) : r;
}

/* ---- writing ---- */

/* The text of the record, over what stood there. NULL: no memory, or no UTF-8. */
static char *format_record(const struct owner_record *record)
{
	AUTO_JSON json_t *row = record->text ? json_loads(record->text, 0, NULL) : json_object();
	int r = json_object_set_new(row, "epoch", json_integer((json_int_t)record->epoch));
	r |= json_object_set_new(row, "state", json_string(state_names[record->state]));
	r |= json_object_set_new(row, "at", json_integer((json_int_t)record->at));
	for (size_t i = 0; i < ARRAY_LEN(fields); i++)
		r |= json_object_set_new(row, fields[i].name,
		                         json_string((const char *)record + fields[i].at));
	return r == 0 ? json_format(row, &json_style_compact) : NULL;
}

static int put_at_once(struct store *store, const char *lun, const char *expected, const char *text,
                       const struct owner_claim *claim, struct error *err)
{
	AUTO_FREE char *key = key_of(lun);
	if (!key)
		return explain(-ENOMEM, lun, err);
	struct store_change changes[1 + OWNER_CLAIM_WITH] = {
		{ .key = key, .expected = expected, .text = text },
	};
	assert(claim->with_count <= OWNER_CLAIM_WITH);
	for (size_t i = 0; i < claim->with_count; i++)
		changes[1 + i] = claim->with[i];
	return store_put_rows_at_once(store, changes, 1 + claim->with_count, err);
}

/* Replaces *record by changed, whose text is the one that *record was read from. */
static int write_record(struct store *store, const char *lun, struct owner_record *record,
                        struct owner_record *changed, const struct owner_claim *claim,
                        struct error *err)
{
	changed->at = (uint64_t)time(NULL);
	AUTO_FREE char *text = format_record(changed);
	if (!text)
		return explain(-ENOMEM, lun, err);
	int r = put_at_once(store, lun, record->text, text, claim, err);
	if (r < 0)
		return r;
	free(record->text);
	*record = *changed;
	record->text = steal(&text);
	return 0;
}

/* ---- epochs of removed records ---- */

/* *ret_text (free() it) is NULL if there is no row. */
static int read_least_epoch(struct store *store, uint64_t *ret_epoch, char **ret_text,
                            struct error *err)
{
	int r = store_get_row(store, EPOCHS_ROW, ret_text, err);
	if (r == -ENOENT)
		*ret_text = NULL;
	else if (r < 0)
		return r;
	AUTO_JSON json_t *row = *ret_text ? json_loads(*ret_text, 0, NULL) : NULL;
	json_int_t least = json_number(row, "least", *ret_text ? -1 : 0);
	if (least < 0)
		return error_set(err, -EBADMSG,
		                 "the row " EPOCHS_ROW ", which keeps new disks apart from deleted "
		                 "ones, is damaged: remove it while all gateways are stopped");
	*ret_epoch = (uint64_t)least;
	return 0;
}

/* With the record that goes: *ret_change has no key if nothing is to be kept, else its texts, which
 * are to be freed. */
static int keep_epoch(struct store *store, const char *record, struct store_change *ret_change,
                      struct error *err)
{
	AUTO_JSON json_t *row = json_loads(record, 0, NULL);
	json_int_t epoch = json_number(row, "epoch", 0);
	AUTO_FREE char *before = NULL, *after = NULL;
	uint64_t least = 0;
	int r = read_least_epoch(store, &least, &before, err);
	if (r < 0 || epoch < 0 || (uint64_t)epoch <= least)
		return r;
	AUTO_JSON json_t *kept = json_pack("{sI}", "least", epoch);
	after = json_format(kept, &json_style_compact);
	if (!after)
		return explain(-ENOMEM, EPOCHS_ROW, err);
	*ret_change = (struct store_change){ .key = EPOCHS_ROW,
		                             .expected = steal(&before),
		                             .text = steal(&after) };
	return 0;
}

int owner_record_next_epoch(struct store *store, const struct owner_record *record,
                            uint64_t *ret_epoch, struct error *err)
{
	AUTO_FREE char *text = NULL;
	uint64_t least = record->epoch;
	int r = record->state == OWNER_NONE ? read_least_epoch(store, &least, &text, err) : 0;
	if (r == 0)
		*ret_epoch = least + 1;
	return r;
}

int owner_record_take(struct store *store, const char *lun, struct owner_record *record,
                      const struct owner_claim *claim, struct error *err)
{
	struct owner_record taken = {
		.state = OWNER_ACTIVE,
		.epoch = claim->epoch,
		.text = record->text,
	};
	assert(claim->epoch > record->epoch);
	(void)snprintf(taken.gateway, sizeof taken.gateway, "%s", claim->gateway);
	(void)snprintf(taken.instance, sizeof taken.instance, "%s", claim->instance);
	(void)snprintf(taken.client, sizeof taken.client, "%s", claim->client);
	(void)snprintf(taken.image, sizeof taken.image, "%s", claim->image);
	(void)snprintf(taken.why, sizeof taken.why, "%s", claim->why);
	return write_record(store, lun, record, &taken, claim, err);
}

int owner_record_confirm(struct store *store, const char *lun, const struct owner_record *record,
                         const struct owner_claim *claim, struct error *err)
{
	return put_at_once(store, lun, record->text, record->text, claim, err);
}

int owner_record_release(struct store *store, const char *lun, struct owner_record *record,
                         const char *next, const char *why, struct error *err)
{
	if (record->state != OWNER_ACTIVE)
		return error_set(err, -ECANCELED, "%s is not owned: it cannot be given back", lun);
	struct owner_record released = *record;
	released.state = OWNER_CLEAN;
	released.client[0] = '\0';
	(void)snprintf(released.next, sizeof released.next, "%s", next ? next : "");
	(void)snprintf(released.why, sizeof released.why, "%s", why);
	return write_record(store, lun, record, &released, &(struct owner_claim){ 0 }, err);
}

int owner_record_check_image(const struct owner_record *record, const char *lun, const char *image,
                             struct error *err)
{
	if (!*image || !*record->image || strcmp(image, record->image) == 0)
		return 0;
	return error_set(
	        err, -ESTALE,
	        "%s: the image was replaced by another one of the same name (its id is %s, "
	        "the disk's was %s): initiators would take it for the old one. Delete the "
	        "disk and add it again, or bring the old image back",
	        lun, image, record->image);
}

/* What a disk leaves behind. */
static const char *const left_rows[] = { OWNER_ROWS, "reservation/", "outsider/", "rollback/" };

struct left_row {
	char *key, *text; /* text NULL: no row */
};

static int read_left(struct store *store, const char *lun,
                     struct left_row rows[ARRAY_LEN(left_rows)], struct error *err)
{
	int r = 0;
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(left_rows); i++) {
		struct string key = { 0 };
		string_format(&key, "%s%s", left_rows[i], lun);
		rows[i].key = string_take(&key);
		if (!rows[i].key)
			return explain(-ENOMEM, lun, err);
		r = store_get_row(store, rows[i].key, &rows[i].text, err);
		r = r == -ENOENT ? 0 : r;
	}
	return r;
}

/* After the rows were read: who takes the LUN by a newer object changes them later than that. */
static int confirm_object(struct store *store, const struct store_version *object,
                          struct error *err)
{
	struct store_version now;
	AUTO_FREE char *text = NULL;
	int r = store_load(store, &text, &now, err);
	if (r < 0)
		return r;
	bool same = now.epoch == object->epoch && now.revision == object->revision;
	return same ? 0 : error_set(err, -ECANCELED, "the configuration has changed meanwhile");
}

/* At once: reservations that outlived the record would be those of the next disk of this name. */
static int remove_left(struct store *store, const struct left_row rows[ARRAY_LEN(left_rows)],
                       struct error *err)
{
	struct store_change changes[ARRAY_LEN(left_rows) + 1], epochs = { 0 };
	size_t count = 0;
	int r = rows[0].text ? keep_epoch(store, rows[0].text, &epochs, err) : 0;
	if (epochs.key)
		changes[count++] = epochs;
	for (size_t i = ARRAY_LEN(left_rows); i-- > 0;) /* the record last */
		changes[count++] =
		        (struct store_change){ .key = rows[i].key, .expected = rows[i].text };
	if (r == 0)
		r = store_put_rows_at_once(store, changes, count, err);
	free((char *)epochs.expected);
	free((char *)epochs.text);
	return r;
}

int owner_record_remove(struct store *store, const char *lun, const struct store_version *object,
                        struct error *err)
{
	struct left_row rows[ARRAY_LEN(left_rows)] = { 0 };
	int r = read_left(store, lun, rows, err);
	if (r == 0)
		r = confirm_object(store, object, err);
	if (r == 0)
		r = remove_left(store, rows, err);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		free(rows[i].key);
		free(rows[i].text);
	}
	return r;
}
