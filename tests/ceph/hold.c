/* Preloaded into an API: holds it before a call of librados or librbd for as long as a file of that
 * name stands in the folder RBDGATE_HOLD, and says so by a file NAME.held. The rest of the program
 * goes on. */
#include <dlfcn.h>
#include <fcntl.h>
#include <rbd/librbd.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

static void hold(const char *name)
{
	static const struct timespec pause = { .tv_nsec = 5000000 };
	const char *folder = getenv("RBDGATE_HOLD");
	char path[512], held[sizeof path + 8];
	(void)snprintf(path, sizeof path, "%s/%s", folder ? folder : "", name);
	(void)snprintf(held, sizeof held, "%s.held", path);
	while (folder && access(path, F_OK) == 0) {
		(void)close(open(held, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
		(void)nanosleep(&pause, NULL);
	}
}

EXPORT int rados_connect(rados_t cluster)
{
	int (*call)(rados_t);
	*(void **)&call = dlsym(RTLD_NEXT, "rados_connect");
	hold("rados_connect");
	return call(cluster);
}

EXPORT int rbd_snap_rollback(rbd_image_t image, const char *snapshot)
{
	int (*call)(rbd_image_t, const char *);
	*(void **)&call = dlsym(RTLD_NEXT, "rbd_snap_rollback");
	hold("rbd_snap_rollback");
	return call(image, snapshot);
}
