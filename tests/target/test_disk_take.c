/* Taking a disk: what happens in which order, and that nothing follows what has failed. All that it
 * calls is the test's. */
#include "target/disk_private.h"

#include "cluster/client.h"
#include "ownership/fence.h"
#include "ownership/own_client.h"
#include "ownership/registration.h"
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define OURS "00000000000000aa"

static char order[256]; /* the steps, in order */
static const char *failing;
static struct cluster_client *map_of;

static int step(const char *name, struct error *err)
{
	size_t len = strlen(order);
	(void)snprintf(order + len, sizeof order - len, "%s ", name);
	return failing && strcmp(failing, name) == 0 ? error_set(err, -EIO, "%s", name) : 0;
}

/* ---- what disk_take.c calls ---- */

int registration_check(struct registration *registration, struct error *err)
{
	return step("registration", err);
}

const char *registration_instance(const struct registration *registration)
{
	return OURS;
}

bool registration_is_past(struct registration *registration, const char *address)
{
	return false;
}

bool fence_is_fenced(struct fence *fence, const char *address)
{
	return false;
}

int fence_outsider(struct fence *fence, const char *lun, const char *address, struct error *err)
{
	return -EIO;
}

int own_client_find(struct store *store, const char *address, bool *ret_found, struct error *err)
{
	return -EIO;
}

const char *disk_name(const struct disk *disk)
{
	return "rbd/x";
}

int disk_check_image(const struct disk *disk, const struct owner_record *record, struct error *err)
{
	return step("image", err);
}

const char *cluster_client_address(const struct cluster_client *client)
{
	return "10.0.0.1:0/1";
}

int cluster_wait_for_map(struct cluster_client *client, struct error *err)
{
	map_of = client;
	return step("map", err);
}

int owner_record_read(struct store *store, const char *disk, struct owner_record *ret_record,
                      struct error *err)
{
	ret_record->state = OWNER_ACTIVE;
	ret_record->epoch = 6;
	return step("read", err);
}

int owner_record_take(struct store *store, const char *disk, struct owner_record *record,
                      const char *gateway, const char *instance, const char *client,
                      const char *image_id, const char *why, struct error *err)
{
	record->epoch++;
	return step("record", err);
}

int owner_record_release(struct store *store, const char *disk, struct owner_record *record,
                         const char *next, const char *why, struct error *err)
{
	return step("give", err);
}

void owner_record_done(struct owner_record *record)
{
}

void backend_get_info(const struct backend *backend, struct backend_info *ret_info)
{
	*ret_info = (struct backend_info){ 0 };
}

int backend_acquire(struct backend *backend, const struct backend_lock_policy *policy,
                    struct error *err)
{
	return step("lock", err);
}

int backend_release(struct backend *backend, struct error *err)
{
	return step("unlock", err);
}

void lun_set_epoch(struct lun *lun, uint64_t epoch)
{
	ASSERT_EQ(epoch, 7);
}

int disk_keeper_load(struct disk *disk, uint64_t epoch, enum reservation_load how,
                     struct error *err)
{
	ASSERT_EQ(epoch, 7);
	return step("reservations", err);
}

/* ---- */

static struct disk_host host = { .gateway = "gw-1" };

static struct disk other_is_gone(void)
{
	order[0] = '\0';
	map_of = NULL;
	return (struct disk){ .host = &host,
		              .client = (struct cluster_client *)&host, /* nobody looks inside */
		              .job_record = { .state = OWNER_ACTIVE, .epoch = 6 } };
}

/* [H1] By then all clients of the last owner are fenced; the map that says so must be in force on
 * the very client that will do I/O, also if the lock's record is free. */
TEST(the_map_of_the_data_client_comes_before_the_record_and_the_lock)
{
	struct disk disk = other_is_gone();
	failing = NULL;
	disk_take(&disk);
	ASSERT_EQ(disk.job_error.code, 0);
	ASSERT_STR_EQ(order, "registration image map record lock reservations ");
	ASSERT_TRUE(map_of == disk.client);
}

TEST(nothing_follows_a_step_that_failed)
{
	static const struct {
		const char *failing, *order;
	} rows[] = {
		{ "registration", "registration " },
		{ "image", "registration image " },
		{ "map", "registration image map " },
		{ "record", "registration image map record " },
		{ "lock", "registration image map record lock " },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		TEST_ROW("%s", rows[i].failing);
		struct disk disk = other_is_gone();
		failing = rows[i].failing;
		disk_take(&disk);
		ASSERT_EQ(disk.job_error.code, -EIO);
		ASSERT_STR_EQ(order, rows[i].order);
	}
}
