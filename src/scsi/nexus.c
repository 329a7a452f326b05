/* I_T nexuses: the map from LUN numbers to logical units, and its changes. */
#include "scsi/nexus.h"

#include "base/json.h"
#include "scsi/execute.h"
#include "scsi/relay.h"
#include "scsi/succession.h"
#include "scsi/walk.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- names ---- */

bool nexus_may_be_named(const char *name)
{
	AUTO_JSON json_t *text = json_string(name); /* none if it is not UTF-8 */
	for (const char *p = name; *p; p++) {
		if ((unsigned char)*p <= ' ' || *p == 0x7f || *p == ',' || *p == '/')
			return false;
	}
	return *name && text;
}

/* ---- addresses ---- */

enum lun_address lun_address_get(const uint8_t *lun, uint16_t *ret_number)
{
	static const uint8_t report_luns[8] = { 0xc1, 0x01 };
	if (memcmp(lun, report_luns, sizeof report_luns) == 0)
		return LUN_ADDRESS_WELL_KNOWN;
	for (int i = 2; i < 8; i++) {
		if (lun[i])
			return LUN_ADDRESS_INVALID; /* only the first level is used */
	}
	/* Peripheral device method: the bits of a bus are read as part of the number, as Linux
	 * writes numbers above 255. Flat space method: 14 bits. */
	if (lun[0] >> 6 > 1)
		return LUN_ADDRESS_INVALID;
	*ret_number = (uint16_t)((lun[0] & 0x3f) << 8 | lun[1]);
	return LUN_ADDRESS_NUMBER;
}

void lun_address_put(uint8_t *ret_lun, uint16_t number)
{
	memset(ret_lun, 0, 8);
	ret_lun[0] = (uint8_t)(number > 255 ? 0x40 | number >> 8 : 0);
	ret_lun[1] = (uint8_t)number;
}

static int compare_numbers(const void *a, const void *b)
{
	const struct itl *const *x = a, *const *y = b;
	return (int)(*x)->number - (int)(*y)->number;
}

static struct itl *map_find(struct itl *const *itls, size_t count, uint16_t number)
{
	size_t low = 0, high = count;
	while (low < high) {
		size_t middle = (low + high) / 2;
		if (itls[middle]->number < number)
			low = middle + 1;
		else
			high = middle;
	}
	bool found = low < count && itls[low]->number == number;
	return found ? itls[low] : NULL;
}

struct itl *nexus_find(const struct nexus *nexus, uint16_t number)
{
	return map_find(nexus->itls, nexus->itl_count, number);
}

/* ---- I_T_L nexuses ---- */

static struct itl *itl_new(struct nexus *nexus, const struct lun_mapping *mapping)
{
	struct itl *itl = calloc(1, sizeof *itl);
	if (!itl)
		return NULL;
	itl->references = 1;
	itl->nexus = nexus;
	itl->reactor = nexus->reactor;
	itl->lun = lun_get(mapping->lun);
	itl->number = mapping->number;
	itl->read_only = mapping->read_only;
	itl->proxy = nexus->proxy;
	list_init(&itl->tasks);
	list_init(&itl->visits);
	list_init(&itl->shares);
	list_init(&itl->link);
	list_init(&itl->lun_link);
	itl->port = &nexus->identity;
	return itl;
}

static void itl_detach(struct itl *itl)
{
	lun_detach(itl);
	itl->nexus = NULL;
	itl_put(itl);
}

/* The I_T_L nexuses of a new map: those that stay, and new ones, sorted. Nothing is changed yet. */
static int map_build(struct nexus *nexus, const struct lun_mapping *mappings, size_t count,
                     struct itl ***ret_itls)
{
	struct itl **itls = calloc(count ? count : 1, sizeof *itls);
	if (!itls)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		struct itl *same = nexus_find(nexus, mappings[i].number);
		bool stays = same && same->lun == mappings[i].lun;
		itls[i] = stays ? itl_get(same) : itl_new(nexus, &mappings[i]);
		if (!itls[i]) {
			while (i > 0)
				itl_put(itls[--i]);
			free(itls);
			return -ENOMEM;
		}
	}
	qsort(itls, count, sizeof *itls, compare_numbers);
	*ret_itls = itls;
	return 0;
}

static void detach_all(struct nexus *nexus)
{
	for (size_t i = 0; i < nexus->itl_count; i++)
		itl_detach(nexus->itls[i]);
	nexus->itl_count = 0;
}

/* ---- life ---- */

static void set_identity(struct nexus *nexus)
{
	struct reservation_port *identity = &nexus->identity;
	(void)snprintf(identity->initiator, sizeof identity->initiator, "%s",
	               nexus->initiator_name);
	(void)snprintf(identity->target, sizeof identity->target, "%s", nexus->port.target_name);
	memcpy(identity->isid, nexus->isid, sizeof identity->isid);
	identity->tag = nexus->port.tag;
	identity->serial = nexus->serial;
}

int nexus_new(const struct nexus_config *config, struct nexus **ret_nexus)
{
	static _Atomic uint64_t serials;
	struct nexus *nexus = calloc(1, sizeof *nexus);
	if (!nexus)
		return -ENOMEM;
	nexus->serial = atomic_fetch_add(&serials, 1) + 1;
	nexus->proxy = config->proxy;
	memcpy(nexus->isid, config->isid, sizeof nexus->isid);
	nexus->port = *config->port;
	nexus->reactor = config->reactor;
	list_init(&nexus->leaving);
	nexus->initiator_name = strdup(config->initiator_name);
	int r = nexus->initiator_name ? 0 : -ENOMEM;
	if (r == 0) {
		set_identity(nexus);
		r = map_build(nexus, config->mappings, config->mapping_count, &nexus->itls);
	}
	if (r < 0) {
		free(nexus->initiator_name);
		free(nexus);
		return r;
	}
	nexus->itl_count = config->mapping_count;
	for (size_t i = 0; i < nexus->itl_count; i++) {
		if (!nexus->proxy)
			ua_add(&nexus->itls[i]->attentions, SENSE_POWER_ON);
		lun_attach(nexus->itls[i]->lun, nexus->itls[i]);
	}
	*ret_nexus = nexus;
	return 0;
}

void nexus_free(struct nexus *nexus)
{
	if (!nexus)
		return;
	assert(nexus->task_count == 0 && list_empty(&nexus->leaving) && !nexus->settle_posted);
	detach_all(nexus);
	free(nexus->itls);
	free(nexus->initiator_name);
	free(nexus);
}

int nexus_add_mapping(struct nexus *nexus, const struct lun_mapping *mapping)
{
	assert(nexus->proxy && !nexus->stopping);
	const struct itl *same = nexus_find(nexus, mapping->number);
	if (same)
		return same->lun == mapping->lun ? 0 : -EEXIST;
	struct itl **itls = realloc(nexus->itls, (nexus->itl_count + 1) * sizeof *itls);
	if (!itls)
		return -ENOMEM;
	nexus->itls = itls;
	struct itl *itl = itl_new(nexus, mapping);
	if (!itl)
		return -ENOMEM;
	itls[nexus->itl_count++] = itl;
	qsort(itls, nexus->itl_count, sizeof *itls, compare_numbers);
	lun_attach(itl->lun, itl);
	return 0;
}

/* ---- what waits for tasks ---- */

/* Tasks, or task management whose part at the owner is not done. */
static bool itl_is_busy(const struct itl *itl)
{
	return !list_empty(&itl->tasks) || !list_empty(&itl->shares) || itl->relaying;
}

/* What its proxies have at that LUN ends, too; unless it has come back meanwhile. */
static void tell_row_ended(const struct nexus *nexus, const struct itl *itl)
{
	const struct itl *same = nexus_find(nexus, itl->number);
	if (nexus->relay && !nexus->stopping && !(same && same->lun == itl->lun))
		nexus->relay->ops->row_ended(nexus->relay, nexus->serial, itl->number, itl->lun);
}

static void settle(struct message *message)
{
	struct nexus *nexus = container_of(message, struct nexus, settle);
	nexus->settle_posted = false;

	struct itl *itl, *following;
	list_for_each_safe (itl, following, &nexus->leaving, link) {
		if (!itl_is_busy(itl)) {
			list_remove(&itl->link);
			tell_row_ended(nexus, itl);
			itl_detach(itl);
		}
	}
	if (!list_empty(&nexus->leaving))
		return;
	if (nexus->changed) {
		void (*changed)(void *argument) = nexus->changed;
		nexus->changed = NULL;
		changed(nexus->changed_argument);
	}
	if (nexus->stopping && nexus->ended && nexus->task_count == 0) {
		void (*ended)(void *argument) = nexus->ended;
		nexus->ended = NULL;
		if (nexus->relay)
			nexus->relay->ops->nexus_ended(nexus->relay, nexus->serial);
		ended(nexus->ended_argument); /* may free the nexus */
	}
}

static void settle_later(struct nexus *nexus)
{
	if (nexus->settle_posted)
		return;
	nexus->settle_posted = true;
	nexus->settle.run = settle;
	reactor_defer(nexus->reactor, &nexus->settle);
}

void nexus_task_ended(struct nexus *nexus)
{
	if (nexus->changed || nexus->stopping || !list_empty(&nexus->leaving))
		settle_later(nexus);
}

/* Its tasks are aborted, its task management waits no longer, and it goes when all that has ended.
 */
static void leave(struct nexus *nexus, struct itl *itl)
{
	list_append(&nexus->leaving, &itl->link);
	succession_leave(itl);
	struct scsi_task *task;
	list_for_each (task, &itl->tasks, state.link)
		task_abort(task, ABORT_SILENT);
	if (!list_empty(&itl->shares))
		itl_wake(itl);
}

void nexus_remove_mapping(struct nexus *nexus, uint16_t number)
{
	assert(nexus->proxy && !nexus->stopping);
	struct itl *itl = nexus_find(nexus, number);
	size_t at = 0;
	if (!itl)
		return;
	while (nexus->itls[at] != itl)
		at++;
	nexus->itl_count--;
	memmove(&nexus->itls[at], &nexus->itls[at + 1],
	        (nexus->itl_count - at) * sizeof nexus->itls[0]);
	leave(nexus, itl);
	settle_later(nexus);
}

int nexus_change_map(struct nexus *nexus, const struct lun_mapping *mappings, size_t mapping_count,
                     void (*changed)(void *argument), void *argument)
{
	assert(!nexus->stopping && (!nexus->changed || nexus->changed == changed));
	struct itl **itls;
	int r = map_build(nexus, mappings, mapping_count, &itls);
	if (r < 0)
		return r;

	bool differs = false;
	for (size_t i = 0; i < nexus->itl_count; i++) {
		struct itl *itl = nexus->itls[i];
		if (map_find(itls, mapping_count, itl->number) == itl) {
			itl_put(itl); /* the new map has a reference of its own */
			continue;
		}
		differs = true;
		leave(nexus, itl);
	}
	free(nexus->itls);
	nexus->itls = itls;
	nexus->itl_count = mapping_count;
	for (size_t i = 0; i < mapping_count; i++)
		nexus_find(nexus, mappings[i].number)->read_only = mappings[i].read_only;
	for (size_t i = 0; i < mapping_count; i++) {
		if (!list_empty(&itls[i]->lun_link))
			continue;
		differs = true;
		lun_attach(itls[i]->lun, itls[i]);
	}
	for (size_t i = 0; differs && i < mapping_count; i++)
		itl_add_attention(itls[i], SENSE_LUNS_CHANGED);
	nexus->changed = changed;
	nexus->changed_argument = argument;
	settle_later(nexus);
	return 0;
}

void nexus_stop(struct nexus *nexus, void (*ended)(void *argument), void *argument)
{
	assert(!nexus->stopping);
	nexus->stopping = true;
	nexus->ended = ended;
	nexus->ended_argument = argument;
	for (size_t i = 0; i < nexus->itl_count; i++)
		leave(nexus, nexus->itls[i]);
	nexus->itl_count = 0;
	settle_later(nexus);
}

const char *nexus_initiator_name(const struct nexus *nexus)
{
	return nexus->initiator_name;
}

const uint8_t *nexus_isid(const struct nexus *nexus)
{
	return nexus->isid;
}

struct reactor *nexus_reactor(const struct nexus *nexus)
{
	return nexus->reactor;
}

const struct scsi_port *nexus_port(const struct nexus *nexus)
{
	return &nexus->port;
}

uint64_t nexus_serial(const struct nexus *nexus)
{
	return nexus->serial;
}

unsigned nexus_task_count(const struct nexus *nexus)
{
	return nexus->task_count;
}
