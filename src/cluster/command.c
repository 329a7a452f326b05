/* Questions to the monitors, as JSON. */
#include "cluster/command.h"
#include "base/json.h"
#include "base/text.h"

#include <errno.h>
#include <rados/librados.h>
#include <string.h>
#include <time.h>

/* Takes command. free() the answer. */
static int ask(struct cluster_client *client, json_t *command, char **ret_answer)
{
	AUTO_JSON json_t *owned = command;
	AUTO_FREE char *text = owned ? json_format(owned, &json_style_compact) : NULL;
	if (!text)
		return -ENOMEM;
	const char *commands[] = { text };
	char *answer = NULL, *status = NULL;
	size_t answer_len = 0, status_len = 0;
	int r = rados_mon_command(cluster_client_handle(client), commands, 1, "", 0, &answer,
	                          &answer_len, &status, &status_len);
	char *copy = r < 0 ? NULL : text_from_bytes(answer, answer_len);
	rados_buffer_free(answer);
	rados_buffer_free(status);
	if (r < 0)
		return r;
	if (!copy)
		return -ENOMEM;
	*ret_answer = copy;
	return 0;
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

/* "2036-11-18T17:24:02.123456+0000", in the zone of the monitor. 0 if it is none. */
static json_int_t read_time(const char *text)
{
	struct tm parts = { 0 };
	const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &parts);
	if (!rest)
		return 0;
	rest += strspn(rest, ".0123456789");
	char zone[8] = "";
	int sign = *rest == '-' ? -1 : 1, hours = 0, minutes = 0;
	if (*rest == '+' || *rest == '-') {
		(void)strncat(zone, rest + 1, 4);
		int digits = atoi(zone);
		hours = digits / 100;
		minutes = digits % 100;
	}
	return (json_int_t)timegm(&parts) - (json_int_t)sign * (hours * 3600 + minutes * 60);
}

/* An address may carry the protocol's name in front. */
static const char *plain_address(const char *address)
{
	return text_starts(address, "v1:") || text_starts(address, "v2:") ? address + 3 : address;
}

static int read_fences(const json_t *list, json_t *entries)
{
	json_int_t now = (json_int_t)time(NULL);
	size_t index;
	json_t *item;
	json_array_foreach (list, index, item) {
		const char *address = json_text(item, "addr", NULL);
		json_int_t left = read_time(json_text(item, "until", "")) - now;
		if (address &&
		    json_object_set_new(entries, plain_address(address), json_integer(left)) < 0)
			return -ENOMEM;
	}
	return 0;
}

int cluster_list_fences(struct cluster_client *client, json_t **ret_entries, struct error *err)
{
	/* 16 renamed it. */
	static const char *const commands[] = { "osd blocklist ls", "osd blacklist ls" };
	AUTO_FREE char *text = NULL;
	AUTO_JSON json_t *list = NULL, *entries = json_object();
	int r = -EINVAL;
	for (size_t i = 0; r == -EINVAL && i < ARRAY_LEN(commands); i++)
		r = ask(client, json_pack("{s:s,s:s}", "prefix", commands[i], "format", "json"),
		        &text);
	/* Two arrays may stand side by side: of addresses, then of ranges. */
	if (r == 0 && !(list = json_loads(text, JSON_DISABLE_EOF_CHECK, NULL)))
		r = -EPROTO;
	if (r == 0)
		r = entries ? read_fences(list, entries) : -ENOMEM;
	if (r < 0)
		return error_set(err, r, "cannot read the list of fenced clients: %s",
		                 strerror(-r));
	*ret_entries = steal(&entries);
	return 0;
}
