/* Opens and closes the image of a disk. On workers. */
#include "target/disk_private.h"

#include "base/log.h"
#include "target/data_clients.h"
#include "target/planted.h"

#include <errno.h>
#include <string.h>

static void put_client(struct disk *disk, bool fenced)
{
	if (!disk->client)
		return;
	if (fenced) /* else other images stay on it, and this one may come back */
		data_clients_lost(disk->host->clients, disk->client);
	data_clients_put(disk->host->clients, steal(&disk->client));
}

int disk_check_image(const struct disk *disk, const struct owner_record *record, struct error *err)
{
	struct backend_info info;
	backend_get_info(disk->backend, &info);
	return owner_record_check_image(record, disk_name(disk), info.image_id, err);
}

/* Before anybody is told the size of the image. */
static int confirm_image(const struct disk *disk, struct error *err)
{
	struct owner_record record = { 0 };
	int r = owner_record_read(disk->host->store, disk_name(disk), &record, err);
	if (r == 0)
		r = disk_check_image(disk, &record, err);
	owner_record_done(&record);
	return r;
}

static int take_client(struct disk *disk, struct error *err)
{
	struct data_clients *clients = disk->host->clients;
	disk->own_client = disk->on_demand;
	if (!clients)
		return 0;
	return disk->on_demand ? data_clients_take_own(clients, &disk->client, err)
	                       : data_clients_take(clients, &disk->client, err);
}

static int open_once(struct disk *disk, struct error *err)
{
	int r = take_client(disk, err);
	if (r < 0)
		return r;
	disk->fenced = false;
	struct backend_config config = {
		.kind = disk->path ? "file" : "rbd",
		.name = disk_name(disk),
		.path = disk->path,
		.cluster = disk->client,
		.pool = disk->pool,
		.image = disk->image,
		.listener = &disk->listener,
	};
	r = backend_open(&config, &disk->backend, err);
	if (r == 0)
		r = confirm_image(disk, err);
	if (r == 0) {
		planted_filters(&disk->backend);
		*err = (struct error){ 0 };
		return 0;
	}
	if (!err->code)
		(void)error_set(err, r, "%s: %s", config.name, strerror(-r));
	backend_free(steal(&disk->backend));
	put_client(disk, err->code == -ESHUTDOWN);
	return err->code;
}

/* That its client was fenced may be found out here first: then there is another one. */
void disk_open_image(struct disk *disk)
{
	struct error *err = &disk->job_error;
	if (open_once(disk, err) == -ESHUTDOWN) {
		*err = (struct error){ 0 };
		(void)open_once(disk, err);
	}
}

void disk_close_image(struct disk *disk)
{
	backend_free(steal(&disk->backend)); /* before its client goes */
	put_client(disk, disk->fenced);
}
