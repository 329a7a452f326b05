/* A datagram to the socket that systemd names in the environment (sd_notify(3)). */
#include "base/notify.h"

#include "base/error.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

void notify_service_manager(const char *format, ...)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	if (!path || (path[0] != '/' && path[0] != '@') || strlen(path) >= sizeof address.sun_path)
		return;
	memcpy(address.sun_path, path, strlen(path));
	if (path[0] == '@')
		address.sun_path[0] = '\0'; /* abstract name */

	char text[512];
	va_list arguments;
	va_start(arguments, format);
	int len = vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	if (len < 0 || (size_t)len >= sizeof text)
		return;

	AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	socklen_t address_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
	/* The service runs all the same if its manager does not listen. */
	(void)sendto(fd, text, (size_t)len, MSG_NOSIGNAL, (struct sockaddr *)&address, address_len);
}
