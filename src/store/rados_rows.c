/* Rows of a rados store: omap keys of OBJECT.rbdgate. A row is never empty, because to the guard an
 * absent key and an empty value are equal. */
#include "store/rados.h"

#include "base/text.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PAGE_ROWS 512

static char *full_key(const char *prefix, const char *key)
{
	struct string full = { 0 };
	string_format(&full, "%s%s", prefix, key);
	return string_take(&full);
}

int rados_make_side(const struct rados_store *rados, struct error *err)
{
	AUTO_POOL rados_ioctx_t pool = NULL;
	int r = rados_open_pool(rados, &pool, err);
	if (r < 0)
		return r;
	rados_write_op_t op = rados_create_write_op();
	rados_write_op_create(op, LIBRADOS_CREATE_IDEMPOTENT, NULL);
	r = rados_write_op_operate(op, pool, rados->side, NULL, 0);
	rados_release_write_op(op);
	return r < 0 ? rados_failed(rados, r, "create the side object of", err) : 0;
}

int rados_set(struct rados_store *rados, const char *key, const char *text, struct error *err)
{
	const struct store_change row = { .key = key, .text = text };
	struct rados_change change = { .rows = &row, .row_count = 1 };
	rados_change_rows(rados, &change, 1);
	return change.result < 0 ? rados_failed(rados, change.result, "change a row of", err) : 0;
}

/* Rows by their full keys. */
struct full_rows {
	struct store_change rows[STORE_PUT_AT_ONCE];
	char *keys[STORE_PUT_AT_ONCE];
	size_t count;
};

static bool add_row(struct full_rows *full, const struct store_change *row)
{
	char *key = full_key("row/", row->key);
	if (!key)
		return false;
	full->keys[full->count] = key;
	full->rows[full->count++] =
	        (struct store_change){ .key = key, .expected = row->expected, .text = row->text };
	return true;
}

static void full_rows_done(struct full_rows *full)
{
	while (full->count > 0)
		free(full->keys[--full->count]);
}

int rados_put_rows_at_once(struct store *store, const struct store_change *changes, size_t count,
                           struct error *err)
{
	struct rados_store *rados = rados_store_of(store);
	struct full_rows full = { .count = 0 };
	int r = 0;
	for (size_t i = 0; r == 0 && i < count; i++)
		r = add_row(&full, &changes[i]) ? 0 : error_set(err, -ENOMEM, "out of memory");
	if (r == 0) {
		struct rados_change change = { .rows = full.rows,
			                       .row_count = count,
			                       .guarded = true };
		rados_change_rows(rados, &change, 1);
		r = change.result;
		if (r == -ECANCELED)
			(void)error_set(err, r, "the row %s%s was changed meanwhile", changes->key,
			                count > 1 ? ", or one that guards it," : "");
		else if (r < 0)
			(void)rados_failed(rados, r, "change a row of", err);
	}
	full_rows_done(&full);
	return r;
}

int rados_put_row(struct store *store, const char *key, const char *expected, const char *text,
                  struct error *err)
{
	const struct store_change change = { .key = key, .expected = expected, .text = text };
	return rados_put_rows_at_once(store, &change, 1, err);
}

void rados_put_rows(struct store *store, struct store_change **changes, size_t count)
{
	struct full_rows full = { .count = 0 };
	struct rados_change waiting[STORE_PUT_AT_ONCE];
	assert(count <= ARRAY_LEN(waiting));
	for (size_t i = 0; i < count && add_row(&full, changes[i]); i++)
		waiting[i] = (struct rados_change){ .rows = &full.rows[i],
			                            .row_count = 1,
			                            .guarded = true };
	rados_change_rows(rados_store_of(store), waiting, full.count);
	for (size_t i = 0; i < count; i++)
		changes[i]->result = i < full.count ? waiting[i].result : -ENOMEM;
	full_rows_done(&full);
}

int rados_get_row(struct store *store, const char *key, char **ret_text, struct error *err)
{
	const struct rados_store *rados = rados_store_of(store);
	AUTO_FREE char *full = full_key("row/", key);
	AUTO_POOL rados_ioctx_t pool = NULL;
	rados_omap_iter_t rows = NULL;
	int result = 0;
	if (!full)
		return error_set(err, -ENOMEM, "out of memory");
	int r = rados_open_pool(rados, &pool, err);
	if (r < 0)
		return r;
	const char *name = full;
	size_t name_len = strlen(full), found_len = 0, text_len = 0;
	rados_read_op_t op = rados_create_read_op();
	rados_read_op_omap_get_vals_by_keys2(op, &name, 1, &name_len, &rows, &result);
	r = rados_read_op_operate(op, pool, rados->side, 0);
	rados_release_read_op(op);
	char *found = NULL, *text = NULL, *copy = NULL;
	bool present = r == 0 && rows &&
	               rados_omap_get_next2(rows, &found, &text, &found_len, &text_len) == 0 &&
	               found;
	if (present)
		copy = text_from_bytes(text, text_len);
	if (rows)
		rados_omap_get_end(rows);
	if (r < 0 && r != -ENOENT)
		return rados_failed(rados, r, "read a row of", err);
	if (!present)
		return error_set(err, -ENOENT, "there is no row %s", key);
	if (!copy)
		return error_set(err, -ENOMEM, "out of memory");
	*ret_text = copy;
	return 0;
}

/* One page: visits its rows, keeps the last key for the next. */
struct page {
	const char *prefix;
	size_t strip; /* bytes of the keys that the visitor does not see */
	void (*visit)(void *argument, const char *key, const char *text);
	void *argument;
	char *last_key;
	bool more;
};

static int visit_rows(rados_omap_iter_t rows, struct page *page)
{
	char *key, *text;
	size_t key_len, text_len;
	while (rados_omap_get_next2(rows, &key, &text, &key_len, &text_len) == 0 && key) {
		AUTO_FREE char *text_copy = text_from_bytes(text, text_len);
		char *key_copy = text_from_bytes(key, key_len);
		free(page->last_key);
		page->last_key = key_copy;
		if (!text_copy || !key_copy)
			return -ENOMEM;
		page->visit(page->argument, key_copy + page->strip, text_copy);
	}
	return 0;
}

static int visit_page(const struct rados_store *rados, rados_ioctx_t pool, struct page *page)
{
	rados_read_op_t op = rados_create_read_op();
	rados_omap_iter_t rows = NULL;
	unsigned char more = 0;
	int result = 0;
	rados_read_op_omap_get_vals2(op, page->last_key ? page->last_key : "", page->prefix,
	                             PAGE_ROWS, &rows, &more, &result);
	int r = rados_read_op_operate(op, pool, rados->side, 0);
	rados_release_read_op(op);
	if (r == 0 && rows)
		r = visit_rows(rows, page);
	if (rows)
		rados_omap_get_end(rows);
	page->more = r == 0 && more;
	return r;
}

static int visit_pages(const struct rados_store *rados, struct page *page, struct error *err)
{
	AUTO_POOL rados_ioctx_t pool = NULL;
	int r = rados_open_pool(rados, &pool, err);
	if (r < 0)
		return r;
	do {
		r = visit_page(rados, pool, page);
	} while (page->more);
	free(page->last_key);
	if (r == -ENOENT) /* no side object yet */
		return 0;
	return r < 0 ? rados_failed(rados, r, "list the rows of", err) : 0;
}

int rados_visit(const struct rados_store *rados, const char *prefix,
                void (*visit)(void *argument, const char *key, const char *text), void *argument,
                struct error *err)
{
	struct page page = {
		.prefix = prefix, .strip = strlen(prefix), .visit = visit, .argument = argument
	};
	return visit_pages(rados, &page, err);
}

int rados_list_rows(struct store *store, const char *prefix,
                    void (*visit)(void *argument, const char *key, const char *text),
                    void *argument, struct error *err)
{
	AUTO_FREE char *full = full_key("row/", prefix);
	if (!full)
		return error_set(err, -ENOMEM, "out of memory");
	struct page page = {
		.prefix = full, .strip = strlen("row/"), .visit = visit, .argument = argument
	};
	return visit_pages(rados_store_of(store), &page, err);
}

/* Each change of an omap key counts the version of the object up; watches and notifications do not.
 */
int rados_rows_version(struct store *store, uint64_t *ret_version, struct error *err)
{
	const struct rados_store *rados = rados_store_of(store);
	AUTO_POOL rados_ioctx_t pool = NULL;
	uint64_t size;
	time_t changed;
	int r = rados_open_pool(rados, &pool, err);
	if (r < 0)
		return r;
	r = rados_stat(pool, rados->side, &size, &changed);
	if (r == 0)
		*ret_version = rados_get_last_version(pool);
	return r < 0 && r != -ENOENT ? rados_failed(rados, r, "look at the rows of", err) : 0;
}
