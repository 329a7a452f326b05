/* The store in a pool; what its files share. Objects:
 *   OBJECT          the JSON and its xattr `epoch`, exactly as ceph-iscsi has them
 *   OBJECT.rbdgate  ours: omap keys row/KEY, member/GATEWAY, report/GATEWAY; watched by the members
 * Each call opens a pool handle of its own, because the version of the last operation is a property
 * of the handle. */
#pragma once

#include "cluster/client.h"
#include "store/kinds.h"

#include <pthread.h>
#include <rados/librados.h>

struct rados_member;

/* A change that waits for its turn (rados_batch.c); lives on its thread's stack. */
struct rados_change {
	/* Keys are full, text NULL removes. All rows change, or none. */
	const struct store_change *rows;
	size_t row_count;
	bool guarded; /* only if the rows are as expected, where NULL is none */
	/* Of the batch: */
	struct rados_change *next;
	int result;
	bool done;
};
struct rados_rows {
	pthread_mutex_t lock; /* of the rest */
	pthread_cond_t written;
	struct rados_change *waiting; /* in order of arrival */
	bool busy;                    /* somebody writes a batch */
};

struct rados_store {
	struct store store;
	struct cluster_client *cluster;
	char *pool, *object, *side;
	bool exclusive_writers;
	unsigned lock_timeout_ms;
	pthread_mutex_t commit_mutex; /* the lock of the object does not exclude our own threads */
	struct rados_rows rows;
	struct rados_member *member; /* NULL: not joined; written by join and leave only */
};

static inline struct rados_store *rados_store_of(const struct store *store)
{
	return (struct rados_store *)store;
}

static inline void pool_auto_close(rados_ioctx_t *pool)
{
	if (*pool)
		cluster_pool_close(*pool);
}
#define AUTO_POOL __attribute__((cleanup(pool_auto_close)))

int rados_open_pool(const struct rados_store *rados, rados_ioctx_t *ret_pool,
                    struct error *err) MUST_CHECK;
/* What a failure of the cluster means, for people. */
const char *rados_why(int code);
/* "cannot DO it on POOL/OBJECT: why", with what to do where that is known. Returns code. */
int rados_failed(const struct rados_store *rados, int code, const char *what, struct error *err);

/* A row by its full key, without a guard; text NULL removes. */
int rados_set(struct rados_store *rados, const char *key, const char *text,
              struct error *err) MUST_CHECK;
/* Blocks until each has its result. */
void rados_change_rows(struct rados_store *rados, struct rados_change *changes, size_t count);
/* visit gets the keys without the prefix. */
int rados_visit(const struct rados_store *rados, const char *prefix,
                void (*visit)(void *argument, const char *key, const char *text), void *argument,
                struct error *err) MUST_CHECK;
/* Makes OBJECT.rbdgate. */
int rados_make_side(const struct rados_store *rados, struct error *err) MUST_CHECK;

int rados_get_row(struct store *store, const char *key, char **ret_text,
                  struct error *err) MUST_CHECK;
int rados_put_row(struct store *store, const char *key, const char *expected, const char *text,
                  struct error *err) MUST_CHECK;
int rados_put_rows_at_once(struct store *store, const struct store_change *changes, size_t count,
                           struct error *err) MUST_CHECK;
void rados_put_rows(struct store *store, struct store_change **changes, size_t count);
int rados_list_rows(struct store *store, const char *prefix,
                    void (*visit)(void *argument, const char *key, const char *text),
                    void *argument, struct error *err) MUST_CHECK;

int rados_rows_version(struct store *store, uint64_t *ret_version, struct error *err) MUST_CHECK;

int rados_join(struct store *store, const char *gateway, struct store_listener *listener,
               struct error *err) MUST_CHECK;
void rados_leave(struct store *store);
int rados_report(struct store *store, uint64_t epoch, const char *problem,
                 struct error *err) MUST_CHECK;
int rados_announce(struct store *store, uint64_t epoch, unsigned timeout_ms,
                   struct store_answer **ret_answers, size_t *ret_count,
                   struct error *err) MUST_CHECK;

int rados_tell_members(struct store *store, const char *text, struct error *err) MUST_CHECK;

/* ---- notifications ---- */

#define RADOS_TELL_PREFIX "tell " /* of a notification: what follows is a member's message */

struct rados_watcher {
	uint64_t client, cookie;
	char *gateway; /* what it acknowledged with; NULL: it did not until the time-out */
};
struct rados_watchers {
	struct rados_watcher *list;
	size_t count;
};
/* Tells all watchers of OBJECT.rbdgate, and who they are. timeout_s 1..; the call ends soon after
 * it even if the cluster hangs. */
int rados_tell(const struct rados_store *rados, const char *message, unsigned timeout_s,
               struct rados_watchers *ret_watchers, struct error *err) MUST_CHECK;
void rados_watchers_done(struct rados_watchers *watchers);
