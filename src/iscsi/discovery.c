/* Answers Text Requests: SendTargets, and what else an initiator may say in full feature phase. An
 * answer to SendTargets holds TargetName and TargetAddress only: libiscsi fails on other keys. */
#include "iscsi/discovery.h"

#include "iscsi/address.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* compat: LIO shows all targets to everyone; discovery_by_acl turns that off. */
static bool is_visible(const struct text_asker *asker, const struct iscsi_target *target)
{
	if (!asker->config->discovery_by_acl || !target->acl_enabled)
		return true;
	return iscsi_target_find_acl(target, asker->initiator_name) != NULL;
}

/* A wildcard portal of ours has, for this initiator, the address that it came by; one of another
 * gateway has none that we could name. */
static bool resolve_portal(const struct text_asker *asker, const struct iscsi_portal_group *group,
                           const char *text, struct portal_address *ret_portal)
{
	struct portal_address portal, local;
	if (portal_address_parse(text, &portal) < 0)
		return false;
	if (portal.any) {
		if (!group->local || portal_address_parse(asker->local_address, &local) < 0)
			return false;
		local.port = portal.port;
		if (!portal_address_covers(&portal, &local))
			return false;
		portal = local;
	}
	*ret_portal = portal;
	return true;
}

static void add_address(const struct text_asker *asker, const struct iscsi_portal_group *group,
                        const char *text, struct string *answers)
{
	char shown[PORTAL_TEXT_MAX], line[PORTAL_TEXT_MAX + 8];
	struct portal_address portal;
	if (!resolve_portal(asker, group, text, &portal))
		return;
	portal_address_format(&portal, shown, sizeof(shown));
	snprintf(line, sizeof(line), "%s,%u", shown, group->tag);
	keys_add(answers, "TargetAddress", line);
}

static void add_target(const struct text_asker *asker, const struct iscsi_target *target,
                       struct string *answers)
{
	keys_add(answers, "TargetName", target->name);
	for (size_t i = 0; i < target->group_count; i++) {
		const struct iscsi_portal_group *group = &target->groups[i];
		for (size_t j = 0; j < group->address_count; j++)
			add_address(asker, group, group->addresses[j], answers);
	}
}

static void add_all(const struct text_asker *asker, struct string *answers)
{
	for (size_t i = 0; i < asker->config->target_count; i++)
		if (is_visible(asker, &asker->config->targets[i]))
			add_target(asker, &asker->config->targets[i], answers);
}

static void add_named(const struct text_asker *asker, struct text_slice which,
                      struct string *answers)
{
	char name[ISCSI_NAME_MAX + 1];
	if (text_slice_copy(which, name, sizeof(name)) < 0)
		return;
	text_lower(name);
	const struct iscsi_target *target = iscsi_config_find(asker->config, name);
	if (target && (target == asker->target || is_visible(asker, target)))
		add_target(asker, target, answers);
}

void discovery_add_targets(const struct text_asker *asker, struct text_slice which,
                           struct string *ret_answers)
{
	bool all = text_slice_is(which, "All");
	/* compat: on a normal session, where RFC 7143 forbids All, libiscsi's tests want an answer.
	 */
	if (asker->target && (all || which.len == 0))
		add_target(asker, asker->target, ret_answers);
	else if (all)
		add_all(asker, ret_answers);
	else
		add_named(asker, which, ret_answers);
}

/* A declaration needs no answer; a bad one is rejected. */
static int take_segment(const struct key_row *row, struct text_slice value,
                        struct text_changes *changes)
{
	uint64_t segment;
	if (text_slice_number(value, row->min, row->max, &segment) < 0)
		return -EINVAL;
	changes->initiator_segment = (uint32_t)segment;
	return 0;
}

static int take_alias(struct text_slice value, struct text_changes *changes)
{
	if (text_slice_copy(value, changes->initiator_alias, sizeof(changes->initiator_alias)) < 0)
		return -EINVAL;
	changes->alias_declared = true;
	return 0;
}

/* -EINVAL: to be rejected. */
static int take_pair(const struct text_asker *asker, const struct key_row *row,
                     struct text_slice value, struct string *answers, struct text_changes *changes)
{
	if (!(row->stages & KEY_IN_FULL_FEATURE))
		return -EINVAL; /* negotiated at login, once for all */
	if (row->type == KEY_SEGMENT)
		return take_segment(row, value, changes);
	if (strcmp(row->name, "SendTargets") != 0)
		return take_alias(value, changes);
	discovery_add_targets(asker, value, answers);
	return 0;
}

static void answer_pair(const struct text_asker *asker, const struct text_pair *pair,
                        struct string *answers, struct text_changes *changes)
{
	const struct key_row *row = keys_find(pair);
	if (!row)
		keys_add_answer(answers, pair, "NotUnderstood");
	else if (take_pair(asker, row, pair->value, answers, changes) < 0)
		keys_add_answer(answers, pair, "Reject");
}

/* A known key twice in one request is a protocol error. */
static int check_pairs(const struct text_block *request)
{
	struct keys_negotiation seen;
	struct text_pair pair;
	size_t offset = 0;
	int r;
	keys_start(&seen);
	while ((r = text_block_next(request, &offset, &pair)) > 0)
		if (keys_check(&seen, &pair, KEY_IN_FULL_FEATURE) == -EEXIST)
			return -EINVAL;
	return r;
}

int text_request_answer(const struct text_asker *asker, const struct text_block *request,
                        struct string *ret_answers, struct text_changes *ret_changes)
{
	struct text_changes changes = { 0 };
	struct text_pair pair;
	size_t offset = 0;
	int r = check_pairs(request);
	if (r < 0)
		return r;
	while (text_block_next(request, &offset, &pair) > 0)
		answer_pair(asker, &pair, ret_answers, &changes);
	if (ret_answers->failed)
		return -ENOMEM;
	*ret_changes = changes;
	return 0;
}

uint32_t text_answer_piece(const struct string *answer, size_t *offset, uint32_t max_bytes,
                           const char **ret_piece, bool *ret_last)
{
	size_t left = answer->len - *offset;
	uint32_t len = left < max_bytes ? (uint32_t)left : max_bytes;
	*ret_piece = answer->text ? answer->text + *offset : "";
	*ret_last = len == left;
	*offset += len;
	return len;
}
