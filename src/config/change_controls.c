/* Controls: overrides of the settings file for one target or one disk. Names, limits, defaults. */
#include "config/change_parts.h"

#include <ctype.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define TARGET(field) #field, .offset = offsetof(struct settings, target.field)
#define DISK(field)   #field, .offset = offsetof(struct settings, disk.field)

static const struct control target_controls[] = {
	{ TARGET(dataout_timeout), .min = 2, .max = 60 },
	{ TARGET(nopin_response_timeout), .min = 3, .max = 60 },
	{ TARGET(nopin_timeout), .min = 3, .max = 60 },
	{ TARGET(cmdsn_depth), .min = 1, .max = 512 },
	{ TARGET(immediate_data), .is_flag = true },
	{ TARGET(initial_r2t), .is_flag = true },
	{ TARGET(max_outstanding_r2t), .min = 1, .max = 65535 },
	{ TARGET(first_burst_length), .min = 512, .max = 16777215 },
	{ TARGET(max_burst_length), .min = 512, .max = 16777215 },
	{ TARGET(max_recv_data_segment_length), .min = 512, .max = 16777215 },
	{ TARGET(max_xmit_data_segment_length), .min = 512, .max = 16777215 },
};
static const struct control disk_controls[] = {
	{ DISK(max_data_area_mb), .min = 1, .max = 2048 },
	{ DISK(qfull_timeout), .min = 0, .max = 600 },
	{ DISK(osd_op_timeout), .min = 0, .max = 600 },
	{ DISK(hw_max_sectors), .min = 1, .max = 8192 },
};
const struct control_group target_control_group = { target_controls, ARRAY_LEN(target_controls) };
const struct control_group disk_control_group = { disk_controls, ARRAY_LEN(disk_controls) };

static json_t *control_default(const struct control *control, const struct settings *settings)
{
	const char *at = (const char *)settings + control->offset;
	if (control->is_flag) {
		bool flag;
		memcpy(&flag, at, sizeof flag);
		return json_boolean(flag);
	}
	int number;
	memcpy(&number, at, sizeof number);
	return json_integer(number);
}

json_t *control_defaults(const struct control_group *group, const struct settings *settings)
{
	json_t *defaults = json_object();
	for (size_t i = 0; i < group->count; i++)
		if (json_object_set_new(defaults, group->controls[i].name,
		                        control_default(&group->controls[i], settings)) < 0)
			return json_decref(defaults), NULL;
	return defaults;
}

json_t *control_limits(const struct control_group *group)
{
	json_t *limits = json_object();
	for (size_t i = 0; i < group->count; i++) {
		const struct control *control = &group->controls[i];
		json_t *limit = control->is_flag
		                        ? json_pack("{s:s}", "type", "bool")
		                        : json_pack("{s:s, s:i, s:i}", "type", "int", "min",
		                                    control->min, "max", control->max);
		if (json_object_set_new(limits, control->name, limit) < 0)
			return json_decref(limits), NULL;
	}
	return limits;
}

static const struct control *control_find(const struct control_group *group, const char *name)
{
	for (size_t i = 0; i < group->count; i++)
		if (strcmp(group->controls[i].name, name) == 0)
			return &group->controls[i];
	return NULL;
}

static int refuse_controls(struct change *change, const char *why, const char *name)
{
	return refuse(change, 500, "Unexpected or invalid controls - %s%s", why, name);
}

/* What Python's int() takes: blanks around, a sign. */
static bool whole_number(const char *text, long long *ret_number)
{
	char *end;
	errno = 0;
	long long number = strtoll(text, &end, 10);
	if (end == text || errno)
		return false;
	while (isspace((unsigned char)*end))
		end++;
	*ret_number = number;
	return *end == '\0';
}

static int normalize_number(struct change *change, const struct control *control,
                            const json_t *value, json_t **ret_value)
{
	long long number = 0;
	bool ok = true;
	if (json_is_string(value))
		ok = whole_number(json_string_value(value), &number);
	else if (json_is_boolean(value))
		number = json_is_true(value);
	else if (json_is_integer(value))
		number = json_integer_value(value);
	else
		ok = false;
	if (!ok)
		return refuse_controls(change, "expected integer for ", control->name);
	char why[64];
	(void)snprintf(why, sizeof why, "expected integer %s %d for ",
	               number < control->min ? ">=" : "<=",
	               number < control->min ? control->min : control->max);
	if (number < control->min || number > control->max)
		return refuse_controls(change, why, control->name);
	*ret_value = json_integer(number);
	return 0;
}

static int normalize_flag(struct change *change, const struct control *control, const json_t *value,
                          json_t **ret_value)
{
	static const struct {
		const char *word;
		bool flag;
	} words[] = { { "yes", true }, { "no", false }, { "true", true },
		      { "1", true },   { "0", false },  { "false", false } };

	char number[32];
	const char *text = json_string_value(value);
	if (json_is_boolean(value))
		text = json_is_true(value) ? "true" : "false";
	if (json_is_integer(value)) {
		(void)snprintf(number, sizeof number, "%lld", (long long)json_integer_value(value));
		text = number;
	}
	for (size_t i = 0; text && i < ARRAY_LEN(words); i++) {
		if (strcasecmp(text, words[i].word) == 0) {
			*ret_value = json_boolean(words[i].flag);
			return 0;
		}
	}
	return refuse_controls(change, "expected yes or no for ", control->name);
}

static int refuse_unknown(struct change *change, const struct control_group *group)
{
	AUTO_STRING struct string names = { 0 };
	for (size_t i = 0; i < group->count; i++)
		string_format(&names, "%s%s", i ? "," : "", group->controls[i].name);
	return refuse_controls(change, "Supported controls: ", names.text ? names.text : "");
}

/* One wish of the request into the stored overrides. */
static int apply_control(struct change *change, const struct control_group *group, const char *name,
                         const json_t *value, json_t *controls)
{
	const struct control *control = control_find(group, name);
	if (!control)
		return refuse_unknown(change, group);
	AUTO_JSON json_t *wanted = NULL;
	AUTO_JSON json_t *standard = control_default(control, change->context->settings);
	bool reset = json_is_null(value) || (json_is_string(value) && !json_string_length(value));
	int r = 0;
	if (!reset)
		r = control->is_flag ? normalize_flag(change, control, value, &wanted)
		                     : normalize_number(change, control, value, &wanted);
	if (r < 0)
		return r;
	if (reset || json_equal(wanted, standard)) {
		(void)json_object_del(controls, name); /* may not be there */
		return 0;
	}
	return put_new(change, controls, name, json_incref(wanted));
}

int apply_controls(struct change *change, const struct control_group *group, json_t *item)
{
	const char *text = argument(change, "controls");
	if (!text)
		return 0;
	json_error_t error;
	AUTO_JSON json_t *wishes = json_loads(text, JSON_DECODE_ANY, &error);
	if (!wishes)
		return refuse_controls(change, error.text, "");
	if (!json_is_object(wishes))
		return refuse_controls(change, "expected a JSON dictionary", "");
	json_t *controls = object_member(item, "controls");
	const char *name;
	json_t *value;
	json_object_foreach (wishes, name, value) {
		int r = apply_control(change, group, name, value, controls);
		if (r < 0)
			return r;
	}
	return 0;
}
