/* Logical units: identity, state, and the accounts of what is in flight. */
#include "scsi/lun.h"

#include "scsi/lun_private.h"
#include "scsi/reservation_notice.h"
#include "scsi/succession.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- life ---- */

static void lun_free(struct lun *lun)
{
	assert(list_empty(&lun->itls) && !lun->backend);
	reservations_done(&lun->reservations);
	reservation_queue_done(&lun->reservation_queue);
	range_lock_done(&lun->ranges);
	(void)pthread_mutex_destroy(&lun->lock); /* fails only if it is held */
	other_paths_put(lun->other_paths);
	free(lun->name);
	free(lun->wwn);
	free(lun->vendor_id);
	free(lun);
}

static void set_limits(struct lun *lun, const struct lun_config *config)
{
	lun->max_sectors = config->max_sectors;
	lun->max_inflight_bytes = config->max_inflight_bytes;
	lun->configured_read_only = config->read_only;
	lun->read_only = config->read_only || lun->info.read_only;
}

int lun_new(const struct lun_config *config, struct lun **ret_lun)
{
	if (config->block_size != 512 && config->block_size != 4096)
		return -EINVAL;
	struct lun *lun = aligned_alloc(_Alignof(struct lun), sizeof *lun);
	if (!lun)
		return -ENOMEM;
	memset(lun, 0, sizeof *lun);
	lun->references = 1;
	lun->block_size = config->block_size;
	lun->block_shift = (unsigned)__builtin_ctz(config->block_size);
	lun->relay = config->relay;
	lun->wanted = config->wanted;
	lun->wanted_argument = config->wanted_argument;
	lun->was_opening = true;
	list_init(&lun->itls);
	reservations_init(&lun->reservations);
	reservation_queue_init(&lun->reservation_queue, config->reservation_keeper);
	int r = -pthread_mutex_init(&lun->lock, NULL);
	if (r == 0)
		r = range_lock_init(&lun->ranges);
	if (r < 0) {
		free(lun);
		return r;
	}
	lun->name = strdup(config->name);
	lun->wwn = strdup(config->wwn);
	lun->vendor_id = strdup(config->vendor_id);
	set_limits(lun, config);
	if (!lun->name || !lun->wwn || !lun->vendor_id) {
		lun_free(lun);
		return -ENOMEM;
	}
	*ret_lun = lun;
	return 0;
}

struct lun *lun_get(struct lun *lun)
{
	(void)atomic_fetch_add(&lun->references, 1);
	return lun;
}

void lun_put(struct lun *lun)
{
	if (lun && atomic_fetch_sub(&lun->references, 1) == 1)
		lun_free(lun);
}

const char *lun_name(const struct lun *lun)
{
	return lun->name;
}

enum lun_state lun_get_state(const struct lun *lun)
{
	return situation_state(lun_situation(lun));
}

int lun_change(struct lun *lun, const struct lun_config *config)
{
	if (config->block_size != lun->block_size)
		return -EINVAL; /* every initiator would misread the disk */
	(void)pthread_mutex_lock(&lun->lock);
	uint32_t max_sectors = lun->max_sectors;
	set_limits(lun, config);
	if (lun->max_sectors != max_sectors)
		lun_attention_locked(lun, SENSE_INQUIRY_CHANGED);
	(void)pthread_mutex_unlock(&lun->lock);
	return 0;
}

/* ---- state ---- */

/* With the lock held. Commands may be forwarded long before the image is open here: whoever asked
 * what it is like did not learn that a LUN is thin, for example. */
static void tell_described(struct lun *lun)
{
	struct itl *itl;
	list_for_each (itl, &lun->itls, lun_link) {
		if (itl->told_blindly)
			ua_add(&itl->attentions, SENSE_INQUIRY_CHANGED);
		itl->told_blindly = false;
	}
}

/* With the lock held. */
static void take_info(struct lun *lun, const struct backend_info *info)
{
	if (!lun->described)
		tell_described(lun);
	lun->described = true;
	lun->info = *info;
	lun->blocks = info->size_bytes >> lun->block_shift;
	lun->read_only = lun->configured_read_only || info->read_only;
}

/* With the lock held. Who decides by the old state afterwards is woken after that. */
static void change_state(struct lun *lun, enum lun_state state)
{
	uint64_t count = (lun_situation(lun) >> SITUATION_STATE_BITS) + 1;
	atomic_store(&lun->situation, count << SITUATION_STATE_BITS | state);
	if (state == LUN_OPENING)
		lun->was_opening = true;
	struct itl *itl;
	list_for_each (itl, &lun->itls, lun_link)
		itl_wake(itl);
}

/* With the lock held, when commands begin to be executed: who saw it opening must look anew. That
 * concerns the nexuses of this gateway, not those that proxies stand for. */
static void tell_opened(struct lun *lun)
{
	if (!lun->was_opening)
		return;
	lun->was_opening = false;
	struct itl *itl;
	list_for_each (itl, &lun->itls, lun_link) {
		if (!itl->proxy)
			ua_add(&itl->attentions, SENSE_CAPACITY_CHANGED);
	}
}

/* With the lock held. The owner tells the nexuses that have sent it a command, because only from it
 * on the new size is what they read. To the others this gateway says it, and to all of them when
 * that owner is gone: what it had not told went with it. */
static void note_new_size(struct lun *lun)
{
	struct itl *itl;
	list_for_each (itl, &lun->itls, lun_link) {
		bool known = lun_get_state(lun) != LUN_FORWARDED ||
		             atomic_load(&itl->relayed_epoch) == lun->route.epoch;
		if (itl->proxy)
			continue;
		if (!known)
			ua_add(&itl->attentions, SENSE_CAPACITY_CHANGED);
		else if (itl->size_owed < 1)
			itl->size_owed++;
	}
}

/* With the lock held: the owner changes. */
static void tell_owed_size(struct lun *lun)
{
	struct itl *itl;
	list_for_each (itl, &lun->itls, lun_link) {
		if (itl->size_owed > 0)
			ua_add(&itl->attentions, SENSE_CAPACITY_CHANGED);
		itl->size_owed = 0;
	}
}

void itl_told_size(struct itl *itl)
{
	(void)pthread_mutex_lock(&itl->lun->lock);
	if (itl->size_owed > -1)
		itl->size_owed--;
	(void)pthread_mutex_unlock(&itl->lun->lock);
}

void lun_serve(struct lun *lun, struct backend *backend)
{
	struct backend_info info;
	backend_get_info(backend, &info);
	(void)pthread_mutex_lock(&lun->lock);
	assert(!lun->backend && lun_get_state(lun) != LUN_READY);
	uint64_t blocks = lun->blocks;
	lun->backend = backend;
	take_info(lun, &info);
	if (blocks && blocks != lun->blocks)
		lun_attention_locked(lun, SENSE_CAPACITY_CHANGED);
	tell_owed_size(lun);
	tell_opened(lun);
	change_state(lun, LUN_READY);
	(void)pthread_mutex_unlock(&lun->lock);
	reservation_save_soon(lun); /* what loading them has changed */
}

void lun_set_epoch(struct lun *lun, uint64_t epoch)
{
	assert(lun_get_state(lun) != LUN_READY);
	atomic_store(&lun->epoch, epoch);
}

uint64_t lun_get_epoch(const struct lun *lun)
{
	return atomic_load_explicit(&lun->epoch, memory_order_acquire);
}

bool lun_is_past(struct lun *lun, uint64_t epoch)
{
	struct lun_route route;

	if (lun_get_state(lun) == LUN_READY)
		return lun_get_epoch(lun) > epoch;
	return lun_route_now(lun, &route) && route.epoch > epoch;
}

void lun_describe(struct lun *lun, const struct backend_info *info)
{
	(void)pthread_mutex_lock(&lun->lock);
	assert(lun_get_state(lun) != LUN_READY);
	uint64_t blocks = lun->blocks;
	take_info(lun, info);
	if (blocks && blocks != lun->blocks)
		note_new_size(lun);
	(void)pthread_mutex_unlock(&lun->lock);
}

void lun_set_state(struct lun *lun, enum lun_state state)
{
	(void)pthread_mutex_lock(&lun->lock);
	assert(lun_get_state(lun) != LUN_READY && state != LUN_READY && state != LUN_FORWARDED);
	if (state == LUN_ON_DEMAND) {
		reservation_passed_on(lun);
		tell_opened(lun);
	}
	change_state(lun, state);
	(void)pthread_mutex_unlock(&lun->lock);
}

void lun_want(struct lun *lun)
{
	if (lun_get_state(lun) != LUN_ON_DEMAND || !lun->wanted)
		return;
	(void)pthread_mutex_lock(&lun->lock);
	if (lun_get_state(lun) == LUN_ON_DEMAND)
		lun->wanted(lun->wanted_argument);
	(void)pthread_mutex_unlock(&lun->lock);
}

void lun_set_unreachable(struct lun *lun, bool unreachable)
{
	atomic_store(&lun->unreachable, unreachable);
}

bool lun_is_owned_elsewhere(const struct lun *lun)
{
	enum lun_state state = lun_get_state(lun);
	return state == LUN_STANDBY || (state == LUN_FAILED && atomic_load(&lun->unreachable));
}

void lun_forward(struct lun *lun, const struct lun_route *route)
{
	(void)pthread_mutex_lock(&lun->lock);
	assert(lun_get_state(lun) != LUN_READY && lun->relay);
	if (route->epoch != lun->route.epoch)
		tell_owed_size(lun);
	lun->route = *route;
	reservation_passed_on(lun);
	tell_opened(lun);
	change_state(lun, LUN_FORWARDED);
	(void)pthread_mutex_unlock(&lun->lock);
}

uint64_t lun_route_now(struct lun *lun, struct lun_route *ret_route)
{
	(void)pthread_mutex_lock(&lun->lock);
	uint64_t situation = lun_situation(lun);
	bool forwarded = situation_state(situation) == LUN_FORWARDED;
	if (forwarded)
		*ret_route = lun->route;
	(void)pthread_mutex_unlock(&lun->lock);
	return forwarded ? situation : 0;
}

void lun_get_route(const struct lun *lun, struct lun_route *ret_route)
{
	/* The lock is the only thing that changes. */
	pthread_mutex_t *lock = (pthread_mutex_t *)&lun->lock;
	(void)pthread_mutex_lock(lock);
	*ret_route = lun->route;
	(void)pthread_mutex_unlock(lock);
}

/* Calls quiesced() if it is due; who takes the callback out calls it. */
static void finish_quiesce(struct lun *lun)
{
	void (*quiesced)(void *argument) = NULL;
	void *argument = NULL;
	(void)pthread_mutex_lock(&lun->lock);
	if (lun->quiesced && lun_commands(lun) == 0) {
		quiesced = lun->quiesced;
		argument = lun->quiesced_argument;
		lun->quiesced = NULL;
		lun->backend = NULL;
		atomic_store(&lun->quiescing, false);
	}
	(void)pthread_mutex_unlock(&lun->lock);
	if (quiesced)
		quiesced(argument);
}

void lun_quiesce(struct lun *lun, enum lun_state state, void (*quiesced)(void *argument),
                 void *argument)
{
	(void)pthread_mutex_lock(&lun->lock);
	assert(!lun->quiesced && state != LUN_READY && state != LUN_FORWARDED);
	lun->quiesced = quiesced;
	lun->quiesced_argument = argument;
	change_state(lun, state);
	atomic_store(&lun->quiescing, true);
	(void)pthread_mutex_unlock(&lun->lock);
	finish_quiesce(lun);
}

void lun_resized(struct lun *lun)
{
	(void)pthread_mutex_lock(&lun->lock);
	if (lun->backend) {
		struct backend_info info;
		uint64_t blocks = lun->blocks;
		backend_get_info(lun->backend, &info);
		take_info(lun, &info);
		if (blocks != lun->blocks)
			lun_attention_locked(lun, SENSE_CAPACITY_CHANGED);
	}
	(void)pthread_mutex_unlock(&lun->lock);
}

void lun_reset(struct lun *lun)
{
	(void)pthread_mutex_lock(&lun->lock);
	reservation_reset(lun);
	lun_attention_locked(lun, SENSE_LUN_RESET);
	(void)pthread_mutex_unlock(&lun->lock);
}

void lun_copy_info(struct lun *lun, struct backend_info *ret_info)
{
	(void)pthread_mutex_lock(&lun->lock);
	*ret_info = lun->info;
	(void)pthread_mutex_unlock(&lun->lock);
}

void itl_copy_info(struct itl *itl, struct backend_info *ret_info)
{
	struct lun *lun = itl->lun;
	(void)pthread_mutex_lock(&lun->lock);
	*ret_info = lun->info;
	itl->told_blindly |= !lun->described;
	(void)pthread_mutex_unlock(&lun->lock);
}

bool lun_is_thin(struct lun *lun)
{
	struct backend_info info;
	lun_copy_info(lun, &info);
	return info.discard_granularity != 0;
}

/* ---- in flight ---- */

bool lun_reserve(struct lun *lun, uint32_t bytes)
{
	uint64_t max = atomic_load_explicit(&lun->max_inflight_bytes, memory_order_relaxed);
	uint64_t was = atomic_fetch_add_explicit(&lun->load, bytes, memory_order_relaxed);
	uint64_t others = was & LOAD_BYTES;
	if (max == 0 || others == 0 || others + bytes <= max)
		return true;
	(void)atomic_fetch_sub_explicit(&lun->load, bytes, memory_order_relaxed);
	return false;
}

uint64_t lun_enter(struct lun *lun)
{
	/* First counted, then looked: quiescing sets the state first, then looks at the count. */
	(void)atomic_fetch_add(&lun->load, LOAD_COMMAND);
	uint64_t situation = atomic_load(&lun->situation);
	if (situation_state(situation) == LUN_READY)
		return situation;
	lun_leave(lun, true, 0);
	return 0;
}

void lun_leave(struct lun *lun, bool entered, uint32_t bytes)
{
	uint64_t share = (entered ? LOAD_COMMAND : 0) + bytes;
	if (share == 0)
		return;
	uint64_t left = atomic_fetch_sub(&lun->load, share) - share;
	if (entered && left / LOAD_COMMAND == 0 && atomic_load(&lun->quiescing))
		finish_quiesce(lun);
}

/* ---- nexuses ---- */

/* What the gateway of the nexus raises itself, or what begins with a nexus: none of a proxy's. */
static bool is_path_attention(enum sense_code code)
{
	return code == SENSE_POWER_ON || code == SENSE_NEXUS_LOSS || code == SENSE_LUNS_CHANGED ||
	       code == SENSE_INQUIRY_CHANGED || code == SENSE_ACCESS_STATE_CHANGED;
}

/* With lun->lock held. */
static void itl_tell(struct itl *itl, enum sense_code code)
{
	if (!itl->proxy || !is_path_attention(code))
		ua_add(&itl->attentions, code);
}

void lun_attention_locked(struct lun *lun, enum sense_code code)
{
	struct itl *itl;
	list_for_each (itl, &lun->itls, lun_link)
		itl_tell(itl, code);
}

enum sense_code itl_take_attention(struct itl *itl)
{
	(void)pthread_mutex_lock(&itl->lun->lock);
	enum sense_code code = ua_take(&itl->attentions);
	reservation_reported(itl->lun, itl, code);
	(void)pthread_mutex_unlock(&itl->lun->lock);
	reservation_save_soon(itl->lun);
	return code;
}

void itl_remove_attention(struct itl *itl, enum sense_code code)
{
	(void)pthread_mutex_lock(&itl->lun->lock);
	ua_remove(&itl->attentions, code);
	(void)pthread_mutex_unlock(&itl->lun->lock);
}

void itl_add_attention(struct itl *itl, enum sense_code code)
{
	(void)pthread_mutex_lock(&itl->lun->lock);
	itl_tell(itl, code);
	(void)pthread_mutex_unlock(&itl->lun->lock);
}

void lun_attach(struct lun *lun, struct itl *itl)
{
	(void)pthread_mutex_lock(&lun->lock);
	list_append(&lun->itls, &itl->lun_link);
	lun->itl_count++;
	succession_attached(lun, itl);
	reservation_attached(lun, itl);
	reservations_apply(lun);
	(void)pthread_mutex_unlock(&lun->lock);
}

static void add_counters(struct lun_counters *sum, const struct itl_counters *one)
{
	sum->reads += one->reads;
	sum->writes += one->writes;
	sum->read_bytes += one->read_bytes;
	sum->write_bytes += one->write_bytes;
	sum->others += one->others;
	sum->errors += one->errors;
	sum->forwarded += one->forwarded;
	sum->held += (uint32_t)one->held;
	sum->relayed += (uint32_t)one->relayed;
	if (one->last_io_ms > sum->last_own_io_ms)
		sum->last_own_io_ms = one->last_io_ms;
}

void lun_detach(struct itl *itl)
{
	struct lun *lun = itl->lun;
	assert(list_empty(&itl->tasks) && list_empty(&itl->shares) && !itl->relaying);
	succession_done(itl);
	(void)pthread_mutex_lock(&lun->lock);
	succession_detach(lun, itl);
	list_remove(&itl->lun_link);
	lun->itl_count--;
	reservation_detached(lun, itl);
	add_counters(&lun->retired, &itl->counters);
	(void)pthread_mutex_unlock(&lun->lock);
	reservation_save_soon(lun);
}

void itl_put(struct itl *itl)
{
	if (!itl || atomic_fetch_sub(&itl->references, 1) != 1)
		return;
	lun_put(itl->lun);
	free(itl);
}

void lun_get_counters(const struct lun *lun, struct lun_counters *ret_counters)
{
	/* The lock is the only thing that changes. */
	pthread_mutex_t *lock = (pthread_mutex_t *)&lun->lock;
	(void)pthread_mutex_lock(lock);
	struct lun_counters sum = lun->retired;
	const struct itl *itl;
	list_for_each (itl, &lun->itls, lun_link)
		add_counters(&sum, &itl->counters);
	sum.nexuses = (uint32_t)lun->itl_count;
	sum.in_flight = (uint32_t)lun_commands(lun);
	(void)pthread_mutex_unlock(lock);
	*ret_counters = sum;
}
