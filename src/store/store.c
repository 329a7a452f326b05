/* The store as its users see it: hands each call to the kind. */
#include "store/store.h"

#include "base/text.h"
#include "store/kinds.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const struct store_ops *const kinds[] = { &dir_store_ops, &rados_store_ops };

int store_open(const struct store_config *config, struct store **ret_store, struct error *err)
{
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (!strcmp(config->kind, kinds[i]->kind))
			return kinds[i]->open(config, ret_store, err);
	return error_set(err, -EINVAL, "there is no store of kind %s; use rados or dir:PATH",
	                 config->kind);
}

void store_free(struct store *store)
{
	if (!store)
		return;
	store->ops->leave(store);
	store->ops->free(store);
}

int store_load(struct store *store, char **ret_text, struct store_version *ret_version,
               struct error *err)
{
	return store->ops->load(store, ret_text, ret_version, err);
}

int store_commit(struct store *store, const char *text, uint64_t epoch,
                 const struct store_version *expected, struct error *err)
{
	if (strlen(text) > STORE_TEXT_MAX)
		return error_set(err, -EFBIG, "the configuration object grew beyond %u bytes",
		                 STORE_TEXT_MAX);
	return store->ops->commit(store, text, epoch, expected, err);
}

int store_join(struct store *store, const char *gateway, struct store_listener *listener,
               struct error *err)
{
	struct store_answer answer;
	if (!gateway[0] || strlen(gateway) >= sizeof answer.gateway)
		return error_set(err, -EINVAL, "the name of the gateway has to have 1 to %zu bytes",
		                 sizeof answer.gateway - 1);
	return store->ops->join(store, gateway, listener, err);
}

void store_leave(struct store *store)
{
	store->ops->leave(store);
}

int store_report(struct store *store, uint64_t epoch, const char *problem, struct error *err)
{
	return store->ops->report(store, epoch, problem, err);
}

int store_announce(struct store *store, uint64_t epoch, unsigned timeout_ms,
                   struct store_answer **ret_answers, size_t *ret_count, struct error *err)
{
	return store->ops->announce(store, epoch, timeout_ms, ret_answers, ret_count, err);
}

int store_tell(struct store *store, const char *text, struct error *err)
{
	if (strlen(text) > STORE_TELL_MAX)
		return error_set(err, -EMSGSIZE, "a message to the gateways has more than %u bytes",
		                 STORE_TELL_MAX);
	return store->ops->tell(store, text, err);
}

int store_get_row(struct store *store, const char *key, char **ret_text, struct error *err)
{
	return store->ops->get_row(store, key, ret_text, err);
}

static int check_row(const char *key, const char *text, struct error *err)
{
	if (!key[0] || (text && !text[0]))
		return error_set(err, -EINVAL, "a row needs a key and a text");
	if (text && strlen(text) > STORE_ROW_MAX)
		return error_set(err, -EFBIG, "the row %s has more than %u bytes", key,
		                 STORE_ROW_MAX);
	return 0;
}

int store_put_row(struct store *store, const char *key, const char *expected, const char *text,
                  struct error *err)
{
	int r = check_row(key, text, err);
	return r == 0 ? store->ops->put_row(store, key, expected, text, err) : r;
}

bool store_only_compares(const struct store_change *change)
{
	const char *expected = change->expected, *text = change->text;
	return expected && text ? strcmp(expected, text) == 0 : expected == text;
}

int store_put_rows_at_once(struct store *store, const struct store_change *changes, size_t count,
                           struct error *err)
{
	assert(count <= STORE_AT_ONCE);
	for (size_t i = 0; i < count; i++) {
		int r = check_row(changes[i].key, changes[i].text, err);
		if (r < 0)
			return r;
	}
	return store->ops->put_rows_at_once(store, changes, count, err);
}

/* Those that passed the check. */
static void put_checked(struct store *store, struct store_change **changes, size_t count)
{
	if (store->ops->put_rows) {
		store->ops->put_rows(store, changes, count);
		return;
	}
	for (size_t i = 0; i < count; i++)
		changes[i]->result = store->ops->put_row(
		        store, changes[i]->key, changes[i]->expected, changes[i]->text, NULL);
}

void store_put_rows(struct store *store, struct store_change *changes, size_t count)
{
	struct store_change *some[STORE_PUT_AT_ONCE];
	size_t waiting = 0;
	for (size_t i = 0; i < count; i++) {
		changes[i].result = check_row(changes[i].key, changes[i].text, NULL);
		if (changes[i].result == 0)
			some[waiting++] = &changes[i];
		if (waiting == ARRAY_LEN(some) || (waiting > 0 && i + 1 == count)) {
			put_checked(store, some, waiting);
			waiting = 0;
		}
	}
}

int store_list_rows(struct store *store, const char *prefix,
                    void (*visit)(void *argument, const char *key, const char *text),
                    void *argument, struct error *err)
{
	return store->ops->list_rows(store, prefix, visit, argument, err);
}

int store_rows_version(struct store *store, uint64_t *ret_version, struct error *err)
{
	*ret_version = 0;
	return store->ops->rows_version ? store->ops->rows_version(store, ret_version, err) : 0;
}

uint64_t store_hash(const char *text, size_t len)
{
	uint64_t hash = 0xcbf29ce484222325;
	for (size_t i = 0; i < len; i++)
		hash = (hash ^ (uint8_t)text[i]) * 0x100000001b3;
	return hash;
}

char *store_format_report(uint64_t epoch, const char *problem)
{
	struct string report = { 0 };
	string_format(&report, "%" PRIu64 "\n%s", epoch, problem);
	return string_take(&report);
}

void store_read_report(const char *report, uint64_t epoch, struct store_answer *ret_answer)
{
	uint64_t reported;
	char digits[24];
	ret_answer->state = STORE_MEMBER_SILENT;
	ret_answer->text[0] = '\0';
	const char *end = report ? strchr(report, '\n') : NULL;
	if (!end || end - report >= (ptrdiff_t)sizeof digits)
		return;
	(void)snprintf(digits, sizeof digits, "%.*s", (int)(end - report), report);
	if (text_to_uint(digits, 0, UINT64_MAX, &reported) < 0 || reported < epoch)
		return;
	ret_answer->state = end[1] ? STORE_MEMBER_FAILED : STORE_MEMBER_APPLIED;
	(void)snprintf(ret_answer->text, sizeof ret_answer->text, "%.*s",
	               (int)sizeof ret_answer->text - 1, end + 1);
}
