/* Fuzzes the settings file: its dialect, its options, its hash. The input is the file. */
#include "fuzz.h"

#include "config/settings.h"

#include <stdlib.h>
#include <string.h>

static void ignore_warning(void *argument, const char *text)
{
}

static char *fetch_nothing(void *argument, const char *key)
{
	return NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_FREE char *text = calloc(size + 1, 1);
	AUTO(settings) struct settings *settings = NULL;
	char before[65], after[65];
	if (!text)
		return 0;
	memcpy(text, data, size);
	if (settings_parse(text, "fuzz", ignore_warning, NULL, &settings, NULL) < 0)
		return 0;
	if (settings->api_port < 1 || settings->api_port > 65535 ||
	    (settings->api_secure && settings->api_ssl_verify))
		abort();
	if (settings_hash(settings, before) < 0 || strlen(before) != 64)
		abort();
	settings_resolve(settings, fetch_nothing, NULL);
	if (settings_hash(settings, after) < 0)
		abort();
	if (!strstr(text, "config://") && strcmp(before, after) != 0)
		abort();
	return 0;
}
