/* Who is there: instances as the rows name them, and those of the past. How they are doing is the
 * business of members_health.c. */
#include "target/members.h"

#include "base/log.h"
#include "interconnect/interconnect.h"
#include "target/look.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

void members_init(struct members *members)
{
	list_init(&members->list);
}

void member_free(struct member *member)
{
	list_remove(&member->link);
	for (size_t i = 0; i < member->client_count; i++)
		free(member->clients[i]);
	free(member->clients);
	free(member);
}

void members_done(struct members *members)
{
	struct member *member, *following;
	assert(!members->fencings);
	list_for_each_safe (member, following, &members->list, link)
		member_free(member);
}

struct member *members_find_instance(const struct members *members, const char *gateway,
                                     const char *instance)
{
	struct member *member;
	list_for_each (member, &members->list, link) {
		if (strcmp(member->gateway, gateway) == 0 &&
		    strcmp(member->instance, instance) == 0)
			return member;
	}
	return NULL;
}

struct member *members_find(const struct members *members, const char *gateway)
{
	struct member *member;
	list_for_each (member, &members->list, link) {
		if (member->current && strcmp(member->gateway, gateway) == 0)
			return member;
	}
	return NULL;
}

void member_forget_peer(struct members *members, struct member *member)
{
	if (!member->has_peer)
		return;
	interconnect_forget(members->interconnect, member->peer);
	member->has_peer = false;
}

static struct member *add_member(struct members *members, const char *gateway, const char *instance)
{
	struct member *member = calloc(1, sizeof *member);
	if (!member)
		return NULL;
	(void)snprintf(member->gateway, sizeof member->gateway, "%s", gateway);
	(void)snprintf(member->instance, sizeof member->instance, "%s", instance);
	member->since_ms = reactor_now_ms(members->manager);
	list_append(&members->list, &member->link);
	return member;
}

/* ---- what the rows say ---- */

/* Present ones come first: ownership/decide.h looks a gateway up by its first entry. Then those of
 * the past, the latest first: it is not told of more than so many. */
static void make_current(struct members *members, struct member *member)
{
	member->current = true;
	list_remove(&member->link);
	list_prepend(&members->list, &member->link);
	member_set_health(members, member, MEMBER_CONNECTING);
}

static void leave_present(struct members *members, struct member *member)
{
	struct list *at = &members->list;
	struct member *other;
	member->current = false;
	list_remove(&member->link);
	list_for_each (other, &members->list, link) {
		if (!other->current) {
			at = &other->link;
			break;
		}
	}
	list_insert_before(at, &member->link);
}

static void add_client(struct member *member, const char *address)
{
	for (size_t i = 0; i < member->client_count; i++) {
		if (strcmp(member->clients[i], address) == 0)
			return;
	}
	char **clients = realloc(member->clients, (member->client_count + 1) * sizeof *clients);
	char *copy = strdup(address);
	if (clients)
		member->clients = clients;
	if (!clients || !copy) {
		free(copy);
		return; /* the record that names it brings it again */
	}
	clients[member->client_count++] = copy;
	/* Fenced before it was known: not all of it was. */
	if (member->health == MEMBER_FENCED)
		member->health = MEMBER_SUSPECT;
}

static void note_clients(struct member *member, const struct registration_row *row)
{
	for (size_t i = 0; i < row->client_count; i++)
		add_client(member, row->clients[i]);
}

/* Its gateway has started anew: the clients that it had by then must be fenced. */
static void make_past(struct members *members, struct member *member)
{
	log_warning("%s: instance %s is over without having ended well", member->gateway,
	            member->instance);
	leave_present(members, member);
	member_end_questions(member);
	if (member->health != MEMBER_FENCED)
		member_set_health(members, member, MEMBER_SUSPECT);
}

static void update_peer(struct members *members, struct member *member,
                        const struct registration_row *row)
{
	if (!members->interconnect || !*row->interconnect || member->health == MEMBER_FENCED)
		return;
	if (row->version_min > INTERCONNECT_VERSION_MAX ||
	    row->version_max < INTERCONNECT_VERSION_MIN) {
		log_limited(LOG_LEVEL_WARNING, 60000,
		            "%s speaks versions %d to %d of the interconnect only, this gateway "
		            "%d to %d",
		            member->gateway, row->version_min, row->version_max,
		            INTERCONNECT_VERSION_MIN, INTERCONNECT_VERSION_MAX);
		return;
	}
	if (interconnect_add_peer(members->interconnect, member->gateway, member->instance,
	                          row->interconnect, &member->peer) == 0)
		member->has_peer = true;
	else
		log_limited(LOG_LEVEL_WARNING, 10000, "%s: its interconnect address %s is no good",
		            member->gateway, row->interconnect);
}

static void update_member(struct members *members, const struct registration_row *row)
{
	struct member *member = members_find_instance(members, row->gateway, row->instance);
	struct member *before = members_find(members, row->gateway);
	if (before && before != member) {
		if (before->state == GATEWAY_STOPPED || before->health == MEMBER_FENCED)
			leave_present(members, before); /* it left nothing behind */
		else
			make_past(members, before);
	}
	if (!member)
		member = add_member(members, row->gateway, row->instance);
	if (!member)
		return; /* the next look finds it again */
	bool over = member->health == MEMBER_FENCED;
	if (!member->current && !over && row->state != GATEWAY_STOPPED)
		make_current(members, member);
	if (!over)
		note_clients(member, row);
	if (member->state != row->state || member->condemned != row->condemned)
		members->changed(members);
	member->state = row->state;
	member->condemned = row->condemned;
	if (row->state == GATEWAY_STOPPED && member->current && !over) {
		members->company = true; /* nobody else writes that */
		member_forget_peer(members, member);
		member_set_health(members, member, MEMBER_ABSENT);
	} else if (row->state != GATEWAY_STOPPED) {
		update_peer(members, member, row);
	}
}

bool members_know(const struct members *members, const char *gateway)
{
	const struct member *member;
	list_for_each (member, &members->list, link) {
		if (strcmp(member->gateway, gateway) == 0)
			return true;
	}
	return strcmp(members->gateway, gateway) == 0;
}

static const struct registration_row *row_of(const struct look *look, const char *gateway)
{
	for (size_t i = 0; i < look->row_count; i++) {
		if (strcmp(look->rows[i].gateway, gateway) == 0)
			return &look->rows[i];
	}
	return NULL;
}

/* It has ended well, or can do no harm any more. */
static bool is_over(const struct member *member)
{
	bool stopped = member->state == GATEWAY_STOPPED && member->health != MEMBER_SUSPECT;
	return (stopped || member->health == MEMBER_FENCED) && !member->fencing;
}

/* People have removed the row of one that has ended well. The row of any other is damaged, perhaps.
 */
static const struct member *find_removed(const struct members *members, const struct look *look)
{
	const struct member *member;
	list_for_each (member, &members->list, link) {
		if (member->state == GATEWAY_STOPPED && is_over(member) &&
		    !row_of(look, member->gateway))
			return member;
	}
	return NULL;
}

/* That name is not ours any more. */
static void forget(struct members *members, const char *gateway)
{
	struct member *member, *following;
	log_info("%s: its row is gone, so it counts as an upstream gateway", gateway);
	list_for_each_safe (member, following, &members->list, link) {
		if (strcmp(member->gateway, gateway) == 0 && is_over(member))
			member_free(member);
	}
	members->changed(members);
}

static void forget_removed(struct members *members, const struct look *look)
{
	const struct member *removed;
	while ((removed = find_removed(members, look))) {
		char gateway[GATEWAY_NAME_MAX];
		memcpy(gateway, removed->gateway, sizeof gateway);
		forget(members, gateway);
	}
}

static bool in_maintenance(const struct look *look, const char *gateway)
{
	for (size_t i = 0; i < look->maintenance_count; i++) {
		if (strcmp(look->maintenance[i], gateway) == 0)
			return true;
	}
	return false;
}

void members_update(struct members *members, const struct look *look)
{
	for (size_t i = 0; i < look->row_count; i++) {
		if (strcmp(look->rows[i].gateway, members->gateway) != 0)
			update_member(members, &look->rows[i]);
	}
	forget_removed(members, look);
	struct member *member, *following;
	list_for_each_safe (member, following, &members->list, link) {
		bool maintenance = in_maintenance(look, member->gateway);
		if (maintenance != member->maintenance)
			members->changed(members);
		member->maintenance = maintenance;
		if (member->current && !row_of(look, member->gateway))
			make_past(members, member);
	}
	bool maintenance = in_maintenance(look, members->gateway);
	if (maintenance != members->maintenance)
		log_info("%s: %s", members->gateway,
		         maintenance ? "in maintenance: its LUNs go to others"
		                     : "back from maintenance");
	members->maintenance = maintenance;
	members->known = true;
}

void members_add_past(struct members *members, const struct owner_record *record)
{
	struct member *member = members_find_instance(members, record->gateway, record->instance);
	if (!member) {
		member = add_member(members, record->gateway, record->instance);
		if (!member)
			return;
		leave_present(members, member);
		member_set_health(members, member, MEMBER_SUSPECT);
	}
	/* One that said that it had left nothing behind. */
	if (member->health == MEMBER_ABSENT) {
		leave_present(members, member);
		member_set_health(members, member, MEMBER_SUSPECT);
	}
	if (*record->client)
		add_client(member, record->client);
}
