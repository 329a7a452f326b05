/* The table of all options (spec: order of the hash), and what is read off it. */
#include "config/option.h"

#include "config/address.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

static const char *const failover_types[] = { "implicit", "explicit", NULL };

#define AT(field) .offset = offsetof(struct settings, field)
#define INT(option_section, option_name, lowest, highest, initial, field)               \
	{                                                                               \
		.section = (option_section), .type = OPTION_INT, .name = (option_name), \
		.fallback = (initial), .min = (lowest), .max = (highest), AT(field)     \
	}
#define OTHER(option_section, option_type, option_name, initial, field)                    \
	{                                                                                  \
		.section = (option_section), .type = (option_type), .name = (option_name), \
		.fallback = (initial), AT(field)                                           \
	}

/* clang-format off */
const struct option settings_options[] = {
	OTHER(OPTION_CONFIG, OPTION_TEXT, "cluster_name", "ceph", cluster_name),
	OTHER(OPTION_CONFIG, OPTION_TEXT, "pool", "rbd", pool),
	{ .section = OPTION_CONFIG, .type = OPTION_TEXT, .name = "cluster_client_name",
	  .fallback = "client.admin", .unhashed = true, AT(cluster_client_name) },
	INT(OPTION_CONFIG, "time_out", 1, 600, "30", time_out),
	OTHER(OPTION_CONFIG, OPTION_TEXT, "api_host", "::", api_host),
	INT(OPTION_CONFIG, "api_port", 1, 65535, "5000", api_port),
	OTHER(OPTION_CONFIG, OPTION_BOOL, "api_secure", "true", api_secure),
	OTHER(OPTION_CONFIG, OPTION_BOOL, "api_ssl_verify", "false", api_ssl_verify),
	INT(OPTION_CONFIG, "loop_delay", 1, 60, "2", loop_delay),
	OTHER(OPTION_CONFIG, OPTION_LIST, "trusted_ip_list", "", trusted_ip_list),
	OTHER(OPTION_CONFIG, OPTION_TEXT, "api_user", "admin", api_user),
	OTHER(OPTION_CONFIG, OPTION_TEXT, "api_password", "admin", api_password),
	OTHER(OPTION_CONFIG, OPTION_TEXT, "ceph_user", "admin", ceph_user),
	OTHER(OPTION_CONFIG, OPTION_BOOL, "debug", "false", debug),
	INT(OPTION_CONFIG, "minimum_gateways", 1, 9999, "2", minimum_gateways),
	OTHER(OPTION_CONFIG, OPTION_TEXT, "ceph_config_dir", "/etc/ceph", ceph_config_dir),
	OTHER(OPTION_CONFIG, OPTION_TEXT, "gateway_conf", "gateway.conf", gateway_conf),
	OTHER(OPTION_CONFIG, OPTION_TEXT, "priv_key", "iscsi-gateway.key", priv_key),
	OTHER(OPTION_CONFIG, OPTION_TEXT, "pub_key", "iscsi-gateway-pub.key", pub_key),
	OTHER(OPTION_CONFIG, OPTION_BOOL, "prometheus_exporter", "true", prometheus_exporter),
	INT(OPTION_CONFIG, "prometheus_port", 1, 65535, "9287", prometheus_port),
	OTHER(OPTION_CONFIG, OPTION_TEXT, "prometheus_host", "::", prometheus_host),
	{ .section = OPTION_CONFIG, .type = OPTION_INT, .name = "logger_level",
	  .fallback = "10", .min = 10, .max = 50, .unhashed = true, AT(logger_level) },
	OTHER(OPTION_CONFIG, OPTION_BOOL, "log_to_stderr", "false", log_to_stderr),
	OTHER(OPTION_CONFIG, OPTION_TEXT, "log_to_stderr_prefix", "", log_to_stderr_prefix),
	OTHER(OPTION_CONFIG, OPTION_BOOL, "log_to_file", "true", log_to_file),
	{ .section = OPTION_CONFIG, .type = OPTION_CHOICE, .name = "alua_failover_type",
	  .fallback = "implicit", .choices = failover_types, AT(alua_failover_type) },

	INT(OPTION_TARGET, "dataout_timeout", 2, 60, "20", target.dataout_timeout),
	INT(OPTION_TARGET, "nopin_response_timeout", 3, 60, "5", target.nopin_response_timeout),
	INT(OPTION_TARGET, "nopin_timeout", 3, 60, "5", target.nopin_timeout),
	INT(OPTION_TARGET, "cmdsn_depth", 1, 512, "128", target.cmdsn_depth),
	OTHER(OPTION_TARGET, OPTION_YES_NO, "immediate_data", "yes", target.immediate_data),
	OTHER(OPTION_TARGET, OPTION_YES_NO, "initial_r2t", "yes", target.initial_r2t),
	INT(OPTION_TARGET, "max_outstanding_r2t", 1, 65535, "1", target.max_outstanding_r2t),
	INT(OPTION_TARGET, "first_burst_length", 512, 16777215, "262144", target.first_burst_length),
	INT(OPTION_TARGET, "max_burst_length", 512, 16777215, "524288", target.max_burst_length),
	INT(OPTION_TARGET, "max_recv_data_segment_length", 512, 16777215, "262144",
	    target.max_recv_data_segment_length),
	INT(OPTION_TARGET, "max_xmit_data_segment_length", 512, 16777215, "262144",
	    target.max_xmit_data_segment_length),

	INT(OPTION_DISK, "max_data_area_mb", 1, 2048, "8", disk.max_data_area_mb),
	INT(OPTION_DISK, "qfull_timeout", 0, 600, "5", disk.qfull_timeout),
	INT(OPTION_DISK, "osd_op_timeout", 0, 600, "30", disk.osd_op_timeout),
	INT(OPTION_DISK, "hw_max_sectors", 1, 8192, "1024", disk.hw_max_sectors),

	INT(OPTION_DEVICE_STATUS, "lock_lost_cnt_threshhold", 1, 1000000, "12",
	    lock_lost_cnt_threshhold),
	INT(OPTION_DEVICE_STATUS, "status_check_interval", 1, 600, "10", status_check_interval),
	INT(OPTION_DEVICE_STATUS, "stable_state_reset_count", 1, 600, "3", stable_state_reset_count),

	OTHER(OPTION_RBDGATE, OPTION_TEXT, "store", "rados", store),
	OTHER(OPTION_RBDGATE, OPTION_TEXT, "gateway_name", "", gateway_name),
	INT(OPTION_RBDGATE, "portal_port", 0, 65535, "3260", portal_port),
	OTHER(OPTION_RBDGATE, OPTION_TEXT, "run_dir", "/run/rbdgate", run_dir),
	INT(OPTION_RBDGATE, "io_threads", 0, 64, "0", io_threads),
	INT(OPTION_RBDGATE, "cluster_clients", 1, 64, "4", cluster_clients),
	INT(OPTION_RBDGATE, "busy_poll_us", 0, 1000, "0", busy_poll_us),
	INT(OPTION_RBDGATE, "max_inflight_mb", 16, 1048576, "1024", max_inflight_mb),
	OTHER(OPTION_RBDGATE, OPTION_BOOL, "discovery_by_acl", "false", discovery_by_acl),
	OTHER(OPTION_RBDGATE, OPTION_BOOL, "exclusive_writers", "false", exclusive_writers),
	OTHER(OPTION_RBDGATE, OPTION_ADDRESS, "interconnect_address", "", interconnect_address),
	INT(OPTION_RBDGATE, "interconnect_port", 0, 65535, "3262", interconnect_port),
	INT(OPTION_RBDGATE, "return_after", 0, 86400, "60", return_after),
};
/* clang-format on */
const size_t settings_option_count = ARRAY_LEN(settings_options);

const char *option_section_name(enum option_section section)
{
	static const char *const names[] = { "config", "target", "target", "device_status",
		                             "rbdgate" };
	return names[section];
}

const struct option *option_find(enum option_section section, const char *name)
{
	for (size_t i = 0; i < settings_option_count; i++) {
		const struct option *option = &settings_options[i];
		if (option->section == section && !strcmp(option->name, name))
			return option;
	}
	return NULL;
}

/* int(text) of Python for ASCII: white space around, a sign, single '_' between digits. Values past
 * every bound come out as INT_MIN or INT_MAX. */
static bool python_int(const char *text, int *ret_value)
{
	text += strspn(text, " \t\n\r\f\v");
	bool negative = *text == '-';
	text += *text == '-' || *text == '+';
	int64_t value = 0;
	if (!isdigit((unsigned char)*text))
		return false;
	for (; isdigit((unsigned char)*text) || (*text == '_' && isdigit((unsigned char)text[1]));
	     text++)
		if (*text != '_' && value <= INT_MAX)
			value = value * 10 + (*text - '0');
	text += strspn(text, " \t\n\r\f\v");
	if (*text != '\0')
		return false;
	if (value > INT_MAX)
		*ret_value = negative ? INT_MIN : INT_MAX;
	else
		*ret_value = (int)(negative ? -value : value);
	return true;
}

static int check_bounds(const struct option *option, int number, struct error *err)
{
	if (number < option->min)
		return error_set(err, -EINVAL, "expected integer >= %d for %s", option->min,
		                 option->name);
	if (number > option->max)
		return error_set(err, -EINVAL, "expected integer <= %d for %s", option->max,
		                 option->name);
	return 0;
}

static int parse_int(const struct option *option, const char *text, union option_value *ret_value,
                     struct error *err)
{
	int number;
	if (!python_int(text, &number))
		return error_set(err, -EINVAL, "expected integer for %s", option->name);
	int r = check_bounds(option, number, err);
	if (r == 0)
		ret_value->number = number;
	return r;
}

static int parse_bool(const struct option *option, const char *text, union option_value *ret_value,
                      struct error *err)
{
	static const char *const words[] = { "0", "1", "false", "true", "no", "yes" };
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (!strcasecmp(text, words[i])) {
			ret_value->flag = i % 2 == 1;
			return 0;
		}
	}
	const char *expected = option->type == OPTION_BOOL ? "true or false" : "yes or no";
	return error_set(err, -EINVAL, "expected %s for %s", expected, option->name);
}

static int parse_text(const struct option *option, const char *text, union option_value *ret_value,
                      struct error *err)
{
	char *copy = strdup(text);
	if (!copy)
		return error_set(err, -ENOMEM, "out of memory");
	ret_value->text = copy;
	return 0;
}

static int parse_address(const struct option *option, const char *text,
                         union option_value *ret_value, struct error *err)
{
	if (*text && (!address_is_valid(text) || address_is_wildcard(text)))
		return error_set(err, -EINVAL, "expected one IP address for %s found %s",
		                 option->name, text);
	return parse_text(option, text, ret_value, err);
}

static int parse_choice(const struct option *option, const char *text,
                        union option_value *ret_value, struct error *err)
{
	AUTO_STRING struct string names = { 0 };
	for (const char *const *choice = option->choices; *choice; choice++) {
		if (!strcmp(*choice, text))
			return parse_text(option, text, ret_value, err);
		string_format(&names, "%s'%s'", names.len ? ", " : "", *choice);
	}
	return error_set(err, -EINVAL, "expected [%s] for %s found %s",
	                 names.text ? names.text : "", option->name, text);
}

static void free_list(char **list)
{
	for (char **item = list; item && *item; item++)
		free(*item);
	free(list);
}

/* Items are stripped, empty ones stay; the empty text is the empty list. */
static int parse_list(const struct option *option, const char *text, union option_value *ret_value,
                      struct error *err)
{
	size_t count = *text != '\0';
	for (const char *at = text; *at; at++)
		count += *at == ',';
	char **list = calloc(count + 1, sizeof *list);
	for (size_t i = 0; list && i < count; i++) {
		const char *end = strchrnul(text, ',');
		const char *next = *end ? end + 1 : end;
		text += strspn(text, " \t\n\r\f\v");
		while (end > text && strchr(" \t\n\r\f\v", end[-1]))
			end--;
		list[i] = strndup(text, end > text ? (size_t)(end - text) : 0);
		if (!list[i]) {
			free_list(list);
			list = NULL;
		}
		text = next;
	}
	if (!list)
		return error_set(err, -ENOMEM, "out of memory");
	ret_value->list = list;
	return 0;
}

int option_parse(const struct option *option, const char *text, union option_value *ret_value,
                 struct error *err)
{
	static int (*const parsers[])(const struct option *, const char *, union option_value *,
	                              struct error *) = {
		[OPTION_INT] = parse_int,         [OPTION_BOOL] = parse_bool,
		[OPTION_YES_NO] = parse_bool,     [OPTION_TEXT] = parse_text,
		[OPTION_LIST] = parse_list,       [OPTION_CHOICE] = parse_choice,
		[OPTION_ADDRESS] = parse_address,
	};
	return parsers[option->type](option, text, ret_value, err);
}

static void *field(const struct settings *settings, const struct option *option)
{
	return (char *)settings + option->offset;
}

void option_clear(struct settings *settings, const struct option *option)
{
	if (option->type == OPTION_LIST) {
		free_list(*(char ***)field(settings, option));
		*(char ***)field(settings, option) = NULL;
	} else if (option->type == OPTION_TEXT || option->type == OPTION_ADDRESS ||
	           option->type == OPTION_CHOICE) {
		char **text = field(settings, option);
		if (*text)
			wipe(*text, strlen(*text));
		free(*text);
		*text = NULL;
	}
}

void option_put(struct settings *settings, const struct option *option, union option_value value)
{
	option_clear(settings, option);
	switch (option->type) {
	case OPTION_INT:
		*(int *)field(settings, option) = value.number;
		break;
	case OPTION_BOOL:
	case OPTION_YES_NO:
		*(bool *)field(settings, option) = value.flag;
		break;
	case OPTION_TEXT:
	case OPTION_ADDRESS:
	case OPTION_CHOICE:
		*(char **)field(settings, option) = value.text;
		break;
	case OPTION_LIST:
		*(char ***)field(settings, option) = value.list;
		break;
	}
}

/* Text of the file in any encoding: what is no UTF-8 becomes U+FFFD byte by byte. */
static json_t *text_json(const char *text)
{
	json_t *value = json_string(text);
	if (value)
		return value;
	AUTO_STRING struct string mended = { 0 };
	for (const char *at = text; *at; at++) {
		if ((unsigned char)*at < 0x80)
			string_add_char(&mended, *at);
		else
			string_add(&mended, "\xef\xbf\xbd");
	}
	return mended.failed ? NULL : json_string(mended.text ? mended.text : "");
}

static json_t *list_json(char *const *list)
{
	json_t *array = json_array();
	for (; array && *list; list++) {
		if (json_array_append_new(array, text_json(*list)) < 0) {
			json_decref(array);
			return NULL;
		}
	}
	return array;
}

json_t *option_json(const struct settings *settings, const struct option *option)
{
	const void *at = field(settings, option);
	switch (option->type) {
	case OPTION_INT:
		return json_integer(*(const int *)at);
	case OPTION_BOOL:
	case OPTION_YES_NO:
		return json_boolean(*(const bool *)at);
	case OPTION_TEXT:
	case OPTION_ADDRESS:
	case OPTION_CHOICE:
		return text_json(*(char *const *)at);
	case OPTION_LIST:
		return list_json(*(char **const *)at);
	}
	return NULL;
}
