#include "base/json.h"
#include "config/option.h"
#include "config/settings.h"
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct warnings {
	unsigned count;
	char last[1024];
};

static void note(void *argument, const char *text)
{
	struct warnings *warnings = argument;
	warnings->count++;
	(void)snprintf(warnings->last, sizeof warnings->last, "%s", text);
}

static struct settings *parsed(const char *text, struct warnings *warnings)
{
	struct settings *settings = NULL;
	struct error err = { 0 };
	*warnings = (struct warnings){ 0 };
	if (settings_parse(text, "igw.cfg", note, warnings, &settings, &err) < 0)
		fail_msg("%s", err.text);
	return settings;
}

TEST(the_hash_is_upstreams)
{
	AUTO_FREE char *text = test_read_file("golden/config/settings-hash.json", NULL);
	AUTO_JSON json_t *rows = json_loads(text, 0, NULL);
	size_t i;
	json_t *row;
	ASSERT_TRUE(json_array_size(rows) >= 4);
	json_array_foreach (rows, i, row) {
		struct warnings warnings;
		AUTO(settings)
		struct settings *settings = parsed(json_text(row, "cfg", NULL), &warnings);
		char hex[65];
		TEST_ROW("%zu", i);
		ASSERT_EQ(settings_hash(settings, hex), 0);
		ASSERT_STR_EQ(hex, json_text(row, "sha256", ""));
	}
}

/* Hashed with the same JSON rule by sha256sum. */
#define HASH_OF_DEFAULTS "d602fefb8d199f8fe793952798acbed895a06f46704380a1505f30a93082d5f6"

TEST(a_missing_file_gives_the_defaults)
{
	struct settings *loaded = NULL;
	struct warnings warnings = { 0 };
	struct error err = { 0 };
	ASSERT_EQ(settings_load("/nonexistent/igw.cfg", note, &warnings, &loaded, &err), 0);
	AUTO(settings) struct settings *settings = loaded;
	char hex[65];
	ASSERT_EQ(warnings.count, 0);
	ASSERT_EQ(settings_hash(settings, hex), 0);
	ASSERT_STR_EQ(hex, HASH_OF_DEFAULTS);
	ASSERT_STR_EQ(settings->store, "rados");
	ASSERT_EQ(settings->portal_port, 3260);
	ASSERT_STR_EQ(settings->interconnect_address, "");
	ASSERT_EQ(settings->interconnect_port, 3262);
	ASSERT_EQ(settings->return_after, 60);
	ASSERT_NULL(settings->trusted_ip_list[0]);
	AUTO_FREE char *conf = settings_ceph_conf(settings);
	ASSERT_STR_EQ(conf, "/etc/ceph/ceph.conf");
}

TEST(every_option_has_a_valid_default_and_reads_back)
{
	struct warnings warnings;
	AUTO(settings) struct settings *settings = parsed("", &warnings);
	for (size_t i = 0; i < settings_option_count; i++) {
		const struct option *option = &settings_options[i];
		TEST_ROW("%s", option->name);
		AUTO_JSON json_t *value = option_json(settings, option);
		ASSERT_NOT_NULL(value);
		ASSERT_TRUE(option_find(option->section, option->name) == option);
		union option_value parsed_value;
		if (option->type != OPTION_INT)
			continue;
		char text[32];
		(void)snprintf(text, sizeof text, "%d", option->min - 1);
		ASSERT_EQ(option_parse(option, text, &parsed_value, NULL), -EINVAL);
		(void)snprintf(text, sizeof text, "%d", option->max + 1);
		ASSERT_EQ(option_parse(option, text, &parsed_value, NULL), -EINVAL);
		(void)snprintf(text, sizeof text, "%d", option->max);
		ASSERT_EQ(option_parse(option, text, &parsed_value, NULL), 0);
		ASSERT_EQ(parsed_value.number, option->max);
	}
}

static const struct {
	const char *option, *text, *expected; /* JSON, or the sentence of the error */
} values[] = {
	{ "api_port", " 7_000\t", "7000" },
	{ "api_port", "+07000", "7000" },
	{ "api_port", "7000 ; x", "expected integer for api_port" },
	{ "api_port", "7__0", "expected integer for api_port" },
	{ "api_port", "0x10", "expected integer for api_port" },
	{ "api_port", "", "expected integer for api_port" },
	{ "api_port", "-1", "expected integer >= 1 for api_port" },
	{ "api_port", "99999999999999999999", "expected integer <= 65535 for api_port" },
	{ "api_secure", "YES", "true" },
	{ "api_secure", "0", "false" },
	{ "api_secure", "off", "expected true or false for api_secure" },
	{ "api_secure", " true", "expected true or false for api_secure" },
	{ "trusted_ip_list", "a,,b ,", "[\"a\", \"\", \"b\", \"\"]" },
	{ "trusted_ip_list", "", "[]" },
	{ "trusted_ip_list", "10.0.0.1,\n10.0.0.2", "[\"10.0.0.1\", \"10.0.0.2\"]" },
	{ "alua_failover_type", "explicit", "\"explicit\"" },
	{ "alua_failover_type", "Explicit",
	  "expected ['implicit', 'explicit'] for alua_failover_type found Explicit" },
	{ "api_user", "p\xc3\xa9", "\"p\\u00e9\"" },
	{ "api_user", "\xff", "\"\\ufffd\"" },
};

/* Others connect to it, and bind() takes it. */
TEST(where_others_reach_this_gateway_is_one_address)
{
	static const struct {
		const char *text;
		bool good;
	} rows[] = {
		{ "", true },          { "10.10.0.1", true }, { "fd77::1", true },
		{ "[fd77::1]", true }, { "0.0.0.0", false },  { "::", false },
		{ "[::]", false },     { "gw-1", false },     { "10.0.0.1:3262", false },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char text[128], warning[256];
		struct warnings warnings;
		TEST_ROW("%zu %s", i, rows[i].text);
		(void)snprintf(text, sizeof text, "[rbdgate]\ninterconnect_address = %s\n",
		               rows[i].text);
		AUTO(settings) struct settings *settings = parsed(text, &warnings);
		ASSERT_STR_EQ(settings->interconnect_address, rows[i].good ? rows[i].text : "");
		ASSERT_EQ(warnings.count, rows[i].good ? 0 : 1);
		(void)snprintf(warning, sizeof warning,
		               "igw.cfg, line 2: expected one IP address for "
		               "interconnect_address found %s; the default () is used",
		               rows[i].text);
		if (!rows[i].good)
			ASSERT_STR_EQ(warnings.last, warning);
	}
}

TEST(values_are_read_as_python_reads_them)
{
	for (size_t i = 0; i < ARRAY_LEN(values); i++) {
		struct warnings warnings;
		AUTO(settings) struct settings *settings = parsed("", &warnings);
		const struct option *option = option_find(OPTION_CONFIG, values[i].option);
		union option_value value;
		struct error err = { 0 };
		TEST_ROW("%zu %s", i, values[i].option);
		if (option_parse(option, values[i].text, &value, &err) < 0) {
			ASSERT_STR_EQ(err.text, values[i].expected);
			continue;
		}
		option_put(settings, option, value);
		AUTO_JSON json_t *json = option_json(settings, option);
		AUTO_FREE char *text = json_format(json, &json_style_plain);
		ASSERT_STR_EQ(text, values[i].expected);
	}
}

TEST(an_invalid_value_warns_and_keeps_the_default)
{
	struct warnings warnings;
	AUTO(settings) struct settings *settings = parsed("[config]\napi_port = x\n", &warnings);
	ASSERT_EQ(settings->api_port, 5000);
	ASSERT_EQ(warnings.count, 1);
	ASSERT_STR_EQ(warnings.last, "igw.cfg, line 2: expected integer for api_port; the default "
	                             "(5000) is used");
}

TEST(an_option_in_the_wrong_section_counts_unless_the_right_one_has_it)
{
	struct warnings warnings;
	AUTO(settings)
	struct settings *settings =
	        parsed("[config]\nosd_op_timeout = 9\ncmdsn_depth = 4\n[target]\ncmdsn_depth = 8\n",
	               &warnings);
	ASSERT_EQ(settings->disk.osd_op_timeout, 9);
	ASSERT_EQ(settings->target.cmdsn_depth, 8);
	ASSERT_EQ(warnings.count, 2);
}

TEST(our_options_stand_in_a_section_of_their_own)
{
	struct warnings warnings;
	AUTO(settings)
	struct settings *settings =
	        parsed("[rbdgate]\nstore = dir:/srv/x\nio_threads = 3\nnonsense = 1\n"
	               "[config]\nunknown = 1\n",
	               &warnings);
	ASSERT_STR_EQ(settings->store, "dir:/srv/x");
	ASSERT_EQ(settings->io_threads, 3);
	ASSERT_EQ(warnings.count, 1);
	char hex[65];
	ASSERT_EQ(settings_hash(settings, hex), 0);
	ASSERT_STR_EQ(hex, HASH_OF_DEFAULTS);
}

TEST(ssl_verify_has_no_effect_beside_api_secure)
{
	struct warnings warnings;
	AUTO(settings)
	struct settings *secure = parsed("[config]\napi_ssl_verify = true\n", &warnings);
	ASSERT_FALSE(secure->api_ssl_verify);
	AUTO(settings)
	struct settings *plain =
	        parsed("[config]\napi_ssl_verify = true\napi_secure = no\n", &warnings);
	ASSERT_TRUE(plain->api_ssl_verify);
}

TEST(two_quotes_of_cephadm_mean_unset_but_enter_the_hash)
{
	static const char body[] = "[config]\napi_user = ''\ntrusted_ip_list = ''\napi_port = ''\n";
	char file[256];
	struct warnings warnings;
	AUTO(settings) struct settings *literal = parsed(body, &warnings);
	ASSERT_STR_EQ(literal->api_user, "''");
	(void)snprintf(file, sizeof file, "# This file is generated by cephadm.\n%s", body);
	AUTO(settings) struct settings *unset = parsed(file, &warnings);
	ASSERT_STR_EQ(unset->api_user, "admin");
	ASSERT_NULL(unset->trusted_ip_list[0]);
	ASSERT_EQ(unset->api_port, 5000);
	ASSERT_EQ(warnings.count, 0);
	char hex[65], literal_hex[65];
	ASSERT_EQ(settings_hash(unset, hex), 0);
	ASSERT_EQ(settings_hash(literal, literal_hex), 0);
	ASSERT_STR_EQ(hex, literal_hex);
}

static char *fetch(void *argument, const char *key)
{
	if (!strcmp(key, "igw/api_port"))
		return strdup("5001");
	return !strcmp(key, "igw/list") ? strdup("10.0.0.9") : NULL;
}

TEST(references_to_the_monitors_are_fetched)
{
	struct warnings warnings;
	AUTO(settings)
	struct settings *settings =
	        parsed("[config]\napi_port = config://igw/api_port\napi_user = config://none\n"
	               "trusted_ip_list = config://igw/list\ntime_out = config://none\n",
	               &warnings);
	ASSERT_EQ(settings->api_port, 5000);
	settings_resolve(settings, fetch, NULL);
	ASSERT_EQ(settings->api_port, 5001);
	ASSERT_STR_EQ(settings->api_user, "");
	ASSERT_STR_EQ(settings->trusted_ip_list[0], "10.0.0.9");
	ASSERT_EQ(settings->time_out, 30);
}

TEST(the_name_of_the_gateway_can_be_set)
{
	struct warnings warnings;
	AUTO(settings)
	struct settings *settings =
	        parsed("[rbdgate]\ngateway_name = gw1.example.com\n", &warnings);
	AUTO_FREE char *name = settings_gateway_name(settings);
	ASSERT_STR_EQ(name, "gw1.example.com");
	AUTO(settings) struct settings *computed = parsed("", &warnings);
	AUTO_FREE char *host = settings_gateway_name(computed);
	ASSERT_TRUE(host[0] != '\0');
}

TEST(a_file_with_a_nul_byte_is_refused)
{
	char path[512];
	(void)snprintf(path, sizeof path, "%s/igw.cfg", test_folder());
	FILE *file = fopen(path, "w");
	(void)fwrite("[config]\n\0x", 1, 11, file);
	(void)fclose(file);
	struct settings *settings = NULL;
	struct error err = { 0 };
	ASSERT_EQ(settings_load(path, NULL, NULL, &settings, &err), -EINVAL);
}

TEST(the_store_is_the_cluster_or_a_folder_and_nothing_else)
{
	static const struct {
		const char *store;
		int result;
		const char *folder;
	} rows[] = {
		{ "rados", 0, NULL },      { "dir:/var/lib/rbdgate", 0, "/var/lib/rbdgate" },
		{ "dir:", -EINVAL, NULL }, { "dir", -EINVAL, NULL },
		{ "ceph", -EINVAL, NULL }, { "", -EINVAL, NULL },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct warnings warnings;
		AUTO_STRING struct string text = { 0 };
		string_format(&text, "[rbdgate]\nstore = %s\n", rows[i].store);
		AUTO(settings) struct settings *settings = parsed(text.text, &warnings);
		const char *folder = NULL;
		struct error err = { 0 };
		TEST_ROW("%s", rows[i].store);
		ASSERT_EQ(settings_store(settings, &folder, &err), rows[i].result);
		if (rows[i].folder)
			ASSERT_STR_EQ(folder, rows[i].folder);
		else
			ASSERT_NULL(folder);
		if (rows[i].result < 0)
			ASSERT_NOT_NULL(strstr(err.text, "only `rados` and `dir:PATH` are known"));
	}
}
