/* Rows of rollbacks: {"snapshot", "state", "token", "by", "at", "problem"?}; by and at are for
 * people. */
#include "ownership/rollback.h"

#include "base/json.h"
#include "ownership/record.h"
#include "store/store.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#define PREFIX "rollback/"

static const char *const state_names[] = {
	[ROLLBACK_ASKED] = "asked",
	[ROLLBACK_ORDERED] = "ordered",
	[ROLLBACK_FAILED] = "failed",
};

void rollback_done(struct rollback *rollback)
{
	free(rollback->snapshot);
	free(rollback->problem);
	free(rollback->text);
	*rollback = (struct rollback){ .state = ROLLBACK_NONE };
}

void rollback_move(struct rollback *to, struct rollback *from)
{
	rollback_done(to);
	*to = *from;
	*from = (struct rollback){ .state = ROLLBACK_NONE };
}

bool rollback_is_same(const struct rollback *one, const struct rollback *other)
{
	return one->text && other->text ? strcmp(one->text, other->text) == 0
	                                : one->text == other->text;
}

static char *key_of(const char *lun)
{
	struct string key = { 0 };
	string_format(&key, PREFIX "%s", lun);
	return string_take(&key);
}

static int no_memory(const char *lun, struct error *err)
{
	return error_set(err, -ENOMEM, "the rollback of %s: out of memory", lun);
}

/* ---- reading ---- */

static enum rollback_state read_state(const json_t *row)
{
	const char *name = json_text(row, "state", "");
	for (size_t i = ROLLBACK_ASKED; i < ARRAY_LEN(state_names); i++)
		if (strcmp(name, state_names[i]) == 0)
			return (enum rollback_state)i;
	return ROLLBACK_UNKNOWN;
}

int rollback_parse(const char *text, struct rollback *ret_rollback)
{
	AUTO_JSON json_t *row = json_loads(text, 0, NULL);
	const char *snapshot = json_text(row, "snapshot", "");
	const char *token = json_text(row, "token", "");
	bool whole = *snapshot && *token && strlen(token) < ROLLBACK_TOKEN_MAX;
	struct rollback rollback = {
		.state = whole ? read_state(row) : ROLLBACK_UNKNOWN,
		.snapshot = strdup(snapshot),
		.problem = strdup(json_text(row, "problem", "")),
		.text = strdup(text),
	};
	if (!rollback.snapshot || !rollback.problem || !rollback.text) {
		rollback_done(&rollback);
		return -ENOMEM;
	}
	(void)snprintf(rollback.token, sizeof rollback.token, "%s", token);
	*ret_rollback = rollback;
	return 0;
}

int rollback_read(struct store *store, const char *lun, struct rollback *ret_rollback,
                  struct error *err)
{
	AUTO_FREE char *key = key_of(lun), *text = NULL;
	if (!key)
		return no_memory(lun, err);
	int r = store_get_row(store, key, &text, err);
	if (r == -ENOENT) {
		*ret_rollback = (struct rollback){ .state = ROLLBACK_NONE };
		return 0;
	}
	if (r == 0 && rollback_parse(text, ret_rollback) < 0)
		r = no_memory(lun, err);
	return r;
}

struct listing {
	void (*visit)(void *argument, const char *lun, const char *text);
	void *argument;
};

static void visit_row(void *argument, const char *key, const char *text)
{
	const struct listing *listing = argument;
	listing->visit(listing->argument, key + strlen(PREFIX), text);
}

int rollback_list(struct store *store,
                  void (*visit)(void *argument, const char *lun, const char *text), void *argument,
                  struct error *err)
{
	struct listing listing = { visit, argument };
	return store_list_rows(store, PREFIX, visit_row, &listing, err);
}

/* ---- changing ---- */

static int make_token(char ret_token[ROLLBACK_TOKEN_MAX])
{
	uint8_t random[(ROLLBACK_TOKEN_MAX - 1) / 2];
	if (getrandom(random, sizeof random, 0) != sizeof random)
		return -EIO;
	text_put_hex(random, sizeof random, ret_token);
	return 0;
}

static char *format_row(const char *snapshot, enum rollback_state state, const char *token,
                        const char *by, const char *problem)
{
	AUTO_JSON json_t *row = json_pack("{s:s, s:s, s:s, s:s*, s:s*, s:I}", "snapshot", snapshot,
	                                  "state", state_names[state], "token", token, "by", by,
	                                  "problem", problem, "at", (json_int_t)time(NULL));
	return row ? json_format(row, &json_style_compact) : NULL;
}

/* text is taken over; NULL: no memory. */
static int replace(struct store *store, const char *lun, struct rollback *rollback, char *text,
                   struct error *err)
{
	AUTO_FREE char *owned = text, *key = key_of(lun);
	AUTO_ROLLBACK struct rollback changed = { 0 };
	if (!owned || !key || rollback_parse(owned, &changed) < 0)
		return no_memory(lun, err);
	int r = store_put_row(store, key, rollback->text, owned, err);
	if (r < 0)
		return r;
	rollback_move(rollback, &changed);
	/* Who misses it looks every second. */
	(void)!store_tell(store, ROLLBACK_WAKE, NULL);
	return 0;
}

int rollback_ask(struct store *store, const char *lun, const char *snapshot, const char *by,
                 struct rollback *rollback, struct error *err)
{
	char token[ROLLBACK_TOKEN_MAX];
	int r = make_token(token);
	if (r < 0)
		return error_set(err, r, "the rollback of %s: no random numbers", lun);
	return replace(store, lun, rollback, format_row(snapshot, ROLLBACK_ASKED, token, by, NULL),
	               err);
}

int rollback_order(struct store *store, const char *lun, struct rollback *rollback,
                   struct error *err)
{
	AUTO_JSON json_t *row = json_loads(rollback->text, 0, NULL);
	return replace(store, lun, rollback,
	               format_row(rollback->snapshot, ROLLBACK_ORDERED, rollback->token,
	                          json_text(row, "by", NULL), NULL),
	               err);
}

int rollback_end(struct store *store, const char *lun, const struct rollback *rollback,
                 const char *problem, const struct owner_record *record, struct error *err)
{
	AUTO_FREE char *key = key_of(lun), *text = NULL;
	if (problem)
		text = format_row(rollback->snapshot, ROLLBACK_FAILED, rollback->token, NULL,
		                  problem);
	if (!key || (problem && !text))
		return no_memory(lun, err);
	if (!record)
		return store_put_row(store, key, rollback->text, text, err);
	const struct store_change change = { .key = key, .expected = rollback->text, .text = text };
	const struct owner_claim claim = { .with = &change, .with_count = 1 };
	return owner_record_confirm(store, lun, record, &claim, err);
}

/* ---- who takes the LUN ---- */

int rollback_guard(const char *lun, const struct rollback *rollback,
                   struct store_change *ret_change)
{
	char *key = key_of(lun);
	if (!key)
		return -ENOMEM;
	*ret_change = (struct store_change){
		.key = key,
		.expected = rollback->text,
		.text = rollback->state == ROLLBACK_ASKED ? NULL : rollback->text,
	};
	return 0;
}

bool rollback_allows(const struct rollback *rollback, bool takes, uint64_t since_ms,
                     uint64_t now_ms)
{
	switch (rollback->state) {
	case ROLLBACK_NONE:
	case ROLLBACK_FAILED:
		return true;
	case ROLLBACK_ASKED:
		return takes && now_ms >= since_ms + ROLLBACK_ASKED_MS;
	case ROLLBACK_ORDERED:
		return takes;
	case ROLLBACK_UNKNOWN:
		break;
	}
	return false;
}
