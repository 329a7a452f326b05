/* Members of a dir store: a member is alive while it holds the lock of its file, which ends with
 * its process. Changes are noticed by inotify on the folder, reports by inotify on theirs. */
#include "store/dir.h"

#include "base/array.h"
#include "base/log.h"
#include "base/reactor.h"
#include "base/text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#define ANNOUNCE_FILE "/.announce"
#define RECHECK_MS    250 /* should the kernel drop an event */

struct dir_member {
	struct dir_store *dir;
	struct store_listener *listener;
	char *gateway, *lock_path, *report_path;
	char *heard; /* room for a message; of the thread */
	int lock_fd, inotify_fd, stop_fd, ear_fd;
	pthread_t thread;
};

/* ---- following the object ---- */

/* Reads all events there are; true if one is about one of the names (NULL: any). */
static bool drain_events(int inotify_fd, const char *const names[2])
{
	union {
		struct inotify_event first;
		char bytes[4096];
	} room;
	bool hit = false;
	ssize_t len;
	while ((len = read(inotify_fd, room.bytes, sizeof room.bytes)) > 0) {
		for (ssize_t at = 0; at < len;) {
			const struct inotify_event *event = (const void *)(room.bytes + at);
			bool lost = event->mask & (IN_Q_OVERFLOW | IN_IGNORED);
			if (!names || lost ||
			    (event->len &&
			     (!strcmp(event->name, names[0]) || !strcmp(event->name, names[1]))))
				hit = true;
			at += (ssize_t)(sizeof *event + event->len);
		}
	}
	return hit;
}

static void *follow(void *argument)
{
	struct dir_member *member = argument;
	AUTO_FREE char *path = NULL;
	if (dir_file_path(member->dir, "", member->dir->object, &path, NULL) < 0) {
		log_error("%s cannot be followed: out of memory", member->dir->path);
		return NULL;
	}
	const char *const names[] = { strrchr(path, '/') + 1, ANNOUNCE_FILE + 1 };
	struct pollfd polled[] = { { .fd = member->inotify_fd, .events = POLLIN },
		                   { .fd = member->stop_fd, .events = POLLIN },
		                   { .fd = member->ear_fd, .events = POLLIN } };
	member->listener->changed(member->listener);
	for (;;) {
		if (poll(polled, ARRAY_LEN(polled), -1) < 0)
			continue;
		if (polled[1].revents)
			return NULL;
		if (drain_events(member->inotify_fd, names))
			member->listener->changed(member->listener);
		if (polled[2].revents)
			dir_hear(member->ear_fd, member->heard, member->listener);
	}
}

static int watch_folder(int inotify_fd, const struct dir_store *dir, const char *folder,
                        struct error *err)
{
	AUTO_STRING struct string path = { 0 };
	string_format(&path, "%s%s", dir->path, folder);
	if (path.failed)
		return error_set(err, -ENOMEM, "out of memory");
	uint32_t events = IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE;
	if (inotify_add_watch(inotify_fd, path.text, events) < 0)
		return error_set(err, -errno,
		                 "cannot watch the folder %s: %s (see fs.inotify.max_user_watches "
		                 "and max_user_instances)",
		                 path.text, strerror(errno));
	return 0;
}

/* ---- being alive ---- */

/* The file may have been removed by a member that left, after we opened it. */
static bool is_still_there(int fd, const char *path)
{
	struct stat opened, named;
	return fstat(fd, &opened) == 0 && stat(path, &named) == 0 &&
	       opened.st_ino == named.st_ino && opened.st_dev == named.st_dev;
}

static int lock_name(const char *path, const char *gateway, int *ret_fd, struct error *err)
{
	for (;;) {
		AUTO_CLOSE int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
		if (fd < 0)
			return error_set(err, -errno, "cannot open %s: %s", path, strerror(errno));
		if (fcntl(fd, F_OFD_SETLK, &whole) < 0)
			return error_set(err, -EBUSY,
			                 "another process serves as the gateway %s already; stop "
			                 "it, or set gateway_name in [rbdgate]",
			                 gateway);
		if (!is_still_there(fd, path))
			continue;
		*ret_fd = fd;
		fd = -1;
		return 0;
	}
}

static bool is_alive(const char *path)
{
	AUTO_CLOSE int fd = open(path, O_RDWR | O_CLOEXEC);
	struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	return fd >= 0 && fcntl(fd, F_OFD_GETLK, &whole) == 0 && whole.l_type != F_UNLCK;
}

static void free_member(struct dir_member *member)
{
	if (member->ear_fd >= 0)
		dir_close_ear(member->dir, member->gateway, member->ear_fd);
	if (member->lock_fd >= 0) {
		(void)unlink(member->report_path);
		(void)unlink(member->lock_path);
		close(member->lock_fd);
	}
	if (member->inotify_fd >= 0)
		close(member->inotify_fd);
	if (member->stop_fd >= 0)
		close(member->stop_fd);
	free(member->heard);
	free(member->gateway);
	free(member->lock_path);
	free(member->report_path);
	free(member);
}

static int start_member(struct dir_member *member, const char *gateway, struct error *err)
{
	struct dir_store *dir = member->dir;
	int r = dir_file_path(dir, "members", gateway, &member->lock_path, err);
	if (r == 0)
		r = dir_file_path(dir, "reports", gateway, &member->report_path, err);
	if (r == 0)
		r = lock_name(member->lock_path, gateway, &member->lock_fd, err);
	if (r == 0)
		r = dir_open_ear(dir, gateway, &member->ear_fd, err);
	if (r < 0)
		return r;
	(void)unlink(member->report_path); /* of an earlier life */
	member->inotify_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	member->stop_fd = eventfd(0, EFD_CLOEXEC);
	if (member->inotify_fd < 0 || member->stop_fd < 0)
		return error_set(err, -errno, "cannot watch %s: %s", dir->path, strerror(errno));
	r = watch_folder(member->inotify_fd, dir, "", err);
	if (r < 0)
		return r;
	dir->member = member; /* the listener may make somebody report at once */
	r = -pthread_create(&member->thread, NULL, follow, member);
	if (r < 0)
		dir->member = NULL;
	return r < 0 ? error_set(err, r, "cannot start a thread: %s", strerror(-r)) : 0;
}

int dir_join(struct store *store, const char *gateway, struct store_listener *listener,
             struct error *err)
{
	struct dir_store *dir = dir_store_of(store);
	if (dir->member)
		return error_set(err, -EBUSY, "this process has joined already");
	struct dir_member *member = calloc(1, sizeof *member);
	if (!member)
		return error_set(err, -ENOMEM, "out of memory");
	*member = (struct dir_member){
		.dir = dir,
		.listener = listener,
		.gateway = strdup(gateway),
		.heard = malloc(STORE_TELL_MAX + 1),
		.lock_fd = -1,
		.inotify_fd = -1,
		.stop_fd = -1,
		.ear_fd = -1,
	};
	int r = member->gateway && member->heard ? start_member(member, gateway, err)
	                                         : error_set(err, -ENOMEM, "out of memory");
	if (r < 0)
		free_member(member);
	return r;
}

void dir_leave(struct store *store)
{
	struct dir_member *member = dir_store_of(store)->member;
	if (!member)
		return;
	dir_store_of(store)->member = NULL;
	if (eventfd_write(member->stop_fd, 1) == 0)
		(void)pthread_join(member->thread, NULL);
	free_member(member);
}

int dir_report(struct store *store, uint64_t epoch, const char *problem, struct error *err)
{
	const struct dir_member *member = dir_store_of(store)->member;
	if (!member)
		return error_set(err, -ENOTCONN, "only a member can report");
	AUTO_FREE char *report = store_format_report(epoch, problem);
	if (!report)
		return error_set(err, -ENOMEM, "out of memory");
	return dir_write_file(member->report_path, report, false, err);
}

/* ---- asking all ---- */

struct answers {
	struct store_answer *list;
	size_t count;
	bool complete; /* nobody is silent */
};

static int add_answer(const struct dir_store *dir, const char *gateway, uint64_t epoch,
                      struct answers *answers)
{
	AUTO_FREE char *lock_path = NULL, *report_path = NULL, *report = NULL;
	if (dir_file_path(dir, "members", gateway, &lock_path, NULL) < 0 ||
	    dir_file_path(dir, "reports", gateway, &report_path, NULL) < 0)
		return -ENOMEM;
	if (!is_alive(lock_path))
		return 0;
	if (!array_grow(&answers->list, answers->count))
		return -ENOMEM;
	struct store_answer *answer = &answers->list[answers->count++];
	bool reported = dir_read_file(report_path, STORE_ROW_MAX, &report, NULL, NULL) == 0;
	store_read_report(reported ? report : NULL, epoch, answer);
	(void)snprintf(answer->gateway, sizeof answer->gateway, "%s", gateway);
	if (answer->state == STORE_MEMBER_SILENT)
		answers->complete = false;
	return 0;
}

static int collect_answers(const struct dir_store *dir, uint64_t epoch, struct answers *answers,
                           struct error *err)
{
	AUTO_STRING struct string path = { 0 };
	string_format(&path, "%s/members", dir->path);
	DIR *folder = path.failed ? NULL : opendir(path.text);
	if (!folder)
		return error_set(err, -errno, "cannot read the folder of members: %s",
		                 strerror(errno));
	answers->count = 0;
	answers->complete = true;
	struct dirent *entry;
	int r = 0;
	while (r == 0 && (entry = readdir(folder))) {
		AUTO_FREE char *gateway = dir_file_name(entry->d_name);
		if (gateway && strlen(gateway) < sizeof answers->list->gateway)
			r = add_answer(dir, gateway, epoch, answers);
	}
	(void)closedir(folder);
	return r < 0 ? error_set(err, r, "out of memory") : 0;
}

static int wake_members(const struct dir_store *dir, struct error *err)
{
	AUTO_STRING struct string path = { 0 };
	string_format(&path, "%s" ANNOUNCE_FILE, dir->path);
	AUTO_CLOSE int fd =
	        path.failed ? -1 : open(path.text, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	return fd < 0 ? error_set(err, -errno, "cannot write to %s: %s", dir->path, strerror(errno))
	              : 0; /* closing it is the event */
}

/* The death of a member closes its file, which is an event of the folder members. */
static int wait_for_answers(const struct dir_store *dir, int inotify_fd, uint64_t epoch,
                            unsigned timeout_ms, struct answers *answers, struct error *err)
{
	uint64_t deadline_ms = clock_monotonic_ms() + timeout_ms;
	for (;;) {
		int r = collect_answers(dir, epoch, answers, err);
		uint64_t now_ms = clock_monotonic_ms();
		if (r < 0 || answers->complete || now_ms >= deadline_ms)
			return r;
		uint64_t left_ms = deadline_ms - now_ms;
		struct pollfd polled = { .fd = inotify_fd, .events = POLLIN };
		(void)poll(&polled, 1, left_ms < RECHECK_MS ? (int)left_ms : RECHECK_MS);
		(void)drain_events(inotify_fd, NULL);
	}
}

int dir_announce(struct store *store, uint64_t epoch, unsigned timeout_ms,
                 struct store_answer **ret_answers, size_t *ret_count, struct error *err)
{
	struct dir_store *dir = dir_store_of(store);
	AUTO_CLOSE int inotify_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (inotify_fd < 0)
		return error_set(err, -errno, "cannot watch %s: %s", dir->path, strerror(errno));
	struct answers answers = { 0 };
	int r = watch_folder(inotify_fd, dir, "/reports", err);
	if (r == 0)
		r = watch_folder(inotify_fd, dir, "/members", err);
	if (r == 0)
		r = wake_members(dir, err);
	if (r == 0)
		r = wait_for_answers(dir, inotify_fd, epoch, timeout_ms, &answers, err);
	if (r < 0) {
		free(answers.list);
		return r;
	}
	*ret_answers = answers.list;
	*ret_count = answers.count;
	return 0;
}
