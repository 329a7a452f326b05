/* Controls in requests: overrides of the settings file for one target or one disk. Names, limits
 * and parsing are those of the table of options. */
#include "config/change_parts.h"

#include <string.h>

json_t *control_defaults(enum option_section section, const struct settings *settings)
{
	json_t *defaults = json_object();
	for (size_t i = 0; i < settings_option_count; i++) {
		const struct option *option = &settings_options[i];
		if (option->section == section &&
		    json_object_set_new(defaults, option->name, option_json(settings, option)) < 0)
			return json_decref(defaults), NULL;
	}
	return defaults;
}

json_t *control_limits(enum option_section section)
{
	json_t *limits = json_object();
	for (size_t i = 0; i < settings_option_count; i++) {
		const struct option *option = &settings_options[i];
		if (option->section != section)
			continue;
		json_t *limit = option->type == OPTION_INT
		                        ? json_pack("{s:s, s:i, s:i}", "type", "int", "min",
		                                    option->min, "max", option->max)
		                        : json_pack("{s:s}", "type", "bool");
		if (json_object_set_new(limits, option->name, limit) < 0)
			return json_decref(limits), NULL;
	}
	return limits;
}

static int refuse_controls(struct change *change, const char *why)
{
	return refuse(change, 500, "Unexpected or invalid controls - %s", why);
}

static int refuse_unknown(struct change *change, enum option_section section)
{
	AUTO_STRING struct string text = { 0 };
	for (size_t i = 0; i < settings_option_count; i++)
		if (settings_options[i].section == section)
			string_format(&text, "%s%s", text.len ? "," : "Supported controls: ",
			              settings_options[i].name);
	return refuse_controls(change, text.text ? text.text : "");
}

/* One wish of the request into the stored overrides. */
static int apply_control(struct change *change, enum option_section section, const char *name,
                         const json_t *value, json_t *controls)
{
	const struct option *option = option_find(section, name);
	if (!option)
		return refuse_unknown(change, section);
	AUTO_JSON json_t *wanted = NULL;
	AUTO_JSON json_t *standard = option_json(change->context->settings, option);
	struct error err = { 0 };
	bool reset = json_is_null(value) || (json_is_string(value) && !json_string_length(value));
	if (!reset && control_normalize(option, value, &wanted, &err) < 0)
		return refuse_controls(change, err.text);
	if (reset || json_equal(wanted, standard)) {
		(void)json_object_del(controls, name); /* may not be there */
		return 0;
	}
	return put_new(change, controls, name, json_incref(wanted));
}

int apply_controls(struct change *change, enum option_section section, json_t *item)
{
	const char *text = argument(change, "controls");
	if (!text)
		return 0;
	json_error_t error;
	AUTO_JSON json_t *wishes = json_loads(text, JSON_DECODE_ANY, &error);
	if (!wishes)
		return refuse_controls(change, error.text);
	if (!json_is_object(wishes))
		return refuse_controls(change, "expected a JSON dictionary");
	json_t *controls = object_member(item, "controls");
	const char *name;
	json_t *value;
	json_object_foreach (wishes, name, value) {
		int r = apply_control(change, section, name, value, controls);
		if (r < 0)
			return r;
	}
	return 0;
}
