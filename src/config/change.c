/* What all changes of the configuration object share: arguments, refusals, look-ups, work. */
#include "config/change_parts.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

int refuse(struct change *change, int status, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	(void)vsnprintf(change->message, sizeof change->message, format, arguments);
	va_end(arguments);
	change->status = status;
	return status == 404 ? -ENOENT : -EINVAL;
}

int succeed(struct change *change, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	(void)vsnprintf(change->message, sizeof change->message, format, arguments);
	va_end(arguments);
	change->status = 200;
	return 0;
}

static int refuse_memory(struct change *change)
{
	(void)refuse(change, 500, "Out of memory");
	return -ENOMEM;
}

const char *argument(const struct change *change, const char *name)
{
	return json_text(change->arguments, name, NULL);
}

int need_argument(struct change *change, const char *name, const char **ret_text)
{
	const char *text = argument(change, name);
	if (!text)
		return refuse(change, 400, "Parameter '%s' is missing", name);
	*ret_text = text;
	return 0;
}

bool argument_is_true(const struct change *change, const char *name)
{
	const char *text = argument(change, name);
	return text && strcasecmp(text, "true") == 0;
}

json_t *object_member(json_t *object, const char *name)
{
	json_t *member = json_object_get(object, name);
	if (!member) {
		if (json_object_set_new(object, name, json_object()) < 0)
			return NULL;
		member = json_object_get(object, name);
	}
	return json_is_object(member) ? member : NULL;
}

int put_new(struct change *change, json_t *object, const char *name, json_t *value)
{
	if (!object || !value || json_object_set_new(object, name, value) < 0)
		return refuse_memory(change);
	return 0;
}

int stamp(struct change *change, json_t *item)
{
	return put_new(change, item, "updated", json_string(change->context->now));
}

/* "iqn.YYYY-MM.": d stands for a digit, m for the first one of a month. */
static bool iqn_date_ok(const char *text)
{
	static const char shape[] = "iqn.dddd-md.";
	for (size_t i = 0; shape[i]; i++) {
		bool digit = text[i] >= '0' && text[i] <= '9';
		bool ok = shape[i] == 'd'   ? digit
		          : shape[i] == 'm' ? text[i] == '0' || text[i] == '1'
		                            : text[i] == shape[i];
		if (!ok)
			return false;
	}
	return true;
}

int iqn_normalize(const char *text, char ret_iqn[IQN_MAX])
{
	while (*text == ' ' || *text == '\t')
		text++;
	size_t len = strlen(text);
	while (len > 0 && strchr(" \t\r\n", text[len - 1]))
		len--;
	if (len == 0 || len >= IQN_MAX)
		return -EINVAL;
	char iqn[IQN_MAX] = "";
	memcpy(iqn, text, len);
	text_lower(iqn);
	for (const char *c = iqn; *c; c++)
		if (*c == '_' || *c <= ' ' || *c >= 0x7f)
			return -EINVAL;
	if (!iqn_date_ok(iqn) || !strchr(iqn + strlen("iqn.dddd-md."), '.'))
		return -EINVAL;
	memcpy(ret_iqn, iqn, sizeof iqn);
	return 0;
}

static int need_iqn(struct change *change, const char *name, char ret_iqn[IQN_MAX])
{
	const char *text = "";
	int r = need_argument(change, name, &text);
	if (r < 0)
		return r;
	if (iqn_normalize(text, ret_iqn) < 0)
		return refuse(change, 500, "Invalid iqn %s - WWN not valid as: iqn", text);
	return 0;
}

int find_target(struct change *change, char ret_iqn[IQN_MAX], json_t **ret_target)
{
	int r = need_iqn(change, "target_iqn", ret_iqn);
	if (r < 0)
		return r;
	json_t *target = json_object_get(json_object_get(change->object, "targets"), ret_iqn);
	if (!json_is_object(target))
		return refuse(change, 404, "Target %s does not exist", ret_iqn);
	*ret_target = target;
	return 0;
}

int find_client(struct change *change, json_t *target, char ret_iqn[IQN_MAX], json_t **ret_client)
{
	int r = need_iqn(change, "client_iqn", ret_iqn);
	if (r < 0)
		return r;
	json_t *client = json_object_get(json_object_get(target, "clients"), ret_iqn);
	*ret_client = json_is_object(client) ? client : NULL;
	return 0;
}

int need_local_portal(struct change *change, const json_t *target)
{
	const char *name = change->context->gateway_name;
	if (json_object_get(json_object_get(target, "portals"), name))
		return 0;
	return refuse(change, 400,
	              "%s cannot be used to perform this operation because it is not defined "
	              "within the gateways configuration",
	              name);
}

const char *target_of_disk(const json_t *object, const char *disk)
{
	const char *iqn;
	json_t *target;
	json_object_foreach (json_object_get(object, "targets"), iqn, target)
		if (json_object_get(json_object_get(target, "disks"), disk))
			return iqn;
	return NULL;
}

const char *client_of_disk(const json_t *target, const char *disk)
{
	const char *iqn;
	json_t *client;
	json_object_foreach (json_object_get(target, "clients"), iqn, client)
		if (json_object_get(json_object_get(client, "luns"), disk))
			return iqn;
	return NULL;
}

bool lun_number_used(json_t *luns, json_int_t number)
{
	const char *disk;
	json_t *entry;
	json_object_foreach (luns, disk, entry)
		if (json_number(entry, "lun_id", -1) == number)
			return true;
	return false;
}

json_t *empty_auth(void)
{
	return json_pack("{s:s, s:s, s:b, s:s, s:s, s:b}", "username", "", "password", "",
	                 "password_encryption_enabled", 0, "mutual_username", "", "mutual_password",
	                 "", "mutual_password_encryption_enabled", 0);
}

int add_work(struct change *change, enum change_work_kind kind, const char *pool, const char *image,
             uint64_t size_bytes)
{
	struct change_work *grown =
	        realloc(change->work, (change->work_count + 1) * sizeof *change->work);
	if (!grown)
		return refuse_memory(change);
	change->work = grown;
	struct change_work *work = &grown[change->work_count++];
	*work = (struct change_work){ kind, strdup(pool), strdup(image), size_bytes };
	return work->pool && work->image ? 0 : refuse_memory(change);
}

bool next_item(const char **list, char *ret_item, size_t size)
{
	const char *start = *list;
	if (!start)
		return false;
	size_t len = strcspn(start, ",");
	*list = start[len] ? start + len + 1 : NULL;
	while (len > 0 && *start == ' ')
		start++, len--;
	while (len > 0 && start[len - 1] == ' ')
		len--;
	if (len >= size)
		len = size - 1;
	memcpy(ret_item, start, len);
	ret_item[len] = '\0';
	return true;
}

int change_run(change_fn run, const json_t *object, const json_t *arguments,
               const struct change_context *context, struct change *ret_change)
{
	*ret_change = (struct change){
		.object = json_deep_copy(object),
		.arguments = arguments,
		.context = context,
		.doing = "",
	};
	if (!ret_change->object)
		return refuse_memory(ret_change);
	return run(ret_change);
}

void change_done(struct change *change)
{
	for (size_t i = 0; i < change->work_count; i++) {
		free(change->work[i].pool);
		free(change->work[i].image);
	}
	free(change->work);
	json_decref(change->object);
	*change = (struct change){ 0 };
}
