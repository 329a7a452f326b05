/* Taking a disk and giving it back (docs/availability.md). Record and reservations first, which
 * decides between those that race; then the lock. On workers. */
#include "target/disk_private.h"

#include "base/log.h"
#include "cluster/client.h"
#include "ownership/fence.h"
#include "ownership/own_client.h"
#include "store/store.h"
#include "target/planted.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char *client_address(const struct disk *disk)
{
	return disk->client ? cluster_client_address(disk->client) : "";
}

static bool is_own(const struct disk *disk, const struct owner_record *record)
{
	return record->state == OWNER_ACTIVE &&
	       strcmp(record->instance, registration_instance(disk->host->registration)) == 0;
}

bool disk_record_is_own(const struct disk *disk)
{
	return is_own(disk, &disk->record);
}

/* Whose lock may be broken: of one whose fence is in force. Asking the cluster once more is cheap,
 * and backend_acquire() does it. */
static bool may_break(void *argument, const char *owner_address)
{
	const struct disk *disk = argument;
	return registration_is_past(disk->host->registration, owner_address) ||
	       fence_is_fenced(disk->host->fence, owner_address);
}

/* Those that need not be fenced once more. */
static bool is_fenced(void *argument, const char *owner_address, uint64_t *ret_since_ms)
{
	const struct disk *disk = argument;
	uint64_t since_ms = fence_since_ms(disk->host->fence, owner_address);
	if (since_ms)
		*ret_since_ms = since_ms;
	return since_ms || planted("no-fence") || planted("no-drain");
}

/* On demand: an initiator that waits here wants what a gateway has that knows nothing of records,
 * and would do the same to us. One of ours is never fenced so. Fenced anew even if it was before:
 * upstream gateways remove entries of their own addresses [H12]. */
static int fence_living(void *argument, const char *owner_address, struct error *err)
{
	const struct disk *disk = argument;
	bool own = false;
	int r = own_client_find(disk->host->store, owner_address, &own, err);
	if (r == 0 && own)
		return -EBUSY;
	if (r == 0) {
		log_info("%s: fencing %s, which has its lock: commands wait for it here",
		         disk_name(disk), owner_address);
		r = fence_outsider(disk->host->fence, disk_name(disk), owner_address, err);
	}
	return r == -EBUSY ? -EIO : r;
}

static bool same_record(const struct owner_record *one, const struct owner_record *other)
{
	return one->state == other->state && one->epoch == other->epoch &&
	       strcmp(one->instance, other->instance) == 0;
}

static int read_record(struct disk *disk, struct error *err)
{
	struct owner_record fresh = { 0 };
	int r = owner_record_read(disk->host->store, disk_name(disk), &fresh, err);
	if (r < 0)
		return r;
	owner_record_done(&disk->job_record);
	disk->job_record = fresh;
	return 0;
}

/* "take-over from gw-2": for people; a long name is cut. */
static void say_why(const struct disk *disk, char ret_why[64])
{
	const char *before = disk->job_record.gateway;
	bool other = *before && strcmp(before, disk->host->gateway) != 0;
	(void)snprintf(ret_why, 64, "%.16s%s%.41s", disk->job_why, other ? " from " : "",
	               other ? before : "");
}

/* A take that got the record, but not the lock, goes on where it ended. Not one of a record by
 * which the LUN was served: others take its epoch for that of one ownership without a break. */
static bool has_record(const struct disk *disk)
{
	return is_own(disk, &disk->job_record) && disk->job_record.epoch != disk->served_epoch &&
	       strcmp(disk->job_record.client, client_address(disk)) == 0 && disk->problem.code;
}

/* The record that was decided upon and the reservations change at once, and only while this
 * instance is not condemned: one question to the cluster. */
static int claim_rows(struct disk *disk, enum reservation_load how, struct error *err)
{
	const struct registration *own = disk->host->registration;
	AUTO_KEEPER_CLAIM struct keeper_claim reservations = { 0 };
	AUTO_FREE char *registered = NULL;
	AUTO_FREE char *rollback_key = NULL;
	struct store_change with[3];
	struct backend_info info;
	char why[sizeof disk->job_record.why];
	struct owner_claim claim = {
		.gateway = disk->host->gateway,
		.instance = registration_instance(own),
		.client = client_address(disk),
		.image = info.image_id,
		.why = why,
		.epoch = disk->job_record.epoch,
		.with = with,
		.with_count = ARRAY_LEN(with),
	};
	say_why(disk, why);
	backend_get_info(disk->backend, &info);
	int r = has_record(disk) ? 0
	                         : owner_record_next_epoch(disk->host->store, &disk->job_record,
	                                                   &claim.epoch, err);
	if (r == 0)
		r = disk_keeper_claim(disk, &claim.epoch, how, &reservations, err);
	if (r == 0)
		r = registration_guard(disk->host->registration, &with[0], &registered, err);
	if (r < 0)
		return r;
	with[1] = (struct store_change){ .key = reservations.key,
		                         .expected = reservations.before,
		                         .text = reservations.after };
	r = rollback_guard(disk_name(disk), &disk->job_rollback, &with[2]);
	if (r < 0)
		return r;
	rollback_key = (char *)with[2].key;
	r = claim.epoch > disk->job_record.epoch
	            ? owner_record_take(disk->host->store, disk_name(disk), &disk->job_record,
	                                &claim, err)
	            : owner_record_confirm(disk->host->store, disk_name(disk), &disk->job_record,
	                                   &claim, err);
	if (r < 0)
		return r;
	disk_keeper_claimed(disk, &reservations);
	if (disk->job_rollback.state == ROLLBACK_ASKED) { /* nobody waits for it any more */
		rollback_done(&disk->job_rollback);
		disk->rollback_changed = true;
	}
	return 0;
}

/* One that came after the decision is decided about first, unless it can be carried out at once. */
static int read_rollback(struct disk *disk, struct error *err)
{
	AUTO_ROLLBACK struct rollback fresh = { 0 };
	int r = rollback_read(disk->host->store, disk_name(disk), &fresh, err);
	if (r < 0)
		return r;
	bool same = rollback_is_same(&disk->job_rollback, &fresh);
	rollback_move(&disk->job_rollback, &fresh);
	disk->rollback_changed |= !same;
	if (same || rollback_allows(&disk->job_rollback, true, 0, 0))
		return 0;
	return error_set(err, -ECANCELED, "%s: a rollback of it is being asked for",
	                 disk_name(disk));
}

/* One of the rows is not as it was known. -ECANCELED: the record, which decides; 0: another. What
 * cannot be read is a failure like any other: it is told, and tried again in a while. */
static int look_at_rows(struct disk *disk, struct error *err)
{
	struct owner_record decided = disk->job_record; /* its text is not looked at */
	int r = registration_check(disk->host->registration, err);
	if (r == 0)
		r = read_record(disk, err);
	if (r < 0)
		return r;
	if (same_record(&decided, &disk->job_record))
		return read_rollback(disk, err);
	return error_set(err, -ECANCELED, "%s: its ownership has changed meanwhile",
	                 disk_name(disk));
}

static int take_rows(struct disk *disk, enum reservation_load how, struct error *err)
{
	int r = claim_rows(disk, how, err);
	if (r != -ECANCELED)
		return r;
	*err = (struct error){ 0 };
	r = look_at_rows(disk, err);
	return r == 0 ? claim_rows(disk, how, err) : r;
}

/* A record that this instance wrote tells nothing of the owner before: what a take that ended after
 * its record did not load is still to be loaded so, also if the LUN was given back since. */
static enum reservation_load load_kind(const struct disk *disk, const struct owner_record *before)
{
	if (strcmp(before->instance, registration_instance(disk->host->registration)) == 0)
		return disk->load_due;
	if (!disk->was_in_service && !disk->others_up)
		return RESERVATION_LOAD_POWER_LOSS;
	return before->state == OWNER_ACTIVE ? RESERVATION_LOAD_TAKEN_OVER
	                                     : RESERVATION_LOAD_HANDED_OVER;
}

static uint64_t map_since_ms(const struct disk *disk)
{
	bool kept = disk->job_kept_since_ms && disk->job_kept_since_ms < disk->started_ms;
	return kept ? disk->job_kept_since_ms : disk->started_ms;
}

static int take(struct disk *disk, struct error *err)
{
	struct backend_lock_policy policy = {
		.may_break = may_break,
		.is_fenced = is_fenced,
		.argument = disk,
	};
	if (disk->on_demand) {
		policy.is_fenced = NULL;
		policy.fence_living = fence_living;
	}
	int r = disk_check_image(disk, &disk->job_record, err);
	/* Whom the manager knew to be fenced when it decided to take [H1]; of a LUN that was handed
	 * over, whom its owner had fenced before it said that it serves. */
	if (r == 0 && disk->client)
		r = cluster_wait_for_map_since(disk->client, map_since_ms(disk), err);
	if (r < 0)
		return r;
	enum reservation_load how = load_kind(disk, &disk->job_record);
	policy.prepared = disk->job_record.state == OWNER_CLEAN;
	if (policy.prepared) /* most often nobody has the lock then */
		backend_prepare(disk->backend);
	r = take_rows(disk, how, err);
	if (r != -ECANCELED) /* else it is certain that nothing was written */
		disk->load_due = how;
	if (r == 0)
		r = backend_acquire(disk->backend, &policy, err);
	if (r < 0)
		return r;
	lun_set_epoch(disk->lun, disk->job_record.epoch);
	r = disk_keeper_load(disk, how, err);
	if (r == 0) {
		disk->load_due = RESERVATION_LOAD_HANDED_OVER;
		disk->served_epoch = disk->job_record.epoch;
	}
	return r;
}

static void set_result(struct disk *disk, int r)
{
	struct error *err = &disk->job_error;
	if (r == 0)
		*err = (struct error){ 0 };
	else if (!err->code)
		(void)error_set(err, r, "%s: %s", disk_name(disk), strerror(-r));
}

void disk_take(struct disk *disk)
{
	set_result(disk, take(disk, &disk->job_error));
}

/* The lock goes back only if no write can come late: the LUN is drained. A fenced client has
 * nothing to give. An image that is only opened anew stays ours: taking it goes on then. */
void disk_release(struct disk *disk)
{
	struct error *err = &disk->job_error;
	int r = 0;
	disk->released = disk->kept = disk->superseded = false;
	if (!disk->lost && disk->backend)
		r = backend_release(disk->backend, err);
	if (r == 0 && !disk->lost && !disk->stale && is_own(disk, &disk->job_record)) {
		r = owner_record_release(disk->host->store, disk_name(disk), &disk->job_record,
		                         disk->job_next, disk->job_why, err);
		disk->released = r == 0;
		disk->kept = disk->released && disk->phase == DRAINED;
		disk->superseded = r == -ECANCELED;
		if (r == -ECANCELED) /* it was not ours any more */
			r = read_record(disk, err);
	}
	set_result(disk, r);
}

void disk_plant_no_drain(struct disk *disk)
{
	struct error err = { 0 };
	if (!planted("no-drain") || disk->order.role != DISK_GIVE || !disk_record_is_own(disk))
		return;
	if (owner_record_release(disk->host->store, disk_name(disk), &disk->record, disk->next,
	                         disk->order.why, &err) < 0)
		log_warning("%s: %s", disk_name(disk), err.text);
	else
		disk->host->moved(disk->host, disk);
}
