/* Disks: create, attach, resize, reconfigure, delete. The image is made, grown or removed before
 * the commit, so a crash leaves at most an image that a repeated request takes over. */
#include "config/change_parts.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define BACKSTORE    "user:rbd"
#define DISKS_MAX    256
#define COUNT_MAX    10
#define IMAGE_ID_MAX 512

struct disk_request {
	const char *pool, *image;
	char id[IMAGE_ID_MAX];
	const char *wwn;
	bool create_image;
	bool has_size;
	uint64_t size_bytes;
	unsigned count; /* 1..COUNT_MAX */
};

static json_t *find_disk(const struct change *change, const char *id)
{
	return json_object_get(json_object_get(change->object, "disks"), id);
}

/* "10G" -> bytes. */
static bool parse_size(const char *text, uint64_t *ret_bytes)
{
	static const char units[] = "MGT";
	char digits[32];
	size_t len = strlen(text);
	if (len < 2 || len > sizeof digits)
		return false;
	char unit = text[len - 1];
	if (unit >= 'a' && unit <= 'z')
		unit = (char)(unit - 'a' + 'A');
	const char *at = strchr(units, unit);
	if (!at || !unit)
		return false;
	memcpy(digits, text, len - 1);
	digits[len - 1] = '\0';
	unsigned shift = 20 + 10 * (unsigned)(at - units);
	uint64_t number;
	if (text_to_uint(digits, 1, (uint64_t)INT64_MAX >> shift, &number) < 0)
		return false;
	*ret_bytes = number << shift;
	return true;
}

/* 1073741824 -> "1G", 1073741825 -> "1073741825b": as upstream's shell shows sizes. */
static void show_size(uint64_t bytes, char *ret_text, size_t size)
{
	static const char units[] = "bKMGTPE";
	unsigned unit = 0;
	while (bytes && bytes % 1024 == 0 && unit + 2 < sizeof units) {
		bytes /= 1024;
		unit++;
	}
	(void)snprintf(ret_text, size, "%" PRIu64 "%c", bytes, units[unit]);
}

static bool name_ok(const char *name)
{
	static const char others[] = "-_.";
	if (!*name)
		return false;
	for (const char *c = name; *c; c++) {
		bool letter = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z');
		if (!letter && !(*c >= '0' && *c <= '9') && !strchr(others, *c))
			return false;
	}
	return true;
}

static int find_image(struct change *change, const char *pool, const char *image,
                      struct change_image *ret_image)
{
	struct error err = { 0 };
	const struct change_context *context = change->context;
	int r = context->find_image(context->argument, pool, image, ret_image, &err);
	if (r == -ENODEV)
		return refuse(change, 400, "pool name is invalid"), r;
	if (r < 0 && r != -ENOENT)
		return refuse(change, 500, "disk create/update failed: %s", err.text), r;
	return r;
}

static int image_id(struct change *change, struct disk_request *request)
{
	int r = need_argument(change, "pool", &request->pool);
	if (r == 0)
		r = need_argument(change, "image", &request->image);
	if (r < 0)
		return r;
	int len = snprintf(request->id, sizeof request->id, "%s/%s", request->pool, request->image);
	if (len < 0 || (size_t)len >= sizeof request->id)
		return refuse(change, 400, "Invalid image name (too long)");
	return 0;
}

/* ---- create ---- */

static const char *disk_with_wwn(const json_t *object, const char *wwn)
{
	const char *id;
	json_t *disk;
	json_object_foreach (json_object_get(object, "disks"), id, disk)
		if (strcmp(json_text(disk, "wwn", ""), wwn) == 0)
			return id;
	return NULL;
}

static void numbered_id(const struct disk_request *request, unsigned number, char *ret_image,
                        size_t size)
{
	if (request->count == 1)
		(void)snprintf(ret_image, size, "%s", request->image);
	else
		(void)snprintf(ret_image, size, "%s%u", request->image, number);
}

static int check_count(struct change *change, struct disk_request *request)
{
	uint64_t count;
	if (text_to_uint(json_text(change->arguments, "count", "1"), 1, COUNT_MAX, &count) < 0)
		return refuse(change, 400, "invalid count specified, must be an integer (1-10)");
	request->count = (unsigned)count;
	if (count > 1 && request->wwn)
		return refuse(change, 400, "WWN cannot be specified when count > 1");
	for (unsigned i = 1; i <= count; i++) {
		char image[IMAGE_ID_MAX], id[2 * IMAGE_ID_MAX];
		numbered_id(request, i, image, sizeof image);
		(void)snprintf(id, sizeof id, "%s/%s", request->pool, image);
		if (find_disk(change, id))
			return refuse(change, 400,
			              "at least one rbd image(s) with that name/prefix is already "
			              "defined");
	}
	return 0;
}

static int check_create(struct change *change, struct disk_request *request)
{
	struct change_image image;
	const char *size = argument(change, "size");
	request->wwn = argument(change, "wwn");
	/* Before anything is looked up by these names. */
	if (!name_ok(request->pool))
		return refuse(change, 400,
		              "Invalid pool name (use alphanumeric, '_', '.', or '-' characters)");
	if (!name_ok(request->image))
		return refuse(change, 400,
		              "Invalid image name (use alphanumeric, '_', '.', or '-' characters)");
	int r = find_image(change, request->pool, request->image, &image);
	if (r < 0 && r != -ENOENT)
		return r;
	if (size && *size) {
		if (!parse_size(size, &request->size_bytes))
			return refuse(change, 400, "Size is invalid");
		request->has_size = true;
	}
	if (json_object_size(json_object_get(change->object, "disks")) >= DISKS_MAX)
		return refuse(change, 400, "Disk limit of %d reached.", DISKS_MAX);
	const char *taken = request->wwn ? disk_with_wwn(change->object, request->wwn) : NULL;
	if (taken)
		return refuse(change, 400, "WWN %s is already in use by %s", request->wwn, taken);
	r = check_count(change, request);
	if (r < 0)
		return r;
	const char *wish = json_text(change->arguments, "create_image", "true");
	request->create_image = strcmp(wish, "true") == 0;
	if (!request->create_image && strcmp(wish, "false") != 0)
		return refuse(change, 400, "Invalid 'create_image' value %s", wish);
	return 0;
}

/* Puts on the list what the image needs to be there with the wanted size. */
static int prepare_image(struct change *change, const struct disk_request *request,
                         const char *name, int64_t *ret_pool_id)
{
	struct change_image image = { 0 };
	int r = find_image(change, request->pool, name, &image);
	if (r < 0 && r != -ENOENT)
		return r;
	*ret_pool_id = image.pool_id;
	if (r == 0 && !image.exclusive_lock)
		return refuse(change, 500,
		              "disk create/update failed: image %s/%s lacks the exclusive-lock "
		              "feature (rbd feature enable %s/%s exclusive-lock)",
		              request->pool, name, request->pool, name);
	if (r == -ENOENT && !request->create_image)
		return refuse(change, 400, "Image %s/%s does not exist", request->pool, name);
	if (r == -ENOENT && !request->has_size)
		return refuse(change, 400, "Size parameter is required when creating a new image");
	if (r == -ENOENT)
		return add_work(change, CHANGE_IMAGE_CREATE, request->pool, name,
		                request->size_bytes);
	if (request->has_size && image.size_bytes < request->size_bytes)
		return add_work(change, CHANGE_IMAGE_GROW, request->pool, name,
		                request->size_bytes);
	return 0;
}

static bool object_name_taken(const json_t *object, const char *name)
{
	const char *id;
	json_t *disk;
	json_object_foreach (json_object_get(object, "disks"), id, disk)
		if (strcmp(json_text(disk, "backstore_object_name", ""), name) == 0)
			return true;
	return false;
}

static int define_disk(struct change *change, const struct disk_request *request, const char *image)
{
	const struct change_context *context = change->context;
	int64_t pool_id = 0;
	int r = prepare_image(change, request, image, &pool_id);
	if (r < 0)
		return r;
	char id[2 * IMAGE_ID_MAX], object_name[2 * IMAGE_ID_MAX], uuid[37];
	(void)snprintf(id, sizeof id, "%s/%s", request->pool, image);
	(void)snprintf(object_name, sizeof object_name, "%s.%s", request->pool, image);
	for (unsigned i = 1; object_name_taken(change->object, object_name); i++)
		(void)snprintf(object_name, sizeof object_name, "%s.%s.%u", request->pool, image,
		               i);
	if (!request->wwn)
		context->make_uuid(context->argument, uuid);
	json_t *disk = json_pack("{s:s, s:s, s:s, s:I, s:s, s:s, s:s, s:s, s:s, s:{}}", "created",
	                         context->now, "updated", context->now, "pool", request->pool,
	                         "pool_id", (json_int_t)pool_id, "image", image, "wwn",
	                         request->wwn ? request->wwn : uuid, "backstore", BACKSTORE,
	                         "backstore_object_name", object_name, "allocating_host",
	                         context->gateway_name, "controls");
	r = put_new(change, object_member(change->object, "disks"), id, disk);
	return r < 0 ? r : apply_controls(change, OPTION_DISK, disk);
}

static int create_disks(struct change *change, struct disk_request *request)
{
	AUTO_JSON json_t *trial = json_object();
	int r = apply_controls(change, OPTION_DISK, trial);
	if (r == 0)
		r = check_create(change, request);
	for (unsigned i = 1; r == 0 && i <= request->count; i++) {
		char image[IMAGE_ID_MAX];
		numbered_id(request, i, image, sizeof image);
		r = define_disk(change, request, image);
	}
	return r < 0 ? r : succeed(change, "disk create/update successful");
}

/* ---- resize, reconfigure ---- */

static int resize_disk(struct change *change, struct disk_request *request)
{
	const char *size = argument(change, "size");
	json_t *disk = find_disk(change, request->id);
	if (!size || !parse_size(size, &request->size_bytes))
		return refuse(change, 400, "Size is invalid");
	struct change_image image;
	int r = find_image(change, request->pool, request->image, &image);
	if (r == -ENOENT)
		return refuse(change, 400, "failed to get current size: image %s not found",
		              request->id);
	if (r < 0)
		return r;
	char now[32];
	show_size(image.size_bytes, now, sizeof now);
	if (request->size_bytes <= image.size_bytes)
		return refuse(change, 400,
		              "resize value must be larger than the current size (%s/%" PRIu64 ")",
		              now, image.size_bytes);
	r = add_work(change, CHANGE_IMAGE_GROW, request->pool, request->image, request->size_bytes);
	/* The object keeps no sizes; the stamp makes a new epoch, on which gateways look again. */
	if (r == 0)
		r = stamp(change, disk);
	return r < 0 ? r : succeed(change, "disk create/update successful");
}

static int reconfigure_disk(struct change *change, struct disk_request *request)
{
	json_t *disk = find_disk(change, request->id);
	int r = apply_controls(change, OPTION_DISK, disk);
	if (r < 0)
		return r;
	if (!json_text(disk, "owner", NULL))
		return refuse(change, 400,
		              "failed to deactivate disk: failed on %s. LUN deactivate failure - "
		              "Disk %s must be assigned to a target",
		              change->context->gateway_name, request->id);
	r = stamp(change, disk);
	return r < 0 ? r : succeed(change, "lun reconfigured: successful");
}

static int check_backstore(struct change *change, const json_t *disk)
{
	const char *backstore = disk ? json_text(disk, "backstore", BACKSTORE)
	                             : json_text(change->arguments, "backstore", BACKSTORE);
	if (strcmp(backstore, BACKSTORE) == 0)
		return 0;
	return refuse(change, 400, "Invalid '%s' backstore - Supported backstores: " BACKSTORE,
	              backstore);
}

int change_disk_put(struct change *change)
{
	static const struct {
		const char *name;
		bool makes_new;
		int (*run)(struct change *change, struct disk_request *request);
	} modes[] = {
		{ "create", true, create_disks },
		{ "resize", false, resize_disk },
		{ "reconfigure", false, reconfigure_disk },
	};

	struct disk_request request = { 0 };
	change->doing = "disk create/update ";
	int r = image_id(change, &request);
	if (r < 0)
		return r;
	const char *mode = json_text(change->arguments, "mode", "None");
	for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
		if (strcmp(mode, modes[i].name) != 0)
			continue;
		json_t *disk = find_disk(change, request.id);
		if (!modes[i].makes_new && !disk)
			return refuse(change, 404, "rbd %s is not defined to the configuration",
			              request.id);
		r = check_backstore(change, modes[i].makes_new ? NULL : disk);
		return r < 0 ? r : modes[i].run(change, &request);
	}
	return refuse(change, 400, "disk operation mode '%s' is invalid", mode);
}

/* ---- delete ---- */

static void add_name(struct string *list, const char *name)
{
	string_format(list, "%s%s", list->len ? "," : "", name);
}

int change_disk_delete(struct change *change)
{
	struct disk_request request = { 0 };
	change->doing = "disk map deletion ";
	change->takes_away = true;
	int r = image_id(change, &request);
	if (r < 0)
		return r;
	json_t *disk = find_disk(change, request.id);
	if (!disk)
		return refuse(change, 404, "rbd image %s not found", request.id);

	AUTO_STRING struct string clients = { 0 }, targets = { 0 };
	const char *iqn, *client_iqn;
	json_t *target, *client;
	json_object_foreach (json_object_get(change->object, "targets"), iqn, target) {
		if (json_object_get(json_object_get(target, "disks"), request.id))
			add_name(&targets, iqn);
		json_object_foreach (json_object_get(target, "clients"), client_iqn, client)
			if (json_object_get(json_object_get(client, "luns"), request.id))
				add_name(&clients, client_iqn);
	}
	if (clients.len)
		return refuse(change, 400, "Unable to delete %s. Allocated to: %s", request.id,
		              clients.text);
	if (targets.len)
		return refuse(change, 400, "Unable to delete %s. Mapped to: %s", request.id,
		              targets.text);
	if (strcmp(json_text(change->arguments, "preserve_image", ""), "true") != 0)
		r = add_work(change, CHANGE_IMAGE_REMOVE, json_text(disk, "pool", request.pool),
		             json_text(disk, "image", request.image), 0);
	if (r == 0)
		r = add_work(change, CHANGE_DISK_FORGET, json_text(disk, "pool", request.pool),
		             json_text(disk, "image", request.image), 0);
	(void)json_object_del(json_object_get(change->object, "disks"), request.id);
	if (r == 0)
		r = settle_owners(change);
	return r < 0 ? r : succeed(change, "disk map deletion successful");
}
