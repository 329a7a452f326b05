/* From the configuration object to the plan of this gateway, the way ceph-iscsi lays a target out:
 * one portal group for each gateway, tags in the order of the target's ip_list. */
#include "target/plan.h"

#include "config/object_view.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#define LUN_NUMBER_MAX 255
#define DEFAULT_CONF   "/etc/ceph/ceph.conf"
#define DEFAULT_CLIENT "client.admin"

struct maker {
	const struct plan_context *context;
	struct plan *plan;
};

/* Only the first problem is told: it is the one to mend first. */
static void PRINTF_LIKE(2, 3) leave_out(struct plan *plan, const char *format, ...)
{
	if (*plan->problem)
		return;
	va_list arguments;
	va_start(arguments, format);
	(void)vsnprintf(plan->problem, sizeof plan->problem, format, arguments); /* cut is fine */
	va_end(arguments);
}

/* ---- credentials ---- */

/* Credentials that nobody can know. */
static void lock_out(struct chap_credentials *auth)
{
	uint8_t random[32];
	if (getrandom(random, sizeof random, 0) != sizeof random)
		abort(); /* the kernel's random source never fails once it is up */
	*auth = (struct chap_credentials){ .user_name = "-" };
	text_put_hex(random, sizeof random, auth->secret);
}

static bool copy_text(const char *text, char *ret_copy)
{
	size_t len = strlen(text);
	if (len > CHAP_TEXT_MAX)
		return false;
	memcpy(ret_copy, text, len + 1);
	return true;
}

/* False: the secret cannot be decrypted here, or is longer than any that could be proved. */
static bool copy_auth(const struct view_auth *auth, struct chap_credentials *ret_auth)
{
	struct chap_credentials copy = { 0 };
	bool good = !auth->broken && copy_text(auth->username, copy.user_name) &&
	            copy_text(auth->mutual_username, copy.mutual_user_name) &&
	            copy_text(auth->password, copy.secret) &&
	            copy_text(auth->mutual_password, copy.mutual_secret);
	if (good)
		*ret_auth = copy;
	wipe(&copy, sizeof copy);
	return good;
}

/* ---- portal groups ---- */

static char *portal_address(const char *address, int port)
{
	char *text;
	return asprintf(&text, strchr(address, ':') ? "[%s]:%d" : "%s:%d", address, port) < 0
	               ? NULL
	               : text;
}

static int fill_groups(const struct maker *maker, const struct view_target *from,
                       struct plan_target *target)
{
	const struct plan_context *context = maker->context;
	target->groups = calloc(from->portal_group_count + 1, sizeof *target->groups);
	if (!target->groups)
		return -ENOMEM;
	for (size_t i = 0; i < from->portal_group_count; i++) {
		const struct view_portal_group *view = &from->portal_groups[i];
		struct iscsi_portal_group *group = &target->groups[target->group_count++];
		group->tag = (uint16_t)view->tag;
		group->local = strcmp(view->gateway, context->gateway_name) == 0;
		group->addresses = calloc(view->address_count + 1, sizeof *group->addresses);
		if (!group->addresses)
			return -ENOMEM;
		for (size_t j = 0; j < view->address_count; j++) {
			char *address =
			        portal_address(view->addresses[j], context->settings->portal_port);
			if (!address)
				return -ENOMEM;
			group->addresses[group->address_count++] = address;
		}
	}
	return 0;
}

static void groups_free(struct iscsi_portal_group *groups, size_t count)
{
	for (size_t i = 0; groups && i < count; i++) {
		for (size_t j = 0; j < groups[i].address_count; j++)
			free(groups[i].addresses[j]);
		free(groups[i].addresses);
	}
	free(groups);
}

/* ---- disks ---- */

/* The owner that the object names, if he has a portal here; else the first gateway by name: every
 * gateway comes to the same answer. */
static const char *owner_of(const struct view_disk *disk, const struct view_target *target)
{
	if (view_find_portal_group(target, disk->owner))
		return disk->owner;
	const char *first = "";
	for (size_t i = 0; i < target->portal_group_count; i++) {
		const char *gateway = target->portal_groups[i].gateway;
		if (!*first || strcmp(gateway, first) < 0)
			first = gateway;
	}
	return first;
}

static int set_port_groups(struct plan_disk *disk, const struct view_target *target)
{
	disk->groups = calloc(target->portal_group_count + 1, sizeof *disk->groups);
	if (!disk->groups)
		return -ENOMEM;
	disk->group_count = target->portal_group_count;
	for (size_t i = 0; i < disk->group_count; i++) {
		const struct view_portal_group *group = &target->portal_groups[i];
		disk->groups[i].tag = (uint16_t)group->tag;
		disk->groups[i].gateway = strdup(group->gateway);
		if (!disk->groups[i].gateway)
			return -ENOMEM;
	}
	return 0;
}

/* Designator 3 of VPD 83h: tcmu-runner's configuration string. */
static char *vendor_id_of(const struct settings *settings, const struct plan_disk *disk,
                          int osd_op_timeout)
{
	AUTO_STRING struct string text = { 0 };
	AUTO_FREE char *conf = settings_ceph_conf(settings);
	string_format(&text, "rbd/%s/%s;osd_op_timeout=%d", disk->pool, disk->image,
	              osd_op_timeout);
	if (conf && strcmp(conf, DEFAULT_CONF) != 0)
		string_format(&text, ";conf=%s", conf);
	const char *client = settings->cluster_client_name;
	const char *dot = strchr(client, '.');
	if (strcmp(client, DEFAULT_CLIENT) != 0)
		string_format(&text, ";id=%s", dot ? dot + 1 : client);
	return string_take(&text);
}

static int fill_disk(struct maker *maker, const struct view_disk *from,
                     const struct view_target *target, struct plan_disk *disk)
{
	const struct settings *settings = maker->context->settings;
	disk->name = strdup(from->key);
	disk->pool = strdup(from->pool);
	disk->image = strdup(from->image);
	disk->wwn = strdup(from->wwn);
	if (!disk->name || !disk->pool || !disk->image || !disk->wwn)
		return -ENOMEM;
	disk->vendor_id = vendor_id_of(settings, disk, from->controls.osd_op_timeout);
	if (!disk->vendor_id)
		return -ENOMEM;
	disk->max_sectors = (uint32_t)from->controls.hw_max_sectors;
	disk->max_inflight_bytes = (uint64_t)from->controls.max_data_area_mb << 20;
	disk->preferred = strdup(owner_of(from, target));
	if (!disk->preferred)
		return -ENOMEM;
	disk->owner = strcmp(disk->preferred, maker->context->gateway_name) == 0;
	return set_port_groups(disk, target);
}

static int compare_disks(const void *a, const void *b)
{
	return strcmp(((const struct plan_disk *)a)->name, ((const struct plan_disk *)b)->name);
}

size_t plan_find_disk(const struct plan *plan, const char *name)
{
	struct plan_disk key = { .name = (char *)name };
	struct plan_disk *found = plan->disk_count ? bsearch(&key, plan->disks, plan->disk_count,
	                                                     sizeof key, compare_disks)
	                                           : NULL;
	return found ? (size_t)(found - plan->disks) : SIZE_MAX;
}

static void disk_free(struct plan_disk *disk)
{
	free(disk->name);
	free(disk->pool);
	free(disk->image);
	free(disk->wwn);
	free(disk->vendor_id);
	free(disk->preferred);
	for (size_t i = 0; disk->groups && i < disk->group_count; i++)
		free(disk->groups[i].gateway);
	free(disk->groups);
}

/* An image below two LUNs would have two caches of reservations and ranges: the second one goes. */
static void remove_doubles(struct plan *plan)
{
	size_t kept = 0;
	for (size_t i = 0; i < plan->disk_count; i++) {
		if (kept && compare_disks(&plan->disks[kept - 1], &plan->disks[i]) == 0) {
			leave_out(plan, "disk %s is in two targets: it is served as in one of them",
			          plan->disks[i].name);
			disk_free(&plan->disks[i]);
		} else {
			plan->disks[kept++] = plan->disks[i];
		}
	}
	plan->disk_count = kept;
}

/* All disks of a target that has a portal here; sorted afterwards. */
static int add_disks(struct maker *maker, const struct view_target *target)
{
	for (size_t i = 0; i < target->lun_count; i++) {
		const struct view_disk *disk = target->luns[i].disk;
		if (!*disk->wwn) {
			leave_out(maker->plan, "disk %s of %s has no wwn: left out", disk->key,
			          target->iqn);
			continue;
		}
		int r = fill_disk(maker, disk, target,
		                  &maker->plan->disks[maker->plan->disk_count++]);
		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- targets ---- */

static int fill_luns(struct maker *maker, const char *whose, const struct view_lun *from,
                     size_t count, struct plan_lun **ret_luns, size_t *ret_count)
{
	*ret_luns = calloc(count + 1, sizeof **ret_luns);
	if (!*ret_luns)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		size_t disk = plan_find_disk(maker->plan, from[i].disk->key);
		if (disk == SIZE_MAX || from[i].number > LUN_NUMBER_MAX) {
			leave_out(maker->plan, "%s: disk %s as LUN %u cannot be mapped: left out",
			          whose, from[i].disk->key, from[i].number);
			continue;
		}
		(*ret_luns)[(*ret_count)++] =
		        (struct plan_lun){ .disk = disk, .number = (uint16_t)from[i].number };
	}
	return 0;
}

static int compare_acls(const void *a, const void *b)
{
	return strcmp(((const struct plan_acl *)a)->initiator_name,
	              ((const struct plan_acl *)b)->initiator_name);
}

static int fill_acls(struct maker *maker, const struct view_target *from,
                     struct plan_target *target)
{
	target->acls = calloc(from->client_count + 1, sizeof *target->acls);
	if (!target->acls)
		return -ENOMEM;
	for (size_t i = 0; i < from->client_count; i++) {
		const struct view_client *client = &from->clients[i];
		struct plan_acl *acl = &target->acls[target->acl_count];
		/* Without its secret nobody may log in with that name: as if it were not there. */
		if (!copy_auth(&client->auth, &acl->auth)) {
			leave_out(maker->plan,
			          "client %s of %s cannot log in: its CHAP password "
			          "cannot be decrypted here; check the key files",
			          client->iqn, target->name);
			continue;
		}
		target->acl_count++;
		acl->initiator_name = strdup(client->iqn);
		if (!acl->initiator_name)
			return -ENOMEM;
		text_lower(acl->initiator_name);
		if (fill_luns(maker, client->iqn, client->luns, client->lun_count, &acl->luns,
		              &acl->lun_count) < 0)
			return -ENOMEM;
	}
	qsort(target->acls, target->acl_count, sizeof *target->acls, compare_acls);
	return 0;
}

/* compat: LIO's MaxXmitDataSegmentLength is what it declares as its own receive limit, and its
 * MaxRecvDataSegmentLength bounds what it sends. */
static struct iscsi_controls controls_from(const struct target_controls *from)
{
	return (struct iscsi_controls){
		.first_burst_length = (uint32_t)from->first_burst_length,
		.max_burst_length = (uint32_t)from->max_burst_length,
		.max_recv_data_segment_length = (uint32_t)from->max_xmit_data_segment_length,
		.max_xmit_data_segment_length = (uint32_t)from->max_recv_data_segment_length,
		.max_outstanding_r2t = (uint32_t)from->max_outstanding_r2t,
		.command_window = (uint32_t)from->cmdsn_depth,
		.dataout_timeout_s = (uint32_t)from->dataout_timeout,
		.nopin_timeout_s = (uint32_t)from->nopin_timeout,
		.nopin_response_timeout_s = (uint32_t)from->nopin_response_timeout,
		.immediate_data = from->immediate_data,
		.initial_r2t = from->initial_r2t,
	};
}

static int fill_target(struct maker *maker, const struct view_target *from,
                       struct plan_target *target)
{
	target->name = strdup(from->iqn);
	if (!target->name)
		return -ENOMEM;
	text_lower(target->name);
	target->acl_enabled = from->acl_enabled;
	target->controls = controls_from(&from->controls);
	int r = fill_groups(maker, from, target);
	if (r == 0)
		r = fill_luns(maker, from->iqn, from->luns, from->lun_count, &target->luns,
		              &target->lun_count);
	if (r == 0)
		r = fill_acls(maker, from, target);
	return r;
}

static void target_free(struct plan_target *target)
{
	for (size_t i = 0; i < target->acl_count; i++) {
		free(target->acls[i].initiator_name);
		free(target->acls[i].luns);
	}
	if (target->acls)
		wipe(target->acls, target->acl_count * sizeof *target->acls);
	free(target->acls);
	free(target->luns);
	free(target->name);
	groups_free(target->groups, target->group_count);
}

static int compare_targets(const void *a, const void *b)
{
	return strcmp(((const struct plan_target *)a)->name, ((const struct plan_target *)b)->name);
}

static bool has_portal_here(const struct maker *maker, const struct view_target *target)
{
	return view_find_portal_group(target, maker->context->gateway_name) != NULL;
}

/* Where the interconnect listens unless the settings say. */
static int note_portal(struct maker *maker, const struct view_target *target)
{
	const struct view_portal_group *group =
	        view_find_portal_group(target, maker->context->gateway_name);
	if (maker->plan->portal_address || !group || !group->address_count)
		return 0;
	maker->plan->portal_address = strdup(group->addresses[0]);
	return maker->plan->portal_address ? 0 : -ENOMEM;
}

static int add_targets(struct maker *maker, const struct object_view *view)
{
	struct plan *plan = maker->plan;
	for (size_t i = 0; i < view->target_count; i++) {
		const struct view_target *from = &view->targets[i];
		struct plan_target *target = &plan->targets[plan->target_count];
		if (!has_portal_here(maker, from))
			continue;
		if (note_portal(maker, from) < 0)
			return -ENOMEM;
		/* Without its credentials a target would be open to all, or to nobody. */
		if (!copy_auth(&from->auth, &target->auth)) {
			leave_out(plan,
			          "target %s is not served: its CHAP password cannot be "
			          "decrypted here; check the key files",
			          from->iqn);
			continue;
		}
		plan->target_count++;
		if (fill_target(maker, from, target) < 0)
			return -ENOMEM;
	}
	qsort(plan->targets, plan->target_count, sizeof *plan->targets, compare_targets);
	return 0;
}

static int plan_from_view(const struct object_view *view, const struct plan_context *context,
                          struct plan *plan)
{
	struct maker maker = { .context = context, .plan = plan };
	size_t disk_room = 0;
	plan->epoch = view->epoch;
	for (size_t i = 0; i < view->target_count; i++)
		disk_room += view->targets[i].lun_count;
	plan->disks = calloc(disk_room + 1, sizeof *plan->disks);
	plan->targets = calloc(view->target_count + 1, sizeof *plan->targets);
	if (!plan->disks || !plan->targets)
		return -ENOMEM;

	if (!copy_auth(&view->discovery_auth, &plan->discovery_auth)) {
		lock_out(&plan->discovery_auth); /* rather than open to all */
		leave_out(plan, "discovery is refused: its CHAP password cannot be decrypted here; "
		                "check the key files");
	}
	for (size_t i = 0; i < view->target_count; i++) {
		if (has_portal_here(&maker, &view->targets[i]) &&
		    add_disks(&maker, &view->targets[i]) < 0)
			return -ENOMEM;
	}
	qsort(plan->disks, plan->disk_count, sizeof *plan->disks, compare_disks);
	remove_doubles(plan);
	return add_targets(&maker, view);
}

int plan_make(const json_t *object, const struct plan_context *context, struct plan **ret_plan,
              struct error *err)
{
	AUTO(object_view) struct object_view *view = NULL;
	int r = object_view_new(object, context->settings, context->keys, &view, err);
	if (r < 0)
		return r;
	AUTO(plan) struct plan *plan = calloc(1, sizeof *plan);
	if (!plan || plan_from_view(view, context, plan) < 0)
		return error_set(err, -ENOMEM, "configuration object: out of memory");
	*ret_plan = steal(&plan);
	return 0;
}

void plan_free(struct plan *plan)
{
	if (!plan)
		return;
	for (size_t i = 0; i < plan->disk_count; i++)
		disk_free(&plan->disks[i]);
	for (size_t i = 0; i < plan->target_count; i++)
		target_free(&plan->targets[i]);
	free(plan->disks);
	if (plan->targets)
		wipe(plan->targets, plan->target_count * sizeof *plan->targets);
	free(plan->targets);
	free(plan->portal_address);
	wipe(plan, sizeof *plan);
	free(plan);
}
