/* A session follows a new snapshot: it is expelled if it would not be let in any more, else its LUN
 * map is changed. What takes time is counted in the apply. */
#include "iscsi/address.h"
#include "iscsi/apply.h"
#include "iscsi/session.h"
#include "iscsi/worker.h"

#include <stdlib.h>
#include <string.h>

bool session_credentials_equal(const struct chap_credentials *a, const struct chap_credentials *b)
{
	return strcmp(a->user_name, b->user_name) == 0 && strcmp(a->secret, b->secret) == 0 &&
	       strcmp(a->mutual_user_name, b->mutual_user_name) == 0 &&
	       strcmp(a->mutual_secret, b->mutual_secret) == 0;
}

static int group_tag(const struct iscsi_target *target, const char *local_address)
{
	struct portal_address local;
	if (portal_address_parse(local_address, &local) < 0)
		return -1;
	const struct iscsi_portal_group *group = portal_group_of(target, &local);
	return group ? group->tag : -1;
}

bool session_rights_equal(const struct iscsi_target *target, const struct iscsi_acl *acl,
                          const struct iscsi_config *config, const char *initiator_name,
                          const char *local_address)
{
	const struct iscsi_target *now = iscsi_config_find(config, target->name);
	if (!now || now->acl_enabled != target->acl_enabled)
		return false;
	if (group_tag(now, local_address) != group_tag(target, local_address))
		return false;
	if (!acl)
		return session_credentials_equal(&target->auth, &now->auth);
	const struct iscsi_acl *acl_now = iscsi_target_find_acl(now, initiator_name);
	return acl_now && session_credentials_equal(&acl->auth, &acl_now->auth);
}

struct lun_map {
	const struct lun_mapping *mappings;
	size_t count;
};

static struct lun_map map_of(const struct iscsi_target *target, const struct iscsi_acl *acl)
{
	if (acl)
		return (struct lun_map){ acl->mappings, acl->mapping_count };
	return (struct lun_map){ target->mappings, target->mapping_count };
}

static bool maps_equal(struct lun_map a, struct lun_map b)
{
	if (a.count != b.count)
		return false;
	for (size_t i = 0; i < a.count; i++) {
		const struct lun_mapping *x = &a.mappings[i], *y = &b.mappings[i];
		if (x->number != y->number || x->lun != y->lun || x->read_only != y->read_only)
			return false;
	}
	return true;
}

void session_apply_waits_done(struct session *session)
{
	for (struct list *link; (link = list_take_first(&session->apply_waits));) {
		struct apply_wait *wait = list_entry(link, struct apply_wait, link);
		apply_put(wait->apply);
		free(wait);
	}
}

/* Without memory for it the apply says "done" a little too early; the session follows all the same.
 */
static void wait_for_session(struct session *session, struct apply *apply)
{
	struct apply_wait *wait = malloc(sizeof(*wait));
	if (!wait)
		return;
	wait->apply = apply;
	apply_get(apply);
	list_append(&session->apply_waits, &wait->link);
}

static void map_changed(void *argument)
{
	struct session *session = argument;

	session->map_changing = false;
	if (!session->stopping)
		session_apply_waits_done(session);
	session_check_end(session);
}

/* A change does not wait for the one before, whose commands may hang: what is taken away meanwhile
 * must not stay in reach. */
static void follow_map(struct session *session, struct lun_map before, struct apply *apply)
{
	struct lun_map map = map_of(session->target, session->acl);

	if (maps_equal(before, map) && !session->map_changing)
		return;
	wait_for_session(session, apply);
	if (nexus_change_map(session->nexus, map.mappings, map.count, map_changed, session) == 0)
		session->map_changing = true;
	else /* the old map must not stay in force */
		session_expel(session, "no memory for its new LUNs");
}

static bool still_allowed(const struct session *session, const struct iscsi_config *config)
{
	if (!session->target)
		return session_credentials_equal(&session->config->discovery_auth,
		                                 &config->discovery_auth);
	return session_rights_equal(session->target, session->acl, config,
	                            session->entry.initiator_name,
	                            session->connection->local_address);
}

void session_follow(struct session *session, struct iscsi_config *config, struct apply *apply)
{
	if (session->stopping) {
		/* Its tasks may still work on LUNs that the snapshot takes away. */
		if (!session->ended)
			wait_for_session(session, apply);
		return;
	}
	if (!still_allowed(session, config)) {
		wait_for_session(session, apply);
		session_expel(session, "the configuration no longer allows it");
		return;
	}
	struct iscsi_config *old = session->config;
	session->config = iscsi_config_get(config);
	if (session->target) {
		struct lun_map before = map_of(session->target, session->acl);
		const struct iscsi_target *target =
		        iscsi_config_find(config, session->target->name);
		session->target = target;
		session->acl =
		        session->acl ? iscsi_target_find_acl(target, session->entry.initiator_name)
		                     : NULL;
		follow_map(session, before, apply);
	}
	iscsi_config_put(old);
}
