/* What an initiator is told of a gateway that is being stopped depends on its other paths: one that
 * has any is to use them; one that has none would give up what it wants of the LUN, instead of
 * waiting for the gateway to come back (Linux fails whatever it has for a path that is unavailable,
 * with multipath or without). So to that one the path stays what it was until it ends. */
#include "scsi/port_group.h"

#include <errno.h>
#include <string.h>

struct view {
	const struct port_group *groups;
	size_t count;
	const struct other_paths *others;
};

static enum alua_state state_told(const struct view *view, size_t i,
                                  const struct reservation_port *port)
{
	const struct port_group *group = &view->groups[i];
	bool goes = group->leaves && other_paths_has(view->others, port->initiator, port->target);
	return goes ? ALUA_UNAVAILABLE : group->state;
}

static bool is_same(const struct view *before, const struct view *now,
                    const struct reservation_port *port)
{
	if (before->count != now->count)
		return false;
	for (size_t i = 0; i < now->count; i++) {
		if (before->groups[i].tag != now->groups[i].tag ||
		    state_told(before, i, port) != state_told(now, i, port))
			return false;
	}
	return true;
}

/* With the lock held. Before the first groups there was nothing to be told. */
static void announce(struct lun *lun, const struct view *before, const struct view *now)
{
	struct itl *itl;
	list_for_each (itl, &lun->itls, lun_link) {
		if (before->count && !itl->proxy && !is_same(before, now, itl->port))
			ua_add(&itl->attentions, SENSE_ACCESS_STATE_CHANGED);
	}
}

static bool groups_equal(const struct view *a, const struct view *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++) {
		const struct port_group *x = &a->groups[i], *y = &b->groups[i];
		if (x->tag != y->tag || x->state != y->state || x->leaves != y->leaves)
			return false;
	}
	return true;
}

int lun_set_port_groups(struct lun *lun, const struct port_group *groups, size_t count)
{
	struct view now = { .groups = groups, .count = count };
	if (count > LUN_MAX_PORT_GROUPS)
		return -E2BIG;
	(void)pthread_mutex_lock(&lun->lock);
	struct view before = { lun->groups, lun->group_count, lun->other_paths };
	now.others = lun->other_paths;
	if (!groups_equal(&before, &now)) {
		announce(lun, &before, &now);
		memcpy(lun->groups, groups, count * sizeof groups[0]);
		lun->group_count = count;
	}
	(void)pthread_mutex_unlock(&lun->lock);
	return 0;
}

void lun_set_other_paths(struct lun *lun, struct other_paths *paths)
{
	(void)pthread_mutex_lock(&lun->lock);
	struct other_paths *former = lun->other_paths;
	struct view before = { lun->groups, lun->group_count, former };
	struct view now = { lun->groups, lun->group_count, paths };
	announce(lun, &before, &now);
	lun->other_paths = other_paths_get(paths);
	(void)pthread_mutex_unlock(&lun->lock);
	other_paths_put(former);
}

size_t port_groups_told(struct lun *lun, const struct reservation_port *port,
                        struct port_group groups[LUN_MAX_PORT_GROUPS])
{
	(void)pthread_mutex_lock(&lun->lock);
	struct view view = { lun->groups, lun->group_count, lun->other_paths };
	for (size_t i = 0; i < view.count; i++) {
		groups[i] = lun->groups[i];
		groups[i].state = state_told(&view, i, port);
	}
	(void)pthread_mutex_unlock(&lun->lock);
	return view.count;
}

void lun_visit_ports(struct lun *lun,
                     void (*visit)(void *argument, const char *initiator, const char *target),
                     void *argument)
{
	const struct itl *itl;
	(void)pthread_mutex_lock(&lun->lock);
	list_for_each (itl, &lun->itls, lun_link) {
		if (!itl->proxy && !itl->leaving)
			visit(argument, itl->port->initiator, itl->port->target);
	}
	(void)pthread_mutex_unlock(&lun->lock);
}
