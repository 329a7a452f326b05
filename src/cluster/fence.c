/* Fencing, and the list of who is fenced. How long an entry still lasts is told by the clock of the
 * monitors, which stamp and drop the entries; ours may be years off (H14). They give their time in
 * the answer to each fence: "blocklisting ADDRESS until TIME (N sec)". */
#include "base/reactor.h"
#include "base/text.h"
#include "cluster/client_private.h"
#include "cluster/command.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* 16 renamed blacklist to blocklist. Row: the command, its verb's name, the list's command. */
static const struct {
	const char *command, *verb, *list;
} names[] = {
	{ "osd blocklist", "blocklistop", "osd blocklist ls" },
	{ "osd blacklist", "blacklistop", "osd blacklist ls" },
};

/* ---- the monitors' clock ---- */

/* "2036-11-18T17:24:02.123456+0000", in the zone of the monitor; before 15 "2036-11-18
 * 17:24:02.123456". 0 if it is none. */
static json_int_t read_time(const char *text)
{
	struct tm parts = { 0 };
	const char *rest = strptime(text, "%Y-%m-%d", &parts);
	rest = rest && (*rest == 'T' || *rest == ' ') ? strptime(rest + 1, "%H:%M:%S", &parts)
	                                              : NULL;
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

/* From what the monitors say to a fence of expire_s. */
static void note_time(struct cluster_client *client, const char *said, unsigned expire_s)
{
	const char *until = strstr(said, " until ");
	json_int_t end = until ? read_time(until + strlen(" until ")) : 0;
	if (end == 0)
		return;
	(void)pthread_mutex_lock(&client->lock);
	client->time_is_known = true;
	client->time_ahead_s =
	        end - (json_int_t)expire_s - (json_int_t)(clock_boottime_ms() / 1000);
	(void)pthread_mutex_unlock(&client->lock);
}

bool cluster_knows_time(struct cluster_client *client)
{
	(void)pthread_mutex_lock(&client->lock);
	bool known = client->time_is_known;
	(void)pthread_mutex_unlock(&client->lock);
	return known;
}

static json_int_t monitors_now(struct cluster_client *client)
{
	(void)pthread_mutex_lock(&client->lock);
	json_int_t now = client->time_ahead_s + (json_int_t)(clock_boottime_ms() / 1000);
	(void)pthread_mutex_unlock(&client->lock);
	return now;
}

/* ---- fencing ---- */

bool cluster_has_fenced(struct cluster_client *client, const char *address)
{
	(void)pthread_mutex_lock(&client->lock);
	struct fenced *fenced = client->fenced;
	while (fenced && strcmp(fenced->address, address) != 0)
		fenced = fenced->next;
	(void)pthread_mutex_unlock(&client->lock);
	return fenced;
}

static void remember_fenced(struct cluster_client *client, const char *address)
{
	if (cluster_has_fenced(client, address))
		return;
	size_t size = strlen(address) + 1;
	struct fenced *fenced = malloc(sizeof *fenced + size);
	if (!fenced)
		return; /* it is fenced once more, when somebody asks; likewise what is forgotten */
	memcpy(fenced->address, address, size);
	(void)pthread_mutex_lock(&client->lock);
	if (client->fenced_count == FENCED_MAX)
		fenced_forget(client);
	client->fenced_count++;
	fenced->next = client->fenced;
	client->fenced = fenced;
	(void)pthread_mutex_unlock(&client->lock);
}

static int add(struct cluster_client *client, const char *address, unsigned expire_s)
{
	int r = -EINVAL;
	for (size_t i = 0; r == -EINVAL && i < ARRAY_LEN(names); i++) {
		AUTO_FREE char *answer = NULL, *said = NULL;
		r = command_ask(client,
		                json_pack("{s:s, s:s, s:s, s:f}", "prefix", names[i].command,
		                          names[i].verb, "add", "addr", address, "expire",
		                          (double)expire_s),
		                &answer, &said);
		if (r == 0)
			note_time(client, said, expire_s);
	}
	return r;
}

int cluster_fence(struct cluster_client *client, const char *address, unsigned expire_s,
                  struct error *err)
{
	int r = add(client, address, expire_s);
	if (r == -EACCES || r == -EPERM)
		return error_set(
		        err, r,
		        "may not fence %s: the client needs the capability mon 'profile rbd'",
		        address);
	if (r < 0)
		return error_set(err, r, "cannot fence %s: %s", address, strerror(-r));
	r = cluster_wait_for_map(client, err);
	if (r == 0)
		remember_fenced(client, address);
	return r;
}

/* ---- who is fenced ---- */

/* An address may carry the protocol's name in front. */
static const char *plain_address(const char *address)
{
	return text_starts(address, "v1:") || text_starts(address, "v2:") ? address + 3 : address;
}

static int read_fences(const json_t *list, json_int_t now, json_t *entries)
{
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
	if (!cluster_knows_time(client))
		return error_set(err, -EPROTO, "the monitors have not told their time");
	AUTO_FREE char *text = NULL;
	AUTO_JSON json_t *list = NULL, *entries = json_object();
	int r = -EINVAL;
	for (size_t i = 0; r == -EINVAL && i < ARRAY_LEN(names); i++) {
		AUTO_FREE char *said = NULL;
		r = command_ask(client,
		                json_pack("{s:s, s:s}", "prefix", names[i].list, "format", "json"),
		                &text, &said);
	}
	/* Two arrays may stand side by side: of addresses, then of ranges. */
	if (r == 0 && !(list = json_loads(text, JSON_DISABLE_EOF_CHECK, NULL)))
		r = -EPROTO;
	if (r == 0)
		r = entries ? read_fences(list, monitors_now(client), entries) : -ENOMEM;
	if (r < 0)
		return error_set(err, r, "cannot read the list of fenced clients: %s",
		                 strerror(-r));
	*ret_entries = steal(&entries);
	return 0;
}
