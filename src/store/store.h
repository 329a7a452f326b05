/* Where the configuration object lives: `rados` (an object in a pool) or `dir:PATH` (the same JSON
 * in a file). The store moves bytes and epochs, and knows no meaning: guarded commits, rows beside
 * the object, and members (gateways) that are told of a change and report that it is in force. */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct store;

struct store_config {
	const char *kind;               /* "rados" or "dir" */
	const char *path;               /* dir: the folder; made if missing */
	struct cluster_client *cluster; /* rados: the control client (store/cluster.h), borrowed */
	const char *pool, *object;      /* rados; dir: object names the file */
	bool exclusive_writers;   /* rados: no upstream gateway can join: the lock may be skipped */
	unsigned lock_timeout_ms; /* rados: how long a commit waits for the lock; 0: 35 s */
};

/* Blocks. Creates nothing yet: store_load() of a missing object gives an empty text. */
int store_open(const struct store_config *config, struct store **ret_store,
               struct error *err) MUST_CHECK;
/* Ends the membership first. NULL is fine. */
void store_free(struct store *store);
DEFINE_AUTO(store);

/* All calls below: any thread but a reactor's; they block. */

/* What a commit is guarded by. */
struct store_version {
	uint64_t epoch;    /* rados: of the xattr; dir: of the text; 0 if there is none */
	uint64_t revision; /* hash of the text: also tells writers that left the epoch alone */
	bool exists;
};
/* The whole text, NUL terminated, to be free()d. An object that is not there: "" and !exists. */
int store_load(struct store *store, char **ret_text, struct store_version *ret_version,
               struct error *err) MUST_CHECK;

/* Writes text and epoch at once, if nobody was faster since `expected` was loaded: else -ECANCELED,
 * and the caller computes his change again from a fresh load. Never half done, durable on return.
 */
int store_commit(struct store *store, const char *text, uint64_t epoch,
                 const struct store_version *expected, struct error *err) MUST_CHECK;

/* ---- members: gateways that follow the object ---- */

struct store_listener {
	/* Some commit happened or may have (also after a lost and re-established watch). Any
	 * thread; the listener only posts and returns. Called once right after store_join(). */
	void (*changed)(struct store_listener *listener);
	/* Somebody's store_tell(). Any thread; copies and returns. May be NULL. */
	void (*told)(struct store_listener *listener, const char *text);
};
/* From now on store_announce() of any process counts on this member, until store_leave() or the
 * death of the process. One membership a store. -EBUSY: a live process has this name. */
int store_join(struct store *store, const char *gateway, struct store_listener *listener,
               struct error *err) MUST_CHECK;
void store_leave(struct store *store);
/* The member says what is in force now: epoch, and "" or what did not work (one sentence). */
int store_report(struct store *store, uint64_t epoch, const char *problem,
                 struct error *err) MUST_CHECK;

enum store_member_state {
	STORE_MEMBER_APPLIED, /* reported this epoch or a later one without a problem */
	STORE_MEMBER_FAILED,  /* reported it with a problem: text */
	STORE_MEMBER_SILENT,  /* alive, but said nothing until the deadline */
};
struct store_answer {
	char gateway[256];
	enum store_member_state state;
	char text[ERROR_TEXT_MAX];
};
/* Tells all members, and waits until each that is alive has reported, at most timeout_ms. Dead ones
 * are not waited for and not listed. free() the answers. */
int store_announce(struct store *store, uint64_t epoch, unsigned timeout_ms,
                   struct store_answer **ret_answers, size_t *ret_count,
                   struct error *err) MUST_CHECK;

/* Hands a text to all members that are alive, the own one too. At most once each; 0 does not mean
 * that anybody got it. Blocks until they have it, a second or so at most. text <= 64 KiB. */
int store_tell(struct store *store, const char *text, struct error *err) MUST_CHECK;

/* ---- rows beside the object: small texts by key ("gateway/ceph-gw-1") ---- */

/* -ENOENT: no such row. */
int store_get_row(struct store *store, const char *key, char **ret_text,
                  struct error *err) MUST_CHECK;
/* expected: the text that must be there now, or NULL for "no row"; else -ECANCELED. text NULL
 * removes; "" is no row: -EINVAL. */
int store_put_row(struct store *store, const char *key, const char *expected, const char *text,
                  struct error *err) MUST_CHECK;
/* Several changes, each as store_put_row() with a result of its own, in as few trips as the store
 * can. None depends on another. */
struct store_change {
	const char *key, *expected, *text;
	int result; /* 0, -ECANCELED, ... */
};
void store_put_rows(struct store *store, struct store_change *changes, size_t count);
/* All of the changes (at most STORE_AT_ONCE, of different rows) or none, in one trip; `result` is
 * not used. A row whose text is to be what is expected is only compared, so it guards the others.
 * -ECANCELED: at least one row was another. */
#define STORE_AT_ONCE 8
int store_put_rows_at_once(struct store *store, const struct store_change *changes, size_t count,
                           struct error *err) MUST_CHECK;
/* Calls visit for each row whose key starts with prefix, in order of keys. */
int store_list_rows(struct store *store, const char *prefix,
                    void (*visit)(void *argument, const char *key, const char *text),
                    void *argument, struct error *err) MUST_CHECK;
/* Another one than before if any row was changed since. 0: this store cannot tell. */
int store_rows_version(struct store *store, uint64_t *ret_version, struct error *err) MUST_CHECK;
