/* The object as a whole: text in, text out, seed, epoch. Steps between versions are in upgrade.c,
 * typed views in object_view.h. */
#include "config/object.h"

#include <errno.h>

int object_parse(const char *text, json_t **ret_object, struct error *err)
{
	json_error_t reason;
	AUTO_JSON json_t *object = json_loads(text, 0, &reason);
	if (!object)
		return error_set(err, -EINVAL,
		                 "the configuration object is not JSON (line %d: %s); it is left "
		                 "untouched, restore it from a backup",
		                 reason.line, reason.text);
	const json_t *version = json_object_get(object, "version");
	bool is_mid = json_is_real(version) && json_real_value(version) == 9.5;
	if (!json_is_integer(version) && !is_mid)
		return error_set(
		        err, -EINVAL,
		        "the configuration object is not one of an iSCSI gateway (no integer "
		        "\"version\"); it is left untouched, use another pool or name");
	*ret_object = steal(&object);
	return 0;
}

json_t *object_seed(const struct object_context *context)
{
	return json_pack("{s:s, s:{s:s, s:s, s:b, s:s, s:s, s:b}, s:{}, s:i, s:{}, s:{}, s:s, s:i}",
	                 "created", context->now, "discovery_auth", "username", "", "password", "",
	                 "password_encryption_enabled", 0, "mutual_username", "", "mutual_password",
	                 "", "mutual_password_encryption_enabled", 0, "disks", "epoch", 0,
	                 "gateways", "targets", "updated", "", "version", OBJECT_VERSION);
}

bool object_is_newer(const json_t *object)
{
	return json_number(object, "version", 0) > OBJECT_VERSION;
}

char *object_format(const json_t *object)
{
	return json_format(object, &json_style_object);
}

uint64_t object_epoch(const json_t *object)
{
	json_int_t epoch = json_number(object, "epoch", 0);
	return epoch > 0 ? (uint64_t)epoch : 0;
}

uint64_t object_touch(json_t *object, const char *now)
{
	uint64_t epoch = object_epoch(object) + 1;
	/* Without memory the old values stay, and the guard of the commit refuses the write. */
	(void)json_object_set_new(object, "epoch", json_integer((json_int_t)epoch));
	(void)json_object_set_new(object, "updated", json_string(now));
	return epoch;
}
