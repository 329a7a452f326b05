/* Routes of our own about owners: who owns what, what happened, a preferred owner by hand, gateways
 * in maintenance. What gateways then do by themselves is waited for, for a while. */
#include "api/commit.h"
#include "api/owners.h"
#include "api/run.h"
#include "base/log.h"
#include "base/reactor.h"
#include "config/gateway_match.h"
#include "ownership/history_writer.h"
#include "ownership/maintenance.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define LOOK_EVERY_MS   100
#define MOVE_TIMEOUT_MS 10000
#define DRAIN_TIMEOUT_S 30
#define TIMEOUT_MAX_S   300
#define HISTORY_COUNT   100
#define DISK_ID_MAX     512
#define NAMED_LUNS_MAX  10

static void look_again_later(void)
{
	static const struct timespec pause = { .tv_nsec = LOOK_EVERY_MS * 1000000L };
	(void)nanosleep(&pause, NULL);
}

void run_owners(struct request *request)
{
	AUTO_JSON json_t *object = NULL;
	json_t *owners = NULL;
	struct error err = { 0 };
	if (!request_load(request, &object))
		return;
	if (owners_read(request->api, object, &owners, &err) < 0) {
		answer_message(request, 503, "Owners are not known: %s", err.text);
		return;
	}
	AUTO_JSON json_t *status = local_status(request);
	owners_add_view(owners, status);
	answer(request, 200, owners);
}

void run_history(struct request *request)
{
	const char *wish = json_text(request->arguments, "count", NULL);
	uint64_t count = HISTORY_COUNT;
	json_t *events = NULL;
	struct error err = { 0 };
	if (wish && text_to_uint(wish, 1, HISTORY_MAX, &count) < 0) {
		answer_message(request, 400, "count must be a number from 1 to %d", HISTORY_MAX);
		return;
	}
	if (history_list(request->api->config.store, (size_t)count, &events, &err) < 0)
		answer_message(request, 503, "The history cannot be read: %s", err.text);
	else
		answer(request, 200, json_pack("{s:o}", "events", events));
}

/* What somebody asked for at this gateway, before gateways did it. It is written behind the answer:
 * the rows of the history share an object with those that LUNs which are to move now wait for. */
static void write_history(struct request *request, uint64_t asked_ms, const char *kind,
                          const char *lun, const char *what)
{
	const char *gateway = request->api->config.gateway_name;
	log_info("%s, asked for at %s", what, gateway);
	history_write_at(request->api->history, asked_ms, kind, lun, "%s, asked for at %s", what,
	                 gateway);
}

/* ---- a preferred owner by hand ---- */

/* The disk's LUN as the records say, and whether its preferred owner could take it now. False: not
 * known; what was answered stands. */
static bool read_lun(struct request *request, const char *id, json_t **ret_lun, bool *ret_can_move)
{
	AUTO_JSON json_t *object = NULL;
	AUTO_JSON json_t *owners = NULL;
	struct error err = { 0 };
	if (!request_load(request, &object) || owners_read(request->api, object, &owners, &err) < 0)
		return false;
	json_t *lun = json_object_get(json_object_get(owners, "luns"), id);
	const json_t *gateways = json_object_get(owners, "gateways");
	const json_t *wanted = json_object_get(gateways, json_text(lun, "preferred_owner", ""));
	*ret_can_move = strcmp(json_text(wanted, "state", ""), "up") == 0 &&
	                !json_object_get(lun, "on_demand");
	*ret_lun = json_incref(lun);
	return lun != NULL;
}

static bool is_at_preferred(const json_t *lun)
{
	return strcmp(json_text(lun, "owner", ""), json_text(lun, "preferred_owner", "")) == 0;
}

/* A LUN that was never served has nothing to move. */
static bool has_moved(const json_t *lun)
{
	return strcmp(json_text(lun, "state", "none"), "none") == 0 || is_at_preferred(lun);
}

static void add_why_not_moved(struct string *text, const json_t *lun)
{
	const char *owner = json_text(lun, "owner", "");
	const char *on_demand = json_text(lun, "on_demand", "");
	string_format(text, "; for now its owner is %s: it ", *owner ? owner : "nobody");
	if (*on_demand)
		string_format(text, "goes where initiators use it (%s)", on_demand);
	else
		string_format(text, "moves when %s can take it",
		              json_text(lun, "preferred_owner", ""));
}

static void answer_owner(struct request *request, const json_t *lun)
{
	AUTO_STRING struct string text = { 0 };
	const char *owner = json_text(lun, "owner", "");
	bool moved = has_moved(lun);
	string_add(&text, json_text(request->body, "message", ""));
	if (!moved)
		add_why_not_moved(&text, lun);
	answer(request, 200,
	       json_pack("{s:s, s:b, s:s}", "message", text.text ? text.text : "", "moved", moved,
	                 "owner", owner));
}

void run_owner_put(struct request *request)
{
	char id[DISK_ID_MAX];
	uint64_t asked_ms = history_now_ms();
	bool changed = commit_change(request, change_disk_owner);
	(void)snprintf(id, sizeof id, "%s/%s", request_argument(request, "pool"),
	               request_argument(request, "image"));
	if (changed)
		write_history(request, asked_ms, "owner", id,
		              json_text(request->body, "message", ""));
	if (request->status != 200)
		return;
	uint64_t deadline_ms = clock_monotonic_ms() + MOVE_TIMEOUT_MS;
	for (;;) {
		AUTO_JSON json_t *lun = NULL;
		bool can_move = false;
		if (!read_lun(request, id, &lun, &can_move))
			return;
		if (has_moved(lun) || !can_move || clock_monotonic_ms() >= deadline_ms) {
			answer_owner(request, lun);
			return;
		}
		look_again_later();
	}
}

/* ---- a balance of preferred owners ---- */

/* What upstream gateways have there; NULL: none. */
static const char *find_demand(const json_t *object, const json_t *owners, const char *iqn)
{
	const json_t *target = json_object_get(json_object_get(object, "targets"), iqn);
	const json_t *luns = json_object_get(owners, "luns");
	const char *id, *text;
	json_t *disk;
	json_object_foreach (json_object_get(target, "disks"), id, disk)
		if ((text = json_text(json_object_get(luns, id), "on_demand", NULL)))
			return text;
	return NULL;
}

void run_balance_put(struct request *request)
{
	AUTO_JSON json_t *object = NULL;
	AUTO_JSON json_t *owners = NULL;
	struct error err = { 0 };
	char iqn[IQN_MAX];
	uint64_t asked_ms = history_now_ms();
	if (!request_load(request, &object))
		return;
	if (owners_read(request->api, object, &owners, &err) < 0) {
		answer_message(request, 503, "Owners are not known: %s", err.text);
		return;
	}
	const char *text = iqn_normalize(request_argument(request, "target_iqn"), iqn) == 0
	                           ? find_demand(object, owners, iqn)
	                           : NULL;
	if (text)
		answer_message(request, 400,
		               "LUNs of %s have no lasting owners (%s): nothing to balance", iqn,
		               text);
	else if (commit_change(request, change_target_balance))
		write_history(request, asked_ms, "balance", "",
		              json_text(request->body, "message", ""));
}

/* ---- maintenance ---- */

/* The gateway that the path names. False: answered. */
static bool request_gateway(struct request *request, const json_t *object, char ret_name[256])
{
	const char *wanted = request_argument(request, "gateway_name");
	const char *name = gateway_match(json_object_get(object, "gateways"), wanted);
	if (!name) {
		answer_message(request, 404, "Gateway %s does not exist in configuration", wanted);
		return false;
	}
	(void)snprintf(ret_name, 256, "%s", name);
	return true;
}

/* False: answered. *ret_heirs: somebody could take any LUN of it now; else it keeps some until
 * somebody can. */
static bool may_drain(struct request *request, const json_t *object, const char *gateway,
                      bool *ret_heirs)
{
	AUTO_JSON json_t *owners = NULL;
	struct error err = { 0 };
	if (owners_read(request->api, object, &owners, &err) < 0) {
		answer_message(request, 503, "Owners are not known: %s", err.text);
		return false;
	}
	const char *heirless = owners_find_heirless(owners, object, gateway);
	*ret_heirs = !heirless;
	if (!heirless || strcasecmp(request_argument(request, "force"), "true") == 0)
		return true;
	answer_message(request, 400,
	               "No other gateway of %s could take the LUNs of %s now: it would keep them "
	               "until one can. Start another gateway, end its maintenance, or force it "
	               "(confirm=true)",
	               heirless, gateway);
	return false;
}

static bool set_maintenance(struct request *request, const char *gateway, bool on)
{
	const struct rest_config *config = &request->api->config;
	struct error err = { 0 };
	uint64_t asked_ms = history_now_ms();
	bool changed;
	if (maintenance_set(config->store, gateway, on, config->gateway_name, &changed, &err) < 0) {
		answer_message(request, 503, "%s", err.text);
		return false;
	}
	AUTO_STRING struct string text = { 0 };
	string_format(&text, "maintenance of %s %s", gateway, on ? "begins" : "is over");
	if (changed)
		write_history(request, asked_ms, "drain", "", text.text ? text.text : "");
	return true;
}

static bool is_drained(const json_t *owners, const char *gateway)
{
	const json_t *gateways = json_object_get(owners, "gateways");
	return json_flag(json_object_get(gateways, gateway), "maintenance", false);
}

/* Names of the LUNs that the gateway owns. NULL: not known, or it is in maintenance no more;
 * answered. json_decref() it. */
static json_t *luns_left(struct request *request, const json_t *object, const char *gateway)
{
	AUTO_JSON json_t *owners = NULL;
	struct error err = { 0 };
	if (owners_read(request->api, object, &owners, &err) < 0) {
		answer_message(request, 503, "Gateway %s is in maintenance, but: %s", gateway,
		               err.text);
		return NULL;
	}
	if (!is_drained(owners, gateway)) {
		answer_message(request, 503,
		               "Maintenance of %s was ended before all its LUNs had moved",
		               gateway);
		return NULL;
	}
	json_t *left = json_array(), *lun;
	const char *id;
	json_object_foreach (json_object_get(owners, "luns"), id, lun)
		if (strcmp(json_text(lun, "owner", ""), gateway) == 0)
			(void)json_array_append_new(left, json_string(id));
	return left;
}

static void answer_left(struct request *request, const char *gateway, json_t *left)
{
	AUTO_STRING struct string names = { 0 };
	size_t count = json_array_size(left), i;
	json_t *id;
	json_array_foreach (left, i, id)
		if (i < NAMED_LUNS_MAX)
			string_format(&names, "%s%s", i ? ", " : "", json_string_value(id));
	if (count > NAMED_LUNS_MAX)
		string_add(&names, ", ...");
	answer(request, 503,
	       json_pack("{s:o, s:O}", "message",
	                 json_sprintf("Gateway %s is in maintenance, but still owns %zu LUN(s): %s",
	                              gateway, count, names.text ? names.text : ""),
	                 "left", left));
}

void run_maintenance_put(struct request *request)
{
	AUTO_JSON json_t *object = NULL;
	char gateway[256];
	bool heirs;
	const char *wish = json_text(request->arguments, "timeout", NULL);
	uint64_t timeout_s = DRAIN_TIMEOUT_S;
	if (wish && text_to_uint(wish, 0, TIMEOUT_MAX_S, &timeout_s) < 0) {
		answer_message(request, 400, "timeout must be a number from 0 to %d",
		               TIMEOUT_MAX_S);
		return;
	}
	if (!request_load(request, &object) || !request_gateway(request, object, gateway) ||
	    !may_drain(request, object, gateway, &heirs) ||
	    !set_maintenance(request, gateway, true))
		return;
	uint64_t deadline_ms = clock_monotonic_ms() + (heirs ? timeout_s * 1000 : 0);
	for (;;) {
		AUTO_JSON json_t *left = luns_left(request, object, gateway);
		if (!left)
			return;
		if (json_array_size(left) == 0) {
			answer_message(request, 200,
			               "Gateway %s is in maintenance and owns nothing", gateway);
			return;
		}
		if (clock_monotonic_ms() >= deadline_ms) {
			answer_left(request, gateway, left);
			return;
		}
		look_again_later();
	}
}

void run_maintenance_delete(struct request *request)
{
	AUTO_JSON json_t *object = NULL;
	char gateway[256];
	if (request_load(request, &object) && request_gateway(request, object, gateway) &&
	    set_maintenance(request, gateway, false))
		answer_message(request, 200, "Gateway %s may own LUNs again", gateway);
}
