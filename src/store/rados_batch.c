/* Changes of rows by many threads go to the cluster together: the side object takes one operation
 * at a time, so what waits for the one before travels in the next. A gateway that takes over
 * hundreds of disks changes as many rows.
 *
 * An operation happens whole or not at all: if one guard fails, each change is tried alone. */
#include "store/rados.h"

#include <errno.h>
#include <string.h>

#define BATCH_CHANGES 32
#define BATCH_BYTES   (256u * 1024)

struct batch {
	struct rados_change *changes[BATCH_CHANGES];
	size_t count, bytes;
};

static bool same_row(const struct store_change *one, const struct store_change *other)
{
	return strcmp(one->key, other->key) == 0;
}

static bool same_expectation(const struct store_change *one, const struct store_change *other)
{
	const char *a = one->expected, *b = other->expected;
	return a && b ? strcmp(a, b) == 0 : a == b;
}

/* Hundreds of takes at once have the same guard: that this gateway has not been condemned. What is
 * only compared nothing else in the operation writes, so the others compare it as well. */
static bool is_compared(struct rados_change *const *before, size_t count,
                        const struct store_change *row)
{
	for (size_t i = 0; i < count; i++)
		for (size_t j = 0; j < before[i]->row_count; j++)
			if (same_row(&before[i]->rows[j], row))
				return same_expectation(&before[i]->rows[j], row);
	return false;
}

static void add_compare(rados_write_op_t op, const struct store_change *row)
{
	const char *expected = row->expected ? row->expected : "";
	rados_write_op_omap_cmp(op, row->key, LIBRADOS_CMPXATTR_OP_EQ, expected, strlen(expected),
	                        NULL);
}

static void add_write(rados_write_op_t op, const struct store_change *row)
{
	const char *key = row->key, *text = row->text;
	size_t key_len = strlen(key), text_len = text ? strlen(text) : 0;
	if (text)
		rados_write_op_omap_set2(op, &key, &text, &key_len, &text_len, 1);
	else
		rados_write_op_omap_rm_keys2(op, &key, &key_len, 1);
}

/* changes[at], after those before it. */
static void add_change(rados_write_op_t op, struct rados_change *const *changes, size_t at)
{
	const struct rados_change *change = changes[at];
	if (!change->guarded)
		rados_write_op_assert_exists(op);
	for (size_t i = 0; i < change->row_count; i++) {
		const struct store_change *row = &change->rows[i];
		bool only_compares = change->guarded && store_only_compares(row);
		if (change->guarded && !(only_compares && is_compared(changes, at, row)))
			add_compare(op, row);
		if (!only_compares)
			add_write(op, row);
	}
}

static int write_changes(const struct rados_store *rados, rados_ioctx_t pool,
                         struct rados_change *const *changes, size_t count)
{
	int r = -ENOENT;
	for (int attempt = 0; r == -ENOENT && attempt < 2; attempt++) {
		if (attempt > 0 && rados_make_side(rados, NULL) < 0)
			return r;
		rados_write_op_t op = rados_create_write_op();
		for (size_t i = 0; i < count; i++)
			add_change(op, changes, i);
		r = rados_write_op_operate(op, pool, rados->side, NULL, 0);
		rados_release_write_op(op);
	}
	return r;
}

static void write_batch(const struct rados_store *rados, const struct batch *batch)
{
	AUTO_POOL rados_ioctx_t pool = NULL;
	int r = rados_open_pool(rados, &pool, NULL);
	if (r == 0)
		r = write_changes(rados, pool, batch->changes, batch->count);
	bool alone = r == -ECANCELED && batch->count > 1;
	for (size_t i = 0; i < batch->count; i++)
		batch->changes[i]->result =
		        alone ? write_changes(rados, pool, &batch->changes[i], 1) : r;
}

/* ---- who writes ---- */

static size_t change_bytes(const struct rados_change *change)
{
	size_t bytes = 0;
	for (size_t i = 0; i < change->row_count; i++)
		bytes += change->rows[i].text ? strlen(change->rows[i].text) : 0;
	return bytes;
}

static bool writes(const struct rados_change *change, const struct store_change *row)
{
	return !change->guarded || !store_only_compares(row);
}

static bool exclude_each_other(const struct rados_change *one, const struct rados_change *other)
{
	for (size_t i = 0; i < one->row_count; i++)
		for (size_t j = 0; j < other->row_count; j++)
			if (same_row(&one->rows[i], &other->rows[j]) &&
			    (writes(one, &one->rows[i]) || writes(other, &other->rows[j])))
				return true;
	return false;
}

/* Guards are held against what stood there before the operation, so what one writes no other may
 * look at. */
static bool fits(const struct batch *batch, const struct rados_change *change)
{
	if (batch->count == BATCH_CHANGES ||
	    (batch->count > 0 && batch->bytes + change_bytes(change) > BATCH_BYTES))
		return false;
	for (size_t i = 0; i < batch->count; i++)
		if (exclude_each_other(batch->changes[i], change))
			return false;
	return true;
}

/* Under lock. The first that waits is always in it. */
static void take_batch(struct rados_rows *rows, struct batch *batch)
{
	for (struct rados_change **at = &rows->waiting; *at;) {
		struct rados_change *change = *at;
		if (!fits(batch, change)) {
			at = &change->next;
			continue;
		}
		*at = change->next;
		batch->bytes += change_bytes(change);
		batch->changes[batch->count++] = change;
	}
}

/* One thread at a time writes, for all that wait. */
static void lead(struct rados_store *rados)
{
	struct rados_rows *rows = &rados->rows;
	struct batch batch = { .count = 0 };
	take_batch(rows, &batch);
	rows->busy = true;
	(void)pthread_mutex_unlock(&rows->lock);
	write_batch(rados, &batch);
	(void)pthread_mutex_lock(&rows->lock);
	rows->busy = false;
	for (size_t i = 0; i < batch.count; i++)
		batch.changes[i]->done = true;
	(void)pthread_cond_broadcast(&rows->written);
}

void rados_change_rows(struct rados_store *rados, struct rados_change *changes, size_t count)
{
	struct rados_rows *rows = &rados->rows;
	(void)pthread_mutex_lock(&rows->lock);
	struct rados_change **end = &rows->waiting;
	while (*end)
		end = &(*end)->next;
	for (size_t i = 0; i < count; i++) {
		*end = &changes[i];
		end = &changes[i].next;
	}
	for (size_t i = 0; i < count; i++) {
		while (!changes[i].done) {
			if (rows->busy)
				(void)pthread_cond_wait(&rows->written, &rows->lock);
			else
				lead(rados);
		}
	}
	(void)pthread_mutex_unlock(&rows->lock);
}
