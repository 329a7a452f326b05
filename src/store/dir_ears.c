/* Telling the members of a dir store: each has a datagram socket in the folder ears, named by the
 * hash of its gateway, because the names of sockets are short. A socket whose process is dead
 * refuses; that of one that is stopped fills up, and is waited for a moment only. */
#include "store/dir.h"

#include "base/log.h"
#include "base/reactor.h"
#include "base/text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>

#define TELL_MS  1000
#define NAME_LEN 16

static int open_folder(const struct dir_store *dir, int *ret_fd, struct error *err)
{
	AUTO_STRING struct string path = { 0 };
	string_format(&path, "%s/ears", dir->path);
	int fd = path.failed ? -1 : open(path.text, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return error_set(err, -errno, "cannot open the folder ears of %s: %s", dir->path,
		                 strerror(errno));
	*ret_fd = fd;
	return 0;
}

/* By way of the open folder, however long its own path is. */
static struct sockaddr_un address_of(int folder, const char *name)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	(void)snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/%.*s", folder,
	               NAME_LEN, name);
	return address;
}

static void name_of(const char *gateway, char ret_name[NAME_LEN + 1])
{
	(void)snprintf(ret_name, NAME_LEN + 1, "%016" PRIx64, store_hash(gateway, strlen(gateway)));
}

int dir_open_ear(const struct dir_store *dir, const char *gateway, int *ret_fd, struct error *err)
{
	AUTO_CLOSE int folder = -1;
	char name[NAME_LEN + 1];
	int r = open_folder(dir, &folder, err);
	if (r < 0)
		return r;
	name_of(gateway, name);
	(void)unlinkat(folder, name, 0); /* of an earlier life */
	AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un address = address_of(folder, name);
	if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof address) < 0 ||
	    fchmodat(folder, name, 0600, 0) < 0)
		return error_set(err, -errno, "cannot make a socket in %s/ears: %s", dir->path,
		                 strerror(errno));
	*ret_fd = fd;
	fd = -1;
	return 0;
}

void dir_close_ear(const struct dir_store *dir, const char *gateway, int fd)
{
	AUTO_CLOSE int folder = -1;
	char name[NAME_LEN + 1];
	name_of(gateway, name);
	if (open_folder(dir, &folder, NULL) == 0)
		(void)unlinkat(folder, name, 0); /* what stays behind refuses */
	close(fd);
}

void dir_hear(int fd, char *room, struct store_listener *listener)
{
	ssize_t len;
	while ((len = recv(fd, room, STORE_TELL_MAX + 1, MSG_DONTWAIT | MSG_TRUNC)) >= 0) {
		if (len > (ssize_t)STORE_TELL_MAX || !listener->told)
			continue;
		room[len] = '\0';
		listener->told(listener, room);
	}
}

/* Waits for one that is full, until the deadline. */
static void tell_one(int fd, int folder, const char *name, const char *text, uint64_t deadline_ms)
{
	struct sockaddr_un address = address_of(folder, name);
	uint64_t now_ms = clock_monotonic_ms();
	uint64_t left_ms = now_ms < deadline_ms ? deadline_ms - now_ms : 1;
	struct timeval left = { .tv_sec = (time_t)(left_ms / 1000),
		                .tv_usec = (suseconds_t)(left_ms % 1000 * 1000) };
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &left, sizeof left);
	if (sendto(fd, text, strlen(text), MSG_NOSIGNAL, (const struct sockaddr *)&address,
	           sizeof address) < 0 &&
	    errno != ECONNREFUSED && errno != ENOENT)
		log_limited(LOG_LEVEL_WARNING, 10000, "a gateway (ears/%s) cannot be told: %s",
		            name, strerror(errno));
}

int dir_tell(struct store *store, const char *text, struct error *err)
{
	struct dir_store *dir = dir_store_of(store);
	int folder = -1;
	int r = open_folder(dir, &folder, err);
	if (r < 0)
		return r;
	DIR *list = fdopendir(folder); /* folder is its own now */
	AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (!list || fd < 0) {
		r = error_set(err, -errno, "cannot tell the members of %s: %s", dir->path,
		              strerror(errno));
		if (list)
			(void)closedir(list);
		else
			close(folder);
		return r;
	}
	uint64_t deadline_ms = clock_monotonic_ms() + TELL_MS;
	struct dirent *entry;
	while ((entry = readdir(list)))
		if (strlen(entry->d_name) == NAME_LEN)
			tell_one(fd, folder, entry->d_name, text, deadline_ms);
	(void)closedir(list);
	return 0;
}
