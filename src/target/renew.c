/* execve() of what runs: all that the kernel keeps for this process but its id is gone in one
 * moment.
 */
#include "target/renew.h"

#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define VARIABLE      "RBDGATE_FORMER_INSTANCE"
#define NOTE          "RBDGATE_HUNG"
#define ARGUMENTS_MAX 64
#define BYTES_MAX     16384

static char note[8192];

void renew_set_note(const char *text)
{
	(void)snprintf(note, sizeof note, "%s", text ? text : "");
}

/* The arguments of this process, as the kernel has them. */
static int read_arguments(char *room, size_t size, char **ret_arguments)
{
	int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
	ssize_t len = fd < 0 ? -1 : read(fd, room, size - 1);
	if (fd >= 0)
		close(fd);
	if (len <= 0)
		return -EIO;
	room[len] = '\0';
	size_t count = 0;
	for (char *at = room; at < room + len && count < ARGUMENTS_MAX; at += strlen(at) + 1)
		ret_arguments[count++] = at;
	ret_arguments[count] = NULL;
	return 0;
}

static void wait_for_the_end(int signal)
{
	for (;;)
		(void)pause();
}

/* While execve() reads the program Linux lets no thread be started, and librados, which a worker
 * may be connecting just now, aborts if it cannot start one. That thread waits instead. */
static void survive_aborts(void)
{
	struct sigaction action = { .sa_handler = wait_for_the_end };
	(void)sigaction(SIGABRT, &action, NULL);
}

void renew(const char *former_instance)
{
	static char room[BYTES_MAX];
	static char *arguments[ARGUMENTS_MAX + 1];
	int r = read_arguments(room, sizeof room, arguments);
	survive_aborts();
	/* Whatever a library forgot to mark; in the same moment all of it is closed. */
	int noted = *note ? setenv(NOTE, note, 1) : unsetenv(NOTE);
	if (r == 0 && noted == 0 && setenv(VARIABLE, former_instance, 1) == 0 &&
	    syscall(SYS_close_range, 3u, ~0u, (unsigned)CLOSE_RANGE_CLOEXEC) == 0)
		(void)execv("/proc/self/exe", arguments);
	log_error("cannot start anew in place (%s): ends, to be started by the service manager",
	          strerror(errno));
	_exit(1);
}

const char *renewed_from(void)
{
	return getenv(VARIABLE);
}

const char *renewed_note(void)
{
	return getenv(NOTE);
}
