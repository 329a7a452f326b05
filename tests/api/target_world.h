/* The world of api_world.h with a target that has a disk, made over HTTP. */
#pragma once

#include "api_world.h"

#define TARGET "iqn.2003-01.com.redhat.iscsi-gw:iscsi-igw"
#define GW1    "gw1.example.com" /* the API's own */
#define GW2    "gw2.example.com"
#define DISK   "rbd/disk_1"

/* The body of the answer. */
static inline json_t *world_ask(const struct api_world *world, const char *method, const char *path,
                                const char *form, long status)
{
	AUTO_FREE char *text = NULL;
	struct call call = { .method = method, .path = path, .form = form, .user = "admin:admin" };
	TEST_ROW("%s %s %s", method, path, form ? form : "");
	long got = world_call(world, &call, &text, NULL);
	if (got != status)
		fail_msg("%ld %s", got, text);
	json_t *body = json_loads(text, 0, NULL);
	ASSERT_NOT_NULL(body);
	return body;
}

/* message NULL: any. */
static inline void world_expect(const struct api_world *world, const char *method, const char *path,
                                const char *form, long status, const char *message)
{
	AUTO_JSON json_t *body = world_ask(world, method, path, form, status);
	if (message)
		ASSERT_STR_EQ(json_text(body, "message", ""), message);
}

static inline void world_put(const struct api_world *world, const char *path, const char *form)
{
	world_expect(world, "PUT", path, form, 200, NULL);
}

/* With so many gateways, from GW1 on, which are members already. */
static inline void world_make_target(const struct api_world *world, unsigned gateways)
{
	static const struct {
		const char *path, *form;
	} rows[] = {
		{ "/api/gateway/" TARGET "/" GW1, "ip_address=10.9.0.1&skipchecks=true" },
		{ "/api/gateway/" TARGET "/" GW2, "ip_address=10.9.0.2&skipchecks=true" },
	};
	ASSERT_TRUE(gateways <= ARRAY_LEN(rows));
	world_put(world, "/api/target/" TARGET, NULL);
	for (unsigned i = 0; i < gateways; i++)
		world_put(world, rows[i].path, rows[i].form);
	world_put(world, "/api/disk/" DISK, "mode=create&size=64M");
	world_put(world, "/api/targetlun/" TARGET, "disk=" DISK);
}
