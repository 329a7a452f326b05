/* How the other gateways are doing: a health follows from what the interconnect tells and from the
 * answers to questions; members_review() is where they come together. */
#include "target/members.h"

#include "base/log.h"
#include "interconnect/interconnect.h"

#include <stdio.h>

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

void member_set_health(struct members *members, struct member *member, enum member_health health)
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

void member_end_questions(struct member *member)
{
	member->ask_number = member->ask_before = 0;
	member->unanswered = 0;
}

static void suspect(struct members *members, struct member *member, const char *why)
{
	if (member->health == MEMBER_UNREACHABLE)
		return;
	if (member->health != MEMBER_SUSPECT) {
		log_warning("%s %s: asking", member->gateway, why);
		member_set_health(members, member, MEMBER_SUSPECT);
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
	member_end_questions(member);
	log_warning("%s: %d questions without an answer, %u ms for each: taken for dead",
	            member->gateway, QUESTIONS, answer_ms(members, member));
	member_set_health(members, member, MEMBER_SUSPECT);
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
		member_end_questions(member);
		member_set_health(members, member, MEMBER_SUSPECT);
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
		member_end_questions(member);
		member_set_health(members, member, MEMBER_UP);
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
		if (member->health == MEMBER_SUSPECT ||
		    (member->health == MEMBER_CONNECTING && member->has_peer) ||
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
	member_forget_peer(members, member);
	member_set_health(members, member, MEMBER_FENCED);
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
		member_end_questions(member);
		log_info("%s answers through the store: it lives", member->gateway);
		member->proven_ms = member->asked_ms;
		note_words(members, member, &peer);
		member_set_health(members, member,
		                  find_trouble(members, member, &peer) ? MEMBER_UNREACHABLE
		                                                       : MEMBER_UP);
		members->look(members);
	}
}
