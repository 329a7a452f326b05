/* What /proc tells about a process. The start time stands behind the name, which may hold anything,
 * so it is looked for from the last parenthesis on [proc(5), /proc/PID/stat, field 22]. */
#include "ownership/process.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#define FIELDS_BEFORE_START 19 /* from the state (field 3) on */

/* The first line of a small file; "" if it cannot be read. */
static void read_line(const char *path, char *ret_line, size_t room)
{
	ret_line[0] = '\0';
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t len = fd < 0 ? -1 : read(fd, ret_line, room - 1);
	ret_line[len > 0 ? len : 0] = '\0';
	ret_line[strcspn(ret_line, "\n")] = '\0';
}

/* -ENOENT: no such process; -EIO: cannot tell. */
static int read_start(json_int_t pid, uint64_t *ret_start)
{
	char path[64], line[1024];
	(void)snprintf(path, sizeof path, "/proc/%" JSON_INTEGER_FORMAT "/stat", pid);
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? -ENOENT : -EIO;
	ssize_t len = read(fd, line, sizeof line - 1);
	if (len <= 0)
		return len < 0 && errno == ESRCH ? -ENOENT : -EIO;
	line[len] = '\0';
	const char *at = strrchr(line, ')');
	for (int i = 0; at && i <= FIELDS_BEFORE_START; i++)
		at = strchr(at + 1, ' ');
	return at && sscanf(at, "%" SCNu64, ret_start) == 1 ? 0 : -EIO;
}

static void read_pid_space(char *ret_space, size_t room)
{
	ssize_t len = readlink("/proc/self/ns/pid", ret_space, room - 1);
	ret_space[len > 0 ? len : 0] = '\0';
}

json_t *process_describe(void)
{
	char machine[64], boot[64], space[64];
	uint64_t start = 0;
	read_line("/etc/machine-id", machine, sizeof machine);
	read_line("/proc/sys/kernel/random/boot_id", boot, sizeof boot);
	read_pid_space(space, sizeof space);
	(void)read_start(getpid(), &start); /* 0: nobody can prove that this process is gone */
	return json_pack("{s:s, s:s, s:s, s:I, s:I}", "machine", machine, "boot", boot, "space",
	                 space, "pid", (json_int_t)getpid(), "start", (json_int_t)start);
}

static bool same_text(const json_t *a, const json_t *b, const char *name)
{
	const char *text = json_text(a, name, "");
	return text[0] && strcmp(text, json_text(b, name, "")) == 0;
}

bool process_is_gone(const json_t *process)
{
	AUTO_JSON json_t *own = process_describe();
	json_int_t pid = json_number(process, "pid", 0), start = json_number(process, "start", 0);
	if (!same_text(own, process, "machine") || !json_text(process, "boot", "")[0])
		return false;
	if (!json_text(own, "boot", "")[0])
		return false;
	if (!same_text(own, process, "boot"))
		return true;
	if (!same_text(own, process, "space") || pid <= 0 || start <= 0)
		return false;
	if (json_number(own, "start", 0) <= 0)
		return false; /* there is no /proc to ask */
	uint64_t found = 0;
	int r = read_start(pid, &found);
	return r == -ENOENT || (r == 0 && found != (uint64_t)start);
}
