/* Acts as an upstream gateway does with an RBD image: a cluster client of its own, reads without
 * the lock, the lock by force as soon as a write wants it, a new client when the old one was
 * fenced, whose entry it removes. Told what to do by lines:
 *
 *   write OFFSET BYTE   -> "wrote TRIES"       one block; tried again as an initiator would, on
 * BUSY read OFFSET         -> "read BYTE TRIES"   one block, all of that byte; -1: several loop
 * OFFSET         -> "looping"           writes 1, 2, ... to block after block from there on stop ->
 * "stopped BLOCKS"    so many were acknowledged state               -> "state OWNER LOST OPENED
 * ADDRESS" */
#include <errno.h>
#include <pthread.h>
#include <rados/librados.h>
#include <rbd/librbd.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BLOCK      4096
#define TRIES_MAX  2000
#define BUSY_MS    20 /* until an initiator sends it again */
#define LOOP_COUNT 2048

struct client {
	const char *pool_name, *image_name;
	rados_t cluster;
	rados_ioctx_t pool;
	rbd_image_t image;
	char *address, *old_address;
	bool locked;         /* as far as it knows */
	unsigned lost;       /* how often it found the lock gone */
	unsigned opened;     /* how often it opened the image */
	pthread_mutex_t one; /* command at a time */
	pthread_t looper;
	uint64_t loop_offset;
	unsigned acknowledged;
	atomic_bool looping;
};

static void die(const char *doing, int r)
{
	fprintf(stderr, "upstream client: %s: %s\n", doing, strerror(-r));
	exit(1);
}

static void check(int r, const char *doing)
{
	if (r < 0)
		die(doing, r);
}

/* ---- open ---- */

static void remove_entry(struct client *client)
{
	char command[160], *message = NULL;
	size_t message_len;
	if (!client->old_address)
		return;
	(void)snprintf(command, sizeof command,
	               "{\"prefix\": \"osd blocklist\", \"blocklistop\": \"rm\", \"addr\": \"%s\"}",
	               client->old_address);
	/* -ENOENT or not: upstream does not care either. */
	(void)rados_mon_command(client->cluster, (const char *[]){ command }, 1, NULL, 0, NULL,
	                        NULL, &message, &message_len);
	rados_buffer_free(message);
	free(client->old_address);
	client->old_address = NULL;
}

static void client_open(struct client *client)
{
	check(rados_create(&client->cluster, NULL), "client");
	check(rados_conf_read_file(client->cluster, NULL), "configuration");
	check(rados_conf_parse_env(client->cluster, NULL), "environment");
	check(rados_conf_set(client->cluster, "rbd_cache", "false"), "rbd_cache");
	check(rados_connect(client->cluster), "connecting");
	check(rados_getaddrs(client->cluster, &client->address), "address");
	remove_entry(client);
	check(rados_ioctx_create(client->cluster, client->pool_name, &client->pool), "pool");
	check(rbd_open(client->pool, client->image_name, &client->image, NULL), "image");
	client->opened++;
}

static void client_close(struct client *client)
{
	(void)rbd_close(client->image); /* fenced or not */
	rados_ioctx_destroy(client->pool);
	rados_shutdown(client->cluster);
	free(client->old_address);
	client->old_address = client->address;
	client->address = NULL;
}

/* ---- the lock ---- */

static int take_lock(struct client *client)
{
	rbd_lock_mode_t mode;
	char *owners[1];
	size_t count = 1;
	int is_owner = 0;
	int r = rbd_is_exclusive_lock_owner(client->image, &is_owner);
	if (r < 0 || is_owner)
		return r;
	r = rbd_lock_get_owners(client->image, &mode, owners, &count);
	if (r == 0 && count > 0) {
		r = rbd_lock_break(client->image, RBD_LOCK_MODE_EXCLUSIVE, owners[0]);
		rbd_lock_get_owners_cleanup(owners, count);
	}
	if (r < 0 && r != -ENOENT)
		return r;
	return rbd_lock_acquire(client->image, RBD_LOCK_MODE_EXCLUSIVE);
}

/* The work in the background that a write begins, and that its initiator hears BUSY for. */
static void lock_for_write(struct client *client)
{
	int r = take_lock(client);
	if (r == -ESHUTDOWN) {
		client_close(client);
		client_open(client);
		r = take_lock(client);
	}
	client->locked = r == 0;
}

static void lock_lost(struct client *client)
{
	client->lost += client->locked;
	client->locked = false;
}

/* ---- commands ---- */

static void be_busy(void)
{
	(void)nanosleep(&(struct timespec){ .tv_nsec = BUSY_MS * 1000000L }, NULL);
}

/* How often it was sent. */
static unsigned write_block(struct client *client, uint64_t offset, int byte)
{
	char data[BLOCK];
	memset(data, byte, sizeof data);
	for (unsigned tries = 1; tries <= TRIES_MAX; tries++) {
		if (!client->locked) {
			lock_for_write(client);
			be_busy();
			continue;
		}
		ssize_t r = rbd_write(client->image, offset, sizeof data, data);
		if (r == (ssize_t)sizeof data)
			return tries;
		if (r != -ESHUTDOWN && r != -EROFS)
			die("writing", (int)r);
		lock_lost(client);
	}
	die("writing", -ETIMEDOUT);
	return 0;
}

static unsigned read_block(struct client *client, uint64_t offset, int *ret_byte)
{
	unsigned char data[BLOCK];
	for (unsigned tries = 1; tries <= TRIES_MAX; tries++) {
		ssize_t r = rbd_read(client->image, offset, sizeof data, (char *)data);
		if (r == (ssize_t)sizeof data) {
			bool same = memcmp(data, data + 1, sizeof data - 1) == 0;
			*ret_byte = same ? data[0] : -1;
			return tries;
		}
		if (r != -ESHUTDOWN)
			die("reading", (int)r);
		lock_lost(client);
		client_close(client);
		client_open(client);
		be_busy();
	}
	die("reading", -ETIMEDOUT);
	return 0;
}

static void *run_loop(void *argument)
{
	struct client *client = argument;
	while (atomic_load(&client->looping) && client->acknowledged < LOOP_COUNT) {
		(void)pthread_mutex_lock(&client->one);
		uint64_t offset = client->loop_offset + (uint64_t)client->acknowledged * BLOCK;
		(void)write_block(client, offset, (int)(client->acknowledged % 255 + 1));
		client->acknowledged++;
		(void)pthread_mutex_unlock(&client->one);
		be_busy();
	}
	return NULL;
}

static void start_loop(struct client *client, uint64_t offset)
{
	client->loop_offset = offset;
	client->acknowledged = 0;
	atomic_store(&client->looping, true);
	check(-pthread_create(&client->looper, NULL, run_loop, client), "thread");
	printf("looping\n");
}

static void stop_loop(struct client *client)
{
	atomic_store(&client->looping, false);
	(void)pthread_join(client->looper, NULL);
	printf("stopped %u\n", client->acknowledged);
}

static void tell_state(struct client *client)
{
	int is_owner = 0;
	(void)rbd_is_exclusive_lock_owner(client->image, &is_owner);
	printf("state %d %u %u %s\n", is_owner, client->lost, client->opened, client->address);
}

static void run_line(struct client *client, const char *line)
{
	unsigned long long offset;
	int byte;
	if (sscanf(line, "write %llu %d", &offset, &byte) == 2) {
		printf("wrote %u\n", write_block(client, offset, byte));
	} else if (sscanf(line, "read %llu", &offset) == 1) {
		unsigned tries = read_block(client, offset, &byte);
		printf("read %d %u\n", byte, tries);
	} else if (sscanf(line, "loop %llu", &offset) == 1) {
		start_loop(client, offset);
	} else if (strncmp(line, "state", 5) == 0) {
		tell_state(client);
	} else {
		die(line, -EINVAL);
	}
}

int main(int argc, char **argv)
{
	char line[128];
	struct client client = { .one = PTHREAD_MUTEX_INITIALIZER };
	if (argc != 3)
		die("POOL IMAGE", -EINVAL);
	client.pool_name = argv[1];
	client.image_name = argv[2];
	client_open(&client);
	printf("open\n");
	while (fflush(stdout) == 0 && fgets(line, sizeof line, stdin)) {
		if (strncmp(line, "stop", 4) == 0) {
			stop_loop(&client);
			continue;
		}
		(void)pthread_mutex_lock(&client.one);
		run_line(&client, line);
		(void)pthread_mutex_unlock(&client.one);
	}
	client_close(&client);
	free(client.old_address);
	return 0;
}
