/* The store in a folder; what its files share. Layout of PATH:
 *   OBJECT              the JSON, replaced whole
 *   .lock               held while the object or a row is replaced
 *   .announce           written to call the members
 *   rows/KEY            a row
 *   members/NAME        locked by the member for its life
 *   reports/NAME        its last report
 *   ears/HASH           a socket on which it is told things
 *   images/POOL/IMAGE
 * Names are spelled so that any key is a file name: '/', '%', a leading '.' and control characters
 * become %XX. A name that starts with '.' is never an item: new files are written under such. */
#pragma once

#include "store/kinds.h"

#include <pthread.h>

struct dir_member;

struct dir_store {
	struct store store;
	char *path, *object;
	struct dir_member *member; /* NULL: not joined; written by join and leave only */
};

static inline struct dir_store *dir_store_of(struct store *store)
{
	return (struct dir_store *)store;
}

/* "PATH/FOLDER/NAME" with the name spelled as a file name. folder "": PATH itself. */
int dir_file_path(const struct dir_store *dir, const char *folder, const char *name,
                  char **ret_path, struct error *err) MUST_CHECK;
/* The name that was spelled so; free() it. NULL: no item, or no memory. */
char *dir_file_name(const char *spelled) MUST_CHECK;

/* -ENOENT: no such file; the caller knows whether that is an error. */
int dir_read_file(const char *path, size_t max_bytes, char **ret_text, size_t *ret_len,
                  struct error *err) MUST_CHECK;
/* All or nothing, whenever the process dies. The writer holds a lock that lets nobody else write
 * this file. durable: also when the machine dies. */
int dir_write_file(const char *path, const char *text, bool durable, struct error *err) MUST_CHECK;
/* Folders above it are made too. */
int dir_make_folder(const char *path, struct error *err) MUST_CHECK;
int dir_sync_folder_of(const char *path, struct error *err) MUST_CHECK;

int dir_join(struct store *store, const char *gateway, struct store_listener *listener,
             struct error *err) MUST_CHECK;
void dir_leave(struct store *store);
int dir_report(struct store *store, uint64_t epoch, const char *problem,
               struct error *err) MUST_CHECK;
int dir_announce(struct store *store, uint64_t epoch, unsigned timeout_ms,
                 struct store_answer **ret_answers, size_t *ret_count,
                 struct error *err) MUST_CHECK;
int dir_tell(struct store *store, const char *text, struct error *err) MUST_CHECK;
/* The socket of a member: messages that dir_tell() sent. The caller has the lock of its name. */
int dir_open_ear(const struct dir_store *dir, const char *gateway, int *ret_fd,
                 struct error *err) MUST_CHECK;
void dir_close_ear(const struct dir_store *dir, const char *gateway, int fd);
/* Hands what waits in the socket to the listener. room: STORE_TELL_MAX + 1 bytes. */
void dir_hear(int fd, char *room, struct store_listener *listener);
int dir_get_row(struct store *store, const char *key, char **ret_text,
                struct error *err) MUST_CHECK;
int dir_put_rows_at_once(struct store *store, const struct store_change *changes, size_t count,
                         struct error *err) MUST_CHECK;
int dir_put_row(struct store *store, const char *key, const char *expected, const char *text,
                struct error *err) MUST_CHECK;
int dir_list_rows(struct store *store, const char *prefix,
                  void (*visit)(void *argument, const char *key, const char *text), void *argument,
                  struct error *err) MUST_CHECK;
/* Excludes other writers of the folder, threads and processes, and ends with the process. *ret_fd:
 * close it to unlock. -ETIMEDOUT after 30 s. */
int dir_lock(const struct dir_store *dir, int *ret_fd, struct error *err) MUST_CHECK;
