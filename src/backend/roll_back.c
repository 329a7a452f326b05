/* Rolling an image back to a snapshot: for the bottom of the stack alone. */
#include "backend/backend.h"

#include <errno.h>

int backend_roll_back(struct backend *backend, const char *snapshot, struct error *err)
{
	while (!backend->ops->roll_back && backend->below)
		backend = backend->below;
	if (!backend->ops->roll_back)
		return error_set(err, -ENOTSUP, "%s images have no snapshots", backend->ops->name);
	return backend->ops->roll_back(backend, snapshot, err);
}
