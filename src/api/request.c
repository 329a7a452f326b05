/* What handlers share: the answer, the object, the arguments. */
#include "api/request.h"

#include "config/object.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

void answer(struct request *request, int status, json_t *body)
{
	json_decref(request->body);
	request->status = body ? status : 500;
	request->body = body ? body : json_pack("{s:s}", "message", "Out of memory");
}

void answer_message(struct request *request, int status, const char *format, ...)
{
	char text[CHANGE_MESSAGE_MAX];
	va_list arguments;
	va_start(arguments, format);
	(void)vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	answer(request, status, json_pack("{s:s}", "message", text));
}

const char *request_argument(const struct request *request, const char *name)
{
	return json_text(request->arguments, name, "");
}

void time_text(char ret_text[20])
{
	time_t now = time(NULL);
	struct tm utc;
	(void)gmtime_r(&now, &utc);
	(void)strftime(ret_text, 20, "%Y/%m/%d %H:%M:%S", &utc);
}

static int load(const struct rest *api, json_t **ret_object, struct error *err)
{
	AUTO_FREE char *text = NULL;
	AUTO_JSON json_t *object = NULL;
	struct store_version version;
	char now[20];
	time_text(now);
	struct object_context context = { api->config.gateway_name, now, api->config.keys != NULL };
	int r = store_load(api->config.store, &text, &version, err);
	if (r < 0)
		return r;
	if (!*text) {
		*ret_object = object_seed(&context);
		return *ret_object ? 0 : error_set(err, -ENOMEM, "out of memory");
	}
	bool changed;
	r = object_parse(text, &object, err);
	if (r == 0 && !object_is_newer(object))
		r = object_upgrade(object, &context, &changed, err);
	if (r == 0)
		*ret_object = steal(&object);
	return r;
}

bool request_load(struct request *request, json_t **ret_object)
{
	struct error err = { 0 };
	if (load(request->api, ret_object, &err) == 0)
		return true;
	answer_message(request, 503, "Unable to read the configuration object: %s", err.text);
	return false;
}

bool request_target(struct request *request, const json_t *object, char ret_iqn[IQN_MAX],
                    json_t **ret_target)
{
	const char *text = request_argument(request, "target_iqn");
	if (iqn_normalize(text, ret_iqn) < 0) {
		answer_message(request, 500, "Invalid iqn %s - WWN not valid as: iqn", text);
		return false;
	}
	*ret_target = json_object_get(json_object_get(object, "targets"), ret_iqn);
	if (json_is_object(*ret_target))
		return true;
	answer_message(request, 404, "Target %s does not exist", ret_iqn);
	return false;
}
