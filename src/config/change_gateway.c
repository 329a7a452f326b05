/* Gateways of a target: add, delete. */
#include "config/address.h"
#include "config/change_parts.h"
#include "config/gateway_match.h"

#include <string.h>

#define NAME_MAX_LEN 256
#define PORTALS_MAX  64

static bool list_has(const json_t *list, const char *address)
{
	size_t i;
	json_t *item;
	json_array_foreach (list, i, item)
		if (json_is_string(item) && address_equal(json_string_value(item), address))
			return true;
	return false;
}

/* a without what is in b. */
static json_t *list_minus(const json_t *a, const json_t *b)
{
	json_t *rest = json_array();
	size_t i;
	json_t *item;
	json_array_foreach (a, i, item)
		if (!list_has(b, json_string_value(item)))
			(void)json_array_append(rest, item);
	return rest;
}

static int refuse_unknown(struct change *change, const char *wanted)
{
	AUTO_STRING struct string live = { 0 };
	size_t i;
	json_t *member;
	json_array_foreach (change->context->members, i, member)
		string_format(&live, "%s%s", i ? ", " : "", json_string_value(member));
	return refuse(change, 400,
	              "Gateway '%s' is not known: no running gateway has that name (running: %s). "
	              "Start rbd-target-io there, or correct the name",
	              wanted, live.text ? live.text : "none");
}

/* ---- add ---- */

static int add_addresses(struct change *change, const char *text, json_t *added,
                         const json_t *present)
{
	char item[NAME_MAX_LEN];
	while (next_item(&text, item, sizeof item)) {
		char *address = item;
		size_t len = strlen(item);
		if (len > 2 && item[0] == '[' && item[len - 1] == ']') {
			item[len - 1] = '\0';
			address = item + 1;
		}
		if (!address_is_valid(address))
			return refuse(change, 400,
			              "IP address provided is not usable (name doesn't resolve, or "
			              "not a valid IPv4/IPv6 address)");
		if (list_has(present, address) || list_has(added, address))
			return refuse(change, 400,
			              "IP address already defined to the configuration");
		if (json_array_append_new(added, json_string(address)) < 0)
			return refuse(change, 500, "Out of memory");
	}
	return 0;
}

/* Addresses of another host show only there: its rbd-target-io reports what it cannot bind. */
static int check_local_addresses(struct change *change, const char *gateway, const json_t *added)
{
	const struct change_context *context = change->context;
	if (argument_is_true(change, "skipchecks") || !json_array_size(context->addresses) ||
	    strcmp(gateway, context->gateway_name) != 0)
		return 0;
	size_t i, j;
	json_t *item, *address;
	json_array_foreach (added, i, item) {
		if (list_has(context->addresses, json_string_value(item)))
			continue;
		AUTO_STRING struct string valid = { 0 };
		json_array_foreach (context->addresses, j, address)
			string_format(&valid, "%s%s", j ? "," : "", json_string_value(address));
		return refuse(change, 400,
		              "IP address of %s is not available on %s. Valid IPs are :%s",
		              json_string_value(item), gateway, valid.text ? valid.text : "");
	}
	return 0;
}

/* Every portal repeats the list of the target and what of it is not its own. */
static int spread_addresses(struct change *change, json_t *target)
{
	json_t *all = json_object_get(target, "ip_list");
	const char *name;
	json_t *portal;
	json_object_foreach (json_object_get(target, "portals"), name, portal) {
		const json_t *own = json_object_get(portal, "portal_ip_addresses");
		int r = put_new(change, portal, "gateway_ip_list", json_copy(all));
		if (r == 0)
			r = put_new(change, portal, "inactive_portal_ips", list_minus(all, own));
		if (r == 0)
			r = put_new(change, portal, "tpgs",
			            json_integer((json_int_t)json_array_size(all)));
		if (r < 0)
			return r;
	}
	return stamp(change, target);
}

static int add_portal(struct change *change, json_t *target, const char *gateway, json_t *added)
{
	json_t *portals = object_member(target, "portals");
	json_t *all = json_object_get(target, "ip_list");
	if (!all) {
		int r = put_new(change, target, "ip_list", json_array());
		if (r < 0)
			return r;
		all = json_object_get(target, "ip_list");
	}
	if (json_array_extend(all, added) < 0)
		return refuse(change, 500, "Out of memory");
	int r = put_new(change, portals, gateway, json_object());
	if (r == 0)
		r = put_new(change, json_object_get(portals, gateway), "portal_ip_addresses",
		            json_incref(added));
	json_t *gateways = object_member(change->object, "gateways");
	if (r == 0 && !json_object_get(gateways, gateway))
		r = put_new(change, gateways, gateway,
		            json_pack("{s:i, s:s, s:s}", "active_luns", 0, "created",
		                      change->context->now, "updated", change->context->now));
	return r < 0 ? r : spread_addresses(change, target);
}

int change_gateway_put(struct change *change)
{
	char iqn[IQN_MAX];
	json_t *target;
	const char *wanted, *addresses;
	change->doing = "Gateway creation ";
	int r = find_target(change, iqn, &target);
	if (r == 0)
		r = need_argument(change, "gateway_name", &wanted);
	if (r == 0)
		r = need_argument(change, "ip_address", &addresses);
	if (r < 0)
		return r;

	json_t *portals = json_object_get(target, "portals");
	if (gateway_match(portals, wanted))
		return refuse(change, 400, "Gateway already exists in configuration");
	const char *gateway = gateway_match(change->context->members, wanted);
	if (!gateway)
		return refuse_unknown(change, wanted);
	if (json_object_get(portals, gateway))
		return refuse(change, 400, "Gateway already exists in configuration");

	AUTO_JSON json_t *added = json_array();
	r = add_addresses(change, addresses, added, json_object_get(target, "ip_list"));
	if (r == 0)
		r = check_local_addresses(change, gateway, added);
	if (r == 0 && json_array_size(json_object_get(target, "ip_list")) + json_array_size(added) >
	                      PORTALS_MAX)
		r = refuse(change, 400, "A target has at most %d portal addresses", PORTALS_MAX);
	if (r == 0)
		r = add_portal(change, target, gateway, added);
	if (r == 0)
		r = settle_owners(change);
	return r < 0 ? r : succeed(change, "Gateway creation successful");
}

/* ---- delete ---- */

static int empty_target(struct change *change, json_t *target)
{
	static const char *const emptied[] = { "disks", "clients", "controls", "groups" };
	for (size_t i = 0; i < ARRAY_LEN(emptied); i++) {
		int r = put_new(change, target, emptied[i], json_object());
		if (r < 0)
			return r;
	}
	return 0;
}

int change_gateway_delete(struct change *change)
{
	char iqn[IQN_MAX];
	json_t *target;
	const char *wanted;
	change->doing = "Gateway deletion ";
	change->takes_away = true;
	int r = find_target(change, iqn, &target);
	if (r == 0)
		r = need_argument(change, "gateway_name", &wanted);
	if (r < 0)
		return r;
	json_t *portals = object_member(target, "portals");
	const char *gateway = gateway_match(portals, wanted);
	if (!gateway)
		return refuse(change, 404, "Gateway does not exist in configuration");

	const json_t *own =
	        json_object_get(json_object_get(portals, gateway), "portal_ip_addresses");
	r = put_new(change, target, "ip_list", list_minus(json_object_get(target, "ip_list"), own));
	(void)json_object_del(portals, gateway);
	if (r == 0 && json_object_size(portals) == 0)
		r = empty_target(change, target);
	if (r == 0)
		r = spread_addresses(change, target);
	if (r == 0)
		r = settle_owners(change);
	return r < 0 ? r : succeed(change, "Gateway deletion successful");
}
