/* Files of a dir store: names, whole reads, atomic durable writes. */
#include "store/dir.h"

#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static bool is_special(unsigned char c, bool first)
{
	return c == '/' || c == '%' || c < 0x20 || c == 0x7f || (first && c == '.');
}

int dir_file_path(const struct dir_store *dir, const char *folder, const char *name,
                  char **ret_path, struct error *err)
{
	AUTO_STRING struct string path = { 0 };
	string_add(&path, dir->path);
	string_add_char(&path, '/');
	if (folder[0])
		string_format(&path, "%s/", folder);
	size_t start = path.len;
	for (const char *at = name; *at; at++) {
		if (is_special((unsigned char)*at, at == name))
			string_format(&path, "%%%02X", (unsigned char)*at);
		else
			string_add_char(&path, *at);
	}
	/* Room for the prefix and suffix of new files. */
	if (path.len - start > NAME_MAX - 8)
		return error_set(err, -ENAMETOOLONG, "the name %s is too long for a file", name);
	char *text = string_take(&path);
	if (!text)
		return error_set(err, -ENOMEM, "out of memory");
	*ret_path = text;
	return 0;
}

char *dir_file_name(const char *spelled)
{
	AUTO_STRING struct string name = { 0 };
	if (spelled[0] == '.')
		return NULL;
	while (*spelled) {
		uint8_t byte;
		size_t len;
		if (*spelled != '%') {
			string_add_char(&name, *spelled++);
			continue;
		}
		if (!spelled[1] || !spelled[2] ||
		    text_get_hex(spelled + 1, 2, &byte, 1, &len) < 0 || byte == 0)
			return NULL;
		string_add_char(&name, (char)byte);
		spelled += 3;
	}
	return string_take(&name);
}

int dir_read_file(const char *path, size_t max_bytes, char **ret_text, size_t *ret_len,
                  struct error *err)
{
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat status;
	if (fd < 0 || fstat(fd, &status) < 0)
		return error_set(err, -errno, "cannot open %s: %s", path, strerror(errno));
	if (status.st_size < 0 || (uint64_t)status.st_size > max_bytes)
		return error_set(err, -EFBIG, "%s is larger than %zu bytes", path, max_bytes);
	size_t room = (size_t)status.st_size, len = 0;
	AUTO_FREE char *text = malloc(room + 1);
	if (!text)
		return error_set(err, -ENOMEM, "out of memory");
	while (len < room) {
		ssize_t n = read(fd, text + len, room - len);
		if (n < 0 && errno != EINTR)
			return error_set(err, -errno, "cannot read %s: %s", path, strerror(errno));
		if (n == 0)
			break;
		len += n > 0 ? (size_t)n : 0;
	}
	text[len] = '\0';
	if (memchr(text, '\0', len))
		return error_set(err, -EINVAL, "%s contains a NUL byte", path);
	*ret_text = steal(&text);
	if (ret_len)
		*ret_len = len;
	return 0;
}

static int write_all(int fd, const char *text)
{
	for (size_t left = strlen(text); left > 0;) {
		ssize_t n = write(fd, text, left);
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0) {
			text += n;
			left -= (size_t)n;
		}
	}
	return 0;
}

int dir_sync_folder_of(const char *path, struct error *err)
{
	AUTO_FREE char *folder = strdup(path);
	if (!folder)
		return error_set(err, -ENOMEM, "out of memory");
	*strrchr(folder, '/') = '\0';
	AUTO_CLOSE int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fsync(fd) < 0)
		return error_set(err, -errno, "cannot make the folder %s durable: %s", folder,
		                 strerror(errno));
	return 0;
}

/* "FOLDER/.NAME.new": writers of one file exclude each other, so the name is free. */
static char *new_path(const char *path)
{
	struct string name = { 0 };
	const char *base = strrchr(path, '/') + 1;
	string_add_bytes(&name, path, (size_t)(base - path));
	string_format(&name, ".%s.new", base);
	return string_take(&name);
}

static int write_new(const char *path, const char *text, bool durable)
{
	AUTO_CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	int r = fd < 0 ? -errno : write_all(fd, text);
	if (r == 0 && durable && fsync(fd) < 0)
		r = -errno;
	return r;
}

int dir_write_file(const char *path, const char *text, bool durable, struct error *err)
{
	AUTO_FREE char *temporary = new_path(path);
	if (!temporary)
		return error_set(err, -ENOMEM, "out of memory");
	int r = write_new(temporary, text, durable);
	if (r == 0 && rename(temporary, path) < 0)
		r = -errno;
	if (r < 0) {
		(void)unlink(temporary);
		return error_set(err, r, "cannot write %s: %s", path, strerror(-r));
	}
	return durable ? dir_sync_folder_of(path, err) : 0;
}

int dir_make_folder(const char *path, struct error *err)
{
	AUTO_FREE char *copy = strdup(path);
	if (!copy)
		return error_set(err, -ENOMEM, "out of memory");
	for (char *at = copy + 1; *at; at++) {
		if (*at != '/')
			continue;
		*at = '\0';
		(void)mkdir(copy, 0755); /* the last mkdir tells */
		*at = '/';
	}
	if (mkdir(copy, 0700) < 0 && errno != EEXIST)
		return error_set(err, -errno, "cannot make the folder %s: %s", path,
		                 strerror(errno));
	return 0;
}
