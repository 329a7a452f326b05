/* Fencing in parallel: a blocklist command takes a Paxos round of the monitors, and those that wait
 * for the same round cost no more than one. What was fenced is remembered, sorted, in memory. */
#include "ownership/fence.h"

#include "base/log.h"
#include "cluster/client.h"
#include "cluster/command.h"
#include "ownership/debt.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#define TEN_YEARS_S (10u * 365 * 24 * 3600)
#define THREADS_MAX 16

struct fence {
	struct store *store;
	struct cluster_client *control;
	unsigned expire_s;
	pthread_mutex_t lock; /* of the rest */
	char **fenced;        /* sorted */
	size_t count, room;
};

int fence_new(const struct fence_config *config, struct fence **ret_fence)
{
	struct fence *fence = calloc(1, sizeof *fence);
	if (!fence)
		return -ENOMEM;
	fence->store = config->store;
	fence->control = config->control;
	fence->expire_s = config->expire_s ? config->expire_s : TEN_YEARS_S;
	(void)pthread_mutex_init(&fence->lock, NULL);
	*ret_fence = fence;
	return 0;
}

void fence_free(struct fence *fence)
{
	if (!fence)
		return;
	for (size_t i = 0; i < fence->count; i++)
		free(fence->fenced[i]);
	free(fence->fenced);
	(void)pthread_mutex_destroy(&fence->lock);
	free(fence);
}

/* ---- what is fenced ---- */

/* Where it stands, or would. Under lock. */
static size_t find(const struct fence *fence, const char *address, bool *ret_found)
{
	size_t low = 0, high = fence->count;
	*ret_found = false;
	while (low < high && !*ret_found) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(address, fence->fenced[middle]);
		*ret_found = order == 0;
		if (order > 0)
			low = middle + 1;
		else
			high = middle;
	}
	return high;
}

static int remember_locked(struct fence *fence, const char *address)
{
	bool found;
	size_t at = find(fence, address, &found);
	if (found)
		return 0;
	if (fence->count == fence->room) {
		size_t room = fence->room ? 2 * fence->room : 32;
		char **list = reallocarray(fence->fenced, room, sizeof *list);
		if (!list)
			return -ENOMEM;
		fence->fenced = list;
		fence->room = room;
	}
	char *copy = strdup(address);
	if (!copy)
		return -ENOMEM;
	memmove(&fence->fenced[at + 1], &fence->fenced[at],
	        (fence->count - at) * sizeof *fence->fenced);
	fence->fenced[at] = copy;
	fence->count++;
	return 0;
}

static int remember(struct fence *fence, const char *address, struct error *err)
{
	(void)pthread_mutex_lock(&fence->lock);
	int r = remember_locked(fence, address);
	(void)pthread_mutex_unlock(&fence->lock);
	return r < 0 ? error_set(err, r, "fence of %s: out of memory", address) : 0;
}

bool fence_is_fenced(struct fence *fence, const char *address)
{
	bool found;
	(void)pthread_mutex_lock(&fence->lock);
	(void)find(fence, address, &found);
	(void)pthread_mutex_unlock(&fence->lock);
	return found;
}

/* ---- many at once ---- */

struct round {
	struct fence *fence;
	char *const *addresses;
	size_t count;
	const char *gateway, *instance; /* NULL: the debt is written already */
	json_t *process;
	uint64_t until_s;
	atomic_size_t next;
	pthread_mutex_t lock; /* of the rest */
	int result;
	struct error err; /* of the first failure */
};

/* The debt first: should this process die now, the entry is renewed all the same. */
static int fence_one(struct round *round, const char *address, struct error *err)
{
	struct fence *fence = round->fence;
	int r = 0;
	if (round->gateway)
		r = debt_write(fence->store, address, round->gateway, round->instance,
		               round->process, round->until_s, err);
	if (r == 0)
		r = cluster_fence(fence->control, address, fence->expire_s, err);
	if (r == 0 && !round->gateway)
		r = debt_prolong(fence->store, address, round->until_s, err);
	return r == 0 ? remember(fence, address, err) : r;
}

static void *run_round(void *argument)
{
	struct round *round = argument;
	size_t at;
	while ((at = atomic_fetch_add(&round->next, 1)) < round->count) {
		struct error err = { 0 };
		int r = fence_one(round, round->addresses[at], &err);
		if (r == 0)
			continue;
		(void)pthread_mutex_lock(&round->lock);
		if (round->result == 0) {
			round->result = r;
			round->err = err;
		}
		(void)pthread_mutex_unlock(&round->lock);
	}
	return NULL;
}

/* This thread is one of them, so it goes on if no other can be started. All are tried, whatever
 * fails. */
static int fence_all(struct round *round, struct error *err)
{
	pthread_t threads[THREADS_MAX - 1];
	size_t started = 0;
	(void)pthread_mutex_init(&round->lock, NULL);
	while (started < ARRAY_LEN(threads) && started + 1 < round->count &&
	       pthread_create(&threads[started], NULL, run_round, round) == 0)
		started++;
	(void)run_round(round);
	while (started > 0)
		(void)pthread_join(threads[--started], NULL);
	(void)pthread_mutex_destroy(&round->lock);
	if (round->result < 0 && err)
		*err = round->err;
	return round->result;
}

static uint64_t until_s(const struct fence *fence)
{
	return (uint64_t)time(NULL) + fence->expire_s;
}

int fence_addresses(struct fence *fence, char *const *addresses, size_t count, const char *gateway,
                    const char *instance, struct error *err)
{
	if (!fence->control || count == 0)
		return 0;
	AUTO_JSON json_t *process = debt_process_of(fence->store, gateway, instance);
	struct round round = {
		.fence = fence,
		.addresses = addresses,
		.count = count,
		.gateway = gateway,
		.instance = instance,
		.process = process,
		.until_s = until_s(fence),
	};
	return fence_all(&round, err);
}

/* ---- renewing ---- */

struct renewal {
	struct fence *fence;
	const json_t *entries; /* what the cluster has: address -> seconds that are left */
	char **addresses;
	size_t count, room;
};

/* An entry of which more than half is left is as good as new; it may have been removed by hand, so
 * the cluster is asked, not our own note. */
static int look_at_debt(void *argument, const char *address, const json_t *debt)
{
	struct renewal *renewal = argument;
	if (json_number(renewal->entries, address, 0) > renewal->fence->expire_s / 2)
		return remember(renewal->fence, address, NULL);
	if (renewal->count == renewal->room) {
		size_t room = renewal->room ? 2 * renewal->room : 16;
		char **list = reallocarray(renewal->addresses, room, sizeof *list);
		if (!list)
			return -ENOMEM;
		renewal->addresses = list;
		renewal->room = room;
	}
	char *copy = strdup(address);
	if (!copy)
		return -ENOMEM;
	renewal->addresses[renewal->count++] = copy;
	return 0;
}

static int renew(struct renewal *renewal, struct error *err)
{
	struct round round = {
		.fence = renewal->fence,
		.addresses = renewal->addresses,
		.count = renewal->count,
		.until_s = until_s(renewal->fence),
	};
	if (renewal->count)
		log_info("%zu fences are renewed", renewal->count);
	return renewal->count ? fence_all(&round, err) : 0;
}

int fence_renew(struct fence *fence, struct error *err)
{
	if (!fence->control)
		return 0;
	AUTO_JSON json_t *entries = NULL;
	int r = cluster_list_fences(fence->control, &entries, err);
	/* What is on the list is in force for those who have that map, as we do then. */
	if (r == 0)
		r = cluster_wait_for_map(fence->control, err);
	if (r < 0)
		return r;
	struct renewal renewal = { .fence = fence, .entries = entries };
	r = debt_list(fence->store, look_at_debt, &renewal, err);
	if (r == 0)
		r = renew(&renewal, err);
	for (size_t i = 0; i < renewal.count; i++)
		free(renewal.addresses[i]);
	free(renewal.addresses);
	return r;
}

int fence_settle(struct fence *fence, const char *instance, struct error *err)
{
	return debt_settle(fence->store, instance, err);
}
