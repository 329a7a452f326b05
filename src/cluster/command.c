/* Questions to the monitors, as JSON. */
#include "cluster/command.h"
#include "base/json.h"
#include "base/text.h"
#include "cluster/client_private.h"

#include <errno.h>
#include <rados/librados.h>
#include <string.h>

int command_ask(struct cluster_client *client, json_t *command, char **ret_answer,
                char **ret_status)
{
	AUTO_JSON json_t *owned = command;
	AUTO_FREE char *text = owned ? json_format(owned, &json_style_compact) : NULL;
	if (!text)
		return -ENOMEM;
	const char *commands[] = { text };
	char *answer = NULL, *status = NULL;
	size_t answer_len = 0, status_len = 0;
	int r = rados_mon_command(client->rados, commands, 1, "", 0, &answer, &answer_len, &status,
	                          &status_len);
	AUTO_FREE char *answer_copy = r < 0 ? NULL : text_from_bytes(answer, answer_len);
	AUTO_FREE char *status_copy = r < 0 ? NULL : text_from_bytes(status, status_len);
	rados_buffer_free(answer);
	rados_buffer_free(status);
	if (r < 0)
		return r;
	if (!answer_copy || !status_copy)
		return -ENOMEM;
	*ret_answer = steal(&answer_copy);
	*ret_status = steal(&status_copy);
	return 0;
}

/* Takes command. free() the answer. */
static int ask(struct cluster_client *client, json_t *command, char **ret_answer)
{
	AUTO_FREE char *status = NULL;
	return command_ask(client, command, ret_answer, &status);
}

int cluster_ask(struct cluster_client *client, json_t *command, json_t **ret_answer)
{
	AUTO_FREE char *text = NULL;
	int r = ask(client, command, &text);
	if (r < 0)
		return r;
	/* `osd blocklist ls` gives two arrays, addresses and ranges: the first one counts. */
	json_t *answer = json_loads(text, JSON_DISABLE_EOF_CHECK, NULL);
	if (!answer)
		return -EPROTO;
	*ret_answer = answer;
	return 0;
}

int cluster_config_key(struct cluster_client *client, const char *key, char **ret_text,
                       struct error *err)
{
	int r = ask(client, json_pack("{s:s,s:s}", "prefix", "config-key get", "key", key),
	            ret_text);
	if (r < 0)
		return error_set(err, r, "cannot read the config-key %s of Ceph: %s", key,
		                 strerror(-r));
	return 0;
}

/* compat: upstream looks for the rule's name anywhere in the list of a class. */
static int rule_has_class(struct cluster_client *client, const char *rule, const char *class,
                          bool *ret_listed)
{
	AUTO_FREE char *list = NULL;
	int r = ask(client,
	            json_pack("{s:s,s:s}", "prefix", "osd crush rule ls-by-class", "class", class),
	            &list);
	if (r == -ENOENT) {
		*ret_listed = false; /* no device has this class */
		return 0;
	}
	if (r == 0)
		*ret_listed = strstr(list, rule);
	return r;
}

static int pool_solid_state(struct cluster_client *client, const char *pool, bool *ret_solid_state)
{
	static const char *const classes[] = { "ssd", "nvme" };
	AUTO_JSON json_t *answer = NULL;
	int r = cluster_ask(client,
	                    json_pack("{s:s,s:s,s:s,s:s}", "prefix", "osd pool get", "pool", pool,
	                              "var", "crush_rule", "format", "json"),
	                    &answer);
	if (r < 0)
		return r;
	const char *rule = json_text(answer, "crush_rule", NULL);
	if (!rule)
		return -EPROTO;
	bool listed = false;
	for (size_t i = 0; i < ARRAY_LEN(classes) && r == 0 && !listed; i++)
		r = rule_has_class(client, rule, classes[i], &listed);
	if (r == 0)
		*ret_solid_state = listed;
	return r;
}

int cluster_pool_solid_state(struct cluster_client *client, const char *pool, bool *ret_solid_state,
                             struct error *err)
{
	int r = pool_solid_state(client, pool, ret_solid_state);
	if (r < 0)
		return error_set(err, r, "cannot learn the device class of pool '%s': %s", pool,
		                 strerror(-r));
	return 0;
}
