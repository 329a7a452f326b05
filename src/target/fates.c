/* Commands that a member has not answered which lives but cannot be reached: it is asked through
 * the store what became of them (interconnect/fate.c), once a second until none is left. Messages:
 *
 *   {"unanswered": {"from", "from_instance", "to", "to_instance", "channels": [...]}}
 *   {"fates": the same}  */
#include "target/owners_private.h"

#include "interconnect/interconnect.h"
#include "target/peers.h"

#include <stdio.h>
#include <string.h>

#define ASK_MS 1000

/* What the interconnect finds for a member; by name, for it may be gone by then. */
struct finding {
	struct owners *owners;
	const char *kind;
	char gateway[GATEWAY_NAME_MAX], instance[INSTANCE_MAX];
};

static struct finding *finding_new(struct owners *owners, const struct member *member,
                                   const char *kind)
{
	struct finding *finding = malloc(sizeof *finding);
	if (!finding)
		return NULL;
	finding->owners = owners;
	finding->kind = kind;
	(void)snprintf(finding->gateway, sizeof finding->gateway, "%s", member->gateway);
	(void)snprintf(finding->instance, sizeof finding->instance, "%s", member->instance);
	return finding;
}

static void found(void *argument, const json_t *channels)
{
	AUTO_FREE struct finding *finding = argument;
	struct owners *owners = finding->owners;
	owners->rounds--;
	if (owners->stopping) {
		owners_check_stopped(owners);
		return;
	}
	if (json_array_size(channels) == 0 || owners->condemned)
		return;
	talk_send(owners, json_pack("{s:{s:s, s:s, s:s, s:s, s:O}}", finding->kind, "from",
	                            owners->config.gateway, "from_instance",
	                            owners->members.instance, "to", finding->gateway, "to_instance",
	                            finding->instance, "channels", channels));
}

/* ---- asking ---- */

static void ask(struct owners *owners, const struct member *member)
{
	struct interconnect *interconnect = peers_interconnect(owners->config.peers);
	struct finding *finding = interconnect ? finding_new(owners, member, "unanswered") : NULL;
	if (!finding)
		return;
	if (interconnect_find_unanswered(interconnect, member->peer, found, finding) == 0)
		owners->rounds++;
	else
		free(finding);
}

void fates_review(struct owners *owners)
{
	uint64_t now_ms = reactor_now_ms(owners->config.manager);
	struct member *member;
	list_for_each (member, &owners->members.list, link) {
		if (member->health != MEMBER_UNREACHABLE || !member->has_peer ||
		    now_ms < member->fates_ms + ASK_MS)
			continue;
		member->fates_ms = now_ms;
		ask(owners, member);
	}
}

/* ---- hearing ---- */

/* Who sent it, if it is for this instance. */
static const struct member *sender(const struct owners *owners, const json_t *message)
{
	if (strcmp(json_text(message, "to_instance", ""), owners->members.instance) != 0)
		return NULL;
	const struct member *member =
	        members_find_instance(&owners->members, json_text(message, "from", ""),
	                              json_text(message, "from_instance", ""));
	return member && member->has_peer ? member : NULL;
}

void fates_heard_unanswered(struct owners *owners, const json_t *message)
{
	struct interconnect *interconnect = peers_interconnect(owners->config.peers);
	const struct member *member = sender(owners, message);
	struct finding *finding =
	        interconnect && member ? finding_new(owners, member, "fates") : NULL;
	if (!finding)
		return;
	if (interconnect_find_fates(interconnect, member->peer,
	                            json_object_get(message, "channels"), found, finding) == 0)
		owners->rounds++;
	else
		free(finding);
}

void fates_heard(struct owners *owners, const json_t *message)
{
	struct interconnect *interconnect = peers_interconnect(owners->config.peers);
	const struct member *member = sender(owners, message);
	if (interconnect && member)
		/* It is asked again for what is not taken. */
		(void)!interconnect_take_fates(interconnect, member->peer,
		                               json_object_get(message, "channels"));
}
