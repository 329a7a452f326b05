/* Routes that show parts of the configuration object. */
#include "api/run.h"

#include <string.h>
#include <strings.h>

/* ---- passwords in clear, for clients that ask ---- */

static void decrypt_member(const struct secret_keys *keys, json_t *auth, const char *name,
                           const char *flag)
{
	const char *stored = json_text(auth, name, "");
	if (!*stored || !json_flag(auth, flag, false))
		return;
	AUTO_FREE char *plain = NULL;
	/* compat: one that cannot be decrypted is null. */
	if (!keys || secret_decrypt(keys, stored, &plain, NULL) < 0) {
		(void)json_object_set_new(auth, name, json_null());
		return;
	}
	(void)json_object_set_new(auth, name, json_string(plain));
	wipe(plain, strlen(plain));
}

static void decrypt_auth(const struct secret_keys *keys, json_t *auth)
{
	decrypt_member(keys, auth, "password", "password_encryption_enabled");
	decrypt_member(keys, auth, "mutual_password", "mutual_password_encryption_enabled");
}

static void decrypt_all(const struct secret_keys *keys, json_t *object)
{
	const char *name;
	json_t *target, *client;
	decrypt_auth(keys, json_object_get(object, "discovery_auth"));
	json_object_foreach (json_object_get(object, "targets"), name, target) {
		decrypt_auth(keys, json_object_get(target, "auth"));
		json_object_foreach (json_object_get(target, "clients"), name, client)
			decrypt_auth(keys, json_object_get(client, "auth"));
	}
}

void run_config(struct request *request)
{
	json_t *object;
	if (!request_load(request, &object))
		return;
	if (strcasecmp(request_argument(request, "decrypt_passwords"), "true") == 0)
		decrypt_all(request->api->config.keys, object);
	answer(request, 200, object);
}

/* ---- lists ---- */

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The names of a dictionary, sorted. */
static json_t *sorted_names(json_t *dictionary)
{
	size_t count = json_object_size(dictionary), i = 0;
	AUTO_FREE const char **names = calloc(count + 1, sizeof *names);
	json_t *list = json_array();
	if (!names)
		return json_decref(list), NULL;
	const char *name;
	json_t *item;
	json_object_foreach (dictionary, name, item)
		names[i++] = name;
	qsort(names, count, sizeof *names, compare_names);
	for (i = 0; i < count; i++)
		(void)json_array_append_new(list, json_string(names[i]));
	return list;
}

void run_targets(struct request *request)
{
	AUTO_JSON json_t *object = NULL;
	if (request_load(request, &object))
		answer(request, 200,
		       json_pack("{s:o}", "targets",
		                 sorted_names(json_object_get(object, "targets"))));
}

/* The member of a target that most routes are about; the object is the caller's to free. */
static json_t *load_member(struct request *request, const char *name, json_t **ret_object)
{
	char iqn[IQN_MAX];
	json_t *target;
	if (!request_load(request, ret_object) ||
	    !request_target(request, *ret_object, iqn, &target))
		return NULL;
	json_t *member = json_object_get(target, name);
	if (!json_is_object(member))
		answer_message(request, 500, "Target %s has no %s: the object is damaged", iqn,
		               name);
	return json_is_object(member) ? member : NULL;
}

static void answer_names(struct request *request, const char *member_name, const char *answer_name)
{
	AUTO_JSON json_t *object = NULL;
	json_t *member = load_member(request, member_name, &object);
	if (member)
		answer(request, 200, json_pack("{s:o}", answer_name, sorted_names(member)));
}

void run_clients(struct request *request)
{
	answer_names(request, "clients", "clients");
}

void run_groups(struct request *request)
{
	answer_names(request, "groups", "groups");
}

void run_gateways(struct request *request)
{
	AUTO_JSON json_t *object = NULL;
	json_t *portals = load_member(request, "portals", &object);
	if (portals)
		answer(request, 200, json_incref(portals));
}

void run_disks(struct request *request)
{
	AUTO_JSON json_t *object = NULL;
	if (!request_load(request, &object))
		return;
	json_t *disks = json_object_get(object, "disks");
	bool whole = strcasecmp(request_argument(request, "config"), "yes") == 0;
	answer(request, 200,
	       json_pack("{s:o}", "disks", whole ? json_incref(disks) : sorted_names(disks)));
}

/* ---- one item ---- */

static void answer_item(struct request *request, const char *member_name, const char *argument_name,
                        const char *missing)
{
	AUTO_JSON json_t *object = NULL;
	json_t *member = load_member(request, member_name, &object);
	if (!member)
		return;
	json_t *item = json_object_get(member, request_argument(request, argument_name));
	if (item)
		answer(request, 200, json_incref(item));
	else
		answer_message(request, 404, "%s", missing);
}

void run_gateway(struct request *request)
{
	answer_item(request, "portals", "gateway_name",
	            "Gateway doesn't exist in the configuration");
}

void run_client(struct request *request)
{
	answer_item(request, "clients", "client_iqn", "Client does not exist");
}

void run_group(struct request *request)
{
	answer_item(request, "groups", "group_name", "Group name does not exist");
}

void run_client_luns(struct request *request)
{
	AUTO_JSON json_t *object = NULL;
	json_t *clients = load_member(request, "clients", &object);
	if (!clients)
		return;
	json_t *client = json_object_get(clients, request_argument(request, "client_iqn"));
	if (client)
		answer(request, 200,
		       json_pack("{s:O}", "message", json_object_get(client, "luns")));
	else
		answer_message(request, 404, "Client does not exist");
}

void run_stored_disk(struct request *request)
{
	AUTO_JSON json_t *object = NULL;
	if (!request_load(request, &object))
		return;
	AUTO_STRING struct string id = { 0 };
	string_format(&id, "%s/%s", request_argument(request, "pool"),
	              request_argument(request, "image"));
	json_t *disk = json_object_get(json_object_get(object, "disks"), id.text);
	if (disk)
		answer(request, 200, json_incref(disk));
	else
		answer_message(request, 404, "rbd image %s not found", id.text);
}
