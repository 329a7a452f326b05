/* Store, object, upgrade, plan: what a gateway does at each look at the configuration. */
#include "target/plan_load.h"

#include "config/object.h"
#include "store/store.h"

#include <errno.h>
#include <time.h>

static int parse(const char *text, const struct plan_context *context, json_t **ret_object,
                 struct error *err)
{
	char now[32];
	time_t seconds = time(NULL);
	struct tm parts;
	(void)strftime(now, sizeof now, "%Y/%m/%d %H:%M:%S", gmtime_r(&seconds, &parts));
	struct object_context object_context = {
		.gateway_name = context->gateway_name,
		.now = now,
		.encryption = context->keys != NULL,
	};
	if (!*text) {
		*ret_object = object_seed(&object_context);
		return *ret_object ? 0 : error_set(err, -ENOMEM, "configuration object: no memory");
	}
	bool changed; /* here only the meaning counts */
	int r = object_parse(text, ret_object, err);
	if (r == 0 && !object_is_newer(*ret_object))
		r = object_upgrade(*ret_object, &object_context, &changed, err);
	return r;
}

int plan_load(struct store *store, const struct plan_context *context, struct plan **ret_plan,
              struct error *err)
{
	AUTO_FREE char *text = NULL;
	AUTO_JSON json_t *object = NULL;
	struct store_version version;
	int r = store_load(store, &text, &version, err);
	if (r == 0)
		r = parse(text, context, &object, err);
	return r < 0 ? r : plan_make(object, context, ret_plan, err);
}
