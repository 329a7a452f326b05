/* The world that changes are tested in: images in a table, numbered identifiers, fixed time. */
#pragma once

#include "config/change.h"
#include "config/object.h"
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct world {
	struct change_context context;
	struct settings *settings;
	json_t *images; /* "pool/image" -> bytes */
	json_t *uuids;  /* those to hand out; then numbered ones */
	unsigned made;
};

static inline int world_find_image(void *argument, const char *pool, const char *image,
                                   struct change_image *ret_image, struct error *err)
{
	static const struct {
		const char *name;
		int64_t id;
	} pools[] = { { "rbd", 1 }, { "a.b", 4 }, { "a", 5 } };

	struct world *world = argument;
	char id[512];
	*ret_image = (struct change_image){ .exclusive_lock = strcmp(image, "nolock") != 0 };
	for (size_t i = 0; i < ARRAY_LEN(pools); i++)
		if (strcmp(pools[i].name, pool) == 0)
			ret_image->pool_id = pools[i].id;
	if (!ret_image->pool_id)
		return -ENODEV;
	(void)snprintf(id, sizeof id, "%s/%s", pool, image);
	json_t *bytes = json_object_get(world->images, id);
	if (!bytes)
		return -ENOENT;
	ret_image->size_bytes = (uint64_t)json_integer_value(bytes);
	return 0;
}

static inline void world_make_uuid(void *argument, char ret_uuid[37])
{
	struct world *world = argument;
	json_t *next = json_array_get(world->uuids, 0);
	if (next)
		(void)snprintf(ret_uuid, 37, "%s", json_string_value(next));
	else
		(void)snprintf(ret_uuid, 37, "00000000-0000-4000-8000-%012u", ++world->made);
	(void)json_array_remove(world->uuids, 0);
}

static inline void world_init(struct world *world)
{
	*world = (struct world){ 0 };
	ASSERT_EQ(settings_parse("", "none", NULL, NULL, &world->settings, NULL), 0);
	world->images = json_object();
	world->uuids = json_array();
	world->context = (struct change_context){
		.gateway_name = "gw1.example.com",
		.now = "2026/11/21 12:00:00",
		.settings = world->settings,
		.members = json_pack("[s, s, s]", "gw1.example.com", "gw2.example.com",
		                     "gw3.example.com"),
		.addresses = json_pack("[s, s]", "192.168.10.1", "fd00:10::1"),
		.sessions = json_array(),
		.find_image = world_find_image,
		.make_uuid = world_make_uuid,
		.argument = world,
	};
}

static inline void world_done(struct world *world)
{
	settings_free(world->settings);
	json_decref(world->images);
	json_decref(world->uuids);
	json_decref((json_t *)world->context.members);
	json_decref((json_t *)world->context.addresses);
	json_decref((json_t *)world->context.sessions);
}
#define AUTO_WORLD __attribute__((cleanup(world_done)))

static inline void world_do_work(struct world *world, const struct change *change)
{
	for (size_t i = 0; i < change->work_count; i++) {
		char id[512];
		const struct change_work *work = &change->work[i];
		(void)snprintf(id, sizeof id, "%s/%s", work->pool, work->image);
		if (work->kind == CHANGE_IMAGE_REMOVE)
			(void)json_object_del(world->images, id);
		else if (work->kind != CHANGE_DISK_FORGET)
			(void)json_object_set_new(world->images, id,
			                          json_integer((json_int_t)work->size_bytes));
	}
}
