/* Fuzzes the configuration object: parse, upgrade, format, view. The input is the JSON. */
#include "fuzz.h"

#include "config/object.h"
#include "config/object_view.h"

#include <stdlib.h>
#include <string.h>

static void check_view(const json_t *object)
{
	AUTO(settings) struct settings *settings = NULL;
	AUTO(object_view) struct object_view *view = NULL;
	check(settings_parse("", "fuzz", NULL, NULL, &settings, NULL) == 0);
	check(object_view_new(object, settings, NULL, &view, NULL) == 0);
	for (size_t i = 0; i < view->target_count; i++) {
		const struct view_target *target = &view->targets[i];
		for (size_t lun = 1; lun < target->lun_count; lun++)
			check(target->luns[lun - 1].number <= target->luns[lun].number);
		for (size_t group = 0; group < target->portal_group_count; group++) {
			check(target->portal_groups[group].tag == group + 1);
			check(target->portal_groups[group].address_count > 0);
		}
	}
}

/* What is written reads back as the same object. */
static void check_format(const json_t *object)
{
	AUTO_FREE char *text = object_format(object);
	AUTO_JSON json_t *again = NULL;
	if (!text) /* nested too deep to be written */
		return;
	check(object_parse(text, &again, NULL) == 0);
	AUTO_FREE char *text_again = object_format(again);
	check(text_again && !strcmp(text, text_again));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_FREE char *text = calloc(size + 1, 1);
	AUTO_JSON json_t *object = NULL;
	const struct object_context context = { "gw1.example.com", "2026/11/21 12:00:00",
		                                size & 1 };
	bool changed;
	if (!text)
		return 0;
	memcpy(text, data, size);
	if (object_parse(text, &object, NULL) < 0)
		return 0;
	check_format(object);
	if (object_upgrade(object, &context, &changed, NULL) == 0) {
		check(object_is_newer(object) || json_number(object, "version", 0) == 11);
		check(object_upgrade(object, &context, &changed, NULL) == 0 && !changed);
		check_format(object);
	}
	check_view(object);
	return 0;
}
