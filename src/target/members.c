/* Who is there and how it is doing. A health follows from the row, from the interconnect, and from
 * the answers to questions; members_review() is where they come together. */
#include "target/members.h"

#include "base/log.h"
#include "interconnect/interconnect.h"
#include "target/look.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define CONNECT_MS     3000 /* without a connection for so long since it appeared: lost */
#define QUESTIONS      2    /* one alone may be lost on the way to it although we hear it */
#define ANSWER_MS      800  /* to each, from when we heard it ourselves */
#define REFUSED_MS     400  /* the same, of one whose connection is reset or refused */
#define PAUSE_MS       (REFUSED_MS / 2) /* without a review for so long: we were the ones that hung */
#define HEAR_MS        3000             /* the question itself was lost: ask again */
#define ASK_AGAIN_MS   2000             /* one that lives but cannot be reached */
#define FENCE_AGAIN_MS 1000
#define PAST_MS        600000

const char *member_health_name(enum member_health health)
{
	static const char *const names[] = {
		[MEMBER_ABSENT] = "absent",
		[MEMBER_CONNECTING] = "connecting",
		[MEMBER_UP] = "up",
		[MEMBER_SUSPECT] = "suspect",
		[MEMBER_UNREACHABLE] = "unreachable",
		[MEMBER_FENCED] = "fenced",
	};
	return names[health];
}

void members_init(struct members *members)
{
	list_init(&members->list);
}

static void member_free(struct member *member)
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

static void set_health(struct members *members, struct member *member, enum member_health health)
{
	if (member->health == health)
		return;
	log_info("%s (instance %s): %s, was %s", member->gateway, member->instance,
	         member_health_name(health), member_health_name(member->health));
	member->health = health;
	member->since_ms = reactor_now_ms(members->manager);
	if (health == MEMBER_UP)
		member->up_since_ms = member->since_ms;
	members->company |= health == MEMBER_UP || health == MEMBER_UNREACHABLE;
	members->changed(members);
}

/* What is on the way to it will not be answered by it. */
static void forget_peer(struct members *members, struct member *member)
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
	set_health(members, member, MEMBER_CONNECTING);
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

/* What is answered after this says nothing any more. */
static void end_questions(struct member *member)
{
	member->ask_number = member->ask_before = 0;
	member->unanswered = 0;
}

/* Its gateway has started anew: the clients that it had by then must be fenced. */
static void make_past(struct members *members, struct member *member)
{
	log_warning("%s: instance %s is over without having ended well", member->gateway,
	            member->instance);
	leave_present(members, member);
	end_questions(member);
	if (member->health != MEMBER_FENCED)
		set_health(members, member, MEMBER_SUSPECT);
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
		forget_peer(members, member);
		set_health(members, member, MEMBER_ABSENT);
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
		set_health(members, member, MEMBER_SUSPECT);
	}
	/* One that said that it had left nothing behind. */
	if (member->health == MEMBER_ABSENT) {
		leave_present(members, member);
		set_health(members, member, MEMBER_SUSPECT);
	}
	if (*record->client)
		add_client(member, record->client);
}

/* ---- health ---- */

static void suspect(struct members *members, struct member *member, const char *why)
{
	if (member->health == MEMBER_UNREACHABLE)
		return;
	if (member->health != MEMBER_SUSPECT) {
		log_warning("%s %s: asking", member->gateway, why);
		set_health(members, member, MEMBER_SUSPECT);
		members->look(members);
	}
	if (!member->ask_number)
		members->ask(members, member);
}

static struct peer_info peer_of(const struct members *members, const struct member *member)
{
	struct peer_info peer;
	if (member->has_peer && interconnect_get_peer(members->interconnect, member->peer, &peer))
		return peer;
	return (struct peer_info){ .state = PEER_CONNECTING };
}

/* A process that has ended refuses connections at once; one whose host is silent may be slow. */
static unsigned answer_ms(const struct members *members, const struct member *member)
{
	struct peer_info peer = peer_of(members, member);
	return peer.state == PEER_LOST && !peer.silent ? REFUSED_MS : ANSWER_MS;
}

static void not_answered(struct members *members, struct member *member)
{
	if (++member->unanswered < QUESTIONS) {
		member->ask_before = member->ask_number;
		members->ask(members, member);
		return;
	}
	end_questions(member);
	log_warning("%s: %d questions without an answer, %u ms for each: taken for dead",
	            member->gateway, QUESTIONS, answer_ms(members, member));
	set_health(members, member, MEMBER_SUSPECT);
	member_fence(members, member, "lost, and did not answer");
}

/* It lived when it was asked, but its connections have ended since. */
static bool is_lost_since(const struct members *members, const struct member *member)
{
	struct peer_info peer = peer_of(members, member);
	return peer.state == PEER_LOST && peer.since_ms > member->asked_ms;
}

/* A question under way, or one that is due. */
static void review_question(struct members *members, struct member *member)
{
	uint64_t now_ms = reactor_now_ms(members->manager);
	if (!member->ask_number) {
		bool due =
		        now_ms >= member->asked_ms + ASK_AGAIN_MS || is_lost_since(members, member);
		if (member->health == MEMBER_UNREACHABLE && due && members->wanted(members, member))
			members->ask(members, member);
		return;
	}
	if (member->heard_ms && now_ms >= member->heard_ms + answer_ms(members, member)) {
		not_answered(members, member);
	} else if (!member->heard_ms && now_ms >= member->asked_ms + HEAR_MS) {
		member->ask_number = 0;
	}
}

/* Of a pause of its storage it speaks instead of its caution, so a pause says nothing of that. */
static void note_words(struct members *members, struct member *member, const struct peer_info *peer)
{
	bool was_cautious = member->cautious,
	     says_cautious = peer->stalled_ms == INTERCONNECT_CAUTIOUS;
	if (peer->state != PEER_UP)
		return;
	member->stalled = !says_cautious && peer->stalled_ms > MEMBER_STALLED_MS;
	if (says_cautious || peer->stalled_ms == 0)
		member->cautious = says_cautious;
	if (was_cautious && !member->cautious)
		member->up_since_ms = reactor_now_ms(members->manager);
}

/* By what it said last, if no answer of its own through the store is later. */
static bool is_stalled(const struct members *members, const struct member *member)
{
	return member->stalled && !members->stalled &&
	       reactor_now_ms(members->manager) >= member->proven_ms + MEMBER_STALLED_MS;
}

/* NULL: it is well. */
static const char *find_trouble(const struct members *members, const struct member *member,
                                const struct peer_info *peer)
{
	static char text[64];
	switch (peer->state) {
	case PEER_UP:
		if (peer->silent)
			return "answers on some of its connections only";
		return is_stalled(members, member) ? "says that its storage makes no progress"
		                                   : NULL;
	case PEER_CONNECTING:
		return "cannot be connected";
	case PEER_LOST:
	case PEER_FORGOTTEN:
		break;
	}
	if (!peer->silent)
		return "has closed or refused the connection";
	uint64_t since_ms = reactor_now_ms(members->manager) - peer->since_ms;
	(void)snprintf(text, sizeof text, "is silent for %.1f s", 2.0 + (double)since_ms / 1000);
	return text;
}

/* It has not had the time yet. */
static bool is_connecting(const struct members *members, const struct member *member,
                          const struct peer_info *peer)
{
	return peer->state == PEER_CONNECTING && member->health == MEMBER_CONNECTING &&
	       reactor_now_ms(members->manager) < member->since_ms + CONNECT_MS;
}

static void review_current(struct members *members, struct member *member)
{
	if (member->health == MEMBER_FENCED || member->state == GATEWAY_STOPPED)
		return;
	if (member->condemned) {
		end_questions(member);
		set_health(members, member, MEMBER_SUSPECT);
		if (reactor_now_ms(members->manager) >= member->fence_again_ms)
			member_fence(members, member, "condemned by another gateway");
		return;
	}
	if (!member->has_peer && !members->wanted(members, member))
		return; /* nothing to connect to, and nothing to ask for */
	struct peer_info peer = peer_of(members, member);
	note_words(members, member, &peer);
	const char *trouble = find_trouble(members, member, &peer);
	if (!trouble) {
		end_questions(member);
		set_health(members, member, MEMBER_UP);
	} else if (!is_connecting(members, member, &peer)) {
		suspect(members, member, trouble);
		review_question(members, member);
	}
}

/* Forgotten some time after its fence, if another instance followed; a record that still names it
 * would bring it back. */
static void review_past(struct members *members, struct member *member)
{
	uint64_t now_ms = reactor_now_ms(members->manager);
	if (member->health == MEMBER_SUSPECT && now_ms >= member->fence_again_ms)
		member_fence(members, member, "an instance of the past");
	else if (member->health != MEMBER_SUSPECT && now_ms >= member->since_ms + PAST_MS &&
	         members_find(members, member->gateway))
		member_free(member);
}

/* While this process did not run nobody could be heard: the time to answer begins anew. */
static void notice_pause(struct members *members)
{
	uint64_t now_ms = reactor_now_ms(members->manager);
	uint64_t gap_ms = now_ms - members->reviewed_ms;
	struct member *member;
	members->reviewed_ms = now_ms;
	if (gap_ms < PAUSE_MS)
		return;
	list_for_each (member, &members->list, link) {
		if (member->heard_ms)
			member->heard_ms = now_ms;
	}
}

void members_review(struct members *members)
{
	struct member *member, *following;
	notice_pause(members);
	list_for_each_safe (member, following, &members->list, link) {
		if (member->fencing)
			continue;
		if (member->current)
			review_current(members, member);
		else
			review_past(members, member);
	}
}

bool members_unsettled(const struct members *members)
{
	const struct member *member;
	list_for_each (member, &members->list, link) {
		if (member->health == MEMBER_SUSPECT || member->health == MEMBER_CONNECTING ||
		    (member->health == MEMBER_UNREACHABLE && member->ask_number))
			return true;
	}
	return false;
}

uint64_t members_due_ms(const struct members *members)
{
	const struct member *member;
	uint64_t now_ms = reactor_now_ms(members->manager), first_ms = 0;
	list_for_each (member, &members->list, link) {
		if (!member->ask_number || !member->heard_ms)
			continue;
		uint64_t due_ms = member->heard_ms + answer_ms(members, member);
		if (due_ms > now_ms && (!first_ms || due_ms < first_ms))
			first_ms = due_ms;
	}
	return first_ms;
}

void member_fenced(struct members *members, struct member *member, int result)
{
	if (result < 0) {
		/* -ESTALE: it has started anew or stopped, which the next look shows. */
		member->fence_again_ms = reactor_now_ms(members->manager) + FENCE_AGAIN_MS;
		members->look(members);
		return;
	}
	forget_peer(members, member);
	set_health(members, member, MEMBER_FENCED);
}

void members_heard(struct members *members, uint64_t number)
{
	struct member *member;
	list_for_each (member, &members->list, link) {
		if (member->ask_number == number && !member->heard_ms)
			member->heard_ms = reactor_now_ms(members->manager);
	}
}

void members_answered(struct members *members, uint64_t number)
{
	struct member *member;
	list_for_each (member, &members->list, link) {
		bool asked = member->ask_number == number || member->ask_before == number;
		if (!number || !asked || member->fencing)
			continue;
		struct peer_info peer = peer_of(members, member);
		end_questions(member);
		log_info("%s answers through the store: it lives", member->gateway);
		member->proven_ms = member->asked_ms;
		note_words(members, member, &peer);
		set_health(members, member,
		           find_trouble(members, member, &peer) ? MEMBER_UNREACHABLE : MEMBER_UP);
		members->look(members);
	}
}
