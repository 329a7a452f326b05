/* Controls: overrides of the [target] options that stand in the object or come with a request. */
#include "config/option.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* int() of a JSON number truncates towards zero; a bool is 0 or 1. Clamped: past every bound. */
static const char *number_text(const json_t *value, char *room, size_t room_bytes)
{
	if (json_is_string(value))
		return json_string_value(value);
	if (json_is_boolean(value))
		return json_is_true(value) ? "1" : "0";
	if (json_is_integer(value))
		(void)snprintf(room, room_bytes, "%" JSON_INTEGER_FORMAT,
		               json_integer_value(value));
	else if (json_is_real(value) && json_real_value(value) >= -1e9 &&
	         json_real_value(value) <= 1e9)
		(void)snprintf(room, room_bytes, "%d", (int)json_real_value(value));
	else
		return "";
	return room;
}

/* str(value).lower() of Python: 1.0 is no flag. */
static const char *flag_text(const json_t *value, char *room, size_t room_bytes)
{
	if (json_is_real(value))
		return "";
	return number_text(value, room, room_bytes);
}

int control_normalize(const struct option *option, const json_t *value, json_t **ret_value,
                      struct error *err)
{
	char room[32];
	bool is_int = option->type == OPTION_INT;
	const char *text = is_int ? number_text(value, room, sizeof room)
	                          : flag_text(value, room, sizeof room);
	union option_value parsed;
	int r = option_parse(option, text, &parsed, err);
	if (r < 0)
		return r;
	json_t *normal = is_int ? json_integer(parsed.number) : json_boolean(parsed.flag);
	if (!normal)
		return error_set(err, -ENOMEM, "out of memory");
	*ret_value = normal;
	return 0;
}

/* Writes the overrides of one section over the copy of the settings' part that starts at
 * part_offset. */
static void apply(enum option_section section, const json_t *controls, void *part,
                  size_t part_offset)
{
	const char *name;
	json_t *value;
	json_object_foreach ((json_t *)controls, name, value) {
		const struct option *option = option_find(section, name);
		AUTO_JSON json_t *normal = NULL;
		if (!option || control_normalize(option, value, &normal, NULL) < 0)
			continue;
		void *field = (char *)part + (option->offset - part_offset);
		if (option->type == OPTION_INT)
			*(int *)field = (int)json_integer_value(normal);
		else
			*(bool *)field = json_is_true(normal);
	}
}

void controls_of_target(const struct settings *settings, const json_t *controls,
                        struct target_controls *ret_controls)
{
	*ret_controls = settings->target;
	apply(OPTION_TARGET, controls, ret_controls, offsetof(struct settings, target));
}

void controls_of_disk(const struct settings *settings, const json_t *controls,
                      struct disk_controls *ret_controls)
{
	*ret_controls = settings->disk;
	apply(OPTION_DISK, controls, ret_controls, offsetof(struct settings, disk));
}
