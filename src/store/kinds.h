/* What a kind of store offers to store.c and image.c: one table each. The store embeds its base as
 * its first member. */
#pragma once

#include "store/image.h"
#include "store/store.h"

struct store_ops {
	const char *kind;
	int (*open)(const struct store_config *config, struct store **ret_store, struct error *err);
	void (*free)(struct store *store);
	int (*load)(struct store *store, char **ret_text, struct store_version *ret_version,
	            struct error *err);
	int (*commit)(struct store *store, const char *text, uint64_t epoch,
	              const struct store_version *expected, struct error *err);
	int (*join)(struct store *store, const char *gateway, struct store_listener *listener,
	            struct error *err);
	void (*leave)(struct store *store);
	int (*report)(struct store *store, uint64_t epoch, const char *problem, struct error *err);
	int (*announce)(struct store *store, uint64_t epoch, unsigned timeout_ms,
	                struct store_answer **ret_answers, size_t *ret_count, struct error *err);
	int (*tell)(struct store *store, const char *text, struct error *err);
	int (*get_row)(struct store *store, const char *key, char **ret_text, struct error *err);
	int (*put_row)(struct store *store, const char *key, const char *expected, const char *text,
	               struct error *err);
	int (*put_rows_at_once)(struct store *store, const struct store_change *changes,
	                        size_t count, struct error *err);
	/* NULL: one after the other. The changes have been checked; `result` is not set yet. */
	void (*put_rows)(struct store *store, struct store_change **changes, size_t count);
	int (*list_rows)(struct store *store, const char *prefix,
	                 void (*visit)(void *argument, const char *key, const char *text),
	                 void *argument, struct error *err);
	/* NULL: it cannot tell. */
	int (*rows_version)(struct store *store, uint64_t *ret_version, struct error *err);
	const struct image_ops *images;
};

struct image_ops {
	int (*create)(struct store *store, const char *pool, const char *image, uint64_t size_bytes,
	              struct error *err);
	int (*resize)(struct store *store, const char *pool, const char *image, uint64_t size_bytes,
	              struct error *err);
	int (*remove)(struct store *store, const char *pool, const char *image, struct error *err);
	int (*stat)(struct store *store, const char *pool, const char *image,
	            struct image_info *ret_info, struct error *err);
	char *(*path)(const struct store *store, const char *pool, const char *image);
	/* NULL: this kind has no snapshots. */
	int (*snapshot_create)(struct store *store, const char *pool, const char *image,
	                       const char *snapshot, struct error *err);
	int (*snapshot_remove)(struct store *store, const char *pool, const char *image,
	                       const char *snapshot, struct error *err);
	int (*snapshot_check)(struct store *store, const char *pool, const char *image,
	                      const char *snapshot, struct error *err);
	int (*snapshot_rollback)(struct store *store, const char *pool, const char *image,
	                         const char *snapshot, const struct image_consent *consent,
	                         struct error *err);
};

struct store {
	const struct store_ops *ops;
};

extern const struct store_ops dir_store_ops, rados_store_ops;
extern const struct image_ops file_image_ops, rbd_image_ops;

#define STORE_TEXT_MAX    (64u * 1024 * 1024) /* of the object */
#define STORE_PUT_AT_ONCE 64                  /* changes that put_rows() gets */
/* The row is there for the others: it stays as it is. */
bool store_only_compares(const struct store_change *change);
#define STORE_ROW_MAX  (8u * 1024 * 1024)
#define STORE_TELL_MAX (64u * 1024)

/* 64-bit FNV-1a: a change of the text shows; nobody who could write it needs to forge it. */
uint64_t store_hash(const char *text, size_t len);
/* The report of a member as it is kept: "EPOCH\nPROBLEM". */
char *store_format_report(uint64_t epoch, const char *problem) MUST_CHECK;
/* What a report (NULL: none yet) says about an epoch. */
void store_read_report(const char *report, uint64_t epoch, struct store_answer *ret_answer);
