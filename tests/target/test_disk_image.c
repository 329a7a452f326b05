/* On which cluster client an image is opened, and what becomes of that client. All that
 * disk_image.c calls is the test's. */
#include "target/disk_private.h"

#include "target/data_clients.h"
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static char order[128]; /* the steps, in order */
static unsigned fenced_clients;

static void step(const char *name)
{
	size_t len = strlen(order);
	(void)snprintf(order + len, sizeof order - len, "%s ", name);
}

/* ---- what disk_image.c calls ---- */

int data_clients_take(struct data_clients *clients, struct cluster_client **ret_client,
                      struct error *err)
{
	step("take");
	*ret_client = (struct cluster_client *)order; /* nobody looks inside */
	return 0;
}

int data_clients_take_own(struct data_clients *clients, struct cluster_client **ret_client,
                          struct error *err)
{
	return -EIO;
}

void data_clients_put(struct data_clients *clients, struct cluster_client *client)
{
	step("put");
}

void data_clients_lost(struct data_clients *clients, struct cluster_client *client)
{
	step("lost");
}

int backend_open(const struct backend_config *config, struct backend **ret_backend,
                 struct error *err)
{
	step("open");
	if (fenced_clients == 0)
		return 0;
	fenced_clients--;
	return error_set(err, -ESHUTDOWN, "fenced");
}

void backend_free(struct backend *backend)
{
}

void backend_get_info(const struct backend *backend, struct backend_info *ret_info)
{
	*ret_info = (struct backend_info){ 0 };
}

int owner_record_read(struct store *store, const char *disk, struct owner_record *ret_record,
                      struct error *err)
{
	return 0;
}

int owner_record_check_image(const struct owner_record *record, const char *lun, const char *image,
                             struct error *err)
{
	return 0;
}

void owner_record_done(struct owner_record *record)
{
}

const char *disk_name(const struct disk *disk)
{
	return "rbd/x";
}

/* ---- */

static struct disk_host host = { .clients = (struct data_clients *)order };

TEST(only_a_client_that_was_fenced_is_lost)
{
	struct disk disk = { .host = &host, .fenced = true };
	order[0] = '\0';
	disk_open_image(&disk);
	disk.lost = true; /* the lock went, the client is as good as before */
	disk_close_image(&disk);
	ASSERT_STR_EQ(order, "take open put ");

	order[0] = '\0';
	disk_open_image(&disk);
	disk.fenced = true;
	disk_close_image(&disk);
	ASSERT_STR_EQ(order, "take open lost put ");
}

TEST(an_image_whose_client_turns_out_to_be_fenced_is_opened_on_another_one)
{
	static const struct {
		unsigned fenced;
		int result;
		const char *order;
	} rows[] = {
		{ 0, 0, "take open " },
		{ 1, 0, "take open lost put take open " },
		{ 2, -ESHUTDOWN, "take open lost put take open lost put " },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		TEST_ROW("%u fenced clients", rows[i].fenced);
		struct disk disk = { .host = &host };
		fenced_clients = rows[i].fenced;
		order[0] = '\0';
		disk_open_image(&disk);
		ASSERT_EQ(disk.job_error.code, rows[i].result);
		ASSERT_STR_EQ(order, rows[i].order);
	}
}
