/* Opens and closes the image of a disk. On workers. */
#include "target/disk_private.h"

#include "base/log.h"
#include "target/data_clients.h"
#include "target/planted.h"

#include <errno.h>
#include <string.h>

static void put_client(struct disk *disk, bool lost)
{
	if (!disk->client)
		return;
	if (lost)
		data_clients_lost(disk->host->clients, disk->client);
	data_clients_put(disk->host->clients, steal(&disk->client));
}

void disk_open_image(struct disk *disk)
{
	struct error *err = &disk->job_error;
	if (disk->host->clients && data_clients_take(disk->host->clients, &disk->client, err) < 0)
		return;
	struct backend_config config = {
		.kind = disk->path ? "file" : "rbd",
		.name = disk_name(disk),
		.path = disk->path,
		.cluster = disk->client,
		.pool = disk->pool,
		.image = disk->image,
		.listener = &disk->listener,
	};
	int r = backend_open(&config, &disk->backend, err);
	if (r == 0) {
		planted_filters(&disk->backend);
		*err = (struct error){ 0 };
		return;
	}
	if (!err->code)
		(void)error_set(err, r, "%s: %s", config.name, strerror(-r));
	put_client(disk, err->code == -ESHUTDOWN);
}

void disk_close_image(struct disk *disk)
{
	backend_free(steal(&disk->backend)); /* before its client goes */
	put_client(disk, disk->lost);
}
