/* The hash by which gateways compare their settings before one adds the other: SHA-256 over
 * Python's JSON of the 43 upstream options in order of the table. */
#include "config/option.h"
#include "config/settings_raw.h"

#include <errno.h>
#include <openssl/evp.h>
#include <string.h>

/* Upstream takes cephadm's '' literally, so it enters the hash. Numbers and flags have their
 * default in either reading. */
static json_t *hashed_value(const struct settings *settings, const struct option *option)
{
	const struct settings_raw *raw = settings_raw_find(settings, option);
	if (!raw || text_starts(raw->text, SETTINGS_REFERENCE))
		return option_json(settings, option);
	if (option->type == OPTION_TEXT)
		return json_string(raw->text);
	if (option->type == OPTION_LIST)
		return json_pack("[s]", raw->text);
	return option_json(settings, option);
}

int settings_hash(const struct settings *settings, char ret_hex[65])
{
	AUTO_JSON json_t *values = json_object();
	if (!values)
		return -ENOMEM;
	for (size_t i = 0; i < settings_option_count; i++) {
		const struct option *option = &settings_options[i];
		if (option->unhashed || option->section == OPTION_RBDGATE)
			continue;
		if (json_object_set_new(values, option->name, hashed_value(settings, option)) < 0)
			return -ENOMEM;
	}
	char *text = json_format(values, &json_style_plain);
	if (!text)
		return -ENOMEM;
	uint8_t digest[32];
	int ok = EVP_Digest(text, strlen(text), digest, NULL, EVP_sha256(), NULL);
	wipe(text, strlen(text));
	free(text);
	if (!ok)
		return -EIO;
	text_put_hex(digest, sizeof digest, ret_hex);
	return 0;
}
