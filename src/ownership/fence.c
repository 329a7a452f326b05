/* Fencing in parallel: a blocklist command takes a Paxos round of the monitors, and those that wait
 * for the same round cost no more than one. What was fenced is remembered, sorted, in memory. */
#include "ownership/fence.h"

#include "base/array.h"
#include "base/json.h"
#include "base/log.h"
#include "base/reactor.h"
#include "cluster/client.h"
#include "cluster/command.h"
#include "ownership/debt.h"
#include "ownership/outsider.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#define OUTSIDER_S  3600
#define THREADS_MAX 16
#define ADDS_MAX    2     /* of one address in one call */
#define SOON_S      10    /* an entry that ends within is waited for */
#define LAST_MS     20000 /* how long: the monitors drop what is over every few seconds */
#define PAUSE_MS    100
#define DUE_MS_MAX  3600000

struct fence {
	struct store *store;
	struct cluster_client *control;
	unsigned expire_s, outsider_s;
	pthread_mutex_t lock; /* of the rest */
	struct fenced *list;  /* sorted */
	size_t count;
	uint64_t due_ms; /* when fence_renew() is due */
};

struct fenced {
	char *address;
	uint64_t since_ms; /* it stood in the list of the monitors then */
};

int fence_new(const struct fence_config *config, struct fence **ret_fence)
{
	struct fence *fence = calloc(1, sizeof *fence);
	if (!fence)
		return -ENOMEM;
	fence->store = config->store;
	fence->control = config->control;
	fence->expire_s = config->expire_s ? config->expire_s : CLUSTER_FENCE_S;
	fence->outsider_s = config->outsider_s ? config->outsider_s : OUTSIDER_S;
	(void)pthread_mutex_init(&fence->lock, NULL);
	*ret_fence = fence;
	return 0;
}

void fence_free(struct fence *fence)
{
	if (!fence)
		return;
	for (size_t i = 0; i < fence->count; i++)
		free(fence->list[i].address);
	free(fence->list);
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
		int order = strcmp(address, fence->list[middle].address);
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
	if (found) {
		fence->list[at].since_ms = clock_monotonic_ms(); /* perhaps made anew */
		return 0;
	}
	char *copy = array_grow(&fence->list, fence->count) ? strdup(address) : NULL;
	if (!copy)
		return -ENOMEM;
	memmove(&fence->list[at + 1], &fence->list[at], (fence->count - at) * sizeof *fence->list);
	fence->list[at] = (struct fenced){ .address = copy, .since_ms = clock_monotonic_ms() };
	fence->count++;
	return 0;
}

static int remember(struct fence *fence, const char *address)
{
	(void)pthread_mutex_lock(&fence->lock);
	int r = remember_locked(fence, address);
	(void)pthread_mutex_unlock(&fence->lock);
	return r;
}

uint64_t fence_since_ms(struct fence *fence, const char *address)
{
	bool found;
	(void)pthread_mutex_lock(&fence->lock);
	size_t at = find(fence, address, &found);
	uint64_t since_ms = found ? fence->list[at].since_ms : 0;
	(void)pthread_mutex_unlock(&fence->lock);
	return since_ms;
}

bool fence_is_fenced(struct fence *fence, const char *address)
{
	return fence_since_ms(fence, address) != 0;
}

/* ---- when to renew ---- */

static void set_due(struct fence *fence, uint64_t due_ms)
{
	(void)pthread_mutex_lock(&fence->lock);
	fence->due_ms = due_ms;
	(void)pthread_mutex_unlock(&fence->lock);
}

uint64_t fence_due_ms(struct fence *fence)
{
	(void)pthread_mutex_lock(&fence->lock);
	uint64_t due_ms = fence->due_ms;
	(void)pthread_mutex_unlock(&fence->lock);
	return due_ms;
}

/* An entry ends in left_s: somebody should be waiting for it then. */
static void note_end(struct fence *fence, json_int_t left_s)
{
	uint64_t due_ms = clock_monotonic_ms() + (uint64_t)(left_s - SOON_S / 2) * 1000;
	if (due_ms < fence_due_ms(fence))
		set_due(fence, due_ms);
}

/* ---- many at once ---- */

struct address {
	char *text;
	int adds;      /* that succeeded */
	bool outsider; /* not remembered */
	bool wanted;   /* to be added now */
	bool done;
};

struct round {
	struct fence *fence;
	struct address *list;
	size_t count;
	const char *gateway, *instance; /* NULL: no debt is written */
	unsigned expire_s;              /* of new entries */
	json_t *process;
	atomic_size_t next;
	pthread_mutex_t lock; /* of the rest */
	int result;
	struct error err; /* of the first failure */
};

static int round_add(struct round *round, const char *text, bool outsider)
{
	char *copy = array_grow(&round->list, round->count) ? strdup(text) : NULL;
	if (!copy)
		return -ENOMEM;
	round->list[round->count++] = (struct address){ .text = copy, .outsider = outsider };
	return 0;
}

static void round_done(struct round *round)
{
	for (size_t i = 0; i < round->count; i++)
		free(round->list[i].text);
	free(round->list);
}

/* The debt first: should this process die now, the entry is renewed all the same. */
static int fence_one(struct round *round, struct address *address, struct error *err)
{
	struct fence *fence = round->fence;
	int r = 0;
	if (round->gateway)
		r = debt_write(fence->store, address->text, round->gateway, round->instance,
		               round->process, (uint64_t)time(NULL) + round->expire_s, err);
	if (r == 0)
		r = cluster_fence(fence->control, address->text, round->expire_s, err);
	address->wanted = false;
	address->adds += r == 0;
	address->done = r < 0; /* nothing more is tried */
	return r;
}

static void *run_round(void *argument)
{
	struct round *round = argument;
	size_t at;
	while ((at = atomic_fetch_add(&round->next, 1)) < round->count) {
		struct error err = { 0 };
		int r = round->list[at].wanted ? fence_one(round, &round->list[at], &err) : 0;
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

/* Adds what is wanted. This thread is one of them, so it goes on if no other can be started. All
 * are tried, whatever fails. */
static void add_wanted(struct round *round)
{
	pthread_t threads[THREADS_MAX - 1];
	size_t started = 0, wanted = 0;
	for (size_t i = 0; i < round->count; i++)
		wanted += round->list[i].wanted;
	atomic_store(&round->next, 0);
	(void)pthread_mutex_init(&round->lock, NULL);
	while (started < ARRAY_LEN(threads) && started + 1 < wanted &&
	       pthread_create(&threads[started], NULL, run_round, round) == 0)
		started++;
	(void)run_round(round);
	while (started > 0)
		(void)pthread_join(threads[--started], NULL);
	(void)pthread_mutex_destroy(&round->lock);
}

/* ---- entries that do not last ---- */

/* An entry that is there cannot be prolonged: the monitors keep the first one. One that somebody
 * else made for an hour has to be waited out, and made anew as soon as it is gone. */
static int judge(struct round *round, struct address *address, const json_t *entries)
{
	struct fence *fence = round->fence;
	const json_t *entry = json_object_get(entries, address->text);
	json_int_t left_s = json_integer_value(entry);
	if (!entry && address->adds < ADDS_MAX) {
		address->wanted = true; /* gone, or dropped in the same moment as it was added */
		return 0;
	}
	if (!entry && !address->outsider)
		return 0; /* somebody removes it as fast as it is made: nobody may rely on it */
	if (!entry)
		log_warning("%s was fenced, but does not stand in the list of fenced clients",
		            address->text);
	else if (left_s <= SOON_S && left_s <= round->expire_s / 2)
		return 0; /* about to go: look again */
	else if (left_s <= fence->expire_s / 2)
		note_end(fence, left_s);
	address->done = true;
	return address->outsider ? 0 : remember(fence, address->text);
}

static int judge_all(struct round *round, bool *ret_open, struct error *err)
{
	AUTO_JSON json_t *entries = NULL;
	bool any = false;
	for (size_t i = 0; i < round->count; i++)
		any = any || !round->list[i].done;
	*ret_open = false;
	int r = any ? cluster_list_fences(round->fence->control, &entries, err) : 0;
	for (size_t i = 0; r == 0 && i < round->count; i++) {
		if (round->list[i].done)
			continue;
		r = judge(round, &round->list[i], entries);
		*ret_open = *ret_open || !round->list[i].done;
		if (r < 0)
			return error_set(err, r, "fences: out of memory");
	}
	return r;
}

/* Until all have an entry that lasts. A failure ends it for that address only. */
static int make_last(struct round *round, struct error *err)
{
	bool open = true;
	uint64_t deadline_ms = clock_monotonic_ms() + LAST_MS;
	int r = judge_all(round, &open, err);
	while (r == 0 && open) {
		add_wanted(round);
		r = judge_all(round, &open, err);
		if (r == 0 && open && clock_monotonic_ms() >= deadline_ms)
			return error_set(err, -EAGAIN,
			                 "a fence is not in force: an old one is about to end and "
			                 "cannot be renewed yet, or somebody removes it");
		if (r == 0 && open)
			(void)nanosleep(&(struct timespec){ .tv_nsec = PAUSE_MS * 1000000L }, NULL);
	}
	if (r == 0 && round->result < 0) {
		if (err)
			*err = round->err;
		r = round->result;
	}
	/* What is on the list is in force for those who have that map, as we do then. */
	return r == 0 ? cluster_wait_for_map(round->fence->control, err) : r;
}

/* What is in the round. r: of the filling of it. */
static int fence_all(struct round *round, int r, struct error *err)
{
	for (size_t i = 0; i < round->count; i++)
		round->list[i].wanted = true;
	if (r < 0) {
		r = error_set(err, r, "fences: out of memory");
	} else {
		add_wanted(round);
		r = make_last(round, err);
	}
	round_done(round);
	return r;
}

int fence_addresses(struct fence *fence, char *const *addresses, size_t count, const char *gateway,
                    const char *instance, struct error *err)
{
	if (!fence->control || count == 0)
		return 0;
	AUTO_JSON json_t *life = debt_life_of(fence->store, gateway, instance);
	struct round round = { .fence = fence,
		               .gateway = gateway,
		               .instance = json_text(life, "instance", instance),
		               .expire_s = fence->expire_s,
		               .process = json_object_get(life, "process") };
	int r = 0;
	for (size_t i = 0; r == 0 && i < count; i++)
		r = round_add(&round, addresses[i], false);
	return fence_all(&round, r, err);
}

/* The row first, as with the debt. */
int fence_outsider(struct fence *fence, const char *lun, const char *address, struct error *err)
{
	struct round round = { .fence = fence, .expire_s = fence->outsider_s };
	if (!fence->control)
		return 0;
	int r = outsider_write(fence->store, lun, address, err);
	return r < 0 ? r : fence_all(&round, round_add(&round, address, true), err);
}

/* ---- renewing ---- */

static int add_debt(void *argument, const char *address, const json_t *debt)
{
	return round_add(argument, address, false);
}

static int add_outsider(void *argument, const char *address)
{
	return round_add(argument, address, true);
}

/* To add what is on the list already changes nothing, and the answer tells the time by which
 * entries end. */
static void learn_time(struct round *round)
{
	for (size_t i = 0; i < round->count && !cluster_knows_time(round->fence->control); i++) {
		round->list[i].wanted = true;
		add_wanted(round);
		round->list[i].adds = 0;
	}
}

int fence_renew(struct fence *fence, struct error *err)
{
	if (!fence->control)
		return 0;
	struct round round = { .fence = fence, .expire_s = fence->expire_s };
	set_due(fence, clock_monotonic_ms() + DUE_MS_MAX);
	int r = debt_list(fence->store, add_debt, &round, err);
	if (r == 0)
		r = outsider_list(fence->store, add_outsider, &round, err);
	if (r == 0 && round.count > 0) {
		learn_time(&round);
		r = make_last(&round, err);
	}
	if (r < 0)
		set_due(fence, 0);
	round_done(&round);
	return r;
}

int fence_settle(struct fence *fence, const char *instance, struct error *err)
{
	return debt_settle(fence->store, instance, err);
}
